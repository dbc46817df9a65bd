"""A job's description: the fields of its JDL that a job wrapper acts upon."""

from dataclasses import dataclass
from typing import Any

from DIRACCommon.Core.Utilities.ClassAd.ClassAdLight import ClassAd
from DIRACCommon.WorkloadManagementSystem.DB.JobDBUtils import extractJDL
from diracx.db.sql import JobDB

ANY_SITE = "ANY"


@dataclass(frozen=True, slots=True)
class JobDescription:
    """What to run, with what, and what to bring back."""

    executable: str
    arguments: str
    stdout: str
    stderr: str
    input_sandbox: tuple[str, ...]
    output_sandbox: tuple[str, ...]
    environment: tuple[str, ...]
    sites: tuple[str, ...]
    banned_sites: tuple[str, ...]

    def may_run_at(self, site: str) -> bool:
        """Return whether the job is for `site`."""
        if site in self.banned_sites:
            return False
        return not self.sites or site in self.sites or ANY_SITE in self.sites


def parse_jdl(jdl: str) -> JobDescription:
    """Read a JDL."""
    text = jdl.strip()
    ad = ClassAd(text if text.startswith("[") else f"[{text}]")
    return JobDescription(
        executable=ad.getAttributeString("Executable") or "",
        arguments=ad.getAttributeString("Arguments") or "",
        stdout=ad.getAttributeString("StdOutput") or "std.out",
        stderr=ad.getAttributeString("StdError") or "std.err",
        input_sandbox=_values(ad, "InputSandbox"),
        output_sandbox=_values(ad, "OutputSandbox"),
        environment=_values(ad, "ExecutionEnvironment"),
        sites=_values(ad, "Site"),
        banned_sites=_values(ad, "BannedSites"),
    )


def _values(ad: Any, name: str) -> tuple[str, ...]:  # Any: DIRACCommon has no types
    return tuple(value for value in ad.getListFromExpression(name) or () if value)


async def read_jdl(database_url: str, job_id: int) -> str:
    """Return the JDL of a job, as DiracX prepared it, from DiracX's own database.

    Raises
    ------
    KeyError
        There is no such job.
    """
    database = JobDB(database_url)
    async with database.engine_context(), database:
        found = await database.get_job_jdls([job_id])
    return str(extractJDL(found[job_id]))
