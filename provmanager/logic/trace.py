"""Tracing: where a product comes from, and what came of it."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from provmanager.errors import JSONDict
from provmanager.store import assessments as assessment_store
from provmanager.store import documents as document_store
from provmanager.store import known as known_store
from provmanager.store import lineage as store

from .references import Reference, find

Direction = Literal["up", "down", "both"]
Row = RowMapping

MAX_ACTIVITIES = 100_000


@dataclass(frozen=True, slots=True)
class Reach:
    """The nodes of a lineage: activities and entities by direction."""

    nodes: dict[str, list[int]]
    truncated: bool

    def of(self, direction: str) -> list[int]:
        """Return those of one direction."""
        return self.nodes.get(direction, [])

    @property
    def all(self) -> list[int]:
        """Return all of them, each once."""
        return list(dict.fromkeys(i for ids in self.nodes.values() for i in ids))


def lineage(
    session: Session,
    ref: str,
    *,
    direction: Direction = "up",
    depth: int | None = None,
    limit: int = 10_000,
    levels: bool = False,
) -> JSONDict:
    """Return the activities and entities from which `ref` came, or that came of it.

    Parameters
    ----------
    depth : int, optional
        How many activities to follow; all if absent.
    limit : int
        The most activities; ``truncated`` says when there are more.
    levels : bool
        Whether to add the activities around those found (workflow runs, jobs) and ``parts``.
    """
    focus = find(session, ref)
    reach = walk_lineage(session, focus, direction, depth=depth, limit=min(limit, MAX_ACTIVITIES))
    activities = store.activities(session, reach.all)
    is_activity = {a["activity_id"] for a in activities}
    up = [i for i in reach.of("up") if i in is_activity]
    down = [i for i in reach.of("down") if i in is_activity]
    entities = store.entities(
        session,
        node_ids=[*(i for i in reach.all if i not in is_activity), focus.key],
        used_by=up,
        generated_by=down,
    )
    return _Answer(session, focus, activities, entities, levels=levels).to_wire(
        direction=direction, depth=depth, truncated=reach.truncated
    )


def among(session: Session, nodes: Sequence[int]) -> JSONDict:
    """Return these activities and entities, and what is between them, as a lineage."""
    activities = store.activities(session, nodes)
    is_activity = {a["activity_id"] for a in activities}
    entities = store.entities(session, node_ids=[i for i in nodes if i not in is_activity])
    answer = _Answer(session, None, activities, entities, levels=False)
    return answer.to_wire(direction="up", depth=None, truncated=False)


def activities_of(session: Session, uuids: Sequence[UUID]) -> list[JSONDict]:
    """Return these activities as a lineage has them, in the order of their UUIDs."""
    known = known_store.known_activities(session, list(uuids))
    rows = store.activities(session, [a.activity_id for a in known.values()])
    return sorted((_activity(row, None) for row in rows), key=lambda a: str(a["id"]))


def walk_lineage(
    session: Session, focus: Reference, direction: Direction, *, depth: int | None, limit: int
) -> Reach:
    """Return the nodes that `focus` came from, or that came of it; at most `limit` each way."""
    nodes: dict[str, list[int]] = {}
    truncated = False
    ways: Sequence[store.Direction] = ("up", "down") if direction == "both" else (direction,)
    for way in ways:
        if focus.kind == "activity":
            start, steps = [focus.key], depth and depth + 1  # itself is none of those to follow
        else:
            start, steps = store.start_nodes(session, focus.key, way), depth
        found = store.walk(session, start, way, depth=steps, limit=limit + 1)
        truncated = truncated or len(found) > limit
        nodes[way] = found[:limit]
    return Reach(nodes, truncated)


class _Answer:
    """Puts the rows of a lineage together as JSON."""

    def __init__(
        self,
        session: Session,
        focus: Reference | None,
        activities: Sequence[Row],
        entities: Sequence[Row],
        *,
        levels: bool,
    ) -> None:
        self._focus = focus
        self._activities = {a["activity_id"]: a for a in activities}
        self._entities = {e["entity_id"]: e for e in entities}
        uses = store.used(session, list(self._activities))
        self._used = [u for u in uses if u["entity_id"] in self._entities]
        self._links = store.entity_links(session, list(self._entities))
        self._informed = store.informed(session, list(self._activities))
        self._contradicted = store.contradicted(
            session, activity_ids=list(self._activities), entity_ids=list(self._entities)
        )
        self._violating = document_store.violating(
            session, activity_ids=list(self._activities), entity_ids=list(self._entities)
        )
        self._invalid = assessment_store.invalid_among(session, list(self._entities))
        self._parts: list[Row] = []
        self._outer: list[Row] = []
        if levels:
            self._parts = store.parts(session, list(self._activities))
            around = {p["informant_id"] for p in self._parts} - set(self._activities)
            self._outer = store.activities(session, list(around))

    def to_wire(self, *, direction: Direction, depth: int | None, truncated: bool) -> JSONDict:
        depths = self._depths(direction)
        generated = [e for e in self._entities.values() if e["generator_id"] in self._activities]
        name = {i: str(a["activity_uuid"]) for i, a in self._activities.items()}
        name |= {a["activity_id"]: str(a["activity_uuid"]) for a in self._outer}
        called = {i: str(e["entity_uuid"]) for i, e in self._entities.items()}
        return {
            "focus": self._focus.to_wire() if self._focus else {},
            "direction": direction,
            "depth": depth,
            "truncated": truncated,
            "counts": {
                "activities": len(self._activities),
                "entities": len(self._entities),
                "used": len(self._used),
                "generated": len(generated),
                "roots": sum(e["generated_by"] is None for e in self._entities.values()),
            },
            "activities": [
                *(self._told(i, _activity(a, depths.get(i))) for i, a in self._activities.items()),
                *(self._told(a["activity_id"], _activity(a, None)) for a in self._outer),
            ],
            "entities": [
                self._told(i, _entity(e, depths.get(i))) for i, e in self._entities.items()
            ],
            "used": [_flow(u, name[u["activity_id"]], called[u["entity_id"]]) for u in self._used],
            "generated": [_flow(e, name[e["generator_id"]], called[e["entity_id"]])
                          for e in generated],
            **self._entity_links(called),
            "informed": [
                {
                    "activity": name[x["informed_id"]],
                    "informant": name[x["informant_id"]],
                    "rule": x["rule"],
                    "basis": x["basis"],
                }
                for x in self._informed
            ],
            "parts": [
                {"activity": name[p["informed_id"]], "part_of": name[p["informant_id"]]}
                for p in self._parts
                if p["informed_id"] in name and p["informant_id"] in name
            ],
            "violations": [
                {
                    "document": d["sha256"],
                    "source_name": d["source_name"],
                    "violations": d["n_violations"],
                    "rules": d["rules"],
                }
                for d in self._violating
            ],
            "invalid": [
                {
                    "entity": called[x["entity_id"]],
                    "reason": x["reason"],
                    "at": iso(x["assessed_at"]),
                    "assessment": str(x["assessment_uuid"]),
                }
                for x in self._invalid
            ],
        }  # fmt: skip

    def _entity_links(self, called: Mapping[int, str]) -> JSONDict:
        links: JSONDict = {"derived": [], "members": []}
        for x in self._links:
            later, earlier = called[x["later"]], called[x["earlier"]]
            if x["link"] == "member":
                links["members"].append({"collection": later, "member": earlier})
            else:
                rule = {"rule": x["rule"], "basis": x["basis"]}
                links["derived"].append({"derived": later, "source": earlier, **rule})
        return links

    def _told(self, node: int, record: JSONDict) -> JSONDict:
        return {**record, "contradictions": self._contradicted.get(node, 0)}

    def _depths(self, direction: Direction) -> dict[int, int]:
        """Return the distance of each node from the focus along the flow, in activities."""
        earlier: dict[int, list[int]] = defaultdict(list)
        for use in self._used:
            earlier[use["activity_id"]].append(use["entity_id"])
        for entity in self._entities.values():
            if entity["generator_id"] in self._activities:
                earlier[entity["entity_id"]].append(entity["generator_id"])
        for link in self._links:
            earlier[link["later"]].append(link["earlier"])
        for link in self._informed:
            earlier[link["informed_id"]].append(link["informant_id"])
        depths: dict[int, int] = {}
        if direction != "down":
            depths |= self._distances(earlier)
        if direction != "up":
            depths |= self._distances(_reversed(earlier))
        return depths

    def _distances(self, near: Mapping[int, Sequence[int]]) -> dict[int, int]:
        distances: dict[int, int] = {}
        queue = deque([(self._focus.key, 0)] if self._focus else [])
        while queue:
            node, distance = queue.popleft()
            if node in distances:
                continue
            distances[node] = distance
            for other in near.get(node, ()):
                if other in self._activities:
                    queue.append((other, distance + 1))
                else:
                    queue.appendleft((other, distance))
        return distances


def _reversed(near: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for node, others in near.items():
        for other in others:
            found[other].append(node)
    return found


def _flow(row: Row, activity: str, entity: str) -> JSONDict:
    return {
        "activity": activity,
        "entity": entity,
        "role": row["role"] or None,
        "rule": row["rule"],
        "basis": row["basis"],
    }


def _activity(row: Row, depth: int | None) -> JSONDict:
    return {
        "id": str(row["activity_uuid"]),
        "name": row["name"],
        "version": row["version"],
        "type": row["type"],
        "status": row["status"],
        "exit_code": row["exit_code"],
        "started_at": iso(row["started_at"]),
        "ended_at": iso(row["ended_at"]),
        "host": row["host"],
        "is_claim": row["is_claim"],
        "described": row["described"],
        "depth": depth,
    }


def _entity(row: Row, depth: int | None) -> JSONDict:
    sha256 = row["sha256"]
    return {
        "id": str(row["entity_uuid"]),
        "name": row["name"],
        "kind": row["kind"],
        "location": row["location"],
        "digest": f"sha256:{sha256}" if sha256 else row["digest"],
        "product_id": row["product_id"],
        "size_bytes": row["size_bytes"],
        "value": row["value"],
        "content_type": row["content_type"],
        "generated_by": str(row["generated_by"]) if row["generated_by"] else None,
        "generated_at": iso(row["generated_at"]),
        "invalidated_at": iso(row["invalidated_at"]),
        "is_root": row["generated_by"] is None,
        "depth": depth,
    }


def iso(when: datetime | None) -> str | None:
    """Return an instant as ISO 8601 with Z, or None."""
    return when.isoformat().replace("+00:00", "Z") if when else None
