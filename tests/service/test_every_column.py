"""Every table and column of the schema: a changed value, a row more or less is found, and named.

Tables and columns come from the database itself, so that new ones are in it without a word here.
"""

import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import RowMapping, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from provmanager.client.findings import Finding
from provmanager.client.row_findings import explain
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.logic.rebuilding import Scratch
from provmanager.model import Role
from provmanager.store import beside, canonical
from provmanager.store.database import Database, open_database

EXAMPLES = Path(__file__).resolve().parents[2] / "schemas" / "examples"

NO_PART_OF_THE_RECORD = {
    "access_token": "who may do what is the operator's; the log says who sent each document",
    "browser_session": "who is signed in to the pages",
    "migration": "which scripts made the schema; the server holds it against them when it starts",
    "production_run": "who is about to submit a run, and looks after it; what was run is a record",
}
"""Tables that an auditor need not look at, and why."""

OF_THE_LOG = {"log_identity", "log_leaf", "log_checkpoint", "log_node"}
"""Tables that `verify_log` holds against signed roots (tests/service/test_log.py)."""

VOUCHED_FOR_BY_THE_LOG = (
    *("received_at", "received_from", "source_name", "size_bytes", "n_redactions"),
    *("stored_sha256", "content"),
)
"""Columns of documents that stand in their leaves (tests/service/test_verify_rows.py)."""

_UNSEEN = "nothing refers to it, so that nothing shows it"
NOT_COMPARED = {
    **{f"document.{c}": "the log vouches for it" for c in VOUCHED_FOR_BY_THE_LOG},
    "configuration row inserted": _UNSEEN,
    "container row inserted": _UNSEEN,
    "directory row inserted": _UNSEEN,
    "environment row inserted": _UNSEEN,
    "host row inserted": _UNSEEN,
    "role row inserted": _UNSEEN,
    "configuration.shape_sha256": "recording finds a template by it; no answer shows it",
    "contradiction.detected_at": "when the server noticed it: it follows from no document",
    "entity_alias": "former ids depend on the order and grouping in which documents came",
}
"""What else is not told of, and why (docs/auditors.md)."""


def run(number: int, **fields: Any) -> bytes:
    told = {
        "schema": "provmanager/activity.v1",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "name": "tool",
        "version": "1.0",
        "started_at": f"2026-01-01T00:0{number}:00Z",
        "ended_at": f"2026-01-01T00:0{number}:30Z",
        "host": {"name": "node"},
        "environment": {"packages": [{"name": "numpy", "version": "2.1"}]},
        "container": {"image": "sif"},
    }
    return json.dumps(told | fields).encode()


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"url": f"/d/{name}", "sha256": format(len(name), "x") * 64, "role": "data"} | more


W3C = b"""document
  prefix ex <http://example.org/>
  entity(ex:plan, [prov:label="Plan", prov:type='prov:Plan', ex:k="v"])
  entity(ex:draft, [prov:value="3"])
  entity(ex:set, [prov:type='prov:Collection'])
  activity(ex:writing, 2026-01-01T00:00:00, 2026-01-01T00:10:00, [ex:mood="good"])
  agent(ex:who, [prov:type='prov:Person', prov:label="Who"])
  wasGeneratedBy(ex:plan, ex:writing, 2026-01-01T00:09:00)
  wasInvalidatedBy(ex:draft, ex:writing, 2026-01-01T00:09:30)
  wasDerivedFrom(ex:plan, ex:draft)
  hadMember(ex:set, ex:plan)
  wasAttributedTo(ex:plan, ex:who)
  wasAssociatedWith(ex:writing, ex:who, -)
  bundle ex:b
    prefix more <http://example.org/more>
    entity(ex:inner)
  endBundle
endDocument
"""
DESCRIBED = b"""{"schema": "descriptions.v1", "stated_at": "2026-01-01T00:00:00Z",
"entities": [{"name": "events", "content_type": "application/fits", "docurl": "x"}],
"activities": [{"name": "tool", "version": "1.0", "description": "does it", "type": "Analysis",
 "usages": [{"role": "data", "entity_description": "events", "multiplicity": "1"}],
 "parameters": [{"name": "cut", "value_type": "int", "default": "1", "options": ["1", "2"]}],
 "config_files": [{"name": "configuration", "content_type": "text/x-yaml"}]}]}"""
