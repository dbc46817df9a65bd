"""`activity`: the context manager and decorator that records one activity."""

import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextvars import Token
from dataclasses import replace
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from .nesting import current_run, process
from .outcome import INTERRUPTED_CODES, Outcome
from .plain import to_plain
from .redaction import redact_json
from .run import Run, Settings
from .shield import shielded
from .software import describe_software

JSONDict = dict[str, Any]  # Any: free-form JSON
P = ParamSpec("P")
R = TypeVar("R")

_MAX_TRACEBACK = 4000


class Capture:
    """What `activity` returns: enter it with ``with``, or put it before a function."""

    def __init__(self, settings: Settings | None, options: JSONDict) -> None:
        self._settings = settings
        self._options = options
        self._runs: list[tuple[Run, Token[Run | None] | None]] = []

    def __enter__(self) -> Run:
        run = Run(self._begin())
        token = None
        with shielded("starting the record"):
            if self._options.get("configuration"):
                run.configure(self._options["configuration"])
            if self._options.get("attributes"):
                run.annotate(**self._options["attributes"])
            token = current_run.set(run)
            process.opened(run)
            if announces(self._options.get("announce")):
                run.announce()
        self._runs.append((run, token))
        return run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run, token = self._runs.pop()
        outcome = Outcome("unknown", None)
        with shielded("finding how the activity ended"):
            outcome = outcome_of(run, error)
            if error is not None and outcome.status == "error":
                _record_error(run, error)
        try:
            run.finish(outcome)
        finally:
            with shielded("closing the record"):
                process.closed(run)
                if token is not None:
                    current_run.reset(token)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate `function`: each call, coroutine or generator of it is one activity."""
        settings = self._settings
        if settings is not None and not self._options.get("name"):
            settings = replace(settings, name=function.__name__)

        def fresh() -> Capture:
            return Capture(settings, self._options)

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def in_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:  # Any: any function
                with fresh():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", in_coroutine)
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def in_generator(*args: P.args, **kwargs: P.kwargs) -> Any:  # Any: any function
                with fresh():
                    return (yield from function(*args, **kwargs))

            return cast("Callable[P, R]", in_generator)

        @wraps(function)
        def in_call(*args: P.args, **kwargs: P.kwargs) -> R:
            with fresh():
                return function(*args, **kwargs)

        return in_call

    def _begin(self) -> Settings:
        """Return the settings with what is known only when the activity begins."""
        settings = self._settings or Settings(name="activity")
        with shielded("finding the enclosing activity"):
            parent = self._options.get("parent")
            enclosing, outer = process.enclosing()
            if isinstance(parent, Run):
                enclosing, outer = parent.id, parent
            elif parent is not None:
                enclosing, outer = str(parent), None
            target = self._options.get("record") or (outer.path if outer else None)
            target = target or os.environ.get("PROV_RUN_FILE") or None
            return replace(settings, parent=enclosing, target=target)
        return settings


def activity(
    name: str | None = None,
    *,
    version: str | None = None,
    type: str | None = None,
    software: str | None = None,
    configuration: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    agent: Mapping[str, Any] | None = None,
    parent: "Run | str | None" = None,
    record: str | os.PathLike[str] | None = None,
    announce: bool | None = None,
    hash_limit_bytes: int | None = None,
    variables: tuple[str, ...] = (),
) -> Capture:
    """Record one activity, as a context manager or a decorator.

    Any: configuration, attributes and agent are free-form JSON.

    Parameters
    ----------
    name : str, optional
        Name of the activity; of the decorated function, else of the program, where not given.
    version : str, optional
        Version of the software; of the caller's installed distribution where not given.
    type : str, optional
        IVOA type: Observation, Simulation, Reduction, Calibration, Reconstruction, Selection,
        Analysis.
    software : str, optional
        Distribution that the activity belongs to; the caller's top-level package if not given.
    configuration : mapping or path, optional
        Parameters (see `Run.configure`).
    attributes : mapping, optional
        Anything else (see `Run.annotate`).
    agent : mapping, optional
        Who is responsible: ``{"name", "email", "id", "type", "role", …}``; by default who runs it.
    parent : Run or str, optional
        Enclosing activity; by default the one that is open, here or in the parent process.
    record : path, optional
        File to append to, or folder; by default ``PROV_RUN_FILE``, that of the enclosing
        activity, or ``<name>.prov.json`` in the working directory.
    announce : bool, optional
        Write a ``running`` record at the start too; by default if ``PROV_ANNOUNCE`` is ``1``.
    hash_limit_bytes : int, optional
        Files longer than this get no digest; by default ``PROV_HASH_LIMIT``, or no limit.
    variables : tuple of str
        Environment variables to record beyond `provmanager.capture.VARIABLES`.

    Examples
    --------
    >>> with activity("qtemp", version="1.2", configuration={"bin_s": 0.1}) as run:
    ...     events = read(run.input("events.fits", role="events"))
    ...     write(run.output("lightcurve.fits"), analyse(events))
    """
    options: JSONDict = {
        "name": name,
        "configuration": configuration,
        "attributes": attributes,
        "parent": parent,
        "record": record,
        "announce": announce,
    }
    settings = None
    with shielded("describing the software"):
        described = _software_of(sys._getframe(1), software, version)
        settings = Settings(
            name=str(name or os.path.basename(sys.argv[0]) or "activity"),
            version=version or described.get("version"),
            type=type,
            software=described,
            agent=redact_json(to_plain(agent)) if agent else None,
            hash_limit_bytes=_hash_limit(hash_limit_bytes),
            variables=tuple(variables),
        )
    return Capture(settings, options)


def current() -> Run | None:
    """Return the activity that is being recorded here, or None."""
    return current_run.get()


def announces(stated: bool | None) -> bool:
    """Whether a record is written at the start: as stated, else if ``PROV_ANNOUNCE`` is ``1``."""
    return os.environ.get("PROV_ANNOUNCE") == "1" if stated is None else stated


def outcome_of(run: Run, error: BaseException | None) -> Outcome:
    """Return how an activity ended that left its block with `error`, or without."""
    if run.outcome is not None:
        return run.outcome
    if run.signal_number is not None:
        code = 128 + run.signal_number
        if isinstance(error, SystemExit):
            code = _exit_code(error)
        return Outcome("interrupted", code)
    if error is None or isinstance(error, GeneratorExit):
        return Outcome("completed", 0)
    if isinstance(error, KeyboardInterrupt):
        return Outcome("interrupted", 128 + signal.SIGINT)
    if isinstance(error, SystemExit):
        code = _exit_code(error)
        if code == 0:
            return Outcome("completed", 0)
        return Outcome("interrupted" if code in INTERRUPTED_CODES else "error", code)
    if not isinstance(error, Exception):  # asyncio.CancelledError and its like
        return Outcome("interrupted", None)
    code = getattr(error, "exit_code", 1)
    return Outcome("error", code if isinstance(code, int) else 1)


def _exit_code(error: SystemExit) -> int:
    """Return the exit code that Python gives a process for `error`."""
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _record_error(run: Run, error: BaseException) -> None:
    """Record the text of `error` and the end of its traceback."""
    import traceback

    if isinstance(error, SystemExit):
        if isinstance(error.code, str):
            run.message(error.code, level="error", code="exit")
        return
    tail = "".join(traceback.format_exception(error))[-_MAX_TRACEBACK:]
    run.message(f"{type(error).__name__}: {error}", level="error", code="exception", traceback=tail)


def _software_of(frame: FrameType | None, software: str | None, version: str | None) -> JSONDict:
    """Describe the software that the calling code belongs to."""
    names = frame.f_globals if frame else {}
    module = names.get("__name__", "")
    spec = names.get("__spec__")
    if module == "__main__" and spec is not None:  # python -m package.module
        module = spec.name
    file = names.get("__file__")
    return describe_software(
        software, version, module=str(module), file=os.path.abspath(file) if file else None
    )


def _hash_limit(stated: int | None) -> int | None:
    if stated is not None:
        return int(stated)
    told = os.environ.get("PROV_HASH_LIMIT", "")
    return int(told) if told.isdigit() else None
