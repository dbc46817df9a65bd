"""The schema comes to be once, in order, whoever asks for it and how often."""

import hashlib
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from provmanager.errors import SchemaMismatchError
from provmanager.store.database import open_database
from provmanager.store.migrations import migrate
from sql import migrations

ONE = ("0001_create_one.sql", "CREATE TABLE one (one_id int); INSERT INTO one VALUES (1);")
TWO = ("0002_create_two.sql", "CREATE TABLE two (two_id int);")


@pytest.fixture
def empty(postgresql):
    """An empty database, without even our schema."""
    database = open_database(postgresql.url)
    name = f"empty_{time.monotonic_ns()}"
    with database.statements() as session:
        session.execute(text(f"CREATE DATABASE {name}"))
    opened = open_database(postgresql.url.replace("/prov?", f"/{name}?"))
    yield opened
    opened.close()
    with database.statements() as session:
        session.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    database.close()


def scalars(database, statement):
    with database.transaction() as session:
        return list(session.execute(text(statement)).scalars())


def test_scripts_apply_once_and_are_recorded_with_their_digest(empty):
    assert migrate(empty, [ONE]) == [ONE[0]]
    assert migrate(empty, [ONE, TWO]) == [TWO[0]]
    assert migrate(empty, [ONE, TWO]) == []
    assert scalars(empty, "SELECT one_id FROM prov.one") == [1]
    recorded = scalars(empty, "SELECT sha256 FROM prov.migration ORDER BY name")
    assert recorded == [hashlib.sha256(script.encode()).hexdigest() for _, script in (ONE, TWO)]


def test_a_failing_script_leaves_nothing_behind(empty):
    broken = (TWO[0], "CREATE TABLE two (two_id int); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(SchemaMismatchError, match="nowhere"):
        migrate(empty, [ONE, broken])
    assert scalars(empty, "SELECT name FROM prov.migration") == [ONE[0]]
    assert scalars(empty, "SELECT to_regclass('prov.two')::text") == [None]


def test_a_script_that_changed_after_being_applied_is_refused(empty):
    migrate(empty, [ONE])
    with pytest.raises(SchemaMismatchError, match=r"0001_create_one\.sql changed after"):
        migrate(empty, [(ONE[0], ONE[1] + " "), TWO])
    assert scalars(empty, "SELECT to_regclass('prov.two')::text") == [None]


def test_a_database_newer_than_the_code_is_refused(empty):
    migrate(empty, [ONE, TWO])
    with pytest.raises(SchemaMismatchError, match="newer than this provmanager"):
        migrate(empty, [ONE])


def test_a_hole_in_the_history_is_refused(empty):
    migrate(empty, [TWO])
    with pytest.raises(SchemaMismatchError, match=r"lacks 0001_create_one\.sql"):
        migrate(empty, [ONE, TWO])


def test_four_processes_at_once_apply_everything_exactly_once(empty):
    program = (
        "import sys; from provmanager.store.database import open_database;"
        "from provmanager.store.migrations import migrate;"
        "print(len(migrate(open_database(sys.argv[1]))))"
    )
    url = empty.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    counts = sorted(int(process.communicate(timeout=60)[0]) for process in processes)
    assert counts == [0, 0, 0, len(migrations())]
    names = scalars(empty, "SELECT name FROM prov.migration ORDER BY name")
    assert names == [name for name, _ in migrations()]


def test_the_packaged_scripts_end_in_sql_and_count_up():
    numbers = [int(name[:4]) for name, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_sessions_see_the_schema_in_utc_without_jit(database):
    for setting, value in (("search_path", "prov"), ("timezone", "UTC"), ("jit", "off")):
        assert scalars(database, f"SHOW {setting}") == [value]
