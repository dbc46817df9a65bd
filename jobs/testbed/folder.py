"""What lies where in the testbed's folder."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from provmanager.errors import UsageError


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that holds all of one testbed."""

    path: Path

    @property
    def venv(self) -> Path:
        """DiracX's virtual environment, unless another was named."""
        return self.path / "venv"

    @property
    def configuration(self) -> Path:
        """Git repository of DiracX's configuration."""
        return self.path / "configuration"

    @property
    def keys(self) -> Path:
        """Signing keys and the secret by which workers get tokens."""
        return self.path / "keys"

    @property
    def databases(self) -> Path:
        """DiracX's SQLite databases."""
        return self.path / "databases"

    @property
    def sandboxes(self) -> Path:
        """What S3 holds."""
        return self.path / "sandboxes"

    @property
    def jobs(self) -> Path:
        """Working directories of running jobs."""
        return self.path / "jobs"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.path / "logs"

    @property
    def credentials(self) -> Path:
        """A credentials file a user, as ``dirac login`` writes it."""
        return self.path / "credentials"

    @property
    def claims(self) -> Path:
        """Which worker took which attempt of which job (SQLite)."""
        return self.path / "claims.db"

    @property
    def options(self) -> Path:
        """What `bring_up` was called with, for the supervisor."""
        return self.path / "options.json"

    @property
    def running(self) -> Path:
        """What the running testbed says of itself."""
        return self.path / "testbed.json"

    @property
    def error(self) -> Path:
        """What the last start failed with."""
        return self.path / "error.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "testbed.lock"

    def make(self) -> None:
        """Make the folder and what is in it.

        Raises
        ------
        UsageError
            It cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in (
                self.keys, self.databases, self.sandboxes, self.jobs, self.logs, self.credentials,
            ):  # fmt: skip
                part.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"the testbed cannot lie in {self.path}: {error.strerror}: name another folder "
                "with --state-dir"
            ) from error


def try_lock(path: Path) -> int | None:
    """Lock the file `path`; return its descriptor, to hold open, or None if another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(path: Path) -> bool:
    """Return whether a living process holds `path`."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
