"""The embedded PostgreSQL: a real server on the binaries of a wheel, started by our own launcher.

The data directory holds::

    lock       flock, held while somebody starts or stops the server
    users      flock, shared by every process that uses it: the last one stops it
    host.json  where the server was last started
    pgdata/    PostgreSQL's own data, mode 0700, with the Unix socket and server.log

It listens on a Unix socket only. As root, PostgreSQL runs under an existing unprivileged account
(`accounts`). The kernel drops a process's locks when it dies, so that a killed user is never
waited for, and a server that outlived a killed process is found again by the next `start`.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg2

from provmanager.errors import DatabaseUnavailableError, UsageError

from .accounts import Account, account_for, binaries_for, check_reach

logger = logging.getLogger(__name__)

START_LIMIT_S = 600
"""How long a start may take: the redo of 4 GB of log after a crash took 53 s."""

_ROLE = "prov"
_DATABASE = "prov"
_PORT = 5432
_LONGEST_SOCKET_PATH = 100  # bytes; sun_path holds 108 with its NUL on Linux
_CRASH_LIMIT_S = 60  # how long processes of a killed server may take to notice and end
_LONGEST_LOG_BYTES = 10 * 2**20

_SETTINGS = """\
# Written by provmanager at every start; put your own settings into local.conf.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 64
shared_buffers = '{shared_buffers_mb}MB'
effective_cache_size = '{cache_mb}MB'
work_mem = '32MB'
maintenance_work_mem = '{maintenance_mb}MB'
max_parallel_workers_per_gather = 0
random_page_cost = 1.1
jit = off
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = pglz
min_wal_size = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
max_wal_senders = 0
wal_level = minimal
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off
include = 'local.conf'
"""


@dataclass(slots=True)
class EmbeddedServer:
    """A running embedded server, in use by this process until `stop`."""

    url: str
    """``postgresql://…`` of its database, for SQLAlchemy and libpq alike."""
    data_dir: Path
    started: bool
    """Whether this process started it, or found it running."""
    bin_dir: Path
    """Where its ``psql``, ``pg_dump``, ``pg_restore`` … lie."""
    _users: int = field(repr=False)

    def stop(self) -> bool:
        """Leave the server, and stop it if nobody else uses it; return whether it was stopped."""
        if self._users < 0:
            return False
        with _lock(self.data_dir / "lock"):
            os.close(self._users)
            self._users = -1
            return _stop_unused(self.data_dir)


def start(data_dir: Path) -> EmbeddedServer:
    """Start the server of `data_dir`, making it first if need be, or attach to it.

    Any number of processes may do so at once: one starts it, the others attach.

    Raises
    ------
    UsageError
        The directory cannot be used: closed to the account, another major version of PostgreSQL,
        or served on another host.
    DatabaseUnavailableError
        PostgreSQL does not start; the message ends with what its log says.
    """
    data_dir = data_dir.absolute()
    account = account_for(data_dir)
    _prepare(data_dir, account)
    binaries = binaries_for(account, data_dir)
    pgdata = data_dir / "pgdata"
    with _lock(data_dir / "lock"):
        _check_host(data_dir)
        if not (pgdata / "PG_VERSION").exists():
            _initialise(data_dir, account, binaries)
        _check_version(pgdata, account, binaries)
        is_ours = not _is_running(pgdata)
        if is_ours:
            _launch(data_dir, account, binaries)
        url = _wait_until_ready(pgdata)
        users = _open_lock(data_dir / "users")
        fcntl.flock(users, fcntl.LOCK_SH)
    logger.info("%s the embedded PostgreSQL in %s", "started" if is_ours else "joined", data_dir)
    return EmbeddedServer(
        url=url, data_dir=data_dir, started=is_ours, bin_dir=binaries, _users=users
    )


def stop(data_dir: Path) -> bool:
    """Stop the server of `data_dir` unless a process uses it; return whether it was stopped."""
    data_dir = data_dir.absolute()
    if not (data_dir / "lock").exists():
        return False
    with _lock(data_dir / "lock"):
        return _stop_unused(data_dir)


def is_running(data_dir: Path) -> bool:
    """Return whether a PostgreSQL serves `data_dir` on this machine."""
    return _is_running(data_dir.absolute() / "pgdata")


# --- locks


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if os.geteuid() == 0:  # a user whose data root starts must be able to lock them later
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_in_use(data_dir: Path) -> bool:
    """Return whether some process, here or on another host, holds the server in use."""
    descriptor = _open_lock(data_dir / "users")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


# --- the data directory


def _prepare(data_dir: Path, account: Account) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if data_dir.stat().st_uid == os.geteuid():
            # Root keeps the folder and lets the account pass through to its own one inside.
            data_dir.chmod(0o711 if account.is_other else 0o700)
    except OSError as error:
        raise UsageError(
            f"the embedded database cannot lie in {data_dir}: {error.strerror}: name another "
            "folder with PROV_STATE_DIR"
        ) from error
    check_reach(account, data_dir)


