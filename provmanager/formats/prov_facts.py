"""The statements of a W3C PROV document as facts that PROV-CONSTRAINTS can be checked on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prov.constants import PROV_N_MAP

from provmanager.model import Statement
from provmanager.model.constraints import SIGNATURES, Fact, Value, Violation, check

from .prov_statements import BUNDLE, Scope, scopes_of
from .prov_terms import PROV

_RELATIONS = {type_.localpart: keyword for type_, keyword in PROV_N_MAP.items()}
_TIMES = frozenset(("time", "startTime", "endTime"))


@dataclass(slots=True)
class Instance:
    """The facts of a bundle, or of what stands in none, and what their IRIs are called there."""

    bundle: str | None
    facts: list[Fact] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def violations(self) -> list[Violation]:
        """Return what it violates."""
        return check(self.facts, lambda iri: self.names.get(iri, iri))


def instances_of(statements: Sequence[Statement], namespaces: Mapping[str, str]) -> list[Instance]:
    """Return the instances of a document: its own first, then one a bundle.

    A fact's `source` is the place of its statement in `statements`.
    """
    top, scopes = scopes_of(namespaces)
    found: dict[str | None, Instance] = {None: Instance(None)}
    names: dict[str | None, _Names] = {}
    for place, statement in enumerate(statements):
        if statement.type == BUNDLE:
            found.setdefault(statement.identifier, Instance(statement.identifier))
            continue
        instance = found.setdefault(statement.bundle, Instance(statement.bundle))
        if statement.bundle not in names:
            scope = scopes.get(statement.bundle or "", top)
            names[statement.bundle] = _Names(scope)
        instance.facts += _facts(statement, place, names[statement.bundle], instance.names)
    return list(found.values())


def _facts(
    statement: Statement, place: int, scope: "_Names", names: dict[str, str]
) -> Iterator[Fact]:
    relation = _RELATIONS[statement.type]
    given: dict[str, list[Any]] = {}  # Any: a JSON scalar or typed literal
    types = []
    for name, value in statement.attributes:
        iri = scope.iri(name)
        if iri.startswith(PROV):
            given.setdefault(iri[len(PROV) :], []).append(value)
    for value in given.get("type", ()):
        if isinstance(value, dict) and value.get("type") == "xsd:QName":
            types.append(scope.iri(value["$"]))
    identifier = None
    if statement.identifier is not None:
        identifier = scope.iri(statement.identifier)
        names.setdefault(identifier, statement.identifier)
    args = []
    for parameter in SIGNATURES[relation]:
        value = given.get(parameter.name, [None])[0]
        args.append(_argument(parameter.name, value, scope, names))
    yield Fact(relation, identifier, tuple(args), frozenset(types), place)
    for member in given.get("entity", ())[1:] if relation == "hadMember" else ():
        argument = _argument("entity", member, scope, names)
        yield Fact(relation, identifier, (args[0], argument), frozenset(types), place)


def _argument(name: str, value: Any, scope: "_Names", names: dict[str, str]) -> Value:
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
