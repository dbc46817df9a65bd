"""The end of records that a job could not close itself, from what DiracX and the server know."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from provmanager.client import ProvClient
from provmanager.config import find_connection
from provmanager.errors import JSONDict, NotFoundError, ProvError
from provmanager.model import attempt_of

from ..local.directory import RunDirectory, now, read_lines
from .attempts import Period, instant
from .former import ATTEMPTS
from .grid import JobState, LogEntry
from .names import JOB_RECORD, grid_job, job_activity_of

_BEGINNING = ("name", "type", "started_at", "parent", "job")

TIMEOUT_S = 10.0
"""How long the server is waited for, in seconds, where it is asked what it knows."""


def close_records(
    directory: RunDirectory, state: JobState, verdict: JSONDict, log: Sequence[LogEntry]
) -> JSONDict:
    """Write the end of a job's activities: its own, its run's and those of steps that still run.

    They begin as they are recorded, where they are: an end with another beginning is refused. What
    the server knows to have ended is left alone.

    Parameters
    ----------
    verdict : dict
        ``state`` and ``reason`` of the end.
    log : sequence of LogEntry
        What DiracX noted of the job, for the record.

    Returns
    -------
    dict
        What the server knows better: the end of the run, had it told of it.
    """
    info = directory.info()
    open_ended = _Open(info["id"], state.attempt)
    open_ended.expect(info, state.started_at or info["created_at"])
    open_ended.read(directory)
    with suppress(ProvError):
        open_ended.ask_server()
    end = {
        "ended_at": state.ended_at or now(),
        "status": verdict["state"],
        "job": _job(state, state.attempt),
        "messages": _messages("error", verdict["reason"], log),
    }
    with directory.record_file.open("a", encoding="utf-8") as stream:
        for record in open_ended.ended(end):
            if record["id"] == open_ended.job_activity and state.exit_code is not None:
                record["exit_code"] = state.exit_code
            stream.write(json.dumps(record) + "\n")
    return open_ended.better


def close_former(directory: RunDirectory, state: JobState, periods: Sequence[Period]) -> list[Path]:
    """Write the ends of what former attempts of a job left open; return the files with them.

    They are what the server knows as running of attempts before ``state.attempt``, and the jobs of
    those that DiracX has begun and nobody else tells of.

    Raises
    ------
    ProvError
        The server does not answer.
    """
    info = directory.info()
    written = []
    for period in periods:
        if period.number >= state.attempt:
            continue
        open_ended = _Open(info["id"], period.number, is_former=True)
        if period.started_at is not None:
            open_ended.expect(info, None)
        open_ended.ask_server()
        reason = (
            f"attempt {period.number} of job {state.job_id} ended without a word: the job was "
            "rescheduled"
        )
        end = {
            "ended_at": _written(period.ended_at),
            "status": "interrupted",
            "job": _job(state, period.number),
            "messages": _messages("error", reason, period.log),
        }
        records = [json.dumps(record) + "\n" for record in open_ended.ended(end)]
        if records:
            path = directory.path / ATTEMPTS / f"{period.number}.closed.prov.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(records), encoding="utf-8")
            written.append(path)
    return written


def _job(state: JobState, attempt: int) -> JSONDict:
    site = state.site if attempt == state.attempt else None  # DiracX knows where it is now
    return grid_job(state.job_id, attempt, site)


def _written(told: str | None) -> str:
    return instant(told).isoformat().replace("+00:00", "Z") if told else now()


def _messages(level: str, reason: str, log: Sequence[LogEntry]) -> list[JSONDict]:
    return [
        {"level": level, "text": reason},
        *({"level": "info", "code": "grid", "text": str(entry)} for entry in log),
    ]


class _Open:
    """The activities of an attempt of a job whose end nobody told: job, run, and more.

    Attributes
    ----------
    job_activity : str
        UUID of the attempt's own activity.
    better : dict
        How the run ended, where the server knows.
    """

    def __init__(self, run: str, attempt: int, *, is_former: bool = False) -> None:
        self.job_activity = job_activity_of(run, attempt)
        self.better: JSONDict = {}
        self._run = run
        self._attempt = attempt
        self._is_former = is_former
        self._found: dict[str, JSONDict] = {}

    def expect(self, info: JSONDict, begun_at: str | None) -> None:
        """Take it that job and run began then, if nothing else tells."""
        begun = {"started_at": begun_at} if begun_at else {}
        self._found[self.job_activity] = {"name": f"{info['name']} job", "type": "Job", **begun}
        self._found[self._run] = {
            "name": info["name"], "type": "Workflow", "parent": self.job_activity, **begun,
        }  # fmt: skip

    def read(self, directory: RunDirectory) -> None:
        """Take what the records in a directory leave open."""
        for record in (*read_lines(directory.path / JOB_RECORD), *directory.records()):
            activity = str(record.get("id"))
            if record.get("status") == "running":
                self._found[activity] = {n: record[n] for n in _BEGINNING if n in record}
            else:
                self._found.pop(activity, None)

    def ask_server(self) -> None:
        """Correct what is known of activities by the server, and add all that it has as running.

        Raises
        ------
        ProvError
            It does not answer.
        """
        found = find_connection()
        with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
            waiting = [*{self.job_activity, self._run, *self._found}]
            while waiting:
                activity = waiting.pop()
                try:
                    told = client.activity(activity)
                except NotFoundError:
                    continue
                waiting += self._take(activity, told)

    def _take(self, activity: str, told: JSONDict) -> list[str]:
        """Take what the server knows of one; return which others are to be asked for."""
        parts = [part["activity"] for part in told["parts"] if part["status"] == "running"]
        of = attempt_of(told["job"])
        if activity == self._run and self._is_former:  # it goes on
            return parts
        if of is not None and of.number != self._attempt:
            if of.number > self._attempt:
                self._found.pop(activity, None)
            return parts if activity == self._run else []
        if told["status"] not in ("running", "unknown"):
            self._found.pop(activity, None)
            if activity == self._run:
                self.better = _end_of(told)
            return parts
        known = self._found.setdefault(activity, {"name": told["name"], "type": told["type"]})
        known["started_at"] = told["started_at"] or known.get("started_at")
        if told["job"]:
            known["job"] = told["job"]
        if told["part_of"] and "parent" not in known:
            known["parent"] = told["part_of"][0]["activity"]
        return [part for part in parts if part not in self._found]

    def ended(self, end: JSONDict) -> list[JSONDict]:
        """Return a record of the end of each."""
        found = dict(self._found)
        if self._is_former and self.job_activity not in found:
            found.pop(self._run, None)
        records = [
            {"schema": "provmanager/activity.v1", "id": activity, **end, **known}
            for activity, known in found.items()
        ]
        for record in records if self._is_former else ():
            if record["id"] == self._run:  # of which this was a part, and which goes on
                record["status"] = "running"
                record.pop("ended_at")
        return records


def _end_of(told: JSONDict) -> JSONDict:
    """Return the end of a run as the server has it."""
    return {
        "state": told["status"],
        "exit_code": told["exit_code"] if told["exit_code"] is not None else 1,
        "reason": "its products did not come home; the server has its record",
    }
