"""Recording documents: read, redact, compare with the record, write; each whole or not at all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import AuthorisationError, DocumentTooLargeError, JSONDict, ProvError
from provmanager.formats import Environments, read
from provmanager.ids import sha256_hex
from provmanager.model import Document, Role
from provmanager.store import assessments as assessment_store
from provmanager.store import descriptions as description_store
from provmanager.store import documents as document_store
from provmanager.store import known as known_store
from provmanager.store import writing
from provmanager.store.known import KnownActivity

from .assessments import check_may_say
from .claims import Claim, Contradiction, Run, Told, check_collision, claims_of, job_of, merge
from .mentions import LocationPolicy
from .recording import Written, record_batch
from .redaction import RedactionPolicy, load_policy
from .resolution import resolve_batch
from .runs import Batch
from .storable import check_storable
from .validity import check_validity


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """What the operator decides about ingest."""

    redaction: RedactionPolicy = field(default_factory=load_policy)
    locations: LocationPolicy = field(default_factory=LocationPolicy)
    max_document_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a document, with who sent it.

    Attributes
    ----------
    name : str or None
        File name that the sender gave.
    received_from : str or None
        Name of the sender's token, kept with the document.
    job : str or None
        Id of the only grid or batch job for which the sender may speak.
    sha256 : str or None
        Of `data` that come from a record: SHA-256 of the bytes as that received them. Nothing is
        redacted anew.
    role : Role
        Of the sender's token.
    """

    data: bytes
    name: str | None = None
    received_from: str | None = None
    job: str | None = None
    sha256: str | None = None
    role: Role = Role.RECORDER


@dataclass(slots=True)
class Outcome:
    """What became of one document: ``recorded``, ``unchanged`` or ``refused``."""

    name: str | None
    outcome: str
    receipt: JSONDict | None = None
    error: ProvError | None = None

    def to_wire(self) -> JSONDict:
        """Return the item as it crosses HTTP."""
        error = self.error.to_wire() if self.error else None
        return {
            "name": self.name,
            "outcome": self.outcome,
            "receipt": self.receipt,
            "error": error,
        }


@dataclass(slots=True)
class Reading:
    """A document that was read, and its claims."""

    place: int
    source: Source
    sha256: str
    stored: bytes
    n_redactions: int
    document: Document
    claims: list[Claim]
    validity: JSONDict | None


def record(
    session: Session,
    sources: Iterable[Source],
    *,
    policy: IngestPolicy,
) -> list[Outcome]:
    """Record documents in the caller's transaction; return one outcome each, in their order.

    A document that cannot be recorded is refused with its reason and leaves no trace; the others
    are recorded. The record is the same for any order and grouping of the documents, and a
    document that is in it already changes nothing.
    """
    return record_read(session, read_sources(sources, policy=policy), policy=policy)


def read_sources(sources: Iterable[Source], *, policy: IngestPolicy) -> list[Reading | Outcome]:
    """Read documents, without the database: for each what it states, or why it is refused."""
    shared = _Shared()
    found: list[Reading | Outcome] = []
    for source in sources:
        try:
            reading = _read(source, policy, shared)
            _check_job(reading.document, source.job)
            check_may_say(reading.document, source.role)
            found.append(reading)
        except ProvError as error:
            found.append(Outcome(source.name, "refused", error=error))
    return found


