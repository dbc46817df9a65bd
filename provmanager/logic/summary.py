"""A lineage of any size as a few boxes: like activities, like products, and arrows between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict
from provmanager.store import lineage as lineage_store
from provmanager.store import summary as store
from provmanager.store.summary import Grouping as Grouping
from provmanager.store.summary import Row

from .references import Reference, find
from .trace import Direction, Reach, iso, walk_lineage

MAX_RECORDS = 1_000_000
"""The most activities of a summary, each way."""

_STATUSES = ("completed", "error", "interrupted", "running", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The records of a lineage, before they are summarised."""

    focus: Reference
    reach: Reach
    n_entities: int
    entity_ids: str
    """As the text of an array."""


def records_of(
    session: Session, ref: str, *, direction: Direction, depth: int | None, limit: int = MAX_RECORDS
) -> Found:
    """Return the records that `ref` came from, or that came of it."""
    focus = find(session, ref)
    reach = walk_lineage(session, focus, direction, depth=depth, limit=limit)
    n_entities, entity_ids = lineage_store.entity_ids(
        session,
        node_ids=[*reach.all, *([focus.key] if focus.kind == "entity" else [])],
        used_by=reach.of("up"),
        generated_by=reach.of("down"),
    )
    return Found(focus=focus, reach=reach, n_entities=n_entities, entity_ids=entity_ids)


def summary(
    session: Session,
    ref: str,
    *,
    direction: Direction = "up",
    depth: int | None = None,
    grouping: Grouping = "name",
    pin: str | None = None,
) -> JSONDict:
    """Return the lineage of `ref` as classes: boxes of like activities and products, and arrows.

    Arrows follow the data: product to activity (used), activity to product (generated).

    Parameters
    ----------
    grouping : str
        What is like: steps of one name, or also of one version, or also of one status.
    pin : str, optional
        A record of the lineage that stands apart, with the ways between it and the focus.
    """
    focus = find(session, ref)
    pinned = find(session, pin) if pin else None
    between: Sequence[int] = ()
    entities: str | None = None
    if direction == "both" or pinned is not None:
        found = records_of(session, ref, direction=direction, depth=depth)
        truncated, ids = found.reach.truncated, lineage_store.id_array(found.reach.all)
        entities = found.entity_ids
        between = _between(session, found, pinned) if pinned else ()
    elif depth is not None:
        reach = walk_lineage(session, focus, direction, depth=depth, limit=MAX_RECORDS)
        truncated, ids = reach.truncated, lineage_store.id_array(reach.all)
    else:
        number, ids = lineage_store.reached(
            session, focus.key, direction, is_entity=focus.kind == "entity", limit=MAX_RECORDS + 1
        )
        truncated = number > MAX_RECORDS
    rows = store.summary(
        session,
        store.Nodes(
            ids=ids,
            entities=entities,
            direction=direction,
            focus=focus.key,
            pin=pinned.key if pinned else None,
            between=between,
            grouping=grouping,
        ),
    )
    boxes, arrows = _boxes(rows)
    _name_singles(session, boxes)
    activities = [b for b in boxes if b["kind"] == "activity"]
    return {
        "focus": focus.to_wire(),
        "pinned": pinned.to_wire() if pinned else None,
        "direction": direction,
        "depth": depth,
        "grouping": grouping,
        "truncated": truncated,
        "counts": {
            "activities": sum(b["count"] for b in activities),
            "entities": sum(r["n"] for r in rows["products"]),
            "used": sum(a["count"] for a in arrows if a["kind"] == "used"),
            "generated": sum(a["count"] for a in arrows if a["kind"] == "generated"),
            "roots": sum(r["n"] for r in rows["products"] if r["generator"] is None),
        },
        "boxes": boxes,
        "arrows": arrows,
    }


