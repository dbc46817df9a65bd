"""Types and impossibilities (PROV-CONSTRAINTS §§6.3 and 6.4, Constraints 50, 51, 54 to 56)."""

from collections.abc import Iterator

from .facts import OBJECTS, SIGNATURES
from .normal import IDENTIFIED, Normal, Row
from .report import Violation
from .rules import RULES
from .specialization import Specializations


def impossibilities(normal: Normal, specializations: Specializations) -> Iterator[Violation]:
    """Yield what Constraints 51, 52 and 54 to 56 forbid; 53 is found by unification."""
    yield from _derivations(normal)
    yield from specializations.violations()
    yield from _overlaps(normal)
    yield from _entities_that_are_activities(normal)
    yield from _members_of_nothing(normal, specializations)


def _derivations(normal: Normal) -> Iterator[Violation]:
    is_none = normal.terms.is_none
    for row in normal.of("wasDerivedFrom"):
        later, earlier, activity, generation, usage = row.args
        if is_none(activity) and not (is_none(generation) and is_none(usage)):
            given = [n for n, t in (("generation", generation), ("usage", usage)) if not is_none(t)]
            message = (
                f"the derivation of {normal.called(later)} from {normal.called(earlier)} has a"
                f" {' and a '.join(given)} but no activity"
            )
            yield Violation(RULES[51], message, row.sources)


def _overlaps(normal: Normal) -> Iterator[Violation]:
    objects: dict[int, Row] = {}
    for row in normal.of(*OBJECTS):
        objects.setdefault(normal.terms.root(row.id), row)
    told: set[tuple[int, str]] = set()
    for row in normal.of(*IDENTIFIED):
        root = normal.terms.root(row.id)
        held = objects.get(root)
        if held is not None and (root, row.relation) not in told:
            told.add((root, row.relation))
            message = f"{normal.called(root)} names an {held.relation} and a {row.relation}"
            yield Violation(RULES[54], message, (*held.sources, *row.sources))


def _entities_that_are_activities(normal: Normal) -> Iterator[Violation]:
    """Give each term its types (Constraint 50) and find those with both (Constraint 55)."""
    typed: dict[str, dict[int, Row]] = {"entity": {}, "activity": {}}
    root = normal.terms.root
    for row in normal.rows:
        if row.relation in typed:
            typed[row.relation].setdefault(root(row.id), row)
        for parameter, term in zip(SIGNATURES[row.relation], row.args, strict=True):
            if parameter.kind in typed and not normal.terms.is_none(term):
                typed[parameter.kind].setdefault(root(term), row)
    for term, row in typed["entity"].items():
        other = typed["activity"].get(term)
        if other is not None:
            message = (
                f"{normal.called(term)} is an entity ({row.relation}) and an activity"
                f" ({other.relation})"
            )
            sources = tuple(dict.fromkeys((*row.sources, *other.sources)))
            yield Violation(RULES[55], message, sources)


def _members_of_nothing(normal: Normal, specializations: Specializations) -> Iterator[Violation]:
    empty = specializations.empty_collections()
    for row in normal.of("hadMember") if empty else ():
        held = empty.get(normal.terms.root(row.args[0]))
        if held is not None:
            message = (
                f"{normal.called(row.args[0])} is a prov:EmptyCollection and has the member"
                f" {normal.called(row.args[1])}"
            )
            yield Violation(RULES[56], message, (*held.sources, *row.sources))
