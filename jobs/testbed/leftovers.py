"""What a worker that was killed has left running: at a site, its node would be gone with it."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_STAMP = "DIRAC_PILOT_STAMP"


def end_leftovers(stamp: str) -> list[int]:
    """Kill the processes of the worker's jobs, and all that they have started; return which.

    Parameters
    ----------
    stamp : str
        The worker's, which its jobs find in their environment.
    """
    marked = f"{_STAMP}={stamp}".encode()
    children: dict[int, list[int]] = {}
    waiting = []
    for pid, parent, environ in _processes():
        children.setdefault(parent, []).append(pid)
        if marked in environ.split(b"\0"):
            waiting.append(pid)
    found: dict[int, None] = {}
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting += children.get(pid, ())
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return list(found)


def _processes() -> Iterator[tuple[int, int, bytes]]:
    """Yield (number, parent's number, environment) of the processes that we may look into."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                environ = b""
                with suppress(PermissionError):
                    environ = (folder / "environ").read_bytes()
                yield int(folder.name), parent, environ
