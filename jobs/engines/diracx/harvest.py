"""Brings finished jobs home: sandboxes, records, and word of what they could not say."""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from provmanager.capture.command import observed
from provmanager.errors import JSONDict, ProvError

from ..local.delivery import Delivery
from ..local.directory import RunDirectory, read_lines, write_json
from .closing import close_records
from .discovery import FoundJob, adopt
from .former import places_at_home
from .grid import Grid, JobState, gone
from .names import JOB_RECORD, RESULT

LAST_WORDS_S = 60.0
"""How long after a job was killed its output sandbox is waited for, in seconds."""


Outcome = Literal["home", "closed", "running", "ended", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Harvested:
    """What became of a job.

    Attributes
    ----------
    outcome : str
        ``home``: its sandbox is here, its records are with the server, or wait for it on disk.
        ``closed``: it left nothing; its records were ended with what DiracX says of it.
            ``running``: it has not ended. ``ended``: it has, and was left where it is.
        ``failed``: it could not be brought home now.
    grid_status : str
        DiracX's word for it.
    state : str, optional
        How its run ended.
    reason : str, optional
        Why it failed, or was closed.
    """

    job_id: int
    run: str
    name: str
    outcome: Outcome
    grid_status: str
    state: str | None = None
    directory: str | None = None
    n_products: int = 0
    reason: str | None = None


def harvest(
    grid: Grid, folder: Path, jobs: Sequence[FoundJob], *, n_parallel: int = 4
) -> Iterator[Harvested]:
    """Bring jobs home, a few at a time, and yield what became of each as it is known.

    Parameters
    ----------
    folder : Path
        Where directories are made for runs that were submitted elsewhere.
    """
    with grid.kept(), ThreadPoolExecutor(n_parallel) as pool:
        pending = [pool.submit(_harvest, grid, folder, job) for job in jobs]
        for done in as_completed(pending):
            yield done.result()


def looked_at(job: FoundJob) -> Harvested:
    """Return what there is to say of a job that is not brought home."""
    state = job.state or gone(job.job_id)
    return Harvested(
        job_id=job.job_id,
        run=job.run,
        name=job.name,
        outcome="ended" if state.is_final else "running",
        grid_status=state.status,
        reason=state.minor,
    )


def _harvest(grid: Grid, folder: Path, job: FoundJob) -> Harvested:
    state = job.state or gone(job.job_id)
    told = looked_at(job)
    if not state.is_final:
        return told
    try:
        directory = job.directory or adopt(folder, job, grid)
        outcome = bring_home(grid, directory, state)
    except (ProvError, OSError) as error:
        return replace(told, outcome="failed", reason=str(error))
    if outcome is None:
        return replace(told, outcome="running", reason="killed; its last words may come yet")
    run = directory.status(with_steps=False)
    return replace(
        told,
        outcome=outcome,
        state=run.state,
        directory=str(directory.path),
        n_products=len(run.products),
        reason=run.reason,
    )


def bring_home(
    grid: Grid, directory: RunDirectory, state: JobState
) -> Literal["home", "closed"] | None:
    """Bring what a job that ended left into `directory`, and deliver its records; once.

    Of a job that left nothing, the records are closed with what DiracX says of it. Returns None
    where that is too early: a killed job is Killed to DiracX before it knows of it.
    """
    with directory.lock():
        return "home" if directory.has_ended() else _bring_home(grid, directory, state)


def _bring_home(
    grid: Grid, directory: RunDirectory, state: JobState
) -> Literal["home", "closed"] | None:
    incoming = directory.path / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    is_there = grid.download(state.job_id, incoming)
    if not is_there and _may_still_speak(state):
        return None
    result = incoming / RESULT
    if is_there and result.is_dir():
        _take(result, directory)
    for name in ("std.out", "std.err"):
        if (incoming / name).exists():
            shutil.copy2(incoming / name, directory.path / name)
    shutil.rmtree(incoming)
    is_whole = any(event["event"] == "ended" for event in read_lines(_arrived(directory)))
    verdict = {} if is_whole else _verdict(state)
    if not is_whole:
        verdict |= close_records(directory, state, verdict, grid.log(state.job_id))
    _record_retrieval(grid, directory, state)
    _deliver(directory)
    # Last: from now on the run has ended, and is not brought home again.
    if is_whole:
        _arrived(directory).replace(directory.state_file)
        return "home"
    directory.append("ended", **verdict)
    return "closed"


def _may_still_speak(state: JobState) -> bool:
    """Whether a job was killed so lately that its node may just be sending its last words."""
    if state.status != "Killed" or state.started_at is None or state.ended_at is None:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(state.ended_at)
    return age.total_seconds() < LAST_WORDS_S


def _arrived(directory: RunDirectory) -> Path:
    return directory.path / "state.arrived.jsonl"


def _take(result: Path, directory: RunDirectory) -> None:
    """Move the job's result into place; paths of the node become those of here."""
    places = places_at_home(result, directory.path)
    for path in result.iterdir():
        target = directory.path / path.name
        if path.name == "state.jsonl":
            target = _arrived(directory)
        if path.name in ("state.jsonl", "outputs.json"):
            text = path.read_text(encoding="utf-8")
            for there, here in places.items():
                text = text.replace(f"{there}/", f"{here}/")
            path.write_text(text, encoding="utf-8")
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _verdict(state: JobState) -> JSONDict:
    """Return how a run ended of which nothing but DiracX's word is known."""
    is_error = state.status in ("Done", "Failed") and state.exit_code is not None
    return {
        "state": "error" if is_error else "interrupted",
        "exit_code": state.exit_code or 1,
        "reason": f"job {state.job_id} left no record: DiracX says {state.status}, {state.minor}",
        "products": [],
    }


def _record_retrieval(grid: Grid, directory: RunDirectory, state: JobState) -> None:
    """Record that what was on the node lies here now: by their digests, the same products."""
    info = directory.info()
    recording = observed(
        (),
        name="retrieve",
        type="Retrieval",
        software={"name": "provmanager"},
        directory=directory.path,
        # by these it is found, so that nobody else brings the run home again
        configuration={"run": info["id"], "grid": grid.url, "grid_job": state.job_id},
        attributes={"site": state.site, "owner": state.owner, "grid_status": state.status},
        record=directory.path / "retrieval.prov.jsonl",
    )  # fmt: skip
    with recording as activity:
        for place in info["sent"]:
            activity.input(place, role="input sent")
        if directory.products.is_dir():
            for path in sorted(p for p in directory.products.rglob("*") if p.is_file()):
                activity.input(path, role="product retrieved")


def _deliver(directory: RunDirectory) -> None:
    """Deliver all records; those that the node delivered already are known, and change nothing."""
    delivery = Delivery(directory.record_file)
    delivery.start()
    for path in (
        directory.path / JOB_RECORD,
        *sorted(directory.steps.glob("*/tool.prov.json")),
        directory.path / "retrieval.prov.jsonl",
    ):
        delivery.add(path)
    delivery.close()
    if delivery.n_spooled:
        text = (
            f"{delivery.n_spooled} documents of the record wait on disk for the server "
            f"({delivery.problem}); prod-add-prov --spool delivers them"
        )
        write_json(directory.path / "delivery.json", {"note": text})
