"""Documents that wait on disk for a server that is away.

A document is one file of the folder, named ``<time>-<random>~<quoted name>``; it appears there
whole or not at all, and leaves when the server has recorded it. What the server refuses moves to
``refused/`` with the error beside it.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    DocumentError,
    JSONDict,
    UnavailableError,
    UsageError,
    from_wire,
)

from .bodies import Source
from .wire import BulkResult

_LONGEST_NAME_BYTES = 160
_BATCH_DOCUMENTS = 200
_BATCH_BYTES = 16 * 2**20
_ABANDONED_S = 86_400


class Sender(Protocol):
    """What delivers documents: a `ProvClient`."""

    def record_batch(self, documents: Sequence[tuple[str, Source]]) -> BulkResult:
        """Deliver documents in one request."""
        ...


@dataclass(slots=True)
class DrainResult:
    """What came of draining a spool."""

    recorded: int = 0
    refused: list[Path] = field(default_factory=list)
    """Where the refused documents are now."""
    left: int = 0
    """How many still wait: the server went away again, or failed on them."""
    is_busy: bool = False
    """Another process is draining; nothing was done here."""
    error: UnavailableError | None = None
    """Why the draining stopped early."""


class Spool:
    """A folder of documents that wait; several processes may use it at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, data: bytes, name: str = "") -> Path:
        """Keep `data` until it can be delivered; on return it is on disk.

        Raises
        ------
        UsageError
            The folder cannot be written to.
        """
        final = self.directory / f"{time.time_ns():020d}-{secrets.token_hex(4)}~{_quoted(name)}"
        partial = self.directory / f".partial-{secrets.token_hex(8)}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(final)
            _sync(self.directory)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise UsageError(
                f"the document cannot be kept in {self.directory}: {error.strerror}: set "
                "PROV_SPOOL_DIR to a folder with room"
            ) from error
        return final

    def waiting(self) -> list[Path]:
        """Return the waiting documents, the oldest first."""
        try:
            return sorted(p for p in self.directory.iterdir() if "~" in p.name and p.name[0] != ".")
        except FileNotFoundError:
            return []

    def drain(self, sender: Sender) -> DrainResult:
        """Deliver what waits, the oldest first.

        Stops where the server is away; what it refuses is put aside; what it fails on stays.

        Raises
        ------
        AuthenticationError, AuthorisationError
            The token is not taken; everything stays.
        """
        result = DrainResult()
        if not self.directory.is_dir():
            return result
        with self._lock() as is_ours:
            if not is_ours:
                return DrainResult(left=len(self.waiting()), is_busy=True)
            self._tidy()
            for batch in self._batches():
                try:
                    self._deliver(sender, batch, result)
                except UnavailableError as error:
                    result.error = error
                    break
            result.left = len(self.waiting())
        return result

    def _deliver(self, sender: Sender, batch: Sequence[Path], result: DrainResult) -> None:
        documents = [(name_of(path), path.read_bytes()) for path in batch]
        answer = sender.record_batch(documents)
        for path, item in zip(batch, answer["items"], strict=True):
            if item["error"] is None:
                path.unlink()
                result.recorded += 1
                continue
            error = from_wire(dict(item["error"]))
            if isinstance(error, AuthenticationError | AuthorisationError):
                raise error
            if isinstance(error, DocumentError | UsageError):
                result.refused.append(self._put_aside(path, error.to_wire()))

    def _put_aside(self, path: Path, error: JSONDict) -> Path:
        folder = self.directory / "refused"
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / f"{path.name}.error.json").write_text(json.dumps(error, indent=2) + "\n")
        return path.rename(folder / path.name)

    def _batches(self) -> Iterator[list[Path]]:
        batch: list[Path] = []
        n_bytes = 0
        for path in self.waiting():
            size = path.stat().st_size
            if batch and (len(batch) >= _BATCH_DOCUMENTS or n_bytes + size > _BATCH_BYTES):
                yield batch
                batch, n_bytes = [], 0
            batch.append(path)
            n_bytes += size
        if batch:
            yield batch

    @contextlib.contextmanager
    def _lock(self) -> Iterator[bool]:
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)

    def _tidy(self) -> None:
        """Remove what killed processes began to write."""
        for path in self.directory.glob(".partial-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def name_of(path: Path) -> str:
    """Return the name under which a waiting document was put there."""
    return unquote(path.name.partition("~")[2], errors="surrogateescape")


def _quoted(name: str) -> str:
    """Return `name` as part of a file name; of a long one the end."""
    kept = name[-_LONGEST_NAME_BYTES:]
    while len(quoted := quote(kept, safe="", errors="surrogateescape")) > _LONGEST_NAME_BYTES:
        kept = kept[1:]
    return quoted


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
