"""Brings the records of a run to the server while it runs, else to the spool; never in the way."""

import logging
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

from provmanager.client import ProvClient, Spool
from provmanager.config import find_connection, spool_dir
from provmanager.errors import AuthenticationError, ProvError

logger = logging.getLogger(__name__)

_INTERVAL_S = 0.25
_RETRY_S = 5.0
_TIMEOUT_S = 30.0

Document = tuple[str, bytes]


class Delivery:
    """A thread that reads what is appended to the record file and delivers it.

    Parameters
    ----------
    record_file : Path
        Where the records of the run and its steps are appended, one a line.

    Attributes
    ----------
    n_recorded, n_spooled : int
        How many documents went to the server, and how many wait on disk.
    problem : str or None
        Why the server did not take them.
    """

    def __init__(self, record_file: Path) -> None:
        self.n_recorded = 0
        self.n_spooled = 0
        self.problem: str | None = None
        self._file = record_file
        self._offset = 0
        self._documents: SimpleQueue[Path] = SimpleQueue()
        self._wake = threading.Event()
        self._end = threading.Event()
        self._away_until = 0.0
        self._spool = Spool(spool_dir())
        self._client: ProvClient | None = None
        self._thread = threading.Thread(target=self._deliver_all, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._wake.set()

    def add(self, path: Path) -> None:
        """Deliver a whole file too: what a tool recorded of itself."""
        self._documents.put(path)
        self._wake.set()

    def close(self) -> None:
        """Deliver what is left, or keep it on disk, and end."""
        self._end.set()
        self._away_until = 0.0
        self._wake.set()
        self._thread.join()

    def _deliver_all(self) -> None:
        while True:
            self._wake.clear()
            is_last = self._end.is_set()  # after that: `close` sets it before it wakes us
            documents = self._read()
            if documents:
                self._deliver(documents)
            if is_last:
                break
            if documents:
                self._end.wait(_INTERVAL_S)  # a few more may come together
            else:
                self._wake.wait(_RETRY_S)
        if self._client is not None:
            self._client.close()

    def _read(self) -> list[Document]:
        """Return what came since the last time: whole lines of the record, and files of tools."""
        found: list[Document] = []
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            data = b""
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        if data:
            found.append((self._file.name, data))
        while True:
            try:
                path = self._documents.get_nowait()
            except Empty:
                return found
            if path.is_file() and path.stat().st_size:  # an empty one was mounted in a container
                found.append((f"{path.parent.name}/{path.name}", path.read_bytes()))

    def _deliver(self, documents: list[Document]) -> None:
        left = documents
        if time.monotonic() >= self._away_until:
            left = self._send(documents)
        for name, data in left:
            try:
                self._spool.put(data, name)
            except ProvError as error:  # the record file of the run has it
                logger.error("a record could not be kept for the server: %s", error)
                continue
            self.n_spooled += 1

    def _send(self, documents: list[Document]) -> list[Document]:
        """Deliver documents, after what waits on disk; return what the server did not take."""
        try:
            if self._client is None:
                found = find_connection()
                self._client = ProvClient(found.url, found.token, timeout_s=_TIMEOUT_S, retries=0)
            if self._spool.waiting():
                drained = self._spool.drain(self._client)
                self.n_recorded += drained.recorded
                self.n_spooled = max(0, self.n_spooled - drained.recorded)
                if drained.error is not None:
                    raise drained.error
            answer = self._client.record_batch(documents)
        except ProvError as error:
            self.problem = error.message
            if isinstance(error, AuthenticationError) and self._client is not None:
                self._client.close()  # tokens of grid jobs are renewed in their file
                self._client = None
            self._away_until = time.monotonic() + _RETRY_S
            return documents
        self.problem = None
        for item in answer["items"]:
            if item["error"] is not None:
                logger.error("the server refused %s: %s", item["name"], item["error"]["message"])
                self.problem = item["error"]["message"]
            else:
                self.n_recorded += 1
        return []
