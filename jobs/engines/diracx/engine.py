"""`DiracxEngine`: each run a grid job."""

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from provmanager.client import ProvClient
from provmanager.config import find_connection, state_dir
from provmanager.errors import NotFoundError, ProvError, UsageError

from ..interface import Results, RunRequest, RunStatus, StepState, StepStatus
from ..local import LocalEngine
from ..local.directory import RunDirectory, now, write_json
from .closing import TIMEOUT_S
from .grid import Grid, JobState
from .harvest import bring_home
from .jdl import GridOptions, JobRequest, make_jdl
from .names import job_activity_of, job_name
from .node import RESULT
from .package import SCRIPT, make_package

OPTIONS_VARIABLE = "PROV_GRID_OPTIONS"
"""Names a JSON file with the fields of `GridOptions`."""

_PACKAGE = "package"
_FRESH_S = 1.0  # how often DiracX is asked at most
_TOLD = ("id", "name", "steps", "command", "max_parallel", "job_activity")
_WORKING = frozenset({"Running", "Completing", "Stalled"})
_STATES: dict[str, StepState] = {
    "running": "running", "completed": "completed", "error": "error", "interrupted": "interrupted",
}  # fmt: skip


class DiracxEngine:
    """Runs workflows as jobs of DiracX: of ``DIRACX_URL``, as the user who logged in there.

    Parameters
    ----------
    folder : Path, optional
        Where what comes home lies; by default ``grid-runs`` in the state directory.
    options : GridOptions, optional
        What jobs ask for; by default from the file that ``PROV_GRID_OPTIONS`` names.
    """

    name = "diracx"

    def __init__(self, folder: Path | None = None, options: GridOptions | None = None) -> None:
        self.folder = folder if folder is not None else state_dir() / "grid-runs"
        self._options = options
        self._grid = Grid()
        self._looked: dict[int, tuple[float, RunStatus]] = {}
        self._kept = LocalEngine(self.folder)  # directories of runs are kept alike

    def submit(self, request: RunRequest) -> str:
        """Submit a run as a job, and return its id, the UUID of its activity."""
        if request.resume:
            raise UsageError("a run on the grid cannot be resumed yet: submit it anew")
        run_id = str(uuid4())
        directory = self._kept.make_directory(run_id, request)
        info: dict[str, Any] = {  # Any: JSON
            "id": run_id,
            "name": request.name,
            "engine": self.name,
            "workflow": request.workflow,
            "steps": list(request.steps),
            "command": list(request.command),
            "max_parallel": request.max_parallel,
            "created_at": now(),
            "sent": _sent(request),
            "job_activity": job_activity_of(run_id),
            "grid": self._grid.url,
        }
        try:
            jdl = self._prepare(directory, request, info)
        except ProvError:  # nothing of it is on the grid: nothing stays here either
            shutil.rmtree(directory.path)
            (self.folder / run_id).unlink(missing_ok=True)  # where the run has a folder elsewhere
            raise
        (directory.path / "job.jdl").write_text(jdl)
        write_json(directory.run_file, info)  # before: a job that nobody knows would be worse
        (job_id,) = self._grid.submit([jdl])
        write_json(directory.run_file, info | {"grid_job": job_id})
        return run_id

    def _prepare(
        self,
        directory: RunDirectory,
        request: RunRequest,
        info: dict[str, Any],  # Any: JSON
    ) -> str:
        """Upload what the job needs, and return its JDL."""
        options = self._options or _options()
        write_json(directory.inputs_file, request.inputs)
        job = {
            **{name: info[name] for name in _TOLD},
            "submitted_at": info["created_at"],
            "server": {**os.environ, **request.environ}.get("PROV_SERVER_URL") or None,
            "agent": os.environ.get("PROV_AGENT") or None,
        }
        package = make_package(
            directory.path / _PACKAGE, request.workflow, request.inputs, job,
            python=options.python or sys.executable,
        )  # fmt: skip
        jdl = make_jdl(
            JobRequest(
                name=job_name(request.name, info["id"]),
                executable=SCRIPT,
                input_sandbox=(self._grid.upload(package),),
                output_sandbox=("std.out", "std.err", RESULT),
                options=options,
            )
        )
        shutil.rmtree(directory.path / _PACKAGE)  # it lies in the sandbox now
        return jdl

    def request(self, run: str) -> RunRequest:
        """Return what was asked for when a run was submitted."""
        self.find(run)
        return self._kept.request(run)

    def status(self, run: str) -> RunStatus:
        """Return how far a run is; what has ended is brought home first."""
        directory = self.find(run)
        found = _status(directory)
        if found.is_final:
            return found
        job_id = directory.info().get("grid_job")
        if job_id is None:
            return replace(found, state="error", exit_code=1, reason="it was not submitted")
        looked_at, looked = self._looked.get(job_id, (float("-inf"), found))
        if time.monotonic() - looked_at < _FRESH_S:
            return looked
        state = self._grid.states([job_id]).get(job_id)
        if state is None:
            return replace(
                found, state="interrupted", exit_code=1, reason=f"DiracX has no job {job_id}"
            )
        if state.is_final and bring_home(self._grid, directory, state):
            return _status(directory)
        working = _with_recorded_steps(_working(found, state))
        self._looked[job_id] = (time.monotonic(), working)
        return working

    def runs(self) -> list[RunStatus]:
        """Return the runs submitted from here, the newest first, without their steps."""
        directories = [
            RunDirectory(path.resolve())
            for path in (self.folder.iterdir() if self.folder.is_dir() else ())
        ]
        found: list[RunStatus] = []
        pending: dict[int, RunStatus] = {}
        for directory in directories:
            with suppress(NotFoundError):
                status = replace(_status(directory), steps=())
                job_id = directory.info().get("grid_job")
                if status.is_final or job_id is None:
                    found.append(status)
                else:
                    pending[job_id] = status
        states = self._grid.states(list(pending)) if pending else {}
        found += [
            _working(status, states[job]) if job in states else status
            for job, status in pending.items()
        ]
        return sorted(found, key=lambda run: run.started_at or "", reverse=True)

    def cancel(self, run: str) -> None:
        """Have the job of a run killed; returns before it is."""
        directory = self.find(run)
        job_id = directory.info().get("grid_job")
        if job_id is not None and not _status(directory).is_final:
            self._grid.kill([job_id])

    def results(self, run: str) -> Results:
        """Return what a run gave."""
        self.status(run)  # brings home what there is
        return self._kept.results(run)

    def find(self, run: str) -> RunDirectory:
        """Return the directory of a run: by its id, the beginning of it, or its path.

        Raises
        ------
        NotFoundError, AmbiguousError
            There is none, or several begin so.
        """
        directory = self._kept.find(run)
        if directory.info().get("engine") != self.name:
            raise NotFoundError(f"{run} is no run on the grid")
        return directory