def record_read(
    session: Session, items: Sequence[Reading | Outcome], *, policy: IngestPolicy
) -> list[Outcome]:
    """Do what `record` does, with documents that `read_sources` read."""
    outcomes: list[Outcome | None] = [None] * len(items)
    readings: list[Reading] = []
    for place, item in enumerate(items):
        if isinstance(item, Outcome):
            outcomes[place] = item
        else:
            item.place = place
            readings.append(item)
    writing.lock_writers(session)
    new, again = _split_known(session, readings)
    uuids = {c.activity.uuid for r in new for c in r.claims}
    known = known_store.known_activities(session, uuids) if new else {}
    earlier = _earlier_claims(session, new, known)
    accepted, refused = _check_collisions(new, known, earlier)
    for reading, reason in refused:
        outcomes[reading.place] = Outcome(reading.source.name, "refused", error=reason)
    if accepted:
        receipts = _write(session, accepted, known, earlier, policy)
        for reading, receipt in zip(accepted, receipts, strict=True):
            outcomes[reading.place] = Outcome(reading.source.name, "recorded", receipt)
    refusals = {reading.sha256: reason for reading, reason in refused}
    for reading, receipt in zip(again, _unchanged(session, again), strict=True):
        outcomes[reading.place] = Outcome(reading.source.name, "unchanged", receipt)
        if reading.sha256 in refusals:  # twice in one batch
            why = refusals[reading.sha256]
            outcomes[reading.place] = Outcome(reading.source.name, "refused", error=why)
    return [o for o in outcomes if o is not None]


@dataclass(slots=True)
class _Shared:
    """What the documents of a batch have in common: it is looked at once."""

    environments: Environments = field(default_factory=Environments)
    checked: set[int] = field(default_factory=set)


def _read(source: Source, policy: IngestPolicy, shared: _Shared) -> Reading:
    size = len(source.data)
    if size > policy.max_document_bytes:
        raise DocumentTooLargeError(
            f"the document has {size} bytes, the limit is {policy.max_document_bytes}: send the "
            "provenance only, not the product; or raise PROV_MAX_DOCUMENT_BYTES on the server",
            expected=policy.max_document_bytes,
            found=size,
        )
    stored, n_redactions = source.data, 0
    if source.sha256 is None:
        stored, n_redactions = policy.redaction.apply(source.data)
    if source.name is not None and source.sha256 is None:
        name, _ = policy.redaction.apply(source.name.encode("utf-8", "replace"))
        source = replace(source, name=name.decode())
    document = read(stored, name=source.name, environments=shared.environments)
    check_storable(document, shared.checked)
    sha256 = source.sha256 or sha256_hex(source.data)
    claims = claims_of(document, sha256)
    validity = check_validity(document)
    return Reading(0, source, sha256, stored, n_redactions, document, claims, validity)


def _check_job(document: Document, job: str | None) -> None:
    """Refuse what a token that is bound to a job says of anything but that job's activities."""
    if job is None:
        return
    for activity in document.activities:
        said = job_of(activity)
        if said != job:
            raise _not_its_job(job, activity.uuid, activity.name, said)
    if not document.activities and (document.entities or document.agents):
        raise AuthorisationError(
            f"this token may record for job {job} only, and the document tells of no activity of "
            "it: deliver the record of the run",
            expected=job,
        )


def _not_its_job(job: str, uuid: UUID, name: str | None, found: str | None) -> AuthorisationError:
    return AuthorisationError(
        f"this token may record for job {job} only; activity {uuid} ({name}) is of "
        f"{f'job {found}' if found else 'no job'}",
        expected=job,
        found=found,
    )


def _split_known(
    session: Session, readings: Sequence[Reading]
) -> tuple[list[Reading], list[Reading]]:
    known = set(known_store.known_documents(session, [r.sha256 for r in readings]))
    new: list[Reading] = []
    again: list[Reading] = []
    for reading in readings:
        (again if reading.sha256 in known else new).append(reading)
        known.add(reading.sha256)
    return new, again


def _check_collisions(
    readings: Sequence[Reading],
    known: Mapping[UUID, KnownActivity],
    earlier: Mapping[UUID, Sequence[Claim]],
) -> tuple[list[Reading], list[tuple[Reading, ProvError]]]:
    """Refuse documents that give a run the UUID of another; the first to come stands."""
    told = {u: Told(a.job) for u, a in known.items() if not a.is_claim}
    for uuid, claims in earlier.items():
        for claim in claims:
            told.setdefault(uuid, Told(None)).add(claim)
    accepted: list[Reading] = []
    refused: list[tuple[Reading, ProvError]] = []
    for reading in readings:
        try:
            for claim in reading.claims:
                _check_told(claim, told.get(claim.activity.uuid), reading.source.job)
        except ProvError as error:
            refused.append((reading, error))
            continue
        accepted.append(reading)
        for claim in reading.claims:
            if not claim.activity.is_claim:
                told.setdefault(claim.activity.uuid, Told(job_of(claim.activity))).add(claim)
    return accepted, refused


