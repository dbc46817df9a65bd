"""Jobs whose worker died without a word: Stalled after a silence, and Failed after two.

What DIRAC's StalledJobAgent does; DiracX 0.7 has nothing of the kind.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from .pilot.tokens import Server

logger = logging.getLogger(__name__)

_SOURCE = "StalledJobAgent"
_AT_WORK = ["Matched", "Running", "Completing", "Stalled"]
_PAGE = 1000


def mark_stalled(server: Server, token: str, *, silence_s: float, now: datetime) -> list[int]:
    """Mark the jobs that have not been heard of for `silence_s`; return their ids.

    Parameters
    ----------
    server : Server
        DiracX.
    token : str
        Access token of a JobAdministrator.
    silence_s : float
        Without a heartbeat for this long, a job is Stalled; for twice as long, Failed. In seconds.
    now : datetime
        The time, aware.

    Raises
    ------
    ServerError
        The server does not answer.
    """
    found: list[dict[str, Any]] = server.call(
        "POST",
        f"/api/jobs/search?page=1&per_page={_PAGE}",
        token=token,
        body={
            "parameters": ["JobID", "Status", "HeartBeatTime", "LastUpdateTime"],
            "search": [{"parameter": "Status", "operator": "in", "values": _AT_WORK}],
            "sort": [{"parameter": "JobID", "direction": "asc"}],
        },
    )
    changes = {}
    for job in found:
        steps = _steps(job, silence=timedelta(seconds=silence_s), now=now)
        if steps:
            logger.warning("job %s: %s", job["JobID"], " -> ".join(steps))
            changes[job["JobID"]] = {
                (now + timedelta(microseconds=i)).isoformat(): {
                    "Status": status,
                    "MinorStatus": "Job stalled: pilot not running",
                    "Source": _SOURCE,
                }
                for i, status in enumerate(steps)
            }
    if changes:
        server.call("PATCH", "/api/jobs/status", token=token, body=changes)
    return sorted(changes)


def _steps(job: dict[str, Any], *, silence: timedelta, now: datetime) -> list[str]:
    """Return the statuses that a job goes through now."""
    told = job["HeartBeatTime"] or job["LastUpdateTime"]
    if told is None:
        return []
    heard_at = datetime.fromisoformat(told)
    if heard_at.tzinfo is None:
        heard_at = heard_at.replace(tzinfo=UTC)
    status = job["Status"]
    if now - heard_at < silence:
        return []
    if status == "Matched":  # from there, DIRAC's state machine knows no Stalled
        return ["Running", "Stalled"]
    if status != "Stalled":
        return ["Stalled"]
    return ["Failed"] if now - heard_at >= 2 * silence else []
