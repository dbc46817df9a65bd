"""DiracX through `Grid`: bulk submission, states, reschedule, delete, errors."""

import json
import time
from pathlib import Path

import pytest

from jobs.engines.diracx import GridOptions
from jobs.engines.diracx.attempts import periods_of
from jobs.engines.diracx.grid import Grid
from jobs.engines.diracx.jdl import JobRequest, make_jdl
from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    NotFoundError,
    UnavailableError,
    UsageError,
)

ELSEWHERE = GridOptions(sites=("LCG.Elsewhere.org",))


def jdl(script="exit 0", **options):
    """A job that runs a shell script."""
    return make_jdl(
        JobRequest(name="test", executable="/bin/sh", arguments=f"-c '{script}'", **options)
    )


@pytest.fixture
def grid(testbed, monkeypatch):
    """The testbed, as its normal user."""
    monkeypatch.setenv("DIRACX_URL", testbed.url)
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user"])
    return Grid()


def test_forty_five_jobs_go_in_three_calls_and_are_seen_deleted(grid):
    job_ids = grid.submit([jdl(options=ELSEWHERE)] * 45)
    assert len(set(job_ids)) == 45
    assert job_ids == sorted(job_ids)
    states = grid.states(job_ids)
    assert [states[job_id].status for job_id in job_ids] == ["Received"] * 45
    grid.delete(job_ids)
    assert {state.status for state in grid.states(job_ids).values()} == {"Deleted"}


def test_a_job_that_was_never_submitted_has_no_state(grid):
    assert grid.states([10**9]) == {}


def test_exit_code_and_site_are_told(grid, user):
    (job_id,) = grid.submit([jdl("exit 3")])
    user.wait(job_id)
    state = grid.states([job_id])[job_id]
    assert (state.is_final, state.status, state.exit_code) == (True, "Failed", 3)
    assert (state.site, state.owner) == ("DIRAC.Testbed.local", "user")


def test_a_failed_job_is_rescheduled_and_runs_anew(grid, user, tmp_path):
    (job_id,) = grid.submit([jdl(f"echo x >> {tmp_path}/runs && test -e {tmp_path}/mended")])
    assert user.wait(job_id)["Status"] == "Failed"
    (tmp_path / "mended").touch()
    assert grid.reschedule([job_id]) == {job_id: 1}
    assert user.wait(job_id, {"Done"})["RescheduleCounter"] == 1
    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_a_killed_or_deleted_job_cannot_be_rescheduled_and_that_is_said(grid):
    (job_id,) = grid.submit([jdl(options=ELSEWHERE)])
    grid.kill([job_id])
    with pytest.raises(UsageError, match=f"{job_id}: it is Killed, which is for good"):
        grid.reschedule([job_id])
    grid.delete([job_id])
    with pytest.raises(UsageError, match=f"{job_id}: it is Deleted"):
        grid.reschedule([job_id])
    assert grid.states([job_id])[job_id].attempt == 0  # DiracX was not asked: it would count
    for operation in (grid.reschedule, grid.delete):
        with pytest.raises(NotFoundError, match="no job 1000000000"):
            operation([10**9])


def test_a_job_that_was_rescheduled_too_often_stays_as_it_is(grid):
    (job_id,) = grid.submit([jdl(options=ELSEWHERE)])
    for _ in range(3):  # as often as the testbed's configuration permits
        grid.reschedule([job_id])
    grid._set([job_id], "Failed", "as a pilot says")
    with pytest.raises(UsageError, match=r"reschedules exceeded \(3\); prod-submit"):
        grid.reschedule([job_id])
    state = grid.states([job_id])[job_id]  # not Rescheduled, which no job leaves by itself
    assert (state.status, state.minor) == ("Failed", "Maximum of reschedulings reached")
    assert [one.number for one in periods_of(grid.log(job_id))] == [0, 1, 2, 3]


def test_a_job_at_work_is_deleted(grid, user):
    (job_id,) = grid.submit([jdl("sleep 600")])
    user.wait(job_id, {"Running"})
    grid.delete([job_id])
    assert grid.states([job_id])[job_id].status == "Deleted"


