"""Pages of more than one record: agents, jobs, descriptions, comparisons, impact."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from provmanager.errors import NotFoundError
from provmanager.formats.description_document import to_json
from provmanager.logic import comparison, descriptions, listing, overview, productions, search
from provmanager.logic.agents import agent_overview
from provmanager.logic.overview import View
from provmanager.logic.search import ActivityFilter
from provmanager.service.deps import SessionDep
from provmanager.service.security import READ_PAGE

from .records import Cursor, Depth, Group
from .rendering import TwinRoute, answer

router = APIRouter(tags=["pages"], route_class=TwinRoute, dependencies=[READ_PAGE])

Ref = Annotated[str, Query(description="Path, URL, LFN, digest, product id, UUID or base name")]


@router.get("/agent", include_in_schema=False)
@router.get("/agent.json")
def show_agent(
    request: Request,
    session: SessionDep,
    iri: Annotated[str, Query(description="Identifier of the agent")],
    activities: Cursor = None,
    products: Cursor = None,
) -> Response:
    """Show a person, organisation or software, and what it was responsible for."""
    page = agent_overview(session, iri, activities_cursor=activities, products_cursor=products)
    return answer(request, "agent.html", page)


@router.get("/job", include_in_schema=False)
@router.get("/job.json")
def show_job(
    request: Request,
    session: SessionDep,
    id: Annotated[str, Query(description="Id of the job in its system")],
    system: Annotated[str | None, Query(description="Such as DIRAC or Slurm")] = None,
    cursor: Cursor = None,
) -> Response:
    """Show a grid or batch job: the activities that ran in it, what failed first."""
    page = {"page": "job", **listing.of_job(session, system, id, cursor=cursor)}
    return answer(request, "job.html", page)


@router.get("/productions", include_in_schema=False)
@router.get("/productions.json")
def show_productions(request: Request, session: SessionDep, cursor: Cursor = None) -> Response:
    """Show which productions there are, the newest first."""
    limit = 100
    found = productions.list_productions(session, limit=limit, cursor=cursor)
    page = {"page": "productions", **found, **listing.place(cursor, limit)}
    return answer(request, "productions.html", page)


@router.get("/production", include_in_schema=False)
@router.get("/production.json")
def show_production(
    request: Request,
    session: SessionDep,
    name: Annotated[str, Query(description="Name of the production")],
) -> Response:
    """Show how far a production is, step by step, and what failed."""
    page = {"page": "production", **productions.describe_production(session, name)}
    return answer(request, "production.html", page)


@router.get("/descriptions", include_in_schema=False)
@router.get("/descriptions.json")
def show_descriptions(request: Request, session: SessionDep) -> Response:
    """Show which activities and entities are described."""
    held = to_json(descriptions.all_descriptions(session))
    return answer(request, "descriptions.html", {"page": "descriptions", **held})


@router.get("/description", include_in_schema=False)
@router.get("/description.json")
def show_description(
    request: Request,
    session: SessionDep,
    name: Annotated[str, Query(description="Name of the activities")],
) -> Response:
    """Show what activities of a name are expected to be, by version, and the newest runs."""
    found = descriptions.versions_of(session, name)
    if not found:
        raise NotFoundError(f"nothing describes activities called {name!r}: see /descriptions")
    literal = name.replace("*", "?")
    runs = search.find_activities(session, ActivityFilter(name=literal), limit=20)
    page = {"page": "description", "name": name, "versions": found, "runs": runs}
    return answer(request, "description.html", page)


@router.get("/compare", include_in_schema=False)
@router.get("/compare.json")
def show_comparison(request: Request, session: SessionDep, a: Ref = "", b: Ref = "") -> Response:
    """Show two products, or two activities, beside each other, and where their histories parted.

    Without both it is a form.
    """
    page = {"page": "compare", "wanted": {"a": a, "b": b}, "found": None}
    if a.strip() and b.strip():
        page["found"] = comparison.compare(session, a, b)
    elif a.strip():
        page["candidates"] = overview.comparable(session, a)
    return answer(request, "compare.html", page)


@router.get("/impact", include_in_schema=False)
@router.get("/impact.json")
def show_impact(
    request: Request,
    session: SessionDep,
    ref: Ref,
    depth: Depth = None,
    group: Group = "name",
) -> Response:
    """Show everything that came of a product or activity, by step and by how it ended."""
    view = View(direction="down", depth=depth, grouping=group)
    return answer(request, "impact.html", overview.impact(session, ref, view))
