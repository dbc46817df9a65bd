"""What documents claim of activities, and how several claims become one record of a run.

An activity is its UUID (DESIGN identity rule 1). Each document's account of it is a `Claim`; the
record is a function of the set of claims, never of their order: a claim that says how the run ended
stands before one written while it ran, a tool's own account before what a product's metadata says;
what the first leaves open the next one fills in; where two differ, a `Contradiction` is kept.

A job that is rescheduled attempts its activities again. An account says of which attempt it is
(``job.attempt``): the last attempt's tell how the activity ended, and contradict no former one's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from provmanager.errors import ActivityCollisionError
from provmanager.ids import canonical_json, digest_of, sha256_hex
from provmanager.model import (
    Activity,
    Agent,
    Attempt,
    Document,
    Entity,
    InformKind,
    Status,
    Used,
    WasGeneratedBy,
    attempt_of,
)

TOOL_FORMATS = frozenset({"ctapipe", "lstosa", "run-json"})
"""Formats in which a tool records its own run: two such records of one UUID are of one run."""

_COMPARED = (
    "name", "version", "type", "exit_code", "started_at", "ended_at", "environment", "host",
    "container", "job", "configuration", "arguments", "executable", "directory", "comment",
)  # fmt: skip
_BULKY = frozenset({"environment", "host", "container", "job", "configuration"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What one document says of one activity.

    Attributes
    ----------
    document : str
        SHA-256 of the document, in hexadecimal.
    informed : tuple of (UUID of the informant, InformKind, rule name)
    digest : str
        Digest of all of the above; equal claims confirm each other.
    """

    document: str
    format: str
    activity: Activity
    used: tuple[tuple[Used, Entity], ...]
    generated: tuple[tuple[WasGeneratedBy, Entity], ...]
    informed: tuple[tuple[UUID, InformKind, str], ...]
    agents: tuple[tuple[Agent, str | None], ...]
    digest: str

    @property
    def is_own_account(self) -> bool:
        """Whether a tool tells of its own run."""
        return not self.activity.is_claim and self.format in TOOL_FORMATS

    @property
    def is_bare(self) -> bool:
        """Whether the document only names the activity."""
        a = self.activity
        return not (
            self.used or self.generated or self.agents or a.name or a.started_at or a.attributes
        )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two values of one field of one thing; `held` is the one that the record shows."""

    subject: UUID
    kind: str
    field: str
    held: str
    claimed: str
    message: str


@dataclass(slots=True)
class Run:
    """One activity as all its documents tell it.

    Attributes
    ----------
    claims : list of Claim
        One a document, in the order of their standing; equal ones all speak, so that each
        document's own names of entities are known.
    told : set of (SHA-256 of a document, digest of its claim)
        All of them.
    """

    activity: Activity
    claims: list[Claim]
    told: set[tuple[str, str]]
    contradictions: list[Contradiction] = field(default_factory=list)

    @property
    def speaking(self) -> list[Claim]:
        """The claims whose relations count: a tool's own, if there is one."""
        own = [c for c in self.claims if not c.activity.is_claim]
        return own or self.claims


def claims_of(document: Document, sha256: str) -> list[Claim]:
    """Return the claims of `document`, one an activity in it."""
    entities = {e.key: scoped(e, sha256) for e in document.entities}
    agents = {a.key: a for a in document.agents}
    uuids = {a.key: a.uuid for a in document.activities}
    used: dict[str, list[tuple[Used, Entity]]] = {}
    generated: dict[str, list[tuple[WasGeneratedBy, Entity]]] = {}
    informed: dict[str, list[tuple[UUID, InformKind, str]]] = {}
    associated: dict[str, list[tuple[Agent, str | None]]] = {}
    for usage in document.used:
        used.setdefault(usage.activity, []).append((usage, entities[usage.entity]))
    for generation in document.generated:
        generated.setdefault(generation.activity, []).append(
            (generation, entities[generation.entity])
        )
    for link in document.informed:
        informed.setdefault(link.informed, []).append((uuids[link.informant], link.kind, link.rule))
    for association in document.associated:
        associated.setdefault(association.activity, []).append(
            (agents[association.agent], association.role)
        )
    return [
        _claim(
            document.format,
            sha256,
            activity,
            tuple(used.get(activity.key, ())),
            tuple(generated.get(activity.key, ())),
            tuple(informed.get(activity.key, ())),
            tuple(associated.get(activity.key, ())),
        )
        for activity in document.activities
    ]


def scoped(entity: Entity, sha256: str) -> Entity:
    """Return `entity`; one without a name of its own gets one that is the document's alone."""
    if not entity.is_unnamed:
        return entity
    return replace(entity, product_ids=(f"urn:provmanager:document:{sha256}#{entity.key}",))


