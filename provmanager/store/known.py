"""What the record already holds of the things that a batch of documents names."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError

from .prepared import Prepared


@dataclass(slots=True)
class KnownActivity:
    """An activity in the record, with the digests of the claims on which it stands."""

    activity_id: int
    uuid: UUID
    name: str | None
    started_at: datetime | None
    ended_at: datetime | None
    is_claim: bool
    job: str | None
    claims: set[str]


@dataclass(slots=True)
class KnownEntity:
    """An entity in the record with all that identifies it.

    Attributes
    ----------
    producer : UUID or None
        Activity that generated it by a stated generation; `claimed_by` by a claim.
    is_contested : bool
        Whether there are more statements of its generation.
    row : dict
        The descriptive columns. (Any: column values.)
    """

    entity_id: int
    uuid: UUID
    producer: UUID | None
    claimed_by: UUID | None
    started_at: datetime | None
    ended_at: datetime | None
    digests: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    is_contested: bool = False
    row: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """An entity that an activity used, by a rule, or generated, without one.

    `is_claimed` if only metadata says that it generated it.
    """

    activity_id: int
    entity_id: int
    is_claimed: bool
    rule: str | None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored, uncompressed."""

    document_id: int
    sha256: str
    format: str
    source_name: str | None
    content: bytes


_DOCUMENTS = Prepared(
    "known_documents",
    "bytea[]",
    "SELECT sha256, document_id FROM prov.document WHERE sha256 = ANY($1)",
)
_ACTIVITIES = Prepared(
    "known_activities",
    "text[]",
    "SELECT activity_id, activity_uuid, name, started_at, ended_at, is_claim, job ->> 'id' "
    "FROM prov.activity WHERE activity_uuid = ANY(CAST($1 AS uuid[]))",
)
_PLACES = "JOIN unnest($2, $3) AS w (directory_id, base_name) USING (directory_id, base_name)"
_ENTITIES = Prepared(
    "known_entities",
    "bytea[], integer[], text[], text[]",
    "SELECT entity_id FROM prov.entity JOIN unnest($1) AS w (d) "  # noqa: S608
    "ON substring(sha256, 1, 7) = substring(d, 1, 7) AND sha256 = d "
    f"UNION SELECT entity_id FROM prov.entity {_PLACES} "
    f"UNION SELECT entity_id FROM prov.entity_location {_PLACES} "
    "UNION SELECT entity_id FROM prov.entity_identifier JOIN unnest($4) AS w (i) "
    "ON md5(identifier) = md5(i) AND identifier = i",
)
_ENTITIES_BY_ID = Prepared(
    "entities_by_id",
    "bigint[]",
    "SELECT e.*, a.activity_uuid, a.started_at AS run_started_at, "
    "       a.ended_at AS run_ended_at, r.basis, p.uri || e.base_name AS uri, "
    "       EXISTS (SELECT 1 FROM prov.generation_claim g WHERE g.entity_id = e.entity_id "
    "               AND g.reason <> 'producer-claim') AS is_contested "
    "FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by "
    "LEFT JOIN prov.link_rule r ON r.link_rule_id = e.generation_rule_id "
    "LEFT JOIN prov.directory p ON p.directory_id = e.directory_id "
    "WHERE e.entity_id = ANY($1)",
)
_NAMES_BY_ID = Prepared(
    "names_by_id",
    "bigint[]",
    "SELECT entity_id, kind, identifier "
    "FROM prov.entity_identifier WHERE entity_id = ANY($1) "
    "UNION ALL SELECT x.entity_id, 'location', p.uri || x.base_name "
    "FROM prov.entity_location x JOIN prov.directory p USING (directory_id) "
    "WHERE x.entity_id = ANY($1)",
)


def known_documents(session: Session, digests: Iterable[str]) -> dict[str, int]:
    """Return the ids of those documents that the record has, by SHA-256 (hexadecimal)."""
    rows = _DOCUMENTS.fetch(session, [bytes.fromhex(d) for d in digests])
    return {bytes(sha256).hex(): document_id for sha256, document_id in rows}


def known_activities(session: Session, uuids: Iterable[UUID]) -> dict[UUID, KnownActivity]:
    """Return those activities that the record has, by UUID."""
    rows = _ACTIVITIES.fetch(session, list(map(str, uuids)))
    found = {
        key: KnownActivity(key, uuid, name, started_at, ended_at, is_claim, job, set())
        for key, uuid, name, started_at, ended_at, is_claim, job in rows
    }
    if found:
        claims = session.execute(
            text(
                "SELECT activity_id, claim FROM prov.activity_document WHERE activity_id = ANY(:i)"
            ),
            {"i": list(found)},
        )
        for activity_id, claim in claims:
            found[activity_id].claims.add(claim.hex)
    return {a.uuid: a for a in found.values()}


