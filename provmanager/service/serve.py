"""Run the server: database, schema, operator's token, HTTP; and take it all down again in order."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import uvicorn

from provmanager.config import admin_token_file
from provmanager.config.settings import Settings
from provmanager.errors import ProvError, UsageError
from provmanager.logic import access
from provmanager.logic.descriptions import document_earlier
from provmanager.store import embedded
from provmanager.store.database import open_database, parse_url
from provmanager.store.migrations import migrate

from .app import configure_logging, create_app, ingest_policy
from .process import DATABASE_NAME, RunningServer, announce, listen, state_lock, withdraw

logger = logging.getLogger(__name__)

_WATCH_S = 1.0
# Longer than clients keep an idle connection, so that none is closed that is about to be used.
_KEEP_ALIVE_S = 75


def serve(settings: Settings, *, on_ready: Callable[[RunningServer], None]) -> None:
    """Run the server until SIGTERM or SIGINT; `on_ready` is called when it answers.

    Raises
    ------
    UsageError
        The settings cannot be used: the port is taken, another server runs from the state
        directory, and the like.
    SchemaMismatchError, DatabaseUnavailableError
        The database cannot be used.
    """
    configure_logging(settings)
    with (
        _StopSignals() as signals,
        state_lock(settings.state_dir),
        listen(settings.host, settings.port) as listener,
        _database_url(settings) as url,
    ):
        token_file = _prepare_database(url, settings)
        app = create_app(settings.model_copy(update={"database_url": url}))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=settings.log_requests,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=settings.shutdown_grace_s,
            timeout_keep_alive=_KEEP_ALIVE_S,
            server_header=False,
            proxy_headers=False,
        )
        _check_tls(settings)
        running = RunningServer(
            url=settings.public_url or _url(settings, listener),
            pid=os.getpid(),
            host=socket.gethostname(),
            database=_shown(settings),
            token_file=str(token_file),
            state_dir=str(settings.state_dir),
            started_at=time.time(),
        )

        def become_ready() -> None:
            announce(running)
            on_ready(running)

        server = _Server(config, on_started=become_ready)
        signals.server = server
        if signals.n_received == 0:
            try:
                server.run(sockets=[listener])
            finally:
                withdraw(settings.state_dir)
    logger.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn, which leaves the signals to us: it would end the process before PostgreSQL."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self._on_started)


class _StopSignals:
    """The first SIGTERM or SIGINT ends the server in good order, the second without waiting."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None
        self.n_received = 0

    def __enter__(self) -> "_StopSignals":
        self._before = {number: signal.signal(number, self._handle) for number in self._SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.n_received += 1
        if self.server is not None:
            self.server.should_exit = True
            self.server.force_exit = self.n_received > 1


def _url(settings: Settings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    scheme = "https" if settings.tls_cert else "http"
    name = settings.host if scheme == "https" and settings.host == "localhost" else host
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def _shown(settings: Settings) -> str:
    if settings.database_url is None:
        return "embedded"
    return parse_url(settings.database_url).render_as_string(hide_password=True)


def _check_tls(settings: Settings) -> None:
    if settings.tls_cert is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert, settings.tls_key
        )
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"PROV_TLS_CERT {settings.tls_cert} and PROV_TLS_KEY {settings.tls_key} cannot be used "
            f"together: {error}: both must be PEM, and the key the certificate's"
        ) from error


def _prepare_database(url: str, settings: Settings) -> Path:
    """Bring the schema up to date and see to the operator's token; return where that lies."""
    path = admin_token_file(settings.state_dir)
    database = open_database(url, pool_size=1)
    try:
        migrate(database)
        with database.transaction() as session:
            if access.ensure_operator_token(session, path, now=datetime.now(UTC)):
                logger.info("made the operator's token %s", path)
            if document_earlier(session, policy=ingest_policy(settings)):
                logger.info("made a document of the descriptions that were no documents yet")
    finally:
        database.close()
    return path


@contextlib.contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database: the one that is set, or an embedded one's while it lasts."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    keeper = _Keeper(settings.state_dir / DATABASE_NAME)
    try:
        yield keeper.url
    finally:
        keeper.close()


class _Keeper:
    """Keeps an embedded PostgreSQL running: starts it again if it is killed."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server = embedded.start(data_dir)
        self.url = self._server.url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="postgresql-keeper", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(_WATCH_S):
            if embedded.is_running(self._data_dir):
                continue
            if not (self._data_dir / "pgdata" / "PG_VERSION").exists():
                logger.critical("the data in %s are gone: stop this server", self._data_dir)
                return
            logger.error("the embedded PostgreSQL in %s is gone: starting it", self._data_dir)
            try:
                self._server.stop()
                self._server = embedded.start(self._data_dir)
            except ProvError as error:
                logger.error("%s", error)

    def close(self) -> None:
        """Stop it, unless another process uses it."""
        self._over.set()
        self._thread.join()
        self._server.stop()
