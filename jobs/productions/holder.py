"""Who a submitter is: the same again where one was killed and starts anew, another beside one."""

import fcntl
import os
import socket
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from provmanager.config import state_dir
from provmanager.errors import UsageError


class Holder:
    """A submitter of a production, while it lives: a lock file in the state directory says so.

    Attributes
    ----------
    place : str
        Machine and state directory: where the files of its runs lie.
    name : str
        The place with a number that no other living submitter there has.
    """

    def __init__(self, production: str, folder: Path | None = None) -> None:
        home = state_dir() if folder is None else folder
        self.place = f"{socket.gethostname().lower()}:{home}"
        self.name = ""
        self._folder = home / "productions" / production
        self._handle = -1

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take()
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}: set PROV_STATE_DIR to a directory that can "
                "be written to"
            ) from error
        return self

    def _take(self) -> None:
        for number in count():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            handle = os.open(self._folder / f"submitter-{number}.lock", flags, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            self._handle = handle
            self.name = f"{self.place}#{number}"
            return

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._handle)
