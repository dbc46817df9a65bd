"""The end of a parent process ends its children too, however it came about."""

import ctypes

_PR_SET_PDEATHSIG = 1


def end_with_parent(sent: int) -> None:
    """Have the kernel send this process signal `sent` when its parent dies (Linux only)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, sent)
