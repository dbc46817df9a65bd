"""`DiracxEngine`: each run a grid job."""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from provmanager.client import ProvClient
from provmanager.config import find_connection, state_dir
from provmanager.errors import JSONDict, NotFoundError, ProvError, UsageError

from ..interface import Results, RunRequest, RunStatus, StepState, StepStatus
from ..local import LocalEngine
from ..local.directory import RunDirectory, run_info, write_json
from . import install
from .closing import TIMEOUT_S
from .discovery import is_rescheduled
from .expected import with_digests
from .former import find_former, pack_formers
from .grid import Grid, JobState, gone
from .harvest import bring_home, look_again
from .jdl import GridOptions, JobRequest, make_jdl
from .names import RESULT, job_activity_of, job_name
from .package import (
    JOB_FILE,
    SCRIPT,
    NodeSoftware,
    PackedWorkflow,
    carries_files,
    lfns_in,
    make_package,
)
from .software import Wheels, make_wheels

OPTIONS_VARIABLE = "PROV_GRID_OPTIONS"
"""Names a JSON file with the fields of `GridOptions`."""

_PACKAGE = "package"
_SHARED = 20  # most jobs of one sandbox: each of them downloads what all need
_SOFTWARE = "grid-software"
_FRESH_S = 1.0  # how often DiracX is asked at most
_TOLD = ("id", "name", "steps", "command", "max_parallel", "container", "job_activity")
_WORKING = frozenset({"Running", "Completing", "Stalled"})
_STATES: dict[str, StepState] = {
    "running": "running", "completed": "completed", "error": "error", "interrupted": "interrupted",
}  # fmt: skip


