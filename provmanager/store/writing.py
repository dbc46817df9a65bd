"""Set-based writing: COPY, interned values, and the id sequence of nodes.

Everything here is one statement a table a batch. The caller holds `lock_writers`, so that ids can
be resolved and rows copied without conflicts; readers are never blocked.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.ids import clean_json

if TYPE_CHECKING:
    import psycopg2.extensions

_ESCAPES: dict[int, str] = {
    **{code: "\ufffd" for code in (0, *range(0xD800, 0xE000))},  # what PostgreSQL's text has not
    **str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}),
}
_WRITERS = 0x70726F76  # "prov"
_CHUNK = 2**18  # bytes that go to the server at a time


def lock_writers(session: Session) -> None:
    """Wait until this transaction is the only one that writes records."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})


def copy_rows(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """COPY `rows` into `table`; return how many there were."""
    lines = ["\t".join(map(_field, row)) for row in rows]
    if lines:
        buffer = io.BytesIO(("\n".join(lines) + "\n").encode())
        connection = cast("psycopg2.extensions.connection", session.connection().connection)
        with connection.cursor() as cursor:
            statement = f"COPY prov.{table} ({', '.join(columns)}) FROM STDIN"
            cursor.copy_expert(statement, buffer, _CHUNK)
    return len(lines)


def _field(value: object) -> str:
    """Return `value` as COPY's text format has it."""
    write = _AS_TEXT.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, str | int):  # an enumeration's
        return _text(str(value.real if isinstance(value, int) else value))
    return _json(value)


def _text(value: str) -> str:
    if value.isprintable() and "\\" not in value:  # most: nothing to escape in it
        return value
    return value.translate(_ESCAPES)


def _array(value: tuple[str, ...]) -> str:
    quoted = ('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in value)
    return _text("{" + ",".join(quoted) + "}")


def _json(value: Any) -> str:  # Any: clean JSON
    try:
        return _text(orjson.dumps(value).decode())
    except TypeError:  # an integer beyond 64 bits
        return _text(json.dumps(value, ensure_ascii=False, allow_nan=False))


_AS_TEXT: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    str: _text,
    bool: lambda value: "t" if value else "f",
    int: str,
    UUID: str,
    datetime: datetime.isoformat,
    bytes: lambda value: "\\\\x" + value.hex(),
    tuple: _array,
}


class NodeIds:
    """New ids for documents, activities and entities; fetched some at a time, gaps are harmless."""

    _SOME = 16

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ids: list[int] = []

    def take(self, n: int) -> list[int]:
        """Return `n` new ids, ascending."""
        if n > len(self._ids):
            wanted = max(n - len(self._ids), self._SOME)
            query = text("SELECT nextval('prov.node_id') FROM generate_series(1, :n)")
            self._ids += sorted(self._session.execute(query, {"n": wanted}).scalars())
        taken, self._ids = self._ids[:n], self._ids[n:]
        return taken


def intern_roles(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return the id of each role, making those that are new."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    found = _pairs(session, "SELECT name, role_id FROM prov.role WHERE name = ANY(:names)", wanted)
    new = [name for name in wanted if name not in found]
    if new:
        found |= _pairs(
            session,
            "INSERT INTO prov.role (name) SELECT unnest(CAST(:names AS text[])) "
            "RETURNING name, role_id",
            new,
        )
    return found


def find_directories(session: Session, uris: Iterable[str]) -> dict[str, int]:
    """Return the id of each leading part of locations that is known."""
    wanted = sorted(uris)
    if not wanted:
        return {}
    return _pairs(
        session, "SELECT uri, directory_id FROM prov.directory WHERE uri = ANY(:names)", wanted
    )


def insert_directories(session: Session, uris: Iterable[str]) -> dict[str, int]:
    """Make those that `find_directories` did not find; return their ids."""
    wanted = sorted(uris)
    if not wanted:
        return {}
    return _pairs(
        session,
        "INSERT INTO prov.directory (uri) SELECT unnest(CAST(:names AS text[])) "
        "RETURNING uri, directory_id",
        wanted,
    )


def intern_contents(
    session: Session,
    table: str,
    contents: Mapping[bytes, Mapping[str, Any]],
    **more: dict[bytes, Any],
) -> tuple[dict[bytes, int], list[bytes]]:
    """Return the id of each JSON content by its SHA-256, and which of them were made anew.

    Parameters
    ----------
    table : str
        ``environment``, ``host``, ``container`` or ``configuration``.
    contents : dict of SHA-256 to JSON object
    **more : dict of SHA-256 to value
        Further columns. (Any: JSON contents.)
    """
    if not contents:
        return {}, []
    key = "shape_sha256" if table == "configuration" else "sha256"
    wanted = sorted(contents)
    rows = session.execute(
        text(f"SELECT {key} AS k, {table}_id AS i FROM prov.{table} WHERE {key} = ANY(:k)"),  # noqa: S608
        {"k": wanted},
    )
    found = {bytes(row.k): row.i for row in rows}
    new = [k for k in wanted if k not in found]
    if new:
        columns = [key, "content", *more]
        copy_rows(
            session,
            table,
            columns,
            ([k, clean_json(contents[k]), *(m[k] for m in more.values())] for k in new),
        )
        rows = session.execute(
            text(f"SELECT {key} AS k, {table}_id AS i FROM prov.{table} WHERE {key} = ANY(:k)"),  # noqa: S608
            {"k": new},
        )
        found |= {bytes(row.k): row.i for row in rows}
    return found, new


def _pairs(session: Session, statement: str, names: Sequence[str]) -> dict[str, int]:
    rows = session.execute(text(statement), {"names": list(names)})
    return {row[0]: row[1] for row in rows}
