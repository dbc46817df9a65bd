"""Searching the record: which runs, and which products of which runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, UsageError
from provmanager.store import assessments
from provmanager.store import search as store
from provmanager.store.search import ActivityFilter as ActivityFilter

from .trace import iso

MAX_PAGE = 1000
_LONGEST_CURSOR = 12


def parse_package(text: str) -> tuple[str, str | None]:
    """Return (name, version) of ``astropy==6.1`` or ``astropy``."""
    name, _, version = text.partition("==")
    if not name.strip():
        raise UsageError(f"package {text!r}: expected NAME or NAME==VERSION")
    return name.strip(), version.strip() or None


def parse_parameter(text: str) -> tuple[str, Any]:  # Any: JSON value
    """Return (name, JSON value) of ``EventSource.max_events=10``; what is no JSON is a string."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        raise UsageError(
            f"parameter {text!r}: expected PATH=VALUE, such as EventSource.max_events=10"
        )
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value


def aware(when: datetime | None) -> datetime | None:
    """Return `when` in UTC; a time without zone is UTC."""
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def with_name(wanted: ActivityFilter, name: str | None) -> ActivityFilter:
    """Return `wanted` with the activity's name, if there is one."""
    return replace(wanted, name=name) if name is not None else wanted


def find_activities(
    session: Session, wanted: ActivityFilter, *, limit: int = 100, cursor: str | None = None
) -> JSONDict:
    """Return one page of the activities that match, the newest first."""
    offset = offset_of(cursor)
    total, rows = store.search_activities(
        session, wanted, limit=min(limit, MAX_PAGE), offset=offset
    )
    return page_of([activity_item(row) for row in rows], total, offset)


def find_products(
    session: Session,
    wanted: ActivityFilter,
    *,
    product: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> JSONDict:
    """Return one page of the products of matching activities, the newest first."""
    offset = offset_of(cursor)
    total, rows = store.search_products(
        session, wanted, product=product, limit=min(limit, MAX_PAGE), offset=offset
    )
    invalid = assessments.invalid_uuids(session, [row["entity_uuid"] for row in rows])
    items = [
        {
            "id": str(row["entity_uuid"]),
            "name": row["name"],
            "kind": row["kind"],
            "value": row["value"],
            "location": row["location"],
            "digest": f"sha256:{row['sha256']}" if row["sha256"] else None,
            "generated_by": str(row["activity_uuid"]) if row["activity_uuid"] else None,
            "activity_name": row["activity_name"],
            "activity_status": row["activity_status"],
            "generated_at": iso(row["generated_at"]),
            "is_invalid": row["entity_uuid"] in invalid,
        }
        for row in rows
    ]
    return page_of(items, total, offset)


def activity_item(row: Mapping[Any, Any]) -> JSONDict:  # Any: columns
    """Return what a list of activities says of one."""
    return {
        "id": str(row["activity_uuid"]),
        "name": row["name"],
        "version": row["version"],
        "status": row["status"],
        "exit_code": row["exit_code"],
        "started_at": iso(row["started_at"]),
        "ended_at": iso(row["ended_at"]),
        "host": row["host"],
    }


def record_counts(session: Session) -> dict[str, int]:
    """Return how many documents, activities and entities the record has."""
    return dict(store.counts(session))


def offset_of(cursor: str | None) -> int:
    """Return where the page begins that `cursor` names.

    Raises
    ------
    UsageError
        No page gave such a cursor.
    """
    if cursor is None:
        return 0
    if not (cursor.isdecimal() and len(cursor) <= _LONGEST_CURSOR):
        raise UsageError(f"cursor {cursor!r}: give back what `next` of the page before said")
    return int(cursor)


def page_of(items: Sequence[JSONDict], total: int, offset: int) -> JSONDict:
    """Return a page: its items, how many there are in all, and the cursor of the next."""
    end = offset + len(items)
    return {"items": list(items), "total": total, "next": str(end) if end < total else None}
