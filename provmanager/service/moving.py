"""Move a record between databases while a server may be running on either."""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from provmanager.config.settings import Settings
from provmanager.errors import JSONDict, UsageError
from provmanager.formats.archive import is_archive
from provmanager.formats.checkpoint import verifier_key
from provmanager.logic import archive
from provmanager.logic.log import load_key
from provmanager.store import dump, embedded
from provmanager.store.database import Database, open_database
from provmanager.store.migrations import migrate

from .process import DATABASE_NAME

KEY_NAME = "log.key"


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
    with _new_file(file) as target, _database(settings, must_exist=True) as url:
        dump.dump(url, target)
    return file.stat().st_size


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[BinaryIO]:
    """Yield a file that is there under its name once it is whole (mode 0600)."""
    if file.exists():
        raise UsageError(f"{file} is there already: name another file")
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            yield target
            os.fsync(target.fileno())
        partial.rename(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def archive_record(settings: Settings, file: Path, *, progress: archive.Progress) -> int:
    """Write an archive of the record into `file`; return the number of its documents.

    Raises
    ------
    UsageError
        The file is there already or cannot be written, or there is no record.
    """
    with (
        _new_file(file) as target,
        _database(settings, must_exist=True) as url,
        _opened(url) as database,
    ):
        return archive.write_archive(
            database,
            target,
            key=load_key(settings.state_dir / KEY_NAME),
            around=_around(settings),
            now=datetime.now(UTC),
            progress=progress,
        )


def restore_record(
    settings: Settings, file: Path, *, progress: archive.Progress = lambda done, of: None
) -> int:
    """Make the record from `file`, a dump or an archive; return the number of its documents.

    Raises
    ------
    UsageError
        It is neither, the database holds documents already, or the log's key is not here.
    DifferenceError
        The archive was changed.
    """
    if not is_archive(file):
        with _database(settings, must_exist=False) as url:
            return dump.restore(url, file)
    header = archive.check_archive(file)
    _check_key(settings.state_dir / KEY_NAME, header)
    with _database(settings, must_exist=False) as url, _opened(url) as database:
        migrate(database)
        return archive.read_archive(database, file, around=_around(settings), progress=progress)


def _check_key(path: Path, header: JSONDict) -> None:
    """Refuse to go on with a log whose private key is not here."""
    origin, public = header["log"]["origin"], header["log"]["key"]
    if path.exists():
        here = verifier_key(origin, load_key(path).public_key().public_bytes_raw())
        if here == public:
            return
    raise UsageError(
        f"{path} is not the key of the archive's log ({public}): copy log.key from the state "
        "directory of the server that was archived, so that the log can be gone on with; or give "
        "the archive's documents to a log of their own: prod-add-prov ARCHIVE",
        expected=public,
    )


def _around(settings: Settings) -> archive.Around:
    patterns = settings.redact_patterns_file
    try:
        redaction = patterns.read_bytes() if patterns else b""
    except OSError as error:
        raise UsageError(f"{patterns} cannot be read: {error.strerror}") from error
    return archive.Around(shared_paths=settings.shared_paths, redaction=redaction)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = open_database(url, pool_size=1, statement_timeout_s=3600)
    try:
        yield database
    finally:
        database.close()


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