def _options() -> GridOptions:
    named = os.environ.get(OPTIONS_VARIABLE)
    return GridOptions.read(Path(named)) if named else GridOptions()


def _sent(request: RunRequest) -> list[str]:
    """Return the paths of the workflow and of the inputs: what the package holds copies of."""
    from ..local.places import each_place, path_of

    document = request.workflow.partition("#")[0].removeprefix("file://")
    found = (path_of(place) for place in each_place(request.inputs))
    return [document, *(path for path in found if path is not None)]


def _status(directory: RunDirectory) -> RunStatus:
    status = directory.status()
    notes = status.notes
    with suppress(OSError):
        notes = (*notes, json.loads((directory.path / "delivery.json").read_text())["note"])
    return replace(status, engine=DiracxEngine.name, notes=notes)


def _working(status: RunStatus, state: JobState) -> RunStatus:
    """Return what DiracX says of a run that is not brought home."""
    is_working = state.status in _WORKING or state.is_final
    return replace(
        status,
        state="running" if is_working else "waiting",
        started_at=state.started_at or status.started_at,
        reason=f"job {state.job_id} at {state.site}: {state.status}, {state.minor}",
    )


def _with_recorded_steps(status: RunStatus) -> RunStatus:
    """Add what the node has told the server of the steps, if it reaches it."""
    if status.state != "running":
        return status
    try:
        found = find_connection()
        with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
            parts = client.activity(status.id)["parts"]
    except ProvError:
        return status
    known = {part["name"]: part for part in parts}
    told = tuple(
        StepStatus(name=name, state=_STATES.get(part["status"], "running"),
                   activity=part["activity"])
        for name, part in known.items()
    )  # fmt: skip
    waiting = tuple(step for step in status.steps if step.name not in known)
    return replace(status, steps=(*told, *waiting))
