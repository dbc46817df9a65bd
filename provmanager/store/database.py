"""The way to PostgreSQL: engine, sessions, and what its failures mean to a caller."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
from sqlalchemy import Engine, create_engine, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session, sessionmaker

from provmanager.errors import DatabaseUnavailableError, UnavailableError, UsageError

from .memory import Memory, attach

logger = logging.getLogger(__name__)

SCHEMA = "prov"
OLDEST_POSTGRESQL = 15

_DRIVER = "postgresql+psycopg2"
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03"})  # serialisation, deadlock, lock timeout
_GOES_AWAY = frozenset({"53300", "53400", "57P01", "57P02", "57P03", "57P05", "25P03"})
_CANCELLED = "57014"
_DISK_FULL = "53100"


@dataclass(frozen=True, slots=True)
class Database:
    """A pool of connections to one database; one a process."""

    engine: Engine
    _sessions: sessionmaker[Session]
    memory: Memory

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session in one transaction: committed at the end, rolled back on any error.

        Raises
        ------
        DatabaseUnavailableError
            PostgreSQL cannot be reached, or went away meanwhile.
        UnavailableError
            It gave up on a conflict with another writer, or on a statement that took too long.
        """
        with translated_errors(), self._sessions.begin() as session:
            yield session

    @contextlib.contextmanager
    def statements(self) -> Iterator[Session]:
        """Yield a session whose statements each commit by themselves, for a brief look-up."""
        with translated_errors():
            autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with Session(autocommit, autoflush=False) as session:
                yield session

    def check(self) -> None:
        """Ask the database for a sign of life, or raise DatabaseUnavailableError."""
        with self.statements() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(
    url: str,
    *,
    pool_size: int = 20,
    statement_timeout_s: float = 120.0,
    idle_timeout_s: float = 600.0,
    connect_timeout_s: int = 10,
) -> Database:
    """Return the database at `url` (``postgresql://…``); nothing is connected yet.

    Every connection has ``search_path = prov``, UTC, no JIT (half of a small query's time), and
    gives up a statement after `statement_timeout_s` and a forgotten transaction after
    `idle_timeout_s`.

    Raises
    ------
    UsageError
        `url` is not one of PostgreSQL.
    """
    options = {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": f"{round(statement_timeout_s * 1000)}",
        "idle_in_transaction_session_timeout": f"{round(idle_timeout_s * 1000)}",
    }
    engine = create_engine(
        parse_url(url),
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": connect_timeout_s,
            "application_name": "provmanager",
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )
    memory = Memory()
    sessions = sessionmaker(engine, expire_on_commit=False, autoflush=False)
    attach(memory, sessions)
    return Database(engine, sessions, memory)


def parse_url(url: str) -> URL:
    """Return `url` with our driver; ``postgres://`` and ``postgresql://`` are the same.

    Raises
    ------
    UsageError
        It is not a URL, or not one of PostgreSQL; the message holds no password.
    """
    expected = "postgresql://user:password@host:5432/database"
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise UsageError(
            f"the database URL cannot be read; expected one like {expected}: "
            "set PROV_DATABASE_URL, or leave it unset for the embedded database"
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise UsageError(
            f"{parsed.render_as_string(hide_password=True)} is no PostgreSQL database; expected "
            f"one like {expected}"
        )
    return parsed.set(drivername=_DRIVER)


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's failures that are not the caller's fault into UnavailableError."""
    try:
        yield
    except exc.TimeoutError as error:  # the pool is exhausted
        raise UnavailableError("the server is busy; try again in a few seconds") from error
    except psycopg2.OperationalError as error:  # on a connection without SQLAlchemy around it
        translated = _translate(error, is_lost=error.pgcode is None)
        if translated is None:
            raise
        raise translated from error
    except exc.DBAPIError as error:
        is_lost = error.connection_invalidated or (
            getattr(error.orig, "pgcode", None) is None
            and isinstance(error, exc.OperationalError | exc.InterfaceError)
        )
        translated = _translate(error.orig, is_lost=is_lost)
        if translated is None:
            raise
        raise translated from error


def _translate(error: BaseException | None, *, is_lost: bool) -> UnavailableError | None:
    state: str | None = getattr(error, "pgcode", None)
    if state == _CANCELLED:
        return UnavailableError(
            "the database gave up on a statement that took too long: ask for less (a smaller "
            "depth or limit), or try again later",
            sqlstate=state,
        )
    if state == _DISK_FULL:
        logger.error("the database has no room left: %s", error)
        return UnavailableError(
            "the database has no room left on its disk; nothing was changed: the operator makes "
            "some, then try again",
            sqlstate=state,
        )
    if state in _TRY_AGAIN:
        return UnavailableError(
            "another writer was at the same records; nothing was changed: try again",
            sqlstate=state,
        )
    if is_lost or state in _GOES_AWAY or (state or "").startswith("08"):
        return _unreachable(error, sqlstate=state)
    return None


def _unreachable(cause: BaseException | None, **details: object) -> DatabaseUnavailableError:
    logger.warning("the database is unavailable: %s", cause)
    return DatabaseUnavailableError(
        "the server cannot reach its database: try again in a few seconds; if it stays so, the "
        "operator looks at prod-server status and the server's log",
        **details,
    )
