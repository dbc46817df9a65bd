"""A lineage, as the server gives it, as a W3C PROV document.

Activities and entities are named by their UUIDs in the record (``urn:uuid:…``). What W3C PROV has
no word for is marked in two namespaces: ``voprov`` for the classes of IVOA ProvenanceDM 1.0
(``prov:type`` ``voprov:DatasetEntity``, ``voprov:ValueEntity``), as the voprov library does, and
`prov_terms.TERMS` for status, exit code, digest, size, and by which rule a link was found. Reading
the document again gives the same status, digests, locations and levels.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.constants import PROV, PROV_LABEL, PROV_LOCATION, PROV_ROLE, PROV_TYPE, PROV_VALUE
from prov.identifier import Identifier, Namespace, QualifiedName
from prov.model import ProvDocument

from provmanager import ids
from provmanager.errors import DocumentError

from . import prov_terms as terms
from .prov_assessments import add_assessments, type_of
from .prov_ivoa import add_configuration, add_descriptions
from .prov_surroundings import add_surroundings, called_attributes

JSONObject = Mapping[str, Any]  # Any: free-form JSON
Attributes = list[tuple[QualifiedName, Any]]  # Any: a value that prov takes

_UUID = Namespace("uuid", "urn:uuid:")
_VOPROV = Namespace("voprov", terms.VOPROV)
_TERMS = Namespace("provmanager", terms.TERMS)
_ENTITY_TYPES = {
    "dataset": _VOPROV["DatasetEntity"],
    "value": _VOPROV["ValueEntity"],
    "collection": PROV["Collection"],
}
_VOPROV_TYPES = (_VOPROV["DatasetEntity"], _VOPROV["ValueEntity"])
_CONTACT = ("comment", "email", "affiliation", "phone", "address", "url")


def lineage_to_prov(lineage: JSONObject) -> ProvDocument:
    """Return the W3C PROV document of `lineage`, the body of ``GET /v1/lineage``.

    Beside what that body has, ``agents`` (``id`` or ``iri``, ``name``, ``kind``), ``associated``
    (``activity``, ``agent``, ``role``) and ``attributed`` (``entity``, ``agent``, ``role``) are
    taken where they stand in it, and with a ``model`` ``"W3C"`` what only IVOA knows is not
    marked; so are ``comment`` and (of uses) ``time``, and what
    `prov_ivoa` adds.

    Raises
    ------
    DocumentError
        It lacks an id, or has one that is no UUID, or a time that is none.
    """
    with collect_warnings():
        try:
            return _Export(lineage).document
        except ProvLibraryError as error:
            raise DocumentError(f"a lineage that cannot be exported: {error}") from error


class _Export:
    """One lineage on its way into a document."""

    def __init__(self, lineage: JSONObject) -> None:
        self.document = ProvDocument(namespaces=[_UUID, _VOPROV, _TERMS])
        self._lineage = lineage
        self._agents: dict[str, QualifiedName] = {}
        generated_at = self._add_entities()
        self._add_activities()
        self._add_data_flow(generated_at)
        self._add_other_relations()
        self._add_agents()
        add_assessments(self.document, self._rows("assessments"))
        add_surroundings(self.document, lineage)
        add_configuration(self.document, lineage)
        add_descriptions(self.document, lineage)

    def _rows(self, key: str) -> Iterable[JSONObject]:
        return self._lineage.get(key) or ()

    def _add_activities(self) -> None:
        kinds = {row["id"]: type_of(row["kind"]) for row in self._rows("assessments")}
        for row in self._rows("activities"):
            attributes: Attributes = [
                *_maybe(PROV_LABEL, row.get("name")),
                *_maybe(PROV_TYPE, kinds.get(row["id"])),
                *_maybe(_TERMS["type"], row.get("type")),  # free text: no class, as prov:type is
                *_maybe(_TERMS["version"], row.get("version")),
                *_maybe(_TERMS["status"], row.get("status")),
                *_maybe(_TERMS["exitCode"], row.get("exit_code")),
                *_maybe(_TERMS["host"], row.get("host")),
                *_maybe(_TERMS["isClaim"], row.get("is_claim") or None),
                *called_attributes(row),
                *_maybe(_VOPROV["comment"], row.get("comment")),
                *self._focus(row),
            ]
            self.document.activity(
                _uuid(row, "id"), row.get("started_at"), row.get("ended_at"), attributes
            )

    def _add_entities(self) -> dict[str, str]:
        """Add the entities; return when they were generated, by id."""
        generated_at = {}
        for row in self._rows("entities"):
            kind = row.get("kind") or "dataset"
            attributes: Attributes = [
                *_maybe(PROV_LABEL, row.get("name")),
                *_maybe(PROV_TYPE, self._entity_type(kind)),
                *((PROV_LOCATION, Identifier(place)) for place in _all(row, "location")),
                *_maybe(PROV_VALUE, row.get("value")),
                *((_TERMS["digest"], digest) for digest in _all(row, "digest")),
                *((_TERMS["productId"], name) for name in _all(row, "product_id")),
                *_maybe(_TERMS["sizeBytes"], row.get("size_bytes")),
                *_maybe(_TERMS["contentType"], row.get("content_type")),
                *_maybe(_VOPROV["comment"], row.get("comment")),
                *self._focus(row),
            ]
            self.document.entity(_uuid(row, "id"), attributes)
            if row.get("generated_at"):
                generated_at[row["id"]] = row["generated_at"]
            if row.get("invalidated_at"):
                self.document.invalidation(_uuid(row, "id"), time=row["invalidated_at"])
        return generated_at

    def _entity_type(self, kind: str) -> QualifiedName | None:
        found = _ENTITY_TYPES.get(kind)
        is_left_out = self._lineage.get("model") == "W3C" and found in _VOPROV_TYPES
        return None if is_left_out else found

    def _add_data_flow(self, generated_at: dict[str, str]) -> None:
        for row in self._rows("used"):
            self.document.usage(
                _uuid(row, "activity"),
                _uuid(row, "entity"),
                row.get("time"),
                other_attributes=_link(row),
            )
        # The record has one instant an entity: that of the generation that stands.
        makers = {row["id"]: row.get("generated_by") for row in self._rows("entities")}
        for row in self._rows("generated"):
            entity = row.get("entity", "")
            time = None
            if makers.get(entity) in (None, row.get("activity")):
                time = generated_at.pop(entity, None)
            self.document.generation(
                _uuid(row, "entity"), _uuid(row, "activity"), time, other_attributes=_link(row)
            )
        for entity, time in generated_at.items():
            self.document.generation(_uuid({"id": entity}, "id"), time=time)

    def _add_other_relations(self) -> None:
        for row in self._rows("derived"):
            self.document.derivation(
                _uuid(row, "derived"), _uuid(row, "source"), other_attributes=_link(row)
            )
        for row in self._rows("members"):
            self.document.membership(_uuid(row, "collection"), _uuid(row, "member"))
        for row in self._rows("informed"):
            self.document.communication(
                _uuid(row, "activity"), _uuid(row, "informant"), other_attributes=_link(row)
            )
        for row in self._rows("parts"):
            self.document.communication(
                _uuid(row, "activity"),
                _uuid(row, "part_of"),
                other_attributes=[(PROV_TYPE, _TERMS["PartOf"])],
            )

    def _add_agents(self) -> None:
        for row in self._rows("agents"):
            kind = row.get("kind")
            name = self._agent_name(str(row.get("iri") or row.get("id") or ""))
            self._agents[str(row.get("id") or row.get("iri"))] = name
            self.document.agent(
                name,
                [
                    *_maybe(PROV_LABEL, row.get("name")),
                    *_maybe(PROV_TYPE, PROV[kind] if kind else None),
                    *(pair for n in _CONTACT for pair in _maybe(_VOPROV[n], row.get(n))),
                ],
            )
        for row in self._rows("associated"):
            self.document.association(
                _uuid(row, "activity"), self._agent(row), other_attributes=_link(row)
            )
        for row in self._rows("attributed"):
            # PROV-DM has no role for an attribution
            self.document.attribution(
                _uuid(row, "entity"),
                self._agent(row),
                other_attributes=_maybe(_TERMS["role"], row.get("role")),
            )

    def _agent(self, row: JSONObject) -> QualifiedName:
        agent = str(row.get("agent") or "")
        return self._agents.get(agent) or self._agent_name(agent)

    def _agent_name(self, iri: str) -> QualifiedName:
        """Return the name of the agent `iri`, in the namespace up to its last separator."""
        uuid = ids.parse_uuid(iri)
        if uuid is not None:
            return _UUID[str(uuid)]
        cut = max(iri.rfind(separator) for separator in "#/:") + 1
        if not cut or not terms.is_global(iri):
            raise DocumentError(f"the agent {iri!r} has no absolute IRI", found=iri)
        known = {ns.uri: ns for ns in self.document.namespaces}
        space = known.get(iri[:cut]) or self.document.add_namespace("agents", iri[:cut])
        return space[iri[cut:]]

    def _focus(self, row: JSONObject) -> Attributes:
        """Mark the product or activity that was asked for, and how far the answer goes."""
        focus = self._lineage.get("focus") or {}
        if focus.get("id") != row.get("id"):
            return []
        return [
            (_TERMS["isFocus"], True),
            *_maybe(_TERMS["direction"], self._lineage.get("direction")),
            *_maybe(_TERMS["depth"], self._lineage.get("depth")),
            *_maybe(_TERMS["isTruncated"], self._lineage.get("truncated") or None),
        ]


def _uuid(row: JSONObject, key: str) -> QualifiedName:
    text = row.get(key)
    uuid = ids.parse_uuid(text) if isinstance(text, str) else None
    if uuid is None:
        raise DocumentError(
            f"a lineage whose {key!r} is {text!r} cannot be exported: it needs a UUID",
            expected="a UUID",
            found=repr(text),
        )
    return _UUID[str(uuid)]


def _link(row: JSONObject) -> Attributes:
    """Return the role of a link, and by which rule and on what basis it stands."""
    return [
        *_maybe(PROV_ROLE, row.get("role")),
        *_maybe(_TERMS["rule"], row.get("rule")),
        *_maybe(_TERMS["basis"], row.get("basis")),
    ]


def _all(row: JSONObject, name: str) -> list[str]:
    """Return all names of one kind that an entity has, or the one that is known."""
    one = row.get(name)
    return list(row.get(f"{name}s") or ([one] if one else ()))


def _maybe(name: QualifiedName, value: Any) -> Attributes:  # Any: a JSON scalar or none
    return [] if value is None else [(name, value)]
