"""Digests of many files at once: in threads, in their order, and stopped within a block."""

import gzip
import hashlib
import threading
import zlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .findings import Progress

_BLOCK = 2**20


def digests_of(
    paths: Sequence[Path | None], *, n_threads: int, progress: Progress | None = None
) -> Generator[str | OSError | None, None, None]:
    """Yield the SHA-256 of each file, or why it cannot be read; None where there is no path.

    To be closed where it is not read to its end: what is not hashed yet is left, then.

    Parameters
    ----------
    progress : callable, optional
        Told how many bytes of how many were read, from the threads that read them.
    """
    count = _Count(sum(map(_size, paths)), progress)
    pool = ThreadPoolExecutor(n_threads)
    try:
        yield from pool.map(lambda path: None if path is None else _digest(path, count), paths)
    finally:
        count.is_over.set()
        pool.shutdown(cancel_futures=True)


def digest_inside(path: Path) -> str | None:
    """Return the SHA-256 of what is in a gzip file; None if it is none, or damaged."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as inside:
            while block := inside.read(_BLOCK):
                digest.update(block)
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


class _Count:
    """Bytes that were read, by all threads."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.is_over = threading.Event()
        self._lock = threading.Lock()
        self._total = total
        self._done = 0
        self._progress = progress

    def add(self, n_bytes: int) -> None:
        with self._lock:
            self._done += n_bytes
            if self._progress is not None:
                self._progress(self._done, max(self._total, self._done))


def _digest(path: Path, count: _Count) -> str | OSError:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while not count.is_over.is_set() and (block := file.read(_BLOCK)):
                digest.update(block)
                count.add(len(block))
    except OSError as error:
        return error
    return digest.hexdigest()


def _size(path: Path | None) -> int:
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:
        return 0