def _identity() -> dict[str, str]:
    """Return what says whether process ids seen earlier mean the same processes now."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    return {
        "host": socket.gethostname(),
        "boot_id": boot.read_text().strip() if boot.exists() else "",
        "pid_namespace": str(namespace.readlink()) if namespace.exists() else "",
    }


def _check_host(data_dir: Path) -> None:
    """Refuse data that a server on another host, or in another container, may be writing."""
    try:
        last = json.loads((data_dir / "host.json").read_text())
    except FileNotFoundError:
        return
    now = _identity()
    if last == now:
        return
    where = last.get("host", "another host")
    if _is_in_use(data_dir):
        raise UsageError(
            f"the embedded database in {data_dir} is in use on {where} (or in another container): "
            "stop it there with prod-server stop, or reach it through the prod-server there",
            host=where,
        )
    pid_file = data_dir / "pgdata" / "postmaster.pid"
    if pid_file.exists() and now["host"] != where and now["boot_id"] != last.get("boot_id"):
        raise UsageError(
            f"the embedded database in {data_dir} was last started on {where} and not stopped "
            "there: run prod-server stop there; only if no PostgreSQL runs there any more, "
            f"delete {pid_file}",
            host=where,
        )


def _initialise(data_dir: Path, account: Account, binaries: Path) -> None:
    pgdata, fresh = data_dir / "pgdata", data_dir / "pgdata.new"
    if fresh.exists():  # a first start that was killed
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    account.give(fresh)
    code, output = account.run(
        binaries / "initdb",
        f"--pgdata={fresh}",
        f"--username={_ROLE}",
        "--auth=peer",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",  # sorts the same on every operating system, for ever
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    )
    if code != 0:
        shutil.rmtree(fresh)
        raise DatabaseUnavailableError(f"initdb failed in {data_dir}: {output}")
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude = 'prov.conf'\n")
    if pgdata.exists():
        pgdata.rmdir()  # an empty one; anything else is not ours to touch, and fails here
    fresh.rename(pgdata)


def _check_version(pgdata: Path, account: Account, binaries: Path) -> None:
    found = (pgdata / "PG_VERSION").read_text().strip()
    _, output = account.run(binaries / "postgres", "--version")
    ours = output.rpartition(" ")[2].partition(".")[0]
    if found != ours:
        raise UsageError(
            f"the data in {pgdata} were made by PostgreSQL {found}, and this provmanager brings "
            f"PostgreSQL {ours}: dump them with the provmanager that made them (prod-server dump "
            "FILE), and restore them into a new state directory (prod-server restore FILE)",
            expected=ours,
            found=found,
        )


def _configure(data_dir: Path, account: Account) -> None:
    """Write the settings and who may connect: the account that starts us, and the data's owner."""
    pgdata = data_dir / "pgdata"
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = _SETTINGS.format(
        port=_PORT,
        socket_dir=str(_socket_dir(pgdata, account)).replace("'", "''"),
        shared_buffers_mb=max(64, min(512, memory_mb // 8)),
        cache_mb=max(256, memory_mb // 2),
        maintenance_mb=max(64, min(256, memory_mb // 16)),
    )
    names = {"root"} if account.is_other else {account.name}
    if data_dir.stat().st_uid == account.uid:
        names.add(account.name)
    people = "".join(f'prov "{name}" {_ROLE}\n' for name in sorted(names))
    if not (pgdata / "local.conf").exists():
        _write(pgdata / "local.conf", "# Your own settings: they win over prov.conf.\n", account)
    _write(pgdata / "prov.conf", settings, account)
    _write(pgdata / "pg_ident.conf", people, account)
    _write(pgdata / "pg_hba.conf", "local all all peer map=prov\n", account)
    _write(data_dir / "host.json", json.dumps(_identity()), None)


def _write(path: Path, text: str, account: Account | None) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.write_text(text)
    if account is not None:
        account.give(partial)
    partial.rename(path)


def _socket_dir(pgdata: Path, account: Account) -> Path:
    """Return where the socket goes: with the data, or to a private short path if that is long."""
    if len(os.fsencode(pgdata / f".s.PGSQL.{_PORT}.lock")) <= _LONGEST_SOCKET_PATH:
        return pgdata
    base = tempfile.gettempdir()
    base = base if len(base) < 40 else "/tmp"  # noqa: S108
    digest = hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]
    short = Path(base) / f"prov-{account.uid}-{digest}"  # the same after a crash: so is the URL
    try:
        short.mkdir(mode=0o700)
        account.give(short)
    except FileExistsError:
        held = short.lstat()
        if held.st_uid != account.uid or not stat.S_ISDIR(held.st_mode) or held.st_mode & 0o077:
            short = Path(tempfile.mkdtemp(prefix="prov-", dir=base))  # that one is a trap
            account.give(short)
    return short


# --- the server process


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """What PostgreSQL writes about itself into postmaster.pid."""

    pid: int
    socket_dir: Path
    status: str


def _postmaster(pgdata: Path) -> _Postmaster | None:
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    lines += [""] * (8 - len(lines))
    if not lines[0].strip().isdigit():
        return None
    return _Postmaster(
        pid=int(lines[0]), socket_dir=Path(lines[4].strip() or pgdata), status=lines[7].strip()
    )


def _is_running(pgdata: Path) -> bool:
    server = _postmaster(pgdata)
    if server is None:
        return False
    try:
        os.kill(server.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    directory = Path(f"/proc/{server.pid}/cwd")
    if not directory.is_symlink():  # no /proc: take the live process for the server
        return not Path("/proc/self").exists()
    try:
        return directory.samefile(pgdata)  # else the id went to some other process since
    except (PermissionError, FileNotFoundError):
        return False


def _launch(data_dir: Path, account: Account, binaries: Path) -> None:
    pgdata = data_dir / "pgdata"
    _clean_after_crash(pgdata)
    _configure(data_dir, account)
    log = pgdata / "server.log"
    if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
        log.rename(log.with_suffix(".log.1"))
    deadline = time.monotonic() + _CRASH_LIMIT_S
    while True:
        before = log.stat().st_size if log.exists() else 0
        command = ("start", "-w", "-s", f"-t{START_LIMIT_S}", "-D", pgdata, "-l", log)
        code, output = account.run(binaries / "pg_ctl", *command)
        if code == 0:
            return
        said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
        # Processes of a killed server need a moment to notice and let go of its memory.
        if "shared memory block" not in said or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    tail = "\n".join(said.splitlines()[-8:]) or output
    raise DatabaseUnavailableError(
        f"the embedded PostgreSQL in {data_dir} does not start; its log ({log}) says:\n{tail}",
        log=str(log),
    )


def _clean_after_crash(pgdata: Path) -> None:
    """Remove what a killed server left, once all its processes are gone.

    PostgreSQL takes a process id in its lock files for a running server while anything has that
    id: another process by now, or a dead one that nobody collects (as in many containers).
    """
    server = _postmaster(pgdata)
    if server is None:
        return
    deadline = time.monotonic() + _CRASH_LIMIT_S
    while orphans := _processes_in(pgdata):
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"processes {orphans} of a killed PostgreSQL still work in {pgdata}: end them"
            )
        time.sleep(0.05)
    for name in (f".s.PGSQL.{_PORT}", f".s.PGSQL.{_PORT}.lock"):
        (server.socket_dir / name).unlink(missing_ok=True)
    _remove_socket_dir(server, pgdata)
    (pgdata / "postmaster.pid").unlink()


def _processes_in(pgdata: Path) -> list[int]:
    """Return the processes of PostgreSQL that work in `pgdata`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            is_postgres = (process / "comm").read_text().startswith("postgres")
            if is_postgres and (process / "cwd").samefile(pgdata):
                found.append(int(process.name))
    return found


def _remove_socket_dir(server: _Postmaster, pgdata: Path) -> None:
    if server.socket_dir != pgdata and server.socket_dir.name.startswith("prov-"):
        shutil.rmtree(server.socket_dir, ignore_errors=True)


def _wait_until_ready(pgdata: Path) -> str:
    """Wait until the database takes connections, make it if it is new, and return its URL."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        server = _postmaster(pgdata)
        try:
            if server is not None and server.status == "ready":
                _ensure_database(server.socket_dir)
                return _url(server.socket_dir)
        except psycopg2.OperationalError as error:
            if not _is_running(pgdata) or time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"the embedded PostgreSQL in {pgdata} does not answer: {error}"
                ) from error
        if server is None or time.monotonic() > deadline:
            raise DatabaseUnavailableError(f"the embedded PostgreSQL in {pgdata} went away")
        time.sleep(0.05)


def _connect(socket_dir: Path, database: str) -> "psycopg2.extensions.connection":
    return psycopg2.connect(
        host=str(socket_dir), port=_PORT, user=_ROLE, dbname=database, connect_timeout=10
    )


def _ensure_database(socket_dir: Path) -> None:
    with contextlib.closing(_connect(socket_dir, "postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {_DATABASE}")


def _url(socket_dir: Path) -> str:
    return f"postgresql://{_ROLE}@/{_DATABASE}?host={quote(str(socket_dir), safe='/')}&port={_PORT}"


def _stop_unused(data_dir: Path) -> bool:
    """Stop the server if nobody uses it; the caller holds the lock."""
    pgdata = data_dir / "pgdata"
    server = _postmaster(pgdata)
    if server is None or not _is_running(pgdata) or _is_in_use(data_dir):
        return False
    account = account_for(data_dir)
    binaries = binaries_for(account, data_dir)
    for mode, limit_s in (("fast", 60), ("immediate", 60)):
        command = ("stop", "-w", "-s", "-m", mode, f"-t{limit_s}", "-D", pgdata)
        code, output = account.run(binaries / "pg_ctl", *command)
        if code == 0:
            _remove_socket_dir(server, pgdata)
            logger.info("stopped the embedded PostgreSQL in %s", data_dir)
            return True
        logger.warning("pg_ctl stop -m %s failed in %s: %s", mode, data_dir, output)
    raise DatabaseUnavailableError(f"the embedded PostgreSQL in {data_dir} does not stop: {output}")
