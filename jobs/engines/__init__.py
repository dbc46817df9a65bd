"""Engines: where workflows run. All have the interface of `Engine` and pass one test suite."""

from provmanager.errors import UsageError

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

ENGINES = ("local",)
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
    raise UsageError(f"there is no engine {name!r}; there are: {', '.join(ENGINES)}")


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
    "make_engine",
]
