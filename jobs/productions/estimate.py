"""How much of a production is left, and until when: from what its runs took so far."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from provmanager.client import ProductionStatus, ProductionStepStatus


@dataclass(frozen=True, slots=True)
class Estimate:
    """How far a production is.

    Attributes
    ----------
    n_done, n_left : int
        Runs that were completed or given up, and those that are to come as far as can be seen.
    ends_at : datetime, optional
        When the last of these ends, if what follows goes as fast as what was; None before the
        first run has ended.
    """

    n_done: int
    n_left: int
    ends_at: datetime | None


def estimate(status: ProductionStatus, now: datetime) -> Estimate:
    """Return how much is left.

    The runs to come of a step are those of its free inputs, and of what the runs to come of the
    step before it will give at the rate at which they gave so far (one a run, before the first).
    All runs together end at the rate at which they ended since the first began.
    """
    left: dict[str, float] = {}
    n_done = n_left = 0
    first, last = None, None
    for step in status["steps"]:
        runs = step["runs"]
        open_ = runs["claimed"] + runs["waiting"] + runs["running"]
        inputs = step["inputs"]["free"] + step["inputs"]["retried"]
        source = next((s for s in status["steps"] if s["name"] == step["from"]), None)
        coming = left[source["name"]] * _yield(source, step) if source is not None else 0.0
        left[step["name"]] = open_ + math.ceil((inputs + coming) / step["group_size"])
        n_left += math.ceil(left[step["name"]])
        n_done += runs["completed"] + _given_up(step)
        first = min((at for at in (first, _instant(step["first_at"])) if at), default=None)
        last = max((at for at in (last, _instant(step["last_at"])) if at), default=None)
    if first is None or not n_done:
        return Estimate(n_done, n_left, None)
    if not n_left:
        return Estimate(n_done, 0, last)
    pace_s = (now - first).total_seconds() / n_done
    return Estimate(n_done, n_left, now + timedelta(seconds=pace_s * n_left))


def _yield(source: ProductionStepStatus, step: ProductionStepStatus) -> float:
    """Return how many inputs of a step one run of the step before it gives."""
    seen = n_inputs(step)
    n_runs = source["runs"]["completed"]
    return seen / n_runs if n_runs and seen else 1.0


def n_inputs(step: ProductionStepStatus) -> int:
    """Return how many inputs a step has seen so far."""
    seen = step["inputs"]
    return seen["free"] + seen["running"] + seen["completed"] + seen["retried"] + seen["failed"]


def _given_up(step: ProductionStepStatus) -> int:
    return math.ceil(step["inputs"]["failed"] / step["group_size"])


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
