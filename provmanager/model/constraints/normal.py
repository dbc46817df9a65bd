"""The normal form of an instance (PROV-CONSTRAINTS §5, §6.1), as far as validity depends on it.

Definitions and inferences add statements and existential variables; uniqueness constraints unify
terms, until nothing changes. Left out are the inferences from which no constraint can follow:

- 5 and 6: what they order is what Constraint 35 orders, and 33, 34 and 37;
- 12, 16, 17, 18 and 20: of alternates only the types are constrained, which the statements that
  they are inferred from give too.

An inferred statement whose terms are all new, beside its entity or activity, can take part in no
unification; so Inferences 7 to 10 and 13 are applied last, and only where there is no such
event yet (`ordering`).
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .facts import OBJECTS, SIGNATURES, Absence, Fact, Parameter
from .report import Violation
from .rules import RULES, UNIQUE_MENTION, Rule
from .terms import NONE, Terms

Name = Callable[[str], str]

_DISJOINT = frozenset(
    ("used", "wasGeneratedBy", "wasInvalidatedBy", "wasStartedBy", "wasEndedBy", "wasInformedBy",
     "wasAttributedTo", "wasAssociatedWith", "actedOnBehalfOf")
)  # fmt: skip
"""The relations of Constraint 53."""
IDENTIFIED = _DISJOINT | {"wasDerivedFrom", "wasInfluencedBy"}
"""The relations that have identifiers (Constraints 23 and 54)."""
# An event is unique by these of its arguments (Constraints 24 to 27, and unique-mention).
_UNIQUE_BY: dict[str, tuple[tuple[int, ...], Rule]] = {
    "wasGeneratedBy": ((0, 1), RULES[24]),
    "wasInvalidatedBy": ((0, 1), RULES[25]),
    "wasStartedBy": ((0, 2), RULES[26]),
    "wasEndedBy": ((0, 2), RULES[27]),
    "mentionOf": ((0,), UNIQUE_MENTION),
}
_TIMES = {"wasStartedBy": (0, 3, RULES[28]), "wasEndedBy": (1, 3, RULES[29])}


@dataclass(slots=True, eq=False)
class Row:
    """A statement in normal form: its relation, its terms, and what it came from.

    Attributes
    ----------
    via : Rule or None
        The inference that made it; None where it is stated.
    """

    relation: str
    id: int
    args: tuple[int, ...]
    types: frozenset[str]
    sources: tuple[int, ...]
    via: Rule | None = None


@dataclass(slots=True)
class Normal:
    """An instance in normal form, and what was wrong on the way there."""

    terms: Terms
    name: Name
    rows: list[Row] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def of(self, *relations: str) -> Iterator[Row]:
        """Yield the rows of some relations."""
        wanted = frozenset(relations)
        return (row for row in self.rows if row.relation in wanted)

    def called(self, term: int) -> str:
        """Return what a term is called."""
        value = self.terms.value(term)
        if isinstance(value, str):
            return self.name(value)
        if value is None:
            return "something unknown"
        return "-" if value is NONE else str(value)


def normalise(facts: Iterable[Fact], name: Name) -> Normal:
    """Return the normal form of the instance of `facts`.

    Parameters
    ----------
    name
        What a person calls an IRI.
    """
    normal = Normal(Terms(), name)
    for fact in facts:
        _expand(fact, normal)
    _infer(normal)
    _Unification(normal).run()
    return normal


def _expand(fact: Fact, normal: Normal) -> None:
    """Add the row of a statement, with variables for what it leaves out (Definitions 1 to 4)."""
    terms, parameters = normal.terms, SIGNATURES[fact.relation]
    missing = [
        p.name
        for p, value in zip(parameters, fact.args, strict=True)
        if value is None and p.absence is Absence.REFUSED
    ]
    if missing or (fact.id is None and fact.relation in OBJECTS):
        what = " and ".join(missing) or "identifier"
        message = f"{fact.relation} needs {what}: '-' may not stand there"
        normal.violations.append(Violation(RULES[4], message, (fact.source,)))
        return
    has_activity = fact.relation == "wasDerivedFrom" and fact.args[2] is not None
    args = tuple(
        _absent(parameter, terms, has_activity) if value is None else terms.constant(value)
        for parameter, value in zip(parameters, fact.args, strict=True)
    )
    identifier = terms.variable() if fact.id is None else terms.constant(fact.id)
    normal.rows.append(Row(fact.relation, identifier, args, fact.types, (fact.source,)))


def _absent(parameter: Parameter, terms: Terms, has_activity: bool) -> int:
    is_unknown = parameter.absence is Absence.UNKNOWN or (
        parameter.absence is Absence.BY_ACTIVITY and has_activity
    )
    return terms.variable() if is_unknown else terms.constant(NONE)


def _infer(normal: Normal) -> None:
    """Add what Inferences 11 and 14, and a mention (PROV-LINKS), say."""
    terms = normal.terms
    added: list[Row] = []
    for row in normal.of("wasDerivedFrom", "actedOnBehalfOf", "mentionOf"):
        if row.relation == "wasDerivedFrom":
            later, earlier, activity, generation, usage = row.args
            if not any(terms.is_none(t) for t in (activity, generation, usage)):
                unknown = terms.variable()
                added += [
                    _inferred(row, "used", usage, (activity, earlier, unknown), 11),
                    _inferred(
                        row, "wasGeneratedBy", generation, (later, activity, terms.variable()), 11
                    ),
                ]
        elif row.relation == "actedOnBehalfOf":
            delegate, responsible, activity = row.args
            added += [
                _inferred(row, "wasAssociatedWith", terms.variable(),
                          (activity, agent, terms.variable()), 14)
                for agent in (delegate, responsible)
            ]  # fmt: skip
        else:
            added.append(
                Row("specializationOf", terms.variable(), row.args[:2], frozenset(), row.sources)
            )
    normal.rows += added


def _inferred(row: Row, relation: str, id: int, args: tuple[int, ...], number: int) -> Row:
    return Row(relation, id, args, frozenset(), row.sources, RULES[number])


class _Unification:
    """Constraints 22 to 29, 53, and 15 with 23, applied until nothing changes.

    Rows are looked up by their keys. Where two roots become one, the rows that have the one that
    goes in a key are looked up again: the whole is nearly linear in their number.
    """

    def __init__(self, normal: Normal) -> None:
        self._normal = normal
        self._terms = normal.terms
        self._rows = normal.rows
        self._first: dict[tuple[object, ...], Row] = {}
        self._uses: dict[int, list[Row]] = defaultdict(list)
        self._activities: dict[int, Row] = {}
        self._events: dict[int, list[Row]] = defaultdict(list)
        self._queue: deque[Row] = deque(normal.rows)
        self._told: set[tuple[object, ...]] = set()

    def run(self) -> None:
        """Apply them."""
        for row in self._rows:
            for term in {row.id, *(row.args[i] for i in _UNIQUE_BY.get(row.relation, ((),))[0])}:
                self._uses[self._terms.root(term)].append(row)
        while self._queue:
            row = self._queue.popleft()
            self._apply_key(row)
            self._apply_unique(row)
            self._apply_times(row)

    def _apply_key(self, row: Row) -> None:
        root = self._terms.root(row.id)
        rule = RULES[22 if row.relation in OBJECTS else 23]
        first = self._first.setdefault((row.relation, root), row)
        if first is not row:
            self._merge(first, row, rule)
        if row.relation not in IDENTIFIED:
            return
        other = self._first.setdefault(("identified", root), row)
        if other.relation == row.relation:
            return
        if {row.relation, other.relation} <= _DISJOINT:
            message = (
                f"{self._normal.called(row.id)} is the identifier of a {other.relation} and of a"
                f" {row.relation}"
            )
            self._tell(RULES[53], message, other, row)
        else:
            self._merge_influences(other, row)

    def _apply_unique(self, row: Row) -> None:
        if row.relation not in _UNIQUE_BY:
            return
        places, rule = _UNIQUE_BY[row.relation]
        key = (rule, *(self._terms.root(row.args[i]) for i in places))
        first = self._first.setdefault(key, row)
        if first is row:
            return
        if row.relation == "mentionOf":
            self._merge(first, row, rule)
        elif not self._unify(first.id, row.id):
            what = " and ".join(self._normal.called(row.args[i]) for i in places)
            ids = " and ".join(self._normal.called(r.id) for r in (first, row))
            message = f"{row.relation} of {what} has two identifiers, {ids}: {rule.text}"
            self._tell(rule, message, first, row)

    def _apply_times(self, row: Row) -> None:
        if row.relation == "activity":
            root = self._terms.root(row.id)
            if self._activities.setdefault(root, row) is row:  # the others are one with it
                for event in self._events[root]:
                    self._equal_times(row, event)
        elif row.relation in _TIMES:
            root = self._terms.root(row.args[0])
            self._events[root].append(row)
            if root in self._activities:
                self._equal_times(self._activities[root], row)

    def _equal_times(self, activity: Row, event: Row) -> None:
        place, time, rule = _TIMES[event.relation]
        if not self._unify(activity.args[place], event.args[time]):
            times = " and ".join(
                self._normal.called(t) for t in (activity.args[place], event.args[time])
            )
            parameter = SIGNATURES["activity"][place].name
            message = f"{self._normal.called(activity.id)} has two values of {parameter}, {times}"
            self._tell(rule, message, activity, event)

    def _merge(self, first: Row, row: Row, rule: Rule) -> None:
        """Unify two rows of one relation, argument by argument."""
        names = [p.name for p in SIGNATURES[row.relation]]
        self._unify_all(first, row, list(zip(names, first.args, row.args, strict=True)), rule)

    def _merge_influences(self, first: Row, row: Row) -> None:
        """Unify what two relations of one identifier are as influences (Inference 15)."""
        pairs = zip(_influence_of(first), _influence_of(row), strict=True)
        named = [(n, *p) for n, p in zip(("influencee", "influencer"), pairs, strict=True)]
        self._unify_all(first, row, named, RULES[23])

    def _unify_all(
        self, first: Row, row: Row, pairs: Sequence[tuple[str, int, int]], rule: Rule
    ) -> None:
        wrong = [(name, a, b) for name, a, b in pairs if not self._unify(a, b)]
        if not wrong:
            return
        called = self._normal.called
        what = "; ".join(f"{name} is {called(a)} and {called(b)}" for name, a, b in wrong)
        if row.relation == "mentionOf":
            message = f"{called(row.args[0])} is a mention of two: {what}"
        else:
            kinds = " and ".join(dict.fromkeys((first.relation, row.relation)))
            message = f"the {kinds} {self._identity(row)} cannot be one: {what}"
        self._tell(rule, message, first, row)

    def _identity(self, row: Row) -> str:
        """Return the identifier of a row, or what it is between where it has none."""
        if self._terms.value(row.id) is not None:
            return self._normal.called(row.id)
        return " and ".join(
            self._normal.called(term)
            for parameter, term in zip(SIGNATURES[row.relation], row.args, strict=True)
            if parameter.name != "time"
        )

    def _unify(self, one: int, other: int) -> bool:
        found = self._terms.unify(one, other)
        if found is None:
            return False
        kept, gone = found
        if kept != gone:
            moved = self._uses.pop(gone, [])
            self._queue.extend(moved)
            self._uses[kept] += moved
        return True

    def _tell(self, rule: Rule, message: str, first: Row, row: Row) -> None:
        sources = tuple(dict.fromkeys((*first.sources, *row.sources)))
        key = (rule, frozenset(sources))
        if key not in self._told:
            self._told.add(key)
            self._normal.violations.append(Violation(rule, message, sources))


def _influence_of(row: Row) -> tuple[int, int]:
    """Return influencee and influencer of a relation (Inference 15): in all, the first two."""
    return row.args[0], row.args[1]
