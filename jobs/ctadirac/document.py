"""A DIRAC job as a CWL tool that runs its steps, and its inputs object."""

import json
from pathlib import Path

from provmanager.errors import JSONDict, NotFoundError, UsageError

from .description import DiracJob

PROGRAM = "prov-dirac-steps"
"""Runs the steps, on whichever node."""

INPUT_DATA, LFNS, JOB_NUMBER = "input_data", "lfns", "job_number"
_METADATA = ("MCCampaign", "site", "particle", "configuration_id", "data_level")


def make_document(job: DiracJob) -> JSONDict:
    """Return the CWL v1.2 tool that runs the steps of a job in one folder."""
    files = {"type": "File[]", "default": []}
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "label": f"the DIRAC job {job.name}",
        "doc": "\n".join(f"{s.name}: {s.executable} {s.arguments}" for s in job.steps),
        "baseCommand": PROGRAM,
        "arguments": ["--description", "$(inputs.description.path)"],
        "inputs": {
            "description": {"type": "File", "doc": "Workflow XML or JDL of the job."},
            INPUT_DATA: files | {"doc": "InputData.", "inputBinding": {"prefix": "--input-data"}},
            LFNS: {
                "type": "string[]",
                "default": [],
                "doc": "The LFN of each of the input data.",
                "inputBinding": {"prefix": "--lfn"},
            },
            "input_sandbox": files
            | {"doc": "Files of the input sandbox.", "inputBinding": {"prefix": "--sandbox"}},
            JOB_NUMBER: {
                "type": "int?",
                "doc": "JOB_ID: the number of the job in its production.",
                "inputBinding": {"prefix": "--job-number"},
            },
            "config": {
                "type": "Directory?",
                "doc": "Settings that else lie in the software area (config of ctapipe).",
                "inputBinding": {"prefix": "--config"},
            },
            "any_version": {
                "type": "boolean",
                "default": False,
                "doc": "Whether another version of the software may do it.",
                "inputBinding": {"prefix": "--any-version"},
            },
            **{name: "string?" for name in (*_METADATA, "base_path", "program", "production")},
        },
        "outputs": {
            "data": _files("Data/*"),
            "logs": _files("*Log.txt", "*.log"),
        },
    }


def _files(*patterns: str) -> JSONDict:
    return {"type": "File[]", "outputBinding": {"glob": list(patterns)}}


def make_inputs(job: DiracJob) -> JSONDict:
    """Return the inputs object: the description, its sandbox, its LFNs, and what names products.

    Raises
    ------
    NotFoundError
        A file of the input sandbox is not beside the description.
    UsageError
        The sandbox holds something that is not here: an LFN, or what was uploaded before.
    """
    sandbox = []
    for name in job.input_sandbox:
        if name == job.path.name:
            continue
        if ":" in name:
            raise UsageError(
                f"{job.path}: InputSandbox has {name}, which is not of this machine: put the file "
                "beside the description, and name that"
            )
        path = job.path.parent / name
        if not path.is_file():
            raise NotFoundError(f"{job.path}: InputSandbox has {name}: there is no file {path}")
        sandbox.append(_place(path))
    return {
        "description": _place(job.path),
        "input_sandbox": sandbox,
        INPUT_DATA: [
            {"class": "File", "location": lfn, "basename": lfn.rpartition("/")[2]}
            for lfn in job.input_data
        ],
        **_layout(job),
    }


def _place(path: Path) -> JSONDict:
    return {"class": "File", "location": path.absolute().as_uri()}


def _layout(job: DiracJob) -> JSONDict:
    """Return what CTADIRAC lays out LFNs by: what is told to its ``cta-prod-managedata``."""
    told = next((s for s in job.steps if s.program == "cta-prod-managedata"), None)
    words = told.words() if told else []
    if len(words) < 6:
        return {}
    try:
        metadata = json.loads(words[0])
    except ValueError as error:
        raise UsageError(f"{job.path}: metadata {words[0]!r} are no JSON: {error}") from error
    found = {name: str(metadata[name]) for name in _METADATA if name in metadata}
    program = metadata.get(f"{words[5]}_prog")
    found |= {"program": str(program)} if program else {}
    transformation = job.demands.get("TransformationID") or "0000"
    return found | {"base_path": words[2], "production": f"{transformation:>04}"}


def asked_of_grid(job: DiracJob) -> JSONDict:
    """Return what the job asks of the grid, in the names of `GridOptions`.

    Raises
    ------
    UsageError
        A number is none.
    """
    told = job.demands
    asked: JSONDict = {}
    for name, key in (("JobType", "job_type"), ("JobGroup", "job_group")):
        if told.get(name):
            asked[key] = str(told[name])
    for name, key in (("Site", "sites"), ("BannedSites", "banned_sites")):
        sites = [site for site in told.get(name, ()) if site.lower() != "any"]
        if sites:
            asked[key] = sites
    for name, key in (("CPUTime", "cpu_time_s"), ("Priority", "priority")):
        value = str(told.get(name) or "")
        if value and not value.isdigit():
            raise UsageError(f"{job.path}: {name} is {value!r}: expected a whole number")
        if value:
            asked[key] = int(value)
    return asked
