"""Attempts of a job that was rescheduled: whose words are whose, at home, on nodes and in DiracX.

A run keeps its id, and its directory holds the last attempt; those before lie in ``attempts``, each
a directory of a run by itself, so that what it made can be used again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..local.directory import RunDirectory, write_json
from .former import ATTEMPTS, attempt_in
from .grid import FINAL, JobState, LogEntry

OPERATIONS = "operations.prov.jsonl"
"""What was done with the job of a run: its record."""

_STAYS = frozenset(("run.json", "inputs.json", "job.jdl", "lock", ATTEMPTS, OPERATIONS))
_RESCHEDULED = "Job Rescheduled"


@dataclass(frozen=True, slots=True)
class Period:
    """One attempt of a job as DiracX's log tells it; times are ISO 8601, as DiracX writes them."""

    number: int
    started_at: str | None = None
    ended_at: str | None = None
    log: tuple[LogEntry, ...] = ()


def periods_of(log: Iterable[LogEntry]) -> list[Period]:
    """Return the attempts of a job, the first one first.

    DiracX counts too where it is asked to reschedule and does not: a Done job stays Done. That is
    no attempt, but the next one has a higher number.
    """
    found = [Period(0)]
    number = 0
    for entry in sorted(log, key=lambda entry: entry.at):
        last = found[-1]
        if entry.minor == _RESCHEDULED and entry.status != "Rescheduled":
            number += 1
            if entry.status not in FINAL:
                found[-1] = replace(last, ended_at=last.ended_at or entry.at)
                found.append(Period(number, log=(entry,)))
                continue
        started = entry.at if entry.status == "Running" else None
        ended = entry.at if entry.status in FINAL else None
        found[-1] = Period(
            last.number, last.started_at or started, last.ended_at or ended, (*last.log, entry)
        )
    return found


def in_period(state: JobState, periods: Sequence[Period]) -> JobState:
    """Return the state with the number and times of its last attempt: DiracX keeps the first's."""
    last = periods[-1]
    if not last.number:
        return replace(state, attempt=0)
    return replace(state, attempt=last.number, started_at=last.started_at, ended_at=last.ended_at)


def instant(told: str) -> datetime:
    """Return an instant as DiracX writes it: UTC, which it may not say."""
    when = datetime.fromisoformat(told)
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def handled_attempt(directory: RunDirectory) -> int:
    """Return up to which of DiracX's attempts a directory knows."""
    return int(directory.info().get("attempt") or 0)


def attempt_directories(directory: RunDirectory) -> list[RunDirectory]:
    """Return the former attempts of a run that are here, the first one first."""
    folder = directory.path / ATTEMPTS
    found = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return [RunDirectory(path) for path in sorted(found, key=lambda path: int(path.name))]


def begin_again(directory: RunDirectory, attempt: int) -> None:
    """Have a directory wait for another attempt; what the former one brought home is set aside."""
    info = directory.info()
    if directory.has_ended():
        former = attempt_in(directory.path)
        number = handled_attempt(directory) if former is None else former
        target = directory.path / ATTEMPTS / str(number)
        target.mkdir(parents=True, exist_ok=True)
        for path in directory.path.iterdir():
            if path.name not in _STAYS and not path.name.startswith("."):
                path.rename(target / path.name)
        link_attempts(directory)
        info = directory.info()
    write_json(directory.run_file, info | {"attempt": attempt})


def link_attempts(directory: RunDirectory) -> None:
    """Have a run take over from its former attempts, the last one first, and then as it began."""
    info = directory.info()
    info.setdefault("resumed_at_first", info.get("resumes"))
    before = info["resumed_at_first"]
    for one in attempt_directories(directory):
        if one.record_file.is_file():
            write_json(one.run_file, info | {"resumes": before})
            before = str(one.path)
    write_json(directory.run_file, info | {"resumes": before})
