"""Patience with a server that is away, and its errors as their classes."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from provmanager.client.transport import Transport
from provmanager.errors import (
    AmbiguousError,
    AuthenticationError,
    ProvError,
    ServerUnavailableError,
    UnavailableError,
    UsageError,
    all_errors,
)


class Scripted(ThreadingHTTPServer):
    """A server that answers what it is told to, one answer after the other."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        status, headers, content = self.server.answers.pop(0)
        if status is None:  # break the connection off
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def transport(server, waits):
    made = Transport(server.url + "/", "prov_x", timeout_s=5, retries=3, sleep=waits.append)
    yield made
    made.close()


AWAY = (503, {"Retry-After": "1"}, {"code": "database_unavailable", "message": "m", "details": {}})
FINE = (200, {}, {"a": 1})


def test_the_token_and_the_query_are_sent(server, transport):
    server.answers = [FINE]
    query = {"ref": "a b&c", "limit": None, "levels": True, "parameter": ["x=1", "y=é"], "n": 3}
    assert transport.json("GET", "/v1/x", query=query) == {"a": 1}
    ((_, path, headers, _),) = server.requests
    assert path == "/v1/x?ref=a+b%26c&levels=true&parameter=x%3D1&parameter=y%3D%C3%A9&n=3"
    assert headers["Authorization"] == "Bearer prov_x"


def test_it_waits_longer_each_time_and_then_succeeds(server, transport, waits):
    server.answers = [AWAY, AWAY, (502, {}, b"<html>"), FINE]
    assert transport.json("GET", "/v1/x") == {"a": 1}
    assert len(server.requests) == 4
    for n, wait in enumerate(waits):
        assert 0.1 * 2**n <= wait <= 0.2 * 2**n


def test_it_waits_as_long_as_the_server_asks(server, transport, waits):
    server.answers = [(503, {"Retry-After": "7"}, b""), FINE]
    transport.json("GET", "/v1/x")
    assert waits == [7.0]


def test_it_gives_up_with_what_the_server_said(server, transport):
    server.answers = [AWAY] * 4
    with pytest.raises(UnavailableError) as caught:
        transport.json("GET", "/v1/x")
    assert caught.value.code == "database_unavailable"
    assert server.answers == []


def test_a_body_is_made_anew_for_each_attempt(server, transport):
    server.answers = [AWAY, (None, {}, b""), FINE]
    transport.json("POST", "/v1/x", body=lambda: iter([b"ab", b"cd"]),
                   headers={"Content-Length": "4"})  # fmt: skip
    assert [body for *_, body in server.requests] == [b"abcd"] * 3


def test_what_the_server_may_have_done_is_only_repeated_if_that_is_harmless(server, transport):
    server.answers = [(None, {}, b""), FINE]
    with pytest.raises(ServerUnavailableError, match="broke the connection off"):
        transport.json("POST", "/v1/tokens", body=lambda: b"{}", is_idempotent=False)
    assert len(server.requests) == 1
    server.answers = [AWAY, FINE]  # it says that it did nothing
    assert transport.json("POST", "/v1/tokens", body=lambda: b"{}", is_idempotent=False)


@pytest.mark.parametrize("code", sorted(c for c, e in all_errors().items() if e.http_status >= 400))
def test_every_error_of_the_server_is_raised_as_its_class(server, transport, code):
    cls = all_errors()[code]
    server.answers = [(cls.http_status, {}, cls("what", pointer="/a").to_wire())] * 4
    with pytest.raises(ProvError) as caught:
        transport.json("GET", "/v1/x")
    assert type(caught.value) is cls
    assert (caught.value.message, caught.value.details) == ("what", {"pointer": "/a"})
    assert len(server.requests) == (4 if issubclass(cls, UnavailableError) else 1)


def test_refusals_are_not_repeated(server, transport, waits):
    error = AuthenticationError("no").to_wire()
    server.answers = [(401, {}, error), (409, {}, AmbiguousError("two").to_wire())]
    with pytest.raises(AuthenticationError):
        transport.json("GET", "/v1/x")
    with pytest.raises(AmbiguousError):
        transport.json("GET", "/v1/x")
    assert waits == []


def test_another_kind_of_server_is_recognised(server, transport):
    server.answers = [(200, {}, b"<html>Welcome</html>"), (404, {}, b"<html>Not here</html>")]
    with pytest.raises(ProvError, match="not JSON: is PROV_SERVER_URL"):
        transport.json("GET", "/v1/x")
    with pytest.raises(ProvError, match="answered 404: <html>Not here"):
        transport.json("GET", "/v1/x")


def test_nobody_there_names_the_next_step(waits):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    transport = Transport(url, None, timeout_s=5, retries=2, sleep=waits.append)
    with pytest.raises(ServerUnavailableError, match="start one with prod-server") as caught:
        transport.json("GET", "/v1/x")
    assert url in caught.value.message
    assert caught.value.exit_code == 75
    assert len(waits) == 2


def test_a_server_that_does_not_answer_is_given_up(waits):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        transport = Transport(url, None, timeout_s=0.2, retries=1, sleep=waits.append)
        with pytest.raises(ServerUnavailableError, match=r"did not answer within 0\.2 s"):
            transport.json("GET", "/v1/x")
        transport.close()
    assert len(waits) == 1


def test_no_proxy_stands_between_us_and_this_machine(server, transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.answers = [FINE]
    assert transport.json("GET", "/v1/x") == {"a": 1}


def test_a_url_that_is_none_is_a_usage_error():
    with pytest.raises(UsageError, match="not the URL of a server"):
        Transport("http://host:port", None, timeout_s=1, retries=0).json("GET", "/")
