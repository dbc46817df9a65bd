"""How activities were called and set up, and what they ran in, in W3C PROV documents.

What is one activity's own are attributes of it, in our namespace, JSON where it is no text:
``provmanager:configuration`` (the settings by their dotted names), ``arguments``, ``directory``,
``executable``, ``job``. What many have in common, the software environment, the host and the
container, is an entity of that ``prov:type`` with its JSON as ``prov:value``, by which they were
influenced (``wasInfluencedBy``). Settings as voprov has them, entities of type
``voprov:Parameter``, are read too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prov.constants import PROV_LABEL, PROV_TYPE, PROV_VALUE
from prov.identifier import Namespace, QualifiedName
from prov.model import ProvDocument

from . import prov_terms as terms

Row = Mapping[str, Any]  # Any: free-form JSON

_UUID = Namespace("uuid", "urn:uuid:")
_TERMS = Namespace("provmanager", terms.TERMS)
_KINDS = {kind: _TERMS[kind.capitalize()] for kind in ("environment", "host", "container")}
_BY_TYPE = {name.uri: kind for kind, name in _KINDS.items()}
_TEXTS = ("executable", "directory", "iri")
_JSON = ("arguments", "job", "configuration")
CALLED = tuple(terms.TERMS + name for name in (*_TEXTS, *_JSON))
"""Names of the attributes of an activity that say how it was called."""

_PARAMETER = terms.VOPROV + "Parameter"
_DESCRIPTION = terms.VOPROV + "ActivityDescription"
_RELATIONS = {terms.VOPROV + f"{name}Relation" for name in ("Configuration", "Description")}


def called_attributes(row: Row) -> list[tuple[QualifiedName, str]]:
    """Return the attributes of the activity `row` that say how it was called and set up."""
    said = [(_TERMS[name], row[name]) for name in _TEXTS if row.get(name)]
    given = ((name, row.get(name)) for name in _JSON)
    return said + [(_TERMS[name], _json(value)) for name, value in given if value is not None]


def add_surroundings(document: ProvDocument, lineage: Row) -> None:
    """Add ``surroundings`` of `lineage`, where it has any, and which activities ``ran_in`` them."""
    kinds: dict[str, QualifiedName] = {}
    for row in lineage.get("surroundings") or ():
        kinds[row["id"]] = _KINDS[row["kind"]]
        document.entity(
            _UUID[row["id"]],
            [
                (PROV_LABEL, row["kind"]),
                (PROV_TYPE, kinds[row["id"]]),
                (PROV_VALUE, _json(row["content"])),
            ],
        )
    for activity in lineage["activities"] if kinds else ():
        for id_ in activity.get("ran_in") or ():
            document.influence(
                _UUID[activity["id"]], _UUID[id_], other_attributes=[(PROV_TYPE, kinds[id_])]
            )


def _json(value: Any) -> str:  # Any: free-form JSON
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@dataclass(slots=True)
class SurroundingsReading:
    """What entities of a document say of activities that they influenced.

    Attributes
    ----------
    kinds : dict
        Entities that are no products: environment, host, container, parameter, description.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    influenced: dict[str, dict[str, None]] = field(default_factory=dict)

    def declare(self, key: str, types: Iterable[str]) -> None:
        """Take an entity, by the IRIs of its types."""
        kinds = _BY_TYPE | {_PARAMETER: "parameter", _DESCRIPTION: "description"}
        kind = next((kinds[iri] for iri in types if iri in kinds), None)
        if kind is not None:
            self.kinds[key] = kind

    def influence(self, activity: str, entity: str, types: Iterable[str]) -> None:
        """Take a wasInfluencedBy of these types (IRIs) between an activity and an entity."""
        if entity in self.kinds and any(iri in _BY_TYPE or iri in _RELATIONS for iri in types):
            self.influenced.setdefault(activity, {})[entity] = None

    def aside(self) -> set[str]:
        """Return the entities that are told as part of an activity."""
        return {entity for entities in self.influenced.values() for entity in entities}

    def of(
        self, activity: str, values: Mapping[str, str | None], names: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return fields of an activity. (Any: free-form JSON.)

        Parameters
        ----------
        values, names : mapping
            Value and name of entities, by key.
        """
        found: dict[str, Any] = {}
        settings: dict[str, str | None] = {}
        for entity in self.influenced.get(activity, ()):
            kind = self.kinds[entity]
            if kind == "parameter":
                settings[names[entity]] = values[entity]
            elif kind != "description":
                content = parsed(values[entity])
                if isinstance(content, dict):
                    found.setdefault(kind, content)
        if settings:
            found["configuration"] = settings
        return found


def called_fields(said: Mapping[str, str | None]) -> dict[str, Any]:
    """Return fields of an activity from its attributes, by their names in our namespace.

    What is no JSON, or of another type than it must be, is left out. (Any: free-form JSON.)
    """
    found: dict[str, Any] = {name: said[name] for name in ("executable", "directory")}
    arguments = parsed(said["arguments"])
    if isinstance(arguments, list) and all(isinstance(a, str) for a in arguments):
        found["arguments"] = tuple(arguments)
    for name in ("job", "configuration"):
        content = parsed(said[name])
        if isinstance(content, dict):
            found[name] = content
    return {name: value for name, value in found.items() if value is not None}


def parsed(text: str | None) -> Any:  # Any: free-form JSON
    """Return the JSON value that `text` is, or None."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
