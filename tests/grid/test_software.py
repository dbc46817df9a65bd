"""Software that goes along with a job: nodes need nothing but a Python."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.engines import RunRequest
from jobs.engines.diracx import DiracxEngine, GridOptions
from jobs.engines.diracx.install import DESCRIPTION, install
from jobs.workflows import load_workflow

CWL = Path(__file__).parents[1] / "data" / "cwl"
PATIENCE_S = 240.0


@pytest.fixture
def bare_python():
    """A Python without provmanager, as a node has it."""
    python = str(Path(sys.executable).resolve())
    found = subprocess.run([python, "-I", "-c", "import provmanager"], capture_output=True)
    if found.returncode == 0:
        pytest.skip("the Python that our environment is made of has provmanager itself")
    return python


def run_to_end(engine, script):
    workflow = load_workflow(str(CWL / "shell.cwl"))
    run = engine.submit(
        RunRequest(workflow=workflow.location, name="shell", inputs={"script": script},
                   steps=("shell",))
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while not (status := engine.status(run)).is_final:
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    return status, engine.find(run)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_without_our_software_gets_it_as_wheels_and_keeps_it(
    testbed, bare_python, tmp_path, monkeypatch
):
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": "http://127.0.0.1:9",  # nobody: the record comes home
        "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
    }.items():
        monkeypatch.setenv(name, value)
    area = tmp_path / "area"
    options = GridOptions(python=bare_python, wheels=("jobs",), software_area=str(area))
    status, directory = run_to_end(DiracxEngine(options=options), "eclgrm --version")
    assert (status.state, status.exit_code) == ("completed", 0), (
        directory.path / "std.err"
    ).read_text()
    (environment,) = (path.parent for path in area.glob("*/complete"))
    (job,) = (
        json.loads(line)
        for line in (directory.path / "job.prov.jsonl").read_text().splitlines()
        if '"ended_at"' in line
    )
    assert job["environment"]["python"]["prefix"] == str(environment)
    made_at = (environment / "complete").stat().st_mtime_ns
    (wheels,) = (tmp_path / "state" / "grid-software").glob("*/wheels")
    install(wheels, environment)  # as the next job does
    assert (environment / "complete").stat().st_mtime_ns == made_at


def test_wheels_for_another_python_are_refused(tmp_path):
    (tmp_path / DESCRIPTION).write_text('{"python": "2.7", "platform": "linux-vax"}')
    with pytest.raises(SystemExit, match=r"the wheels are for .*2\.7.*name another python"):
        install(tmp_path, tmp_path / "environment")
