"""The server as a process of this machine: find it, start it in the background, stop it.

A running server holds ``server.lock`` of its state directory (the kernel lets go of it when the
process dies, however it dies) and tells its address in ``server.json``. Nothing heavy is imported
here.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from provmanager.config import server_file
from provmanager.errors import (
    AlreadyRunningError,
    ProvError,
    UnavailableError,
    UsageError,
    from_wire,
)

LOG_NAME = "server.log"
DATABASE_NAME = "postgresql"

_LONGEST_LOG_BYTES = 20 * 2**20


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What a running server says of itself."""

    url: str
    pid: int
    host: str
    database: str
    """``embedded``, or the URL of the database without its password."""
    token_file: str
    state_dir: str
    started_at: float
    """Unix time, in seconds."""


def running_server(state_dir: Path) -> RunningServer | None:
    """Return the server that runs from `state_dir`, if one does and is ready."""
    if not _is_locked(state_dir):
        return None
    try:
        return RunningServer(**json.loads(server_file(state_dir).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is starting or stopping


def _is_locked(state_dir: Path) -> bool:
    try:
        descriptor = os.open(state_dir / "server.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise UsageError(
            f"the state directory {state_dir} is another user's: name yours with PROV_STATE_DIR"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def make_state_dir(state_dir: Path) -> None:
    """Make the state directory, if it is not there.

    Raises
    ------
    UsageError
        It cannot be made or written to.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0:  # PostgreSQL's account passes through to the embedded database
            state_dir.chmod(0o711)
        (state_dir / "server.lock").touch(mode=0o600)
    except OSError as error:
        raise UsageError(
            f"the state directory {state_dir} cannot be used: {error.strerror}: name another with "
            "PROV_STATE_DIR"
        ) from error


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Hold `state_dir`, making it if need be, as the one server that runs from it.

    Raises
    ------
    AlreadyRunningError
        Another holds it.
    UsageError
        It cannot be made or written to.
    """
    make_state_dir(state_dir)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(state_dir / "server.lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        found = running_server(state_dir)
        where = f"at {found.url} (process {found.pid})" if found else "and is just starting"
        raise AlreadyRunningError(
            f"a server of {state_dir} runs already {where}: stop it with prod-server stop, or "
            "name another state directory with PROV_STATE_DIR"
        ) from None
    finally:
        os.close(descriptor)


def announce(server: RunningServer) -> None:
    """Tell the clients of the state directory where the server is."""
    path = server_file(Path(server.state_dir))
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(asdict(server), indent=2) + "\n")
    partial.rename(path)


def withdraw(state_dir: Path) -> None:
    """Take `announce` back."""
    server_file(state_dir).unlink(missing_ok=True)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`.

    Raises
    ------
    UsageError
        The port is in use or not allowed, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except socket.gaierror as error:
        raise UsageError(
            f"cannot listen on {host}: {error.strerror}: choose an address of this machine with "
            "--host"
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}: choose "
            "another with --port, or 0 for a free one",
            host=host,
            port=port,
        ) from error
    # asyncio sets it only on sockets that say IPPROTO_TCP, which this one does not; accepted
    # ones inherit it. Without it every answer on a kept connection takes 40 ms (delayed ACK).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def start_in_background(
    options: Sequence[str], *, state_dir: Path, limit_s: float = 900.0
) -> RunningServer:
    """Start ``prod-server start`` with `options`, and return it when it is ready.

    One that runs from `state_dir` already, or that somebody else is just starting, is returned.

    Raises
    ------
    ProvError
        What it failed with.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = running_server(state_dir)
        if found is not None:
            return found
        if _is_locked(state_dir):  # it is starting or stopping
            time.sleep(0.1)
            continue
        with contextlib.suppress(AlreadyRunningError):  # another was quicker
            return _start_child(options, state_dir, limit_s)
    raise UnavailableError(f"the server of {state_dir} is neither up nor down after {limit_s:g} s")


def _start_child(options: Sequence[str], state_dir: Path, limit_s: float) -> RunningServer:
    make_state_dir(state_dir)
    log_path = state_dir / LOG_NAME
    if log_path.exists() and log_path.stat().st_size > _LONGEST_LOG_BYTES:
        log_path.rename(log_path.with_name(LOG_NAME + ".1"))
    ready, ready_write = os.pipe()
    command = [sys.executable, "-m", "client_scripts.server", "start", *options]
    with open(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        child = subprocess.Popen(
            [*command, "--ready-fd", str(ready_write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(ready_write,),
            start_new_session=True,
        )
    os.close(ready_write)
    said = _read_line(ready, limit_s)
    if said is None:
        child.terminate()
        raise UnavailableError(f"the server was not ready within {limit_s:g} s: see {log_path}")
    if not said:
        code = child.wait()
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-8:])
        raise ProvError(f"the server ended with code {code}; {log_path} says:\n{tail}")
    answer = json.loads(said)
    if "error" in answer:
        child.wait()
        raise from_wire(answer["error"])
    child.returncode = 0  # it goes on without us, and is not ours to wait for
    return RunningServer(**answer)


def _read_line(descriptor: int, limit_s: float) -> bytes | None:
    """Return what comes until the other end closes; None if it does not in time."""
    import selectors

    deadline = time.monotonic() + limit_s
    said = b""
    with os.fdopen(descriptor, "rb", buffering=0) as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = pipe.read(65536)
            said += piece
            if not piece:
                return said
    return None


def stop_server(state_dir: Path, *, limit_s: float = 120.0) -> RunningServer | None:
    """Stop the server that runs from `state_dir` and wait for its end; None if none runs.

    Raises
    ------
    UnavailableError
        It does not end, or it runs on another host.
    """
    server = running_server(state_dir)
    deadline = time.monotonic() + limit_s
    while server is None and _is_locked(state_dir) and time.monotonic() < deadline:
        time.sleep(0.1)  # it is starting or stopping
        server = running_server(state_dir)
    if server is None:
        return None
    if server.host != socket.gethostname():
        raise UnavailableError(f"the server of {state_dir} runs on {server.host}: stop it there")
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    while _is_locked(state_dir):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the server (process {server.pid}) did not end within {limit_s:g} s"
            )
        time.sleep(0.05)
    return server


def stop_database(state_dir: Path) -> bool:
    """Stop an embedded database that outlived its server; return whether there was one."""
    from provmanager.store import embedded  # it loads the driver of PostgreSQL

    return embedded.stop(state_dir / DATABASE_NAME)
