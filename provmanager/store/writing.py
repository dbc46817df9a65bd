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
from sqlalchemy.orm import Session

from provmanager.ids import clean_json

from .memory import memory_of, see
from .prepared import fetch

if TYPE_CHECKING:
    import psycopg2.extensions

_ESCAPES: dict[int, str] = {
    **{code: "\ufffd" for code in (0, *range(0xD800, 0xE000))},  # what PostgreSQL's text has not
    **str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}),
}
_WRITERS = 0x70726F76  # "prov"
_SOME_IDS = 256
_CHUNK = 2**18  # bytes that go to the server at a time


def lock_writers(session: Session) -> None:
    """Wait until this transaction is the only one that writes records.

    All that it looks up afterwards is found by an index, however small the tables still are when
    PostgreSQL plans it.
    """
    fetch(session, "SET LOCAL enable_seqscan = off; SELECT pg_advisory_xact_lock(%s)", _WRITERS)


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


def take_node_ids(session: Session, n: int) -> list[int]:
    """Return `n` new ids for documents, activities and entities, ascending.

    They are fetched some at a time; gaps are harmless. The caller holds `lock_writers`.
    """
    held = memory_of(session).node_ids
    if n > len(held):
        wanted = max(n - len(held), _SOME_IDS)
        query = "SELECT nextval('prov.node_id') FROM generate_series(1, %s)"
        held += sorted(node_id for (node_id,) in fetch(session, query, wanted))
    taken = held[:n]
    del held[:n]
    return taken


def intern_roles(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return the id of each role, making those that are new."""
    return _interned(session, "role", "name", names)


def find_directories(session: Session, uris: Iterable[str]) -> dict[str, int]:
    """Return the id of each leading part of locations that is known."""
    return _find(session, "directory", "uri", uris)


def insert_directories(session: Session, uris: Iterable[str]) -> dict[str, int]:
    """Make those that `find_directories` did not find; return their ids."""
    return _insert(session, "directory", "uri", uris)


def _interned(session: Session, table: str, column: str, names: Iterable[str]) -> dict[str, int]:
    wanted = set(names)
    found = _find(session, table, column, wanted)
    return found | _insert(session, table, column, wanted - found.keys())


def _find(session: Session, table: str, column: str, names: Iterable[str]) -> dict[str, int]:
    wanted = set(names)
    known: dict[str, int] = memory_of(session).get(table, wanted)
    unknown = sorted(wanted - known.keys())
    if not unknown:
        return known
    query = f"SELECT {column}, {table}_id FROM prov.{table} WHERE {column} = ANY(%s)"  # noqa: S608
    found = dict(fetch(session, query, unknown))
    see(session, table, found)
    return known | found


def _insert(session: Session, table: str, column: str, names: Iterable[str]) -> dict[str, int]:
    wanted = sorted(names)
    if not wanted:
        return {}
    query = (
        f"INSERT INTO prov.{table} ({column}) SELECT unnest(CAST(%s AS text[])) "
        f"RETURNING {column}, {table}_id"
    )
    made = dict(fetch(session, query, wanted))
    see(session, table, made)
    return made


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
    query = f"SELECT {key}, {table}_id FROM prov.{table} WHERE {key} = ANY(%s)"  # noqa: S608
    found: dict[bytes, int] = memory_of(session).get(table, contents)
    unknown = sorted(contents.keys() - found.keys())
    if not unknown:
        return found, []
    fresh = {bytes(k): i for k, i in fetch(session, query, unknown)}
    new = [k for k in unknown if k not in fresh]
    if new:
        columns = [key, "content", *more]
        copy_rows(
            session,
            table,
            columns,
            ([k, clean_json(contents[k]), *(m[k] for m in more.values())] for k in new),
        )
        fresh |= {bytes(k): i for k, i in fetch(session, query, new)}
    see(session, table, fresh)
    return found | fresh, new
