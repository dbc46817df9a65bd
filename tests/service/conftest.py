"""A real PostgreSQL, a real app on loopback and a real prod-server for the tests of the service."""

import contextlib
import itertools
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg2
import pytest
import uvicorn
from click.testing import CliRunner, Result
from fastapi import FastAPI
from server_process import ServerProcess

from jobs.testbed import RunningTestbed
from provmanager.client import ProvClient
from provmanager.config.settings import Settings, load_settings
from provmanager.logic import access
from provmanager.logic.rebuilding import Scratch
from provmanager.model import Role
from provmanager.service.app import create_app
from provmanager.store.database import Database, open_database
from provmanager.store.embedded import EmbeddedServer, start
from provmanager.store.migrations import migrate

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the account can enter to which root hands PostgreSQL; pytest's are closed."""
    with tempfile.TemporaryDirectory(prefix="prov-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
def postgresql(open_folder: Path) -> Iterator[EmbeddedServer]:
    """An embedded PostgreSQL for the whole session."""
    server = start(open_folder / "postgresql")
    yield server
    server.stop()


def _execute(url: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def template_database(postgresql: EmbeddedServer) -> str:
    """Name of a database with the whole schema and nothing in it."""
    _execute(postgresql.url, "CREATE DATABASE template_prov")
    database = open_database(postgresql.url.replace("/prov?", "/template_prov?"))
    migrate(database)
    database.close()
    return "template_prov"


@pytest.fixture(scope="session")
def make_database_url(
    postgresql: EmbeddedServer, template_database: str
) -> Iterator[Callable[[], str]]:
    """Make a fresh, migrated database (about 40 ms) and return its URL; dropped at the end."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{next(_numbers)}"
        _execute(
            postgresql.url,
            f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy",
        )
        made.append(name)
        return postgresql.url.replace("/prov?", f"/{name}?")

    yield make
    for name in made:
        _execute(postgresql.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def database_url(make_database_url: Callable[[], str]) -> str:
    """URL of a database for this test module alone."""
    return make_database_url()


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    """The module's database, for looking into it behind the service's back."""
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory for this test module alone."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def grid_issuers(testbed: RunningTestbed, state_dir: Path) -> Path:
    """What has a service take the tokens of the testbed's users, for recording."""
    path = state_dir / "issuers.json"
    roles = [{"vo": "testbed", "role": "recorder"}]
    path.write_text(json.dumps({"issuers": [{"issuer": testbed.url, "roles": roles}]}))
    return path


@pytest.fixture(scope="module")
def settings(request: pytest.FixtureRequest, database_url: str, state_dir: Path) -> Settings:
    """Settings of the module's service; override this fixture to change them.

    In a module with the mark ``grid_users``, users of the testbed's DiracX may record.
    """
    is_theirs = request.node.get_closest_marker("grid_users") is not None
    issuers = request.getfixturevalue("grid_issuers") if is_theirs else None
    return load_settings(
        database_url=database_url, state_dir=state_dir, port=0, issuers_file=issuers
    )


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    """The service on the module's database."""
    return create_app(settings)


@pytest.fixture(scope="module")
def app_url(app: FastAPI) -> Iterator[str]:
    """Address of `app`, served by uvicorn on loopback in a thread of this process."""
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets it only on sockets that say IPPROTO_TCP, which this one does not; connections
    # inherit it. Without it each answer on a kept connection waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=120)
    listener.close()


@pytest.fixture(scope="module")
def make_token(database: Database) -> Callable[..., str]:
    """Make a token: ``make_token("reader")``, ``make_token("recorder", job="42")``."""

    def make(role: str, **options: Any) -> str:
        options = {"now": datetime.now(UTC), "name": f"{role} {next(_numbers)}"} | options
        with database.transaction() as session:
            return access.create_token(session, role=Role(role), **options)[0]

    return make


@pytest.fixture(scope="module")
def token(make_token: Callable[..., str]) -> str:
    """An admin's token."""
    return make_token("admin")


@pytest.fixture(scope="module")
def client(app_url: str, token: str) -> Iterator[ProvClient]:
    """An admin's client of `app`."""
    with ProvClient(app_url, token, timeout_s=60) as connected:
        yield connected


@pytest.fixture(scope="module")
def run(
    app_url: str, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Result]:
    """Run a command as a person does: ``run(trace.main, "dl2.h5", "--depth", 1)``."""
    state = str(tmp_path_factory.mktemp("state"))
    environment = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token, "PROV_STATE_DIR": state}

    def invoke(command: click.Command, *arguments: object) -> Result:
        return CliRunner().invoke(command, [str(a) for a in arguments], env=environment)

    return invoke


@pytest.fixture
def make_server(open_folder: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Make a ``prod-server`` (not yet started) with a state directory of its own."""
    made: list[ServerProcess] = []

    def make(**environ: str) -> ServerProcess:
        folder = open_folder / f"state-{next(_numbers)}"
        made.append(ServerProcess(folder, environ))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None:
            server.end()
        server.command("stop")
        shutil.rmtree(server.state_dir, ignore_errors=True)


@pytest.fixture
def server(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A running ``prod-server`` with its embedded database."""
    made = make_server()
    made.start()
    return made


@pytest.fixture(scope="module")
def make_scratch(make_database_url: Callable[[], str]) -> Iterator[Callable[[], Scratch]]:
    """Make an empty record to make another one in anew."""
    made: list[Database] = []

    def make() -> Scratch:
        made.append(open_database(make_database_url()))
        return Scratch(made[-1])

    yield make
    for database in made:
        database.close()


@pytest.fixture(scope="module")
def scratch(make_scratch: Callable[[], Scratch]) -> Scratch:
    """A record to make the same one in anew, again and again."""
    return make_scratch()
