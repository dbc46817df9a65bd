"""What a job is called, so that its run is known by DiracX alone; and what it leaves."""

import re
import uuid

RESULT = "result"
"""Folder that goes home in the output sandbox."""

JOB_RECORD = "job.prov.jsonl"
"""In it: the record of the job itself."""

PRODUCTION_STEP = "ProductionStep"
"""Activity type of what a production's runs are part of."""

_LONGEST = 128  # DIRAC's column
_NAME = re.compile(
    r"(?P<name>.*)\.(?P<run>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
)


def job_name(name: str, run: str) -> str:
    """Return the JobName of a run's job: the name, as far as there is room, and the id."""
    return f"{name[: _LONGEST - len(run) - 1]}.{run}"


def run_of(job_name: str) -> tuple[str, str] | None:
    """Return name and id of the run of a job by its JobName; None if it is none of ours."""
    found = _NAME.fullmatch(job_name)
    return (found["name"], found["run"]) if found else None


def job_activity_of(run: str, attempt: int = 0) -> str:
    """Return the UUID of the activity that is an attempt of the job of a run."""
    return str(uuid.uuid5(uuid.UUID(run), f"job {attempt}" if attempt else "job"))


def grid_job(job_id: int, attempt: int, site: str | None = None) -> dict[str, str]:
    """Return a job of DiracX as records name it."""
    found = {"system": "DIRAC", "id": str(job_id), "attempt": str(attempt)}
    return found | ({"site": site} if site else {})
