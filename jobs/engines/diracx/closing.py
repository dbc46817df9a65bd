"""The end of records that a job could not close itself, from what DiracX and the server know."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from provmanager.client import ProvClient
from provmanager.config import find_connection
from provmanager.errors import JSONDict, NotFoundError, ProvError

from ..local.directory import RunDirectory, now, read_lines
from .grid import JobState
from .names import JOB_RECORD

_BEGINNING = ("name", "type", "started_at", "parent", "job")

TIMEOUT_S = 10.0
"""How long the server is waited for, in seconds, where it is asked what it knows."""


def close_records(
    directory: RunDirectory, state: JobState, verdict: JSONDict, log: Sequence[str]
) -> JSONDict:
    """Write the end of a job's activities: its own, its run's and those of steps that still run.

    They begin as they are recorded, where they are: an end with another beginning is refused. What
    the server knows to have ended is left alone.

    Parameters
    ----------
    verdict : dict
        ``state`` and ``reason`` of the end.
    log : sequence of str
        What DiracX noted of the job, for the record.

    Returns
    -------
    dict
        What the server knows better: the end of the run, had it told of it.
    """
    open_ended = _open_ended(directory, state)
    run = directory.info()["id"]
    job_activity = directory.info()["job_activity"]
    better: JSONDict = {}
    with suppress(ProvError):
        better = _ask_server(open_ended, run)
    common: dict[str, Any] = {  # Any: JSON
        "schema": "provmanager/activity.v1",
        "ended_at": state.ended_at or now(),
        "status": verdict["state"],
        "job": {"system": "DIRAC", "id": str(state.job_id), "site": state.site or None},
        "messages": [
            {"level": "error", "text": verdict["reason"]},
            *({"level": "info", "code": "grid", "text": line} for line in log),
        ],
    }
    with directory.record_file.open("a", encoding="utf-8") as stream:
        for activity, known in open_ended.items():
            record = {**common, "id": activity, **known}
            if activity == job_activity and state.exit_code is not None:
                record["exit_code"] = state.exit_code
            stream.write(json.dumps(record) + "\n")
    return better


def _open_ended(directory: RunDirectory, state: JobState) -> dict[str, JSONDict]:
    """Return the activities whose end nobody told, by what is here: job, run, and more."""
    info = directory.info()
    begun_at = state.started_at or info["created_at"]
    job_activity, run = info["job_activity"], info["id"]
    found: dict[str, JSONDict] = {
        job_activity: {"name": f"{info['name']} job", "type": "Job", "started_at": begun_at},
        run: {
            "name": info["name"], "type": "Workflow", "started_at": begun_at,
            "parent": job_activity,
        },
    }  # fmt: skip
    for record in (*read_lines(directory.path / JOB_RECORD), *directory.records()):
        activity = str(record.get("id"))
        if record.get("status") == "running":
            found[activity] = {name: record[name] for name in _BEGINNING if name in record}
        else:
            found.pop(activity, None)
    return found


def _ask_server(open_ended: dict[str, JSONDict], run: str) -> JSONDict:
    """Correct what is known of activities by the server, and add all that it has as running.

    Returns how the run ended, where the server knows.

    Raises
    ------
    ProvError
        It does not answer.
    """
    better: JSONDict = {}
    found = find_connection()
    with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
        waiting = list(open_ended)
        while waiting:
            activity = waiting.pop()
            try:
                told = client.activity(activity)
            except NotFoundError:
                continue
            parts = [part["activity"] for part in told["parts"] if part["status"] == "running"]
            waiting += [part for part in parts if part not in open_ended]
            if told["status"] not in ("running", "unknown"):
                open_ended.pop(activity, None)
                if activity == run:
                    better = _end_of(told)
                continue
            known = open_ended.setdefault(activity, {"name": told["name"], "type": told["type"]})
            known["started_at"] = told["started_at"] or known.get("started_at")
            if told["job"]:
                known["job"] = told["job"]
            if told["part_of"] and "parent" not in known:
                known["parent"] = told["part_of"][0]["activity"]
    return better


def _end_of(told: JSONDict) -> JSONDict:
    """Return the end of a run as the server has it."""
    return {
        "state": told["status"],
        "exit_code": told["exit_code"] if told["exit_code"] is not None else 1,
        "reason": "its products did not come home; the server has its record",
    }
