"""`LocalEngine`: start a process for a run, ask its directory how far it is, end it."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from provmanager.config import state_dir
from provmanager.errors import AmbiguousError, NotFoundError, ProvError, UsageError

from ..interface import Product, Results, RunRequest, RunStatus
from .closing import close_run
from .directory import RunDirectory, run_info, write_json
from .places import check_no_lfns

_START_TIMEOUT_S = 60.0


class LocalEngine:
    """Runs workflows on this machine, each in a process of its own that outlives ours.

    Parameters
    ----------
    folder : Path, optional
        Where the directories of runs lie; by default ``runs`` in the state directory.
    """

    name = "local"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else state_dir() / "runs"

    def submit(self, request: RunRequest) -> str:
        """Start a run and return its id, the UUID of its activity."""
        check_no_lfns(request.inputs)
        run_id = request.run_id or str(uuid4())
        resumed = self.find(request.resume) if request.resume else None
        if resumed is not None and resumed.is_alive():
            raise UsageError(
                f"run {resumed.info()['id']} still runs: wait for its end, or cancel it"
            )
        directory = self.make_directory(run_id, request)
        with directory.starting():
            if request.run_id is None or not directory.has_begun():
                self._start(directory, run_id, request, resumed)
        return run_id

    def _start(
        self,
        directory: RunDirectory,
        run_id: str,
        request: RunRequest,
        resumed: RunDirectory | None,
    ) -> None:
        """Start the process of a run.

        One that another submitter started, and was killed before it could say so, may be about to
        take the lock: the directory stays the same, and the second of the two finds that the run
        has begun.
        """
        info = run_info(run_id, self.name, request)
        info["resumes"] = str(resumed.path) if resumed else None
        write_json(directory.inputs_file, request.inputs)
        write_json(directory.run_file, info)
        pid = _spawn(directory, {**os.environ, **request.environ})
        write_json(directory.run_file, info | {"starting_pid": pid})
        _wait_for_start(directory, pid)

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str]:
        """Start several runs, one after the other, and return their ids."""
        runs: list[str] = []
        for request in requests:
            try:
                runs.append(self.submit(request))
            except ProvError as error:
                error.details["runs"] = runs
                raise
        return runs

    def request(self, run: str) -> RunRequest:
        """Return what was asked for when a run was submitted."""
        directory = self.find(run)
        info = directory.info()
        return RunRequest(
            workflow=info["workflow"],
            name=info["name"],
            inputs=json.loads(directory.inputs_file.read_text(encoding="utf-8")),
            steps=tuple(info["steps"]),
            max_parallel=info["max_parallel"],
            container=info.get("container"),
        )

    def status(self, run: str) -> RunStatus:
        """Return how far a run is."""
        return self.find(run).status()

    def runs(self) -> list[RunStatus]:
        """Return the runs of the state directory, the newest first, without their steps."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(NotFoundError):  # a run directory that the user has removed
                found.append(RunDirectory(path.resolve()).status(with_steps=False))
        return sorted(found, key=lambda run: run.started_at or "", reverse=True)

    def cancel(self, run: str) -> None:
        """Ask a run to end; returns before it has."""
        directory = self.find(run)
        if directory.is_alive():
            with suppress(ProcessLookupError):
                os.kill(int(directory.info()["starting_pid"]), signal.SIGTERM)

    def results(self, run: str) -> Results:
        """Return what a run gave."""
        directory = self.find(run)
        try:
            outputs = json.loads(directory.outputs_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            outputs = {}
        products: tuple[Product, ...] = directory.status().products
        return Results(outputs=outputs, products=products)

    def reads_lfns(self, job: Mapping[str, object]) -> bool:
        """Whether inputs that are LFNs are read: they are not, here."""
        return False

    def settle(self, run: str) -> None:
        """Close what a run that ended left open in its record, and deliver all of it again."""
        close_run(self.find(run))

    def find(self, run: str) -> RunDirectory:
        """Return the directory of a run: by its id, the beginning of it, or its path.

        Raises
        ------
        NotFoundError, AmbiguousError
            There is none, or several begin so.
        """
        if (Path(run) / "run.json").is_file():
            return RunDirectory(Path(run).resolve())
        if not run or "/" in run:
            raise NotFoundError(f"{run!r} is no run and no directory of one")
        names = [p.name for p in self.folder.iterdir()] if self.folder.is_dir() else []
        matches = [run] if run in names else sorted(n for n in names if n.startswith(run.lower()))
        if len(matches) > 1:
            raise AmbiguousError(
                f"{len(matches)} runs begin with {run!r}: give more of the id",
                candidates=[{"id": name} for name in matches],
            )
        if not matches:
            raise NotFoundError(f"there is no run {run!r} in {self.folder}; see prod-status")
        return RunDirectory((self.folder / matches[0]).resolve())

    def make_directory(self, run_id: str, request: RunRequest) -> RunDirectory:
        """Make the directory of a run, empty; that of a promised run may be there already.

        Raises
        ------
        UsageError
            It cannot be made, or there is something in it.
        """
        path = self.folder / run_id
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if request.run_dir is None:
                path.mkdir(exist_ok=request.run_id is not None)
            else:
                path = request.run_dir.absolute()
                path.mkdir(parents=True, exist_ok=True)
                if any(path.iterdir()):
                    raise UsageError(f"{path} is not empty: give a run a directory of its own")
                (self.folder / run_id).symlink_to(path, target_is_directory=True)
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}: name a directory that can be written to "
                "with --run-dir, or set PROV_STATE_DIR"
            ) from error
        return RunDirectory(path)


def _spawn(directory: RunDirectory, environ: Mapping[str, str]) -> int:
    """Start the process of a run, in a session of its own, and return its number."""
    command = [sys.executable, "-m", "jobs.engines.local", str(directory.path)]
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(directory.log_file), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(sys.executable, command, environ, file_actions=actions, setsid=True)


def _wait_for_start(directory: RunDirectory, pid: int) -> None:
    """Wait until the process has taken the lock, so that nobody takes the run for dead."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if directory.is_alive() or os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.005)
