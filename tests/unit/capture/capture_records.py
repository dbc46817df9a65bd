"""What the tests of capture share: reading back what was written, checked against the schema."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

import schemas
from provmanager.formats.run_json import read_run_json

_VALIDATOR = jsonschema.Draft202012Validator(schemas.load("activity.v1"))
_OURS = ("PROV_", "SLURM_", "DIRAC", "_CONDOR", "GRID_GLOBAL", "CI_", "GITHUB_")


def records_of(path: Path) -> list[dict[str, Any]]:
    """Return the records in a file; each is valid, and the reader takes all of them."""
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    for record in records:
        _VALIDATOR.validate(record)
    if records:
        read_run_json(records)
    return records


def record_of(path: Path) -> dict[str, Any]:
    """Return the only record in a file."""
    (record,) = records_of(path)
    return record


def clean_environ() -> dict[str, str]:
    """Return the environment without what capture listens to."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}


def start_tool(code: str, *arguments: str, cwd: Path, **environ: str) -> "subprocess.Popen[str]":
    """Start a Python tool of the given code, with our package."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**clean_environ(), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_tool(
    code: str, *arguments: str, cwd: Path, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run a Python tool of the given code to its end."""
    process = start_tool(code, *arguments, cwd=cwd, **environ)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
