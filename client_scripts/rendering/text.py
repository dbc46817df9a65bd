"""Words, instants and colours of what the commands print."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import click

SIGNS = {"completed": "✓", "error": "✗", "interrupted": "⊘", "running": "▸", "unknown": "?"}
"""The sign of each status, so that colour is never alone."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN = str.maketrans(
    {"├": "|", "└": "`", "─": "-", "│": "|", "×": "x", "…": "..", "·": "-", "⟳": "@", "✓": "+",
     "✗": "!", "⊘": "!", "▸": ">", "⋯": ".."}
)  # fmt: skip
_COLOURS: Mapping[str, Mapping[str, object]] = {
    "activity": {"fg": "cyan"},
    "product": {"bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "warn": {"fg": "yellow"},
    "dim": {"dim": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How text may look where it goes.

    Attributes
    ----------
    color : bool
        Whether escape sequences for colours are welcome.
    unicode : bool
        Whether lines and signs outside ASCII can be shown.
    verbose : int
        0: names; 1: identifiers and places as well.
    """

    color: bool = False
    unicode: bool = True
    verbose: int = 0

    def paint(self, text: str, style: str) -> str:
        """Return `text` in the colours of `style`."""
        if not self.color or not text:
            return text
        return click.style(text, **_COLOURS[style])  # type: ignore[arg-type]

    def shown(self, text: str) -> str:
        """Return `text` in the signs that can be shown."""
        return text if self.unicode else text.translate(_PLAIN)


def look_of(*, verbose: bool = False, to_file: bool = False) -> Look:
    """Return how text may look on standard output, or in a file."""
    stream = sys.stdout
    is_terminal = not to_file and stream.isatty() and os.environ.get("TERM") != "dumb"
    encoding = (stream.encoding or "ascii").lower().replace("-", "")
    return Look(
        color=is_terminal and not os.environ.get("NO_COLOR"),
        unicode=to_file or encoding.startswith("utf"),
        verbose=int(verbose),
    )


def style_of_status(word: str) -> str:
    """Return the style in which a status is painted."""
    return {"completed": "good", "error": "bad", "interrupted": "bad"}.get(word, "warn")


def printable(text: str) -> str:
    """Return `text` without what would steer a terminal; names come from anybody's documents."""
    return _CONTROL.sub("\ufffd", text) if _CONTROL.search(text) else text


def instant(text: str | None) -> str:
    """Return an ISO 8601 instant as ``2026-11-21 02:15:36Z``."""
    if not text:
        return ""
    at = datetime.fromisoformat(text)
    at = at.astimezone(UTC) if at.tzinfo else at
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def span(first: str | None, last: str | None) -> str:
    """Return from when to when, the day only once where it is the same."""
    start, end = instant(first), instant(last)
    if not start or not end or start == end:
        return start or end
    return f"{start} … {end[11:] if start[:10] == end[:10] else end}"


def seconds_between(first: str | None, last: str | None) -> float | None:
    """Return the seconds from one instant to another."""
    if not first or not last:
        return None
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def duration(first: str | None, last: str | None) -> str:
    """Return the time between two instants, such as ``3.6 s``, ``4 min 10 s`` or ``2 d 3 h``."""
    seconds = seconds_between(first, last)
    if seconds is None or seconds < 0:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 activity``, ``3 activities``."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
