"""What a check found, in words that a person reads and a program counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "differs", "missing", "unknown"]
Progress = Callable[[int, int], None]
"""Called with how many of how many are done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    kind: Literal["file", "document", "row", "log"]
    what: str
    outcome: Outcome
    """``differs``: it is not what the record says. ``missing``: there is nothing to look at.
    ``unknown``: there is nothing to hold it against."""
    message: str
    entity: str | None = None
    """Id of the product, where it is about one's file."""
    document: str | None = None
    """SHA-256 of the document, where it is about one that was stored."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that an auditor kept, and the key that signed it."""

    note: str
    key: str
