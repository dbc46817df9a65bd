"""The border between the capture and the tool: no failure of ours ever reaches the tool."""

import logging
from types import TracebackType

logger = logging.getLogger("provmanager.capture")


class shielded:  # noqa: N801 - it reads as a word in `with shielded("…"):`
    """Turn any failure of the capture itself into one logged warning.

    This holds every `Exception` on purpose: the code around it is someone else's tool, which must
    give the same result with and without the record. Logging is used rather than `warnings`, which
    a tool may have turned into errors.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.warning(
            "provenance capture: %s failed (%s: %s); the tool goes on",
            self._what,
            type(error).__name__,
            error,
        )
        return True
