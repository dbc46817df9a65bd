"""The end of records that a job could not close itself, from what DiracX and the server know."""

import json
from contextlib import suppress
from typing import Any

from provmanager.client import ProvClient
from provmanager.config import find_connection
from provmanager.errors import JSONDict, NotFoundError, ProvError

from ..local.directory import RunDirectory, now
from .grid import JobState

TIMEOUT_S = 10.0
"""How long the server is waited for, in seconds, where it is asked what it knows."""


def close_records(directory: RunDirectory, state: JobState, verdict: JSONDict) -> None:
    """Write the end of a job's activities: its own, its run's and those of steps that still run.

    They begin as they are recorded, where they are: an end with another beginning is refused.
    """
    info = directory.info()
    begun_at = state.started_at or info["created_at"]
    job_activity, run = info["job_activity"], info["id"]
    open_ended: dict[str, JSONDict] = {
        job_activity: {"name": f"{info['name']} job", "type": "Job", "started_at": begun_at},
        run: {
            "name": info["name"], "type": "Workflow", "started_at": begun_at,
            "parent": job_activity,
        },
    }  # fmt: skip
    with suppress(ProvError):
        _ask_server(open_ended, run)
    common: dict[str, Any] = {  # Any: JSON
        "schema": "provmanager/activity.v1",
        "ended_at": state.ended_at or now(),
        "status": verdict["state"],
        "job": {"system": "DIRAC", "id": str(state.job_id), "site": state.site},
        "messages": [{"level": "error", "text": verdict["reason"]}],
    }
    with directory.record_file.open("a", encoding="utf-8") as stream:
        for activity, known in open_ended.items():
            record = {**common, "id": activity, **known}
            if activity == job_activity and state.exit_code is not None:
                record["exit_code"] = state.exit_code
            stream.write(json.dumps(record) + "\n")


def _ask_server(open_ended: dict[str, JSONDict], run: str) -> None:
    """Correct what is known of activities by the server, and add the steps that it has as running.

    Raises
    ------
    ProvError
        It does not answer.
    """
    found = find_connection()
    with ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client:
        for activity in list(open_ended):
            try:
                told = client.activity(activity)
            except NotFoundError:
                continue
            if told["started_at"]:
                open_ended[activity]["started_at"] = told["started_at"]
            for part in told["parts"] if activity == run else ():
                if part["status"] == "running":
                    step = client.activity(part["activity"])
                    open_ended[part["activity"]] = {
                        "name": step["name"], "type": step["type"], "parent": run,
                        "started_at": step["started_at"],
                    }  # fmt: skip
