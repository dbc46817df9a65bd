"""A server of its own for a benchmark: embedded PostgreSQL, uvicorn in a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import ProvError
from provmanager.logic import access
from provmanager.model import Role
from provmanager.store.database import Database, open_database
from provmanager.store.embedded import start
from provmanager.store.migrations import migrate

_SERVE = """
import sys, uvicorn
from provmanager.config.settings import load_settings
from provmanager.service.app import create_app
url, port, state = sys.argv[1:]
app = create_app(load_settings(database_url=url, state_dir=state))
uvicorn.run(app, port=int(port), log_level="error")
"""


class Served(NamedTuple):
    """What a benchmark talks to."""

    client: ProvClient
    database: Database
    url: str
    token: str
    database_url: str
    server_pid: int

    def cpu_s(self) -> tuple[float, float]:
        """Return CPU seconds so far of the server and of PostgreSQL (Linux)."""
        with self.database.transaction() as session:
            backend = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postmaster = int(_stat(backend)[1])
        workers = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal()]
        mine = [pid for pid in workers if _stat(pid)[1:2] == [str(postmaster)]]
        return _cpu_s(self.server_pid), sum(map(_cpu_s, [postmaster, *mine]))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serve() -> Iterator[Served]:
    """Yield a fresh server; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="prov-bench-") as folder:
        Path(folder).chmod(0o755)
        postgresql = start(Path(folder) / "postgresql")
        database = open_database(postgresql.url)
        migrate(database)
        with database.transaction() as session:
            token, _ = access.create_token(
                session, name="benchmark", role=Role.ADMIN, now=datetime.now(UTC)
            )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        server = subprocess.Popen([sys.executable, "-c", _SERVE, postgresql.url, str(port), folder])
        url = f"http://127.0.0.1:{port}"
        try:
            with ProvClient(url, token, timeout_s=600) as client:
                _wait(client)
                yield Served(client, database, url, token, postgresql.url, server.pid)
        finally:
            server.terminate()
            server.wait()
            database.close()
            postgresql.stop()


def _wait(client: ProvClient) -> None:
    for _ in range(100):
        try:
            client.health()
        except ProvError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")
