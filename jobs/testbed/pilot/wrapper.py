"""One job on a worker, as DIRAC's JobWrapper runs it: sandboxes, payload, heartbeats, statuses.

Everything is done with a token of the job's owner: an output sandbox that a pilot uploads lies
where the owner may not read it.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from azure.core.exceptions import AzureError
from diracx.api.jobs import create_sandbox, download_sandbox
from diracx.client.aio import AsyncDiracClient
from diracx.client.models import HeartbeatData, JobStatusUpdate
from diracx.core.models import ScalarSearchOperator, ScalarSearchSpec
from diracx.core.preferences import DiracxPreferences

from .description import JobDescription
from .payload import Payload, output_files, start_payload
from .settings import WorkerSettings

logger = logging.getLogger(__name__)

FAILURES = (AzureError, httpx2.HTTPError, RuntimeError)
"""What calls of the server fail with."""

_SOURCE = "JobWrapper"
_WAITING = {"Received", "Waiting"}
_TAKEN = {"Killed", "Deleted", "Failed", "Done", *_WAITING}
_POLL_S = 0.1
_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker, and no other, runs."""

    job_id: int
    attempt: int
    description: JobDescription
    credentials: Path
    directory: Path


@dataclass(slots=True)
class JobWrapper:
    """Runs one job to its end."""

    job: ClaimedJob
    settings: WorkerSettings
    is_stopping: Callable[[], bool]
    """Whether the worker was told to end."""
    _api: AsyncDiracClient = field(init=False, repr=False)

    async def run(self) -> None:
        """Run the job; whatever goes wrong in it becomes its status."""
        preferences = DiracxPreferences(
            url=self.settings.url, credentials_path=self.job.credentials
        )
        async with AsyncDiracClient(diracx_preferences=preferences) as self._api:
            if not await self._begin():
                return
            try:
                if await self._download():
                    await self._run_payload()
            except Exception:  # the edge of the job's process
                logger.exception("job %d", self.job.job_id)
                await self._report(("Failed", "Exception During Execution", "Unknown"))

    async def _begin(self) -> bool:
        """Take the job from Waiting to Running; return False if it is not ours to run."""
        state = await self._patiently(self._state)
        if state is None or state[0] not in _WAITING or state[1] != self.job.attempt:
            logger.info("job %d is %s: not run", self.job.job_id, state)
            return False
        begun = await self._report(
            ("Waiting", "Pilot Agent Submission", "Unknown"),
            ("Matched", "Assigned", "Unknown"),
            ("Running", "Downloading InputSandbox", "Unknown"),
        )
        if begun != "Running":
            return False
        await self._describe_node()
        return True

    async def _describe_node(self) -> None:
        told = {
            "Site": self.settings.site,
            "HostName": socket.gethostname(),
            "LocalAccount": str(os.geteuid()),
            "Pilot_Reference": self.settings.stamp,
        }
        await self._patiently(lambda: self._api.jobs.patch_metadata({self.job.job_id: told}))

    async def _download(self) -> bool:
        for pfn in self.job.description.input_sandbox:
            if not pfn.startswith("SB:"):
                logger.warning("job %d: %s is not a sandbox: not staged", self.job.job_id, pfn)
                continue
            try:
                await download_sandbox(pfn, self.job.directory, client=self._api)
            except FAILURES as error:
                logger.warning("job %d: input sandbox %s: %s", self.job.job_id, pfn, error)
                await self._report(("Failed", "Failed Downloading InputSandbox", "Unknown"))
                return False
        return True

    async def _run_payload(self) -> None:
        description, directory = self.job.description, self.job.directory
        if await self._report(("Running", "Application", "Executing")) != "Running":
            return
        try:
            payload = start_payload(description, directory, self._environment())
        except (OSError, ValueError) as error:
            (directory / description.stderr).write_text(f"{error}\n")
            await self._upload()
            await self._report(("Failed", "Application not found", "Exit 127"))
            return
        is_ours = await self._follow(payload)
        logger.info("job %d: payload ended with %d", self.job.job_id, payload.exit_code)
        if not is_ours:  # killed: what there is goes home, the status stays
            if await self._attempt_is_current():
                await self._upload()
            return
        if payload.ended_by_us:
            await self._upload()
            await self._report(("Failed", "Received Kill signal", f"Exit {payload.exit_code}"))
            return
        await self._report(("Completing", "Uploading Output Sandbox", "Unknown"))
        is_home = await self._upload()
        code = payload.exit_code
        if code != 0:
            await self._report(("Failed", "Application Finished With Errors", f"Exit {code}"))
        elif not is_home:
            await self._report(("Failed", "Uploading Output Sandbox", f"Exit {code}"))
        else:
            await self._report(("Done", "Execution Complete", f"Exit {code}"))

    async def _follow(self, payload: Payload) -> bool:
        """Wait for the payload's end; return False if the job was taken from it meanwhile."""
        heartbeat_at = time.monotonic() + self.settings.heartbeat_s
        while payload.is_running:
            await asyncio.sleep(_POLL_S)
            if self.is_stopping():
                await self._end(payload)
                return True
            if time.monotonic() < heartbeat_at or not payload.is_running:
                continue
            if await self._is_taken(payload):
                await self._end(payload)
                return False
            heartbeat_at = time.monotonic() + self.settings.heartbeat_s
        # What the payload left running in its process group ends with it, as at a site.
        payload.send(signal.SIGKILL)
        return True

    async def _is_taken(self, payload: Payload) -> bool:
        """Send a heartbeat; return whether the job is to be killed, or no longer ours."""
        job_id = self.job.job_id
        told: dict[str, Any] = {**payload.measure(self.job.directory)}  # Any: typed by name
        try:
            commands = await self._api.jobs.add_heartbeat({str(job_id): HeartbeatData(**told)})
            if any(command.command == "Kill" for command in commands):
                return True
            state = await self._state()
        except FAILURES as error:
            logger.warning("job %d: heartbeat: %s", job_id, error)
            return False
        return state is None or state[0] in _TAKEN or state[1] != self.job.attempt

    async def _end(self, payload: Payload) -> None:
        """SIGTERM, and SIGKILL after the grace period."""
        payload.ended_by_us = True
        payload.send(signal.SIGTERM)
        deadline = time.monotonic() + self.settings.kill_grace_s
        while payload.is_running and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
        payload.send(signal.SIGKILL)

    async def _upload(self) -> bool:
        """Upload the output sandbox and assign it; return whether that went well."""
        files, missing = output_files(self.job.description, self.job.directory)
        job_id = self.job.job_id
        try:
            if missing:
                names = ", ".join(missing)
                await self._api.jobs.patch_metadata({job_id: {"OutputSandboxMissingFiles": names}})
            if files:
                pfn = await create_sandbox(files, client=self._api)
                await self._api.jobs.assign_sandbox_to_job(job_id, json.dumps(pfn))
        except (*FAILURES, OSError) as error:
            logger.warning("job %d: output sandbox: %s", job_id, error)
            return False
        return True

    async def _state(self) -> tuple[str, int] | None:
        """Return the job's status and attempt; None if it is gone."""
        found = await self._api.jobs.search(
            parameters=["Status", "RescheduleCounter"],
            search=[
                ScalarSearchSpec(
                    parameter="JobID",
                    operator=ScalarSearchOperator.EQUAL,
                    value=str(self.job.job_id),
                )
            ],
        )
        if not found:
            return None
        return str(found[0]["Status"]), int(found[0]["RescheduleCounter"])

    async def _attempt_is_current(self) -> bool:
        try:
            state = await self._state()
        except FAILURES:
            return False
        return state is not None and state[1] == self.job.attempt

    async def _report(self, *statuses: tuple[str, str, str]) -> str | None:
        """Set (status, minor status, application status), in that order; return the last that took.

        Nothing is reported for an attempt that is no longer the job's.
        """
        job_id = self.job.job_id
        state = await self._patiently(self._state)
        if state is None or state[1] != self.job.attempt or state[0] in {"Killed", "Deleted"}:
            return None if state is None else state[0]
        now = datetime.now(UTC)
        body = {
            str(job_id): {
                (now + timedelta(microseconds=i)).isoformat(): JobStatusUpdate(
                    status=status,
                    minor_status=minor,
                    application_status=application,
                    source=_SOURCE,
                )
                for i, (status, minor, application) in enumerate(statuses)
            }
        }
        answer = await self._patiently(lambda: self._api.jobs.set_job_statuses(body))
        taken = answer.success.get(str(job_id))
        return None if taken is None else taken.status

    async def _patiently(self, call: Callable[[], Awaitable[Any]]) -> Any:  # Any: the API's answers
        """Call the server again and again for a while, should it be away."""
        deadline = time.monotonic() + _RETRY_S
        while True:
            try:
                return await call()
            except FAILURES as error:
                if time.monotonic() > deadline or self.is_stopping():
                    raise
                logger.warning("job %d: trying again: %s", self.job.job_id, error)
                await asyncio.sleep(1)

    def _environment(self) -> dict[str, str]:
        """Return the environment of the payload: a real DIRAC job's, and little of ours."""
        own = {n: os.environ[n] for n in ("PATH", "LANG", "LC_ALL", "TZ") if n in os.environ}
        job_id = str(self.job.job_id)
        return own | {
            "HOME": str(self.job.directory),
            "TMPDIR": str(self.job.directory),
            "JOBID": job_id,
            "DIRACJOBID": job_id,
            "DIRACSITE": self.settings.site,
            "DIRAC_PILOT_STAMP": self.settings.stamp,
            "DIRAC_PROCESSORS": "1",
            "DIRAC_JOB_PROCESSORS": "1",
            "DIRACX_URL": self.settings.url,
            "DIRACX_CREDENTIALS_PATH": str(self.job.credentials),
        }


def make_directory(jobs: Path, job_id: int, attempt: int) -> Path:
    """Make the working directory of an attempt, empty."""
    directory = jobs / f"{job_id}.{attempt}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