def test_the_misleading_error_of_a_job_type_is_explained(grid):
    wrong = jdl(options=GridOptions(job_type="NoSuchType"))
    with pytest.raises(UsageError, match="JobType is none that its configuration allows") as raised:
        grid.submit([jdl(options=ELSEWHERE)] * 20 + [wrong])
    submitted = raised.value.details["submitted"]
    assert len(submitted) == 20  # of the first call: nobody loses sight of them
    grid.delete(submitted)


def test_the_misleading_error_of_too_many_inputs_is_explained(grid):
    lfns = tuple(f"/vo/raw/{number}.h5" for number in range(600))
    with pytest.raises(UsageError, match="InputData has more LFNs than it allows"):
        grid.submit([jdl(input_data=lfns, options=ELSEWHERE)])


def test_options_reach_the_grid(grid, user, tmp_path):
    banned = GridOptions(banned_sites=("DIRAC.Testbed.local",))
    asked = GridOptions(
        sites=("DIRAC.Testbed.local",), cpu_time_s=3600, priority=7, job_type="Merging",
        job_group="prod7",
    )  # fmt: skip
    waits, runs = grid.submit([jdl(options=banned), jdl(options=asked)])
    assert user.wait(runs)["Status"] == "Done"
    told = user.look(runs, "JobGroup", "JobType", "UserPriority")
    assert (told["JobGroup"], told["JobType"], told["UserPriority"]) == ("prod7", "Merging", 7)
    assert grid.states([waits])[waits].status == "Received"
    grid.delete([waits])


def test_an_access_token_that_has_expired_is_renewed_by_the_refresh_token(
    grid, testbed, tmp_path, monkeypatch
):
    path = tmp_path / "credentials.json"
    kept = json.loads(Path(testbed.credentials["user"]).read_text())
    path.write_text(json.dumps(kept | {"access_token": "expired", "expires_on": 0}))
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", str(path))
    assert grid.states([10**9]) == {}
    renewed = json.loads(path.read_text())
    assert renewed["access_token"] not in ("expired", kept["access_token"])
    assert renewed["expires_on"] > time.time()


def test_a_sandbox_comes_back_as_it_went(grid, user, tmp_path):
    (tmp_path / "data").write_bytes(b"\0\1\2" * 1000)
    (name,) = grid.upload([[tmp_path / "data"]])
    (job_id,) = grid.submit([jdl(input_sandbox=(name,), output_sandbox=("data",))])
    user.wait(job_id)
    (tmp_path / "back").mkdir()
    (folder,) = grid.download(job_id, tmp_path / "back")
    assert (folder / "data").read_bytes() == b"\0\1\2" * 1000


def test_a_job_without_output_has_no_sandbox(grid, user, tmp_path):
    (job_id,) = grid.submit([jdl(output_sandbox=())])
    user.wait(job_id)
    assert not grid.download(job_id, tmp_path)


def test_another_users_job_may_not_be_killed(grid, testbed, monkeypatch):
    (job_id,) = grid.submit([jdl(options=ELSEWHERE)])
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user2"])
    with pytest.raises(AuthorisationError, match="does not allow"):
        grid.kill([job_id])


@pytest.mark.parametrize(
    ("variables", "error", "expected"),
    [
        ({"DIRACX_URL": ""}, UsageError, "DIRACX_URL"),
        ({"DIRACX_CREDENTIALS_PATH": "/no/such"}, AuthenticationError, "dirac login"),
        ({"DIRACX_URL": "http://127.0.0.1:9"}, UnavailableError, "does not answer"),
    ],
)
def test_without_server_or_credentials_the_way_there_is_told(
    grid, monkeypatch, variables, error, expected
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=expected):
        grid.states([1])


def test_a_token_that_is_none_is_an_authentication_error(grid, tmp_path, monkeypatch):
    path = tmp_path / "credentials.json"
    path.write_text('{"access_token": "x", "refresh_token": "y", "expires_on": 9999999999}')
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", str(path))
    with pytest.raises(AuthenticationError, match="dirac login"):
        grid.states([1])
