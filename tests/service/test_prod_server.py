"""``prod-server`` as an operator meets it: start, stop, kill, move."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psycopg2
import pytest
from click.testing import CliRunner

from client_scripts.verify import main as verify_command
from provmanager.errors import AuthenticationError, UnavailableError
from provmanager.store import embedded

RUN = {
    "activity_name": "ctapipe-process", "activity_uuid": "0a0b6ad6-0000-4000-8000-{:012d}",
    "status": "completed", "exit_code": 0, "config": {},
    "start": {"time_utc": "2026-11-20T01:00:00.000"},
    "stop": {"time_utc": "2026-11-20T01:10:00.000"},
    "duration_min": 10.0, "input": [], "output": [],
    "system": {"ctapipe_version": "0.32.0", "platform": {"node": "node1"}},
}  # fmt: skip


def run_document(number):
    run = RUN | {"activity_uuid": RUN["activity_uuid"].format(number)}
    return json.dumps([run]).encode()


def postmaster_pid(server):
    return int((server.state_dir / "postgresql/pgdata/postmaster.pid").read_text().split()[0])


def is_serving(server):
    return embedded.is_running(server.state_dir / "postgresql")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_cleanly(make_server, number):
    server = make_server()
    said = server.start()
    assert said["database"] == "embedded"
    assert Path(said["token_file"]) == server.state_dir / "admin.token"
    assert stat.S_IMODE(Path(said["token_file"]).stat().st_mode) == 0o600
    assert httpx.get(said["url"] + "/v1/health").json() == {"status": "ok"}
    assert json.loads((server.state_dir / "server.json").read_text()) == said
    with server.client() as client:
        assert client.record(run_document(1))["outcome"] == "recorded"
    code, log = server.end(number)
    assert code == 0
    assert "Traceback" not in log
    assert not is_serving(server)
    assert not (server.state_dir / "server.json").exists()
    server.start()
    with server.client() as client:
        assert client.record(run_document(1))["outcome"] == "unchanged"


def test_the_text_that_a_person_sees(make_server):
    server = make_server()
    done = server.command("--background", "--port=0")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["token"] == str(server.state_dir / "admin.token")
    assert lines["listening"].startswith("on  http://127.0.0.1:")
    assert f"export PROV_SERVER_URL={lines['listening'][4:]}" in done.stderr
    assert server.command("--background", "--quiet").stderr == ""


def test_background_returns_when_ready_and_again_finds_it_running(make_server):
    server = make_server()
    first = server.command("start", "--background", "--port=0", "--json")
    with server.client(retries=0) as client:
        assert client.health() == {"status": "ok"}
    again = server.command("start", "--background", "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert "runs already" in again.stderr
    assert again.returncode == 0
    status = server.command("status", "--json")
    assert (status.returncode, json.loads(status.stdout)) == (0, json.loads(first.stdout))
    assert server.command("stop").returncode == 0
    assert not is_serving(server)
    stopped = server.command("status")
    assert stopped.returncode == 3
    assert "start one with prod-server" in stopped.stderr
    assert server.command("stop").returncode == 0


def test_four_starts_at_once_make_one_server(make_server):
    server = make_server()
    command = [sys.executable, "-m", "client_scripts.server", "--background", "--port=0", "--json"]
    processes = [
        subprocess.Popen(command, env=server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0, 0, 0], ended
    assert len({out for (out, _), _ in ended}) == 1


def test_a_second_server_of_the_same_state_directory_is_refused(server):
    done = server.command("start", "--port=0")
    assert done.returncode == 2
    assert "runs already at http://127.0.0.1:" in done.stderr
    assert "prod-server stop" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("how", [[], ["--background"]])
def test_a_port_in_use_is_a_clear_error_and_nothing_stays_behind(make_server, how):
    server = make_server()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = server.command("start", f"--port={port}", *how)
    assert done.returncode == 2
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not is_serving(server)
    assert not (server.state_dir / "server.json").exists()


@pytest.mark.parametrize(
    ("options", "environ", "message"),
    [
        (["--port=99999"], {}, "PROV_PORT is '99999': Input should be less than or equal to 65535"),
        (["--host=192.0.2.1"], {}, "cannot listen on port 0 of 192.0.2.1"),
        (["--database-url=mysql://x@y/z"], {}, "mysql://x@y/z is no PostgreSQL database"),
        (["--database-url=nonsense"], {}, "the database URL cannot be read"),
        (["--embedded", "--database-url=postgresql://x@y/z"], {}, "choose one"),
        ([], {"PROV_MAX_DOCUMENT_BYTES": "lots"}, "PROV_MAX_DOCUMENT_BYTES is 'lots'"),
        ([], {"PROV_TLS_CERT": "/etc/passwd"}, "PROV_TLS_CERT and PROV_TLS_KEY go together"),
        ([], {"PROV_SHARED_PATHS": "pnfs"}, "each must be an absolute path"),
    ],
)
def test_wrong_settings_are_named(make_server, options, environ, message):
    server = make_server(PROV_PORT="0", **environ)
    done = server.command("start", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("prod-server: error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unreachable_database_is_told_without_its_password(make_server):
    server = make_server(PROV_DATABASE_URL="postgresql://prov:hunter2@127.0.0.1:1/prov")
    done = server.command("start", "--port=0")
    assert done.returncode == 75
    assert "cannot reach its database" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_server_by_url_keeps_nothing_embedded(make_server, make_database_url):
    url = make_database_url()
    server = make_server(PROV_DATABASE_URL=url)
    said = server.start()
    assert said["database"].startswith("postgresql+psycopg2://prov@/test_")
    with server.client() as client:
        client.record(run_document(7))
    assert not (server.state_dir / "postgresql").exists()
    assert server.end()[0] == 0
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM prov.document")
        assert cursor.fetchone() == (1,)
    connection.close()


# --- killed


def test_nothing_recorded_is_lost_when_the_server_is_killed(make_server):
    server = make_server()
    server.start()
    recorded = record_until_it_breaks(server, lambda: server.process.kill())
    server.process.communicate()
    server.process = None
    assert is_serving(server)  # PostgreSQL lives on; the next server takes it over
    pid = postmaster_pid(server)
    server.start()
    assert postmaster_pid(server) == pid
    with server.client() as client:
        for number in recorded:
            assert client.record(run_document(number))["outcome"] == "unchanged"
    assert server.end()[0] == 0
    assert not is_serving(server)


def test_a_killed_servers_database_can_be_stopped(make_server):
    server = make_server()
    server.start()
    server.process.kill()
    server.process.communicate()
    server.process = None
    done = server.command("stop")
    assert (done.returncode, is_serving(server)) == (0, False)
    assert "had been killed" in done.stderr


def test_a_killed_postgresql_is_started_again_and_nothing_is_lost(server):
    def kill():
        os.kill(postmaster_pid(server), signal.SIGKILL)

    recorded = record_until_it_breaks(server, kill)
    failures = {"database_unavailable"}
    deadline = time.monotonic() + 60
    with server.client(retries=0) as client:
        while time.monotonic() < deadline:
            try:
                client.health()
                break
            except UnavailableError as error:
                failures.add(error.code)
                time.sleep(0.1)
        assert failures == {"database_unavailable"}
        for number in recorded:
            assert client.record(run_document(number))["outcome"] == "unchanged"
        assert client.record(run_document(10**6))["outcome"] == "recorded"
    code, log = server.end()
    assert code == 0
    assert "is gone: starting it" in log


def record_until_it_breaks(server, break_it):
    """Record documents one after the other; break something meanwhile; return the acknowledged."""
    recorded = []
    breaker = threading.Timer(0.3, break_it)
    with server.client(retries=0) as client:
        for number in range(1, 100_000):
            try:
                client.record(run_document(number))
            except UnavailableError:
                break
            recorded.append(number)
            if number == 20:
                breaker.start()
    breaker.join()
    return recorded


# --- moved


def test_a_record_moves_from_one_embedded_server_to_another(make_server, tmp_path):
    """And who kept a later checkpoint is told that the dump is an older one."""
    old, new = make_server(), make_server()
    old.start()
    with old.client() as client:
        for number in range(1, 6):
            client.record(run_document(number), name=f"run{number}.json")
        client.log_checkpoint()  # all are in the log
        token = client.create_token("nightly", "reader")["token"]
    file = tmp_path / "record.dump"
    done = old.command("dump", file)  # while the server runs
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = new.command("restore", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"documents": 5}
    assert not is_serving(new)
    assert content(old) == content(new)
    with old.client() as client:
        client.record(run_document(6))
    kept = tmp_path / "kept"
    assert verify(old, kept) == (0, [])
    before = kept.read_text()
    shutil.copy(old.state_dir / "log.key", new.state_dir)
    new.start()
    assert verify(new, tmp_path / "none") == (0, [])  # nobody could tell without the checkpoint
    code, ((kind, what, message),) = verify(new, kept)
    assert (code, kind) == (5, "log")
    assert what.endswith(" since 6 documents")
    assert message.startswith("it has 5 now: the last were taken out, or an old dump restored")
    with new.client() as client:
        for number in range(1, 6):
            assert client.record(run_document(number))["outcome"] == "unchanged"
        assert client.record(run_document(6))["outcome"] == "recorded"
    code, ((_, _, message),) = verify(new, kept)
    assert code == 5
    assert "does not begin with the one that was kept" in message
    assert kept.read_text() == before  # what is wrong is not kept
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as nightly:
        url = json.loads((new.state_dir / "server.json").read_text())["url"]
        assert nightly.get(url + "/v1/info").status_code == 200


def verify(server, kept, *options):
    """Return the exit code of ``prod-verify --all``, and what it finds wrong."""
    arguments = ["--all", "--no-rows", "--json", "--checkpoint", str(kept), *options]
    with server.client() as client:
        environ = {"PROV_SERVER_URL": client.url, "PROV_TOKEN": server.token}
        done = CliRunner().invoke(verify_command, arguments, env=environ)
    wrong = [f for f in json.loads(done.stdout)["findings"] if f["outcome"] != "ok"]
    return done.exit_code, [(f["kind"], f["what"], f["message"]) for f in wrong]


def content(server):
    """Every row of every table of the record, in text."""
    database = embedded.start(server.state_dir / "postgresql")
    with psycopg2.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'prov'"
            " AND table_type = 'BASE TABLE' ORDER BY 1"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM prov."{table}" t ORDER BY 1')
            found[table] = cursor.fetchall()
    connection.close()
    database.stop()
    found.pop("access_token")  # last_used_at differs
    assert len(found["document"]) == 5
    assert len(found["migration"]) >= 2
    return found


def test_a_record_moves_to_a_server_by_url(make_server, postgresql, tmp_path):
    old = make_server()
    old.start()
    with old.client() as client:
        client.record(run_document(1))
    assert old.command("dump", tmp_path / "record.dump").returncode == 0
    connection = psycopg2.connect(postgresql.url)
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE moved")
    connection.close()
    url = postgresql.url.replace("/prov?", "/moved?")
    done = old.command("restore", tmp_path / "record.dump", "--database-url", url)
    assert done.returncode == 0, done.stderr
    assert "restored 1 documents" in done.stderr
    again = old.command("restore", tmp_path / "record.dump", "--database-url", url)
    assert again.returncode == 2
    assert "holds 1 documents already" in again.stderr


def test_what_cannot_be_dumped_or_restored_says_so(server, make_server, tmp_path):
    there = tmp_path / "there.dump"
    there.write_bytes(b"important")
    done = server.command("dump", there)
    assert (done.returncode, there.read_bytes()) == (2, b"important")
    done = server.command("restore", there)
    assert done.returncode == 2
    assert "not written by prod-server dump" in done.stderr
    done = make_server().command("dump", tmp_path / "nothing.dump")
    assert done.returncode == 2
    assert "no embedded database in" in done.stderr
    assert os.listdir(tmp_path) == ["there.dump"]
    cut = tmp_path / "cut.dump"
    server.command("dump", tmp_path / "whole.dump")
    cut.write_bytes((tmp_path / "whole.dump").read_bytes()[:20_000])
    other = make_server()
    done = other.command("restore", cut)
    assert done.returncode == 1
    assert "pg_restore failed" in done.stderr
    assert other.command("restore", tmp_path / "whole.dump").returncode == 0


def test_dump_writes_to_standard_output(server):
    done = subprocess.run(
        [sys.executable, "-m", "client_scripts.server", "dump", "-"],
        env=server.env, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.startswith(b"PGDMP")


# --- tokens, TLS


def test_tokens_on_the_command_line(server, tmp_path):
    def token(*arguments):
        return server.command(*arguments, program=[sys.executable, "-m", "client_scripts.token"])

    made = token("create", "nightly", "--role", "recorder", "--expires", "12h", "--job", "4711")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("prov_")
    assert len(made.stdout.split()) == 1
    listed = json.loads(token("list", "--json").stdout)
    item = next(item for item in listed if item["name"] == "nightly")
    assert (item["role"], item["job"]) == ("recorder", "4711")
    assert "nightly" in token("list").stdout
    assert token("revoke", "nightly").returncode == 0
    assert "nightly" not in token("list").stdout
    assert "nightly" in token("list", "--all").stdout
    assert token("revoke", "nightly").returncode == 3
    file = tmp_path / "ci.token"
    made = token("create", "ci", "--to", file)
    assert (made.returncode, made.stdout) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = token("list", "--token-file", file)
    assert refused.returncode == 4
    assert "needs the role admin" in refused.stderr
    wrong = token("create", "x", "--expires", "soon")
    assert wrong.returncode == 2
    assert "expected 90s, 30m, 12h, 7d or 4w" in wrong.stderr
    gone = token("list", "--server", "http://127.0.0.1:9")
    assert gone.returncode == 75
    assert "start one with prod-server" in gone.stderr
    assert gone.stderr.startswith("prod-token: error: the provenance server http://127.0.0.1:9")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_it_serves_https_with_certificate_files(make_server, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = make_server(PROV_TLS_CERT=str(certificate), PROV_TLS_KEY=str(key))
    said = server.start()
    assert said["url"].startswith("https://")
    with server.client(retries=0) as client, pytest.raises(UnavailableError, match="certificate"):
        client.health()
    server.environ["SSL_CERT_FILE"] = str(certificate)
    assert server.command("status").returncode == 0
    del server.environ["SSL_CERT_FILE"]
    assert server.end()[0] == 0
    broken = make_server(PROV_TLS_CERT=str(key), PROV_TLS_KEY=str(certificate))
    done = broken.command("start", "--port=0")
    assert done.returncode == 2
    assert "cannot be used together" in done.stderr


def test_the_operators_token_is_not_sent_to_another_server(server):
    """A server on another port of this machine may be another user's."""
    token = [sys.executable, "-m", "client_scripts.token"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = []

        def listen():
            connection, _ = listener.accept()
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.command("list", "--server", url, program=token)
        thread.join(timeout=120)
    assert heard[0].startswith(b"GET /v1/tokens")
    assert b"authorization" not in heard[0].lower()


def test_a_request_in_progress_is_finished_before_the_end(server):
    answers = []

    def upload():
        def slowly():
            document = run_document(99)
            yield document[:10]
            time.sleep(1.0)
            yield document[10:]

        url = json.loads((server.state_dir / "server.json").read_text())["url"]
        headers = {"Authorization": f"Bearer {server.token}"}
        answers.append(httpx.post(url + "/v1/documents", content=slowly(), headers=headers))

    thread = threading.Thread(target=upload)
    thread.start()
    time.sleep(0.5)
    assert server.end()[0] == 0
    thread.join(timeout=120)
    assert answers[0].status_code == 201


def test_a_wrong_token_is_told_where_it_came_from(server):
    with server.client() as client:
        assert client.info()["version"]
    server.environ["PROV_TOKEN"] = "prov_" + "x" * 43
    done = server.command("list", program=[sys.executable, "-m", "client_scripts.token"])
    assert done.returncode == AuthenticationError.exit_code == 4
    assert "PROV_TOKEN" in done.stderr
