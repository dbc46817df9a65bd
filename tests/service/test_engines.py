"""What every engine does: one suite, real processes, a real server; each engine runs all of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import cwltool
import pytest

from jobs.engines import ENGINES, Engine, RunRequest, RunStatus, make_engine
from jobs.testbed import RunningTestbed
from jobs.workflows import load_workflow, make_inputs
from provmanager.client import ProvClient
from provmanager.errors import UsageError

pytestmark = pytest.mark.grid_users

CWL = Path(__file__).parents[1] / "data" / "cwl"
OTHERS = Path(cwltool.__file__).parent / "tests"
PATIENCE_S = 120.0

Run = Callable[..., RunStatus]


here = pytest.mark.parametrize("engine", ["local"], indirect=True)
"""What the grid leaves to this engine on a node."""


@pytest.fixture(params=ENGINES)
def engine(
    request: pytest.FixtureRequest,
    testbed: RunningTestbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    app_url: str,
    make_token: Callable[..., str],
) -> Iterator[Engine]:
    """An engine whose runs record at the server of this module."""
    for name in [n for n in os.environ if n.startswith("PROV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PROV_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("recorder"))
    monkeypatch.setenv("DIRACX_URL", testbed.url)
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user"])
    monkeypatch.chdir(tmp_path)
    made = make_engine(request.param)
    yield made
    for run in made.runs():
        if not run.is_final:
            made.cancel(run.id)
            wait(made, run.id)


def wait(engine: Engine, run: str) -> RunStatus:
    deadline = time.monotonic() + PATIENCE_S
    while not (status := engine.status(run)).is_final:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def submit(
    engine: Engine,
    document: Path,
    *settings: str,
    config: Path | None = None,
    **options: Any,
) -> str:
    workflow = load_workflow(str(document))
    return engine.submit(
        RunRequest(
            workflow=workflow.location,
            name=workflow.name,
            inputs=make_inputs(workflow, config, settings),
            steps=tuple(step.name for step in workflow.steps),
            command=("prod-submit", document.name),
            **options,
        )
    )


@pytest.fixture
def run(engine: Engine) -> Run:
    """Run a document of tests/data/cwl (or another) to its end."""

    def to_end(document: str | Path, *settings: str, **options: Any) -> RunStatus:
        return wait(engine, submit(engine, CWL / document, *settings, **options))

    return to_end


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("to be or not to be\n")
    return path


def states(status: RunStatus) -> dict[str, str]:
    return {step.name: step.state for step in status.steps}


def test_a_run_gives_what_its_workflow_says_and_its_record_leads_back(
    client: ProvClient, engine: Engine, run: Run, text: Path
) -> None:
    text.write_text(f"only here {os.getpid()} {time.monotonic_ns()}\n")
    status = run("chain.cwl", f"text={text}")
    assert (status.state, status.exit_code) == ("completed", 0)
    assert states(status) == {"shout": "completed", "count": "completed"}
    assert engine.runs()[0].id == status.id
    found = engine.results(status.id)
    (product,) = found.products
    assert Path(product.path).read_text().split()[0] == "4"
    assert found.outputs["count"]["basename"] == "count.txt"

    activity = client.activity(status.id)
    assert (activity["name"], activity["type"]) == ("chain", "Workflow")
    assert (activity["status"], activity["exit_code"]) == ("completed", 0)
    assert {"workflow", "text"} <= {used["role"] for used in activity["used"]}
    parts = {part["name"]: part["activity"] for part in activity["parts"]}
    assert set(parts) == {"shout", "count"}
    count = client.activity(parts["count"])
    assert count["exit_code"] == 0
    assert count["command"]["arguments"][:2] == ["wc", "-w"]
    assert [used["role"] for used in count["used"]] == ["text"]
    assert [made["name"] for made in count["generated"]] == ["count.txt"]
    assert all(made["sha256"] for made in count["generated"])

    lineage = client.lineage(product.path)
    assert {"shout", "count"} <= {a["name"] for a in lineage["activities"]}
    assert "words.txt" in json.dumps(lineage["entities"])


def test_what_a_tool_records_of_itself_is_part_of_its_step(
    client: ProvClient, run: Run, tmp_path: Path
) -> None:
    script = tmp_path / "tool.py"
    script.write_text(
        "from provmanager import capture\n"
        "with capture.activity('inner', version='7') as run:\n    run.value('answer', 42)\n"
    )
    status = run("shell.cwl", f"script={sys.executable} {script}")
    assert status.state == "completed", status
    (step,) = client.activity(status.id)["parts"]
    (inner,) = client.activity(step["activity"])["parts"]
    assert inner["name"] == "inner"


def test_a_tool_that_was_killed_is_not_left_running(
    client: ProvClient, run: Run, tmp_path: Path
) -> None:
    script = tmp_path / "tool.py"
    script.write_text(
        "import os\nfrom provmanager import capture\n"
        "with capture.activity('inner'):\n    os.kill(os.getpid(), 9)\n"
    )
    status = run("shell.cwl", f"script=exec {sys.executable} {script}")
    assert [(s.state, s.exit_code) for s in status.steps] == [("interrupted", 137)]
    assert (status.state, status.exit_code) == ("error", 1)
    (step,) = client.activity(status.id)["parts"]
    (inner,) = client.activity(step["activity"])["parts"]
    assert (inner["name"], inner["status"]) == ("inner", "interrupted")


def test_a_failed_step_does_not_hold_up_others(client: ProvClient, run: Run) -> None:
    status = run("branches.cwl", "code=3")
    assert (status.state, status.exit_code) == ("error", 6)
    assert states(status) == {
        "slow": "completed", "fails": "error", "late": "completed", "after": "not-run",
    }  # fmt: skip
    failed = next(step for step in status.steps if step.name == "fails")
    assert failed.exit_code == 3
    assert failed.reason is not None
    assert "exit code 3" in failed.reason
    assert "last reason" in failed.reason
    assert status.reason == "failed: fails"
    assert {Path(p.path).read_text() for p in status.products} == {"slow\n", "slow\nlate\n"}
    activity = client.activity(status.id)
    assert (activity["status"], activity["exit_code"]) == ("error", 6)
    found = client.run(status.id)
    assert (found["status"], found["exit_code"], found["engine"]) == ("error", 6, status.engine)
    failed_part = next(step for step in found["steps"] if step["name"] == "fails")
    assert (failed_part["status"], failed_part["exit_code"]) == ("error", 3)
    assert "last reason" in failed_part["messages"][-1]["text"]
    slow = next(step for step in found["steps"] if step["name"] == "slow")
    assert [product["role"] for product in slow["products"]] == ["out"]
    assert {product["role"] for product in found["products"]} == {"s", "l"}
    assert "fails" in found["messages"][-1]["text"]


def test_a_promised_run_is_started_once_however_often_it_is_submitted(
    client: ProvClient, engine: Engine, text: Path
) -> None:
    promised = str(uuid4())
    inputs = f"text={text}"
    assert submit(engine, CWL / "chain.cwl", inputs, run_id=promised) == promised
    again = make_engine(engine.name)  # as a submitter does that was killed and started again
    assert submit(again, CWL / "chain.cwl", inputs, run_id=promised) == promised
    assert wait(again, promised).state == "completed"
    assert submit(again, CWL / "chain.cwl", inputs, run_id=promised) == promised
    assert [run.id for run in again.runs()] == [promised]
    assert client.activity(promised)["status"] == "completed"
    assert len(client.activity(promised)["parts"]) == 2


@pytest.mark.parametrize("engine", ["local"], indirect=True)
def test_a_promised_run_is_started_once_by_submitters_at_once(
    engine: Engine, tmp_path: Path
) -> None:
    document = tmp_path / "once.cwl"
    document.write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\n"
        f"baseCommand: [sh, -c, 'echo begun >>{tmp_path}/begun.txt']\ninputs: {{}}\noutputs: {{}}\n"
    )
    promised = str(uuid4())
    workflow = load_workflow(str(document))
    request = RunRequest(workflow=workflow.location, name="once", inputs={}, run_id=promised)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(make_engine("local").submit, request) for _ in range(4)]
    assert {run.result() for run in runs} == {promised}
    assert wait(engine, promised).state == "completed"
    assert (tmp_path / "begun.txt").read_text() == "begun\n"


def test_what_is_left_of_a_killed_submission_does_not_hinder_the_next(
    engine: Engine, text: Path
) -> None:
    promised = str(uuid4())
    folder = engine.folder / promised  # type: ignore[attr-defined]  # both keep one
    folder.mkdir(parents=True)
    (folder / "inputs.json").write_text("{}")
    assert submit(engine, CWL / "chain.cwl", f"text={text}", run_id=promised) == promised
    assert wait(engine, promised).state == "completed"


def test_resuming_runs_what_is_missing_or_was_tampered_with(client: ProvClient, run: Run) -> None:
    first = run("branches.cwl", "code=3")
    second = run("branches.cwl", "code=0", resume=first.id)
    assert second.state == "completed"
    assert {step.name for step in second.steps if step.is_reused} == {"slow", "late"}
    assert {part["name"] for part in client.activity(second.id)["parts"]} == {"fails", "after"}
    made = {p.role: Path(p.path) for p in second.products}
    made["s"].write_text("forged\n")  # a copy of what the first run made: its step has it still
    made["a"].write_text("forged\n")  # the very file that a step of this run made
    third = run("branches.cwl", "code=0", resume=second.id)
    assert third.state == "completed"
    assert {step.name for step in third.steps if step.is_reused} == {"fails", "slow", "late"}
    for path in (made["s"], made["a"]):
        assert any(f"{path} was changed" in note for note in third.notes)
    assert any("step after runs again" in note for note in third.notes)
    again = {p.role: Path(p.path).read_text() for p in third.products}
    assert again == {"s": "slow\n", "l": "slow\nlate\n", "a": "told\nafter\n"}


def test_a_cancelled_run_closes_its_records(
    client: ProvClient, engine: Engine, tmp_path: Path
) -> None:
    run = submit(engine, CWL / "shell.cwl", "script=sleep 60 & wait")
    wait_for(lambda: any(step.state == "running" for step in engine.status(run).steps))
    wait_for(lambda: client.search_activities(name="shell", status="running")["total"])
    engine.cancel(run)
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("interrupted", 143)
    assert [step.state for step in status.steps] == ["interrupted"]
    activity = client.activity(run)
    assert (activity["status"], activity["exit_code"]) == ("interrupted", 143)
    assert [part["status"] for part in activity["parts"]] == ["interrupted"]
    sleeping = subprocess.run(["pgrep", "-f", "^sleep 60$"], capture_output=True, text=True)
    assert not any(
        f"PROV_PARENT_ACTIVITY={activity['parts'][0]['activity']}".encode()
        in Path(f"/proc/{pid}/environ").read_bytes()
        for pid in sleeping.stdout.split()
        if Path(f"/proc/{pid}/environ").exists()
    )


def test_the_server_tells_of_a_run_while_it_goes_on(
    client: ProvClient, engine: Engine, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f"until test -e {go}; do sleep 0.05; done"
    run = submit(engine, CWL / "shell.cwl", f"script={script}")
    wait_for(lambda: client.runs(status="running", limit=1)["items"])
    wait_for(lambda: client.run(run)["steps"])
    found = client.run(run[:8])
    assert (found["status"], found["name"], found["planned"]) == ("running", "shell", ["shell"])
    assert [step["status"] for step in found["steps"]] == ["running"]
    go.touch()
    assert wait(engine, run).state == "completed"
    found = client.run(run)
    assert (found["status"], found["exit_code"]) == ("completed", 0)
    assert [step["status"] for step in found["steps"]] == ["completed"]
    listed = next(item for item in client.runs()["items"] if item["id"] == run)
    assert listed["steps"] == {"completed": 1}


@here
def test_thirty_steps_side_by_side_are_thirty_activities(client: ProvClient, run: Run) -> None:
    status = run("scatter.cwl", f"words={json.dumps([f'w{i}' for i in range(30)])}",
                 max_parallel=30)  # fmt: skip
    assert status.state == "completed", status
    assert sorted(step.index for step in status.steps) == [(i,) for i in range(30)]
    found = client.run(status.id)
    assert {step["name"] for step in found["steps"]} == {"say"}
    assert sorted(step["scatter_index"][0] for step in found["steps"]) == list(range(30))
    for step in found["steps"]:
        arguments = client.activity(step["id"])["command"]["arguments"]
        assert arguments[-1] == f"w{step['scatter_index'][0]}"
    spans = [(s.started_at or "", s.ended_at or "") for s in status.steps]
    latest_start, first_end = max(s for s, _ in spans), min(e for _, e in spans)
    assert len({s for s, e in spans if s < first_end}) > 2, (latest_start, first_end)


@here
def test_no_more_steps_run_at_a_time_than_asked_for(run: Run) -> None:
    status = run("scatter.cwl", 'words=["a","b","c","d"]', max_parallel=1)
    spans = sorted((s.started_at or "", s.ended_at or "") for s in status.steps)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@here
def test_a_step_that_needs_more_than_the_machine_has_fails_alone(run: Run) -> None:
    status = run("greedy.cwl")
    assert states(status) == {"modest": "completed", "greedy": "error"}
    assert status.exit_code == 6
    greedy = next(step for step in status.steps if step.name == "greedy")
    assert greedy.reason is not None
    assert "100000 cores" in greedy.reason


@here
def test_an_lfn_is_refused_where_there_is_no_storage(engine: Engine) -> None:
    with pytest.raises(UsageError, match="--engine diracx"):
        submit(engine, CWL / "chain.cwl", "text=LFN:/vo/words.txt")
    assert engine.runs() == []


@here
def test_a_command_that_is_not_there_is_said_so(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "absent.cwl"
    document.write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: no-such-command\n"
        "inputs: {}\noutputs: {}\n"
    )
    status = run(document)
    assert (status.state, status.exit_code) == ("error", 1)
    (step,) = status.steps
    assert step.exit_code == 127
    assert step.reason is not None
    assert "no-such-command" in step.reason


@here
def test_an_output_that_was_not_made_is_said_so(client: ProvClient, run: Run) -> None:
    status = run("forgetful.cwl")
    (step,) = status.steps
    assert (step.state, step.exit_code) == ("error", 0)
    assert step.reason is not None
    assert "promised.txt" in step.reason
    (part,) = client.activity(status.id)["parts"]
    assert part["status"] == "error"


def test_a_workflow_of_somebody_else_runs_as_it_is(client: ProvClient, run: Run) -> None:
    """The revsort workflow that cwltool comes with (CWL user guide)."""
    folder = OTHERS / "wf"
    if not (folder / "revsort.cwl").is_file():
        pytest.skip("this cwltool comes without its tests")
    status = run(folder / "revsort.cwl", config=folder / "revsort-job.json")
    assert status.state == "completed", status
    (product,) = status.products
    lines = (folder / "whale.txt").read_text().splitlines()
    assert Path(product.path).read_text().splitlines() == sorted(
        (line[::-1] for line in lines), reverse=True
    )
    assert {step["name"] for step in client.run(status.id)["steps"]} == {"rev", "sorted"}


def test_while_no_server_answers_the_record_waits_on_disk(
    client: ProvClient,
    engine: Engine,
    run: Run,
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url, spool = os.environ["PROV_SERVER_URL"], tmp_path / "state" / "spool"
    monkeypatch.setenv("PROV_SERVER_URL", "http://127.0.0.1:9")  # discard: nothing listens there
    away = run("chain.cwl", f"text={text}")
    assert away.state == "completed"
    assert any("wait on disk" in note for note in away.notes)
    assert list(spool.glob("*~*"))
    monkeypatch.setenv("PROV_SERVER_URL", url)
    run("shell.cwl", "script=true")  # the next run takes along what waits
    assert not list(spool.glob("*~*"))
    found = client.run(away.id)
    assert found["status"] == "completed"
    assert {step["name"] for step in found["steps"]} == {"shout", "count"}


@here
def test_a_run_whose_process_was_killed_is_not_taken_for_running(
    client: ProvClient, engine: Engine, run: Run
) -> None:
    killed = submit(engine, CWL / "branches.cwl", "code=0", "seconds=20")
    wait_for(
        lambda: (
            {"after": "completed", "slow": "running"}.items()
            <= states(engine.status(killed)).items()
        )
    )
    pid = json.loads((Path(engine.status(killed).directory or "") / "run.json").read_text())
    os.kill(pid["starting_pid"], 9)
    status = wait(engine, killed)
    assert status.state == "interrupted"
    assert states(status)["slow"] == "interrupted"
    again = run("branches.cwl", "code=0", "seconds=0", resume=killed)
    assert {step.name for step in again.steps if step.is_reused} == {"fails", "after"}
    assert again.state == "completed"
    found = client.run(killed)
    assert found["status"] == "interrupted"
    assert {s["name"]: s["status"] for s in found["steps"]} == {
        "fails": "completed", "after": "completed", "slow": "interrupted",
    }  # fmt: skip


# --- the meaning of CWL: what an engine makes of a document is what cwltool makes of it -----------


def plain_cwltool(document: Path, config: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "cwltool", "--quiet", "--no-container", "--outdir",
               str(folder), str(document), str(config)]  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def seen(value: Any) -> Any:
    """Return an output object with the contents of files instead of their places."""
    if isinstance(value, list):
        return [seen(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {key: seen(item) for key, item in value.items()}
    path = Path(unquote(urlsplit(value["location"]).path))
    found = {"class": value["class"], "basename": value["basename"], "name": path.name}
    if value["class"] == "File":
        return found | {
            "size": value["size"], "bytes": path.read_bytes(),
            "secondary": seen(value.get("secondaryFiles", [])),
        }  # fmt: skip
    return found | {
        "members": {
            str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()
        }
    }


@pytest.mark.parametrize(
    ("document", "config"),
    [
        (CWL / "features.cwl", CWL / "features.yml"),
        (OTHERS / "wf" / "scatter-wf4.json", OTHERS / "wf" / "scatter-job2.json"),
    ],
    ids=["v1.2 in YAML", "somebody's v1.0 in JSON"],
)
def test_an_engine_makes_what_cwltool_makes(
    engine: Engine, run: Run, document: Path, config: Path, tmp_path: Path
) -> None:
    if not document.is_file():
        pytest.skip("this cwltool comes without its tests")
    status = run(document, config=config)
    assert status.state == "completed", status
    expected = plain_cwltool(document, config, tmp_path / "cwltool")
    found = engine.results(status.id).outputs
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert seen(found[name]) == seen(value), name
