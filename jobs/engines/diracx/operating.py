"""What a person does with the job of a run: reschedule it or delete it; and the record of that."""

import json
from contextlib import suppress
from typing import Literal

from provmanager.capture.command import observed
from provmanager.client import ProvClient
from provmanager.config import find_connection
from provmanager.errors import JSONDict, ProvError, UsageError

from ..local.delivery import Delivery
from ..local.directory import RunDirectory
from .attempts import OPERATIONS, begin_again
from .closing import TIMEOUT_S
from .discovery import adopt, named_jobs
from .engine import DiracxEngine
from .grid import Grid
from .names import PRODUCTION_STEP, grid_job


def reschedule(engine: DiracxEngine, name: str) -> tuple[str, int]:
    """Have the job of a run run anew; return the run, which goes on as it is, and the job's number.

    What the job left is brought home before.

    Parameters
    ----------
    name : str
        Id of the run, the beginning of it, its folder, or the number of its job in DiracX.

    Raises
    ------
    NotFoundError, AmbiguousError
        There is no such run or job.
    UsageError
        DiracX permits it no more; the run is completed, or its production takes care of it.
    """
    grid = Grid()
    directory, job_id = _found(engine, grid, name)
    status = engine.status(str(directory.path))
    if status.state == "completed":
        raise UsageError(f"run {status.id} is completed: there is nothing to run again")
    if status.is_final and _belongs_to_production(status.id):
        raise UsageError(
            f"run {status.id} has ended, and its production takes care of what it lacks: "
            "prod-submit with the production's document goes on with it"
        )
    attempt = grid.reschedule([job_id])[job_id]
    _record(directory, "reschedule", grid_job(job_id, attempt), grid=grid.url)
    return status.id, job_id


def delete(engine: DiracxEngine, name: str) -> tuple[str, int]:
    """Have the job of a run deleted in DiracX; return the run, whose record stays, and the number.

    What it left is brought home before; if it has not ended, it is killed.

    Parameters
    ----------
    name : str
        As of `reschedule`.

    Raises
    ------
    NotFoundError, AmbiguousError
        There is no such run or job.
    UsageError
        DiracX does not permit it.
    """
    grid = Grid()
    directory, job_id = _found(engine, grid, name)
    run = engine.status(str(directory.path)).id
    attempt = grid.delete([job_id])[job_id]
    _record(directory, "delete", grid_job(job_id, attempt), grid=grid.url)
    return run, job_id


def _found(engine: DiracxEngine, grid: Grid, name: str) -> tuple[RunDirectory, int]:
    (job,) = named_jobs(grid, engine.folder, [name])
    return job.directory or adopt(engine.folder, job, grid), job.job_id


def _record(
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
        "attributes": {"engine": "diracx", "steps": info["steps"]},
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


def _belongs_to_production(run: str) -> bool:
    """Whether the record has a run as part of a production; False where no server says so."""
    found = find_connection()
    with (
        suppress(ProvError),
        ProvClient(found.url, found.token, timeout_s=TIMEOUT_S, retries=0) as client,
    ):
        told = client.activity(run)
        return any(outer["type"] == PRODUCTION_STEP for outer in told["part_of"])
    return False
