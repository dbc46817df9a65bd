"""W3C PROV documents as PROV-O in Turtle, written record by record.

`prov` makes a graph of a document, and rdflib a text of the graph: for ten thousand records that
takes many seconds, and as much again to read it. Lineages are of few kinds of records, each of them
a few lines of Turtle: those are written here, by the same mapping to PROV-O, so that the graph is
the one that `prov` makes (a test compares the two).
"""

import json
import re
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from prov.constants import (
    PROV,
    PROV_ATTR_ACTIVITY,
    PROV_ATTR_AGENT,
    PROV_ATTR_ENDTIME,
    PROV_ATTR_ENTITY,
    PROV_ATTR_INFLUENCER,
    PROV_ATTR_INFORMANT,
    PROV_ATTR_STARTTIME,
    PROV_ATTR_TIME,
    PROV_ATTR_USED_ENTITY,
    PROV_LABEL,
    PROV_LOCATION,
    PROV_ROLE,
    PROV_TYPE,
    PROV_VALUE,
)
from prov.identifier import Identifier, Namespace, QualifiedName
from prov.model import (
    ProvAssociation,
    ProvAttribution,
    ProvCommunication,
    ProvDerivation,
    ProvDocument,
    ProvElement,
    ProvGeneration,
    ProvInfluence,
    ProvInvalidation,
    ProvMembership,
    ProvRecord,
    ProvUsage,
    canonical_xsd_datatype,
)

from . import prov_terms as terms

_PREFIXES = {"prov": terms.PROV, "rdfs": terms.RDFS, "xsd": terms.XSD}
_LOCAL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?")
_PREFIX = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?")
_IRI = re.compile('[^\x00-\x20<>"{}|^`\\\\\ud800-\udfff]+')
_SURROGATE = re.compile("[\ud800-\udfff]")
_SUBTYPES = frozenset(PROV[name] for name in ("Revision", "Quotation", "PrimarySource"))


class _Relation(NamedTuple):
    """How PROV-O says a relation: its property, its class, and how the node tells its arguments.

    Attributes
    ----------
    is_direct : bool
        Whether the property is said beside the qualified node too.
    """

    property: str
    qualified: str
    arguments: dict[QualifiedName, str]
    is_direct: bool = False


_TIME = {PROV_ATTR_TIME: "prov:atTime"}
_RELATIONS: dict[type[ProvRecord], _Relation] = {
    ProvUsage: _Relation("used", "Usage", {PROV_ATTR_ENTITY: "prov:entity", **_TIME}),
    ProvGeneration: _Relation(
        "wasGeneratedBy", "Generation", {PROV_ATTR_ACTIVITY: "prov:activity", **_TIME}
    ),
    ProvInvalidation: _Relation(
        "wasInvalidatedBy", "Invalidation", {PROV_ATTR_ACTIVITY: "prov:activity", **_TIME}
    ),
    ProvDerivation: _Relation(
        "wasDerivedFrom", "Derivation", {PROV_ATTR_USED_ENTITY: "prov:entity"}
    ),
    ProvAssociation: _Relation("wasAssociatedWith", "Association", {PROV_ATTR_AGENT: "prov:agent"}),
    ProvCommunication: _Relation(
        "wasInformedBy", "Communication", {PROV_ATTR_INFORMANT: "prov:activity"}, is_direct=True
    ),
    ProvAttribution: _Relation(
        "wasAttributedTo", "Attribution", {PROV_ATTR_AGENT: "prov:agent"}, is_direct=True
    ),
    ProvInfluence: _Relation(
        "wasInfluencedBy", "Influence", {PROV_ATTR_INFLUENCER: "prov:influencer"}, is_direct=True
    ),
}
_PROPERTIES = {
    PROV_TYPE: "a",
    PROV_LABEL: "rdfs:label",
    PROV_VALUE: "prov:value",
    PROV_LOCATION: "prov:atLocation",
    PROV_ATTR_STARTTIME: "prov:startedAtTime",
    PROV_ATTR_ENDTIME: "prov:endedAtTime",
}
_OF_RELATIONS = {PROV_TYPE: "a", PROV_LABEL: "rdfs:label", PROV_ROLE: "prov:hadRole"}


class _UnusualError(Exception):
    """Something of which lineages are not made."""


def plain_turtle(document: ProvDocument) -> bytes | None:
    """Return `document` in Turtle, or None where it has what is not of the plain kinds.

    Those are bundles, relations with a name or without one of their two ends, things declared
    twice, literals of other types, and names that are no IRIs.
    """
    try:
        return _Turtle(document).to_bytes()
    except _UnusualError:
        return None


