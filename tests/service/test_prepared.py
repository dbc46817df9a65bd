"""Statements that are kept, and ids that are remembered."""

from sqlalchemy import text

from provmanager.store import writing
from provmanager.store.database import Database
from provmanager.store.memory import memory_of
from provmanager.store.prepared import Prepared

NAMES = ['a"b', "back\\slash", "{x,y}", "", "NULL", "γ-ray 'quoted'", "tab\tline\n", "%s"]
BYTES = [b"\x00\xff", b"", b"\\x41"]
ECHO = Prepared("test_echo", "bigint[], text[], bytea[]", "SELECT $1 AS a, $2 AS b, $3 AS c")


def test_what_is_given_to_a_prepared_statement_arrives(database: Database) -> None:
    for _ in range(2):  # prepared once, executed twice
        with database.transaction() as session:
            ((numbers, names, contents),) = ECHO.fetch(session, [1, -(2**62)], NAMES, BYTES)
            assert (numbers, names) == ([1, -(2**62)], NAMES)
            assert [bytes(c) for c in contents] == BYTES
            (row,) = ECHO.fetch_dicts(session, [], [], [])
            assert list(row.values()) == [[], [], []]


def test_an_id_is_remembered_once_it_is_committed(database: Database) -> None:
    role = "remembered by a test"
    with database.transaction() as session:
        made = writing.intern_roles(session, [role])
        assert memory_of(session).get("role", [role]) == {}
    with database.transaction() as session:
        assert memory_of(session).get("role", [role]) == made
        assert writing.intern_roles(session, [role]) == made


def test_an_id_that_was_rolled_back_is_not_remembered(database: Database) -> None:
    role = "rolled back by a test"
    with database.transaction() as session:
        writing.intern_roles(session, [role])
        session.rollback()
    with database.transaction() as session:
        assert memory_of(session).get("role", [role]) == {}
        (found,) = writing.intern_roles(session, [role]).values()
        held = text("SELECT name FROM prov.role WHERE role_id = :i")
        assert session.execute(held, {"i": found}).scalar_one() == role