def _check_told(claim: Claim, told: Told | None, job: str | None) -> None:
    if told is None:
        return
    if job is not None and told.job != job:  # whatever the document says
        raise _not_its_job(job, claim.activity.uuid, told.name, told.job)
    check_collision(claim, told)


def _write(
    session: Session,
    readings: Sequence[Reading],
    activities: Mapping[UUID, KnownActivity],
    earlier: Mapping[UUID, Sequence[Claim]],
    policy: IngestPolicy,
) -> list[JSONDict]:
    new_claims: dict[UUID, list[Claim]] = defaultdict(list)
    for reading in readings:
        for claim in reading.claims:
            new_claims[claim.activity.uuid].append(claim)
    known = {u: a for u, a in activities.items() if u in new_claims}
    runs, confirmed = _runs(new_claims, known, earlier)
    documents = {r.sha256: r.document for r in readings}
    found = resolve_batch(session, runs, documents, known=known, locate=policy.locations.apply)
    rows = [
        document_store.NewDocument(
            r.sha256,
            sha256_hex(r.stored) if r.n_redactions or r.source.sha256 else r.sha256,
            r.document.format,
            r.document.reason,
            r.source.name,
            r.stored,
            r.n_redactions,
            r.source.received_from,
        )
        for r in readings
    ]
    ids = document_store.insert(session, rows, writing.take_node_ids(session, len(rows)))
    checks = [(ids[r.sha256], r.validity) for r in readings if r.validity is not None]
    document_store.insert_checks(session, [(i, c["violations"], c["rules"]) for i, c in checks])
    told = [(ids[r.sha256], a) for r in readings for a in r.document.assessments]
    assessment_store.insert(session, told)
    described = ((r.sha256, r.document.descriptions) for r in readings)
    description_store.insert(
        session, [description_store.Told(ids[s], s, d) for s, d in described if d is not None]
    )
    batch = Batch(runs, known, documents, ids, confirmed)
    written = record_batch(session, batch, found)
    differing: dict[UUID, list[Contradiction]] = defaultdict(list)
    for contradiction in written.contradictions:
        differing[contradiction.subject].append(contradiction)
    return [_receipt(r, batch, written, differing) for r in readings]


def _runs(
    new_claims: Mapping[UUID, list[Claim]],
    known: Mapping[UUID, KnownActivity],
    earlier: Mapping[UUID, Sequence[Claim]],
) -> tuple[dict[UUID, Run], list[tuple[UUID, str, str]]]:
    """Return the activities to write, whole, and the claims that only confirm what is held."""
    confirmed: list[tuple[UUID, str, str]] = []
    runs: dict[UUID, Run] = {}
    for uuid, claims in new_claims.items():
        if uuid in known and uuid not in earlier:
            confirmed += [(uuid, c.document, c.digest) for c in claims]
        else:
            runs[uuid] = merge([*earlier.get(uuid, ()), *claims])
    return runs, confirmed