class _Turtle:
    """A document on its way into Turtle."""

    def __init__(self, document: ProvDocument) -> None:
        if document.has_bundles() or document.get_default_namespace() is not None:
            raise _UnusualError
        self._prefixes = dict(_PREFIXES)
        for namespace in document.get_registered_namespaces():
            self._bind(namespace)
        self._names: dict[QualifiedName, str] = {}
        self._said: dict[str, dict[str, None]] = defaultdict(dict)
        declared: set[QualifiedName] = set()
        for record in document.records:
            if isinstance(record, ProvElement):
                if record.identifier is None or record.identifier in declared:
                    raise _UnusualError
                declared.add(record.identifier)
                self._add_element(record, record.identifier)
            else:
                self._add_relation(record)

    def to_bytes(self) -> bytes:
        """Return the whole text."""
        parts = [f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in self._prefixes.items()]
        for subject, said in self._said.items():
            told = " ;\n    ".join(said)
            parts.append(f"\n{subject} {told} .\n")
        return "".join(parts).encode()

    def _bind(self, namespace: Namespace) -> None:
        if not _PREFIX.fullmatch(namespace.prefix) or not _IRI.fullmatch(namespace.uri):
            raise _UnusualError
        if self._prefixes.setdefault(namespace.prefix, namespace.uri) != namespace.uri:
            raise _UnusualError

    def _add_element(self, record: ProvElement, identifier: QualifiedName) -> None:
        said = self._said[self._name(identifier)]
        said[f"a prov:{record.get_type().localpart}"] = None
        for name, value in record.attributes:
            said[f"{self._property(name, _PROPERTIES)} {self._value(value)}"] = None

    def _add_relation(self, record: ProvRecord) -> None:
        (_, subject), (_, other), *rest = record.formal_attributes
        is_plain = not (record.extra_attributes or any(value is not None for _, value in rest))
        member = isinstance(record, ProvMembership)
        relation = _RELATIONS.get(type(record))
        if subject is None or record.identifier is not None or (relation is None and not member):
            raise _UnusualError
        said = self._said[self._name(subject)]
        if relation is None:
            if other is None or not is_plain:
                raise _UnusualError
            self._say(said, f"prov:hadMember {self._name(other)}")
            return
        if is_plain or relation.is_direct:
            if other is None:
                raise _UnusualError
            self._say(said, f"prov:{relation.property} {self._name(other)}", once=is_plain)
        if not is_plain:
            self._say(said, self._qualified(record, relation))

    def _say(self, said: dict[str, None], text: str, *, once: bool = True) -> None:
        if once and text in said:  # RDF cannot say a thing twice
            raise _UnusualError
        said[text] = None

    def _qualified(self, record: ProvRecord, relation: _Relation) -> str:
        told = [f"a prov:{relation.qualified}"]
        for name, value in record.formal_attributes[1:]:
            if value is not None:
                if name not in relation.arguments:
                    raise _UnusualError
                told.append(f"{relation.arguments[name]} {self._value(value)}")
        for name, value in record.extra_attributes:
            if value in _SUBTYPES:
                raise _UnusualError
            told.append(f"{self._property(name, _OF_RELATIONS)} {self._value(value)}")
        node = " ;\n            ".join(told)
        return f"prov:qualified{relation.qualified} [ {node} ]"

    def _property(self, name: QualifiedName, known: dict[QualifiedName, str]) -> str:
        found = known.get(name)
        if found is None:
            if name.namespace.uri == terms.PROV:
                raise _UnusualError
            found = self._name(name)
        return found

    def _name(self, name: QualifiedName) -> str:
        found = self._names.get(name)
        if found is None:
            namespace, local = name.namespace, name.localpart
            if self._prefixes.get(namespace.prefix) == namespace.uri and _LOCAL.fullmatch(local):
                found = f"{namespace.prefix}:{local}"
            elif _IRI.fullmatch(name.uri):
                found = f"<{name.uri}>"
            else:
                raise _UnusualError
            self._names[name] = found
        return found

    def _value(self, value: object) -> str:
        if isinstance(value, str):
            return _quoted(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            datatype = canonical_xsd_datatype(value)
            return f'"{value}"^^xsd:{datatype.localpart if datatype else "integer"}'
        if isinstance(value, datetime):
            return f'"{value.isoformat()}"^^xsd:dateTime'
        if isinstance(value, QualifiedName):
            return self._name(value)
        if isinstance(value, Identifier):
            return f"{_quoted(value.uri)}^^xsd:anyURI"
        raise _UnusualError


def _quoted(text: str) -> str:
    """Return `text` as a string of Turtle: what JSON escapes, Turtle escapes alike."""
    if _SURROGATE.search(text):
        raise _UnusualError
    return json.dumps(text, ensure_ascii=False)
