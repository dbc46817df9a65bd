"""A record out into an archive and in again: ``python -m tests.benchmarks.archive [N …]``.

Seconds, bytes a document, and how much the process grew: what it holds in memory must not grow with
the number of documents. Each step is a process of its own, so that its peak is its own.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provmanager.logic import archive
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import Database, open_database
from provmanager.store.embedded import start
from provmanager.store.migrations import migrate

from .telescope import documents

_AROUND = archive.Around()


def fill(database: Database, _: Path, n: int) -> None:
    """Record `n` activities."""
    waiting = iter(documents(n))
    while some := list(islice(waiting, 500)):
        with database.transaction() as session:
            record(session, [Source(data) for data in some], policy=IngestPolicy())


def write(database: Database, file: Path, _: int) -> None:
    """Archive."""
    key, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    with file.open("wb") as target:
        archive.write_archive(database, target, key=key, around=_AROUND, now=now)


def restore(database: Database, file: Path, _: int) -> None:
    """Restore."""
    archive.read_archive(database, file, around=_AROUND)


def measured(step: Callable[[Database, Path, int], None], url: str, file: Path, n: int) -> None:
    """Run a step in a process of its own, and say what it took."""
    queue: multiprocessing.Queue[tuple[float, int]] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_run, args=(step, url, file, n, queue))
    process.start()
    seconds, grown_kb = queue.get()
    process.join()
    sys.stdout.write(
        f"  {step.__name__:8} {seconds:7.1f} s  {n / seconds:7.0f}/s  "
        f"grew {grown_kb / 1024:.0f} MB\n"
    )


def _run(
    step: Callable[[Database, Path, int], None],
    url: str,
    file: Path,
    n: int,
    queue: "multiprocessing.Queue[tuple[float, int]]",
) -> None:
    database = open_database(url, pool_size=1, statement_timeout_s=3600)
    migrate(database)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    step(database, file, n)
    seconds = time.perf_counter() - begin
    queue.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak))
    database.close()


def main() -> None:
    """Measure each N given, or 2000 and 20 000."""
    for n in map(int, sys.argv[1:] or ("2000", "20000")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o711)
            servers = [start(folder / place) for place in ("from", "to")]
            file = folder / "record.tar.gz"
            sys.stdout.write(f"{n} documents\n")
            measured(fill, servers[0].url, file, n)
            measured(write, servers[0].url, file, n)
            sys.stdout.write(f"  {file.stat().st_size / n:.0f} bytes a document\n")
            measured(restore, servers[1].url, file, n)
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
