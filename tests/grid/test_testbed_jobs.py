"""Jobs on the testbed: a real DiracX, real workers."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from grid_user import GridUser, wait_until

from provmanager.capture.jobs import detect_job


def is_alive(pid):
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_when_whole(path):
    """What a running job wrote, once it ends with a line end."""
    return wait_until(lambda: path.exists() and (text := path.read_text()).endswith("\n") and text)


def test_the_exit_code_decides_between_done_and_failed(user):
    good, bad = user.submit("exit 0", "exit 3")
    done, failed = user.wait(good), user.wait(bad)
    assert (done["Status"], done["ApplicationStatus"]) == ("Done", "Exit 0")
    assert (failed["Status"], failed["ApplicationStatus"]) == ("Failed", "Exit 3")
    assert failed["MinorStatus"] == "Application Finished With Errors"
    assert done["Site"] == failed["Site"] == "DIRAC.Testbed.local"


def test_statuses_go_the_way_of_diracs_state_machine(user):
    (job_id,) = user.submit("exit 0")
    user.wait(job_id)
    history = user.look(job_id, "LoggingInfo")["LoggingInfo"]
    passed = list(dict.fromkeys(step["Status"] for step in history))
    assert passed == ["Received", "Waiting", "Matched", "Running", "Completing", "Done"]
    times = [step["StatusTime"] for step in history]
    assert times == sorted(times)


def test_an_executable_that_is_not_there_fails_the_job(user):
    jdl = 'JobName="test"; Executable="no-such-program"; OutputSandbox={"std.err"};'
    (job,) = user.api.jobs.submit_jdl_jobs([jdl])
    assert user.wait(job.job_id)["MinorStatus"] == "Application not found"


def test_sandboxes_go_out_and_come_back(user, tmp_path):
    given = tmp_path / "given"
    (given / "folder").mkdir(parents=True)
    (given / "folder" / "data.bin").write_bytes(bytes(range(256)) * 100)
    (given / "run.sh").write_text("#!/bin/sh\nmkdir out; cp folder/* out; echo $1 > a.log; env\n")
    name = user.upload(given / "run.sh", given / "folder")
    jdl = (
        'JobName="test"; Executable="run.sh"; Arguments="hello"; StdOutput="said.txt";'
        f'InputSandbox={{"{name}"}}; OutputSandbox={{"said.txt","*.log","out","missing.txt"}};'
    )
    job_id = user.api.jobs.submit_jdl_jobs([jdl])[0].job_id
    assert user.wait(job_id)["Status"] == "Done"

    got = user.download(job_id, tmp_path / "got")
    assert sorted(path.name for path in got.iterdir()) == ["a.log", "out", "said.txt"]
    assert (got / "a.log").read_text() == "hello\n"
    data = (got / "out" / "data.bin").read_bytes()
    assert data == (given / "folder" / "data.bin").read_bytes()


def test_an_input_sandbox_that_is_not_there_fails_the_job(user):
    name = "SB:SandboxSE|/S3/sandboxes/testbed/user/user/sha256:" + "0" * 64 + ".tar.zst"
    (job_id,) = user.submit("exit 0", InputSandbox=f'{{"{name}"}}')
    job = user.wait(job_id)
    assert (job["Status"], job["MinorStatus"]) == ("Failed", "Failed Downloading InputSandbox")


def test_a_job_finds_itself_on_the_grid(user, tmp_path):
    (job_id,) = user.submit("env", OutputSandbox='{"std.out"}', ExecutionEnvironment='{"A=1"}')
    user.wait(job_id)
    said = (user.download(job_id, tmp_path / "got") / "std.out").read_text()
    environ = dict(line.split("=", 1) for line in said.splitlines())
    job = detect_job(environ)
    assert (job["system"], job["id"], job["site"]) == ("DIRAC", str(job_id), "DIRAC.Testbed.local")
    assert job["pilot"]
    assert environ["A"] == "1"


def test_a_job_acts_as_its_owner_and_nobody_else_may_read_what_it_brought(user, testbed, tmp_path):
    (job_id,) = user.submit("echo mine", OutputSandbox='{"std.out"}')
    user.wait(job_id)
    with GridUser(testbed, "user2") as other, pytest.raises(Exception, match="Forbidden"):
        other.download(job_id, tmp_path / "theirs")
    assert (user.download(job_id, tmp_path / "got") / "std.out").read_text() == "mine\n"


def test_a_killed_job_gets_time_to_say_so(user, tmp_path):
    given = tmp_path / "run.sh"
    given.write_text(
        "trap 'echo ended > last.txt; exit 1' TERM\n"
        f"echo $$ > {tmp_path}/pid\n"
        "while :; do sleep 0.1; done\n"
    )
    (job_id,) = user.submit(
        ". ./run.sh", InputSandbox=f'{{"{user.upload(given)}"}}', OutputSandbox='{"last.txt"}'
    )
    pid = int(read_when_whole(tmp_path / "pid"))
    user.kill(job_id)
    wait_until(lambda: not is_alive(pid))
    wait_until(lambda: user.api.jobs.get_job_sandbox(job_id, "output"))
    assert user.look(job_id)["Status"] == "Killed"
    assert (user.download(job_id, tmp_path / "got") / "last.txt").read_text() == "ended\n"


def test_a_job_that_does_not_listen_is_killed_with_all_its_processes(user, tmp_path):
    given = tmp_path / "run.sh"
    given.write_text(
        "trap '' TERM\n"
        "sleep 1000 &\n"
        f"echo $$ $! > {tmp_path}/pids\n"
        "wait\nwhile :; do sleep 1; done\n"
    )
    (job_id,) = user.submit(". ./run.sh", InputSandbox=f'{{"{user.upload(given)}"}}')
    pids = read_when_whole(tmp_path / "pids").split()
    user.kill(job_id)
    wait_until(lambda: not any(map(is_alive, pids)))
    assert user.look(job_id)["Status"] == "Killed"


def test_a_job_killed_before_its_turn_never_runs(user, tmp_path):
    long = user.submit(*["sleep 4"] * 3)
    (job_id,) = user.submit(f"echo ran > {tmp_path}/ran")
    user.kill(job_id)
    for other in long:
        user.wait(other)
    (after,) = user.submit("exit 0")
    user.wait(after)
    assert user.look(job_id)["Status"] == "Killed"
    assert not (tmp_path / "ran").exists()


def test_forty_jobs_on_all_workers_run_once_each(user, testbed, tmp_path):
    script = f"echo $JOBID $DIRAC_PILOT_STAMP >> {tmp_path}/ran"
    job_ids = user.submit(*[script] * 20) + user.submit(*[script] * 20)
    for job_id in job_ids:
        assert user.wait(job_id)["Status"] == "Done"
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert Counter(int(job_id) for job_id, _ in ran) == Counter(job_ids)
    assert len({stamp for _, stamp in ran}) == testbed.n_workers


def test_a_job_for_another_site_waits(user):
    other, banned, ours = (
        user.submit("exit 0", **fields)[0]
        for fields in (
            {"Site": '"LCG.Elsewhere.org"'},
            {"BannedSites": '{"DIRAC.Testbed.local"}'},
            {"Site": '{"LCG.Elsewhere.org","DIRAC.Testbed.local"}'},
        )
    )
    user.wait(ours)
    assert user.look(other)["Status"] == user.look(banned)["Status"] == "Received"
    for job_id in (other, banned):
        user.kill(job_id)


def test_a_rescheduled_job_runs_anew_and_its_first_run_ends(user, tmp_path):
    (job_id,) = user.submit(f"echo $$ >> {tmp_path}/pids && sleep 1000")
    first = read_when_whole(tmp_path / "pids").strip()
    user.reschedule(job_id)
    wait_until(lambda: not is_alive(first))
    pids = wait_until(
        lambda: len(pids := (tmp_path / "pids").read_text().split()) == 2 and pids,
        lambda: user.look(job_id, "LoggingInfo"),
    )
    job = user.wait(job_id, {"Running"})
    assert job["RescheduleCounter"] == 1
    user.kill(job_id)
    wait_until(lambda: not is_alive(pids[1]))
    assert len((tmp_path / "pids").read_text().split()) == 2


def test_a_job_whose_worker_is_lost_stalls_and_fails_and_the_next_runs(user, tmp_path):
    (job_id,) = user.submit(f"echo $PPID $$ > {tmp_path}/pids && sleep 1000")
    worker, payload = map(int, read_when_whole(tmp_path / "pids").split())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_alive(payload))
    job = user.wait(job_id)
    assert (job["Status"], job["MinorStatus"]) == ("Failed", "Job stalled: pilot not running")
    history = user.look(job_id, "LoggingInfo")["LoggingInfo"]
    assert "Stalled" in {step["Status"] for step in history}

    job_ids = user.submit(*["sleep 1"] * 6)
    assert {user.wait(job_id)["Status"] for job_id in job_ids} == {"Done"}
