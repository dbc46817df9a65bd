"""What an activity took: CPU time and memory of this process, of its children, or as waited for."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resource import struct_rusage

JSONDict = dict[str, Any]  # Any: free-form JSON
Usage = tuple[float, float, int]

_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def usage_so_far(*, is_command: bool) -> Usage:
    """Return (user s, system s, peak resident bytes) of this process or of its children."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN if is_command else resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime, usage.ru_maxrss * _RSS_UNIT_BYTES


def taken_since(before: Usage, *, is_command: bool) -> JSONDict:
    """Return what was taken since `before`, and the peak of the memory."""
    user_s, system_s, rss_bytes = usage_so_far(is_command=is_command)
    return {
        "cpu_user_s": round(max(user_s - before[0], 0.0), 6),
        "cpu_system_s": round(max(system_s - before[1], 0.0), 6),
        "max_rss_bytes": rss_bytes,
    }


def taken_by(usage: "struct_rusage") -> JSONDict:
    """Return what a process took; its memory only above ours, which it begins with as our fork."""
    _, _, ours_bytes = usage_so_far(is_command=False)
    rss_bytes = usage.ru_maxrss * _RSS_UNIT_BYTES
    found = {"cpu_user_s": round(usage.ru_utime, 6), "cpu_system_s": round(usage.ru_stime, 6)}
    return found | ({"max_rss_bytes": rss_bytes} if rss_bytes > ours_bytes else {})
