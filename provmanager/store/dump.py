"""Move a record between databases: dump it into a file, restore it from one.

With the wheel's own ``pg_dump`` and ``pg_restore`` (PostgreSQL 18, which read all older ones).
"""

import os
import subprocess
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import text
from sqlalchemy.engine import URL

from provmanager.errors import DatabaseUnavailableError, ProvError, SchemaMismatchError, UsageError

from .accounts import packaged_binaries
from .database import Database, open_database, parse_url
from .migrations import migrate

_MAGIC = b"PGDMP"


def dump(url: str, target: BinaryIO) -> None:
    """Write the record at `url`, as it stands now, to `target`; others may go on writing to it.

    Raises
    ------
    UsageError
        There is no record there.
    DatabaseUnavailableError
        The database cannot be reached, or not by the wheel's ``pg_dump``.
    """
    database = open_database(url, pool_size=1)
    try:
        if not _has_schema(database):
            raise UsageError(
                "there is no record in that database (no schema prov): nothing to dump"
            )
    finally:
        database.close()
    _run(
        url,
        "pg_dump",
        ["--format=custom", "--schema=prov", "--no-owner", "--no-privileges"],
        stdout=target,
    )


def restore(url: str, source: Path) -> int:
    """Make the record at `url` from the file `source`; return the number of its documents.

    Raises
    ------
    UsageError
        The file is no dump, or the database holds documents already: it is left as it is.
    SchemaMismatchError
        The dump was made by a newer version; nothing is restored.
    DatabaseUnavailableError
        The database cannot be reached, or not by the wheel's ``pg_restore``.
    """
    try:
        with source.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from error
    if magic != _MAGIC:
        raise UsageError(f"{source} was not written by prod-server dump (it begins {magic!r})")
    database = open_database(url, pool_size=1, statement_timeout_s=3600)
    try:
        if _has_schema(database) and _n_documents(database):
            raise UsageError(
                f"the database holds {_n_documents(database)} documents already: restore into an "
                "empty one (another PROV_STATE_DIR or PROV_DATABASE_URL)"
            )
        _drop(database)
        options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
        try:
            _run(url, "pg_restore", [*options, "--dbname=", str(source)])
            migrate(database)
        except (SchemaMismatchError, DatabaseUnavailableError):
            _drop(database)
            raise
        return _n_documents(database)
    finally:
        database.close()


def _has_schema(database: Database) -> bool:
    with database.transaction() as session:
        found = session.execute(text("SELECT to_regclass('prov.document') IS NOT NULL"))
        return bool(found.scalar_one())


def _n_documents(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(text("SELECT count(*) FROM prov.document")).scalar_one())


def _drop(database: Database) -> None:
    """Remove a record without documents: the schema, the operator's token, and nothing else."""
    with database.transaction() as session:
        session.execute(text("DROP SCHEMA IF EXISTS prov CASCADE"))


def _run(url: str, program: str, options: list[str], *, stdout: BinaryIO | None = None) -> None:
    """Run one of the wheel's programs on the database; the URL's password is in no argument."""
    parsed = parse_url(url)
    done = subprocess.run(
        [str(packaged_binaries() / program), *options],
        stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(parsed),
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace").strip()
    if "SSL support is not compiled in" in said or "no encryption" in said:
        shown = parsed.set(drivername="postgresql").render_as_string(hide_password=True)
        by_hand = " ".join([program, *options])
        raise DatabaseUnavailableError(
            f"the database wants SSL, which the embedded PostgreSQL's {program} does not have: use "
            f"the server's own: {by_hand} (on {shown})"
        )
    if "connection to server" in said:
        raise DatabaseUnavailableError(f"{program} cannot reach the database: {said}")
    raise ProvError(f"{program} failed: {said}")


def _environment(url: URL) -> dict[str, str]:
    """Return the environment that leads libpq to the database of `url`."""
    query = {name: str(value) for name, value in url.query.items()}
    found = {
        "PGHOST": url.host or query.pop("host", None),
        "PGPORT": str(url.port) if url.port else query.pop("port", None),
        "PGUSER": url.username,
        "PGPASSWORD": url.password if url.password is None else str(url.password),
        "PGDATABASE": url.database,
        "PGSSLMODE": query.pop("sslmode", None),
        "PGSSLROOTCERT": query.pop("sslrootcert", None),
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR", "PGPASSFILE", "PGSERVICEFILE")
    }
    return inherited | {name: value for name, value in found.items() if value}
