"""Which activities are open in this process: their nesting, and what a signal does to them.

This is the one piece of mutable state of the package: a process has one environment and one set of
signal handlers, and both belong to all activities that are open in it.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any
from uuid import UUID

from .outcome import Outcome
from .run import PARENT_VARIABLE, Run
from .shield import logger, shielded

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGXCPU") if hasattr(signal, name)
)
"""What batch systems send to end a job; SIGINT reaches Python code as KeyboardInterrupt."""

SIGNAL_BUDGET_S = 2.0
"""Time for digests of outputs once a signal came: the kill that cannot be caught follows soon."""

Handler = Callable[[int, FrameType | None], Any] | int | None  # Any: as in the signal module

current_run: ContextVar[Run | None] = ContextVar("provmanager_current_run", default=None)


class Process:
    """The open activities of this process, the outermost first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: list[tuple[Run, bool]] = []  # (run, whether the main thread opened it)
        self._inherited: str | None = None
        self._previous: dict[int, Handler] = {}
        self._handlers_pid = 0

    def enclosing(self) -> tuple[str | None, Run | None]:
        """Return (id, run if it is of this process) of the activity that encloses a new one."""
        run = current_run.get()
        if run is not None and run.outcome is None:
            return run.id, run
        outer = self._last_of_main_thread()
        if outer is not None and not _is_main_thread():
            return outer.id, outer  # a thread of the pool of the activity
        inherited = os.environ.get(PARENT_VARIABLE) if outer is None else self._inherited
        if inherited is None:
            return None, None
        try:
            return str(UUID(inherited)), None
        except ValueError:
            logger.warning("provenance capture: %s is no UUID: %r", PARENT_VARIABLE, inherited)
            return None, None

    def opened(self, run: Run) -> None:
        """Note that `run` began; child processes become part of it."""
        with self._lock:
            is_main = _is_main_thread()
            if is_main and self._last_of_main_thread() is None:
                self._inherited = os.environ.get(PARENT_VARIABLE)
            self._open.append((run, is_main))
            if is_main:
                os.environ[PARENT_VARIABLE] = run.id
                self._install_handlers()

    def closed(self, run: Run) -> None:
        """Note that `run` ended."""
        with self._lock:
            was_main = any(opened is run and is_main for opened, is_main in self._open)
            self._open = [(opened, m) for opened, m in self._open if opened is not run]
            if not was_main:
                return
            outer = self._last_of_main_thread()
            if outer is not None:
                os.environ[PARENT_VARIABLE] = outer.id
                return
            if self._inherited is None:
                os.environ.pop(PARENT_VARIABLE, None)
            else:
                os.environ[PARENT_VARIABLE] = self._inherited
            self._restore_handlers()

    def _last_of_main_thread(self) -> Run | None:
        return next((run for run, is_main in reversed(self._open) if is_main), None)

    def _install_handlers(self) -> None:
        """Take over the signals that end a process, but for those that it ignores.

        A handler that was not installed from Python cannot be put back: it is left alone.
        """
        if self._previous and self._handlers_pid == os.getpid():
            return
        self._handlers_pid = os.getpid()
        for number in SIGNALS:
            previous = signal.getsignal(number)
            if previous == signal.SIG_DFL or callable(previous):
                if previous != self._on_signal:
                    self._previous[number] = previous
                signal.signal(number, self._on_signal)

    def _restore_handlers(self) -> None:
        for number, previous in self._previous.items():
            # a handler that the tool has set meanwhile is the tool's
            if _is_main_thread() and signal.getsignal(number) == self._on_signal:
                signal.signal(number, previous)
        self._previous = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Record the open activities, then do what the process would have done without us."""
        previous = self._previous.get(number, signal.SIG_DFL)
        runs = [run for run, _ in reversed(self._open) if run.pid == os.getpid()]
        for run in runs:
            with shielded("recording a signal"):
                run.signal_number = number
                run.message(f"received {signal.Signals(number).name}", code="signal")
                if callable(previous):
                    run.announce()  # the tool's own handler decides how it ends
                else:
                    run.finish(Outcome("interrupted", 128 + number), budget_s=SIGNAL_BUDGET_S)
        if callable(previous):
            previous(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


process = Process()