PRODUCT = b"""{"ctao_metadata_version": "2.1.0", "data": {}, "creation_time":
"2026-01-01T00:20:00Z", "instance": {"id": "0000000a-bbbb-4bbb-8bbb-bbbbbbbbbbbb"},
"contact": {"name": "Somebody", "organization": "O", "email": "c@example.org"},
"activity": {"id": "0000000a-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "name": "claimed",
"start": "2026-01-01T00:10:00Z", "inputs": [{"uri": "file://n/raw", "role": "raw"}]}}"""
DOCUMENTS = (
    (EXAMPLES / "activity.v1.tool.json").read_bytes(),
    run(1, outputs=[file("a", size_bytes=3, comment="c")], configuration={"cut": 1, "mode": "a"}),
    run(2, inputs=[file("a", at="2026-01-01T00:02:01Z")], outputs=[file("bb")],
        configuration={"cut": 2, "mode": "a"}, exit_code=0, parent=json.loads(run(3))["id"]),
    run(3, outputs=[file("bb", role="result")], comment="outer", job={"system": "X", "id": "7"},
        agent={"id": "mailto:who@example.org", "name": "Who", "email": "w@x", "role": "shift"}),
    run(4, inputs=[file("ccc", locations=["lfn:/vo/three"])], outputs=[file("a", sha256="9"*64),
        file("a", sha256="9" * 64, role="again")]),
    run(2, exit_code=1, status="error"),
    run(5, inputs=[{"url": "/d/late"}]),
    run(6, inputs=[file("late")]),
    W3C,
    DESCRIBED,
    PRODUCT,
    *(path.read_bytes() for path in sorted(EXAMPLES.glob("assessment.v1.*"))),
)  # fmt: skip


@pytest.fixture(scope="module")
def world(database: Database, make_database_url: Callable[[], str]) -> Iterator[Session]:
    """A record with something in every table, and beside it what its documents give anew."""
    with database.transaction() as session:
        sources = [Source(d, f"{i}", "sender", role=Role.CURATOR) for i, d in enumerate(DOCUMENTS)]
        for source in sources:
            (outcome,) = record(session, [source], policy=IngestPolicy())
            assert outcome.error is None
    with database.transaction() as session:
        scratch_database = open_database(make_database_url())
        assert not list(Scratch(scratch_database).replay(canonical.documents(session), ()))
    with database.transaction() as session:
        beside.make(session)
        put_all(session, scratch_database)
        prepare(session)
        scratch_database.close()
        yield session
        session.rollback()


def put_all(session: Session, database: Database) -> None:
    """Put the rows of what `database` holds beside the others, as those made anew."""
    with database.transaction() as anew:
        rows = ((r, row) for r in canonical.RELATIONS for row in canonical.rows(anew, r))
        beside.put(session, rows, stood=False)


def prepare(session: Session) -> None:
    """Have the database put the rows that stand beside the others itself: there are many changes.

    The queries are those of `canonical.rows`.
    """
    parts = (
        f"SELECT true, '{name}', to_jsonb(t) FROM ({relation.query}) AS t"
        for name, relation in canonical.RELATIONS.items()
    )
    statement = "PREPARE stood AS INSERT INTO beside " + " UNION ALL ".join(parts)
    session.connection().exec_driver_sql(statement.replace("%", "%%"))


def findings(session: Session) -> list[Finding]:
    """Return what `prod-verify` tells of the rows as they stand now."""
    session.execute(text("EXECUTE stood"))
    found = list(explain(beside.differences(session, 1000), (), ()))
    session.execute(text("DELETE FROM beside WHERE stood"))
    return found


def columns(session: Session) -> dict[str, dict[str, str]]:
    """Return the columns of each table of the schema that hold a value, and their types.

    PostgreSQL refuses any other value in a generated one.
    """
    rows = session.execute(text(
        "SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c "
        "JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE c.table_schema = 'prov' AND t.table_type = 'BASE TABLE' "
        "AND c.is_generated = 'NEVER' ORDER BY 1, ordinal_position"
    ))  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


class Change(NamedTuple):
    """What is done to one row of a table."""

    what: str
    statements: Sequence[str]
    """Ways to do it; the first that the table's own rules allow is taken."""


def first_rows(session: Session, table: str, condition: str = "true") -> Sequence[RowMapping]:
    query = (
        f"SELECT ctid::text AS place, * FROM prov.{table} WHERE {condition} ORDER BY ctid LIMIT 1"
    )
    return session.execute(text(query)).mappings().all()


