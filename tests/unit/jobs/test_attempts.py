"""Attempts of a job that is rescheduled: by DiracX's log, and in the directory of its run."""

import json

import pytest

from jobs.engines.diracx.attempts import (
    attempt_directories,
    begin_again,
    handled_attempt,
    periods_of,
)
from jobs.engines.diracx.grid import LogEntry
from jobs.engines.diracx.names import grid_job
from jobs.engines.local.directory import RunDirectory, write_json
from jobs.engines.local.reuse import Former

RUN = "7e0bd1f5-5a53-4d6e-8a8c-3f2f6c1c9a10"


def log(*lines):
    """DiracX's log of a job: status and minor status, one a minute."""
    return [
        LogEntry(f"2026-11-21T20:{minute:02d}:00Z", "JobManager", *line.split(", "), "Unknown")
        for minute, line in enumerate(lines)
    ]


def told(entries):
    """Number, minute of start and minute of end of each attempt."""
    return [
        (p.number, *(at and int(at[14:16]) for at in (p.started_at, p.ended_at)))
        for p in periods_of(entries)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), [(0, None, None)]),
        (("Received, Job accepted", "Running, Application", "Done, Done"), [(0, 1, 2)]),
        (
            ("Running, Application", "Failed, Errors", "Rescheduled, Job Rescheduled",
             "Received, Job Rescheduled", "Running, Application", "Done, Done"),
            [(0, 0, 1), (1, 4, 5)],
        ),
        (  # taken from a node that was at work
            ("Running, Application", "Received, Job Rescheduled", "Running, Application"),
            [(0, 0, 1), (1, 2, None)],
        ),
        (  # DiracX counts what it refuses
            ("Running, Application", "Failed, Errors", "Failed, Job Rescheduled",
             "Rescheduled, Job Rescheduled", "Received, Job Rescheduled"),
            [(0, 0, 1), (2, None, None)],
        ),
        (("Running, Application", "Done, Done", "Done, Job Rescheduled"), [(0, 0, 1)]),
        (
            ("Received, Job accepted", "Received, Job Rescheduled", "Received, Job Rescheduled"),
            [(0, None, 1), (1, None, 2), (2, None, None)],
        ),
    ],
    ids=["nothing", "one", "failed", "at work", "refused once", "done", "waiting"],
)  # fmt: skip
def test_the_log_of_a_job_tells_its_attempts(lines, expected) -> None:
    entries = log(*lines)
    assert told(entries) == told(reversed(entries)) == expected


def came_home(directory, attempt):
    """Let an attempt of the run come home, with one completed step."""
    made = directory.steps / "make" / "made.txt"
    made.parent.mkdir(parents=True)
    made.write_text(f"{attempt}\n")
    place = {"class": "File", "location": made.as_uri(), "sha256": "x"}
    step = {"id": f"step {attempt}", "status": "completed",
            "attributes": {"cwl": {"key": f"key {attempt}", "outputs": {"o": place}}}}  # fmt: skip
    directory.record_file.write_text(json.dumps(step) + "\n")
    record = {"id": "job", "job": grid_job(7, attempt)}
    (directory.path / "job.prov.jsonl").write_text(json.dumps(record) + "\n")
    directory.append("ended", state="error", exit_code=1, products=[])


def test_a_run_waits_again_and_takes_over_from_its_former_attempts(tmp_path) -> None:
    directory = RunDirectory(tmp_path / RUN)
    directory.path.mkdir()
    write_json(directory.run_file, {"id": RUN, "name": "make", "resumes": None, "created_at": "x"})
    for attempt in (0, 1):
        came_home(directory, attempt)
        begin_again(directory, attempt + 1)
        assert (directory.has_ended(), handled_attempt(directory)) == (False, attempt + 1)
        assert not directory.steps.exists()
    former = attempt_directories(directory)
    assert [one.path.name for one in former] == ["0", "1"]
    assert [(one.steps / "make" / "made.txt").read_text() for one in former] == ["0\n", "1\n"]
    resumed = Former(RunDirectory(tmp_path / RUN / "attempts" / "1"))
    assert resumed.ids == [RUN, RUN]
    assert directory.info()["resumes"] == str(former[1].path)
    begin_again(directory, 3)  # nothing came home of the third: nothing is lost
    assert [one.path.name for one in attempt_directories(directory)] == ["0", "1"]
