"""`prod-harvest`: what jobs of the grid left comes home from anywhere, once."""

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from snapshot import snapshot

from client_scripts.harvest import main
from jobs.engines import RunRequest
from jobs.engines.diracx import DiracxEngine, Grid, GridOptions
from jobs.engines.diracx.discovery import named_jobs
from jobs.engines.local.directory import RunDirectory, write_json
from jobs.testbed import RunningTestbed
from jobs.workflows import load_workflow, make_inputs
from provmanager.errors import NotFoundError

pytestmark = pytest.mark.grid_users

SHELL = Path(__file__).parents[1] / "data" / "cwl" / "shell.cwl"
PATIENCE_S = 120.0
NOBODY = "http://127.0.0.1:9"

Harvest = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def home(
    testbed: RunningTestbed,
    app_url: str,
    make_token: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The state directory of who submits."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROV_STATE_DIR", str(folder))
        patch.setenv("PROV_SERVER_URL", app_url)
        patch.setenv("PROV_TOKEN", make_token("recorder"))
        patch.setenv("DIRACX_URL", testbed.url)
        patch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user2"])
        yield folder


@pytest.fixture(scope="module")
def submitted(home: Path) -> dict[str, str]:
    """Runs, none of which is looked at by who submitted it; all jobs have ended."""
    dies = "kill -9 -$(ps -o sid= $$ | tr -d ' ')"
    runs = {
        "completed": submit("echo all is well"),
        "cut off": submit("echo nobody knows", server=NOBODY),
        "dies": submit(f"sleep 1; {dies}"),
        "dies cut off": submit(dies, server=NOBODY),
        "loses its sandbox": submit("echo told in time"),
    }
    elsewhere = DiracxEngine(options=GridOptions(sites=("LCG.Elsewhere.org",)))
    runs["deleted"] = submit("echo never", engine=elsewhere)
    Grid().delete([job_of(runs["deleted"])])
    wait_for_all(runs)
    with Grid()._client() as api:
        api.jobs.unassign_job_sandboxes(job_of(runs["loses its sandbox"]))
    return runs


def submit(script: str, *, engine: DiracxEngine | None = None, server: str | None = None) -> str:
    workflow = load_workflow(str(SHELL))
    return (engine or DiracxEngine()).submit(
        RunRequest(
            workflow=workflow.location,
            name=workflow.name,
            inputs=make_inputs(workflow, None, [f"script={script}"]),
            steps=tuple(step.name for step in workflow.steps),
            environ={"PROV_SERVER_URL": server} if server else {},
        )
    )


def job_of(run: str) -> int:
    return int(DiracxEngine().find(run).info()["grid_job"])


def wait_for_all(runs: dict[str, str]) -> None:
    jobs = [job_of(run) for run in runs.values()]
    deadline = time.monotonic() + PATIENCE_S
    while not all(state.is_final for state in Grid().states(jobs).values()):
        assert time.monotonic() < deadline, Grid().states(jobs)
        time.sleep(0.3)


@pytest.fixture
def numbers(submitted: dict[str, str]) -> dict[str, int]:
    """The numbers of the jobs in DiracX, as their owner sees them on any machine."""
    return {name: job_of(run) for name, run in submitted.items()}


