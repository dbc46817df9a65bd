"""What a request may bring: documents, streamed to disk, within the limits of the settings.

One document is the whole body. Several come as NDJSON (one a line) or as multipart/form-data (one
a part); they are kept in one temporary file and handed on one at a time.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import IO, Annotated

from fastapi import Depends, Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from provmanager.errors import DocumentTooLargeError, UsageError

from .deps import SettingsDep

_IN_MEMORY_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class ReceivedDocument:
    """One document as it came."""

    name: str
    """Its file name; "" where none was given."""
    data: bytes
    error: DocumentTooLargeError | None = None
    """Why `data` is empty, where the document is larger than the server takes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The documents of a request; iterate over it once, outside the event loop."""

    is_bulk: bool
    """Whether the answer is a list of results: the body was NDJSON or multipart."""
    n_documents: int
    _documents: Callable[[], Iterator[ReceivedDocument]]

    def __iter__(self) -> Iterator[ReceivedDocument]:
        """Read the documents, one at a time."""
        return self._documents()


async def receive_delivery(
    request: Request, settings: SettingsDep, name: str = ""
) -> AsyncIterator[Delivery]:
    """Take the body in, and yield what it holds.

    Raises
    ------
    DocumentTooLargeError
        The one document, or the request as a whole, is larger than the server takes.
    UsageError
        It cannot be taken apart.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UsageError(
            f"the body is encoded as {request.headers['content-encoding']!r}; send it as it is",
            pointer="/header/content-encoding",
        )
    if kind not in (b"application/x-ndjson", b"multipart/form-data"):
        yield await _receive_one(request, settings.max_document_bytes, name)
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        parts = _Parts(
            file=file,
            n_most=settings.max_documents_per_request,
            longest_bytes=settings.max_document_bytes,
        )
        sink: _Lines | _Multipart
        if kind == b"multipart/form-data":
            sink = _Multipart(parts, options.get(b"boundary", b""))
        else:
            sink = _Lines(parts)
        limit = settings.max_request_bytes
        await _stream(request, sink.write, limit, f"one request may bring {limit} bytes")
        sink.finish()
        yield Delivery(True, len(parts.spans), parts.read)


DeliveryDep = Annotated[Delivery, Depends(receive_delivery, scope="function")]
"""The documents of the request. Declare the access rule on the route, so that it comes first."""


async def _receive_one(request: Request, limit: int, name: str) -> Delivery:
    body = bytearray()
    await _stream(request, body.extend, limit, f"one document may have {limit} bytes")
    document = ReceivedDocument(name, bytes(body))
    return Delivery(False, 1, lambda: iter([document]))


async def _stream(
    request: Request, write: Callable[[bytes], object], limit: int, rule: str
) -> None:
    """Pass the body to `write`; whatever fails, take the rest in, so that the answer arrives.

    A connection that is closed with bytes unread is reset, and the answer lost with it. What is
    beyond the limit is counted and dropped, and a sender who goes on for ever is cut off.
    """
    failure: UsageError | DocumentTooLargeError | None = None
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if failure is None and n_bytes > limit:
                declared = request.headers.get("content-length", "")
                found = int(declared) if declared.isdigit() else None
                size = f"{found} bytes" if found else f"more than {limit} bytes"
                failure = DocumentTooLargeError(
                    f"the body has {size}, and {rule} (the operator sets it)",
                    limit=limit,
                    found=found,
                )
            elif failure is None:
                try:
                    write(chunk)
                except (UsageError, DocumentTooLargeError) as error:
                    failure = error
            if n_bytes > 64 * limit:
                break
    except ClientDisconnect as error:
        raise UsageError(f"the body broke off after {n_bytes} bytes", offset=n_bytes) from error
    if failure is not None:
        raise failure


class _Parts:
    """Documents one after the other in a file."""

    def __init__(self, *, file: IO[bytes], n_most: int, longest_bytes: int) -> None:
        self._file = file
        self._n_most = n_most
        self._longest_bytes = longest_bytes
        self._start = 0
        self._size = 0
        self.spans: list[tuple[str, int, int]] = []

    def add(self, data: bytes) -> None:
        """Append to the current document; beyond the limit only its size is kept."""
        self._size += len(data)
        if self._size <= self._longest_bytes:
            self._file.write(data)

    def end(self, name: str) -> None:
        """Close the current document."""
        if len(self.spans) >= self._n_most:
            raise DocumentTooLargeError(
                f"one request may bring {self._n_most} documents (the operator sets it): send "
                "the rest in another",
                limit=self._n_most,
            )
        self.spans.append((name, self._start, self._size))
        self._start, self._size = self._file.tell(), 0

    @property
    def is_between(self) -> bool:
        """Whether nothing of a next document has come."""
        return self._size == 0

    def read(self) -> Iterator[ReceivedDocument]:
        """Read the documents back."""
        for name, start, size in self.spans:
            if size > self._longest_bytes:
                error = DocumentTooLargeError(
                    f"the document has {size} bytes, and one document may have "
                    f"{self._longest_bytes} bytes (the operator sets it)",
                    limit=self._longest_bytes,
                    found=size,
                )
                yield ReceivedDocument(name, b"", error)
            else:
                self._file.seek(start)
                yield ReceivedDocument(name, self._file.read(size))


class _Lines:
    """Splits NDJSON; a document's name is ``line N``. Empty lines are passed over."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._n_lines = 0

    def write(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._parts.add(line.rstrip(b"\r") if self._parts.is_between else line)
            self._end_line()
        self._parts.add(rest)

    def _end_line(self) -> None:
        self._n_lines += 1
        if not self._parts.is_between:
            self._parts.end(f"line {self._n_lines}")

    def finish(self) -> None:
        self._end_line()


class _Multipart:
    """Splits multipart/form-data (RFC 7578); a document's name is its part's file name."""

    def __init__(self, parts: _Parts, boundary: bytes) -> None:
        if not boundary:
            raise UsageError(
                "multipart/form-data without a boundary", pointer="/header/content-type"
            )
        self._parts = parts
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

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UsageError(
                f"the multipart body cannot be taken apart: {error}",
                offset=getattr(error, "offset", None),
            ) from error

    def finish(self) -> None:
        if not self._is_whole:
            raise UsageError("the multipart body broke off before its last boundary")

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
        self._parts.add(data[start:end])

    def _end_part(self) -> None:
        self._parts.end(self._name)

    def _end(self) -> None:
        self._is_whole = True
