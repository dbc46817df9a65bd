"""A worker: takes waiting jobs one after the other, as a pilot does.

python -m pilot.worker SETTINGS
"""

import asyncio
import logging
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .claims import Claims
from .description import parse_jdl, read_jdl
from .settings import WorkerSettings
from .tokens import Owner, Server, ServerError, write_credentials
from .wrapper import FAILURES, ClaimedJob, JobWrapper, make_directory

logger = logging.getLogger("worker")

_POLL_S = 0.5
_TOKEN_S = 600.0
_PAGE = 100
_WANTED = ["JobID", "RescheduleCounter", "Owner", "OwnerGroup", "VO", "UserPriority"]


class Worker:
    """Finds, claims and runs jobs until it is told to stop."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._server = Server(settings.url)
        self._claims = Claims(Path(settings.claims))
        self._api_key = Path(settings.api_key_file).read_text()
        self._token = ("", 0.0)
        self._other_sites: set[tuple[int, int]] = set()
        self.is_stopping = False

    def stop(self, *_: object) -> None:
        """Take no more jobs, and end the one that runs."""
        self.is_stopping = True

    def run(self) -> None:
        """Work until stopped."""
        while not self.is_stopping:
            try:
                has_worked = asyncio.run(self._take_one())
            except (*FAILURES, ServerError) as error:
                logger.warning("%s", error)
                has_worked = False
            if not has_worked and not self.is_stopping:
                time.sleep(_POLL_S)

    async def _take_one(self) -> bool:
        """Run one of the waiting jobs; return False if there is none for us."""
        for found in self._waiting():
            job_id, attempt = int(found["JobID"]), int(found["RescheduleCounter"])
            if self.is_stopping:
                return False
            if (job_id, attempt) in self._other_sites:
                continue
            try:
                description = parse_jdl(await read_jdl(self._settings.job_database_url, job_id))
            except KeyError:  # removed meanwhile
                continue
            if not description.may_run_at(self._settings.site):
                self._other_sites.add((job_id, attempt))
                continue
            if not self._claims.take(job_id, attempt, self._settings.stamp):
                continue
            jobs = Path(self._settings.jobs)
            job = ClaimedJob(
                job_id=job_id,
                attempt=attempt,
                description=description,
                credentials=jobs / f"{job_id}.{attempt}.credentials.json",
                directory=make_directory(jobs, job_id, attempt),
            )
            owner = Owner(found["Owner"], found["VO"], found["OwnerGroup"])
            await self._run_job(job, owner)
            return True
        return False

    async def _run_job(self, job: ClaimedJob, owner: Owner) -> None:
        logger.info("job %d, attempt %d of %s", job.job_id, job.attempt, owner.user)
        try:
            write_credentials(job.credentials, self._server.token(self._api_key, owner))
            await JobWrapper(job, self._settings, lambda: self.is_stopping).run()
        finally:
            job.credentials.unlink(missing_ok=True)
            if not self._settings.keep_directories:
                shutil.rmtree(job.directory, ignore_errors=True)

    def _waiting(self) -> list[dict[str, Any]]:  # Any: the API's answers
        """Return jobs that wait, by priority and age."""
        body = {
            "parameters": _WANTED,
            "search": [
                {"parameter": "Status", "operator": "in", "values": ["Received", "Waiting"]}
            ],
            "sort": [
                {"parameter": "UserPriority", "direction": "desc"},
                {"parameter": "JobID", "direction": "asc"},
            ],
        }
        path = f"/api/jobs/search?page=1&per_page={_PAGE}"
        found: list[dict[str, Any]] = self._server.call(
            "POST", path, token=self._pilot_token(), body=body
        )
        return found

    def _pilot_token(self) -> str:
        token, expires_at = self._token
        if time.monotonic() > expires_at:
            pilot = Owner(self._settings.pilot_user, self._settings.vo, self._settings.pilot_group)
            token = self._server.token(self._api_key, pilot)["access_token"]
            self._token = (token, time.monotonic() + _TOKEN_S)
        return token


def main() -> None:
    """Run a worker with the settings of the command line."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for noisy in ("azure", "httpx2", "httpx", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    worker = Worker(WorkerSettings.load(sys.argv[1]))
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker.run()


if __name__ == "__main__":
    main()
