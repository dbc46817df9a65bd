"""The one writer of a server process: documents that wait together are recorded together.

Records are written under one lock anyway (`store.writing.lock_writers`). A thread that takes all
documents that are waiting into one transaction turns N clients' N commits into one; each client
still gets its own document's outcome, after the commit.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from provmanager.logic.ingest import (
    IngestPolicy,
    Outcome,
    Reading,
    Source,
    read_sources,
    record_read,
)
from provmanager.store.database import Database

logger = logging.getLogger(__name__)

_MOST = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    reading: Reading
    outcome: "Future[Outcome]"


class Intake:
    """Records documents for many requests at once.

    Parameters
    ----------
    database : Database
    policy : IngestPolicy
    """

    def __init__(self, database: Database, policy: IngestPolicy) -> None:
        self._database = database
        self.policy = policy
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._on_recorded: Callable[[], None] = lambda: None

    def start(self, *, on_recorded: Callable[[], None]) -> None:
        """Begin to record; `on_recorded` is called after a commit that had new documents."""
        self._on_recorded = on_recorded
        self._thread.start()

    def stop(self) -> None:
        """Record what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def read(self, sources: Sequence[Source]) -> list[Reading | Outcome]:
        """Read documents, which needs no turn: while others are recorded."""
        return read_sources(sources, policy=self.policy)

    def submit(self, reading: Reading) -> "Future[Outcome]":
        """Let one document be recorded; the outcome is there when it is committed."""
        waiting = _Waiting(reading, Future())
        self._queue.put(waiting)
        return waiting.outcome

    def record_many(self, items: Sequence[Reading | Outcome]) -> list[Outcome]:
        """Record documents in a transaction of their own."""
        with self._database.transaction() as session:
            outcomes = record_read(session, items, policy=self.policy)
        if any(o.outcome == "recorded" for o in outcomes):
            self._on_recorded()
        return outcomes

    def tell(self) -> None:
        """Say that documents are being recorded in a transaction of another's."""
        self._on_recorded()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            size = len(first.reading.source.data)
            is_last = False
            while len(batch) < _MOST and size < self.policy.max_document_bytes:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    is_last = True
                    break
                batch.append(more)
                size += len(more.reading.source.data)
            self._record(batch)
            if is_last:
                return

    def _record(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = self.record_many([w.reading for w in batch])
        except Exception as error:  # the edge of a thread: callers get it
            if len(batch) == 1:
                batch[0].outcome.set_exception(error)
                return
            logger.warning("a batch of %d documents failed, now one by one: %s", len(batch), error)
            for waiting in batch:
                self._record([waiting])
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome.set_result(outcome)
