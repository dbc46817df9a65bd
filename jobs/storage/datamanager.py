"""DIRAC's own storage elements, by its DataManager and file catalogue, where DIRAC is installed.

DIRAC has an environment of its own (it needs another release of `prov` than provmanager does), so
`dirac_calls` runs there, as one process for as long as the storage is used.
"""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provmanager.errors import (
    DifferenceError,
    NotFoundError,
    UnavailableError,
    UsageError,
    from_wire,
)

from .interface import StoredFile
from .lfn import normal_lfn

_CALLS = Path(__file__).with_name("dirac_calls.py")
_MARK = "dirac-proxy-info"
"""A command of DIRAC's: the Python beside it is the one that has DIRAC."""

_END_S = 10.0


class DataManagerStorage:
    """Storage elements of a DIRAC installation, as the owner of the job's proxy.

    Parameters
    ----------
    elements : sequence of str
        Names of storage elements. Files go to the first that takes them; they are read from
        whichever has them.
    catalogs : sequence of str, optional
        File catalogues to register in; by default all of the installation.
    environment : str, optional
        A file for bash that sets up DIRAC, such as ``diracosrc``. By default DIRAC is looked for
        on the ``PATH``, and then in the Python that runs.

    Raises
    ------
    UsageError
        DIRAC is not installed, or has no such storage element or catalogue.
    AuthenticationError
        There is no proxy, or it has expired.
    UnavailableError
        DIRAC's configuration service does not answer.
    """

    def __init__(
        self, elements: Sequence[str], catalogs: Sequence[str] = (), environment: str | None = None
    ) -> None:
        told = json.dumps({"elements": list(elements), "catalogs": list(catalogs)})
        self._command = [*_python(environment), str(_CALLS), told]
        self._start()

    def _start(self) -> None:
        """Start the process that calls DIRAC, and read whether it can."""
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                encoding="utf-8", env={**os.environ, "PYTHONSAFEPATH": "1"},
            )  # fmt: skip
        except OSError as error:
            raise UsageError(
                f"DIRAC cannot be started: {self._command[0]}: {error.strerror}"
            ) from error
        self._finalizer = weakref.finalize(self, _end, self._process)
        if self._answer() is None:
            raise UsageError(f"DIRAC is not set up here: {self._ended()}")

    def find(self, lfn: str) -> StoredFile | None:
        """Return what the file catalogue has under `lfn`, or None."""
        name = normal_lfn(lfn)
        found = self._ask("find", lfn=name)
        return None if found is None else _stored(name, found)

    def get(self, lfn: str, path: Path) -> None:
        """Copy a file to `path`; DIRAC compares its length and adler32 with the catalogue's."""
        name = normal_lfn(lfn)
        if self.find(name) is None:
            raise NotFoundError(f"the file catalogue has no {name}")
        with tempfile.TemporaryDirectory(dir=path.absolute().parent) as folder:
            self._ask("get", lfn=name, folder=folder)
            (Path(folder) / Path(name).name).replace(path)

    def put(self, path: Path, lfn: str, *, sha256: str) -> StoredFile:
        """Copy a file to the first storage element that takes it, and register it.

        DIRAC's storage elements write over what has the same name: two jobs that put one LFN in
        the same moment can spoil it, which the catalogue's checksum shows when it is read.
        """
        name = normal_lfn(lfn)
        if self.find(name) is not None:
            raise DifferenceError(f"there is a file {name} already")
        told = self._ask("put", lfn=name, path=str(path.absolute()), sha256=sha256)
        return _stored(name, told)

    def _ask(self, call: str, **told: str) -> Any:  # Any: JSON
        """Return the value of an answer.

        Raises
        ------
        ProvError
            What DIRAC says instead.
        """
        if self._process.poll() is not None:  # ended while the workflow ran
            self._finalizer()
            self._start()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # there will be no answer then
            self._process.stdin.write(json.dumps({"call": call, **told}) + "\n")
            self._process.stdin.flush()
        answer = self._answer()
        if answer is None:
            raise UnavailableError(self._ended())
        return answer["value"]

    def _answer(self) -> Any:  # Any: JSON
        """Return what is answered next, None if nothing is any more.

        Where that is cut short, as by a signal, the process is ended.
        """
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        except BaseException:
            self._process.kill()
            self._finalizer()
            raise
        if not line.endswith("\n"):
            return None
        answer = json.loads(line)
        if "code" in answer:
            raise from_wire(answer)
        return answer

    def _ended(self) -> str:
        self._finalizer()
        return (
            f"the process that speaks to DIRAC ({shlex.join(self._command)}) has ended (exit code "
            f"{self._process.returncode}); what it said is in the standard error"
        )


def _stored(lfn: str, found: Any) -> StoredFile:  # Any: JSON
    """Return what is known of a file; its URL has no host: those are written in lower case."""
    elements = found["elements"]
    return StoredFile(
        lfn=lfn,
        url=f"dirac:///{elements[0]}{lfn}" if elements else f"lfn:{lfn}",
        size_bytes=found["size_bytes"],
        sha256=found["sha256"],
        adler32=found["adler32"],
    )


def _python(environment: str | None) -> list[str]:
    """Return the command that starts DIRAC's Python.

    Raises
    ------
    UsageError
        There is no file `environment`.
    """
    if environment is not None:
        if not Path(environment).is_file():
            raise UsageError(
                f"there is no file {environment} here to set up DIRAC with (option environment of "
                "the storage)"
            )
        return ["bash", "-c", '. "$0" >&2 && exec python "$@"', environment]
    command = shutil.which(_MARK)
    beside = Path(command).resolve().with_name("python") if command else None
    return [str(beside) if beside and beside.exists() else sys.executable]


def _end(process: subprocess.Popen[str]) -> None:
    """End the process: it does so by itself where it has nothing to read any more."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # it is gone, with something unsent
                pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
