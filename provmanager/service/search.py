"""``/v1/search``, ``/v1/activities``, ``/v1/entities``: find records and read them whole."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from provmanager.logic import describe, search
from provmanager.logic.search import ActivityFilter
from provmanager.model import Role, Status

from .deps import SessionDep
from .parameters import Instant
from .security import require
from .wire import ActivityPage, ProductPage, Record

router = APIRouter(prefix="/v1", tags=["search"], dependencies=[require(Role.READER)])


def _filter(
    version: Annotated[str | None, Query(description="Version, or pattern with *")] = None,
    package: Annotated[list[str] | None, Query(description="NAME or NAME==VERSION")] = None,
    parameter: Annotated[list[str] | None, Query(description="PATH=VALUE")] = None,
    status: Annotated[Status | None, Query(description="How it ended")] = None,
    after: Annotated[Instant | None, Query(description="Started at or after")] = None,
    before: Annotated[Instant | None, Query(description="Started before")] = None,
    person: Annotated[str | None, Query(description="Part of an agent's name or e-mail")] = None,
    host: Annotated[str | None, Query(description="Host name, or pattern with *")] = None,
    activity: Annotated[str | None, Query(description="Activity name, or pattern with *")] = None,
) -> ActivityFilter:
    return ActivityFilter(
        name=activity,
        version=version,
        packages=tuple(search.parse_package(p) for p in package or ()),
        parameters=tuple(search.parse_parameter(p) for p in parameter or ()),
        status=status,
        after=search.aware(after),
        before=search.aware(before),
        person=person,
        host=host,
    )


Filter = Annotated[ActivityFilter, Depends(_filter)]
Limit = Annotated[int, Query(ge=1, le=search.MAX_PAGE)]


@router.get("/search/activities")
def search_activities(
    session: SessionDep,
    wanted: Filter,
    name: Annotated[str | None, Query(description="Activity name, or pattern with *")] = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> ActivityPage:
    """Find activities, the newest first."""
    wanted = search.with_name(wanted, name)
    found = search.find_activities(session, wanted, limit=limit, cursor=cursor)
    return ActivityPage.model_validate(found)


@router.get("/search/products")
def search_products(
    session: SessionDep,
    wanted: Filter,
    name: Annotated[str | None, Query(description="Product name, or pattern with *")] = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> ProductPage:
    """Find products by their name and by the activity that generated them, the newest first."""
    found = search.find_products(session, wanted, product=name, limit=limit, cursor=cursor)
    return ProductPage.model_validate(found)


@router.get("/activities/{uuid}")
def get_activity(uuid: UUID, session: SessionDep) -> Record:
    """Return everything of one activity."""
    return Record.of(describe.describe_activity(session, uuid))


@router.get("/entities/{uuid}")
def get_entity(uuid: UUID, session: SessionDep) -> Record:
    """Return everything of one entity."""
    return Record.of(describe.describe_entity(session, uuid))