def other_values(session: Session, table: str, column: str, kind: str) -> list[str]:
    """Return SQL expressions of other values of a column, of its type."""
    if kind in ("int2", "int4", "int8"):
        referred = session.execute(
            text(
                "SELECT confrelid::regclass::text, a.attname FROM pg_constraint c "
                "JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = confkey[1] "
                "JOIN pg_attribute o ON o.attrelid = conrelid AND o.attnum = conkey[1] "
                "WHERE contype = 'f' AND conrelid = CAST(:t AS regclass) AND o.attname = :c"
            ),
            {"t": f"prov.{table}", "c": column},
        ).one_or_none()
        if referred is not None:
            others = session.execute(text(f"SELECT {referred[1]} FROM {referred[0]} ORDER BY 1"))
            return [str(v) for v in others.scalars()]
        return [f"coalesce({column}, 0) + 1", f"coalesce({column}, 0) + 1000"]
    if kind == "text":
        words = " ".join(
            session.execute(
                text("SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                     "WHERE contype = 'c' AND conrelid = CAST(:t AS regclass)"),
                {"t": f"prov.{table}"},
            ).scalars()
        )  # fmt: skip
        listed = re.findall(r"'[a-zA-Z-]+'", words)
        return [f"coalesce({column}, '') || 'x'", *listed]
    return {
        "timestamptz": [f"coalesce({column}, now()) + interval '1 microsecond'"],
        "jsonb": [f"CASE jsonb_typeof({column}) WHEN 'array' THEN {column} || '[1]' "
                  f"ELSE coalesce({column}, '{{}}') || '{{\"changed\": true}}' END"],
        "bool": [f"NOT {column}"],
        "uuid": [f"'{uuid.uuid4()}'"],
        "bytea": [f"set_byte({column}, 0, get_byte({column}, 0) # 1)", "sha256('x')"],
        "_text": [f"array_append({column}, 'x')"],
    }[kind]  # fmt: skip


def changes(session: Session, table: str, kinds: Mapping[str, str]) -> Iterator[Change]:
    """Yield changes of each column of a table, and of its number of rows."""
    for column, kind in kinds.items():
        others = other_values(session, table, column, kind)
        for row in first_rows(session, table, f"{column} IS NOT NULL"):
            held = f"WHERE ctid = '{row['place']}'"
            guard = f"{held} AND {column} IS DISTINCT FROM"
            ways = [f"UPDATE prov.{table} SET {column} = {v} {guard} {v}" for v in others]
            yield Change(f"{table}.{column} changed", ways)
            nothing = [f"UPDATE prov.{table} SET {column} = NULL {held}"]
            yield Change(f"{table}.{column} emptied", nothing)
        for row in first_rows(session, table, f"{column} IS NULL"):
            held = f"WHERE ctid = '{row['place']}'"
            guard = f"{held} AND {column} IS DISTINCT FROM"
            ways = [f"UPDATE prov.{table} SET {column} = {v} {guard} {v}" for v in others]
            yield Change(f"{table}.{column} filled", ways)
    for row in first_rows(session, table):
        held = f"WHERE ctid = '{row['place']}'"
        yield Change(f"{table} row deleted", [f"DELETE FROM prov.{table} {held}"])
        given = {c: c for c in kinds if c not in numbered(session, table)}
        new = [
            given | {c: v for c, v in zip(some, values, strict=True)}
            for n in (1, 2)
            for some in itertools.combinations(given, n)
            for values in itertools.product(
                *(other_values(session, table, c, kinds[c])[:20] for c in some)
            )
        ]
        ways = [
            f"INSERT INTO prov.{table} ({', '.join(values)}) "
            f"SELECT {', '.join(values.values())} FROM prov.{table} {held}"
            for values in new
        ]
        yield Change(f"{table} row inserted", ways)


def numbered(session: Session, table: str) -> set[str]:
    """Return the columns to which the database gives numbers itself."""
    rows = session.execute(
        text(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'prov' AND "
            "table_name = :t AND (is_identity = 'YES' OR column_default LIKE 'nextval%')"
        ),
        {"t": table},
    )
    return set(rows.scalars())


@contextmanager
def undone(session: Session) -> Iterator[None]:
    point = session.begin_nested()
    try:
        yield
    finally:
        point.rollback()


def apply(session: Session, change: Change) -> bool:
    """Do it in one of its ways; return whether the table's own rules allow any."""
    for statement in change.statements:
        point = session.begin_nested()
        try:
            done = session.connection().exec_driver_sql(statement.replace("%", "%%"))
            session.flush()
            if done.rowcount:
                point.commit()
                return True
            point.rollback()
        except DBAPIError:
            point.rollback()
    return False


def is_not_compared(what: str) -> bool:
    return any(what.startswith((f"{told}.", f"{told} ")) or what == told for told in NOT_COMPARED)


def told_wrongly(change: Change, found: Sequence[Finding]) -> bool:
    """Return whether the change of a row is not told once, by the row's name.

    With a row go those that belong to it: they are told by its name too.
    """
    if is_not_compared(change.what):
        return bool(found)
    if change.what.endswith("deleted") and len(found) > 1:
        _, _, name = found[0].what.partition(" ")
        return not all(name.split(" (")[0] in f.what for f in found)
    return len(found) != 1


def test_each_changed_value_and_row_of_each_table_is_told_once(world: Session) -> None:
    assert findings(world) == []
    wrong, told = [], set()
    for table, kinds in columns(world).items():
        if table in NO_PART_OF_THE_RECORD or table in OF_THE_LOG:
            continue
        assert first_rows(world, table), f"{table}: say something of it in DOCUMENTS"
        for change in changes(world, table, kinds):
            with undone(world):
                if not apply(world, change):
                    continue  # the table's own rules refuse it: keys, what must be there
                found = findings(world)
                told |= {f.what.split()[0] for f in found}
                if told_wrongly(change, found):
                    wrong.append((change.what, [(f.what, f.message) for f in found[:3]]))
    assert wrong == []
    assert told >= set(canonical.RELATIONS)
    assert findings(world) == []


def test_what_is_not_compared_is_there(world: Session) -> None:
    there = columns(world)
    named = {n.split()[0].split(".")[0] for n in NOT_COMPARED} | OF_THE_LOG
    assert named | NO_PART_OF_THE_RECORD.keys() <= there.keys()
    assert {f"document.{c}" for c in there["document"]} >= {
        f"document.{c}" for c in VOUCHED_FOR_BY_THE_LOG
    }
