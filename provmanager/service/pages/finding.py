"""Pages that find: search."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from provmanager.errors import AmbiguousError, JSONDict, NotFoundError, UsageError
from provmanager.logic import listing, references, search
from provmanager.logic.search import ActivityFilter
from provmanager.service.deps import SessionDep
from provmanager.service.security import READ_PAGE

from .rendering import HEADERS, TwinRoute, answer

router = APIRouter(tags=["pages"], route_class=TwinRoute, dependencies=[READ_PAGE])

Text = Annotated[str, Query()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the form of the search page says; a field that is left empty says nothing."""

    q: str = ""
    kind: Literal["products", "activities"] = "products"
    activity: str = ""
    version: str = ""
    status: str = ""
    package: str = ""
    parameter: str = ""
    person: str = ""
    host: str = ""
    after: str = ""
    before: str = ""

    def filter(self) -> ActivityFilter:
        """Return what an activity must have been.

        Raises
        ------
        UsageError
            A field does not say what it should.
        """
        return ActivityFilter(
            name=self.activity or None,
            version=self.version or None,
            packages=tuple(search.parse_package(p) for p in self.package.split()),
            parameters=(search.parse_parameter(self.parameter),) if self.parameter else (),
            status=self.status or None,
            after=_instant("after", self.after),
            before=_instant("before", self.before),
            person=self.person or None,
            host=self.host or None,
        )


def _instant(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return search.aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise UsageError(
            f"{name} is {text!r}; expected a day or time such as 2026-11-21 or 2026-11-21T02:15"
        ) from error


def _wanted(
    q: Annotated[str, Query(description="Path, digest, id, or part of a name")] = "",
    kind: Annotated[Literal["products", "activities"], Query(description="What to find")]
    = "products",
    activity: Annotated[str, Query(description="Activity name, or pattern with *")] = "",
    version: Annotated[str, Query(description="Version, or pattern with *")] = "",
    status: Annotated[
        Literal["", "completed", "error", "interrupted", "running", "unknown"],
        Query(description="How the activity ended"),
    ] = "",
    package: Annotated[str, Query(description="NAME or NAME==VERSION, several with spaces")] = "",
    parameter: Annotated[str, Query(description="PATH=VALUE")] = "",
    person: Annotated[str, Query(description="Part of an agent's name or e-mail")] = "",
    host: Annotated[str, Query(description="Host name, or pattern with *")] = "",
    after: Annotated[str, Query(description="Started at or after")] = "",
    before: Annotated[str, Query(description="Started before")] = "",
) -> Wanted:  # fmt: skip
    return Wanted(
        q=q.strip(), kind=kind, activity=activity, version=version, status=status,
        package=package, parameter=parameter, person=person, host=host, after=after, before=before,
    )  # fmt: skip


@router.get("/", include_in_schema=False)
def show_start() -> Response:
    """Lead to the search."""
    return RedirectResponse("/search", status_code=303, headers=HEADERS)


@router.get("/search", include_in_schema=False)
@router.get("/search.json")
def show_search(
    request: Request,
    session: SessionDep,
    wanted: Annotated[Wanted, Depends(_wanted)],
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
) -> Response:
    """Find products or activities by name, path, digest, id, and by how they were made."""
    page = {
        "page": "search",
        "wanted": {name: getattr(wanted, name) for name in Wanted.__slots__},
        "record": search.record_counts(session),
        "exact": _exact(session, wanted.q) if wanted.q and cursor is None else [],
        **_matches(session, wanted, cursor),
        **listing.place(cursor),
    }
    return answer(request, "search.html", page)


def _matches(session: Session, wanted: Wanted, cursor: str | None) -> JSONDict:
    filtered = wanted.filter()
    pattern = (wanted.q if "*" in wanted.q else f"*{wanted.q}*") if wanted.q else None
    if wanted.kind == "activities":
        filtered = search.with_name(filtered, filtered.name or pattern)
        return search.find_activities(session, filtered, limit=listing.PAGE, cursor=cursor)
    return search.find_products(
        session, filtered, product=pattern, limit=listing.PAGE, cursor=cursor
    )


def _exact(session: Session, ref: str) -> list[JSONDict]:
    """Return what `ref` names, or the several things that it names."""
    try:
        return [references.find(session, ref).to_wire()]
    except NotFoundError:
        return []
    except AmbiguousError as error:
        return [{**c, "kind": "entity"} for c in error.details["candidates"]]
