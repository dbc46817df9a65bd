"""``/v1/runs``: runs of workflows and their steps."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from provmanager.logic import workflow_runs
from provmanager.logic.search import MAX_PAGE
from provmanager.model import Role, Status

from .deps import SessionDep
from .security import require
from .wire import RunPage, WorkflowRun

router = APIRouter(prefix="/v1/runs", tags=["runs"], dependencies=[require(Role.READER)])


@router.get("")
def list_runs(
    session: SessionDep,
    status: Annotated[Status | None, Query(description="How it ended")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: str | None = None,
) -> RunPage:
    """List the runs of workflows, the newest first."""
    found = workflow_runs.list_runs(session, status=status, limit=limit, cursor=cursor)
    return RunPage.model_validate(found)


@router.get("/{run}")
def get_run(
    session: SessionDep,
    run: Annotated[str, Path(description="UUID of the run, or a unique beginning of it")],
) -> WorkflowRun:
    """Return a run with its steps, what they made, and why those failed that did."""
    return WorkflowRun.model_validate(workflow_runs.describe_run(session, run))
