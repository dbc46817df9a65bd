"""Notes of a reader: of each kind the first few in full, the rest counted."""

from ..model import Note

_IN_FULL = 20


class NoteBook:
    """Collects what a reader found and handled, without flooding the receipt."""

    def __init__(self, notes: tuple[Note, ...] = ()) -> None:
        self._notes = list(notes)
        self._counts: dict[str, int] = {}

    def add(self, code: str, message: str, pointer: str | None = None) -> None:
        """Add one note; beyond the first 20 of its `code` it is only counted."""
        count = self._counts[code] = self._counts.get(code, 0) + 1
        if count <= _IN_FULL:
            self._notes.append(Note(code=code, message=message, pointer=pointer))

    def to_tuple(self) -> tuple[Note, ...]:
        """Return all notes, and how many more there were of each kind."""
        more = (
            Note(code=code, message=f"{count - _IN_FULL} more notes of this kind")
            for code, count in self._counts.items()
            if count > _IN_FULL
        )
        return (*self._notes, *more)
