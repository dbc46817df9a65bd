"""A user of the grid, with DiracX's own client."""

import asyncio
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from diracx.api.jobs import create_sandbox, download_sandbox
from diracx.client.aio import AsyncDiracClient
from diracx.client.models import BodyJobsRescheduleJobs
from diracx.client.sync import SyncDiracClient
from diracx.core.preferences import DiracxPreferences

FINAL = {"Done", "Failed", "Killed"}
LIMIT_S = 120  # far above what any takes on an idle machine


class GridUser(AbstractContextManager):
    """Submits jobs as one of the testbed's users, and looks after them."""

    def __init__(self, testbed, name):
        self.preferences = DiracxPreferences(
            url=testbed.url, credentials_path=testbed.credentials[name]
        )
        self.api = SyncDiracClient(diracx_preferences=self.preferences)
        self.api.__enter__()

    def __exit__(self, *raised):
        self.api.__exit__(*raised)

    def submit(self, *scripts, **fields):
        """Submit a shell script each, at most 20; return the ids."""
        more = "".join(f"{key}={value};" for key, value in fields.items())
        jdls = [
            f'JobName="test"; Executable="/bin/sh"; Arguments="-c \'{script}\'"; {more}'
            for script in scripts
        ]
        return [job.job_id for job in self.api.jobs.submit_jdl_jobs(jdls)]

    def look(self, job_id, *more):
        """Return the job's attributes."""
        wanted = ["Status", "MinorStatus", "ApplicationStatus", "Site", "RescheduleCounter", *more]
        search = [{"parameter": "JobID", "operator": "eq", "value": str(job_id)}]
        return self.api.jobs.search(parameters=wanted, search=search)[0]

    def wait(self, job_id, statuses=FINAL):
        """Wait until the job is in one of `statuses`, and return its attributes."""
        return wait_until(
            lambda: (job := self.look(job_id))["Status"] in statuses and job,
            lambda: self.look(job_id, "LoggingInfo"),
        )

    def kill(self, job_id):
        """Have the job killed."""
        status = {"Status": "Killed", "MinorStatus": "Marked for termination", "Source": "User"}
        self.api.jobs.set_job_statuses({str(job_id): {datetime.now(UTC).isoformat(): status}})

    def reschedule(self, job_id):
        """Have the job run anew."""
        return self.api.jobs.reschedule_jobs(BodyJobsRescheduleJobs(job_ids=[job_id]))

    def upload(self, *paths):
        """Upload a sandbox and return its name."""
        return self._run(lambda client: create_sandbox(list(paths), client=client))

    def download(self, job_id, folder):
        """Download the job's output sandbox into `folder`."""
        folder.mkdir()
        for name in self.api.jobs.get_job_sandbox(job_id, "output"):
            self._run(lambda client, name=name: download_sandbox(name, folder, client=client))
        return folder

    def _run(self, call):
        async def with_client():
            async with AsyncDiracClient(diracx_preferences=self.preferences) as client:
                return await call(client)

        return asyncio.run(with_client())


def wait_until(condition, explain=lambda: ""):
    """Wait until `condition` gives something true, and return that."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.2)
    return found