@pytest.fixture
def elsewhere(submitted, tmp_path, monkeypatch) -> Path:
    """The state directory of another machine."""
    monkeypatch.setenv("PROV_STATE_DIR", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere"


@pytest.fixture
def harvest() -> Harvest:
    """Run the command; return its exit code and what it says as JSON."""

    def run(*arguments: object) -> tuple[int, Any]:
        done = CliRunner().invoke(main, [*map(str, arguments), "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr

    return run


def outcomes(said: Any, runs: dict[str, str]) -> dict[str, tuple[str, str]]:
    names = {run: name for name, run in runs.items()}
    return {names[one["run"]]: (one["outcome"], one["state"]) for one in said["jobs"]}


def test_a_dry_run_says_what_is_not_home_and_brings_nothing(
    harvest, submitted, elsewhere, client, database
) -> None:
    with database.transaction() as session:
        before = snapshot(session)
    code, said = harvest("--dry-run")
    assert (code, {one["outcome"] for one in said["jobs"]}) == (0, {"ended"})
    assert {one["run"] for one in said["jobs"]} == set(submitted.values())
    with database.transaction() as session:
        assert snapshot(session) == before
    assert not (elsewhere / "grid-runs").exists()


def test_while_the_server_is_away_records_wait_on_disk(
    harvest, submitted, numbers, elsewhere, client, monkeypatch
) -> None:
    """First of the tests that bring home, so that the record knows least."""
    url = client.url
    monkeypatch.setenv("PROV_SERVER_URL", NOBODY)
    code, said = harvest(numbers["dies cut off"])
    assert (code, outcomes(said, submitted)) == (75, {"dies cut off": ("closed", "error")})
    assert said["documents_waiting"] > 0
    monkeypatch.setenv("PROV_SERVER_URL", url)
    code, said = harvest(submitted["dies cut off"][:8])
    assert (code, said["documents_waiting"]) == (0, 0)
    run = client.activity(submitted["dies cut off"])
    assert (run["status"], run["name"], run["type"]) == ("error", "shell", "Workflow")


def test_another_machine_brings_all_home_and_a_second_time_changes_nothing(
    harvest, submitted, elsewhere, client, database
) -> None:
    code, said = harvest()
    assert code == 0
    assert outcomes(said, submitted) == {
        "completed": ("home", "completed"),
        "cut off": ("home", "completed"),
        "dies": ("closed", "error"),
        "deleted": ("closed", "interrupted"),
        "loses its sandbox": ("closed", "completed"),
    }
    statuses = {name: client.activity(run)["status"] for name, run in submitted.items()}
    assert statuses == {
        "completed": "completed", "cut off": "completed", "dies": "error",
        "dies cut off": "error", "deleted": "interrupted", "loses its sandbox": "completed",
    }  # fmt: skip
    running = client.search_activities(status="running")
    assert running["total"] == 0, running
    directory = RunDirectory(elsewhere / "grid-runs" / submitted["completed"])
    (product,) = directory.status().products
    assert Path(product.path).read_text() == "all is well\n"
    lineage = client.lineage(product.path)
    assert "shell" in {activity["name"] for activity in lineage["activities"]}
    with database.transaction() as session:
        before = snapshot(session)
    assert harvest() == (0, {"jobs": [], "stale": [], "documents_waiting": 0})
    shutil.rmtree(elsewhere)  # a third machine: the record knows who has them
    assert harvest() == (0, {"jobs": [], "stale": [], "documents_waiting": 0})
    with database.transaction() as session:
        assert snapshot(session) == before


def test_what_the_grid_noted_of_a_dead_job_is_in_the_record(harvest, submitted, client) -> None:
    harvest(submitted["dies"])
    texts = [
        message["text"] for message in client.activity(submitted["dies"])["details"]["messages"]
    ]
    assert "left no record: DiracX says Failed" in texts[0]
    assert any("JobWrapper: Matched, Assigned" in text for text in texts)


def test_who_submitted_gets_the_products_too_and_nothing_is_doubled(
    harvest, submitted, client, database
) -> None:
    code, said = harvest()
    assert (code, {one["outcome"] for one in said["jobs"]}) == (0, {"home", "closed"})
    assert client.activity(submitted["loses its sandbox"])["contradictions"] == []
    assert client.activity(submitted["dies"])["contradictions"] == []
    (product,) = DiracxEngine().status(submitted["cut off"]).products
    entity = client.resolve(product.path)
    assert client.search_products(name=product.name)["total"] == 3  # one a job that made it
    assert client.entity(entity["id"])["produced_by"]["name"] == "shell"
    with database.transaction() as session:
        before = snapshot(session)
    assert harvest() == (0, {"jobs": [], "stale": [], "documents_waiting": 0})
    with database.transaction() as session:
        assert snapshot(session) == before


def test_a_run_whose_submitter_was_killed_is_found_by_the_name_of_its_job(harvest, home) -> None:
    run = submit("echo who am I")
    directory = DiracxEngine().find(run)
    wait_for_all({"": run})
    info = directory.info()
    del info["grid_job"]
    write_json(directory.run_file, info)
    code, said = harvest()
    assert (code, [one["outcome"] for one in said["jobs"]]) == (0, ["home"])
    assert DiracxEngine().status(run).state == "completed"


def test_what_runs_too_long_is_reported_unless_its_job_is_at_work(harvest, home, client) -> None:
    begun = datetime.now(UTC) - timedelta(days=3)
    activity = str(uuid.uuid4())
    record = {"schema": "provmanager/activity.v1", "id": activity, "name": "forgotten",
              "status": "running", "started_at": begun.isoformat()}  # fmt: skip
    client.record(json.dumps(record).encode())
    assert [one["activity"] for one in harvest()[1]["stale"]] == [activity]
    assert harvest("--stale-after", "100")[1]["stale"] == []
    waiting = DiracxEngine(options=GridOptions(sites=("LCG.Elsewhere.org",)))
    run = submit("echo never", engine=waiting)
    told = {**record, "id": str(uuid.uuid4()), "name": "shell job",
            "job": {"system": "DIRAC", "id": str(job_of(run))}}  # fmt: skip
    client.record(json.dumps(told).encode())
    code, said = harvest()
    assert (code, [one["activity"] for one in said["stale"]]) == (8, [activity])
    waiting.cancel(run)
    assert harvest(run)[0] == 0
    assert DiracxEngine().status(run).state == "interrupted"


def test_a_job_of_others_is_refused(harvest, home) -> None:
    (job,) = Grid().submit(['JobName = "hello"; Executable = "/bin/true";'])
    code, said = harvest(job)
    assert code == 2
    assert "not submitted by prod-submit" in said
    assert harvest(999999)[0] == 3
    assert harvest("nobody")[0] == 3


def test_digits_that_are_no_job_may_begin_the_id_of_a_run(numbers, tmp_path) -> None:
    run = "99999999-0000-4000-8000-000000000000"
    told = {"id": run, "name": "shell", "engine": "diracx", "grid_job": numbers["completed"]}
    (tmp_path / run).mkdir()
    (tmp_path / run / "run.json").write_text(json.dumps(told))
    (found,) = named_jobs(Grid(), tmp_path, ["99999999"])
    assert (found.run, found.job_id) == (run, numbers["completed"])
    with pytest.raises(NotFoundError, match="no job 88888888, and no run"):
        named_jobs(Grid(), tmp_path, ["88888888"])
