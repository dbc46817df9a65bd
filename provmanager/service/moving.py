"""Move a record between databases while a server may be running on either."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from provmanager.config.settings import Settings
from provmanager.errors import UsageError
from provmanager.store import dump, embedded

from .process import DATABASE_NAME


def dump_record(settings: Settings, file: Path | None) -> int:
    """Write the record to `file`, or to standard output if None; return the file's size.

    Raises
    ------
    UsageError
        The file is there already or cannot be written, or there is no record.
    """
    if file is None:
        with _database(settings, must_exist=True) as url:
            dump.dump(url, sys.stdout.buffer)
        return 0
    if file.exists():
        raise UsageError(f"{file} is there already: name another file")
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        with (
            open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target,
            _database(settings, must_exist=True) as url,
        ):
            dump.dump(url, target)
            os.fsync(target.fileno())
        partial.rename(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return file.stat().st_size


def restore_record(settings: Settings, file: Path) -> int:
    """Make the record from `file`; return the number of its documents (errors: `dump.restore`)."""
    with _database(settings, must_exist=False) as url:
        return dump.restore(url, file)


@contextlib.contextmanager
def _database(settings: Settings, *, must_exist: bool) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
        return
    data_dir = settings.state_dir / DATABASE_NAME
    if must_exist and not (data_dir / "pgdata").exists():
        raise UsageError(f"there is no embedded database in {settings.state_dir}")
    server = embedded.start(data_dir)
    try:
        yield server.url
    finally:
        server.stop()
