"""DiracX through its own client: jobs and sandboxes; its errors made ours."""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    NotFoundError,
    ProvError,
    UnavailableError,
    UsageError,
)

from .connection import Connection, fetch_sandbox, send_sandbox, unpack

if TYPE_CHECKING:
    import httpx2
    from diracx.client.aio import AsyncDiracClient
    from diracx.client.sync import SyncDiracClient
    from diracx.core.preferences import DiracxPreferences

T = TypeVar("T")

FINAL = frozenset({"Done", "Failed", "Killed", "Deleted"})
"""DIRAC's statuses that a job does not leave by itself."""

_NOT_DELETED = frozenset({"Matched", "Running", "Stalled", "Completing", "Staging", "Scouting"})
_BY_RESCHEDULED = frozenset({"Failed", "Waiting", "Checking"})
_RESUMED = "which is for good: prod-submit --resume RUN submits it anew"
_FIXED = {
    "Done": _RESUMED, "Killed": _RESUMED, "Deleted": _RESUMED,
    "Matched": "about to start: try again", "Completing": "about to end: wait for it",
}  # fmt: skip
_TOO_OFTEN = "Maximum of reschedulings reached"
_BULK = 20  # what DiracX 0.7 takes in one call
_PAGE = 500
_AT_A_TIME = 8  # sandboxes on their way
_LOG_IN = "log in with: dirac login VO"
_COLUMNS = ["JobID", "Status", "MinorStatus", "ApplicationStatus", "Site", "SubmissionTime",
            "StartExecTime", "EndExecTime", "LastUpdateTime", "RescheduleCounter", "Owner",
            "OwnerGroup", "VO", "JobName"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobState:
    """What DiracX says of a job."""

    job_id: int
    name: str
    status: str
    minor: str
    application: str
    site: str
    owner: str
    started_at: str | None
    ended_at: str | None
    attempt: int

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    @property
    def exit_code(self) -> int | None:
        """Exit code of the payload, where the application status says it."""
        word, _, code = self.application.partition(" ")
        return int(code) if word == "Exit" and code.isdigit() else None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of a job's log in DiracX: when, who said so, and what."""

    at: str
    source: str
    status: str
    minor: str
    application: str

    def __str__(self) -> str:
        said = f"{self.status}, {self.minor}, {self.application}"
        return f"{self.at} {self.source}: {said}"


def gone(job_id: int) -> JobState:
    """Return the state of a job that DiracX no longer has."""
    return JobState(
        job_id=job_id, name="", status="Deleted", minor="DiracX has no such job", application="",
        site="", owner="", started_at=None, ended_at=None, attempt=0,
    )  # fmt: skip


class Grid:
    """The DiracX that ``DIRACX_URL`` names, as the user of ``DIRACX_CREDENTIALS_PATH``."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    @contextmanager
    def kept(self) -> Iterator[Self]:
        """Within it, calls for sandboxes of all threads share one connection."""
        with Connection(_preferences) as self._connection:
            try:
                yield self
            finally:
                self._connection = None

    @cached_property
    def url(self) -> str:
        """Address of that DiracX."""
        return str(_preferences().url).rstrip("/")

    def submit(self, jdls: Sequence[str]) -> list[int]:
        """Submit jobs, 20 a call, and return their ids in that order.

        Raises
        ------
        UsageError
            DiracX refuses a description; of the calls before, ``details["submitted"]`` has the ids.
        """
        job_ids: list[int] = []
        with self._client() as api:
            for first in range(0, len(jdls), _BULK):
                try:
                    with _translated():
                        made = api.jobs.submit_jdl_jobs(list(jdls[first : first + _BULK]))
                except ProvError as error:
                    error.details["submitted"] = job_ids
                    raise
                job_ids += [int(job.job_id) for job in made]
        return job_ids

    def states(self, job_ids: Sequence[int]) -> dict[int, JobState]:
        """Return the states of those jobs that there are."""
        found: dict[int, JobState] = {}
        with self._client() as api, _translated():
            for first in range(0, len(job_ids), _PAGE):
                wanted = list(job_ids[first : first + _PAGE])
                search: Any = [{"parameter": "JobID", "operator": "in", "values": wanted}]
                rows = api.jobs.search(parameters=_COLUMNS, search=search, page=1, per_page=_PAGE)
                found |= {int(row["JobID"]): _state(row) for row in rows}
        return found

    def own(self, since: datetime) -> dict[int, JobState]:
        """Return the states of all jobs of our user's that were submitted since then."""
        found: dict[int, JobState] = {}
        with self._client() as api, _translated():
            me = api.auth.userinfo()
            search: Any = [
                {"parameter": "Owner", "operator": "eq", "value": me.preferred_username},
                {"parameter": "VO", "operator": "eq", "value": me.vo},
                {"parameter": "SubmissionTime", "operator": "gt",
                 "value": since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")},
            ]  # fmt: skip
            order: Any = [{"parameter": "JobID", "direction": "asc"}]
            for page in itertools.count(1):
                rows = api.jobs.search(parameters=_COLUMNS, search=search, sort=order, page=page,
                                       per_page=_PAGE)  # fmt: skip
                found |= {int(row["JobID"]): _state(row) for row in rows}
                if len(rows) < _PAGE:
                    break
        return found

    def find_named(self, names: Sequence[str]) -> dict[str, int]:
        """Return the first job of each of the names that there is."""
        found: dict[str, int] = {}
        search: Any = [{"parameter": "JobName", "operator": "in", "values": list(names)}]
        order: Any = [{"parameter": "JobID", "direction": "desc"}]
        with self._client() as api, _translated():
            for page in itertools.count(1):
                rows = api.jobs.search(parameters=["JobID", "JobName"], search=search, sort=order,
                                       page=page, per_page=_PAGE)  # fmt: skip
                found |= {str(row["JobName"]): int(row["JobID"]) for row in rows}
                if len(rows) < _PAGE:
                    return found
        return found

    def log(self, job_id: int) -> list[LogEntry]:
        """Return a job's log, an entry a status."""
        search: Any = [{"parameter": "JobID", "operator": "eq", "value": str(job_id)}]
        with self._client() as api, _translated():
            rows: Any = api.jobs.search(parameters=["LoggingInfo"], search=search)
        names = ("StatusTime", "Source", "Status", "MinorStatus", "ApplicationStatus")
        told = [one for row in rows for one in row["LoggingInfo"]]
        return [LogEntry(*(str(one[name]) for name in names)) for one in told]

    def kill(self, job_ids: Sequence[int]) -> None:
        """Have jobs killed; those that run are told with their next heartbeat."""
        self._set(job_ids, "Killed", "Marked for termination")

    def delete(self, job_ids: Sequence[int]) -> dict[int, int]:
        """Have jobs deleted, those at work killed first; return their attempts.

        Raises
        ------
        NotFoundError, UsageError
            There is none such, or DiracX does not delete it.
        """
        states = self._all_states(job_ids)
        at_work = [job for job, state in states.items() if state.status in _NOT_DELETED]
        if at_work:  # DIRAC's state machine knows no way from Running to Deleted but by this
            self.kill(at_work)
        self._set(job_ids, "Deleted", "Checking accounting")
        after = self.states(job_ids)
        stuck = {job: s.status for job, s in after.items() if s.status != "Deleted"}
        if stuck:
            told = "; ".join(f"{job}: it stays {status}" for job, status in stuck.items())
            raise UsageError(f"DiracX does not delete: {told}")
        return {job: state.attempt for job, state in states.items()}

    def reschedule(self, job_ids: Sequence[int]) -> dict[int, int]:
        """Have jobs run anew, failed ones too; return how often each has been rescheduled now.

        Raises
        ------
        NotFoundError, UsageError
            There is none such, or DiracX does not: too often, or it has ended for good.
        """
        states = self._all_states(job_ids)
        final = [f"{job}: it is {s.status}, {_FIXED[s.status]}"
                 for job, s in states.items() if s.status in _FIXED]  # fmt: skip
        if final:  # DiracX would count all the same
            raise UsageError(f"DiracX does not reschedule: {'; '.join(final)}")
        prepared = {job: s.status for job, s in states.items() if s.status in _BY_RESCHEDULED}
        if prepared:  # DIRAC's state machine knows no way from there to Received but by this
            self._set(list(prepared), "Rescheduled", "Job Rescheduled")
        try:
            refused = self._reschedule(job_ids)
        finally:
            after = self.states(job_ids)
            for job, status in prepared.items():
                if job in after and after[job].status == "Rescheduled":  # it would stay so for ever
                    minor = _TOO_OFTEN if status == "Failed" else "Job Rescheduling refused"
                    self._set([job], status, minor)
        stuck = {j: s.status for j, s in after.items() if s.attempt <= states[j].attempt}
        refused |= {j: f"it stays {status}" for j, status in stuck.items() if j not in refused}
        if refused:
            said = "; ".join(f"{job}: {why}" for job, why in refused.items())
            raise UsageError(
                f"DiracX does not reschedule: {said}; prod-submit --resume RUN submits it anew"
            )
        return {job: state.attempt for job, state in after.items()}

    def _reschedule(self, job_ids: Sequence[int]) -> dict[int, str]:
        """Ask DiracX; return why it refuses those that it does not reschedule."""
        from diracx.client.models import BodyJobsRescheduleJobs

        try:
            with self._client() as api, _translated():
                answer: Any = api.jobs.reschedule_jobs(
                    BodyJobsRescheduleJobs(job_ids=list(job_ids))
                )
        except UsageError as error:
            try:
                cause: Any = error.__cause__  # Any: azure-core has no types
                answer = json.loads(cause.response.text())["detail"]
                return {int(job): str(why["detail"]) for job, why in answer["failed"].items()}
            except (AttributeError, KeyError, TypeError, ValueError):
                raise error from error.__cause__
        return {int(job): str(why["detail"]) for job, why in answer["failed"].items()}

    def _all_states(self, job_ids: Sequence[int]) -> dict[int, JobState]:
        states = self.states(job_ids)
        missing = [str(job_id) for job_id in job_ids if job_id not in states]
        if missing:
            raise NotFoundError(f"DiracX has no job {', '.join(missing)}")
        return states

    def _set(self, job_ids: Sequence[int], status: str, minor: str) -> None:
        from diracx.client.models import JobStatusUpdate

        now = datetime.now(UTC).isoformat()
        update: Any = JobStatusUpdate(status=status, minor_status=minor, source="User")
        with self._client() as api, _translated():
            api.jobs.set_job_statuses({str(job_id): {now: update} for job_id in job_ids})

    def upload(self, packages: Sequence[Sequence[Path]]) -> list[str]:
        """Upload the files and folders of each package as a sandbox, and return their names.

        Raises
        ------
        UsageError
            One is larger than DiracX takes (100 MB, compressed).
        """

        async def upload_all(api: "AsyncDiracClient", storage: "httpx2.AsyncClient") -> list[str]:
            turns = asyncio.Semaphore(_AT_A_TIME)

            async def upload(paths: Sequence[Path]) -> str:
                async with turns:
                    return await _patiently(lambda: send_sandbox(api, storage, paths))

            return await asyncio.gather(*map(upload, packages))

        return self._run(upload_all)

    def download(self, job_id: int, folder: Path) -> list[Path]:
        """Unpack a job's output sandboxes, each into a folder of its own in `folder`.

        A job that was rescheduled may have one of each attempt, in any order.
        """
        with tempfile.TemporaryDirectory() as made:

            async def fetch(api: "AsyncDiracClient", storage: "httpx2.AsyncClient") -> list[Path]:
                names = [n for n in await api.jobs.get_job_sandbox(job_id, "output") if n]
                found = [Path(made) / str(number) for number in range(len(names))]
                for name, path in zip(names, found, strict=True):
                    await _patiently(partial(fetch_sandbox, api, storage, str(name), path))
                return found

            folders = []
            for archive in self._run(fetch):
                folders.append(folder / archive.name)
                folders[-1].mkdir()
                unpack(archive, folders[-1])
        return folders

    def _run(self, call: "Callable[[AsyncDiracClient, httpx2.AsyncClient], Awaitable[T]]") -> T:
        """Sandboxes come with an asynchronous client only."""
        _preferences()  # says what is missing, before anything of it is imported
        with _translated():
            if self._connection is not None:
                return self._connection.run(call)
            with Connection(_preferences) as connection:
                return connection.run(call)

    @contextmanager
    def _client(self) -> "Iterator[SyncDiracClient]":
        preferences = _preferences()
        from diracx.client.sync import SyncDiracClient

        with _translated(), SyncDiracClient(diracx_preferences=preferences) as api:
            yield api


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call; anew where the connection breaks, as all that is done so may be done twice."""
    import httpx2
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    for wait_s in (0.2, 1.0):
        try:
            return await call()
        except (ServiceRequestError, ServiceResponseError, httpx2.TransportError):
            await asyncio.sleep(wait_s)
    return await call()


def _preferences() -> "DiracxPreferences":
    try:
        from diracx.core.preferences import DiracxPreferences
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, and the grid needs it: "
            "pip install 'provmanager[diracx]'"
        ) from error
    from pydantic import ValidationError

    from_env: Any = DiracxPreferences.from_env  # Any: it has no types
    try:
        preferences: DiracxPreferences = from_env()
    except ValidationError as error:
        names = ", ".join(f"DIRACX_{str(e['loc'][0]).upper()}" for e in error.errors())
        raise UsageError(
            f"{names}: not set, or not valid: name your DiracX with "
            f"DIRACX_URL=https://…, and {_LOG_IN}"
        ) from error
    if not preferences.credentials_path.exists():
        raise AuthenticationError(
            f"there are no credentials of DiracX in {preferences.credentials_path}: {_LOG_IN}, or "
            "name another file with DIRACX_CREDENTIALS_PATH"
        )
    return preferences


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our errors instead of those of DiracX's client."""
    import httpx2
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    try:
        yield
    except HttpResponseError as error:
        raise _error(int(error.status_code or 0), _detail(error)) from error
    except httpx2.HTTPStatusError as error:  # the storage of sandboxes
        raise _error(error.response.status_code, error.response.text[:300]) from error
    except (ServiceRequestError, ServiceResponseError, httpx2.HTTPError) as error:
        raise UnavailableError(f"DiracX does not answer: {error}") from error
    except RuntimeError as error:  # the client's own, where a token cannot be refreshed
        if "refreshing" not in str(error) and "well-known" not in str(error):
            raise
        raise AuthenticationError(f"{error}: {_LOG_IN}") from error


def _detail(error: Any) -> str:  # Any: azure-core has no types
    try:
        text = error.response.text()
        return str(json.loads(text)["detail"])
    except (AttributeError, ValueError, KeyError, TypeError):
        return str(error)


def _error(status: int, detail: str) -> ProvError:
    if "JDL syntax error" in detail:
        return UsageError(
            "DiracX says 'JDL syntax error'; it says so too where the JobType is none that its "
            "configuration allows (Operations/…/JobDescription/AllowedJobTypes), or InputData has "
            "more LFNs than it allows (MaxInputData): check these first",
            found=detail,
        )
    if status == 401:
        return AuthenticationError(f"DiracX does not know you ({detail}): {_LOG_IN}")
    if status == 403:
        return AuthorisationError(f"DiracX does not allow this: {detail}")
    if status == 404:
        return NotFoundError(f"DiracX has none such: {detail}")
    if status in (400, 413, 422):
        return UsageError(f"DiracX refuses this: {detail}")
    return UnavailableError(f"DiracX fails with status {status}: {detail}")


def _state(row: dict[str, Any]) -> JobState:  # Any: JSON
    return JobState(
        job_id=int(row["JobID"]),
        name=str(row["JobName"]),
        status=str(row["Status"]),
        minor=str(row["MinorStatus"]),
        application=str(row["ApplicationStatus"]),
        site=str(row["Site"]),
        owner=str(row["Owner"]),
        started_at=row.get("StartExecTime"),
        ended_at=row.get("EndExecTime"),
        attempt=int(row["RescheduleCounter"]),
    )
