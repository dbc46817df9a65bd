"""What runs on a node leaves its record whatever happens: here without a grid around it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.engines.diracx.package import NodeSoftware, PackedWorkflow, make_package
from jobs.storage import StorageOptions
from jobs.workflows import load_workflow, make_inputs

CWL = Path(__file__).parents[2] / "data" / "cwl"
RUN, JOB = "7e0bd1f5-5a53-4d6e-8a8c-3f2f6c1c9a10", "1f7b8f3e-6a0e-4c5c-9a55-0d9f3d1b7c22"
PATIENCE_S = 120.0


def start(folder, document, *settings, storage=None):
    """Start the node's script in a folder of its own, as a batch system does."""
    workflow = load_workflow(str(CWL / document))
    job = {
        "id": RUN, "name": workflow.name, "steps": [step.name for step in workflow.steps],
        "command": ["prod-submit", document], "max_parallel": None, "job_activity": JOB,
        "submitted_at": "2026-01-01T00:00:00Z", "server": None, "agent": None, "formers": [],
        "bring_products": True,
    }  # fmt: skip
    make_package(
        folder, PackedWorkflow.of(workflow.location), make_inputs(workflow, None, settings), job,
        software=NodeSoftware(python=sys.executable), storage=storage,
    )  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PROV_", "DIRAC"))}
    with open(folder / "std.err", "wb") as errors:
        return subprocess.Popen(
            ["/bin/sh", "run.sh"], cwd=folder, env=environ | {"DIRACSITE": "A.Site.org"},
            stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, folder):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, (folder / "std.err").read_text()
        time.sleep(0.05)


def last(records, activity):
    return [record for record in records if record["id"] == activity][-1]


def test_sigterm_in_the_middle_of_a_step_leaves_whole_records(tmp_path):
    folder = tmp_path / "node"
    node = start(folder, "shell.cwl", "script=echo begun; sleep 60 & wait")
    running = folder / "run" / "provenance.jsonl"
    wait_for(lambda: any(r.get("type") == "WorkflowStep" for r in lines(running)), folder)
    node.send_signal(signal.SIGTERM)
    assert node.wait(PATIENCE_S) == 143
    result = folder / "result"
    job = last(lines(result / "job.prov.jsonl"), JOB)
    assert (job["status"], job["exit_code"]) == ("interrupted", 143)
    assert job["job"] == {"system": "DIRAC", "site": "A.Site.org"}
    assert job["resources"]["wall_s"] > 0
    records = lines(result / "provenance.jsonl")
    assert {last(records, r["id"])["status"] for r in records} == {"interrupted"}
    ended = lines(result / "state.jsonl")[-1]
    assert (ended["event"], ended["state"], ended["exit_code"]) == ("ended", "interrupted", 143)


def test_sigterm_while_inputs_are_staged_leaves_whole_records(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a storage that never answers
        folder = tmp_path / "node"
        credentials = tmp_path / "credentials"
        credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        place = {
            "bucket": "data", "endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "credentials": str(credentials),
        }  # fmt: skip
        storage = StorageOptions(kind="s3", place=place)
        node = start(folder, "chain.cwl", "text=LFN:/vo/raw/words.txt", storage=storage)
        connection, _ = silent.accept()
        node.send_signal(signal.SIGTERM)
        assert node.wait(PATIENCE_S) == 143
        connection.close()
    result = folder / "result"
    for record in (
        last(lines(result / "job.prov.jsonl"), JOB),
        last(lines(result / "provenance.jsonl"), RUN),
    ):
        assert (record["status"], record["exit_code"]) == ("interrupted", 143)
        assert "received SIGTERM" in record["messages"][-1]["text"]
    assert lines(result / "state.jsonl")[-1]["state"] == "interrupted"


def test_an_engine_that_is_killed_on_the_node_leaves_closed_records(tmp_path):
    folder = tmp_path / "node"
    node = start(folder, "shell.cwl", "script=sleep 60 & wait")
    running = folder / "run" / "provenance.jsonl"
    wait_for(lambda: any(r.get("type") == "WorkflowStep" for r in lines(running)), folder)
    os.kill(lines(folder / "run" / "state.jsonl")[0]["pid"], signal.SIGKILL)
    assert node.wait(PATIENCE_S) == 137
    result = folder / "result"
    assert last(lines(result / "job.prov.jsonl"), JOB)["exit_code"] == 137
    records = lines(result / "provenance.jsonl")
    assert {last(records, r["id"])["status"] for r in records} == {"interrupted"}
    assert "ended without a word" in lines(result / "state.jsonl")[-1]["reason"]


def test_an_engine_that_is_not_needed_after_all_ends_with_who_started_it():
    program = "from jobs.engines.local.ahead import EngineProcess; EngineProcess()"
    done = subprocess.run(  # returns when nobody has its output open any more
        [sys.executable, "-c", program], capture_output=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_its_python_a_node_says_so(tmp_path):
    folder = tmp_path / "node"
    folder.mkdir()
    workflow = load_workflow(str(CWL / "shell.cwl"))
    make_package(
        folder,
        PackedWorkflow.of(workflow.location),
        {"script": "true"},
        {"name": "x"},
        software=NodeSoftware(python="/no/python"),
    )
    done = subprocess.run(["/bin/sh", "run.sh"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 127
    assert "there is no /no/python" in done.stderr


@pytest.fixture(autouse=True)
def no_metadata_service(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
