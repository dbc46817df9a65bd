"""Pages of one record: a product, an activity, what they have to do with, a group of a lineage."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from provmanager.logic import describe, export, listing, overview, pictures
from provmanager.logic.overview import View
from provmanager.logic.summary import Grouping
from provmanager.model import ExportFormat
from provmanager.service.deps import SessionDep, SettingsDep
from provmanager.service.security import READ_PAGE

from .rendering import HEADERS, TwinRoute, answer

router = APIRouter(tags=["pages"], route_class=TwinRoute, dependencies=[READ_PAGE])

Direction = Annotated[
    Literal["up", "down", "both"], Query(description="up: what it came from; down: what came of it")
]
Depth = Annotated[int | None, Query(ge=1, description="Activities to follow; all if absent")]
Group = Annotated[Grouping, Query(description="What is like: steps of a name, version or status")]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]


def _view(
    direction: Direction = "up",
    depth: Depth = None,
    group: Group = "name",
    only: Annotated[
        Literal["failed"] | None, Query(description="Only failures, and where they lead")
    ] = None,
    as_: Annotated[Literal["table"] | None, Query(alias="as", description="No drawing")] = None,
    pin: Annotated[UUID | None, Query(description="A record to draw apart, with its path")] = None,
) -> View:
    return View(
        direction=direction,
        depth=depth,
        grouping=group,
        only_failed=only is not None,
        as_table=as_ is not None,
        pin=pin,
    )


ViewDep = Annotated[View, Depends(_view)]


@router.get("/product/{uuid}", include_in_schema=False)
@router.get("/product/{uuid}.json")
def show_product(
    request: Request, uuid: UUID, session: SessionDep, view: ViewDep, settings: SettingsDep
) -> Response:
    """Show a product: where it comes from, with what it was made, what is known and what is not."""
    page = overview.product_overview(session, uuid, view, picture_root=settings.picture_root)
    return answer(request, "product.html", page)


@router.get("/activity/{uuid}", include_in_schema=False)
@router.get("/activity/{uuid}.json")
def show_activity(request: Request, uuid: UUID, session: SessionDep, view: ViewDep) -> Response:
    """Show one run of a tool, job or workflow: what it was, with what, from what, into what."""
    return answer(request, "activity.html", overview.activity_overview(session, uuid, view))


@router.get("/list/{relation}/{uuid}", include_in_schema=False)
@router.get("/list/{relation}/{uuid}.json")
def show_related(
    request: Request,
    relation: listing.Relation,
    uuid: UUID,
    session: SessionDep,
    cursor: Cursor = None,
) -> Response:
    """Show, page by page, the inputs, outputs or parts of a run, or users or members of a product.

    What failed comes first.
    """
    page = {"page": "list", **listing.related(session, uuid, relation, cursor=cursor)}
    return answer(request, "list.html", page)


@router.get("/group/{uuid}", include_in_schema=False)
@router.get("/group/{uuid}.json")
def show_group(
    request: Request,
    uuid: UUID,
    session: SessionDep,
    kind: Annotated[Literal["activity", "product"], Query(description="What the box stands for")],
    step: Annotated[str | None, Query(description="Name of the activities")] = None,
    detail: Annotated[str | None, Query(description="Their version or status")] = None,
    extension: Annotated[str, Query(description="Extension of the products")] = "",
    direction: Direction = "up",
    depth: Depth = None,
    group: Group = "name",
    cursor: Cursor = None,
) -> Response:
    """Show the records that one box of a lineage stands for, page by page, what failed first."""
    page = listing.group(
        session, str(uuid), kind=kind, step=step, detail=detail, extension=extension,
        direction=direction, depth=depth, grouping=group, cursor=cursor,
    )  # fmt: skip
    return answer(request, "group.html", {"page": "group", **page})


@router.get("/export/{uuid}")
def export_record(
    uuid: UUID,
    session: SessionDep,
    format: ExportFormat,
    direction: Direction = "up",
    depth: Depth = None,
) -> Response:
    """Return the lineage of a record as a document or a picture, to keep as a file."""
    asked = export.Asked(ref=str(uuid), direction=direction, depth=depth)
    content = export.export_lineage(session, asked, format)
    return _file(content, f"lineage-{uuid}.{format.suffix}", format.media_type)


@router.get("/document/{sha256}")
def show_document(sha256: str, session: SessionDep) -> Response:
    """Return a document as it was delivered, to keep as a file."""
    content, _ = describe.document_content(session, sha256)
    return _file(content, f"{sha256[:16]}.txt", "application/octet-stream")


@router.get("/picture/{uuid}")
def show_picture(uuid: UUID, session: SessionDep, settings: SettingsDep) -> Response:
    """Return a quick-look picture, if it lies where the operator lets the server read pictures."""
    content, media_type = pictures.read_picture(session, uuid, settings.picture_root)
    return Response(content, media_type=media_type, headers=HEADERS)


def _file(content: bytes, name: str, media_type: str) -> Response:
    """Return `content` as a file that a browser saves and never shows."""
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
