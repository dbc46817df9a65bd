"""A lineage as a graph to walk in one direction: records by key, and for each what lies beyond.

The lineage is the JSON object that ``GET /v1/lineage`` returns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from .graphs import reachable

Lineage = Mapping[str, Any]  # Any: the JSON of GET /v1/lineage
Record = Mapping[str, Any]  # Any: one activity or entity of it
Direction = Literal["up", "down"]
Kind = Literal["activity", "entity"]
Key = tuple[Kind, str]

_EXTENSION = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,9}){1,3}$")
_DIGITS = re.compile(r"(\d{1,18})")
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Link:
    """How a record hangs on another: the relation, in which roles, and on what that rests."""

    relation: str | None = None
    roles: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()


@dataclass(slots=True)
class LineageGraph:
    """Records, and the links that lead on from each of them.

    Attributes
    ----------
    direction : str
        ``up``: links lead to what came before; ``down``: to what came after.
    """

    direction: Direction
    records: dict[Key, Record]
    links: dict[Key, dict[Key, Link]] = field(default_factory=dict)
    _links: dict[tuple[object, ...], Link] = field(default_factory=dict)

    @classmethod
    def of_flow(cls, lineage: Lineage, direction: Direction) -> "LineageGraph":
        """Take the flow of data: used, generated, derived, member, informed."""
        graph = cls(direction, _records(lineage))
        for row in lineage.get("used", ()):
            graph.join(_activity(row["activity"]), _entity(row["entity"]), "used", row)
        for row in lineage.get("generated", ()):
            graph.join(_entity(row["entity"]), _activity(row["activity"]), "generated", row)
        for row in lineage.get("derived", ()):
            derived, source = _entity(row["derived"]), _entity(row["source"])
            if not graph.passes(derived, source):
                graph.join(derived, source, "derived", row)
        for row in lineage.get("members", ()):
            graph.join(_entity(row["collection"]), _entity(row["member"]), "member", row)
        for row in lineage.get("informed", ()):
            graph.join(_activity(row["activity"]), _activity(row["informant"]), "informed", row)
        return graph

    @classmethod
    def of_levels(cls, lineage: Lineage) -> "LineageGraph":
        """Take the nesting: which activity ran inside which, from the outermost in."""
        graph = cls("up", _records(lineage))
        for row in lineage.get("parts", ()):
            graph.join(_activity(row["part_of"]), _activity(row["activity"]), "part", row)
        graph.direction = "down"
        return graph

    def join(self, later: Key, earlier: Key, relation: str, row: Record) -> None:
        """Add a link between two records that are both in the lineage."""
        if later not in self.records or earlier not in self.records:
            return
        start, end = (later, earlier) if self.direction == "up" else (earlier, later)
        said = (relation, row.get("role"), row.get("basis"))
        link = self._links.get(said)  # there are few, and one object each is found faster
        if link is None:
            _, role, basis = said
            link = Link(relation, (str(role),) if role else (), (str(basis),) if basis else ())
            self._links[said] = link
        held = self.links.setdefault(start, {})
        held[end] = merged(held[end], link) if end in held else link

    def passes(self, derived: Key, source: Key) -> bool:
        """Whether an activity is recorded that used `source` and generated `derived`."""
        start, end = (derived, source) if self.direction == "up" else (source, derived)
        return any(
            end in self.links.get(middle, ())
            for middle in self.links.get(start, ())
            if middle[0] == "activity"
        )

    def ahead(self) -> dict[Key, Sequence[Key]]:
        """Return the links without what they say."""
        return {key: list(links) for key, links in self.links.items()}

    def linked(self) -> list[Key]:
        """Return the records that have a link to or from another."""
        ends = {end for links in self.links.values() for end in links}
        return [key for key in self.records if key in ends or key in self.links]

    def tops(self, keys: Iterable[Key]) -> list[Key]:
        """Return the few of `keys` from which all of them are reached, earliest first."""
        wanted = sorted(keys, key=lambda key: order_of(self.records[key]))
        among = set(wanted)
        ahead = self.ahead()
        below = {end for key in wanted for end in ahead.get(key, ()) if end != key}
        tops = [key for key in wanted if key not in below]
        reached = set(reachable(tops, ahead))
        for key in wanted:
            if key not in reached:
                tops.append(key)
                reached.update(reachable([key], ahead))
        return [key for key in tops if key in among]


def merged(one: Link, other: Link) -> Link:
    """Return both links as one, with the roles and grounds of both."""
    if one == other:
        return one
    return Link(
        one.relation or other.relation,
        tuple(sorted({*one.roles, *other.roles}, key=natural)),
        tuple(sorted({*one.basis, *other.basis})),
    )


def key_of(kind: str, uuid: str) -> Key:
    """Return the key of a record."""
    return ("activity" if kind == "activity" else "entity", str(uuid))


def natural(text: str) -> tuple[object, ...]:
    """Return a key that sorts ``run2`` before ``run10``."""
    parts: list[object] = list(_DIGITS.split(text))
    parts[1::2] = map(int, cast(list[str], parts[1::2]))
    return tuple(parts), text


def instant(text: str) -> datetime:
    """Return the instant that an ISO 8601 text names; without a zone it is UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def order_of(record: Record) -> tuple[object, ...]:
    """Return a key that sorts records by time, then name, then id; those without time come last."""
    at = record.get("started_at") or record.get("generated_at")
    return instant(str(at)) if at else _LATEST, natural(str(record.get("name") or "")), record["id"]


def extension_of(record: Record) -> str:
    """Return what files of one kind have in common in their names, such as ``.dl1.h5``, or ""."""
    match = _EXTENSION.search(str(record.get("name") or ""))
    return match[0].lower() if match else ""


def pattern_of(record: Record) -> str:
    """Return the extension of a name; of a name without one, all of it but its numbers."""
    name = str(record.get("name") or "")
    if record.get("kind") == "value":
        return name
    return extension_of(record) or _DIGITS.sub("#", name)


def _records(lineage: Lineage) -> dict[Key, Record]:
    found: dict[Key, Record] = {_activity(r["id"]): r for r in lineage.get("activities", ())}
    found.update((_entity(r["id"]), r) for r in lineage.get("entities", ()))
    return found


def _activity(uuid: Any) -> Key:  # Any: str or UUID
    return "activity", str(uuid)


def _entity(uuid: Any) -> Key:  # Any: str or UUID
    return "entity", str(uuid)