def _claim(
    format_: str,
    sha256: str,
    activity: Activity,
    used: tuple[tuple[Used, Entity], ...],
    generated: tuple[tuple[WasGeneratedBy, Entity], ...],
    informed: tuple[tuple[UUID, InformKind, str], ...],
    agents: tuple[tuple[Agent, str | None], ...],
) -> Claim:
    said = (
        format_ in TOOL_FORMATS,
        [getattr(activity, f.name) for f in fields(activity) if f.name != "key"],
        [_flow(u.role, u.at, e) for u, e in used],
        [_flow(g.role, g.at, e) for g, e in generated],
        sorted((str(uuid), kind, rule) for uuid, kind, rule in informed),
        sorted((a.iri, r or "") for a, r in agents),
    )
    try:
        text = orjson.dumps(said, default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates: slower, but any JSON
        text = canonical_json(_plain_all(said))
    return Claim(
        sha256, format_, activity, used, generated, informed, agents, sha256_hex(text)[:32]
    )


def _flow(role: str | None, at: datetime | None, entity: Entity) -> tuple[object, ...]:
    return (
        role, at, entity.kind, entity.name, entity.digests, entity.product_ids, entity.locations,
        entity.size_bytes, entity.content_type, entity.value, entity.generated_at,
        entity.invalidated_at, entity.comment, str(entity.producer), entity.attributes,
    )  # fmt: skip


def _plain(value: object) -> object:
    if isinstance(value, Status):
        return value.value
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(type(value).__name__)


def _plain_all(value: Any) -> Any:  # Any: free-form JSON
    if isinstance(value, dict):
        return {str(k): _plain_all(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_all(v) for v in value]
    return value if isinstance(value, int | float | bool | None | str) else str(value)


@dataclass(slots=True)
class Told:
    """What tools have told of an activity: those in the record, or earlier in the batch."""

    job: str | None
    name: str | None = None
    _starts: dict[Attempt | None, datetime] = field(default_factory=dict)

    def add(self, claim: Claim) -> None:
        """Take what a tool tells of its own run."""
        a = claim.activity
        if claim.is_own_account:
            self.name = self.name or a.name
            self.job = self.job or job_of(a)
            if a.started_at is not None:
                self._starts.setdefault(attempt_of(a.job), a.started_at)

    @property
    def started_at(self) -> datetime | None:
        """When its first told attempt began."""
        return next(iter(self._starts.values()), None)

    def other_start(self, a: Activity) -> datetime | None:
        """Return a start that is told of this attempt, or of another job, and is not this one.

        What names no attempt and what does are never compared: which of them were refused would
        depend on the order in which they come.
        """
        attempt = attempt_of(a.job)
        for one, start in self._starts.items():
            is_of_another_attempt = one and attempt and one != attempt and one.job == attempt.job
            if (one is None) != (attempt is None) or is_of_another_attempt:
                continue
            if a.started_at is not None and start != a.started_at:
                return start
        return None


def job_of(activity: Activity) -> str | None:
    """Return the id of the job that an activity ran in."""
    job = (activity.job or {}).get("id")
    return None if job is None else str(job)


def check_collision(claim: Claim, told: Told) -> None:
    """Refuse a tool's record whose UUID another run of another name or start has already.

    Raises
    ------
    ActivityCollisionError
        One UUID, two runs. A revised account of one run has its name and its start, but for
        another attempt of the same job.
    """
    a = claim.activity
    if not claim.is_own_account:
        return
    name, other_start = told.name, told.other_start(a)
    if not (name and a.name and name != a.name) and other_start is None:
        return
    started_at = other_start or told.started_at
    raise ActivityCollisionError(
        f"activity id {a.uuid} is already that of another run: recorded as {name!r} started "
        f"{_iso(started_at)}, this document says {a.name!r} started {_iso(a.started_at)}; an id "
        "names one run for ever, so give this run one of its own",
        activity=str(a.uuid),
        expected={"name": name, "started_at": _iso(started_at)},
        found={"name": a.name, "started_at": _iso(a.started_at)},
    )


def merge(claims: Iterable[Claim]) -> Run:
    """Return the run that `claims` tell of together; the same for any order of them."""
    claims = list(claims)
    told = {(c.document, c.digest) for c in claims}
    ordered = sorted({(c.document, c.digest): c for c in claims}.values(), key=_standing)
    attempts = _attempts(ordered)
    if attempts is None:
        return _merged(ordered, told)
    *former, last = attempts
    run = _merged(last, told)
    for accounts in former:
        run.claims += accounts
        run.contradictions += _merged(accounts, told).contradictions
    run.activity = _since_first_attempt(run)
    return run


def _attempts(ordered: Sequence[Claim]) -> list[list[Claim]] | None:
    """Return the accounts of each attempt, the last one's last; None if there are no several.

    What says nothing of an attempt, a production's claim of its run say, goes with the last one.
    """
    numbered: dict[Attempt, list[Claim]] = {}
    others: list[Claim] = []
    for claim in ordered:
        attempt = None if claim.activity.is_claim else attempt_of(claim.activity.job)
        (others if attempt is None else numbered.setdefault(attempt, [])).append(claim)
    if len(numbered) < 2 or len({attempt.job for attempt in numbered}) > 1:
        return None
    found = [numbered[attempt] for attempt in sorted(numbered)]
    found[-1] = sorted([*found[-1], *others], key=_standing)
    return found


def _since_first_attempt(run: Run) -> Activity:
    """Return the activity as begun when the first of its attempts began."""
    a = run.activity
    starts = [
        (c.activity.started_at, c.activity.started_raw)
        for c in run.claims
        if c.activity.started_at is not None and not c.activity.is_claim
    ]
    if not starts:
        return a
    first, raw = min(starts, key=lambda start: (start[0], start[1] or ""))
    if a.ended_at is not None and first > a.ended_at:
        return a
    return replace(a, started_at=first, started_raw=raw)


def _merged(ordered: list[Claim], told: set[tuple[str, str]]) -> Run:
    """Return the run that the accounts of one attempt tell of."""
    best = ordered[0].activity
    if len(ordered) == 1:
        return Run(best, list(ordered), told)
    contradictions: list[Contradiction] = []
    filled: dict[str, Any] = {}  # Any: whatever the field holds
    for other in (c.activity for c in ordered[1:]):
        for f in fields(Activity):
            held = filled.get(f.name, getattr(best, f.name))
            said = getattr(other, f.name)
            if f.name == "attributes" and held and said:  # key by key, as different words add up
                said, held = {**said, **held}, {}
            if f.name == "job" and held and said and not _differ(held, said):
                more = {key: value for key, value in held.items() if value is not None}
                said, held = {**said, **more}, {}  # the one says more of it than the other
            if held in (None, {}) and said not in (None, {}):
                filled[f.name] = said
            elif f.name in _COMPARED and said not in (None, {}, held) and not other.is_claim:
                contradictions.append(_contradiction(best.uuid, f.name, held, said))
        status = filled.get("status", best.status)
        if status is Status.UNKNOWN and other.status is not Status.UNKNOWN and not other.is_claim:
            filled["status"], filled["status_raw"] = other.status, other.status_raw
        elif status.is_final and other.status.is_final and status is not other.status:
            contradictions.append(_contradiction(best.uuid, "status", status, other.status))
    _settle_times(best, filled, contradictions)
    filled["is_claim"] = all(c.activity.is_claim for c in ordered)
    return Run(replace(best, **filled), ordered, told, contradictions)


def _differ(held: Mapping[str, Any], said: Mapping[str, Any]) -> bool:  # Any: free-form JSON
    """Whether two accounts of a job contradict each other in what both tell."""
    shared = held.keys() & said.keys()
    return any(None not in (held[key], said[key]) and held[key] != said[key] for key in shared)


def _settle_times(
    best: Activity, filled: dict[str, Any], contradictions: list[Contradiction]
) -> None:
    """Leave out a time of another claim that would let the activity end before it starts."""
    start = filled.get("started_at", best.started_at)
    end = filled.get("ended_at", best.ended_at)
    if start is None or end is None or start <= end:
        return
    for name in ("ended_at", "started_at"):
        if name in filled:
            held = best.started_at if name == "ended_at" else best.ended_at
            contradictions.append(_contradiction(best.uuid, name, held, filled.pop(name)))
            filled.pop(name.replace("_at", "_raw"), None)


def _standing(claim: Claim) -> tuple[object, ...]:
    a = claim.activity
    said = sum(getattr(a, f.name) not in (None, {}, ()) for f in fields(a))
    order = (a.is_claim, not a.status.is_final, a.status is Status.UNKNOWN, -said)
    return (*order, claim.digest, claim.document)


def _contradiction(
    subject: UUID,
    name: str,
    held: Any,
    claimed: Any,  # Any: whatever the field holds
) -> Contradiction:
    left, right = _short(name, held), _short(name, claimed)
    return Contradiction(
        subject,
        "activity",
        name,
        left,
        right,
        f"documents differ in the {name.replace('_', ' ')} of activity {subject}: "
        f"{left} (held) and {right}",
    )


def _short(name: str, value: Any) -> str:  # Any: whatever the field holds
    if name in _BULKY:
        return f"sha256:{digest_of(_plain_all(value))}"
    return _iso(value) if isinstance(value, datetime) else str(value)


def _iso(when: datetime | None) -> str:
    return when.isoformat().replace("+00:00", "Z") if when else "unknown"


def agents_of(run: Run) -> Sequence[tuple[Agent, str | None]]:
    """Return the agents of `run` with their roles, each pair once."""
    found: dict[tuple[str, str | None], tuple[Agent, str | None]] = {}
    for claim in run.speaking:
        for agent, role in claim.agents:
            found.setdefault((agent.iri, role), (agent, role))
    return list(found.values())
