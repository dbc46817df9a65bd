"""Brings finished jobs home: sandboxes, records, and word of what they could not say."""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from provmanager.capture.command import observed
from provmanager.errors import JSONDict, ProvError

from ..local.delivery import Delivery
from ..local.directory import RunDirectory, read_lines, write_json
from .attempts import (
    Period,
    begin_again,
    handled_attempt,
    in_period,
    instant,
    link_attempts,
    periods_of,
)
from .closing import close_former, close_records
from .discovery import FoundJob, adopt
from .former import ATTEMPTS, attempt_in, places_at_home
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
    try:
        if not state.is_final:
            if job.directory is not None and state.attempt:
                look_again(grid, job.directory, state)
            return told
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


def look_again(grid: Grid, directory: RunDirectory, state: JobState) -> None:
    """Have a directory wait again for its job, which was rescheduled and has not ended.

    What its former attempts left open in the record is closed, when they had time to do so.
    """
    with directory.lock():
        if handled_attempt(directory) < state.attempt and not _is_completed(directory):
            begin_again(directory, state.attempt)
        periods = periods_of(grid.log(state.job_id))
        ends = [period.ended_at for period in periods[:-1] if period.ended_at]
        if ends and _age_s(ends[-1]) > LAST_WORDS_S:
            with suppress(ProvError):  # without a server there is nothing open
                _deliver(directory, close_former(directory, in_period(state, periods), periods))


def bring_home(
    grid: Grid, directory: RunDirectory, state: JobState
) -> Literal["home", "closed"] | None:
    """Bring what a job that ended left into `directory`, and deliver its records; once.

    Of a job that left nothing, the records are closed with what DiracX says of it. Returns None
    where that is too early: a killed job is Killed to DiracX before it knows of it.
    """
    with directory.lock():
        handled = handled_attempt(directory)
        if directory.has_ended() and (handled >= state.attempt or _is_completed(directory)):
            return "home"
        counted = max(state.attempt, handled)
        log = grid.log(state.job_id) if counted else []
        periods = periods_of(log) if log else [Period(counted)]
        outcome: Literal["home", "closed"] | None = "home"
        if not directory.has_ended() or handled < periods[-1].number:  # else DiracX has refused
            outcome = _bring_home(grid, directory, in_period(state, periods), periods)
        if outcome is not None and counted:
            write_json(directory.run_file, directory.info() | {"attempt": counted})
        return outcome


def _bring_home(
    grid: Grid, directory: RunDirectory, state: JobState, periods: Sequence[Period]
) -> Literal["home", "closed"] | None:
    incoming = directory.path / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    last, former = _by_attempt(grid.download(state.job_id, incoming), state.attempt)
    if last is None and _may_still_speak(state):
        return None
    if handled_attempt(directory) < state.attempt or directory.has_ended():
        begin_again(directory, state.attempt)
    for number, place in former.items():
        _keep_former(place, directory, number)
    if last is not None:
        _take_all(last, directory)
    shutil.rmtree(incoming)
    is_whole = any(event["event"] == "ended" for event in read_lines(_arrived(directory)))
    verdict = {} if is_whole else _verdict(state)
    if not is_whole:
        log = periods[-1].log if state.attempt else grid.log(state.job_id)
        verdict |= close_records(directory, state, verdict, log)
    closed: list[Path] = []
    if state.attempt:
        with suppress(ProvError):
            closed = close_former(directory, state, periods)
    _record_retrieval(grid, directory, state)
    _deliver(directory, closed)
    # Last: from now on the run has ended, and is not brought home again.
    if is_whole:
        _arrived(directory).replace(directory.state_file)
        return "home"
    directory.append("ended", **verdict)
    return "closed"


def _is_completed(directory: RunDirectory) -> bool:
    """Whether a run came home completed: of that there is no other attempt to wait for."""
    return directory.status(with_steps=False).state == "completed"


def _by_attempt(folders: Sequence[Path], attempt: int) -> tuple[Path | None, dict[int, Path]]:
    """Return the sandbox of the last attempt, if it left one, and those of former ones."""
    last: tuple[int, Path] | None = None
    former: dict[int, Path] = {}
    for folder in folders:
        number = attempt_in(folder / RESULT)
        if number is not None and number < attempt:
            former[number] = folder
        elif last is None or (number or 0) >= last[0]:
            last = (number or 0, folder)
    return (last[1] if last else None), former


def _keep_former(sandbox: Path, directory: RunDirectory, number: int) -> None:
    """Put what a former attempt left beside the run, and deliver its records."""
    former = RunDirectory(directory.path / ATTEMPTS / str(number))
    if former.record_file.exists():
        return
    former.path.mkdir(parents=True, exist_ok=True)
    _take_all(sandbox, former)
    if _arrived(former).exists():
        _arrived(former).replace(former.state_file)
    link_attempts(directory)
    _deliver(former)


def _take_all(sandbox: Path, directory: RunDirectory) -> None:
    if (sandbox / RESULT).is_dir():
        _take(sandbox / RESULT, directory)
    for name in ("std.out", "std.err"):
        if (sandbox / name).exists():
            shutil.copy2(sandbox / name, directory.path / name)


def _may_still_speak(state: JobState) -> bool:
    """Whether a job was killed so lately that its node may just be sending its last words."""
    if state.status not in ("Killed", "Deleted") or not state.started_at or not state.ended_at:
        return False
    return _age_s(state.ended_at) < LAST_WORDS_S


def _age_s(told: str) -> float:
    """Return how long ago an instant of DiracX's was, in seconds."""
    return (datetime.now(UTC) - instant(told)).total_seconds()


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
        configuration={
            "run": info["id"], "grid": grid.url, "grid_job": state.job_id,
            "attempt": state.attempt,
        },
        attributes={"site": state.site, "owner": state.owner, "grid_status": state.status},
        record=directory.path / "retrieval.prov.jsonl",
    )  # fmt: skip
    with recording as activity:
        for place in info["sent"]:
            activity.input(place, role="input sent")
        there = _places_on_node(directory)
        if directory.products.is_dir():
            for path in sorted(p for p in directory.products.rglob("*") if p.is_file()):
                activity.input(path, role="product retrieved", locations=there.get(str(path), ()))


def _places_on_node(directory: RunDirectory) -> dict[str, list[str]]:
    """Return where the products lay on the node, by their paths here: equal bytes may be others'.

    By it a product is the one that this job made, where another attempt made the same bytes.
    """
    run, origin = directory.info()["id"], directory.origin
    found: dict[str, list[str]] = {}
    for record in directory.records():
        for item in record.get("outputs", ()) if record.get("id") == run else ():
            for told in (item, *item.get("members", ())):
                path = unquote(urlsplit(str(told.get("url", ""))).path)
                if path.startswith(f"{origin}/"):
                    found[f"{directory.path}{path.removeprefix(origin)}"] = [told["url"]]
    return found


def _deliver(directory: RunDirectory, more: Sequence[Path] = ()) -> None:
    """Deliver all records; those that the node delivered already are known, and change nothing."""
    delivery = Delivery(directory.record_file)
    for path in (
        directory.path / JOB_RECORD,
        *sorted(directory.steps.glob("*/tool.prov.json")),
        directory.path / "retrieval.prov.jsonl",
        *more,
    ):
        delivery.add(path)
    delivery.start()  # not before: all go in one request
    delivery.close()
    if delivery.n_spooled:
        text = (
            f"{delivery.n_spooled} documents of the record wait on disk for the server "
            f"({delivery.problem}); prod-add-prov --spool delivers them"
        )
        write_json(directory.path / "delivery.json", {"note": text})
