"""A lineage as a tree to read: repeated steps become one line with counts, nothing is drawn twice.

A trace of a night has thousands of runs of a dozen kinds. `fold` walks it from its focus and puts
siblings of the same shape (same name, version, status and, below, the same shapes again) into one
row. Rules that it keeps:

* every record appears in exactly one row that is opened; wherever else it is reached, the row
  says ``is_seen`` and is not opened again, so diamonds cost nothing;
* a failure stays visible: another status is another shape, and where too many shapes are put
  together the row counts them by status and names the first that failed;
* the same step again and again in a chain (a step repeated night after night) is one row, with
  its ``levels``;
* the same lineage gives the same rows, in whatever order its records come.

The lineage is the JSON object that ``GET /v1/lineage`` returns.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .graphs import longest_paths, strong_components
from .lineage_graph import (
    Direction,
    Key,
    Lineage,
    LineageGraph,
    Link,
    Record,
    extension_of,
    instant,
    key_of,
    merged,
    natural,
    order_of,
    pattern_of,
)
from .repeats import Unit, units_of

MAX_VARIANTS = 12
"""Of more rows than this under one parent, those that differ least are put together."""
FAILED = ("error", "interrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a folded tree: one record, or many of the same shape.

    Attributes
    ----------
    depth : int
        0 for the focus; a row hangs on the nearest row above it of one less.
    is_last : bool
        Whether no sibling follows.
    relation : str or None
        How it hangs on its parent: ``used``, ``generated``, ``derived``, ``member``, ``part``.
    ids : tuple of str
        UUIDs of the records, in order of time, then name.
    names : tuple of str
        Their distinct names, in natural order.
    basis : tuple of str
        On what the links to the parent rest: ``stated``, ``inferred``, ``claimed``.
    statuses : mapping of str to int
        Activities by status.
    first_failed : mapping or None
        The earliest of those that failed (the JSON record).
    first_at, last_at : str or None
        ISO 8601 instants: first start and last end of activities, generation of entities.
    levels : int
        How often the step follows itself, 1 where it does not; `n_chains` chains of that.
    n_hidden : int
        Products that pass between the runs of such a chain and are not drawn.
    n_roots, n_cut : int
        Entities before which nothing is recorded; those whose lineage goes on beyond the answer.
    is_seen : bool
        Drawn further up already, and not opened again here.
    record : mapping or None
        The JSON record, where the row is one record.
    """

    depth: int
    is_last: bool = True
    kind: Literal["activity", "entity"]
    relation: str | None = None
    ids: tuple[str, ...]
    names: tuple[str, ...]
    roles: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    first_failed: Record | None = None
    first_at: str | None = None
    last_at: str | None = None
    levels: int = 1
    n_chains: int = 1
    n_hidden: int = 0
    n_roots: int = 0
    n_cut: int = 0
    n_claims: int = 0
    is_seen: bool = False
    is_focus: bool = False
    record: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The rows in the order of reading, and what a reader must know besides.

    Attributes
    ----------
    loose : tuple of Row
        Activities of the lineage that no recorded file joins to the focus.
    """

    direction: Direction
    rows: tuple[Row, ...]
    loose: tuple[Row, ...] = ()


Shape = int
_Group = tuple[list[Key], Link]
_Draft = dict[str, Any]  # Any: the attributes of a Row, which is made when its place is known


def fold(
    lineage: Lineage, direction: Direction = "up", *, max_variants: int = MAX_VARIANTS
) -> Tree:
    """Return the tree of what the focus came from (``up``) or of what came of it (``down``)."""
    graph = LineageGraph.of_flow(lineage, direction)
    folder = _Folder(graph, max_variants)
    focus = key_of(lineage["focus"]["kind"], lineage["focus"]["id"])
    rows = folder.rows([focus]) if focus in graph.records else []
    rows[:1] = [replace(row, is_focus=True) for row in rows[:1]]
    loose: list[Row] = []
    if lineage.get("direction", direction) == direction:
        around = {key_of("activity", part["part_of"]) for part in lineage.get("parts", ())}
        left = [
            key
            for key in graph.records
            if key[0] == "activity" and key not in around and not folder.has_drawn(key)
        ]
        loose = folder.rows(graph.tops(left))
    return Tree(direction=direction, rows=tuple(rows), loose=tuple(loose))


def fold_levels(lineage: Lineage, *, max_variants: int = MAX_VARIANTS) -> Tree:
    """Return the tree of which activity ran inside which, from the outermost in."""
    graph = LineageGraph.of_levels(lineage)
    rows = _Folder(graph, max_variants).rows(graph.tops(graph.linked()))
    return Tree(direction="down", rows=tuple(rows))


class _Folder:
    """Walks a graph once, from given tops, and puts siblings of the same shape into one row."""

    def __init__(self, graph: LineageGraph, max_variants: int) -> None:
        self.graph = graph
        self.max_variants = max_variants
        self.units: dict[Key, Unit] = units_of(graph)
        self.home = {member: head for head, unit in self.units.items() for member in unit.members}
        self.links = _between_units(graph, self.units, self.home)
        self.order = {key: order_of(record) for key, record in graph.records.items()}
        ahead = {head: list(links) for head, links in self.links.items()}
        components = strong_components(self.units, ahead)
        self.height = longest_paths(components, ahead)
        self.shape = self._shapes(components)
        self.drawn: set[Key] = set()

    def has_drawn(self, key: Key) -> bool:
        """Whether a row shows this record."""
        return self.home[key] in self.drawn

    def rows(self, tops: Iterable[Key]) -> list[Row]:
        """Return the rows from `tops` on, in the order of reading."""
        heads = dict.fromkeys(self.home[top] for top in tops)
        stack = [(group, 0) for group in reversed(self._grouped(dict.fromkeys(heads, Link())))]
        drafts: list[_Draft] = []
        while stack:
            (heads_here, link), depth = stack.pop()
            fresh = [head for head in heads_here if head not in self.drawn]
            again = [head for head in heads_here if head in self.drawn]
            if fresh:
                self.drawn.update(fresh)
                drafts.append(self._draft(fresh, link, depth))
                stack += [(group, depth + 1) for group in reversed(self._below(fresh))]
            if again:
                at = len(drafts) - 1 if fresh else len(drafts)
                drafts.insert(at, self._draft(again, link, depth) | {"is_seen": True})
        return _finished(drafts)

    def _below(self, heads: Sequence[Key]) -> list[_Group]:
        if len(heads) == 1:
            return self._grouped(self.links[heads[0]])
        links: dict[Key, Link] = {}
        for head in heads:
            for child, link in self.links.get(head, {}).items():
                links[child] = merged(links[child], link) if child in links else link
        return self._grouped(links)

    def _grouped(self, links: Mapping[Key, Link]) -> list[_Group]:
        """Put siblings of the same shape together, and more of them while they are too many."""
        if len(links) < 2:
            return [([child], link) for child, link in links.items()]
        groups: list[_Group] = _gather(
            [([child], link) for child, link in links.items()],
            lambda heads, link: (link, self.shape[heads[0]]),
        )
        for with_roles in (True, False):
            if len(groups) > self.max_variants:
                groups = self._coarser(groups, with_roles=with_roles)
        for heads, _ in groups:
            heads.sort(key=self.order.__getitem__)
        return sorted(
            groups, key=lambda g: (min(self.height[h] for h in g[0]), self.order[g[0][0]])
        )

    def _coarser(self, groups: list[_Group], *, with_roles: bool) -> list[_Group]:
        """Put groups together that differ in version, status or history, the most alike first."""
        alike: dict[object, list[_Group]] = defaultdict(list)
        for heads, link in groups:
            kind = self._likeness(heads[0])
            alike[(link.relation, link.roles if with_roles else (), kind)].append((heads, link))
        kept = list(groups)
        for bucket in sorted(alike.values(), key=len, reverse=True):
            if len(kept) <= self.max_variants or len(bucket) == 1:
                break
            kept = [group for group in kept if group not in bucket]
            kept += _gather(bucket, lambda heads, link: None)
        return kept

    def _likeness(self, head: Key) -> object:
        record = self.graph.records[head]
        if head[0] == "activity":
            return record.get("name")
        makers = sorted({str(self.graph.records[c].get("name")) for c in self.links.get(head, ())})
        return extension_of(record), tuple(makers)

    def _shapes(self, components: Sequence[Sequence[Key]]) -> dict[Key, Shape]:
        """Number the shapes: equal numbers mean the same label and the same shapes below."""
        numbers: dict[object, Shape] = {}
        shape: dict[Key, Shape] = {}
        for component in components:
            found: dict[Key, Shape] = {}
            for head in component:
                below = frozenset(
                    (link, shape[child])
                    for child, link in self.links.get(head, {}).items()
                    if child in shape
                )
                found[head] = numbers.setdefault((self._label(head), below), len(numbers))
            shape.update(found)
        return shape

    def _label(self, head: Key) -> object:
        records = [self.graph.records[member] for member in self.units[head].members]
        if head[0] == "entity":
            is_root = bool(records[0].get("is_root")) and not self.links.get(head)
            return "entity", records[0].get("kind"), pattern_of(records[0]), is_root
        return (
            "activity",
            self.units[head].levels > 1,
            frozenset(
                (r.get("name"), r.get("version"), r.get("type"), r.get("status"), r.get("is_claim"))
                for r in records
            ),
        )

    def _draft(self, heads: Sequence[Key], link: Link, depth: int) -> _Draft:
        units = [self.units[head] for head in heads]
        members = sorted((m for unit in units for m in unit.members), key=self.order.__getitem__)
        records = [self.graph.records[member] for member in members]
        draft: _Draft = {
            "depth": depth,
            "kind": heads[0][0],
            "relation": link.relation,
            "ids": tuple(str(r["id"]) for r in records),
            "names": _distinct(r.get("name") or r["id"] for r in records),
            "roles": link.roles,
            "basis": link.basis,
            "record": records[0] if len(records) == 1 else None,
        }
        if heads[0][0] == "activity":
            return draft | _of_activities(records, units)
        ends = [r for head, r in zip(heads, records, strict=True) if not self.links.get(head)]
        return draft | _of_entities(records, ends, self.graph.direction)


def _between_units(
    graph: LineageGraph, units: Mapping[Key, Unit], home: Mapping[Key, Key]
) -> dict[Key, dict[Key, Link]]:
    """Return the links between units; what passes only inside a repeated step is left out."""
    found: dict[Key, dict[Key, Link]] = {}
    for head, unit in units.items():
        links: dict[Key, Link] = {}
        for member in unit.members:
            for child, link in graph.links.get(member, {}).items():
                if child in unit.hidden or (home[child] == head and len(unit.members) > 1):
                    continue
                target = home[child]
                links[target] = merged(links[target], link) if target in links else link
        found[head] = links
    return found


def _gather(groups: Iterable[_Group], key: Callable[[list[Key], Link], object]) -> list[_Group]:
    found: dict[object, _Group] = {}
    for heads, link in groups:
        name = key(heads, link)
        if name in found:
            found[name][0].extend(heads)
            found[name] = (found[name][0], merged(found[name][1], link))
        else:
            found[name] = (list(heads), link)
    return list(found.values())


def _of_activities(records: Sequence[Record], units: Sequence[Unit]) -> _Draft:
    starts = [r["started_at"] for r in records if r.get("started_at")]
    ends = [r.get("ended_at") or r["started_at"] for r in records if r.get("started_at")]
    return {
        "versions": _distinct(r["version"] for r in records if r.get("version")),
        "statuses": dict(sorted(Counter(r.get("status") or "unknown" for r in records).items())),
        "first_failed": next((r for r in records if r.get("status") in FAILED), None),
        "first_at": _extreme(min, starts),
        "last_at": _extreme(max, ends),
        "levels": max(unit.levels for unit in units),
        "n_chains": sum(unit.levels > 1 for unit in units) or 1,
        "n_hidden": sum(len(unit.hidden) for unit in units),
        "n_claims": sum(bool(r.get("is_claim")) for r in records),
    }


def _of_entities(records: Sequence[Record], ends: Sequence[Record], direction: Direction) -> _Draft:
    times = [r["generated_at"] for r in records if r.get("generated_at")]
    n_roots = sum(bool(r.get("is_root")) for r in ends) if direction == "up" else 0
    return {
        "first_at": _extreme(min, times),
        "last_at": _extreme(max, times),
        "n_roots": n_roots,
        "n_cut": len(ends) - n_roots if direction == "up" else 0,
    }


def _distinct(texts: Iterable[object]) -> tuple[str, ...]:
    """Return the different texts, in natural order."""
    found = {str(text) for text in texts}
    return tuple(found) if len(found) < 2 else tuple(sorted(found, key=natural))


def _extreme(choose: Callable[..., str], times: Sequence[str]) -> str | None:
    """Return the first or last of some instants."""
    return times[0] if len(times) == 1 else choose(times, key=instant, default=None)


def _finished(drafts: Sequence[_Draft]) -> list[Row]:
    """Return the rows, each told whether a sibling follows it."""
    follows: set[int] = set()
    found: list[Row] = []
    for draft in reversed(drafts):
        depth = draft["depth"]
        found.append(Row(**draft, is_last=depth not in follows))
        follows = {level for level in follows if level < depth}
        follows.add(depth)
    return found[::-1]
