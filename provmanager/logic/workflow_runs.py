"""Runs of workflows and their steps, as the record has them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from provmanager.errors import AmbiguousError, JSONDict, NotFoundError
from provmanager.store import workflow_runs as store

from .search import MAX_PAGE, activity_item, offset_of, page_of

_MOST_CANDIDATES = 10


def list_runs(
    session: Session, *, status: str | None = None, limit: int = 100, cursor: str | None = None
) -> JSONDict:
    """Return one page of the runs, the newest first, with the number of their steps by status."""
    offset = offset_of(cursor)
    total, rows = store.runs(session, status=status, limit=min(limit, MAX_PAGE), offset=offset)
    counts = store.step_counts(session, [row["activity_id"] for row in rows])
    items = [_run(row) | {"steps": counts.get(row["activity_id"], {})} for row in rows]
    return page_of(items, total, offset)


def describe_run(session: Session, start: str) -> JSONDict:
    """Return a run, its steps, what they made, and why those failed that did.

    Parameters
    ----------
    start : str
        The UUID of the run, or a beginning of it that no other run has.

    Raises
    ------
    NotFoundError, AmbiguousError
        No run begins so, or several do.
    """
    rows = store.runs_beginning(session, start.lower(), limit=_MOST_CANDIDATES)
    if not rows or not start:
        raise NotFoundError(f"no run {start!r} in the record; prod-status lists them")
    if len(rows) > 1:
        raise AmbiguousError(
            f"several runs begin with {start!r}: give more of the id",
            candidates=[{"id": str(r["activity_uuid"]), "name": r["name"]} for r in rows],
        )
    (row,) = rows
    steps = store.steps(session, row["activity_id"])
    made: dict[int, list[JSONDict]] = defaultdict(list)
    for product in store.products(session, [r["activity_id"] for r in (row, *steps)]):
        made[product["activity_id"]].append(
            {
                "id": str(product["entity_uuid"]),
                "name": product["name"],
                "location": product["location"],
                "role": product["role"] or None,
                "sha256": product["sha256"],
                "size_bytes": product["size_bytes"],
            }
        )
    details = row["details"] or {}
    return _run(row) | {
        "engine": _text(details.get("engine")),
        "directory": _text(details.get("directory")),
        "resumes": _text(details.get("resumes")),
        "planned": [str(name) for name in details.get("steps") or ()],
        "steps": [_step(step, made[step["activity_id"]]) for step in steps],
        "products": made[row["activity_id"]],
        "messages": _messages(row),
    }


def _run(row: Mapping[Any, Any]) -> JSONDict:  # Any: columns
    return activity_item(row) | {"person": row["person"]}


def _step(row: Mapping[Any, Any], products: list[JSONDict]) -> JSONDict:  # Any: columns
    index = (row["details"] or {}).get("scatter_index")
    return _run(row) | {
        "scatter_index": [int(i) for i in index] if isinstance(index, list) else [],
        "products": products,
        "messages": _messages(row),
    }


def _messages(row: Mapping[Any, Any]) -> list[JSONDict]:  # Any: columns
    """Return what is not merely informative; anybody may have written it."""
    notes = (row["details"] or {}).get("messages")
    return [
        {"level": str(note.get("level")), "code": _text(note.get("code")),
         "text": str(note.get("text"))}
        for note in (notes if isinstance(notes, list) else ())
        if isinstance(note, dict) and note.get("level") != "info"
    ]  # fmt: skip


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
