"""Which grid or batch job the activity runs in, from the environment that the system sets.

Names were taken from the systems themselves: DIRAC's JobWrapper (``JOBID``, ``DIRACSITE``,
``DIRAC_PROCESSORS``; ``DIRACJOBID`` no longer in DIRAC 9), its pilots (``DIRAC_PILOT_STAMP``), ARC
(``GRID_GLOBAL_JOBID``), HTCondor (``_CONDOR_JOB_AD``), Slurm, LSF, PBS, Grid Engine, OAR, AWS
Batch, GitLab CI and GitHub Actions.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

JSONDict = dict[str, Any]  # Any: free-form JSON

_AD_LINE = re.compile(r'^(?P<key>\w+)\s*=\s*"?(?P<value>[^"\n]*)"?\s*$', re.MULTILINE)
_MAX_AD = 262_144

# system: (variables of which one must be there, field -> variables, the first that is set wins)
_SYSTEMS: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "DIRAC": (
        ("DIRACJOBID", "DIRACSITE", "DIRAC_PILOT_STAMP"),
        # DIRAC sets nothing that tells of rescheduling; who has asked it for its counter may
        {"id": ("DIRACJOBID", "JOBID"), "site": ("DIRACSITE",), "pilot": ("DIRAC_PILOT_STAMP",),
         "attempt": ("PROV_JOB_ATTEMPT",),
         "n_cpus": ("DIRAC_JOB_PROCESSORS", "DIRAC_PROCESSORS")},
    ),
    "ARC": (
        ("GRID_GLOBAL_JOBID",),
        {"id": ("GRID_GLOBAL_JOBID",), "url": ("GRID_GLOBAL_JOBURL",),
         "site": ("GRID_GLOBAL_JOBHOST",)},
    ),
    "HTCondor": (
        ("_CONDOR_JOB_AD", "_CONDOR_SCRATCH_DIR", "HTCONDOR_JOBID"),
        {"id": ("HTCONDOR_JOBID",), "slot": ("_CONDOR_SLOT",)},
    ),
    "Slurm": (
        ("SLURM_JOB_ID", "SLURM_JOBID"),
        {"id": ("SLURM_JOB_ID", "SLURM_JOBID"), "name": ("SLURM_JOB_NAME",),
         "site": ("SLURM_CLUSTER_NAME",), "queue": ("SLURM_JOB_PARTITION",),
         "owner": ("SLURM_JOB_USER",), "account": ("SLURM_JOB_ACCOUNT",),
         "array_id": ("SLURM_ARRAY_JOB_ID",), "array_index": ("SLURM_ARRAY_TASK_ID",),
         "step": ("SLURM_STEP_ID",), "process": ("SLURM_PROCID",),
         "attempt": ("SLURM_RESTART_COUNT",), "n_cpus": ("SLURM_CPUS_PER_TASK",)},
    ),
    "LSF": (
        ("LSB_JOBID",),
        {"id": ("LSB_JOBID",), "name": ("LSB_JOBNAME",), "queue": ("LSB_QUEUE",),
         "array_index": ("LSB_JOBINDEX",), "submitted_from": ("LSB_SUB_HOST",)},
    ),
    "PBS": (
        ("PBS_JOBID",),
        {"id": ("PBS_JOBID",), "name": ("PBS_JOBNAME",), "queue": ("PBS_QUEUE",),
         "array_index": ("PBS_ARRAY_INDEX", "PBS_ARRAYID"), "owner": ("PBS_O_LOGNAME",),
         "submitted_from": ("PBS_O_HOST",)},
    ),
    "Grid Engine": (
        ("SGE_TASK_ID", "SGE_O_HOST"),
        {"id": ("JOB_ID",), "name": ("JOB_NAME",), "queue": ("QUEUE",),
         "array_index": ("SGE_TASK_ID",), "owner": ("SGE_O_LOGNAME",),
         "submitted_from": ("SGE_O_HOST",), "attempt": ("RESTARTED",)},
    ),
    "OAR": (
        ("OAR_JOB_ID",),
        {"id": ("OAR_JOB_ID",), "name": ("OAR_JOB_NAME",), "array_id": ("OAR_ARRAY_ID",),
         "array_index": ("OAR_ARRAY_INDEX",), "owner": ("OAR_USER",)},
    ),
    "AWS Batch": (
        ("AWS_BATCH_JOB_ID",),
        {"id": ("AWS_BATCH_JOB_ID",), "queue": ("AWS_BATCH_JQ_NAME",),
         "site": ("AWS_BATCH_CE_NAME",), "attempt": ("AWS_BATCH_JOB_ATTEMPT",),
         "array_index": ("AWS_BATCH_JOB_ARRAY_INDEX",)},
    ),
    "GitLab CI": (
        ("CI_JOB_ID",),
        {"id": ("CI_JOB_ID",), "name": ("CI_JOB_NAME",), "url": ("CI_JOB_URL",),
         "owner": ("GITLAB_USER_LOGIN",)},
    ),
    "GitHub Actions": (
        ("GITHUB_RUN_ID",),
        {"id": ("GITHUB_RUN_ID",), "name": ("GITHUB_JOB",), "owner": ("GITHUB_ACTOR",),
         "attempt": ("GITHUB_RUN_ATTEMPT",), "repository": ("GITHUB_REPOSITORY",)},
    ),
}  # fmt: skip


def detect_job(environ: Mapping[str, str] = os.environ) -> JSONDict | None:
    """Return the job around this process, or None.

    A grid job usually runs inside a batch job: the outermost system that users know is the job,
    and the system below it is ``job["batch"]`` (DIRAC over ARC over HTCondor, for example).
    """
    job: JSONDict | None = None
    for layer in reversed(list(_layers(environ))):
        job = layer if job is None else {**layer, "batch": job}
    return job


def _layers(environ: Mapping[str, str]) -> Iterator[JSONDict]:
    """Yield every system that left its marks, the one that users submit to first."""
    for system, (markers, fields) in _SYSTEMS.items():
        if not any(environ.get(name) for name in markers):
            continue
        job: JSONDict = {"system": system}
        for field, names in fields.items():
            value = next((environ[name] for name in names if environ.get(name)), None)
            if value is not None and value != "undefined":  # Grid Engine without an array
                job[field] = value
        if system == "HTCondor":
            job.update(_job_ad(environ.get("_CONDOR_JOB_AD")))
        if len(job) > 1:
            yield job


def _job_ad(path: str | None) -> JSONDict:
    """Return what HTCondor's own description of the job (a ClassAd file) says."""
    try:
        with open(path or "", encoding="utf-8", errors="replace") as stream:
            ad = {m["key"]: m["value"] for m in _AD_LINE.finditer(stream.read(_MAX_AD))}
    except OSError:
        return {}
    known: JSONDict = {}
    if "ClusterId" in ad:
        known["id"] = f"{ad['ClusterId']}.{ad.get('ProcId', '0')}"
    for field, name in (
        ("global_id", "GlobalJobId"), ("owner", "Owner"), ("attempt", "NumJobStarts"),
        ("account", "AcctGroup"), ("host", "RemoteHost"),
    ):  # fmt: skip
        if ad.get(name):
            known[field] = ad[name]
    return known
