"""Bodies are taken apart right, however they are cut, and within the limits."""

import socket
from contextlib import closing
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from provmanager.client.bodies import Multipart
from provmanager.config.settings import load_settings
from provmanager.errors import DocumentTooLargeError, UsageError
from provmanager.service.limits import read_document, read_documents

LIMIT = 100


def request(chunks, content_type, **headers):
    """A request whose body comes in just these pieces."""
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    given_headers = {"content-type": content_type, **headers}
    raw = [(k.encode(), v.encode()) for k, v in given_headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def take(chunks, content_type, **limits):
    """Return (name, data, size of a too large one) of each document."""
    limits = {"max_document_bytes": LIMIT} | limits

    async def collect():
        documents = read_documents(request(chunks, content_type), load_settings(**limits))
        return [(d.name, d.data, d.error and d.error.details["found"]) async for d in documents]

    return run(collect())


def run(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def cut(body, places):
    places = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    return [body[a:b] for a, b in pairwise(places)]


DOCUMENTS = st.lists(st.binary(max_size=40), max_size=8)
PLACES = st.lists(st.integers(0, 2000), max_size=12)


@given(documents=DOCUMENTS, places=PLACES)
@settings(max_examples=200)
def test_multipart_is_taken_apart_however_it_is_cut(documents, places):
    names = [f'run {n} é".json' for n in range(len(documents))]
    body = Multipart(list(zip(names, documents, strict=True)))
    if not documents:
        return
    taken = take(cut(b"".join(body()), places), body.content_type)
    sent = [name.replace('"', "%22") for name in names]  # as browsers do
    assert taken == [(name, data, None) for name, data in zip(sent, documents, strict=True)]


@given(documents=DOCUMENTS, places=PLACES)
@settings(max_examples=200)
def test_ndjson_is_taken_apart_however_it_is_cut(documents, places):
    lines = [data.replace(b"\n", b" ") for data in documents]
    expected = [(f"line {n}", x, None) for n, x in enumerate(lines, 1) if x.strip()]
    for end in (b"", b"\n"):
        body = b"\n".join(lines) + end
        assert take(cut(body, places), "application/x-ndjson; charset=utf-8") == expected


def test_a_document_that_is_too_large_is_refused_by_itself():
    body = b'{"a": 1}\n' + b"x" * 101 + b"\n" + b"y" * 100
    for chunks in ([body], cut(body, range(len(body)))):
        assert take(chunks, "application/x-ndjson") == [
            ("line 1", b'{"a": 1}', None),
            ("line 2", b"", 101),
            ("line 3", b"y" * 100, None),
        ]
    parts = Multipart([("a", b"x" * 101), ("b", b"y")])
    assert take(parts(), parts.content_type) == [("a", b"", 101), ("b", b"y", None)]


def test_too_many_documents_and_too_much_at_once_are_refused():
    with pytest.raises(DocumentTooLargeError, match="more than 2 documents"):
        take([b"1\n2\n3\n"], "application/x-ndjson", max_documents_per_request=2)
    with pytest.raises(DocumentTooLargeError, match="more than 2 documents"):
        take([b"1\n2\n3"], "application/x-ndjson", max_documents_per_request=2)
    assert len(take([b"1\n2\n"], "application/x-ndjson", max_documents_per_request=2)) == 2
    with pytest.raises(DocumentTooLargeError, match="more than 5 bytes"):
        take([b"1\n2\n", b"3\n"], "application/x-ndjson", max_request_bytes=5)


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"--x\r\n", "multipart/form-data", "without a boundary"),
        (b"garbage", "multipart/form-data; boundary=x", "cannot be taken apart"),
        (
            b"--x\r\nA: b\r\n\r\ndata",
            "multipart/form-data; boundary=x",
            "broke off before its last",
        ),
    ],
)
def test_a_body_that_cannot_be_taken_apart_says_so(body, content_type, message):
    with pytest.raises(UsageError, match=message):
        take([body], content_type)


def test_one_document_is_the_whole_body():
    limits = load_settings(max_document_bytes=LIMIT)
    assert run(read_document(request([b"a" * 50, b"b" * 50], ""), limits)) == b"a" * 50 + b"b" * 50
    with pytest.raises(DocumentTooLargeError, match="has 101 bytes or more, the limit is 100"):
        run(read_document(request([b"a" * 50, b"b" * 51], ""), limits))
    with pytest.raises(DocumentTooLargeError):
        run(read_document(request([], "", **{"content-length": "101"}), limits))
    with pytest.raises(UsageError, match="encoded as 'gzip'"):
        run(read_document(request([b"a"], "", **{"content-encoding": "gzip"}), limits))


def test_a_sender_who_goes_away_is_no_document():
    async def receive():
        return {"type": "http.disconnect"}

    broken = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(UsageError, match="broke off after 0 bytes") as caught:
        run(read_document(broken, load_settings()))
    assert isinstance(caught.value.__cause__, ClientDisconnect)


@pytest.mark.parametrize("has_token", [True, False])
def test_an_early_answer_to_a_large_body_arrives(app_url, token, has_token):
    """It would be lost with a connection that is reset because bytes of the body are unread."""
    headers = {"Authorization": f"Bearer {token if has_token else 'prov_x'}"}
    piece = b"x" * 2**18
    for _ in range(3):
        body = (piece for _ in range(4 * 80))  # 80 MiB; 64 are taken
        response = httpx.post(app_url + "/v1/documents", content=body, headers=headers, timeout=60)
        assert response.status_code == (413 if has_token else 401)


def test_who_asks_for_leave_first_is_answered_without_sending_the_body(app_url):
    address = urlsplit(app_url)
    head = (
        "POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    with closing(socket.create_connection((address.hostname, address.port), timeout=120)) as sender:
        sender.sendall(head.encode())
        assert sender.recv(65536).startswith(b"HTTP/1.1 401 ")
