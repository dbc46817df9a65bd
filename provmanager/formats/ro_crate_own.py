"""What RO-Crates of ours say beyond the profiles, by terms of schema.org or our own, read again.

What was said of products afterwards is a ReviewAction of who said it, with the products as its
``object`` and its kind as ``additionalType``; of a verification, a Review an outcome tells which.
The profiles ask nothing of such actions, and they are no runs. How a run was called stands in terms
of our own namespace, which the crate's context names.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from ..ids import parse_uuid
from ..model import Agent, Assessment, AssessmentKind, Status
from . import prov_terms as terms
from .ro_crate_graph import Graph, Thing, listed

JSONObject = dict[str, Any]  # Any: free-form JSON-LD
Row = Mapping[str, Any]  # Any: a JSON value

REVIEW = "ReviewAction"
ROLE = "#role-"
"""How the ids of our FormalParameters begin, which end with a role."""
SETTING = terms.TERMS + "Setting"
"""``propertyID`` of settings, which are no products."""
RUN_TERMS = "https://w3id.org/ro/terms/workflow-run#"
IMAGE_TERMS = ("ContainerImage", "containerImage", "registry", "tag")

_PREFIX = "provmanager:"
CONTEXT = {"provmanager": terms.TERMS}
"""What the context of a crate says of our own terms."""
_FIELDS = {
    "version": "version", "type": "type", "exit_code": "exitCode", "host": "host", "iri": "iri",
    "executable": "executable", "directory": "directory", "status": "status", "comment": "comment",
}  # fmt: skip
_REVOKES = f"{_PREFIX}revokes"
PRODUCT_ID = f"{_PREFIX}productId"
GENERATED_AT = f"{_PREFIX}generatedAt"
PART_OF = f"{_PREFIX}partOf"
VALUE = terms.TERMS + "ValueEntity"
"""``propertyID`` of values that are entities, and no settings."""

_DONE = "http://schema.org/CompletedActionStatus"
_KINDS = {terms.TERMS + str(kind).capitalize(): kind for kind in AssessmentKind}
_NAMES = {kind: iri for iri, kind in _KINDS.items()}
_OUTCOMES = ("ok", "differs", "missing", "unknown")


def called_terms(activity: Row, around: Mapping[str, Row]) -> JSONObject:
    """Return what our own terms say of a run; JSON is its text."""
    said = {key: activity.get(name) for name, key in _FIELDS.items()}
    said |= {name: _json(activity.get(name)) for name in ("arguments", "job")}
    for kind, row in around.items():
        said["hostDetails" if kind == "host" else kind] = _json(row["content"])
    return {_PREFIX + key: str(value) for key, value in said.items() if value is not None}


def called_fields(action: Thing) -> dict[str, Any]:
    """Return the fields of an activity that our own terms say. (Any: free-form JSON.)"""
    names = ("version", "type", "executable", "directory", "comment", "iri")
    found: dict[str, Any] = {name: action.text(_PREFIX + _FIELDS[name]) for name in names}
    host = action.text(f"{_PREFIX}host")
    details = _object(action.text(f"{_PREFIX}hostDetails"))
    found["host"] = details or ({"name": host} if host else None)
    for name in ("job", "environment", "container"):
        found[name] = _object(action.text(_PREFIX + name))
    arguments = _parsed(action.text(f"{_PREFIX}arguments"))
    if isinstance(arguments, list) and all(isinstance(a, str) for a in arguments):
        found["arguments"] = tuple(arguments)
    code = action.text(f"{_PREFIX}exitCode") or ""
    if code.removeprefix("-").isdecimal() and len(code) < 10:
        found["exit_code"] = int(code)
    status = action.text(f"{_PREFIX}status")
    if status in set(Status):
        found |= {"status": Status(status), "status_raw": status}
    return {name: value for name, value in found.items() if value is not None}


def is_own(key: str) -> bool:
    """Whether a property is of our own namespace."""
    return key.startswith(_PREFIX)


def image_terms(content: Row) -> JSONObject:
    """Return the properties of a ContainerImage."""
    known = {"name": content.get("image") or content.get("name") or "container image"}
    for key in ("registry", "tag"):
        known[key] = content.get(key)
    algorithm, _, digits = str(content.get("digest") or "").partition(":")
    if algorithm in ("sha256", "md5") and digits:
        known[algorithm] = digits
    said: JSONObject = {key: value for key, value in known.items() if isinstance(value, str)}
    kind = _image_kind(content)
    return said | ({"additionalType": {"@id": f"{RUN_TERMS}{kind}"}} if kind else {})


def _image_kind(content: Row) -> str | None:
    runtime, image = str(content.get("runtime") or ""), str(content.get("image") or "")
    if runtime in ("apptainer", "singularity") or image.endswith(".sif"):
        return "SIFImage"
    return "DockerImage" if runtime in ("docker", "podman") else None


def packages_of(environment: Row) -> Iterator[tuple[str, str]]:
    """Yield (name, version) of the packages of an environment."""
    for package in listed(environment.get("packages")):
        if isinstance(package, dict) and package.get("name") and package.get("version"):
            yield str(package["name"]), str(package["version"])


def assessment_items(row: Row) -> dict[str, JSONObject]:
    """Return the action that an assessment is, and what it came to, by their ids."""
    id_ = f"urn:uuid:{row['id']}"
    files = _bare([{"@id": f"urn:uuid:{told['id']}"} for told in row["entities"]])
    said = {"description": row.get("reason"), _REVOKES: row.get("revokes"),
            "agent": {"@id": row["agent"]} if row.get("agent") else None}  # fmt: skip
    action: JSONObject = {
        "@id": id_,
        "@type": REVIEW,
        "additionalType": _NAMES[AssessmentKind(row["kind"])],
        "name": row["kind"],
        "startTime": row["at"],
        "endTime": row["at"],
        "actionStatus": _DONE,
        "object": files,
        **{key: value for key, value in said.items() if value},
    }
    items = {id_: action}
    outcomes: dict[str, list[JSONObject]] = defaultdict(list)
    for told in row["entities"] if row["kind"] == AssessmentKind.VERIFICATION else ():
        outcomes[told["outcome"]].append({"@id": f"urn:uuid:{told['id']}"})
    for outcome, judged in outcomes.items():
        review = f"{id_}#{outcome}"
        items[review] = {
            "@id": review,
            "@type": "Review",
            "name": f"verification: {outcome}",
            "reviewBody": outcome,
            "itemReviewed": _bare(judged),
        }
    if outcomes:
        action["result"] = _bare([{"@id": f"{id_}#{outcome}"} for outcome in outcomes])
    return items


def assessment_of(
    action: Thing, graph: Graph, at: datetime | None, agent: Agent | None
) -> Assessment | None:
    """Return the assessment that a ReviewAction is; None for one that is not ours, or not whole."""
    kind = _KINDS.get(action.text("additionalType") or "")
    uuid, reason = parse_uuid(action.id), action.text("description")
    if kind is None or uuid is None or at is None:
        return None
    told: dict[UUID, str | None] = {}
    if kind is AssessmentKind.INVALIDATION:
        told = dict.fromkeys(_uuids(action.ids("object")))
    elif kind is AssessmentKind.VERIFICATION:
        for review in graph.refer(action, "result"):
            outcome = review.text("reviewBody")
            if outcome in _OUTCOMES:
                told |= dict.fromkeys(_uuids(review.ids("itemReviewed")), outcome)
    revokes = parse_uuid(action.text(_REVOKES) or "")
    is_revocation = kind is AssessmentKind.REVOCATION
    if is_revocation != (revokes is not None) or is_revocation == bool(told):
        return None
    if kind is not AssessmentKind.VERIFICATION and not reason:
        return None
    return Assessment(
        uuid=uuid,
        kind=kind,
        at=at,
        reason=reason,
        agent_iri=agent.iri if agent else None,
        agent_name=agent.name if agent else None,
        revokes=revokes,
        entities=tuple(told.items()),
    )


def setting_of(thing: Thing) -> Any:  # Any: a JSON value
    """Return the value of a PropertyValue: JSON where it is said to be."""
    text = thing.text("value")
    if thing.text("propertyID") != SETTING:
        return text
    if thing.text("encodingFormat") == "application/json":
        return _parsed(text)
    return "" if text == '""' else text


def _bare(values: list[JSONObject]) -> list[JSONObject] | JSONObject:
    """Return the one value of a list that has only one, as RO-Crate 1.1 recommends."""
    return values[0] if len(values) == 1 else values


def _uuids(names: Iterable[str]) -> list[UUID]:
    return [uuid for name in names if (uuid := parse_uuid(name)) is not None]


def _json(value: Any) -> str | None:  # Any: free-form JSON
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _parsed(text: str | None) -> Any:  # Any: free-form JSON
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _object(text: str | None) -> JSONObject | None:
    value = _parsed(text)
    return value if isinstance(value, dict) else None
