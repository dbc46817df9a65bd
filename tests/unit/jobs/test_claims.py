"""Claims of jobs: one winner for each attempt, whoever else tries at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.testbed.pilot.claims import Claims


@pytest.fixture
def claims(tmp_path):
    """A table without claims."""
    return Claims(tmp_path / "claims.db")


def test_of_eight_who_try_at_once_one_gets_each_job(claims, tmp_path):
    def take_all(worker):
        own = Claims(tmp_path / "claims.db")
        return [job_id for job_id in range(50) if own.take(job_id, 0, worker)]

    with ThreadPoolExecutor(8) as pool:
        won = Counter(job for jobs in pool.map(take_all, map(str, range(8))) for job in jobs)
    assert won == Counter(range(50))


def test_a_rescheduled_job_is_another_claim(claims):
    assert claims.take(1, 0, "a")
    assert not claims.take(1, 0, "b")
    assert claims.take(1, 1, "b")


def test_claims_of_the_dead_are_given_back_and_those_of_the_living_kept(claims):
    claims.take(1, 0, "dead")
    claims.take(2, 0, "living")
    assert claims.release(["living"]) == 1
    assert claims.take(1, 0, "other")
    assert not claims.take(2, 0, "other")
