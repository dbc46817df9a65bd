"""Facets of our own in OpenLineage events: what its standard facets have no word for, read again.

``provmanager_run`` has how a run was called and what it ran in, ``provmanager_entity`` what
identifies a data set beyond its name, ``provmanager_use`` (of one use of it) the roles, and
``provmanager_assessment`` what was said of products afterwards: its run is that of who said it, and
its inputs are what it was said of, with the standard facet ``dataQualityAssertions``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from ..ids import parse_uuid
from ..model import Agent, AgentKind, Assessment, AssessmentKind
from .instants import parse_instant
from .json_fields import JSONObject

ENTITY_FACET = "provmanager_entity"
RUN_FACET = "provmanager_run"
USE_FACET = "provmanager_use"
ASSESSMENT_FACET = "provmanager_assessment"
OWN_FACETS = frozenset((ENTITY_FACET, RUN_FACET, USE_FACET, ASSESSMENT_FACET))

RUN_FIELDS = ("version", "type", "host", "exit_code", "is_claim", "iri", "executable", "directory",
              "arguments", "job", "configuration", "comment")  # fmt: skip
"""Fields of an activity that stand in `RUN_FACET` by these names, with what it ran in."""

ENTITY_FIELDS = {
    "name": "name", "kind": "kind", "value": "value", "size_bytes": "sizeBytes",
    "content_type": "contentType", "comment": "comment", "generated_at": "generatedAt",
    "invalidated_at": "invalidatedAt",
}  # fmt: skip
"""Fields of an entity, as they are called in `ENTITY_FACET`."""

_AGENT = ("name", "email", "affiliation", "phone", "address", "url", "comment")
_OBJECTS = ("environment", "container", "job", "configuration")
_TEXTS = ("version", "type", "executable", "directory", "comment")


def run_fields(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an activity that its facet of ours has. (Any: free-form JSON.)"""
    found: dict[str, Any] = {name: own[name] for name in _TEXTS if _is_text(own.get(name))}
    found |= {name: own[name] for name in _OBJECTS if isinstance(own.get(name), dict)}
    host = own.get("hostDetails")
    if isinstance(host, dict):
        found["host"] = host
    elif _is_text(own.get("host")):
        found["host"] = {"name": own["host"]}
    arguments = own.get("arguments")
    if isinstance(arguments, list) and all(isinstance(a, str) for a in arguments):
        found["arguments"] = tuple(arguments)
    code = own.get("exit_code")
    if type(code) is int and -(2**31) <= code < 2**31:
        found["exit_code"] = code
    return found


def entity_fields(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return further fields of an entity that its facet of ours has. (Any: free-form JSON.)"""
    texts = ("contentType", "comment")
    found: dict[str, Any] = {
        field: own[key]
        for field, key in ENTITY_FIELDS.items()
        if key in texts and _is_text(own.get(key))
    }
    size = own.get("sizeBytes")
    if type(size) is int and 0 <= size < 2**63:
        found["size_bytes"] = size
    for field in ("generated_at", "invalidated_at"):
        found[field] = _instant(own.get(ENTITY_FIELDS[field]))
    return found


def agents_in(facet: Mapping[str, Any], key: str) -> Iterable[tuple[Agent, str | None]]:
    """Yield the agents that a facet of ours lists under `key`, with their roles. (Any: JSON.)"""
    listed = facet.get(key)
    for item in listed if isinstance(listed, list) else ():
        iri = item.get("id") if isinstance(item, dict) else None
        if isinstance(iri, str) and iri:
            said = {n: item[n] for n in _AGENT if _is_text(item.get(n))}
            kind = item.get("type")
            role = item.get("role")
            known = AgentKind(kind) if kind in set(AgentKind) else None
            agent = Agent(key=iri, iri=iri, kind=known, **{"name": iri, **said})
            yield agent, role if _is_text(role) else None


def agent_fields(row: Mapping[str, Any], role: str | None) -> JSONObject:
    """Return an agent of a lineage as facets of ours list it. (Any: a JSON value.)"""
    said = {n: row[n] for n in (*_AGENT, "type") if row.get(n)}
    return {"id": row["iri"], **said, **({"role": role} if role else {})}


def uses_of(facet: Mapping[str, Any]) -> list[tuple[str | None, datetime | None]]:
    """Return (role, instant) of the uses of a data set by one run. (Any: free-form JSON.)"""
    listed = facet.get("uses")
    found: list[tuple[str | None, datetime | None]] = []
    for use in listed if isinstance(listed, list) else ():
        role = use.get("role") if isinstance(use, dict) else None
        at = _instant(use.get("at")) if isinstance(use, dict) else None
        found.append((role if _is_text(role) else None, at))
    return found or [(None, None)]


def assessment_facet(row: Mapping[str, Any]) -> JSONObject:
    """Return what `ASSESSMENT_FACET` says of an assessment of a lineage. (Any: a JSON value.)"""
    said = {name: row[name] for name in ("kind", "at", "reason", "revokes") if row.get(name)}
    told = [{k: v for k, v in e.items() if v} for e in row["entities"]]
    return said | ({} if row.get("revokes") else {"entities": told})


def assertion_of(row: Mapping[str, Any], told: Mapping[str, Any]) -> JSONObject:
    """Return what an assessment says of one product, as an item of ``dataQualityAssertions``."""
    if row["kind"] == AssessmentKind.VERIFICATION:
        outcome = told.get("outcome") or "unknown"
        return {"assertion": "digest", "success": outcome == "ok", "expected": "ok",
                "actual": outcome}  # fmt: skip
    is_good = row["kind"] == AssessmentKind.REVOCATION
    said = {"assertion": "valid", "success": is_good, "severity": "error"}
    return said | ({"description": row["reason"]} if row.get("reason") else {})


def read_assessment_facet(
    uuid: UUID, facet: Mapping[str, Any], agent: Agent | None
) -> Assessment | None:
    """Return the assessment that a run is; None where it lacks what one must say. (Any: JSON.)"""
    kind, at, reason = facet.get("kind"), _instant(facet.get("at")), facet.get("reason")
    revokes = parse_uuid(facet["revokes"]) if _is_text(facet.get("revokes")) else None
    listed = facet.get("entities")
    told = dict(_told(listed if isinstance(listed, list) else ()))
    if kind not in set(AssessmentKind) or at is None:
        return None
    if kind == AssessmentKind.VERIFICATION:
        told = {uuid: outcome for uuid, outcome in told.items() if outcome}
    elif not _is_text(reason):
        return None
    is_revocation = kind == AssessmentKind.REVOCATION
    if is_revocation != (revokes is not None) or is_revocation == bool(told):
        return None
    return Assessment(
        uuid=uuid,
        kind=AssessmentKind(kind),
        at=at,
        reason=reason if _is_text(reason) else None,
        agent_iri=agent.iri if agent else None,
        agent_name=agent.name if agent else None,
        revokes=revokes,
        entities=tuple(told.items()),
    )


def _told(items: Iterable[Any]) -> Iterable[tuple[UUID, str | None]]:
    for item in items:
        uuid = (
            parse_uuid(item["id"]) if isinstance(item, dict) and _is_text(item.get("id")) else None
        )
        if uuid is not None:
            outcome = item.get("outcome")
            yield uuid, outcome if outcome in ("ok", "differs", "missing", "unknown") else None


def _instant(text: object) -> datetime | None:
    try:
        return parse_instant(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
