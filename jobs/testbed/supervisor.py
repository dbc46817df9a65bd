"""The process that starts, watches and stops all others of the testbed.

    python -m jobs.testbed.supervisor FOLDER

It holds the testbed's lock as long as it lives, and its children end with it, however it ends.
A worker that dies is replaced; without S3 or the server there is no testbed, and it ends.
"""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from provmanager.errors import ProvError, UsageError
from provmanager.service.process import listen

from . import configuration
from .children import Children
from .folder import Folder, try_lock
from .leftovers import end_leftovers
from .options import Options, RunningTestbed
from .pilot.claims import Claims
from .pilot.settings import WorkerSettings
from .pilot.tokens import Server, ServerError, write_credentials
from .stalled import mark_stalled

logger = logging.getLogger("supervisor")

HOST = "127.0.0.1"
_START_LIMIT_S = 300.0
_STOP_LIMIT_S = 20.0
_TURN_S = 0.25
_TOKEN_S = 600.0
_CREDENTIAL_DAYS = 30


class Supervisor:
    """One testbed, from start to stop."""

    def __init__(self, folder: Folder, options: Options) -> None:
        self._folder = folder
        self._options = options
        self._begun_at = time.time()
        self._children = Children(options.python, folder.logs)
        self._stopping = threading.Event()
        self._stamps: dict[str, str] = {}  # worker -> the stamp of the living one
        self._token = ("", 0.0)

    def stop(self, *_: object) -> None:
        """End as soon as possible."""
        self._stopping.set()

    def run(self) -> None:
        """Start everything, watch over it, and stop it when told to.

        Raises
        ------
        ProvError
            Something does not start.
        """
        try:
            self._start()
            self._watch()
        finally:
            self._folder.running.unlink(missing_ok=True)
            grace_s = self._options.kill_grace_s
            self._children.stop(lambda name: name in self._stamps, _STOP_LIMIT_S + grace_s)
            self._children.stop(lambda name: True, _STOP_LIMIT_S)

    def _start(self) -> None:
        folder, python = self._folder, Path(self._options.python)
        configuration.write_keys(folder, python)
        configuration.write_configuration(folder, job_types=self._options.job_types)
        s3, web = (
            self._listen("s3", self._options.s3_port),
            self._listen("server", self._options.port),
        )
        s3_url, url = (f"http://{HOST}:{it.getsockname()[1]}" for it in (s3, web))
        settings = configuration.server_environment(folder, python, url=url, s3_url=s3_url)
        self._server = Server(url)
        self._children.launch(
            "s3", "-m", "pilot.s3", str(s3.fileno()), s3_url.rpartition(":")[2],
            str(folder.sandboxes), configuration.BUCKET, listener=s3,
        )  # fmt: skip
        self._wait_for("s3", Server(s3_url), "/moto-api/")
        self._children.launch(
            "server", "-m", "uvicorn", "--factory", "diracx.testing.routers:create_app",
            # on a busy machine a client's connection may be idle for longer than uvicorn's 5 s
            "--timeout-keep-alive", "75",
            "--fd", str(web.fileno()), listener=web, environ=settings,
        )  # fmt: skip
        self._wait_for("server", self._server, "/api/health/ready")
        self._api_key = configuration.api_key_file(folder).read_text()
        for user in configuration.users():
            token = self._server.token(self._api_key, user, days=_CREDENTIAL_DAYS)
            write_credentials(self._credentials(user.user), token)
        self._claims = Claims(folder.claims)
        self._claims.release(())
        self._worker = self._worker_settings(settings["DIRACX_DB_URL_JOBDB"])
        for number in range(1, self._options.n_workers + 1):
            self._launch_worker(f"worker{number}")
        self._announce(s3_url)

    def _listen(self, name: str, port: int) -> socket.socket:
        """Listen on `port`; if it is 0, on the one of last time, or a free one."""
        kept = self._folder.path / f"{name}.port"
        if port == 0 and kept.exists():
            try:
                return listen(HOST, int(kept.read_text()))
            except UsageError:
                logger.info("port %s of last time is in use: taking another", kept.read_text())
        listener = listen(HOST, port)
        kept.write_text(str(listener.getsockname()[1]))
        return listener

    def _wait_for(self, name: str, server: Server, path: str) -> None:
        self._children.wait_until(
            name, lambda: self._stopping.is_set() or server.answers(path), _START_LIMIT_S
        )
        if self._stopping.is_set():
            raise ProvError("the testbed was stopped while it started")

    def _credentials(self, user: str) -> Path:
        return self._folder.credentials / f"{user}.json"

    def _worker_settings(self, job_database_url: str) -> WorkerSettings:
        pilot = configuration.PILOT
        return WorkerSettings(
            url=self._server.url,
            job_database_url=job_database_url,
            api_key_file=str(configuration.api_key_file(self._folder)),
            claims=str(self._folder.claims),
            jobs=str(self._folder.jobs),
            site=self._options.site,
            stamp="",
            vo=pilot.vo,
            pilot_user=pilot.user,
            pilot_group=pilot.group,
            heartbeat_s=self._options.heartbeat_s,
            kill_grace_s=self._options.kill_grace_s,
            keep_directories=self._options.keep_directories,
        )

    def _launch_worker(self, name: str) -> None:
        self._stamps[name] = uuid.uuid4().hex
        settings = replace(self._worker, stamp=self._stamps[name])
        self._children.launch(name, "-m", "pilot.worker", settings.dump())

    def _announce(self, s3_url: str) -> None:
        RunningTestbed(
            url=self._server.url,
            s3_url=s3_url,
            pid=os.getpid(),
            site=self._options.site,
            n_workers=self._options.n_workers,
            folder=str(self._folder.path),
            credentials={u.user: str(self._credentials(u.user)) for u in configuration.users()},
            dirac=str(Path(self._options.python).with_name("dirac")),
            started_at=time.time(),
            start_s=round(time.time() - self._begun_at, 2),
        ).announce(self._folder.running)

    def _watch(self) -> None:
        """Replace workers that die, and look for jobs that nobody runs any more."""
        every_s = self._options.stalled_s / 2
        look_at = time.monotonic() + every_s
        while not self._stopping.wait(_TURN_S) and self._is_wanted():
            ended = self._children.take_ended()
            for name, code in ended.items():
                logger.warning("%s ended with code %d", name, code)
                if name not in self._stamps:
                    raise ProvError(f"the testbed's {name} ended with code {code}")
                end_leftovers(self._stamps[name])
                self._launch_worker(name)
            if ended:
                self._claims.release(list(self._stamps.values()))
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + every_s
                self._look_for_stalled()

    def _is_wanted(self) -> bool:
        owner = self._options.owner_pid
        return not owner or Path(f"/proc/{owner}").exists()

    def _look_for_stalled(self) -> None:
        try:
            token, until = self._token
            if time.monotonic() > until:
                pilot = configuration.PILOT
                token = self._server.token(self._api_key, pilot)["access_token"]
                self._token = (token, time.monotonic() + _TOKEN_S)
            mark_stalled(
                self._server, token, silence_s=self._options.stalled_s, now=datetime.now(UTC)
            )
        except ServerError as error:
            logger.warning("looking for stalled jobs: %s", error)


def main() -> None:
    """Supervise the testbed in the folder of the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder = Folder(Path(sys.argv[1]))
    lock = try_lock(folder.lock)
    if lock is None:
        sys.exit("another supervisor of this folder runs")
    supervisor = Supervisor(folder, Options.read(folder.options))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    try:
        supervisor.run()
    except ProvError as error:
        logger.error("%s", error)
        folder.error.write_text(json.dumps(error.to_wire()))
        sys.exit(error.exit_code)
    except ServerError:
        logger.exception("the server failed")
        sys.exit(1)


if __name__ == "__main__":
    main()
