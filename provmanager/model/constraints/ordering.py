"""The order of events (PROV-CONSTRAINTS §6.2, Constraints 30 to 49), as a graph.

Its nodes are the generations, usages, invalidations, starts and ends of the normal form; an edge
says that one event precedes another, or strictly precedes it. The instance is invalid where an
event strictly precedes itself: where a strict edge lies inside a strongly connected component.

All generations of one entity are simultaneous (Constraint 39), as are its invalidations, and the
starts and the ends of one activity: they stand in a ring, and every other edge leads to or from
one of them, so that the graph has about as many edges as the instance has statements. Where an
entity in a chain of specializations has no generation, a node that is no event takes the place of
it for that chain only (Inference 19).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .normal import Normal, Row
from .rules import RULES, Rule
from .specialization import Specializations

GENERATION, USAGE, INVALIDATION = "generation", "usage", "invalidation"
START, END = "start", "end"
_KINDS = {
    "wasGeneratedBy": GENERATION,
    "used": USAGE,
    "wasInvalidatedBy": INVALIDATION,
    "wasStartedBy": START,
    "wasEndedBy": END,
}
_MOST_SOURCES = 8
"""Statements that are named of one event, where more tell of it."""
_RINGS = {GENERATION: 39, INVALIDATION: 40, START: 31, END: 32}


class Edge(NamedTuple):
    """`target` comes after the node that has this edge, says a rule on `sources`."""

    target: int
    rule: Rule
    sources: tuple[int, ...]
    is_strict: bool


@dataclass(slots=True, eq=False)
class Event:
    """One node of the graph.

    Attributes
    ----------
    id, entity, activity : int or None
        Terms; of a start or end `entity` is the trigger.
    sources : tuple of int
        The statements that tell of it (the first of many), or from which it is inferred.
    is_event : bool
        False where it only takes the place of a generation or invalidation that is not there.
    """

    kind: str
    id: int | None
    entity: int | None
    activity: int | None
    sources: tuple[int, ...]
    at: datetime | None = None
    is_event: bool = True

    @property
    def subject(self) -> int | None:
        """The term of what it happens to."""
        return self.entity if self.kind in (GENERATION, INVALIDATION) else self.activity


class EventOrder:
    """Which events precede which.

    Attributes
    ----------
    events : list of Event
        The nodes.
    edges : list of list of Edge
        For each node what it precedes.
    """

    def __init__(self, normal: Normal, specializations: Specializations) -> None:
        self._normal = normal
        self._root = normal.terms.root
        self._specializations = specializations
        self.events: list[Event] = []
        self.edges: list[list[Edge]] = []
        self._by_id: dict[tuple[str, int], int] = {}
        self._of: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._stand_ins: dict[tuple[str, int], int] = {}
        self._add_events()
        self._add_inferred_events()
        self._add_rings()
        self._order_within_activities()
        self._order_within_entities()
        self._order_triggers()
        self._order_derivations()
        self._order_specializations()
        self._order_agents()

    def find(self, kind: str, iri: str) -> int | None:
        """Return the node of the event called `iri`."""
        return self._by_id.get((kind, self._root(self._normal.terms.constant(iri))))

    def called(self, node: int) -> str:
        """Return what a person calls an event."""
        event, called = self.events[node], self._normal.called
        words = f"{event.kind} of "
        if event.kind == USAGE and event.entity is not None:
            words += f"{called(event.entity)} by "
        words += called(event.subject) if event.subject is not None else "something"
        name = None if event.id is None else self._normal.terms.value(event.id)
        return f"{words} ({self._normal.name(name)})" if isinstance(name, str) else words

    # --- events --------------------------------------------------------------------------------

    def _add(self, event: Event) -> int:
        node = len(self.events)
        self.events.append(event)
        self.edges.append([])
        if event.is_event and event.subject is not None and event.kind != USAGE:
            self._of[event.kind, event.subject].append(node)
        return node

    def _add_events(self) -> None:
        for row in self._normal.of(*_KINDS):
            kind, root = _KINDS[row.relation], self._root(row.id)
            node = self._by_id.get((kind, root))
            if node is None:
                node = self._by_id[kind, root] = self._add(self._event(kind, row))
            event = self.events[node]
            at = self._normal.terms.value(row.args[-1])
            event.at = at if isinstance(at, datetime) else event.at
            if len(event.sources) < _MOST_SOURCES and row.sources[0] not in event.sources:
                event.sources += row.sources

    def _event(self, kind: str, row: Row) -> Event:
        first, second = self._root(row.args[0]), self._root(row.args[1])
        if kind in (GENERATION, INVALIDATION):
            first, second = second, first
        return Event(kind, row.id, entity=second, activity=first, sources=row.sources)

    def _add_inferred_events(self) -> None:
        """Apply Inferences 7 to 10 and 13 where there is no such event."""
        generated = {(e.entity, e.activity) for e in self.events if e.kind == GENERATION}
        for row in self._normal.of("wasStartedBy", "wasEndedBy"):
            pair = (self._root(row.args[1]), self._root(row.args[2]))
            if pair not in generated:
                generated.add(pair)
                self._add(Event(GENERATION, None, *pair, sources=row.sources))
        for row in self._normal.of("activity", "wasAttributedTo"):
            if row.relation == "activity":
                for kind, time in zip((START, END), row.args, strict=True):
                    at = self._normal.terms.value(time)
                    self._ensure(kind, row.id, row, at if isinstance(at, datetime) else None)
            else:
                self._ensure(GENERATION, row.args[0], row)
        for entity, (row, _) in self._specializations.declared().items():
            self._ensure(GENERATION, entity, row)
            self._ensure(INVALIDATION, entity, row)

    def _ensure(self, kind: str, term: int, row: Row, at: datetime | None = None) -> None:
        root = self._root(term)
        if not self._of.get((kind, root)):
            is_of_entity = kind in (GENERATION, INVALIDATION)
            entity, activity = (root, None) if is_of_entity else (None, root)
            self._add(Event(kind, None, entity, activity, row.sources, at))

    # --- edges ---------------------------------------------------------------------------------

    def _first(self, kind: str, term: int | None) -> int | None:
        """Return one of the simultaneous events of a kind that something has."""
        found = self._of.get((kind, self._root(term))) if term is not None else None
        return found[0] if found else None

    def _link(
        self,
        earlier: int | None,
        later: int | None,
        number: int,
        sources: tuple[int, ...] = (),
        *,
        is_strict: bool = False,
    ) -> None:
        """Say that one event precedes another, where both are there."""
        if earlier is None or later is None:
            return
        self.edges[earlier].append(Edge(later, RULES[number], sources, is_strict))

    def _add_rings(self) -> None:
        for (kind, _), nodes in self._of.items():
            if len(nodes) > 1:
                for node, later in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
                    self._link(node, later, _RINGS[kind])

    def _order_within_activities(self) -> None:
        for node, event in enumerate(self.events):
            if event.kind in (USAGE, GENERATION):
                number = 33 if event.kind == USAGE else 34
                self._link(self._first(START, event.activity), node, number)
                self._link(node, self._first(END, event.activity), number)
        for (kind, activity), nodes in self._of.items():
            if kind == START:
                self._link(nodes[0], self._first(END, activity), 30)
        for row in self._normal.of("wasInformedBy"):
            informed, informant = row.args
            starts, ends = self._first(START, informant), self._first(END, informed)
            self._link(starts, ends, 35, row.sources)

    def _order_within_entities(self) -> None:
        for (kind, entity), nodes in self._of.items():
            if kind == GENERATION:
                self._link(nodes[0], self._first(INVALIDATION, entity), 36)
        for node, event in enumerate(self.events):
            if event.kind == USAGE:
                self._link(self._first(GENERATION, event.entity), node, 37)
                self._link(node, self._first(INVALIDATION, event.entity), 38)

    def _order_triggers(self) -> None:
        for node, event in enumerate(self.events):
            if event.kind in (START, END):
                number = 43 if event.kind == START else 44
                self._link(self._first(GENERATION, event.entity), node, number)
                self._link(node, self._first(INVALIDATION, event.entity), number)

    def _order_derivations(self) -> None:
        terms = self._normal.terms
        for row in self._normal.of("wasDerivedFrom"):
            later, earlier, activity, generation, usage = row.args
            before, after = self._first(GENERATION, earlier), self._first(GENERATION, later)
            self._link(before, after, 42, row.sources, is_strict=True)
            if not any(terms.is_none(t) for t in (activity, generation, usage)):
                used = self._by_id.get((USAGE, self._root(usage)))
                made = self._by_id.get((GENERATION, self._root(generation)))
                self._link(used, made, 41, row.sources)

    def _order_specializations(self) -> None:
        for row in self._specializations.rows:
            specific, general = row.args
            of_general, of_specific = (self._place(GENERATION, t) for t in (general, specific))
            self._link(of_general, of_specific, 45, row.sources)
            of_general, of_specific = (self._place(INVALIDATION, t) for t in (general, specific))
            self._link(of_specific, of_general, 46, row.sources)

    def _place(self, kind: str, entity: int) -> int:
        """Return an event of an entity, or the node that takes its place in specializations."""
        root = self._root(entity)
        found = self._first(kind, root)
        if found is None:
            found = self._stand_ins.get((kind, root))
        if found is None:
            stand_in = Event(kind, None, root, None, (), is_event=False)
            found = self._stand_ins[kind, root] = self._add(stand_in)
        return found

    def _order_agents(self) -> None:
        first = self._first
        for row in self._normal.of("wasAssociatedWith"):
            activity, agent = row.args[:2]
            self._link(first(START, activity), first(INVALIDATION, agent), 47, row.sources)
            self._link(first(GENERATION, agent), first(END, activity), 47, row.sources)
            self._link(first(START, activity), first(END, agent), 47, row.sources)
            self._link(first(START, agent), first(END, activity), 47, row.sources)
        for row in self._normal.of("wasAttributedTo"):
            entity, agent = row.args
            self._link(first(GENERATION, agent), first(GENERATION, entity), 48, row.sources)
            self._link(first(START, agent), first(GENERATION, entity), 48, row.sources)
        for row in self._normal.of("actedOnBehalfOf"):
            delegate, responsible, _ = row.args
            earlier, later = first(GENERATION, responsible), first(INVALIDATION, delegate)
            self._link(earlier, later, 49, row.sources)
            self._link(first(START, responsible), first(END, delegate), 49, row.sources)
