"""What appends documents to the log, some time after they were recorded."""

import logging
import threading
from datetime import UTC, datetime

from provmanager.errors import ProvError
from provmanager.logic import log
from provmanager.store.database import Database

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0
"""How long it waits for more before it appends, in seconds."""


class LogKeeper:
    """Appends new documents to the log in the background, after it was told that there are some."""

    def __init__(self, database: Database, key: log.SigningKey) -> None:
        self._database = database
        self._key = key
        self._told = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)

    def start(self) -> None:
        """Begin, with what a former server left."""
        self._told.set()
        self._thread.start()

    def tell(self) -> None:
        """Say that documents were recorded."""
        self._told.set()

    def stop(self) -> None:
        """Append what is there, and end."""
        self._end.set()
        self._told.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._end.is_set():
            self._told.wait()
            self._end.wait(INTERVAL_S)
            self._told.clear()
            self._append()

    def _append(self) -> None:
        try:
            with self._database.transaction() as session:
                log.publish_new(session, self._key, now=datetime.now(UTC))
        except ProvError as error:
            logger.warning("the log waits: %s", error)
            self._told.set()  # the next time will do
