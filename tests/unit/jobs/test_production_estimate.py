"""What is left of a production, and until when, from examples that one can count."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from jobs.productions.estimate import Estimate, estimate
from provmanager.client import ProductionStatus

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def step(
    name: str,
    source: str | None = None,
    *,
    size: int = 1,
    completed: int = 0,
    running: int = 0,
    free: int = 0,
    failed: int = 0,
) -> dict[str, Any]:
    """Return a step with full groups."""
    return {
        "name": name, "from": source, "group_size": size,
        "runs": {"claimed": 0, "waiting": 0, "running": running, "completed": completed,
                 "error": 0, "interrupted": 0},
        "inputs": {"free": free, "running": running * size, "completed": completed * size,
                   "retried": 0, "failed": failed, "doubled": 0},
        "first_at": BEGAN.isoformat() if completed else None,
        "last_at": (BEGAN + timedelta(minutes=9)).isoformat() if completed else None,
    }  # fmt: skip


def after(minutes: float, *steps: dict[str, Any]) -> Estimate:
    status = cast(ProductionStatus, {"steps": list(steps)})
    return estimate(status, BEGAN + timedelta(minutes=minutes))


def test_before_the_first_end_nothing_is_promised() -> None:
    assert after(5, step("a", size=5, running=2, free=11)) == Estimate(0, 5, None)


def test_it_ends_at_the_pace_at_which_it_went() -> None:
    found = after(10, step("a", completed=4, running=1, free=5))
    assert found == Estimate(4, 6, BEGAN + timedelta(minutes=25))


def test_what_is_done_ended_when_its_last_run_did() -> None:
    assert after(60, step("a", completed=4)) == Estimate(4, 0, BEGAN + timedelta(minutes=9))


@pytest.mark.parametrize(
    ("second", "n_left"),
    [
        (step("b", "a", size=2), 6 + 3),  # one input a run, before any is known
        (step("b", "a", size=2, completed=4), 6 + 6),  # 4 runs gave 8
    ],
    ids=["nothing known", "two a run"],
)
def test_runs_of_a_later_step_are_those_of_what_is_to_come(
    second: dict[str, Any], n_left: int
) -> None:
    assert after(10, step("a", completed=4, free=6), second).n_left == n_left


def test_what_was_given_up_is_done() -> None:
    assert after(10, step("a", size=5, completed=2, failed=7)).n_done == 4
