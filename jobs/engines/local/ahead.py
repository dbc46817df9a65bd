"""The process of a run, started before it is known what it runs: it loads cwltool meanwhile."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .directory import RunDirectory


class EngineProcess:
    """A fork of this process, made while it has one thread; it ends with it unless it has begun."""

    def __init__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, self._order = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._order)
            _wait_and_run(reading)
        os.close(reading)

    def begin(self, directory: RunDirectory, environ: Mapping[str, str]) -> None:
        """Have it run what the directory asks for, with that environment and the run's log."""
        order = {
            "directory": str(directory.path), "log": str(directory.log_file), "environ": {**environ}
        }  # fmt: skip
        with suppress(BrokenPipeError), open(self._order, "wb") as stream:  # dead: `wait` tells
            stream.write(json.dumps(order).encode())

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end; return its exit code, as a shell gives it."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else 128 - code


def _wait_and_run(reading: int) -> NoReturn:
    """Load what every run needs, wait for the order, run it; nothing returns to what was forked."""
    code = 1
    try:
        with suppress(ImportError):  # said again where it is run, in the run's log
            from . import process  # noqa: F401
        with open(reading, "rb") as stream:
            told = stream.read()
        code = _run(json.loads(told)) if told else 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # the edge of the process
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(order: Mapping[str, object]) -> int:
    from .__main__ import main

    environ = order["environ"]
    assert isinstance(environ, dict)
    os.environ.clear()
    os.environ.update(environ)
    path = Path(str(order["log"]))
    with path.open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    return main(str(order["directory"]))
