"""The payload of a job: started in a process group of its own, measured, ended."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .description import JobDescription
from .parent import end_with_parent

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Payload:
    """A running, or ended, payload."""

    process: subprocess.Popen[bytes]
    started_at: float
    ended_by_us: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def exit_code(self) -> int:
        """Exit code as a shell gives it: 128 + N where signal N ended it."""
        code = self.process.wait()
        return code if code >= 0 else 128 - code

    def send(self, sent: signal.Signals) -> None:
        """Send a signal to all of its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sent)

    def measure(self, directory: Path) -> dict[str, float]:
        """Return what a heartbeat tells: load, seconds of CPU and clock, KiB of memory, disk MB."""
        told = {
            "load_average": os.getloadavg()[0],
            "wall_clock_time": time.time() - self.started_at,
            "available_disk_space": shutil.disk_usage(directory).free / 2**20,
        }
        with contextlib.suppress(OSError, IndexError):
            stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            told["cpu_consumed"] = sum(map(int, stat[11:15])) / _TICKS
            told["vsize"] = int(stat[20]) / 1024
            told["memory_used"] = int(stat[21]) * os.sysconf("SC_PAGE_SIZE") / 1024
        return told


def start_payload(
    description: JobDescription, directory: Path, environ: Mapping[str, str]
) -> Payload:
    """Start the job's executable in `directory`.

    Raises
    ------
    OSError
        It cannot be started: not found, or not executable by this machine.
    ValueError
        Its arguments have a quotation mark that is not closed.
    """
    environ = dict(environ)
    for assignment in description.environment:
        name, _, value = assignment.partition("=")
        environ[name.strip()] = value.strip()
    own = directory / description.executable
    if own.is_file():
        own.chmod(0o755)
    command = [
        str(own) if own.is_file() else description.executable,
        *shlex.split(description.arguments),
    ]
    with (
        open(directory / description.stdout, "wb") as stdout,
        open(directory / description.stderr, "wb") as stderr,
    ):
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            # A node that is lost takes its payload with it; the worker has one thread.
            preexec_fn=lambda: end_with_parent(signal.SIGKILL),
        )
    return Payload(process, time.time())


def output_files(description: JobDescription, directory: Path) -> tuple[list[Path], list[str]]:
    """Return the files and folders of the output sandbox, and the patterns that match none."""
    found: dict[Path, None] = {}
    missing = []
    for pattern in description.output_sandbox:
        hits = [] if pattern.startswith("/") else sorted(directory.glob(pattern))
        found.update(dict.fromkeys(hits))
        if not hits:
            missing.append(pattern)
    return list(found), missing
