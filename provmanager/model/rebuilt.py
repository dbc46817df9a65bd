"""What a record that was made anew from its documents is compared by."""

from typing import Any, NamedTuple

MOST_DIFFERENCES = 1000
"""So many rows of a kind are named, of either record; then more is wrong than a person reads."""


class DocumentCopy(NamedTuple):
    """A document as it is stored."""

    sha256: str
    stored_sha256: str
    source_name: str | None
    size_bytes: int
    content: bytes
    """Compressed (RFC 1950)."""


class RefusedCopy(NamedTuple):
    """A stored document that cannot be recorded anew, and why."""

    sha256: str
    message: str


class RowDifference(NamedTuple):
    """A row that only one of two records has; its columns by name. (Any: column values.)"""

    relation: str
    stood: dict[str, Any] | None
    rebuilt: dict[str, Any] | None