def parents_of(session: Session, uuids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return the recorded part-of links above `uuids`, all the way up: inner to its outer ones."""
    rows = session.execute(
        text(
            "WITH RECURSIVE up (id) AS ("
            "  SELECT activity_id FROM prov.activity WHERE activity_uuid = ANY(CAST(:u AS uuid[]))"
            "  UNION SELECT w.informant_id FROM up JOIN prov.was_informed_by w"
            "        ON w.informed_id = up.id AND w.kind = 'part-of') "
            "SELECT i.activity_uuid AS inner_uuid, o.activity_uuid AS outer_uuid "
            "FROM up JOIN prov.was_informed_by w ON w.informed_id = up.id AND w.kind = 'part-of' "
            "JOIN prov.activity i ON i.activity_id = w.informed_id "
            "JOIN prov.activity o ON o.activity_id = w.informant_id"
        ),
        {"u": list(map(str, uuids))},
    )
    found: dict[UUID, set[UUID]] = {}
    for row in rows:
        found.setdefault(row.inner_uuid, set()).add(row.outer_uuid)
    return found


def known_entities(
    session: Session,
    *,
    digests: Iterable[str] = (),
    product_ids: Iterable[str] = (),
    places: Iterable[tuple[int, str]] = (),
) -> dict[int, KnownEntity]:
    """Return the entities that have one of these digests, product ids or locations, by id.

    A location is its (directory_id, base name).
    """
    digests = list(digests)
    sha256 = [bytes.fromhex(d[7:]) for d in digests if d.startswith("sha256:")]
    names = [*digests, *product_ids]  # where there are several SHA-256, one is in the entity's row
    places = list(places)
    if not (sha256 or names or places):
        return {}
    directories = [directory_id for directory_id, _ in places]
    rows = _ENTITIES.fetch(session, sha256, directories, [name for _, name in places], names)
    return entities_by_id(session, [entity_id for (entity_id,) in rows])


def entity_ids(session: Session, uuids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the ids of those entities that the record has, by UUID."""
    rows = session.execute(
        text(
            "SELECT entity_uuid, entity_id FROM prov.entity "
            "WHERE entity_uuid = ANY(CAST(:u AS uuid[]))"
        ),
        {"u": list(map(str, uuids))},
    )
    return {row[0]: row[1] for row in rows}


def entities_by_id(session: Session, ids: Sequence[int]) -> dict[int, KnownEntity]:
    """Return the entities `ids` with all that identifies them."""
    if not ids:
        return {}
    rows = _ENTITIES_BY_ID.fetch_dicts(session, ids)
    found = {row["entity_id"]: _known_entity(row) for row in rows}
    for entity_id, kind, identifier in _NAMES_BY_ID.fetch(session, ids):
        entity = found[entity_id]
        if kind == "digest":
            entity.digests = (*entity.digests, identifier)
        elif kind == "product-id":
            entity.product_ids = (*entity.product_ids, identifier)
        else:
            entity.locations = (*entity.locations, identifier)
    return found


def _known_entity(row: dict[str, Any]) -> KnownEntity:  # Any: column values
    claimed = row["basis"] == "claimed"
    return KnownEntity(
        entity_id=row["entity_id"],
        uuid=row["entity_uuid"],
        producer=None if claimed else row["activity_uuid"],
        claimed_by=row["activity_uuid"] if claimed else None,
        started_at=row["run_started_at"],
        ended_at=row["generated_at"] or row["run_ended_at"],
        digests=(f"sha256:{bytes(row['sha256']).hex()}",) if row["sha256"] else (),
        locations=(row["uri"],) if row["uri"] else (),
        is_contested=row["is_contested"],
        row=row,
    )


def links_of(session: Session, activity_ids: Sequence[int]) -> list[Link]:
    """Return what these activities used and generated."""
    rows = session.execute(
        text(
            "SELECT activity_id, entity_id, false AS is_claimed, name FROM prov.used "
            "JOIN prov.link_rule USING (link_rule_id) WHERE activity_id = ANY(:ids) "
            "UNION ALL SELECT generated_by, entity_id, false, NULL FROM prov.entity "
            "JOIN prov.link_rule ON link_rule_id = generation_rule_id "
            "WHERE generated_by = ANY(:ids) AND basis <> 'claimed' "
            "UNION ALL SELECT activity_id, entity_id, reason = 'producer-claim', NULL "
            "FROM prov.generation_claim WHERE activity_id = ANY(:ids)"
        ),
        {"ids": list(activity_ids)},
    )
    return [Link(row.activity_id, row.entity_id, row.is_claimed, row.name) for row in rows]


def generated_within(session: Session, activity_ids: Sequence[int]) -> set[int]:
    """Return the entities that these activities or parts of them, at any depth, generated."""
    rows = session.execute(
        text(
            "WITH RECURSIVE part (id) AS ("
            "  SELECT unnest(CAST(:ids AS bigint[]))"
            "  UNION SELECT w.informed_id FROM part JOIN prov.was_informed_by w"
            "        ON w.informant_id = part.id AND w.kind = 'part-of') "
            "SELECT entity_id FROM prov.entity WHERE generated_by IN (SELECT id FROM part) "
            "UNION SELECT entity_id FROM prov.generation_claim "
            "WHERE activity_id IN (SELECT id FROM part)"
        ),
        {"ids": list(activity_ids)},
    )
    return set(rows.scalars())


def claimed_producers(session: Session, entity_ids: Sequence[int]) -> list[int]:
    """Return the activities that metadata of these entities claims."""
    rows = session.execute(
        text(
            "SELECT DISTINCT activity_id FROM prov.generation_claim "
            "WHERE entity_id = ANY(:ids) AND reason = 'producer-claim'"
        ),
        {"ids": list(entity_ids)},
    )
    return list(rows.scalars())


def documents_of_entities(session: Session, entity_ids: Sequence[int]) -> list[StoredDocument]:
    """Return every document that told of these entities: of their users and generators too."""
    rows = session.execute(
        text(
            "WITH act AS ("
            "  SELECT activity_id FROM prov.used WHERE entity_id = ANY(:ids)"
            "  UNION SELECT generated_by FROM prov.entity WHERE entity_id = ANY(:ids)"
            "  UNION SELECT activity_id FROM prov.generation_claim WHERE entity_id = ANY(:ids)) "
            "SELECT document_id FROM prov.activity_document JOIN act USING (activity_id) "
            "UNION SELECT document_id FROM prov.entity_document WHERE entity_id = ANY(:ids)"
        ),
        {"ids": list(entity_ids)},
    )
    return stored_documents(session, list(rows.scalars()))


def documents_of_activities(session: Session, activity_ids: Sequence[int]) -> list[StoredDocument]:
    """Return every document that told of these activities."""
    rows = session.execute(
        text(
            "SELECT DISTINCT document_id FROM prov.activity_document WHERE activity_id = ANY(:ids)"
        ),
        {"ids": list(activity_ids)},
    )
    return stored_documents(session, list(rows.scalars()))


def stored_documents(session: Session, document_ids: Sequence[int]) -> list[StoredDocument]:
    """Return the documents `document_ids`, in the order of their digests."""
    rows = session.execute(
        text("SELECT * FROM prov.document WHERE document_id = ANY(:ids) ORDER BY sha256"),
        {"ids": list(document_ids)},
    )
    return [_stored(row) for row in rows]


def document_by_sha256(session: Session, sha256: str) -> StoredDocument | None:
    """Return the document whose received or stored bytes have this SHA-256, or None."""
    row = session.execute(
        text("SELECT * FROM prov.document WHERE sha256 = :d OR stored_sha256 = :d LIMIT 1"),
        {"d": bytes.fromhex(sha256)},
    ).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Any) -> StoredDocument:  # Any: a result row
    sha256 = bytes(row.sha256).hex()
    try:
        content = zlib.decompress(bytes(row.content))
    except zlib.error as error:
        raise DifferenceError(
            f"the stored document {sha256} ({row.source_name or 'unnamed'}) is damaged: it cannot "
            f"be decompressed ({error}); prod-verify --all says what else is, and the operator's "
            "backups, or who delivered it, may have it",
            document=sha256,
        ) from error
    return StoredDocument(row.document_id, sha256, row.format, row.source_name, content)


def versions_read_after(session: Session, readings: Sequence[tuple[int, datetime]]) -> set[int]:
    """Return which of these entities somebody used at or after the time given with it.

    A document that mentions one aside counts as a use of any time.
    """
    rows = session.execute(
        text(
            "WITH w AS (SELECT * FROM unnest(CAST(:e AS bigint[]), CAST(:t AS timestamptz[]))"
            "           AS w (entity_id, t)) "
            "SELECT w.entity_id FROM w JOIN prov.used USING (entity_id) "
            "JOIN prov.activity a USING (activity_id) "
            "WHERE greatest(coalesce(used_at, a.started_at, 'infinity'), a.ended_at) >= w.t "
            "UNION SELECT w.entity_id FROM w JOIN prov.entity_document USING (entity_id)"
        ),
        {"e": [e for e, _ in readings], "t": [t for _, t in readings]},
    )
    return set(rows.scalars())
