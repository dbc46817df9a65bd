"""On the node: record the job, run its workflow with the local engine, gather what goes home.

    python -m jobs.engines.diracx.node job.json

SIGTERM ends the workflow's steps, closes all records, and still leaves them in the result.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from provmanager.capture.command import observed

from ..local.delivery import Delivery
from ..local.directory import RunDirectory, now, write_json
from .package import placed

RESULT = "result"
"""Folder that goes home in the output sandbox."""

JOB_RECORD = "job.prov.jsonl"
PLACE_FILE = "node.json"
LARGEST_BYTES = 90_000_000
"""Most bytes of products that go home in the sandbox, of which DiracX takes 100 MB."""

_SMALL = ("state.jsonl", "provenance.jsonl", "outputs.json", "run.log")


def run_job(job_file: Path) -> int:
    """Run the job that the file describes, in the current folder; return its exit code."""
    folder = Path.cwd()
    job = json.loads(job_file.read_text(encoding="utf-8"))
    result = folder / RESULT
    result.mkdir()
    directory = _make_run_directory(folder, job)
    write_json(result / PLACE_FILE, {"directory": str(directory.path)})
    _point_to_server(folder, job)
    owner = job.get("agent") or _owner()
    if owner:
        os.environ["PROV_AGENT"] = owner
    delivery = Delivery(result / JOB_RECORD)
    delivery.start()
    try:
        return _recorded(folder, job, directory, result, delivery)
    finally:
        _gather(directory, result)
        delivery.close()


def _recorded(
    folder: Path,
    job: dict[str, Any],  # Any: JSON
    directory: RunDirectory,
    result: Path,
    delivery: Delivery,
) -> int:
    command = [sys.executable, "-m", "jobs.engines.local", str(directory.path)]
    recording = observed(
        command,
        name=f"{job['name']} job",
        id=job["job_activity"],
        type="Job",
        directory=folder,
        attributes={"engine": "diracx", "run": job["id"], "submitted_at": job["submitted_at"]},
        record=result / JOB_RECORD,
        announce=True,
    )
    with recording as activity:
        delivery.wake()
        with open(directory.log_file, "ab") as log:
            child = subprocess.Popen(
                command, env={**os.environ, **activity.environ()}, stdout=log, stderr=log
            )

        def stop(number: int, frame: FrameType | None) -> None:
            child.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        code = child.wait()
        activity.ended(code)
    return code if code >= 0 else 128 - code


def _make_run_directory(folder: Path, job: dict[str, Any]) -> RunDirectory:  # Any: JSON
    directory = RunDirectory(folder / "run")
    directory.path.mkdir()
    write_json(directory.inputs_file, placed(job["inputs"], folder))
    info = {
        "id": job["id"],
        "name": job["name"],
        "engine": "diracx",
        "workflow": str(folder / job["workflow"]),
        "steps": job["steps"],
        "command": job["command"],
        "max_parallel": job["max_parallel"],
        "resumes": None,
        "created_at": now(),
    }
    write_json(directory.run_file, info)
    return directory


def _point_to_server(folder: Path, job: dict[str, Any]) -> None:  # Any: JSON
    """Have records delivered with the owner's own token of DiracX; else they go home with us."""
    for name in ("PROV_TOKEN", "PROV_TOKEN_FILE", "PROV_SERVER_URL"):
        os.environ.pop(name, None)
    os.environ["PROV_STATE_DIR"] = str(folder / "state")
    os.environ["PROV_SPOOL_DIR"] = str(folder / "spool")
    if job.get("server"):
        os.environ["PROV_SERVER_URL"] = job["server"]
        if os.environ.get("DIRACX_CREDENTIALS_PATH"):
            os.environ["PROV_TOKEN_FILE"] = os.environ["DIRACX_CREDENTIALS_PATH"]


def _owner() -> str | None:
    """Return whom the job's token of DiracX is for: the node's account says nothing of them."""
    try:
        path = Path(os.environ["DIRACX_CREDENTIALS_PATH"])
        payload = json.loads(path.read_text())["access_token"].split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(told["preferred_username"])
    except (KeyError, OSError, ValueError, IndexError, TypeError):
        return None


def _gather(directory: RunDirectory, result: Path) -> None:
    """Bring together what goes home: state, records, logs, products unless too large."""
    for name in _SMALL:
        if (directory.path / name).exists():
            shutil.copy2(directory.path / name, result / name)
    kept = [*directory.steps.glob("*/tool.prov.json"), *directory.steps.glob("*/std*.log")]
    for path in kept:
        target = result / path.relative_to(directory.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    if not directory.products.is_dir():
        return
    files = [path for path in directory.products.rglob("*") if path.is_file()]
    size_bytes = sum(path.stat().st_size for path in files)
    if size_bytes > LARGEST_BYTES:
        RunDirectory(result).append(
            "note",
            text=f"the products ({size_bytes} bytes) are larger than a sandbox may be: they were "
            "left on the node",
        )
        return
    shutil.copytree(directory.products, result / directory.products.name)


if __name__ == "__main__":
    sys.exit(run_job(Path(sys.argv[1])))
