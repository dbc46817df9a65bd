"""Engines: where workflows run. All have the interface of `Engine` and pass one test suite."""

import json
from contextlib import suppress
from pathlib import Path

from provmanager.errors import NotFoundError, UsageError

from .interface import (
    FINAL,
    PARTLY_DONE,
    Engine,
    Product,
    Results,
    RunRequest,
    RunState,
    RunStatus,
    StepState,
    StepStatus,
)

ENGINES = ("local", "diracx")
"""Names of the engines that there are."""


def make_engine(name: str) -> Engine:
    """Return the engine of that name.

    Raises
    ------
    UsageError
        There is none.
    """
    if name == "local":
        from .local import LocalEngine

        return LocalEngine()
    if name == "diracx":
        from .diracx import DiracxEngine

        return DiracxEngine()
    raise UsageError(f"there is no engine {name!r}; there are: {', '.join(ENGINES)}")


def engine_of(run: str) -> Engine:
    """Return the engine that knows a run, named as `Engine` has it.

    Raises
    ------
    NotFoundError
        None does.
    """
    with suppress(OSError, ValueError, KeyError):
        return make_engine(json.loads((Path(run) / "run.json").read_text())["engine"])
    for name in ENGINES:
        with suppress(NotFoundError):
            engine = make_engine(name)
            engine.request(run)
            return engine
    raise NotFoundError(f"there is no run {run!r}; see prod-status")


__all__ = [
    "ENGINES",
    "FINAL",
    "PARTLY_DONE",
    "Engine",
    "Product",
    "Results",
    "RunRequest",
    "RunState",
    "RunStatus",
    "StepState",
    "StepStatus",
    "engine_of",
    "make_engine",
]