@dataclass
class _Draft:
    """A run that is about to be submitted."""

    directory: RunDirectory
    info: JSONDict
    options: GridOptions = field(default_factory=GridOptions)
    package: Path = Path()
    job_file: str = JOB_FILE
    wheels: Wheels | None = None
    input_data: tuple[str, ...] = ()


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
        self._given = options
        self._grid = Grid()
        self._made_wheels: dict[tuple[str, ...], Wheels] = {}
        self._uploaded: dict[Wheels, str] = {}
        self._looked: dict[int, tuple[float, RunStatus]] = {}
        self._kept = LocalEngine(self.folder)  # directories of runs are kept alike

    def submit(self, request: RunRequest) -> str:
        """Submit a run as a job, and return its id, the UUID of its activity."""
        return self.submit_all([request])[0]

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str]:
        """Submit runs as jobs, 20 a call of DiracX, and return their ids."""
        known = self._submitted_before([request for request in requests if request.run_id])
        new = [request for request in requests if request.run_id not in known]
        made = iter(self._submit_new(new) if new else ())
        return [r.run_id if r.run_id and r.run_id in known else next(made) for r in requests]

    def _submitted_before(self, requests: Sequence[RunRequest]) -> dict[str | None, int]:
        """Return the job of each promised run that has one: its name in DiracX tells the run.

        A submission cannot be made twice without harm, so it is looked for first.
        """
        if not requests:
            return {}
        names = {job_name(r.name, r.run_id): r for r in requests if r.run_id}
        found = self._grid.find_named(list(names))
        for name, request in names.items():
            folder = self.folder / str(request.run_id)
            if name not in found and folder.exists():  # left by one that was killed
                self._remove([_Draft(RunDirectory(folder.resolve()), {"id": request.run_id})])
            elif name in found and not folder.exists():
                draft = self._draft(request)
                write_json(draft.directory.inputs_file, request.inputs)
                write_json(draft.directory.run_file, draft.info)
            if name in found:
                directory = RunDirectory(folder.resolve())
                write_json(directory.run_file, directory.info() | {"grid_job": found[name]})
        return {request.run_id: found[name] for name, request in names.items() if name in found}

    def _submit_new(self, requests: Sequence[RunRequest]) -> list[str]:
        drafts: list[_Draft] = []
        try:
            workflows = {request.workflow: None for request in requests}
            packed = {workflow: PackedWorkflow.of(workflow) for workflow in workflows}
            packages: dict[tuple[str, NodeSoftware], tuple[Path, int]] = {}
            for request in requests:
                drafts.append(self._draft(request))
                self._pack(drafts[-1], request, packed[request.workflow], packages)
            sandboxes = self._upload([draft.package for draft in drafts])
            software = self._sandboxes_of_wheels(drafts)
            jdls = [
                self._jdl(draft, (sandboxes[draft.package], *more))
                for draft, more in zip(drafts, software, strict=True)
            ]
        except ProvError:  # nothing of it is on the grid: nothing stays here either
            self._remove(drafts)
            raise
        for draft, jdl in zip(drafts, jdls, strict=True):
            shutil.rmtree(draft.directory.path / _PACKAGE, ignore_errors=True)  # in the sandbox now
            (draft.directory.path / "job.jdl").write_text(jdl)
            write_json(draft.directory.run_file, draft.info)  # before: a job that nobody knows
        try:
            self._keep_numbers(drafts, self._grid.submit(jdls))
        except ProvError as error:
            job_ids = error.details.get("submitted", [])
            self._keep_numbers(drafts, job_ids)
            error.details["runs"] = [draft.info["id"] for draft in drafts[: len(job_ids)]]
            if isinstance(error, UsageError):  # refused: it is certain that there is no job
                self._remove(drafts[len(job_ids) :])
            raise
        return [draft.info["id"] for draft in drafts]

    def _draft(self, request: RunRequest) -> "_Draft":
        """Make the directory of a run that is to be submitted."""
        run_id = request.run_id or str(uuid4())
        info = run_info(run_id, self.name, request)
        info |= {
            "sent": _sent(request),
            "job_activity": job_activity_of(run_id),
            "grid": self._grid.url,
            "resumes": str(self._former(request.resume).path) if request.resume else None,
        }
        options = self._options.over(request.job)
        return _Draft(self._kept.make_directory(run_id, request), info, options)

    def _pack(
        self,
        draft: "_Draft",
        request: RunRequest,
        workflow: PackedWorkflow,
        packages: dict[tuple[str, NodeSoftware], tuple[Path, int]],
    ) -> None:
        """Write what the job needs on its node; jobs without files of their own share a package."""
        info = draft.info
        write_json(draft.directory.inputs_file, request.inputs)
        if draft.options.wheels:
            draft.wheels = self._wheels(draft.options.wheels)
        software = NodeSoftware(
            python=draft.options.python or sys.executable,
            wheels=draft.wheels.digest if draft.wheels else None,
            area=draft.options.software_area,
            container=draft.options.node_container(),
        )
        draft.package = draft.directory.path / _PACKAGE
        resumes = info["resumes"]
        if not resumes and not carries_files(request.inputs):
            shared, n_jobs = packages.get((request.workflow, software), (draft.package, 0))
            if n_jobs < _SHARED:
                draft.package = shared
            else:
                n_jobs = 0
            draft.job_file = f"{n_jobs}.{JOB_FILE}" if n_jobs else JOB_FILE
            packages[request.workflow, software] = draft.package, n_jobs + 1
        draft.package.mkdir(exist_ok=True)
        job = {
            "formers": pack_formers(RunDirectory(Path(resumes)), draft.package) if resumes else [],
            **{name: info[name] for name in _TOLD},
            "bring_products": draft.options.bring_products,
            "submitted_at": info["created_at"],
            "server": {**os.environ, **request.environ}.get("PROV_SERVER_URL") or None,
            "agent": os.environ.get("PROV_AGENT") or None,
        }
        make_package(
            draft.package,
            workflow,
            with_digests(request.inputs),
            job,
            software=software,
            storage=draft.options.storage,
            job_file=draft.job_file,
        )
        storage = draft.options.storage
        if storage is not None and storage.kind == "dirac":  # what its own brokering goes by
            draft.input_data = tuple(lfns_in(request.inputs))

    def _upload(self, packages: Sequence[Path]) -> dict[Path, str]:
        """Upload packages, each once, and return the names of their sandboxes."""
        each = list(dict.fromkeys(packages))
        names = self._grid.upload([sorted(package.iterdir()) for package in each])
        return dict(zip(each, names, strict=True))

    def _former(self, name: str) -> RunDirectory:
        """Return the directory of a run that is resumed; of one on the grid, after a look there.

        Raises
        ------
        NotFoundError, UsageError
            There is none, or it has not ended.
        """
        found = find_former(name, self.folder, LocalEngine().folder)
        engine = found.info().get("engine")
        status = self.status(str(found.path)) if engine == self.name else found.status()
        if not status.is_final:
            raise UsageError(f"run {status.id} still runs: wait for its end, or cancel it")
        return found

    def _wheels(self, extras: tuple[str, ...]) -> Wheels:
        """Return the wheels; an installation does not change while a process of it runs."""
        if extras not in self._made_wheels:
            self._made_wheels[extras] = make_wheels(state_dir() / _SOFTWARE, extras)
        return self._made_wheels[extras]

    def _sandboxes_of_wheels(self, drafts: "Sequence[_Draft]") -> list[tuple[str, ...]]:
        """Return the sandbox of wheels for each job that needs them; uploaded once for all."""
        for draft in drafts:
            if draft.wheels is not None and draft.wheels not in self._uploaded:
                script = Path(install.__file__)
                (name,) = self._grid.upload([[draft.wheels.folder, script]])
                self._uploaded[draft.wheels] = name
        return [(self._uploaded[d.wheels],) if d.wheels is not None else () for d in drafts]

    def _jdl(self, draft: "_Draft", sandboxes: tuple[str, ...]) -> str:
        return make_jdl(
            JobRequest(
                name=job_name(draft.info["name"], draft.info["id"]),
                executable=SCRIPT,
                arguments=draft.job_file,
                input_sandbox=sandboxes,
                input_data=draft.input_data,
                output_sandbox=("std.out", "std.err", RESULT),
                options=draft.options,
            )
        )

    def _keep_numbers(self, drafts: "Sequence[_Draft]", job_ids: Sequence[int]) -> None:
        for draft, job_id in zip(drafts, job_ids, strict=False):
            write_json(draft.directory.run_file, draft.info | {"grid_job": job_id})

    def _remove(self, drafts: "Sequence[_Draft]") -> None:
        for draft in drafts:
            shutil.rmtree(draft.directory.path)
            (self.folder / draft.info["id"]).unlink(missing_ok=True)  # it has a folder elsewhere

    def request(self, run: str) -> RunRequest:
        """Return what was asked for when a run was submitted."""
        self.find(run)
        return self._kept.request(run)

    def status(self, run: str) -> RunStatus:
        """Return how far a run is; what has ended is brought home first."""
        directory = self.find(run)
        found = _status(directory)
        job_id = directory.info().get("grid_job")
        if found.is_final and not self._goes_on(directory, found, job_id):
            return found
        if job_id is None:
            return replace(found, state="error", exit_code=1, reason="it was not submitted")
        looked_at, looked = self._looked.get(job_id, (float("-inf"), found))
        if time.monotonic() - looked_at < _FRESH_S:
            return looked
        state = self._grid.states([job_id]).get(job_id)
        if state is None and directory.info().get("grid") != self._grid.url:
            raise NotFoundError(f"DiracX has no job {job_id}: was it submitted to another one?")
        state = state or gone(job_id)
        if state.is_final and bring_home(self._grid, directory, state):
            return _status(directory)
        if state.attempt:
            look_again(self._grid, directory, state)
            found = _status(directory)
        working = _with_recorded_steps(_working(found, state), state.attempt)
        self._looked[job_id] = (time.monotonic(), working)
        return working

    def _goes_on(self, directory: RunDirectory, found: RunStatus, job_id: int | None) -> bool:
        """Whether a run that came home, but not completed, was rescheduled since."""
        if job_id is None or found.state == "completed":
            return False
        with suppress(ProvError):
            state = self._grid.states([job_id]).get(job_id)
            return state is not None and is_rescheduled(directory, state)
        return False

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
        found = _status(directory)
        if job_id is not None and (not found.is_final or self._goes_on(directory, found, job_id)):
            self._grid.kill([job_id])

    def results(self, run: str) -> Results:
        """Return what a run gave."""
        self.status(run)  # brings home what there is
        return self._kept.results(run)

    def reads_lfns(self, job: Mapping[str, object]) -> bool:
        """Whether inputs that are LFNs are read: where there is a storage."""
        return self._options.over(job).storage is not None

    def settle(self, run: str) -> None:
        """Bring home and deliver what a run that ended left."""
        self.status(run)

    @cached_property
    def _options(self) -> GridOptions:
        return self._given if self._given is not None else _options()

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


def _with_recorded_steps(status: RunStatus, attempt: int) -> RunStatus:
    """Add what the node has told the server of the steps, if it reaches it."""
    if status.state != "running":
        return status
    try:
        found = find_connection()
        with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
            parts = client.activity(status.id)["parts"]
    except ProvError:
        return status
    former = {str(number) for number in range(attempt)}
    known = {part["name"]: part for part in parts if part["attempt"] not in former}
    told = tuple(
        StepStatus(name=name, state=_STATES.get(part["status"], "running"),
                   activity=part["activity"])
        for name, part in known.items()
    )  # fmt: skip
    waiting = tuple(step for step in status.steps if step.name not in known)
    return replace(status, steps=(*told, *waiting))
