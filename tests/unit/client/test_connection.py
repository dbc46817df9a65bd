"""Which server a command talks to, and with which token."""

import json
import os
import socket
import subprocess

import platformdirs
import pytest

from provmanager.config import find_connection, spool_dir, state_dir
from provmanager.errors import UsageError


@pytest.fixture
def state(tmp_path):
    """A state directory with an operator's token, and no server."""
    (tmp_path / "admin.token").write_text("prov_own\n")
    return tmp_path


def announce(state, url, **said):
    about = {"url": url, "pid": os.getpid(), "host": socket.gethostname()} | said
    (state / "server.json").write_text(json.dumps(about))


def find(state, *, url=None, token_file=None, **environ):
    environ = {"PROV_STATE_DIR": str(state)} | environ
    return find_connection(url=url, token_file=token_file, environ=environ)


def test_by_default_it_is_this_machines_default_port_without_a_token(state):
    found = find(state)
    assert found.url == "http://127.0.0.1:7768"
    assert found.token is None
    assert "neither PROV_TOKEN nor PROV_TOKEN_FILE" in found.token_source


def test_the_server_of_the_state_directory_is_found_with_its_token(state):
    announce(state, "http://127.0.0.1:4711")
    found = find(state)
    assert (found.url, found.token) == ("http://127.0.0.1:4711", "prov_own")
    assert found.token_source == str(state / "admin.token")
    assert "prov_own" not in repr(found)


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("http://localhost:4711", True),
        ("http://127.0.0.1:4711/", True),
        ("http://127.0.0.1:4712", False),
        ("https://127.0.0.1:4711", False),
        ("http://prov.example.org:4711", False),
    ],
)
def test_the_operators_token_goes_to_that_server_only(state, url, is_sent):
    announce(state, "http://127.0.0.1:4711")
    found = find(state, PROV_SERVER_URL=url)
    assert found.url == url.rstrip("/")
    assert found.token == ("prov_own" if is_sent else None)


def test_a_server_that_is_gone_is_not_found(state):
    with subprocess.Popen(["true"]) as process:
        process.wait()
    announce(state, "http://127.0.0.1:4711", pid=process.pid)
    assert find(state).url == "http://127.0.0.1:7768"
    assert find(state, PROV_SERVER_URL="http://127.0.0.1:4711").token is None


def test_on_another_host_of_a_shared_home_only_a_real_address_counts(state):
    announce(state, "http://127.0.0.1:4711", host="elsewhere")
    assert find(state).url == "http://127.0.0.1:7768"
    announce(state, "https://prov.example.org", host="elsewhere", pid=1)
    assert find(state).url == "https://prov.example.org"
    assert find(state).token == "prov_own"


@pytest.mark.parametrize("said", ["", "{", "[]", '{"url": 1}', '{"url": "http://x", "pid": "y"}'])
def test_a_half_written_announcement_is_no_server(state, said):
    (state / "server.json").write_text(said)
    assert find(state).url == "http://127.0.0.1:7768"


def test_the_command_line_wins_over_the_environment(state, tmp_path):
    file = tmp_path / "other.token"
    file.write_text("prov_file\n")
    environ = {
        "PROV_SERVER_URL": "http://env:1",
        "PROV_TOKEN": " prov_env ",
        "PROV_TOKEN_FILE": "/x",
    }
    found = find(state, url="http://line:2", token_file=file, **environ)
    assert (found.url, found.token) == ("http://line:2", "prov_file")
    found = find(state, **environ)
    assert (found.url, found.token) == ("http://env:1", "prov_env")
    found = find(state, PROV_TOKEN_FILE=str(file))
    assert (found.token, found.token_source) == ("prov_file", f"PROV_TOKEN_FILE ({file})")


@pytest.mark.parametrize("url", ["prov.example.org", "ftp://x", "http://", "http:///x", ""])
def test_a_url_that_is_none_is_refused(state, url):
    if url == "":
        assert find(state, PROV_SERVER_URL=url).url_source == "the default"
        return
    with pytest.raises(UsageError, match=r"PROV_SERVER_URL is .*expected http://host:port"):
        find(state, PROV_SERVER_URL=url)


def test_the_credentials_that_dirac_login_writes_are_taken(state, tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text('{"access_token": "a.b.c", "expires_on": 1, "refresh_token": "d"}')
    assert find(state, PROV_TOKEN_FILE=str(file)).token == "a.b.c"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no token"),
        (b"{", "holds no token"),
        (b'{"refresh_token": "x"}', "what dirac login writes"),
        (b"a b\n", "holds no token"),
        (b"\xff\xfe", "is not text"),
        (None, "No such file"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_named(state, tmp_path, content, why):
    file = tmp_path / "x.token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=f"x.token.*{why}"):
        find(state, PROV_TOKEN_FILE=str(file))


def test_state_directory_is_the_users(monkeypatch, tmp_path):
    for name in ("PROV_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    same = platformdirs.user_state_path("provmanager", appauthor=False, use_site_for_root=True)
    assert state_dir() == same
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_dir() == tmp_path / "provmanager"
    monkeypatch.setenv("PROV_STATE_DIR", "~/here")
    monkeypatch.setenv("HOME", "/home/alice")
    assert str(state_dir()) == "/home/alice/here"
    assert str(spool_dir()) == "/home/alice/here/spool"
    monkeypatch.setenv("PROV_SPOOL_DIR", "/scratch/spool")
    assert str(spool_dir()) == "/scratch/spool"
