"""Rows of assessments: what was said of products afterwards."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    RowMapping,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.orm import Session

from provmanager.model import Assessment, AssessmentKind

from .lineage import id_array
from .tables import INSTANT, document, metadata
from .writing import copy_rows

assessment = Table(
    "assessment",
    metadata,
    Column("document_id", BigInteger, ForeignKey(document.c.document_id), primary_key=True),
    Column("assessment_uuid", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("assessed_at", INSTANT, nullable=False),
    Column("reason", Text),
    Column("agent_iri", Text),
    Column("agent_name", Text),
    Column("revokes", Uuid),
)
assessed_entity = Table(
    "assessed_entity",
    metadata,
    Column("document_id", BigInteger, primary_key=True),
    Column("entity_uuid", Uuid, primary_key=True),
    Column("outcome", Text),
    Column("assessment_uuid", Uuid, primary_key=True),
    ForeignKeyConstraint(
        ("document_id", "assessment_uuid"),
        (assessment.c.document_id, assessment.c.assessment_uuid),
    ),
)

_NAMES = """name (entity_id, uuid) AS (
    SELECT entity_id, entity_uuid FROM prov.entity
    WHERE entity_id = ANY(CAST(:ids AS bigint[]))
    UNION SELECT e.entity_id, a.alias_uuid FROM prov.entity e
    JOIN prov.entity_alias a USING (entity_uuid) WHERE e.entity_id = ANY(CAST(:ids AS bigint[]))
    UNION SELECT entity_id, CAST(substr(identifier, 10) AS uuid) FROM prov.entity_identifier
    WHERE entity_id = ANY(CAST(:ids AS bigint[])) AND kind = 'product-id'
    AND identifier ~ '^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')"""
"""The ids by which assessments may name entities: theirs now, former ones, and product ids."""


def insert(session: Session, told: Sequence[tuple[int, Assessment]]) -> None:
    """Write the assessments of documents, each with the document's id."""
    copy_rows(
        session,
        "assessment",
        ("document_id", "assessment_uuid", "kind", "assessed_at", "reason", "agent_iri",
         "agent_name", "revokes"),
        ((i, a.uuid, a.kind, a.at, a.reason, a.agent_iri, a.agent_name, a.revokes)
         for i, a in told),
    )  # fmt: skip
    rows = ((i, a.uuid, uuid, outcome) for i, a in told for uuid, outcome in a.entities)
    columns = ("document_id", "assessment_uuid", "entity_uuid", "outcome")
    copy_rows(session, "assessed_entity", columns, rows)


def any_of(session: Session, kind: AssessmentKind) -> bool:
    """Return whether there is an assessment of that kind."""
    query = text("SELECT EXISTS (SELECT 1 FROM prov.assessment WHERE kind = :kind)")
    return bool(session.execute(query, {"kind": str(kind)}).scalar_one())


def of_entity(session: Session, entity_id: int) -> list[RowMapping]:
    """Return all that was said of an entity under any of its ids, the newest first.

    What several documents tell of one assessment is there once.
    """
    rows = session.execute(
        text(
            f"WITH {_NAMES}, told AS (SELECT DISTINCT ON (s.assessment_uuid) "  # noqa: S608
            "s.assessment_uuid, s.kind, s.assessed_at, s.reason, s.agent_name, s.agent_iri, "
            "d.received_from, d.received_at, encode(d.sha256, 'hex') AS document, x.outcome, "
            "r.assessment_uuid AS revoked_by, r.assessed_at AS revoked_at, "
            "r.reason AS revoked_reason, r.agent_name AS revoked_agent "
            "FROM name JOIN prov.assessed_entity x ON x.entity_uuid = name.uuid "
            "JOIN prov.assessment s USING (document_id, assessment_uuid) "
            "JOIN prov.document d USING (document_id) "
            "LEFT JOIN LATERAL (SELECT * FROM prov.assessment v WHERE "
            "v.revokes = s.assessment_uuid ORDER BY v.assessed_at, v.assessment_uuid LIMIT 1) r "
            "ON true ORDER BY s.assessment_uuid, d.received_at, d.sha256) "
            "SELECT * FROM told ORDER BY assessed_at DESC, assessment_uuid LIMIT 100"
        ),
        {"ids": id_array([entity_id])},
    )
    return list(rows.mappings())


