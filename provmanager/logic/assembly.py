"""From identities to rows: what an entity's mentions say together, whatever their order.

Where mentions differ in a descriptive field the smallest value stands (in the order of its
canonical JSON): not because it is the better one, but because it is the same for any order of the
documents; the difference is kept as a contradiction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from provmanager.formats import split_location
from provmanager.ids import canonical_json, clean_json, join_json
from provmanager.model import Activity, Entity, ProducerClaim, Status, flatten
from provmanager.model.identity import Identity

from .claims import Contradiction
from .mentions import Spoken

_KINDS = ("dataset", "value", "collection")
_FIELDS = ("name", "value", "content_type", "comment", "size_bytes")
_EARLY = datetime.min.replace(tzinfo=UTC)
_GETTERS = tuple((name, attrgetter(name)) for name in _FIELDS)


@dataclass(slots=True)
class EntityFacts:
    """The descriptive columns of one entity.

    Attributes
    ----------
    columns : dict
        Column name to value. (Any: column values.)
    locations : list of str
        LFN before URL before path.
    """

    columns: dict[str, Any]
    digests: list[str]
    product_ids: list[str]
    locations: list[str]
    claims: list[ProducerClaim]
    contradictions: list[Contradiction]


def entity_facts(identity: Identity, spoken: Sequence[Spoken]) -> EntityFacts:
    """Return what `spoken`, the mentions of `identity` in documents, say of it together."""
    entities = [s.entity for s in spoken]
    contradictions: list[Contradiction] = []
    locations = sorted({x for s in spoken for x in s.mention.locations}, key=location_rank)
    columns: dict[str, Any] = {}  # Any: column values
    for name, field_of in _GETTERS:
        values = set(map(field_of, entities))
        values.discard(None)
        if len(values) > 1:
            columns[name] = _agreed(identity.uuid, name, values, contradictions)
        else:
            columns[name] = values.pop() if values else None
    if columns["name"] is not None:
        columns["name"] = best_name(map(_own_name, spoken), identity)
    columns["kind"] = max((e.kind.value for e in entities), key=_KINDS.index)
    producing = _producing(identity, spoken)
    made = [s.at or s.entity.generated_at for s in producing]
    if identity.producer is None:
        made = [e.generated_at for e in entities]
    columns["generated_at"] = min((t for t in made if t), default=None)
    columns["invalidated_at"] = min((t for e in entities if (t := e.invalidated_at)), default=None)
    columns["details"] = _details(entities, columns["invalidated_at"])
    digests, own = _digests(identity, spoken, producing, contradictions)
    columns["sha256"] = bytes.fromhex(own.partition(":")[2]) if own else None
    return EntityFacts(
        columns,
        [d for d in digests if d != own],
        sorted(identity.product_ids),
        locations,
        sorted({e.producer for e in entities if e.producer}, key=claim_rank),
        contradictions,
    )


def best_name(names: Iterable[str | None], identity: Identity) -> str | None:
    """Return the first of `names`; one that only repeats an identifier comes last."""
    identifiers = (*identity.digests, *identity.product_ids)
    found = {n for n in names if n}
    return min(found, key=lambda n: (any(n in i for i in identifiers), n), default=None)


def _own_name(spoken: Spoken) -> str | None:
    """Return the name that a mention gives; that of the file at its own location says nothing."""
    name = spoken.entity.name
    if name is None or any(name == split_location(x)[1] for x in spoken.mention.locations):
        return None
    return name


def claim_rank(claim: ProducerClaim) -> tuple[object, ...]:
    """Return the rank of what metadata says of a producer: the fullest account first."""
    times = (claim.started_at, _ended_at(claim))
    said = (claim.name, claim.version, *times)
    return (
        -sum(x is not None for x in said),
        claim.name or "",
        claim.version or "",
        *(t or _EARLY for t in times),
        str(claim.uuid),
    )


def _ended_at(claim: ProducerClaim) -> datetime | None:
    """Return when the producer ended, unless that is before it started."""
    start, end = claim.started_at, claim.ended_at
    return None if start and end and end < start else end


def _producing(identity: Identity, spoken: Sequence[Spoken]) -> list[Spoken]:
    maker = identity.producer.activity if identity.producer else None
    return [s for s in spoken if s.mention.act == 0 and s.mention.activity == maker]


def location_rank(uri: str) -> tuple[int, str]:
    """Return the rank of a location: LFNs first, then URLs, then paths."""
    scheme = uri.partition(":")[0]
    return ({"lfn": 0, "file": 2}.get(scheme, 1), uri)


def _agreed(
    uuid: UUID, name: str, distinct: Iterable[Any], contradictions: list[Contradiction]
) -> Any:  # Any: column values
    found = {canonical_json(v): v for v in distinct}
    first, *others = sorted(found)
    if name in ("size_bytes", "value"):
        contradictions += [_differs(uuid, name, str(found[first]), str(found[o])) for o in others]
    return found[first]


def _digests(
    identity: Identity,
    spoken: Sequence[Spoken],
    makers: Sequence[Spoken],
    contradictions: list[Contradiction],
) -> tuple[list[str], str | None]:
    """Return all digests, and the SHA-256 that stands: the producer's, else the earliest's."""
    said = {s.entity.digests for s in spoken}
    if len(said) == 1 and len(one := said.pop()) < 2:  # as nearly always
        return list(one), next((d for d in one if d.startswith("sha256:")), None)
    ordered = [*makers, *(s for s in spoken if s not in makers)]
    held: dict[str, str] = {}
    for item in ordered:
        for digest in item.entity.digests:
            algorithm = digest.partition(":")[0]
            first = held.setdefault(algorithm, digest)
            if first != digest:
                contradictions.append(_differs(identity.uuid, algorithm, first, digest))
    return sorted({d for s in spoken for d in s.entity.digests}), held.get("sha256")


def _differs(uuid: UUID, name: str, held: str, claimed: str) -> Contradiction:
    return Contradiction(
        uuid, "entity", name, held, claimed,
        f"documents differ in the {name.replace('_', ' ')} of product {uuid}: "
        f"{held} (held) and {claimed}",
    )  # fmt: skip


def _details(entities: Iterable[Entity], invalidated_at: Any) -> dict[str, Any] | None:
    """Join the attributes key by key. (Any: free-form JSON.)"""
    joined: dict[str, Any] = {}
    for entity in entities:
        joined = join_json(joined, entity.attributes)
    if "invalidated_at" in joined:  # a word of the document's own, which need not be an instant
        joined["attributes.invalidated_at"] = joined.pop("invalidated_at")
    if invalidated_at is not None:
        joined["invalidated_at"] = invalidated_at.isoformat()
    return clean_json(joined) if joined else None


def join_columns(
    held: Mapping[str, Any], said: Mapping[str, Any], identity: Identity
) -> dict[str, Any]:
    """Return those columns of a known entity that `said` changes. (Any: column values.)"""
    changed: dict[str, Any] = {}
    for name in (*_FIELDS, "sha256", "generated_at"):
        if said[name] is not None and held[name] is None:
            changed[name] = said[name]
        elif name in _FIELDS and said[name] is not None and said[name] != held[name]:
            changed[name] = min(said[name], held[name], key=canonical_json)
    if held["name"] and said["name"]:
        changed["name"] = best_name((held["name"], said["name"]), identity)
    if identity.producer is None and held["generated_at"] and said["generated_at"]:
        changed["generated_at"] = min(held["generated_at"], said["generated_at"])
    kinds = (held["kind"], said["kind"])
    changed["kind"] = max(kinds, key=_KINDS.index)
    changed["details"] = join_json(held["details"] or {}, said["details"] or {}) or None
    if said["invalidated_at"]:
        stated = datetime.fromisoformat(changed["details"]["invalidated_at"])
        changed["invalidated_at"] = stated
    return {k: v for k, v in changed.items() if differ(v, held[k])}


def differ(left: Any, right: Any) -> bool:  # Any: JSON values
    """Whether two JSON values differ: to Python, 1, 1.0 and true are equal."""
    if type(left) is not type(right) or left != right:
        return True
    return isinstance(left, list | dict) and canonical_json(left) != canonical_json(right)


def activity_columns(activity: Activity) -> dict[str, Any]:
    """Return the plain columns of an activity row. (Any: column values.)"""
    a = activity
    raw = a.status_raw
    return {
        "started_at": a.started_at,
        "ended_at": a.ended_at,
        "exit_code": a.exit_code,
        "is_claim": a.is_claim,
        "name": a.name,
        "version": a.version,
        "type": a.type,
        "status": a.status.value,
        "status_raw": None if raw == a.status.value else raw,
        "iri": a.iri,
        "started_raw": _unlike_iso(a.started_raw),
        "ended_raw": _unlike_iso(a.ended_raw),
        "comment": a.comment,
        "executable": a.executable,
        "directory": a.directory,
        "arguments": a.arguments,
        "job": clean_json(a.job) if a.job else None,
        "details": clean_json(a.attributes) if a.attributes else None,
    }


def _unlike_iso(raw: str | None) -> str | None:
    return None if raw is None or (raw.endswith("Z") and "T" in raw) else raw


def placeholder(claim: ProducerClaim) -> Activity:
    """Return the activity that only a product's metadata names; of impossible times, the start."""
    return Activity(
        key=str(claim.uuid),
        uuid=claim.uuid,
        name=claim.name,
        version=claim.version,
        status=Status.UNKNOWN,
        started_at=claim.started_at,
        ended_at=_ended_at(claim),
        is_claim=True,
    )


def shape_of(activity: Activity) -> tuple[list[Any], dict[str, Any]]:
    """Return the shape of an activity's configuration and its flat content.

    Configurations of one shape (activity name, version, parameter names) share a template in the
    store; each activity keeps only what differs from it. (Any: JSON values.)
    """
    flat = {str(k): v for k, v in flatten(activity.configuration or {})}
    return [activity.name, activity.version, sorted(flat)], flat
