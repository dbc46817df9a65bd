"""``/v1/lineage``, ``/v1/resolve``: where a product comes from, and what came of it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from provmanager.logic import export, references, trace
from provmanager.logic.summary import Grouping, summary
from provmanager.model import ExportFormat, Role

from .deps import SessionDep
from .security import require
from .wire import Lineage, Resolved, Summary

router = APIRouter(prefix="/v1", tags=["lineage"], dependencies=[require(Role.READER)])

Ref = Annotated[
    str,
    Query(description="Path, URL, LFN, digest, product id, UUID, IRI or unique base name"),
]
Direction = Annotated[
    Literal["up", "down", "both"], Query(description="up: what it came from; down: what came of it")
]
Depth = Annotated[int | None, Query(ge=1, description="Activities to follow; all if absent")]
Limit = Annotated[int, Query(ge=1, le=trace.MAX_ACTIVITIES, description="The most activities")]

NearestLimit = Annotated[
    int | None,
    Query(ge=1, le=export.MAX_RECORDS, description="Only so many activities, the nearest"),
]


@router.get("/resolve")
def resolve(ref: Ref, session: SessionDep) -> Resolved:
    """Say what a reference names."""
    return Resolved.model_validate(references.find(session, ref).to_wire())


@router.get("/lineage")
def get_lineage(
    ref: Ref,
    session: SessionDep,
    direction: Direction = "up",
    depth: Depth = None,
    limit: Limit = 10_000,
    levels: Annotated[bool, Query(description="Add the activities around those found")] = False,
) -> Lineage:
    """Return the activities and entities from which something came, or that came of it."""
    found = trace.lineage(
        session, ref, direction=direction, depth=depth, limit=limit, levels=levels
    )
    return Lineage.model_validate(found)


@router.get("/lineage/summary")
def get_summary(
    ref: Ref,
    session: SessionDep,
    direction: Direction = "up",
    depth: Depth = None,
    group: Annotated[
        Grouping, Query(description="What is like: steps of a name, version or status")
    ] = "name",
) -> Summary:
    """Return a lineage of any size as a few boxes of like activities and products."""
    found = summary(session, ref, direction=direction, depth=depth, grouping=group)
    return Summary.model_validate(found)


@router.get(
    "/lineage/export",
    response_class=Response,
    responses={200: {"content": {format.media_type: {} for format in ExportFormat}}},
)
def export_lineage(
    ref: Ref,
    session: SessionDep,
    format: ExportFormat,
    direction: Direction = "up",
    depth: Depth = None,
    limit: NearestLimit = None,
) -> Response:
    """Return a lineage as a document of a provenance format, or its summary as a picture (SVG)."""
    asked = export.Asked(ref=ref, direction=direction, depth=depth, limit=limit)
    content = export.export_lineage(session, asked, format)
    return Response(content, media_type=format.media_type)