def _between(session: Session, found: Found, pinned: Reference) -> list[int]:
    """Return the records on the ways between the focus and the pinned one."""
    ways: list[int] = []
    for way in found.reach.nodes:
        back: Direction = "down" if way == "up" else "up"
        reach = walk_lineage(session, pinned, back, depth=None, limit=MAX_RECORDS)
        near = set(reach.of(back))
        ways += [node for node in found.reach.of(way) if node in near]
    return [*ways, *store.entities_between(session, ways)]


def _name_singles(session: Session, boxes: Sequence[JSONDict]) -> None:
    """Say of a box that stands for one record which that is."""
    keys = {box["id"]: box.pop("one") for box in boxes}
    single = {box["id"]: box for box in boxes if box["count"] == 1}
    told = store.names(
        session,
        activity_ids=[keys[i] for i, box in single.items() if box["kind"] == "activity"],
        entity_ids=[keys[i] for i, box in single.items() if box["kind"] == "product"],
    )
    for box in boxes:
        uuid, name = told.get(keys[box["id"]], (None, None))
        box["record"] = uuid if box["id"] in single else None
        if box["id"] in single:
            box["name"] = name


def _boxes(rows: Mapping[str, Sequence[Row]]) -> tuple[list[JSONDict], list[JSONDict]]:
    ids: dict[tuple[object, ...], str] = {}
    boxes: list[JSONDict] = []
    for row in rows["activities"]:
        ids[_activity(row)] = f"a{len(ids)}"
        boxes.append(
            {
                "id": ids[_activity(row)],
                "kind": "activity",
                "name": row["name"],
                "count": row["n"],
                "statuses": {s: row[s] for s in _STATUSES if row[s]},
                "claimed": row["claimed"],
                "versions": sorted(row["versions"] or ()),
                **_span(row),
                **_marks(row["mark"]),
                "class": {"step": row["name"], "detail": row["detail"]},
                "one": row["one"],
            }
        )
    for row in rows["products"]:
        ids[_product(row)] = f"p{len(ids)}"
        boxes.append(
            {
                "id": ids[_product(row)],
                "kind": "product",
                "name": f"*{row['extension']}",
                "count": row["n"],
                "statuses": {},
                "digests": row["digests"],
                "versions": [],
                **_span(row),
                **_marks(row["product_mark"]),
                "class": {
                    "step": row["generator"],
                    "detail": row["generator_detail"],
                    "extension": row["extension"],
                },
                "one": row["one"],
            }
        )
    return boxes, list(_arrows(rows, ids))


def _span(row: Row) -> JSONDict:
    return {name: iso(_instant(row[name])) for name in ("first_at", "last_at")}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _marks(mark: int) -> JSONDict:
    return {
        "is_focus": mark == store.FOCUS,
        "is_pinned": mark == store.PINNED,
        "is_between": mark == store.BETWEEN,
    }


def _activity(row: Row) -> tuple[object, ...]:
    return ("activity", row["name"], row["detail"], row["mark"])


def _product(row: Row, prefix: str = "") -> tuple[object, ...]:
    names = ("generator", "generator_detail", "extension", "product_mark")
    return ("product", *(row[f"{prefix}{name}"] for name in names))


def _arrows(
    rows: Mapping[str, Sequence[Row]], ids: Mapping[tuple[object, ...], str]
) -> Iterable[JSONDict]:
    for row in rows["used"]:
        roles = sorted(r for r in row["roles"] if r)
        yield _arrow("used", ids[_product(row)], ids[_activity(row)], row["n"], roles)
    for row in rows["generated"]:
        yield _arrow("generated", ids[_activity(row)], ids[_product(row)], row["n"], [])
    for row in rows["linked"]:
        source, target = ids[_product(row)], ids[_product(row, "to_")]
        if source != target:
            yield _arrow("derived", source, target, row["n"], [])


def _arrow(kind: str, source: str, target: str, count: int, roles: Sequence[str]) -> JSONDict:
    return {"kind": kind, "source": source, "target": target, "count": count, "roles": list(roles)}
