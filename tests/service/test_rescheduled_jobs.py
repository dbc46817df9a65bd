"""Jobs that DiracX reschedules: the run goes on with another attempt, and the record has all."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from grid_runs import PATIENCE_S, request_of, submit, wait
from snapshot import snapshot

from client_scripts.harvest import main as harvest_command
from client_scripts.status import main as status_command
from client_scripts.trace import main as trace_command
from jobs.engines.diracx import DiracxEngine, Grid, GridOptions
from jobs.engines.diracx.names import job_activity_of
from jobs.engines.local import LocalEngine
from provmanager.client import ProvClient

pytestmark = pytest.mark.grid_users

TOOL = """
      class: CommandLineTool
      baseCommand: [sh, -c]
      arguments: [$(inputs.script)]
      inputs: {script: string, before: File?}
      outputs: {made: stdout}
      stdout: """
TWO_STEPS = f"""
cwlVersion: v1.2
class: Workflow
inputs: {{first: string, second: string}}
outputs: {{made: {{type: File, outputSource: two/made}}}}
steps:
  one:
    run: {TOOL}one.txt
    in: {{script: first}}
    out: [made]
  two:
    run: {TOOL}two.txt
    in: {{script: second, before: one/made}}
    out: [made]
"""
DIES = "kill -9 -$(ps -o sid= $$ | tr -d ' ')"
ELSEWHERE = GridOptions(sites=("LCG.Elsewhere.org",))


@pytest.fixture
def engine(testbed, tmp_path, monkeypatch, app_url, make_token) -> DiracxEngine:
    """The engine of the grid; what comes home is delivered to the module's server."""
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
        "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user3"],  # who has no other jobs
    }.items():
        monkeypatch.setenv(name, value)
    return DiracxEngine()


def two_steps(engine: DiracxEngine, folder: Path, first: str, second: str) -> str:
    path = folder / "two.cwl"
    path.write_text(TWO_STEPS)
    return engine.submit(request_of(str(path), f"first={first}", f"second={second}"))


