"""What CTADIRAC puts into DIRAC's file catalogue of its products, put into the record as well.

Its ``cta-prod-managedata`` is told metadata in JSON, of folders and of files; they become
attributes of the products, so that productions find these by the queries that CTADIRAC has on its
catalogue.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from jobs.storage import normal_lfn
from provmanager.capture import Run
from provmanager.capture.files import digest_file
from provmanager.capture.writer import append_record, record_path
from provmanager.errors import JSONDict

from .description import DiracStep

PROGRAM = "cta-prod-managedata"
_OWN = frozenset({"role", "name", "kind", "url", "lfn", "locations", "sha256", "digests", "value"})


def registered_files(step: DiracStep, folder: Path) -> list[Path]:
    """Return the files that a step of data management is about."""
    words = step.words()
    pattern = words[3].removeprefix("./") if len(words) > 3 else ""
    return sorted(folder.glob(pattern)) if pattern and not pattern.startswith("/") else []


def record_metadata(step: DiracStep, folder: Path, run: Run) -> None:
    """Record the metadata of the step's files, in an activity that is part of `run`."""
    words = step.words()
    files = registered_files(step, folder)
    try:
        metadata, of_file = json.loads(words[0]), json.loads(words[1])
    except (ValueError, IndexError) as error:
        run.message(f"metadata of the products cannot be read: {error}", level="warning")
        return
    if not files or not isinstance(metadata, dict) or not isinstance(of_file, dict):
        return
    metadata = {"merged": 0, **metadata, **of_file}  # as in CTADIRAC's ProdDataManager
    if len(words) > 7:
        metadata["outputType"] = words[7]
    lfns = _registered_lfns(folder)
    now = datetime.now(UTC).isoformat()
    record: JSONDict = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": "register",
        "type": "Registration",
        "status": "completed",
        "parent": run.id,
        "started_at": now,
        "ended_at": now,
        "inputs": [_flow(path, metadata, lfns) for path in files],
    }
    target = record_path(
        os.environ.get("PROV_RUN_FILE"), name="register", activity_id=record["id"],
        directory=str(folder),
    )  # fmt: skip
    append_record(target, record)


def _registered_lfns(folder: Path) -> dict[str, str]:
    """Return the LFNs that CTADIRAC's own program says that it has registered, by file name."""
    path = folder / "output_lfns.txt"
    lines = path.read_text("utf-8").split() if path.is_file() else []
    return {lfn.rpartition("/")[2]: f"LFN:{normal_lfn(lfn)}" for lfn in lines}


def _flow(path: Path, metadata: JSONDict, lfns: Mapping[str, str]) -> JSONDict:
    sha256, n_bytes = digest_file(str(path))
    told = {name: value for name, value in metadata.items() if name not in _OWN}
    flow = {
        **told, "url": str(path), "role": "registered", "sha256": sha256, "size_bytes": n_bytes,
    }  # fmt: skip
    return flow | ({"lfn": lfns[path.name]} if path.name in lfns else {})
