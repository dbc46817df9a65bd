"""What a person types for a product, as references that the server can look up."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from provmanager.ids import file_sha256

MAX_DIGEST_BYTES = 4_000_000_000
"""Larger files are looked up by location only, unless asked otherwise."""

_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Reference:
    """One way to name a product.

    Attributes
    ----------
    ref : str
        What the server is asked for.
    how : str
        In words, for the person.
    digest : str or None
        Content digest of the local file, where it was computed.
    """

    ref: str
    how: str
    digest: str | None = None


def references(
    typed: str, *, host: str | None = None, most_bytes: int = MAX_DIGEST_BYTES
) -> Iterator[Reference]:
    """Yield the references to try in turn: the strongest that a local file allows comes first.

    A file that lies here is sought by its content, wherever it was when it was recorded, then by
    its place on this machine (by both paths where a symbolic link leads to it); all else is left
    to the server as it was typed.
    """
    here = (host or os.uname().nodename).lower()
    path = _local_path(typed, here)
    if path is not None:
        yield from _local(path, here, most_bytes)
    yield Reference(typed, "as it was typed")


def _local(path: Path, host: str, most_bytes: int) -> Iterator[Reference]:
    from provmanager.formats import absolute_uri

    digest = None
    try:
        if path.is_file() and path.stat().st_size <= most_bytes:
            digest = f"sha256:{file_sha256(path)}"
            yield Reference(digest, "by its content", digest)
    except OSError:
        digest = None  # not ours to read: it can still be found by its place
    if not os.path.exists(path) and path.parent == Path():
        return  # a bare name that is no file here
    absolute = os.path.abspath(path)
    for place in dict.fromkeys((absolute, os.path.realpath(path))):
        yield Reference(absolute_uri(place, host=host), f"by its place on {host}", digest)


def _local_path(typed: str, host: str) -> Path | None:
    """Return the path that `typed` may be on this machine."""
    if typed.startswith("file:"):
        parts = urlsplit(typed)
        return Path(unquote(parts.path)) if parts.netloc in ("", "localhost", host) else None
    if _URI.match(typed) and not os.path.exists(typed):
        return None
    return Path(typed)
