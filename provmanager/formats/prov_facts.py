"""The statements of a document as facts that PROV-CONSTRAINTS can be checked on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prov.constants import PROV_N_MAP

from provmanager.model import Document, EntityKind, Statement
from provmanager.model.constraints import (
    SIGNATURES,
    Fact,
    Findings,
    Value,
    Violation,
    check,
    examine,
)

from .prov_statements import BUNDLE, Scope, scopes_of
from .prov_terms import PROV

_RELATIONS = {type_.localpart: keyword for type_, keyword in PROV_N_MAP.items()}
_TIMES = frozenset(("time", "startTime", "endTime"))


@dataclass(slots=True)
class Instance:
    """The facts of a bundle, or of what stands in none, and what their IRIs are called there.

    The `source` of a fact is the place of its statement in the document.
    """

    bundle: str | None
    facts: list[Fact] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def violations(self) -> list[Violation]:
        """Return what it violates."""
        return check(self.facts, self.name)

    def findings(self) -> Findings:
        """Return what it violates, and where its times contradict the order of events."""
        return examine(self.facts, self.name)

    def name(self, iri: str) -> str:
        """Return what `iri` is called in the document."""
        return self.names.get(iri, iri)

    def text(self, fact: Fact) -> str:
        """Return a fact as PROV-N, without attributes."""
        told = [self._shown(value) for value in fact.args]
        if fact.relation in ("entity", "activity", "agent"):
            told = [self._shown(fact.id), *told]
        elif fact.id is not None:
            return f"{fact.relation}({self.name(fact.id)}; {', '.join(told)})"
        return f"{fact.relation}({', '.join(told)})"

    def _shown(self, value: Value) -> str:
        if value is None:
            return "-"
        return value.isoformat() if isinstance(value, datetime) else self.name(value)


def instances_of(document: Document) -> list[Instance]:
    """Return the instances of a document: its own first, then one a bundle.

    A document of another format than W3C PROV is one instance, of what was read from it.
    """
    if document.statements:
        return instances_of_statements(document.statements, document.namespaces)
    facts = [
        Fact(relation, identifier, args, types, place)
        for place, (relation, identifier, args, types) in enumerate(_of_model(document))
    ]
    return [Instance(None, facts, _names_of(document))]


def instances_of_statements(
    statements: Sequence[Statement], namespaces: Mapping[str, str]
) -> list[Instance]:
    """Return the instances of a W3C PROV document, given by its statements."""
    top, scopes = scopes_of(namespaces)
    found: dict[str | None, Instance] = {None: Instance(None)}
    names: dict[str | None, _Names] = {}
    for place, statement in enumerate(statements):
        if statement.type == BUNDLE:
            found.setdefault(statement.identifier, Instance(statement.identifier))
            continue
        instance = found.setdefault(statement.bundle, Instance(statement.bundle))
        if statement.bundle not in names:
            names[statement.bundle] = _Names(scopes.get(statement.bundle or "", top))
        instance.facts += _facts(statement, place, names[statement.bundle], instance.names)
    return list(found.values())


class _Names:
    """What the names of one bundle stand for."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._known: dict[str, str] = {}

    def iri(self, text: str) -> str:
        """Return the IRI of a name; the name itself where its prefix is unknown."""
        found = self._known.get(text)
        if found is None:
            name = self._scope.resolve(text)
            found = self._known[text] = text if name is None else name.uri
        return found


def _facts(
    statement: Statement, place: int, scope: _Names, names: dict[str, str]
) -> Iterator[Fact]:
    relation = _RELATIONS[statement.type]
    given: dict[str, list[Any]] = {}  # Any: a JSON scalar or typed literal
    for name, value in statement.attributes:
        iri = scope.iri(name)
        if iri.startswith(PROV):
            given.setdefault(iri[len(PROV) :], []).append(value)
    types = frozenset(
        scope.iri(value["$"])
        for value in given.get("type", ())
        if isinstance(value, dict) and value.get("type") == "xsd:QName"
    )
    identifier = None
    if statement.identifier is not None:
        identifier = scope.iri(statement.identifier)
        names.setdefault(identifier, statement.identifier)
    args = tuple(
        _argument(p.name, given.get(p.name, [None])[0], scope, names) for p in SIGNATURES[relation]
    )
    yield Fact(relation, identifier, args, types, place)
    for member in given.get("entity", ())[1:] if relation == "hadMember" else ():
        argument = _argument("entity", member, scope, names)
        yield Fact(relation, identifier, (args[0], argument), types, place)


def _argument(name: str, value: Any, scope: _Names, names: dict[str, str]) -> Value:
    """Return an argument; Any: a JSON scalar or typed literal."""
    if value is None:
        return None
    text = value["$"] if isinstance(value, dict) else str(value)
    if name in _TIMES:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text
    iri = scope.iri(text)
    names.setdefault(iri, text)
    return iri


_Plain = tuple[str, str | None, tuple[Value, ...], frozenset[str]]


_NO_TYPES: frozenset[str] = frozenset()
_COLLECTION = frozenset((f"{PROV}Collection",))


def _of_model(document: Document) -> Iterator[_Plain]:
    """Yield what a document of another format says, as PROV says it."""
    for activity in document.activities:
        times = (activity.started_at, activity.ended_at)
        yield "activity", f"activity:{activity.key}", times, _NO_TYPES
    for entity in document.entities:
        types = _COLLECTION if entity.kind is EntityKind.COLLECTION else _NO_TYPES
        yield "entity", f"entity:{entity.key}", (), types
    for agent in document.agents:
        yield "agent", f"agent:{agent.key}", (), _NO_TYPES
    for relation, args in (*_flows(document), *_responsibilities(document)):
        yield relation, None, args, _NO_TYPES


def _flows(document: Document) -> Iterator[tuple[str, tuple[Value, ...]]]:
    for use in document.used:
        yield "used", (f"activity:{use.activity}", f"entity:{use.entity}", use.at)
    for made in document.generated:
        yield "wasGeneratedBy", (f"entity:{made.entity}", f"activity:{made.activity}", made.at)
    for x in document.informed:
        yield "wasInformedBy", (f"activity:{x.informed}", f"activity:{x.informant}")
    for d in document.derived:
        yield "wasDerivedFrom", (f"entity:{d.derived}", f"entity:{d.source}", None, None, None)


def _responsibilities(document: Document) -> Iterator[tuple[str, tuple[Value, ...]]]:
    for m in document.members:
        yield "hadMember", (f"entity:{m.collection}", f"entity:{m.member}")
    for w in document.associated:
        yield "wasAssociatedWith", (f"activity:{w.activity}", f"agent:{w.agent}", None)
    for t in document.attributed:
        yield "wasAttributedTo", (f"entity:{t.entity}", f"agent:{t.agent}")


def _names_of(document: Document) -> dict[str, str]:
    """Return what the things of a document are called: by name, else by key."""
    names = {f"activity:{a.key}": a.name or a.key for a in document.activities}
    names |= {f"entity:{e.key}": e.name or e.key for e in document.entities}
    names |= {f"agent:{a.key}": a.name for a in document.agents}
    return names
