"""Up, down, status: what ``prod-testbed`` does."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from provmanager.errors import ProvError, UnavailableError, UsageError, from_wire

from .environment import check_environment, make_environment
from .folder import Folder, is_locked
from .options import Options, RunningTestbed
from .pilot.tokens import Server, ServerError

_LIMIT_S = 600.0
_POLL_S = 0.1
_SHORTEST_HEARTBEAT_S = 1.1


def bring_up(
    path: Path,
    options: Options,
    *,
    venv: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> RunningTestbed:
    """Start the testbed of folder `path`, and return it when it takes jobs.

    One that runs already is returned as it is.

    Parameters
    ----------
    path : Path
        Folder that holds everything; made if it is not there.
    options : Options
        How it is to be.
    venv : Path, optional
        Environment that DiracX is in; one is made in the folder without.
    progress : callable
        Gets a line now and then while things are made.

    Raises
    ------
    UsageError
        An option, the folder or the environment cannot be used.
    ProvError
        DiracX cannot be installed or does not start.
    """
    _check(options)
    folder = Folder(path.absolute())
    folder.make()
    deadline = time.monotonic() + _LIMIT_S
    while is_locked(folder.lock):  # it runs, or is starting or stopping
        found = RunningTestbed.find(folder.running)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise UnavailableError(f"the testbed of {path} is neither up nor down: see its logs")
        time.sleep(_POLL_S)
    if venv is None:
        python = make_environment(folder.venv, progress=progress)
    else:
        python = check_environment(venv.absolute())
    progress("starting DiracX")
    replace(options, python=str(python)).write(folder.options)
    folder.running.unlink(missing_ok=True)  # of one that was killed
    folder.error.unlink(missing_ok=True)
    return _start(folder)


def _check(options: Options) -> None:
    if options.n_workers < 1:
        raise UsageError(f"{options.n_workers} workers run no job: name 1 or more")
    if options.heartbeat_s < _SHORTEST_HEARTBEAT_S:
        raise UsageError(
            f"a heartbeat every {options.heartbeat_s:g} s: DiracX 0.7 fails on two in one second; "
            f"{_SHORTEST_HEARTBEAT_S:g} s is the least"
        )
    if options.stalled_s <= options.heartbeat_s:
        raise UsageError(
            f"a job would be stalled after {options.stalled_s:g} s, before its next heartbeat "
            f"after {options.heartbeat_s:g} s: make it longer"
        )


def _start(folder: Folder) -> RunningTestbed:
    log_path = folder.logs / "supervisor.log"
    with log_path.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "jobs.testbed.supervisor", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        found = RunningTestbed.find(folder.running)
        if found is not None:
            if found.pid == child.pid:
                child.returncode = 0  # it goes on without us, and is not ours to wait for
            return found
        code = child.poll()
        if code is not None and not is_locked(folder.lock):
            with contextlib.suppress(FileNotFoundError):
                raise from_wire(json.loads(folder.error.read_text()))
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-8:])
            raise ProvError(f"the testbed ended with code {code}; {log_path}:\n{tail}")
        time.sleep(_POLL_S)
    child.terminate()
    raise UnavailableError(f"the testbed was not up within {_LIMIT_S:g} s: see {folder.logs}")


def look_at(path: Path) -> dict[str, Any] | None:  # Any: free-form JSON
    """Return how the testbed of folder `path` is; None if none runs.

    The keys are those of `RunningTestbed`, and ``healthy`` and ``jobs`` (status -> number).
    """
    folder = Folder(path.absolute())
    found = RunningTestbed.find(folder.running) if is_locked(folder.lock) else None
    if found is None:
        return None
    server = Server(found.url)
    told: dict[str, Any] = asdict(found) | {"healthy": True, "jobs": {}}
    try:
        token = json.loads(Path(found.credentials["admin"]).read_text())
        if token["expires_on"] < time.time():
            token = server.refresh(token["refresh_token"])
        counts = server.call(
            "POST",
            "/api/jobs/summary",
            token=token["access_token"],
            body={"grouping": ["Status"], "search": []},
        )
        told["jobs"] = {count["Status"]: count["count"] for count in counts}
    except (ServerError, OSError, KeyError) as error:
        told |= {"healthy": False, "problem": str(error)}
    return told


def bring_down(path: Path, *, purge: bool = False) -> RunningTestbed | None:
    """Stop the testbed of folder `path` and return it; None if none runs.

    Jobs that run are ended, and fail. With `purge`, all that it made is removed: jobs,
    sandboxes, keys and the environment.

    Raises
    ------
    UsageError
        With `purge`, the folder is not a testbed's.
    UnavailableError
        It does not end.
    """
    folder = Folder(path.absolute())
    found = None
    deadline = time.monotonic() + _LIMIT_S
    while is_locked(folder.lock):
        now = RunningTestbed.find(folder.running)
        if now is not None and found is None:
            found = now
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            raise UnavailableError(f"the testbed of {path} does not end: see {folder.logs}")
        time.sleep(_POLL_S)
    if purge and folder.path.exists():
        if not folder.options.exists():
            raise UsageError(f"{folder.path} does not look like a testbed's folder: not removed")
        shutil.rmtree(folder.path)
    return found
