"""Real commands, run under prod-capture and recorded at the server of a test module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provmanager.client import ProvClient


def work_at(url: str, token: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a new folder below `folder`, with the server's address and nothing else set."""
    for name in [n for n in os.environ if n.startswith("PROV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PROV_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("PROV_SERVER_URL", url)
    monkeypatch.setenv("PROV_TOKEN", token)
    work = folder / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def capture(*command: str, stdout: str | None = None) -> None:
    """Run a command under prod-capture and deliver its record."""
    arguments = [sys.executable, "-m", "client_scripts.capture", "--record", "run.json", "--"]
    with open(stdout or os.devnull, "w") as target:
        subprocess.run([*arguments, *command], check=True, stdout=target)
    with ProvClient.connect() as client:
        client.record(Path("run.json"))
    Path("run.json").unlink()
