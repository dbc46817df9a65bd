"""Look-ups that every document needs: planned once a connection, sent without a detour.

SQLAlchemy's `text` costs several times what such a statement takes, and planning it as much again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    import psycopg2.extensions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that PostgreSQL keeps (PREPARE).

    Attributes
    ----------
    name : str
        Unique in the program.
    types : str
        Types of its parameters, such as ``"bytea[], text[]"``.
    statement : str
        With ``$1``, ``$2``, …
    """

    name: str
    types: str
    statement: str

    def fetch(self, session: Session, *values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return the rows as tuples. (Any: column values.)"""
        return self._execute(session, values)[0]

    def fetch_dicts(self, session: Session, *values: Sequence[object]) -> list[dict[str, Any]]:
        """Return the rows as dicts. (Any: column values.)"""
        rows, columns = self._execute(session, values)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _execute(
        self, session: Session, values: Sequence[Sequence[object]]
    ) -> tuple[list[tuple[Any, ...]], list[str]]:
        connection = session.connection()
        known: set[str] = connection.info.setdefault("prepared", set())
        raw = cast("psycopg2.extensions.connection", connection.connection)
        with raw.cursor() as cursor:
            if self.name not in known:
                cursor.execute(f"PREPARE {self.name} ({self.types}) AS {self.statement}")
                known.add(self.name)
            marks = ", ".join(["%s"] * len(values))
            cursor.execute(f"EXECUTE {self.name} ({marks})", list(map(array_text, values)))
            return cursor.fetchall(), [c.name for c in cursor.description or ()]


def array_text(values: Iterable[object]) -> str:
    """Return `values` (integers, texts, bytes) as PostgreSQL writes an array.

    An ARRAY expression of thousands is parsed far slower.
    """
    return "{" + ",".join([_ELEMENT[type(value)](value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENT: Mapping[type, Callable[[Any], str]] = {
    int: str,
    str: _quoted,
    bytes: lambda value: '"\\\\x' + value.hex() + '"',
}


def fetch(session: Session, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a statement with ``%s``, as tuples. (Any: column values.)"""
    raw = cast("psycopg2.extensions.connection", session.connection().connection)
    with raw.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
