"""Who runs which attempt of which job: taken by one insert, so that none is run twice.

An attempt is DiracX's RescheduleCounter: a rescheduled job is claimed again, an attempt never.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT_S = 30.0


class Claims:
    """The table of claims, in a file that all workers of this machine share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS claim ("
                " job_id INTEGER NOT NULL, attempt INTEGER NOT NULL, worker TEXT NOT NULL,"
                " claimed_at REAL NOT NULL,"
                " PRIMARY KEY (job_id, attempt))"
            )

    def take(self, job_id: int, attempt: int, worker: str) -> bool:
        """Claim an attempt for `worker`; return whether it was the first to do so."""
        with self._connect() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO claim (job_id, attempt, worker, claimed_at)"
                " VALUES (?, ?, ?, ?)",
                (job_id, attempt, worker, time.time()),
            )
            return cursor.rowcount == 1

    def release(self, living: Collection[str]) -> int:
        """Give back what dead workers claimed, and return how many.

        Only those are taken again that still wait: what was begun has another status.
        """
        marks = ",".join("?" * len(living))
        with self._connect() as connection:
            # Only question marks are put into the statement.
            cursor = connection.execute(
                f"DELETE FROM claim WHERE worker NOT IN ({marks})",  # noqa: S608
                tuple(living),
            )
            return cursor.rowcount

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_WAIT_S)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
