"""Bodies of requests, made a piece at a time: a file, or many documents as multipart/form-data."""

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from provmanager.errors import UsageError

Source = bytes | Path
"""A document: its bytes, or the file that holds them."""

_CHUNK_BYTES = 2**18


def size_bytes(source: Source) -> int:
    """Return the size of a document.

    Raises
    ------
    UsageError
        It is a file that cannot be read.
    """
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError as error:
        raise _unreadable(source, error) from error


def pieces(source: Source) -> Iterator[bytes]:
    """Read a document a piece at a time."""
    if isinstance(source, bytes):
        for start in range(0, len(source), _CHUNK_BYTES):
            yield source[start : start + _CHUNK_BYTES]
        return
    try:
        with source.open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{os.fspath(path)} cannot be read: {error.strerror}", path=str(path))


class Multipart:
    """Many named documents as multipart/form-data (RFC 7578); can be sent more than once."""

    def __init__(self, documents: Sequence[tuple[str, Source]]) -> None:
        self._documents = documents
        self._boundary = f"prov-{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={self._boundary}"

    def __call__(self) -> Iterator[bytes]:
        """Make the body."""
        held = b""  # many small documents go out in few pieces
        for name, source in self._documents:
            held += self._head(name)
            for piece in pieces(source):
                held += piece
                if len(held) >= _CHUNK_BYTES:
                    yield held
                    held = b""
            held += b"\r\n"
        yield held + f"--{self._boundary}--\r\n".encode()

    def _head(self, name: str) -> bytes:
        # As browsers do (WHATWG): a quote or a line break would end the name early.
        safe = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="document"; filename="{safe}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode("utf-8", "surrogateescape")
