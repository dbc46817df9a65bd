"""What `prov` warns of while it reads: a note, or a refusal where something would be lost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

# The collection of prov lives in a ContextVar; warnings.catch_warnings would change the filters
# of every thread of the server.
from prov._warnings import collect_warnings

from provmanager.errors import DocumentError

from .note_book import NoteBook

_OUTLOOK = re.compile(r"\. prov \d+\.\d+\.\d+ will .*\(#\d+\)$", re.DOTALL)
_LOSS = re.compile(r"(?<!null and )is dropped$|the last (value|one) is used$")


@contextmanager
def warnings_as_notes(
    notes: NoteBook, pointer: str | None = None, *, line: int | None = None
) -> Iterator[None]:
    """Turn what `prov` warns of inside into notes, at `pointer` or `line`.

    Raises
    ------
    DocumentError
        `prov` would drop a part of what stands there.
    """
    with collect_warnings() as collected:
        yield
    for warning, _ in collected:
        message = _OUTLOOK.sub("", warning)
        if _LOSS.search(message):
            where = f"line {line}: " if line else ""
            raise DocumentError(
                f"{where}{message}: a part of the document would be lost",
                pointer=pointer,
                line=line,
            )
        notes.add("prov", message, pointer or (f"line {line}" if line else None))