def of_entities(session: Session, entity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return (entity UUID, outcome, and the assessment) of all that was said of entities."""
    kinds = (AssessmentKind.INVALIDATION, AssessmentKind.VERIFICATION)
    if not any(any_of(session, kind) for kind in kinds):
        return []
    ids = session.execute(
        text("SELECT entity_id FROM prov.entity WHERE entity_uuid = ANY(CAST(:u AS uuid[]))"),
        {"u": list(entity_uuids)},
    ).scalars()
    rows = session.execute(
        text(
            f"WITH {_NAMES} SELECT DISTINCT ON (s.assessment_uuid, name.entity_id) "  # noqa: S608
            "s.assessment_uuid, s.kind, s.assessed_at, s.reason, s.agent_name, s.agent_iri, "
            "x.outcome, e.entity_uuid "
            "FROM name JOIN prov.assessed_entity x ON x.entity_uuid = name.uuid "
            "JOIN prov.assessment s USING (document_id, assessment_uuid) "
            "JOIN prov.entity e ON e.entity_id = name.entity_id "
            "ORDER BY s.assessment_uuid, name.entity_id, s.document_id"
        ),
        {"ids": id_array(list(ids))},
    )
    return list(rows.mappings())


def revocations(session: Session, uuids: Sequence[UUID]) -> list[RowMapping]:
    """Return the assessments that take any of these back, each once."""
    rows = session.execute(
        text(
            "SELECT DISTINCT ON (assessment_uuid) assessment_uuid, kind, assessed_at, reason, "
            "agent_name, agent_iri, revokes FROM prov.assessment "
            "WHERE revokes = ANY(CAST(:u AS uuid[])) ORDER BY assessment_uuid, document_id"
        ),
        {"u": list(map(str, uuids))},
    )
    return list(rows.mappings())


def invalid_among(session: Session, entity_ids: Sequence[int]) -> list[RowMapping]:
    """Return (entity_id, reason, at, id) of those entities that are marked as invalid."""
    if not any_of(session, AssessmentKind.INVALIDATION):
        return []
    rows = session.execute(
        text(
            f"WITH {_NAMES} "  # noqa: S608
            "SELECT DISTINCT ON (entity_id) entity_id, s.reason, s.assessed_at, s.assessment_uuid "
            "FROM name JOIN prov.assessed_entity x ON x.entity_uuid = name.uuid "
            "JOIN prov.assessment s USING (document_id, assessment_uuid) "
            "WHERE s.kind = 'invalidation' AND NOT EXISTS (SELECT 1 FROM prov.assessment r "
            "WHERE r.revokes = s.assessment_uuid) "
            "ORDER BY entity_id, s.assessed_at DESC, s.assessment_uuid"
        ),
        {"ids": id_array(entity_ids)},
    )
    return list(rows.mappings())


def invalid_uuids(session: Session, uuids: Sequence[UUID]) -> set[UUID]:
    """Return which of these entities are marked as invalid."""
    if not any_of(session, AssessmentKind.INVALIDATION):
        return set()
    query = text(
        "SELECT entity_id, entity_uuid FROM prov.entity "
        "WHERE entity_uuid = ANY(CAST(:uuids AS uuid[]))"
    )
    rows = session.execute(query, {"uuids": list(map(str, uuids))})
    known: dict[int, UUID] = {row[0]: row[1] for row in rows}
    return {known[row["entity_id"]] for row in invalid_among(session, list(known))}


def products_of(session: Session, activity_ids: Sequence[int]) -> list[int]:
    """Return the entities that these activities used."""
    query = text(
        "SELECT DISTINCT entity_id FROM prov.used WHERE activity_id = ANY(CAST(:ids AS bigint[]))"
    )
    return list(session.execute(query, {"ids": id_array(activity_ids)}).scalars())


def verified_among(session: Session, entity_ids: Sequence[int]) -> list[RowMapping]:
    """Return (outcome, number, newest instant) of the last verifications of entities."""
    if not any_of(session, AssessmentKind.VERIFICATION):
        return []
    rows = session.execute(
        text(
            f"WITH {_NAMES}, "  # noqa: S608
            "last AS (SELECT DISTINCT ON (name.entity_id) x.outcome, s.assessed_at "
            "FROM name JOIN prov.assessed_entity x ON x.entity_uuid = name.uuid "
            "JOIN prov.assessment s USING (document_id, assessment_uuid) "
            "WHERE s.kind = 'verification' "
            "ORDER BY name.entity_id, s.assessed_at DESC, s.assessment_uuid) "
            "SELECT outcome, count(*) AS number, max(assessed_at) AS newest FROM last "
            "GROUP BY outcome ORDER BY outcome"
        ),
        {"ids": id_array(entity_ids)},
    )
    return list(rows.mappings())
