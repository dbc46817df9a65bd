"""A job of the grid is known by its name."""

import uuid

import pytest

from jobs.engines.diracx.names import job_activity_of, job_name, run_of

RUN = "0f9d6c1e-7f0b-4f0e-9a51-3f2f6f1d2c3b"


@pytest.mark.parametrize("name", ["eclgrm", "a.b", ""])
def test_the_run_is_found_in_the_name_of_its_job(name):
    assert run_of(job_name(name, RUN)) == (name, RUN)


def test_a_long_name_is_cut_to_what_dirac_keeps():
    made = job_name("n" * 500, RUN)
    assert len(made) == 128
    assert run_of(made) == ("n" * 91, RUN)


@pytest.mark.parametrize("name", ["hello", RUN, f"x{RUN}", f"x.{RUN.upper()}", f"x.{RUN}.y"])
def test_jobs_of_others_have_no_run(name):
    assert run_of(name) is None


def test_the_activity_of_a_job_follows_from_its_run():
    assert job_activity_of(RUN) == job_activity_of(RUN)
    assert uuid.UUID(job_activity_of(RUN)).version == 5
    assert job_activity_of(RUN) != job_activity_of(str(uuid.uuid4()))
