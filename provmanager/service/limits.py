"""What a request may bring: documents, taken apart as they arrive, within the operator's limits.

One document is the whole body. Several come as NDJSON (one a line) or as multipart/form-data (one
a part); of those, only the one that is arriving is held in memory.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provmanager.config.settings import Settings
from provmanager.errors import DocumentTooLargeError, UsageError

NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data"

_DRAIN_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ReceivedDocument:
    """One document of several, as it came."""

    name: str
    """File name of its part, or ``line N``."""
    data: bytes
    error: DocumentTooLargeError | None = None
    """Why `data` is empty, where the document is larger than the server takes."""


def brings_many(request: Request) -> bool:
    """Whether the body holds several documents."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in (NDJSON, MULTIPART)


async def read_document(
    request: Request, settings: Settings, *, may_be_gzip: bool = False
) -> bytes:
    """Return the body, which is one document.

    Raises
    ------
    DocumentTooLargeError
        It is larger than the server takes; if it is compressed, unpacked.
    UsageError
        It broke off, or is encoded otherwise.
    """
    limit = settings.max_document_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(int(declared), limit)
    body = bytearray()
    is_gzip = may_be_gzip and request.headers.get("content-encoding") == "gzip"
    async for chunk in _chunks(request, "gzip" if is_gzip else "identity"):
        body += chunk
        if len(body) > limit:
            raise too_large(len(body), limit)
    return _unpacked(body, limit) if is_gzip else bytes(body)


def _unpacked(body: bytes | bytearray, limit: int) -> bytes:
    """Return what a gzip-compressed body holds; no more than `limit` is unpacked of it."""
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        data = unpacking.decompress(bytes(body), limit + 1)
    except zlib.error as error:
        raise UsageError(
            f"the body is said to be gzip, and is not: {error}",
            pointer="/header/content-encoding",
        ) from error
    if len(data) > limit:
        raise too_large(len(data), limit)
    if not unpacking.eof:
        raise UsageError(f"the gzip-compressed body broke off after {len(body)} bytes")
    return data


async def read_documents(request: Request, settings: Settings) -> AsyncIterator[ReceivedDocument]:
    """Yield the documents of an NDJSON or multipart body as they arrive.

    Raises
    ------
    DocumentTooLargeError
        The request is larger than the server takes as a whole, or brings too many.
    UsageError
        It cannot be taken apart, or broke off.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    limit = settings.max_document_bytes
    splitter: _Splitter = _Lines(limit)
    if kind.decode("latin-1").lower() == MULTIPART:
        splitter = _Multipart(limit, options.get(b"boundary", b""))
    n_bytes = n_documents = 0
    async for chunk in _chunks(request):
        n_bytes += len(chunk)
        if n_bytes > settings.max_request_bytes:
            raise DocumentTooLargeError(
                f"the request has more than {settings.max_request_bytes} bytes: send the documents "
                "in several, or raise PROV_MAX_REQUEST_BYTES on the server",
                limit=settings.max_request_bytes,
            )
        for document in splitter.feed(chunk):
            n_documents += 1
            if n_documents > settings.max_documents_per_request:
                raise _too_many(settings)
            yield document
    for document in splitter.finish():
        if n_documents >= settings.max_documents_per_request:
            raise _too_many(settings)
        yield document


def too_large(found: int, limit: int) -> DocumentTooLargeError:
    """Return the error that tells of a document of `found` bytes."""
    return DocumentTooLargeError(
        f"the document has {found} bytes or more, the limit is {limit}: send the provenance only, "
        "not the product; or raise PROV_MAX_DOCUMENT_BYTES on the server",
        expected=limit,
        found=found,
    )


def _too_many(settings: Settings) -> DocumentTooLargeError:
    return DocumentTooLargeError(
        f"more than {settings.max_documents_per_request} documents in one request; send them in "
        "several, or raise PROV_MAX_DOCUMENTS_PER_REQUEST on the server",
        limit=settings.max_documents_per_request,
    )


async def _chunks(request: Request, expected: str = "identity") -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != expected:
        raise UsageError(
            f"the body is encoded as {encoding!r}; send it as it is",
            pointer="/header/content-encoding",
        )
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            yield chunk
    except ClientDisconnect as error:
        raise UsageError(f"the body broke off after {n_bytes} bytes", offset=n_bytes) from error


class _Splitter(Protocol):
    def feed(self, chunk: bytes) -> Iterator[ReceivedDocument]: ...

    def finish(self) -> Iterator[ReceivedDocument]: ...


class _Arriving:
    """The document that is arriving; beyond the limit only its size is kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self._limit:
            self._data += piece
        else:
            self._data.clear()

    def end(self, name: str) -> ReceivedDocument:
        error = too_large(self.size, self._limit) if self.size > self._limit else None
        document = ReceivedDocument(name, bytes(self._data), error)
        self._data.clear()
        self.size = 0
        return document


class _Lines:
    """NDJSON; a document's name is ``line N``. Blank lines are passed over."""

    def __init__(self, limit: int) -> None:
        self._arriving = _Arriving(limit)
        self._n_lines = 0

    def feed(self, chunk: bytes) -> Iterator[ReceivedDocument]:
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._arriving.add(piece)
            yield from self.finish()
        self._arriving.add(rest)

    def finish(self) -> Iterator[ReceivedDocument]:
        self._n_lines += 1
        document = self._arriving.end(f"line {self._n_lines}")
        if document.error is not None or document.data.strip():
            yield document


class _Multipart:
    """multipart/form-data (RFC 7578); a document's name is its part's file name."""

    def __init__(self, limit: int, boundary: bytes) -> None:
        if not boundary:
            raise UsageError("multipart without a boundary", pointer="/header/content-type")
        self._arriving = _Arriving(limit)
        self._ready: list[ReceivedDocument] = []
        self._field = b""
        self._value = b""
        self._name = ""
        self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> Iterator[ReceivedDocument]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UsageError(f"the multipart body cannot be taken apart: {error}") from error
        ready, self._ready = self._ready, []
        yield from ready

    def finish(self) -> Iterator[ReceivedDocument]:
        if not self._is_whole:
            raise UsageError("the multipart body broke off before its last boundary")
        yield from ()

    def _begin_part(self) -> None:
        self._name = ""

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            name = options.get(b"filename") or options.get(b"name") or b""
            self._name = name.decode("utf-8", "replace")
        self._field = self._value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._arriving.add(data[start:end])

    def _end_part(self) -> None:
        self._ready.append(self._arriving.end(self._name))

    def _end(self) -> None:
        self._is_whole = True


class DrainMiddleware:
    """Takes in what is left of a body before an early answer is sent.

    A connection that is closed with bytes unread is reset, and the answer ("too large", "no
    token") may be lost with it: the sender would see a broken connection and try again.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Who asks for leave first (Expect: 100-continue) and was not given it sends no body.
        is_sent = Headers(scope=scope).get("expect", "").lower() != "100-continue"
        is_open = True

        async def watched_receive() -> Message:
            nonlocal is_open, is_sent
            is_sent = True
            message = await receive()
            is_open = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def drained_send(message: Message) -> None:
            if message["type"] == "http.response.start" and is_open and is_sent:
                await self._drain(watched_receive)
            await send(message)

        await self._app(scope, watched_receive, drained_send)

    async def _drain(self, receive: Receive) -> None:
        n_bytes = 0
        try:
            async with asyncio.timeout(_DRAIN_LIMIT_S):
                while n_bytes <= self._limit_bytes:
                    message = await receive()
                    n_bytes += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            return  # too slow to wait for