def _earlier_claims(
    session: Session, readings: Sequence[Reading], known: Mapping[UUID, KnownActivity]
) -> dict[UUID, list[Claim]]:
    """Return what the record's documents say of those known activities that are told of anew.

    What a document says of entities among themselves needs those that its activities used and
    generated: then no claim of it is a mere confirmation.
    """
    retold: set[UUID] = set()
    for reading in readings:
        document = reading.document
        relates = bool(document.derived or document.members or document.attributed)
        for claim in reading.claims:
            held = known.get(claim.activity.uuid)
            if held is None or held.uuid in retold:
                continue
            adds_nothing = held.claims and claim.is_bare and not claim.informed
            is_fresh = claim.digest not in held.claims and not adds_nothing
            has_entities = relates and (claim.used or claim.generated)
            if is_fresh or has_entities:
                retold.add(held.uuid)
    claims: dict[UUID, list[Claim]] = {uuid: [] for uuid in retold}
    if not retold:
        return claims
    activity_ids = [known[uuid].activity_id for uuid in retold]
    for stored in known_store.documents_of_activities(session, activity_ids):
        document = read(stored.content, name=stored.source_name)
        for claim in claims_of(document, stored.sha256):
            if claim.activity.uuid in claims:
                claims[claim.activity.uuid].append(claim)
    return claims


def _receipt(
    reading: Reading, batch: Batch, written: Written, differing: Mapping[UUID, list[Contradiction]]
) -> JSONDict:
    entities = _entities(reading, written)
    subjects = {c.activity.uuid for c in reading.claims} | set(entities)
    return {
        **_head(reading, "recorded"),
        "activities": [
            {
                "id": str(c.activity.uuid),
                "name": c.activity.name,
                "outcome": _activity_outcome(c, batch),
            }
            for c in reading.claims
        ],
        "entities": list(entities.values()),
        "counts": _counts(reading.document, len(entities)),
        "contradictions": [
            {
                "subject": str(c.subject),
                "field": c.field,
                "held": c.held,
                "claimed": c.claimed,
                "message": c.message,
            }
            for subject in subjects
            for c in differing.get(subject, ())
        ],
    }


def _head(reading: Reading, outcome: str) -> JSONDict:
    document = reading.document
    return {
        "document": reading.sha256,
        "format": document.format,
        "reason": document.reason,
        "outcome": outcome,
        "notes": [asdict(n) for n in document.notes],
        "redactions": reading.n_redactions,
        "validity": reading.validity,
    }


def _counts(document: Document, n_entities: int) -> JSONDict:
    return {
        "activities": len(document.activities),
        "entities": n_entities,
        "used": len(document.used),
        "generated": len(document.generated),
    }


def _entities(reading: Reading, written: Written) -> dict[UUID, JSONDict]:
    found: dict[UUID, JSONDict] = {}
    for entity in reading.document.entities:
        became = written.entity_of.get((reading.sha256, entity.key))
        if became is not None and became[0] not in found:
            uuid, outcome, rule = became
            name = entity.name or (entity.locations or (None,))[0]
            found[uuid] = {"id": str(uuid), "name": name, "outcome": outcome, "rule": rule}
    return found


def _activity_outcome(claim: Claim, batch: Batch) -> str:
    uuid = claim.activity.uuid
    run = batch.runs.get(uuid)
    if run is None:
        return "confirmed"
    if run.contradictions:
        return "contradictory"
    if uuid in batch.known:
        return "confirmed" if claim.digest in batch.known[uuid].claims else "completed"
    return "claimed" if claim.activity.is_claim else "new"


def _unchanged(session: Session, readings: Sequence[Reading]) -> list[JSONDict]:
    """Return the receipts of documents that the record has already."""
    ids = known_store.known_documents(session, [r.sha256 for r in readings]) if readings else {}
    entities: dict[int, list[JSONDict]] = defaultdict(list)
    for document_id, uuid, name in document_store.entities_of(session, sorted(ids.values())):
        entities[document_id].append(
            {"id": str(uuid), "name": name, "outcome": "confirmed", "rule": "same-document"}
        )
    return [
        {
            **_head(reading, "unchanged"),
            "activities": [
                {"id": str(a.uuid), "name": a.name, "outcome": "confirmed"}
                for a in reading.document.activities
            ],
            "entities": (mine := entities[ids.get(reading.sha256, 0)]),
            "counts": _counts(reading.document, len(mine)),
            "contradictions": [],
        }
        for reading in readings
    ]
