"""What a testbed is started with, and what a running one says of itself."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from .configuration import JOB_TYPES

SITE = "DIRAC.Testbed.local"


@dataclass(frozen=True, slots=True)
class Options:
    """How a testbed is to be."""

    n_workers: int = 2
    """How many jobs run at a time."""
    site: str = SITE
    """Name of the site where the workers say they are."""
    port: int = 0
    """Port of the server; 0 for the one of last time, or a free one."""
    s3_port: int = 0
    job_types: tuple[str, ...] = JOB_TYPES
    heartbeat_s: float = 2.0
    """Seconds between heartbeats, above 1: DiracX 0.7 keeps one a second and fails on two."""
    stalled_s: float = 30.0
    """Without a heartbeat for this long, a job is Stalled; for twice as long, Failed."""
    kill_grace_s: float = 5.0
    """Seconds from SIGTERM to SIGKILL."""
    keep_directories: bool = False
    """Whether working directories of jobs are kept."""
    owner_pid: int = 0
    """Process with which the testbed ends, for tests that are killed; 0 for none."""
    python: str = ""
    """Python of the environment that DiracX is in."""

    def write(self, path: Path) -> None:
        """Keep them for the supervisor."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        kept = json.loads(path.read_text())
        return cls(**kept | {"job_types": tuple(kept["job_types"])})


@dataclass(frozen=True, slots=True)
class RunningTestbed:
    """What a running testbed says of itself."""

    url: str
    s3_url: str
    pid: int
    site: str
    n_workers: int
    folder: str
    credentials: dict[str, str]
    """User -> file of credentials, as ``dirac login`` writes it."""
    dirac: str
    """DiracX's own command, in the testbed's environment."""
    started_at: float
    """Unix time, in seconds."""
    start_s: float
    """How long the start took, in seconds."""

    def announce(self, path: Path) -> None:
        """Tell where it is."""
        partial = path.with_name(path.name + ".partial")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(json.dumps(asdict(self), indent=2) + "\n")
        partial.rename(path)

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """Return what a running testbed announced; None if none did."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
