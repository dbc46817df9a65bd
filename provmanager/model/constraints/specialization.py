"""Specializations: which entities are stated through them, and of what type (Inferences 19, 21)."""

from collections import defaultdict
from collections.abc import Iterator

from ..graphs import strong_components
from .normal import Normal, Row
from .report import Violation
from .rules import RULES

EMPTY_COLLECTION = "http://www.w3.org/ns/prov#EmptyCollection"


class Specializations:
    """The specializationOf statements of an instance, those of mentions too."""

    def __init__(self, normal: Normal) -> None:
        self._normal = normal
        self._root = normal.terms.root
        self.rows: list[Row] = list(normal.of("specializationOf"))
        self._specific: dict[int, list[int]] = defaultdict(list)
        for row in self.rows:
            specific, general = (self._root(t) for t in row.args)
            self._specific[general].append(specific)

    def declared(self) -> dict[int, tuple[Row, int]]:
        """Return the entities that have a statement ``entity(…)``, and by which rule.

        With the row that says so, and 7 where it is the entity's own, 21 where it is inferred
        from that of an entity that it specializes.
        """
        found: dict[int, tuple[Row, int]] = {}
        for row in self._normal.of("entity"):
            found.setdefault(self._root(row.id), (row, 7))
        for start in list(found):
            self._spread(start, found)
        return found

    def _spread(self, start: int, found: dict[int, tuple[Row, int]]) -> None:
        queue = [start]
        for node in queue:
            for specific in self._specific.get(node, ()):
                if specific not in found:
                    found[specific] = (found[node][0], 21)
                    queue.append(specific)

    def empty_collections(self) -> dict[int, Row]:
        """Return the entities of type ``prov:EmptyCollection``, with the row that says so."""
        found: dict[int, Row] = {}
        for row in self._normal.of("entity"):
            queue = [self._root(row.id)] if EMPTY_COLLECTION in row.types else []
            for entity in queue:
                if entity not in found:
                    found[entity] = row
                    queue += self._specific.get(entity, ())
        return found

    def violations(self) -> Iterator[Violation]:
        """Yield where something specializes itself, also by Inference 19 (Constraint 52)."""
        home = {
            entity: number
            for number, component in enumerate(
                strong_components(list(self._specific), self._specific)
            )
            for entity in component
        }
        inside: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            specific, general = (self._root(t) for t in row.args)
            if home[specific] == home[general]:
                inside[home[specific]].append(row)
        for rows in inside.values():
            component = {self._root(t) for row in rows for t in row.args}
            names = " and ".join(sorted(self._normal.called(e) for e in component)[:5])
            kind = "is a specialization of itself" if len(component) == 1 else (
                "are specializations of one another, so each of itself"
            )  # fmt: skip
            sources = tuple(sorted({s for row in rows for s in row.sources}))
            yield Violation(RULES[52], f"{names} {kind}", sources)
