"""Runs on the testbed's grid: submitted, and waited for."""

import time
from pathlib import Path
from typing import Any

from jobs.engines import Engine, RunRequest, RunStatus
from jobs.engines.diracx import DiracxEngine
from jobs.workflows import load_workflow, make_inputs
from provmanager.client import ProvClient

CWL = Path(__file__).parents[1] / "data" / "cwl"
PATIENCE_S = 120.0


def submit(engine: DiracxEngine, document: str, *inputs: str, **environ: str) -> str:
    """Submit a document of tests/data/cwl, and return the run."""
    return engine.submit(request_of(document, *inputs, environ=environ))


def request_of(document: str, *inputs: str, **more: Any) -> RunRequest:
    """Return what asks for a run of a document of tests/data/cwl."""
    workflow = load_workflow(str(CWL / document))
    return RunRequest(
        workflow=workflow.location,
        name=workflow.name,
        inputs=make_inputs(workflow, None, inputs),
        steps=tuple(step.name for step in workflow.steps),
        command=("prod-submit", document),
        **more,
    )


def wait(engine: Engine, run: str) -> RunStatus:
    """Wait for the end of a run."""
    deadline = time.monotonic() + PATIENCE_S
    while not (status := engine.status(run)).is_final:
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    return status


def job_of(client: ProvClient, engine: DiracxEngine, run: str) -> dict[str, Any]:
    """Return the activity of a run's job."""
    return client.activity(engine.find(run).info()["job_activity"])
