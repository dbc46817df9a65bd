"""What a command line names as documents: files, folders, patterns, standard input."""

import glob
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from provmanager.errors import DocumentTooLargeError, NotFoundError, ProvError, UsageError

from ._containers import documents_in, documents_in_folder
from ._loaded import Loaded, Source

STDIN = "-"

_PRODUCT_STARTS = (b"\x89HDF\r\n\x1a\n", b"SIMPLE  =", b"\x1f\x8b")
_TEXT_START = re.compile(rb"""\{\s*["'}]|\[\s*[{\]]|<\?xml|<prov|document\b|//""")
_TEXT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".provn", ".xml", ".provx", ".prov")
_HEAD_BYTES = 512


def find_sources(arguments: Sequence[str]) -> Iterator[Source | Loaded]:
    """Yield the documents that `arguments` name; a `Loaded` is one that is not there."""
    if arguments.count(STDIN) > 1:
        raise UsageError("standard input (-) can be read only once")
    seen: set[tuple[int, int]] = set()
    for argument in arguments:
        if argument == STDIN:
            yield Source("(standard input)", None)
            continue
        for source in _of_argument(argument):
            if isinstance(source, Source) and source.path and _is_double(source.path, seen):
                continue
            yield source


def load(source: Source, *, limit_bytes: Callable[[], int | None]) -> Loaded:
    """Read a source; of an HDF5 or FITS product only the provenance that it holds.

    Parameters
    ----------
    limit_bytes
        Asked for a large file: more bytes than this are not read at all.
    """
    try:
        return Loaded(source, _bytes_of(source, limit_bytes))
    except ProvError as error:
        return Loaded(source, b"", error)
    except OSError as error:
        words = f"{source.name} cannot be read: {error.strerror or error}"
        return Loaded(source, b"", UsageError(words))


LARGE_BYTES = 8_000_000
"""Files below this are sent without asking what the server takes."""


def _bytes_of(source: Source, limit_bytes: Callable[[], int | None]) -> bytes:
    if source.path is None:
        return sys.stdin.buffer.read()
    with source.path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if not head.startswith(_PRODUCT_STARTS):
            size = os.fstat(stream.fileno()).st_size
            limit = limit_bytes() if size > LARGE_BYTES else None
            if limit is not None and size > limit:
                raise DocumentTooLargeError(
                    f"{source.name} has {size} bytes, and the server takes documents of up to "
                    f"{limit}; is it a provenance record?",
                    found=size,
                    limit=limit,
                )
            return head + stream.read()
    from provmanager.formats import extract  # only for products: it costs start-up time

    held = extract(source.path)
    return source.path.read_bytes() if held is None else held


def _of_argument(argument: str) -> Iterator[Source | Loaded]:
    path = Path(argument)
    if path.is_dir():
        yield from _of_folder(path)
    elif path.exists():
        yield from documents_in(path) or (Source(argument, path),)
    elif glob.has_magic(argument):
        found = [Path(name) for name in sorted(glob.glob(argument, recursive=True))]
        found = [name for name in found if name.is_file()]
        if not found:
            yield _absent(argument, "no file matches it")
        for name in found:
            yield Source(str(name), name)
    else:
        yield _absent(argument, "there is no such file or folder")


def _absent(argument: str, why: str) -> Loaded:
    source = Source(argument, Path(argument))
    return Loaded(source, b"", NotFoundError(f"{argument}: {why}", found=argument))


def _of_folder(folder: Path) -> Iterator[Source | Loaded]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        held = documents_in_folder(Path(parent))
        if held is not None:
            folders.clear()
            yield from held
            continue
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and _may_be_provenance(path):
                yield Source(str(path), path, is_sought=True)


def _may_be_provenance(path: Path) -> bool:
    """Whether a file's name or first bytes say that it may hold provenance; the reader decides."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return path.suffix.lower() in _TEXT_SUFFIXES  # reading it again will say why not
    if head.startswith(_PRODUCT_STARTS):
        return not head.startswith(b"\x1f\x8b") or ".fits" in path.name.lower()
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return bool(_TEXT_START.match(start)) or path.suffix.lower() in _TEXT_SUFFIXES


def _is_double(path: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether this very file was named before (a folder and a file in it)."""
    try:
        status = path.stat()
    except OSError:
        return False
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return True
    seen.add(key)
    return False
