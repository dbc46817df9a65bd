"""How an activity ended, from the exit code of its process."""

import signal
from dataclasses import dataclass

_INTERRUPTIONS = frozenset(
    int(s) for s in (
        signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL, signal.SIGXCPU,
        signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    )
)  # fmt: skip
INTERRUPTED_CODES = frozenset({128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM})


@dataclass(frozen=True)
class Outcome:
    """How an activity ended: the status and the exit code of the process, if it has one."""

    status: str
    exit_code: int | None


def outcome_of_code(code: int) -> Outcome:
    """Return how a command ended, from `subprocess`'s code: minus the signal that ended it."""
    if code == 0:
        return Outcome("completed", 0)
    if code < 0:
        return Outcome("interrupted" if -code in _INTERRUPTIONS else "error", 128 - code)
    return Outcome("interrupted" if code in INTERRUPTED_CODES else "error", code)
