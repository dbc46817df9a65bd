"""Bring the schema up to date: forward-only SQL scripts, each applied once, in order.

What was applied stands in ``prov.migration`` with the digest of its text, so that code and
database that do not fit each other are found before anything is written.
"""

import logging
from collections.abc import Sequence

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from provmanager.errors import DatabaseUnavailableError, SchemaMismatchError
from provmanager.ids import sha256_hex
from sql import migrations as packaged_migrations

from .database import OLDEST_POSTGRESQL, Database, translated_errors

logger = logging.getLogger(__name__)

_LOCK = 0x70726F76  # "prov": the key of the advisory lock that migrating processes take

_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS prov;
CREATE TABLE IF NOT EXISTS prov.migration (
    name       text PRIMARY KEY,
    sha256     text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE prov.migration IS
    'The scripts of sql/ that made this schema; each is applied once and never changes.';
COMMENT ON COLUMN prov.migration.name IS 'File name of the script.';
COMMENT ON COLUMN prov.migration.sha256 IS 'Digest of the script''s text as it was applied.';
COMMENT ON COLUMN prov.migration.applied_at IS 'When it was applied (UTC).';
"""


def migrate(database: Database, scripts: Sequence[tuple[str, str]] | None = None) -> list[str]:
    """Apply the scripts that are missing and return their names.

    Any number of processes may call it at once; they take turns. Each script is one transaction.

    Parameters
    ----------
    database
        Where to.
    scripts
        (name, SQL text) in order; those of the package ``sql`` by default.

    Raises
    ------
    SchemaMismatchError
        The database is newer than this code, was made by other scripts, or PostgreSQL is too old.
    DatabaseUnavailableError
        It cannot be reached.
    """
    wanted = list(packaged_migrations() if scripts is None else scripts)
    with translated_errors():
        pooled = database.engine.raw_connection()
    connection: Connection = pooled.driver_connection  # type: ignore[assignment]
    try:
        return _migrate(connection, wanted)
    finally:
        pooled.invalidate()  # its session settings and lock go with it
        pooled.close()


def _migrate(connection: Connection, wanted: list[tuple[str, str]]) -> list[str]:
    connection.autocommit = True
    if connection.server_version < OLDEST_POSTGRESQL * 10_000:
        raise SchemaMismatchError(
            f"the database is PostgreSQL {connection.server_version // 10_000}; expected "
            f"{OLDEST_POSTGRESQL} or newer"
        )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET client_min_messages = warning")
        cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        cursor.execute(_BOOTSTRAP)
        cursor.execute("SELECT name, sha256 FROM prov.migration ORDER BY name")
        pending = _pending(wanted, dict(cursor.fetchall()))
    connection.autocommit = False
    for name, script in pending:
        _apply(connection, name, script)
        logger.info("applied migration %s", name)
    return [name for name, _ in pending]


def _pending(wanted: list[tuple[str, str]], applied: dict[str, str]) -> list[tuple[str, str]]:
    unknown = sorted(applied.keys() - dict(wanted).keys())
    if unknown:
        raise SchemaMismatchError(
            f"the database is newer than this provmanager: it has {', '.join(unknown)}, which "
            "this version does not know: install the newer version",
            unknown=unknown,
        )
    changed = [n for n, script in wanted if n in applied and applied[n] != _digest(script)]
    if changed:
        raise SchemaMismatchError(
            f"the database was made by other scripts than this provmanager has: "
            f"{', '.join(changed)} changed after being applied: install the version that made the "
            "database, or restore a dump of it into a new one",
            changed=changed,
        )
    pending = [(name, script) for name, script in wanted if name not in applied]
    late = [name for name, _ in pending if name < max(applied, default="")]
    if late:
        raise SchemaMismatchError(
            f"the database lacks {', '.join(late)} although later scripts were applied: restore a "
            "dump of it into a new one",
            late=late,
        )
    return pending


def _apply(connection: Connection, name: str, script: str) -> None:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL search_path = prov")
            cursor.execute(script)
            cursor.execute(
                "INSERT INTO prov.migration (name, sha256) VALUES (%s, %s)",
                (name, _digest(script)),
            )
    except psycopg2.OperationalError as error:
        raise DatabaseUnavailableError(f"the database went away during {name}: {error}") from error
    except psycopg2.Error as error:
        raise SchemaMismatchError(f"migration {name} failed: {error}", name=name) from error


def _digest(script: str) -> str:
    return sha256_hex(script.encode())
