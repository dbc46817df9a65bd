"""Brings a finished job home: its sandbox, its records, and word of what it could not say."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from provmanager.capture.command import observed
from provmanager.errors import JSONDict

from ..local.delivery import Delivery
from ..local.directory import RunDirectory, read_lines, write_json
from .closing import close_records
from .grid import Grid, JobState
from .node import JOB_RECORD, PLACE_FILE, RESULT

LAST_WORDS_S = 60.0
"""How long after a job was killed its output sandbox is waited for, in seconds."""


def bring_home(grid: Grid, directory: RunDirectory, state: JobState) -> bool:
    """Bring what a job that ended left into `directory`, and deliver its records; once.

    Of a job that left nothing, the records are closed with what DiracX says of it. Returns False
    where that is too early: a killed job is Killed to DiracX before it knows of it.
    """
    with directory.lock():
        return _has_ended(directory) or _bring_home(grid, directory, state)


def _bring_home(grid: Grid, directory: RunDirectory, state: JobState) -> bool:
    incoming = directory.path / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    is_there = grid.download(state.job_id, incoming)
    if not is_there and _may_still_speak(state):
        return False
    result = incoming / RESULT
    if is_there and result.is_dir():
        _take(result, directory)
    for name in ("std.out", "std.err"):
        if (incoming / name).exists():
            shutil.copy2(incoming / name, directory.path / name)
    shutil.rmtree(incoming)
    is_whole = any(event["event"] == "ended" for event in read_lines(_arrived(directory)))
    if not is_whole:
        close_records(directory, state, _verdict(state))
    _record_retrieval(directory, state)
    _deliver(directory)
    # Last: from now on the run has ended, and is not brought home again.
    if is_whole:
        _arrived(directory).replace(directory.state_file)
    else:
        directory.append("ended", **_verdict(state))
    return True


def _may_still_speak(state: JobState) -> bool:
    """Whether a job was killed so lately that its node may just be sending its last words."""
    if state.status != "Killed" or state.started_at is None or state.ended_at is None:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(state.ended_at)
    return age.total_seconds() < LAST_WORDS_S


def _has_ended(directory: RunDirectory) -> bool:
    return any(event["event"] == "ended" for event in directory.events())


def _arrived(directory: RunDirectory) -> Path:
    return directory.path / "state.arrived.jsonl"


def _take(result: Path, directory: RunDirectory) -> None:
    """Move the job's result into place; paths of the node become those of here."""
    place = result / PLACE_FILE
    node = json.loads(place.read_text())["directory"] if place.exists() else None
    for path in result.iterdir():
        target = directory.path / path.name
        if path.name == "state.jsonl":
            target = _arrived(directory)
        if path.name in ("state.jsonl", "outputs.json") and node:
            path.write_text(path.read_text().replace(f"{node}/", f"{directory.path}/"))
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


def _record_retrieval(directory: RunDirectory, state: JobState) -> None:
    """Record that what was on the node lies here now: by their digests, the same products."""
    info = directory.info()
    recording = observed(
        (),
        name="retrieve",
        type="Retrieval",
        software={"name": "provmanager"},
        directory=directory.path,
        attributes={"run": info["id"], "grid_job": state.job_id, "site": state.site,
                    "owner": state.owner, "grid_status": state.status},
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
