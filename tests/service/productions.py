"""Records and definitions with which productions are tested."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from provmanager.client import ProvClient

NOW = "2026-03-01T00:00:00Z"


def deliver(client: ProvClient, files: "list[Path]", **attributes: Any) -> None:
    """Record that files were delivered, with attributes of each of them."""
    outputs = [
        {
            "role": "data", "url": f"file://{_host()}{path}", **attributes,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    ]  # fmt: skip
    record_activity(client, name="delivery", status="completed", outputs=outputs)


def record_activity(client: ProvClient, **told: Any) -> str:
    """Record an activity, and return its id."""
    record = {
        "schema": "provmanager/activity.v1", "id": str(uuid.uuid4()), "started_at": NOW,
        "ended_at": NOW, "exit_code": 0,
    } | told  # fmt: skip
    client.record(json.dumps(record).encode())
    return str(record["id"])


def make_files(folder: Path, first: int, last: int) -> list[Path]:
    """Make files that differ, numbered from `first` to `last`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"run{number:03}.txt" for number in range(first, last + 1)]
    for path in paths:
        path.write_text(f"events of {path.name} in {folder}\n")
    return paths


def definition(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the document of a production."""
    return {"schema": "production.v1", "name": name, "steps": list(steps), **more}


def step(name: str, **more: Any) -> dict[str, Any]:
    """Return a step that takes what was delivered."""
    wanted = {"name": name, "input": {"activity": {"name": "delivery"}},
              "workflow": f"{name}.cwl", "files": "events"}  # fmt: skip
    return wanted | more


def _host() -> str:
    import socket

    return socket.gethostname().lower()
