"""Pages of the log: its checkpoints, and the proof that it has a document."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from provmanager.logic import log_pages
from provmanager.service.deps import SessionDep
from provmanager.service.log import KeyDep
from provmanager.service.security import READ_PAGE

from .rendering import TwinRoute, answer

router = APIRouter(tags=["pages"], route_class=TwinRoute, dependencies=[READ_PAGE])


@router.get("/log", include_in_schema=False)
@router.get("/log.json")
def show_log(
    request: Request,
    session: SessionDep,
    key: KeyDep,
    before: Annotated[int | None, Query(ge=0, description="Checkpoints of fewer leaves")] = None,
) -> Response:
    """Show the signed checkpoints of the log of documents, the newest first."""
    return answer(request, "log.html", log_pages.checkpoints(session, key, before=before))


@router.get("/log/{size}", include_in_schema=False)
@router.get("/log/{size}.json")
def show_checkpoint(
    request: Request, session: SessionDep, key: KeyDep, size: Annotated[int, Path(ge=1)]
) -> Response:
    """Show a checkpoint with its signature, and the proof that it continues the one before."""
    return answer(request, "checkpoint.html", log_pages.checkpoint(session, key, size))


@router.get("/log/document/{sha256}", include_in_schema=False)
@router.get("/log/document/{sha256}.json")
def show_leaf(
    request: Request,
    session: SessionDep,
    key: KeyDep,
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """Show the leaf of a document, and the proof that the log has it."""
    return answer(request, "leaf.html", log_pages.leaf(session, key, sha256))
