"""Pages of the activities and products that belong to a record, an agent, a job or a group."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, NotFoundError
from provmanager.store import listing as store

from .references import find
from .search import offset_of, page_of
from .summary import MAX_RECORDS, Grouping, records_of
from .trace import Direction, iso, walk_lineage

PAGE = 50
"""Records a page of a list."""

Relation = Literal["inputs", "outputs", "parts", "users", "members"]


def related(
    session: Session,
    uuid: UUID,
    relation: Relation,
    *,
    limit: int = PAGE,
    cursor: str | None = None,
) -> JSONDict:
    """Return a page of what an activity or product has to do with.

    Raises
    ------
    NotFoundError
        There is no such record, or it is of the kind that has no such relation.
    """
    focus = find(session, str(uuid))
    of_activity = relation in ("inputs", "outputs", "parts")
    if of_activity != (focus.kind == "activity"):
        raise NotFoundError(f"{uuid} is no record that has {relation}")
    given = {"of": focus.key}
    listed = "activities" if relation in store.ACTIVITIES else "products"
    sources = store.ACTIVITIES if listed == "activities" else store.PRODUCTS
    page = _page(session, listed, sources[relation], given, limit=limit, cursor=cursor)
    return {"of": focus.to_wire(), "relation": relation, "kind": listed, **page}


def of_agent(
    session: Session,
    agent_id: int,
    kind: Literal["activities", "products"],
    *,
    limit: int = PAGE,
    cursor: str | None = None,
) -> JSONDict:
    """Return a page of what an agent was associated with, or what is attributed to it."""
    sources = store.ACTIVITIES if kind == "activities" else store.PRODUCTS
    given = {"of": agent_id}
    return {"kind": kind, **_page(session, kind, sources["agent"], given, limit, cursor)}


def of_job(
    session: Session, system: str | None, job: str, *, limit: int = PAGE, cursor: str | None = None
) -> JSONDict:
    """Return a page of the activities of one grid or batch job, and how they ended.

    Raises
    ------
    NotFoundError
        No activity ran in such a job.
    """
    given = {"system": system, "job": job}
    source = store.ACTIVITIES["job"]
    page = _page(session, "activities", source, given, limit, cursor)
    if not page["total"]:
        raise NotFoundError(f"no recorded activity ran in the job {job!r} of {system or 'any'}")
    return {
        "system": system,
        "id": job,
        "statuses": store.statuses(session, source, given),
        "kind": "activities",
        **page,
    }


def part_statuses(session: Session, activity_id: int) -> dict[str, int]:
    """Return how many parts of a run ended how."""
    return store.statuses(session, store.ACTIVITIES["parts"], {"of": activity_id})


def group(
    session: Session,
    ref: str,
    *,
    kind: Literal["activity", "product"],
    step: str | None,
    detail: str | None = None,
    extension: str = "",
    direction: Direction = "up",
    depth: int | None = None,
    grouping: Grouping = "name",
    cursor: str | None = None,
) -> JSONDict:
    """Return a page of the records that one box of a summary stands for."""
    focus = find(session, ref)
    if kind == "activity":
        listed: Literal["activities", "products"] = "activities"
        reach = walk_lineage(session, focus, direction, depth=depth, limit=MAX_RECORDS)
        source, given = store.group_of_activities(
            reach.all, step=step, detail=detail, grouping=grouping
        )
    else:
        listed = "products"
        found = records_of(session, ref, direction=direction, depth=depth)
        source, given = store.group_of_products(
            found.entity_ids, step=step, detail=detail, extension=extension, grouping=grouping
        )
    return {
        "focus": focus.to_wire(),
        "class": {"step": step, "detail": detail, "extension": extension},
        "direction": direction,
        "depth": depth,
        "grouping": grouping,
        "kind": listed,
        **_page(session, listed, source, given, PAGE, cursor),
    }


def _page(
    session: Session,
    kind: str,
    source: str,
    given: Mapping[str, Any],  # Any: bound values
    limit: int = PAGE,
    cursor: str | None = None,
) -> JSONDict:
    offset = offset_of(cursor)
    select = store.activities if kind == "activities" else store.products
    total, rows = select(session, source, given, limit=limit, offset=offset)
    items = [_activity(row) if kind == "activities" else _product(row) for row in rows]
    return {**page_of(items, total, offset), **place(cursor, limit)}


def place(cursor: str | None, limit: int = PAGE) -> JSONDict:
    """Return where a page begins (from 1), and the cursor of the page before it."""
    offset = offset_of(cursor)
    previous = str(max(0, offset - limit)) if offset else None
    return {"first": offset + 1, "previous": previous}


def _activity(row: RowMapping) -> JSONDict:
    plain = ("name", "version", "status", "exit_code", "is_claim", "host", "role")
    return {
        "id": str(row["activity_uuid"]),
        **{name: row[name] for name in plain},
        "started_at": iso(row["started_at"]),
        "ended_at": iso(row["ended_at"]),
    }


def _product(row: RowMapping) -> JSONDict:
    plain = ("name", "kind", "value", "location", "size_bytes", "activity_name", "activity_status",
             "role", "basis", "rule")  # fmt: skip
    return {
        "id": str(row["entity_uuid"]),
        **{name: row[name] for name in plain},
        "digest": f"sha256:{row['sha256']}" if row["sha256"] else None,
        "generated_at": iso(row["generated_at"]),
        "generated_by": str(row["activity_uuid"]) if row["activity_uuid"] else None,
    }
