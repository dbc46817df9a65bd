"""Accounts of several attempts of one job: one activity, whatever the order of their words."""

import itertools
import json
from typing import Any

import pytest
from service.snapshot import difference, recorded

from provmanager.errors import ActivityCollisionError
from provmanager.logic.ingest import IngestPolicy

RUN = "00000001-aaaa-4aaa-8aaa-aaaaaaaaaaaa"


def said(attempt: int | None, minute: int, status: str, **fields: Any) -> bytes:
    """One account of the run by an attempt of job 7, which began in this minute."""
    job = {"system": "DIRAC", "id": "7", "site": f"S{attempt}"}
    if attempt is not None:
        job["attempt"] = str(attempt)
    record = {
        "schema": "provmanager/activity.v1", "id": RUN, "name": "calibrate", "status": status,
        "started_at": f"2026-03-01T20:{minute:02d}:00Z", "job": job,
    }  # fmt: skip
    if status != "running":
        record["ended_at"] = f"2026-03-01T20:{minute + 1:02d}:00Z"
    return json.dumps(record | fields).encode()


FIRST = said(0, 1, "running", outputs=[{"url": "/a/first.h5", "sha256": "a" * 64}])
FIRST_ENDS = said(0, 1, "error", exit_code=1, comment="the first")
SECOND = said(1, 5, "running", parent="00000002-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
SECOND_ENDS = said(1, 5, "completed", exit_code=0)


@pytest.mark.parametrize("is_over", [False, True], ids=["at work", "ended"])
def test_the_last_attempt_tells_how_the_activity_ended_in_any_order(database, is_over) -> None:
    words = [FIRST, FIRST_ENDS, SECOND, *([SECOND_ENDS] if is_over else [])]
    expected, refused = recorded(database, IngestPolicy(), [words])
    assert refused == set()
    (activity,) = [json.loads(row) if isinstance(row, str) else row
                   for row in expected["activity"] if "calibrate" in str(row)]  # fmt: skip
    told = str(activity)
    assert ("completed" in told, "running" in told) == (is_over, not is_over)
    assert "20:01:00" in told  # it began with the first
    assert "the first" not in told  # which says nothing of the second
    assert expected["contradiction"] == []
    for order in itertools.permutations(words):
        found, refused = recorded(database, IngestPolicy(), [[word] for word in order])
        assert (difference(expected, found), refused) == ({}, set())


def test_two_starts_of_one_attempt_or_of_other_jobs_are_two_runs(database, client) -> None:
    client.record(SECOND)
    client.record(FIRST)
    other = json.loads(said(2, 7, "running"))
    other["job"]["id"] = "8"
    for word in (said(1, 6, "running"), json.dumps(other).encode()):
        with pytest.raises(ActivityCollisionError):
            client.record(word)
    receipt = client.record(said(None, 6, "running"))  # who does not know of attempts
    assert [one["field"] for one in receipt["contradictions"]] == ["started_at", "job"]


def test_of_two_attempts_in_one_document_the_last_is_recorded_and_that_is_said(client) -> None:
    one, other = said(3, 8, "error"), said(4, 9, "running")
    receipt = client.record(one + b"\n" + other)
    assert "former-attempt" in json.dumps(receipt)
    activity = client.activity(RUN)
    assert (activity["status"], activity["ended_at"]) == ("running", None)
