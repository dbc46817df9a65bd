"""Which jobs there are to harvest: those of this machine's runs, DiracX's, and the record's."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from provmanager.client import ProvClient
from provmanager.errors import JSONDict, NotFoundError, UsageError

from ..local import LocalEngine
from ..local.directory import RunDirectory, now, write_json
from .attempts import handled_attempt
from .grid import Grid, JobState
from .names import run_of

_PAGE = 500


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job whose record may be incomplete, and the directory of its run, if it is here.

    Attributes
    ----------
    state : JobState or None
        None where DiracX has no such job (any more).
    """

    job_id: int
    name: str
    run: str
    state: JobState | None
    directory: RunDirectory | None = None


def find_jobs(
    grid: Grid, folder: Path, client: ProvClient | None, *, since: datetime
) -> list[FoundJob]:
    """Return the jobs that are not home, the oldest first.

    Those of runs that were submitted from here; those of the user that DiracX has since then,
    unless somebody else has brought them home; and those that the record has as running.

    Parameters
    ----------
    folder : Path
        Where the directories of runs lie.
    client : ProvClient, optional
        Of a server that answers.
    """
    known = dict(_directories(folder, grid))
    here = {run: directory for run, directory in known.items() if not directory.has_ended()}
    states = grid.own(since)
    others = {int(d.info()["grid_job"]) for d in here.values() if "grid_job" in d.info()}
    if client is not None:
        others.update(_running_jobs(client))
    states |= grid.states(sorted(others - states.keys()))
    found = []
    for job_id, state in states.items():
        named = run_of(state.name)
        if named is None:
            continue
        directory = here.pop(named[1], None)
        if directory is None and is_rescheduled(known.get(named[1]), state):
            directory = known[named[1]]
        is_ours = directory is not None or not _is_home(folder, client, named[1], state)
        if is_ours:
            found.append(FoundJob(job_id, *named, state, directory))
    for run, directory in here.items():  # DiracX has no job of theirs
        info = directory.info()
        if "grid_job" in info:
            found.append(FoundJob(int(info["grid_job"]), info["name"], run, None, directory))
    return sorted(found, key=lambda job: job.job_id)


def named_jobs(grid: Grid, folder: Path, names: Sequence[str]) -> list[FoundJob]:
    """Return the jobs that a person named: by number in DiracX, or by run of this machine.

    Raises
    ------
    NotFoundError, AmbiguousError
        There is no such run or job.
    UsageError
        The job is none of a run.
    """
    engine = LocalEngine(folder)
    here = dict(_directories(folder, grid))
    found = []
    for name in names:
        if name.isdigit():
            state = grid.states([int(name)]).get(int(name))
            if state is not None:
                found.append(_of_run(state, here))
                continue
            if not any(run.startswith(name) for run in here):  # a run's id may begin with digits
                raise NotFoundError(f"DiracX has no job {name}, and no run here begins so")
        directory = engine.find(name)
        info = directory.info()
        if "grid_job" not in info:
            raise UsageError(f"the run {info['id']} has no job on the grid")
        job_id = int(info["grid_job"])
        state = grid.states([job_id]).get(job_id)
        found.append(FoundJob(job_id, info["name"], info["id"], state, directory))
    return found


def _of_run(state: JobState, here: Mapping[str, RunDirectory]) -> FoundJob:
    """Return the job with its run, whose directory may be here."""
    named = run_of(state.name)
    if named is None:
        raise UsageError(
            f"job {state.job_id}, {state.name!r}, was not submitted by prod-submit: nothing tells "
            "of which run it is"
        )
    return FoundJob(state.job_id, *named, state, here.get(named[1]))


def adopt(folder: Path, job: FoundJob, grid: Grid) -> RunDirectory:
    """Make the directory of a run that was submitted elsewhere, or whose submitter was killed."""
    info: JSONDict = {
        "id": job.run, "name": job.name, "engine": "diracx", "workflow": "", "steps": [],
        "command": [], "max_parallel": None, "created_at": now(), "sent": [],
        "grid": grid.url, "grid_job": job.job_id,
    }  # fmt: skip
    directory = RunDirectory(folder / job.run)
    partial = folder / f".{job.run}.{os.getpid()}"
    partial.mkdir(parents=True)
    write_json(partial / "run.json", info)
    write_json(partial / "inputs.json", {})
    try:
        partial.rename(directory.path)
    except OSError:  # another process was faster
        for path in partial.iterdir():
            path.unlink()
        partial.rmdir()
    return directory


def _running_records(client: ProvClient, **filters: object) -> Iterator[Any]:  # Any: JSON
    """Yield what the record has as running."""
    cursor = None
    while True:
        page = client.search_activities(status="running", limit=_PAGE, cursor=cursor, **filters)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _directories(folder: Path, grid: Grid) -> Iterator[tuple[str, RunDirectory]]:
    """Yield the runs of this machine that went to this DiracX."""
    for path in folder.iterdir() if folder.is_dir() else ():
        directory = RunDirectory(path.resolve())
        with suppress(NotFoundError):
            info = directory.info()
            if info.get("engine") == "diracx" and info.get("grid", grid.url) == grid.url:
                yield info["id"], directory


def _running_jobs(client: ProvClient) -> Iterator[int]:
    """Yield the numbers of DIRAC jobs of runs that the record has as running."""
    for item in _running_records(client, name="* job"):
        job = client.activity(item["id"])["job"] or {}
        if job.get("system") == "DIRAC" and str(job.get("id", "")).isdigit():
            yield int(job["id"])


def is_rescheduled(directory: RunDirectory | None, state: JobState) -> bool:
    """Whether a run that came home was rescheduled since: another attempt is to be waited for."""
    if directory is None or handled_attempt(directory) >= state.attempt:
        return False
    return directory.status(with_steps=False).state != "completed"


def _is_home(folder: Path, client: ProvClient | None, run: str, state: JobState) -> bool:
    """Whether a run that is not awaited here was brought home: to here, or by somebody else."""
    if (folder / run).exists():
        return True
    if client is None or not state.is_final:
        return False
    which = [f"run={run}", *([f"attempt={state.attempt}"] if state.attempt else [])]
    told = client.search_activities(name="retrieve", parameter=which, limit=1)
    return bool(told["total"])


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleRecord:
    """An activity that the record has as running for long, and of which nobody knows better."""

    activity: str
    name: str
    type: str | None
    started_at: str
    host: str | None
    job: str | None


def find_stale(
    client: ProvClient, *, before: datetime, at_work: Collection[int]
) -> Iterator[StaleRecord]:
    """Yield what began before then and was never closed, but for what runs in jobs at work.

    Parameters
    ----------
    at_work : collection of int
        Numbers of the jobs that DiracX says are running or waiting.
    """
    for item in _running_records(client, before=before.isoformat()):
        told = client.activity(item["id"])
        job = told["job"] or {}
        if job.get("system") == "DIRAC" and str(job.get("id")) in {str(one) for one in at_work}:
            continue
        if told["is_claim"]:
            continue
        yield StaleRecord(
            activity=item["id"],
            name=item["name"] or "",
            type=told["type"],
            started_at=item["started_at"],
            host=item["host"],
            job=" ".join(str(job[key]) for key in ("system", "id") if job.get(key)) or None,
        )
