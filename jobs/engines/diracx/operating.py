"""What is recorded where a person has a job rescheduled or deleted: who did so, and when."""

import json
from contextlib import suppress
from typing import Literal

from provmanager.capture.command import observed
from provmanager.client import ProvClient
from provmanager.config import find_connection
from provmanager.errors import JSONDict, ProvError

from ..local.delivery import Delivery
from ..local.directory import RunDirectory
from .attempts import OPERATIONS, begin_again
from .closing import TIMEOUT_S
from .names import PRODUCTION_STEP


def record_word(
    directory: RunDirectory, word: Literal["reschedule", "delete"], job: JSONDict, *, grid: str
) -> None:
    """Record and deliver that the job of a run was rescheduled or deleted, as an activity.

    A run that had ended and goes on is running again to the record.

    Parameters
    ----------
    job : dict
        The job as records have it, with the attempt that is to come, or that was deleted.
    """
    info = directory.info()
    had_ended = directory.has_ended()
    record = directory.path / OPERATIONS
    recording = observed(
        (), name=word, type="JobOperation", software={"name": "provmanager"},
        directory=directory.path, job=job, record=record,
        configuration={"run": info["id"], "grid": grid, "grid_job": int(job["id"])},
    )  # fmt: skip
    with recording:
        pass
    goes_on = {
        "schema": "provmanager/activity.v1", "id": info["id"], "name": info["name"],
        "type": "Workflow", "status": "running", "job": job,
    }  # fmt: skip
    if word == "reschedule":
        with directory.lock():
            begin_again(directory, int(job["attempt"]))
        if had_ended:
            with record.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(goes_on) + "\n")
    delivery = Delivery(record)
    delivery.start()
    delivery.close()


def belongs_to_production(run: str) -> bool:
    """Whether the record has a run as part of a production; False where no server says so."""
    found = find_connection()
    with (
        suppress(ProvError),
        ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client,
    ):
        told = client.activity(run)
        return any(outer["type"] == PRODUCTION_STEP for outer in told["part_of"])
    return False
