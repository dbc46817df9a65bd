"""The supervisor's child processes: each with a log, none outliving it."""

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from provmanager.errors import ProvError, UnavailableError

from .configuration import without_settings
from .pilot.parent import end_with_parent

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_LONGEST_LOG_BYTES = 20 * 2**20
_TAIL_LINES = 8
_POLL_S = 0.1


class Children:
    """Child processes by name, all on the testbed's Python."""

    def __init__(self, python: str, logs: Path) -> None:
        self._python = python
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def launch(
        self,
        name: str,
        *arguments: str,
        listener: socket.socket | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start ``python arguments``; it takes over `listener`."""
        path = self._logs / f"{name}.log"
        if path.exists() and path.stat().st_size > _LONGEST_LOG_BYTES:
            path.rename(path.with_suffix(".log.1"))
        own = {"PYTHONPATH": str(_HERE), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        with path.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._python, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._logs,
                env={**without_settings(os.environ), **own, **(environ or {})},
                pass_fds=() if listener is None else (listener.fileno(),),
                start_new_session=True,
                # The supervisor has one thread only.
                preexec_fn=lambda: end_with_parent(signal.SIGTERM),
            )
        if listener is not None:
            listener.close()

    def wait_until(self, name: str, is_ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until `is_ready`.

        Raises
        ------
        ProvError
            The process `name` ended first.
        UnavailableError
            It takes longer than `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        while not is_ready():
            code = self._processes[name].poll()
            log = self._logs / f"{name}.log"
            if code is not None:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
                raise ProvError(f"the testbed's {name} ended with code {code}; {log}:\n{tail}")
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the testbed's {name} was not ready within {limit_s:g} s: see {log}"
                )
            time.sleep(_POLL_S)

    def take_ended(self) -> dict[str, int]:
        """Return the exit codes of those that ended, and forget them."""
        ended = {
            name: process.returncode
            for name, process in self._processes.items()
            if process.poll() is not None
        }
        for name in ended:
            del self._processes[name]
        return ended

    def stop(self, names: Callable[[str], bool], limit_s: float) -> None:
        """End those of that name, and wait for it: SIGTERM, then SIGKILL."""
        chosen = [process for name, process in self._processes.items() if names(name)]
        for process in chosen:
            process.terminate()
        deadline = time.monotonic() + limit_s
        for process in chosen:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