def harvest() -> tuple[int, Any]:
    """Harvest whatever is not home: what former tests of this module submitted is."""
    done = CliRunner().invoke(harvest_command, ["--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr


def status_of(*arguments: object) -> Result:
    return CliRunner().invoke(status_command, [*map(str, arguments)])


def job_of(engine: DiracxEngine, run: str) -> int:
    return int(engine.find(run).info()["grid_job"])


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def attempts(client: ProvClient, run: str) -> list[tuple[str, str]]:
    """Return number and status of each attempt of a run's job."""
    found = [one for one in client.activity(run)["part_of"] if one["type"] == "Job"]
    for number, one in enumerate(found):
        assert one["activity"] == job_activity_of(run, int(one["attempt"])), number
    return sorted((one["attempt"], one["status"]) for one in found)


def parts(client: ProvClient, run: str) -> list[tuple[str, str, str]]:
    """Return name, attempt and status of each step of a run."""
    found = client.activity(run)["parts"]
    return sorted((one["name"], one["attempt"], one["status"]) for one in found)


def check_nothing_changes(database) -> None:
    with database.transaction() as session:
        before = snapshot(session)
    assert harvest() == (0, {"jobs": [], "stale": [], "documents_waiting": 0})
    with database.transaction() as session:
        assert snapshot(session) == before


def test_a_job_that_failed_on_the_node_goes_on_as_another_attempt(
    client, engine, database, tmp_path
) -> None:
    begun, mended = tmp_path / "begun", tmp_path / "mended"
    run = two_steps(
        engine, tmp_path, f"echo one >> {begun}; echo one",
        f"echo two >> {begun}; test -e {mended} && echo two",
    )  # fmt: skip
    assert wait(engine, run).state == "error"
    mended.touch()
    done = status_of(run, "--reschedule")
    assert (done.exit_code, "is rescheduled" in done.stderr) == (8, True), done.output
    status = wait(engine, run)
    assert (status.state, status.exit_code, status.notes) == ("completed", 0, ())
    assert [(one.name, one.is_reused) for one in status.steps] == [("one", True), ("two", False)]
    assert begun.read_text() == "one\ntwo\ntwo\n"  # what the first attempt completed is not lost

    assert attempts(client, run) == [("0", "error"), ("1", "completed")]
    assert parts(client, run) == [
        ("one", "0", "completed"), ("two", "0", "error"), ("two", "1", "completed"),
    ]  # fmt: skip
    told = client.activity(run)
    first = client.activity(job_activity_of(run, 0))
    assert (told["status"], told["exit_code"], told["contradictions"]) == ("completed", 0, [])
    assert first["started_at"] < told["started_at"] < first["ended_at"]
    (product,) = status.products
    made_by = client.entity(client.resolve(product.path)["id"])["produced_by"]
    assert client.activity(made_by["activity"])["job"]["attempt"] == "1"
    traced = CliRunner().invoke(trace_command, [product.path, "--levels"])
    assert traced.stdout.count("two job") >= 2, traced.output
    operations = client.search_activities(name="reschedule", parameter=[f"run={run}"])
    assert [one["name"] for one in operations["items"]] == ["reschedule"]
    assert "completed" in status_of(run, "--reschedule").stderr  # there is nothing to run again
    check_nothing_changes(database)


def test_a_job_that_was_killed_mid_way_and_rescheduled_by_others_is_found_again(
    client, engine, database, tmp_path
) -> None:
    mended = tmp_path / "mended"
    run = two_steps(
        engine, tmp_path, "echo one", f"test -e {mended} || {{ sleep 1; {DIES}; }}; echo two"
    )
    assert wait(engine, run).exit_code == 137
    assert attempts(client, run) == [("0", "error")]
    mended.touch()
    Grid().reschedule([job_of(engine, run)])
    outcomes = []
    wait_for(lambda: outcomes.append(harvest()[1]["jobs"]) or not outcomes[-1])
    assert {one["outcome"] for told in outcomes for one in told} <= {"running", "home"}
    assert DiracxEngine().status(run).state == "completed"
    assert attempts(client, run) == [("0", "error"), ("1", "completed")]
    assert parts(client, run) == [
        ("one", "0", "completed"), ("one", "1", "completed"),
        ("two", "0", "error"), ("two", "1", "completed"),
    ]  # fmt: skip
    (product,) = engine.status(run).products
    lineage = client.lineage(product.path)
    made = {client.activity(one["id"])["job"]["attempt"] for one in lineage["activities"]}
    assert made == {"1"}
    check_nothing_changes(database)


def test_words_of_a_former_attempt_that_come_late_change_nothing_of_the_run(
    client, engine, database, testbed, tmp_path
) -> None:
    goes_on, begun = tmp_path / "on", tmp_path / "begun"
    script = f"echo x >> {begun}; until test -e {goes_on}; do sleep 0.1; done; echo well"
    run = submit(engine, "shell.cwl", f"script={script}")
    wait_for(lambda: any(one["status"] == "running" for one in client.activity(run)["parts"])
             if begun.exists() else False)  # fmt: skip
    assert status_of(job_of(engine, run), "--reschedule").exit_code == 8  # by its number
    wait_for(lambda: begun.read_text() == "x\nx\n")  # at work while the first one is told to end
    first = Path(testbed.folder) / "jobs" / f"{job_of(engine, run)}.0"
    wait_for(lambda: not first.exists())  # it has ended, and said what it had to say
    wait_for(lambda: client.activity(run)["status"] == "running")
    goes_on.touch()
    assert wait(engine, run).state == "completed"
    assert attempts(client, run) == [("0", "interrupted"), ("1", "completed")]
    assert client.activity(run)["contradictions"] == []
    assert parts(client, run) == [("shell", "0", "interrupted"), ("shell", "1", "completed")]
    check_nothing_changes(database)


def test_what_died_without_a_word_is_closed_while_the_next_attempt_is_at_work(
    client, engine, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("jobs.engines.diracx.harvest.LAST_WORDS_S", 0.0)
    begun, goes_on = tmp_path / "begun", tmp_path / "on"
    waits = f"until test -e {goes_on}; do sleep 0.1; done; echo well"
    first = f"test -e {begun} || {{ echo x > {begun}; sleep 1; {DIES}; }}"
    run = submit(engine, "shell.cwl", f"script={first}; {waits}")
    grid, job = Grid(), job_of(engine, run)
    wait_for(lambda: grid.states([job])[job].is_final)
    assert attempts(client, run) == [("0", "running")]
    grid.reschedule([job])
    wait_for(lambda: attempts(client, run)[1:] == [("1", "running")])
    code, said = harvest()
    assert (code, [one["outcome"] for one in said["jobs"]]) == (8, ["running"])
    assert attempts(client, run) == [("0", "interrupted"), ("1", "running")]
    told = client.activity(job_activity_of(run, 0))
    assert "ended without a word: the job was rescheduled" in json.dumps(told["details"])
    wait_for(lambda: client.activity(run)["status"] == "running")
    goes_on.touch()
    assert wait(engine, run).state == "completed"
    assert attempts(client, run) == [("0", "interrupted"), ("1", "completed")]
    assert parts(client, run) == [("shell", "0", "interrupted"), ("shell", "1", "completed")]
    assert client.activity(run)["contradictions"] == []


def test_a_waiting_job_is_rescheduled_and_deleted_and_its_record_says_so(
    client, engine, database, tmp_path
) -> None:
    elsewhere = DiracxEngine(options=ELSEWHERE)
    run = submit(elsewhere, "shell.cwl", "script=echo never")
    assert status_of(run, "--reschedule").exit_code == 8
    assert Grid().states([job_of(engine, run)])[job_of(engine, run)].attempt == 1
    code, said = harvest()
    assert (code, [one["outcome"] for one in said["jobs"]]) == (8, ["running"])
    assert client.search_activities(name="shell*", status="running")["total"] == 0
    done = status_of(run, "--delete")
    assert (done.exit_code, "is deleted" in done.stderr) == (1, True), done.output
    assert client.activity(run)["status"] == "interrupted"
    assert "DiracX says Deleted" in json.dumps(client.activity(run)["details"])
    deleted = client.search_activities(name="delete", parameter=[f"run={run}"])["items"]
    assert len(deleted) == 1
    assert "is Deleted" in status_of(run, "--reschedule").stderr
    check_nothing_changes(database)


def test_a_failed_run_of_a_production_is_left_to_the_production(client, engine, tmp_path) -> None:
    begun, step = tmp_path / "begun", str(uuid.uuid4())
    run = submit(engine, "shell.cwl", f"script=echo x >> {begun}; exit 1")
    assert wait(engine, run).state == "error"
    schema = {"schema": "provmanager/activity.v1", "status": "running"}
    production = schema | {"id": step, "name": "make", "type": "ProductionStep"}
    claim = schema | {"id": run, "name": "shell", "type": "Workflow", "parent": step}
    client.record(f"{json.dumps(production)}\n{json.dumps(claim)}".encode())
    done = status_of(run, "--reschedule")
    assert (done.exit_code, "its production takes care" in done.stderr) == (2, True), done.output
    Grid().reschedule([job_of(engine, run)])  # somebody else
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("error", 5)
    assert "its production takes care" in (engine.find(run).path / "std.err").read_text()
    assert begun.read_text() == "x\n"
    assert attempts(client, run) == [("0", "error"), ("1", "error")]


def test_a_run_of_this_machine_has_no_job_to_reschedule_or_delete(engine) -> None:
    local = LocalEngine()
    run = local.submit(request_of("shell.cwl", "script=echo here"))
    wait(local, run)
    for option in ("--reschedule", "--delete"):
        done = status_of(run, option)
        assert (done.exit_code, "runs on this machine" in done.stderr) == (2, True), done.output
    assert "one at a time" in status_of(run, "--cancel", "--delete").stderr
    assert "name the run" in status_of("--delete").stderr
