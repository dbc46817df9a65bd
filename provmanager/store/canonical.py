"""The record as plain rows: by names and not by keys, so that two stores can be compared.

What is here follows from the documents and from nothing else. What does not is left out: keys,
times of receipt, former UUIDs of entities (they depend on the order), tokens, the log; and of what
is stored once for many — environments, hosts, configurations — that which nothing refers to any
more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Result, text
from sqlalchemy.orm import Session

from provmanager.model.rebuilt import DocumentCopy

_PAGE = 2000
_OF_ACTIVITY = "t.activity = ANY(CAST(:uuids AS uuid[]))"
_OF_ENTITY = "t.entity = ANY(CAST(:uuids AS uuid[]))"
_OF_DOCUMENT = "t.document = ANY(CAST(:documents AS bytea[]))"
_ALWAYS = "true"
_SAID = "d.sha256 AS document, x.stated_at"
_WHERE_SAID = "LEFT JOIN prov.document d USING (document_id)"
_DESCRIBED = "x.name AS described, x.version"
_PART_OF = "JOIN prov.activity_description x USING (activity_description_id)"


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of one kind.

    Attributes
    ----------
    query : str
        A row each, with the columns by name; each row is there once.
    key : tuple of str
        Columns that say which row it is.
    within : str or None
        Condition for the rows of a part of the record; None where they belong to no part.
    """

    query: str
    key: tuple[str, ...]
    within: str | None


RELATIONS = {
    "document": Relation(
        "SELECT sha256 AS document, format, reason FROM prov.document", ("document",), _OF_DOCUMENT
    ),
    "activity": Relation(
        """
        SELECT a.activity_uuid AS activity, a.name, a.version, a.status, a.status_raw,
               a.exit_code, a.started_at, a.ended_at, a.is_claim, a.arguments, a.job, a.details,
               a.type, a.iri, a.started_raw, a.ended_raw, a.comment, a.executable, a.directory,
               encode(e.sha256, 'hex') AS environment, encode(h.sha256, 'hex') AS host,
               encode(c.sha256, 'hex') AS container,
               (SELECT jsonb_object_agg(p.name, p.value) FROM prov.parameter p
                WHERE p.activity_id = a.activity_id) AS configuration
        FROM prov.activity a LEFT JOIN prov.environment e USING (environment_id)
        LEFT JOIN prov.host h USING (host_id) LEFT JOIN prov.container c USING (container_id)""",
        ("activity",),
        _OF_ACTIVITY,
    ),
    "entity": Relation(
        """
        SELECT e.entity_uuid AS entity, e.kind, e.name, e.value, e.size_bytes, e.content_type,
               encode(e.sha256, 'hex') AS sha256, e.generated_at, e.invalidated_at,
               a.activity_uuid AS generated_by, r.name AS role, g.name AS rule, e.comment,
               e.details, d.uri || e.base_name AS location
        FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by
        LEFT JOIN prov.role r ON r.role_id = e.generation_role_id
        LEFT JOIN prov.link_rule g ON g.link_rule_id = e.generation_rule_id
        LEFT JOIN prov.directory d USING (directory_id)""",
        ("entity",),
        _OF_ENTITY,
    ),
    "entity_identifier": Relation(
        """
        SELECT e.entity_uuid AS entity, i.kind, i.identifier
        FROM prov.entity_identifier i JOIN prov.entity e USING (entity_id)""",
        ("entity", "kind", "identifier"),
        _OF_ENTITY,
    ),
    "entity_location": Relation(
        """
        SELECT e.entity_uuid AS entity, d.uri || x.base_name AS location
        FROM prov.entity_location x JOIN prov.entity e USING (entity_id)
        JOIN prov.directory d ON d.directory_id = x.directory_id""",
        ("entity", "location"),
        _OF_ENTITY,
    ),
    "used": Relation(
        """
        SELECT a.activity_uuid AS activity, e.entity_uuid AS entity, r.name AS role,
               l.name AS rule, u.used_at
        FROM prov.used u JOIN prov.activity a USING (activity_id)
        JOIN prov.entity e USING (entity_id) JOIN prov.role r USING (role_id)
        JOIN prov.link_rule l USING (link_rule_id)""",
        ("activity", "entity", "role"),
        _OF_ACTIVITY,
    ),
    "generation_claim": Relation(
        """
        SELECT e.entity_uuid AS entity, a.activity_uuid AS activity, r.name AS role, g.reason
        FROM prov.generation_claim g JOIN prov.entity e USING (entity_id)
        JOIN prov.activity a USING (activity_id) JOIN prov.role r USING (role_id)""",
        ("entity", "activity", "role", "reason"),
        _OF_ENTITY,
    ),
    "was_informed_by": Relation(
        """
        SELECT i.activity_uuid AS activity, o.activity_uuid AS informant, w.kind, r.name AS rule
        FROM prov.was_informed_by w JOIN prov.link_rule r USING (link_rule_id)
        JOIN prov.activity i ON i.activity_id = w.informed_id
        JOIN prov.activity o ON o.activity_id = w.informant_id""",
        ("activity", "informant", "kind"),
        _OF_ACTIVITY,
    ),
    "was_derived_from": Relation(
        """
        SELECT d.entity_uuid AS entity, s.entity_uuid AS source, r.name AS rule
        FROM prov.was_derived_from w JOIN prov.link_rule r USING (link_rule_id)
        JOIN prov.entity d ON d.entity_id = w.derived_id
        JOIN prov.entity s ON s.entity_id = w.source_id""",
        ("entity", "source"),
        _OF_ENTITY,
    ),
    "had_member": Relation(
        """
        SELECT c.entity_uuid AS entity, m.entity_uuid AS member FROM prov.had_member h
        JOIN prov.entity c ON c.entity_id = h.collection_id
        JOIN prov.entity m ON m.entity_id = h.member_id""",
        ("entity", "member"),
        _OF_ENTITY,
    ),
    "agent": Relation(
        """
        SELECT iri AS agent, name, type, email, affiliation, phone, address, url, comment, details
        FROM prov.agent""",
        ("agent",),
        None,
    ),
    "was_associated_with": Relation(
        """
        SELECT a.activity_uuid AS activity, g.iri AS agent, r.name AS role
        FROM prov.was_associated_with w JOIN prov.activity a USING (activity_id)
        JOIN prov.agent g USING (agent_id) JOIN prov.role r USING (role_id)""",
        ("activity", "agent", "role"),
        _OF_ACTIVITY,
    ),
    "was_attributed_to": Relation(
        """
        SELECT e.entity_uuid AS entity, g.iri AS agent, r.name AS role
        FROM prov.was_attributed_to w JOIN prov.entity e USING (entity_id)
        JOIN prov.agent g USING (agent_id) JOIN prov.role r USING (role_id)""",
        ("entity", "agent", "role"),
        _OF_ENTITY,
    ),
    "edge": Relation(
        """
        SELECT coalesce(ta.activity_uuid, t_ent.entity_uuid) AS target,
               coalesce(sa.activity_uuid, se.entity_uuid) AS source
        FROM prov.edge g
        LEFT JOIN prov.activity ta ON ta.activity_id = g.target_id
        LEFT JOIN prov.entity t_ent ON t_ent.entity_id = g.target_id
        LEFT JOIN prov.activity sa ON sa.activity_id = g.source_id
        LEFT JOIN prov.entity se ON se.entity_id = g.source_id""",
        ("target", "source"),
        "t.target = ANY(CAST(:uuids AS uuid[]))",
    ),
    "activity_document": Relation(
        """
        SELECT a.activity_uuid AS activity, d.sha256 AS document, x.claim
        FROM prov.activity_document x JOIN prov.document d USING (document_id)
        JOIN prov.activity a USING (activity_id)""",
        ("activity", "document"),
        _OF_ACTIVITY,
    ),
    "entity_document": Relation(
        """
        SELECT e.entity_uuid AS entity, d.sha256 AS document
        FROM prov.entity_document x JOIN prov.entity e USING (entity_id)
        JOIN prov.document d USING (document_id)""",
        ("entity", "document"),
        _OF_ENTITY,
    ),
    "contradiction": Relation(
        """
        SELECT subject_uuid AS subject, subject_kind, field, held, claimed, message
        FROM prov.contradiction""",
        ("subject", "field", "held", "claimed"),
        "t.subject = ANY(CAST(:uuids AS uuid[]))",
    ),
    "statement": Relation(
        """
        SELECT d.sha256 AS document, s.ordinal, s.bundle, s.type, s.identifier, s.attributes
        FROM prov.statement s JOIN prov.document d USING (document_id)""",
        ("document", "ordinal"),
        _OF_DOCUMENT,
    ),
    "constraint_check": Relation(
        """
        SELECT d.sha256 AS document, c.n_violations, c.rules
        FROM prov.constraint_check c JOIN prov.document d USING (document_id)""",
        ("document",),
        _OF_DOCUMENT,
    ),
    "namespace": Relation(
        """
        SELECT d.sha256 AS document, n.prefix, n.uri
        FROM prov.namespace n JOIN prov.document d USING (document_id)""",
        ("document", "prefix"),
        _OF_DOCUMENT,
    ),
    "assessment": Relation(
        """
        SELECT d.sha256 AS document, s.assessment_uuid AS assessment, s.kind, s.assessed_at,
               s.reason, s.agent_iri, s.agent_name, s.revokes
        FROM prov.assessment s JOIN prov.document d USING (document_id)""",
        ("document", "assessment"),
        _OF_DOCUMENT,
    ),
    "assessed_entity": Relation(
        """
        SELECT d.sha256 AS document, x.assessment_uuid AS assessment, x.entity_uuid AS assessed,
               x.outcome
        FROM prov.assessed_entity x JOIN prov.document d USING (document_id)""",
        ("document", "assessment", "assessed"),
        _OF_DOCUMENT,
    ),
    **{
        table: Relation(
            f"SELECT encode(x.sha256, 'hex') AS {table}, {columns} FROM prov.{table} x "  # noqa: S608
            f"WHERE EXISTS (SELECT 1 FROM prov.activity a WHERE a.{table}_id = x.{table}_id)",
            (table,),
            f"EXISTS (SELECT 1 FROM prov.activity a JOIN prov.{table} x USING ({table}_id) "  # noqa: S608
            f"WHERE a.activity_uuid = ANY(CAST(:uuids AS uuid[])) "
            f"AND encode(x.sha256, 'hex') = t.{table})",
        )
        for table, columns in (
            ("environment", "x.content"),
            ("host", "x.name, x.content"),
            ("container", "x.content"),
        )
    },
    "package": Relation(
        """
        SELECT encode(e.sha256, 'hex') AS environment, p.name, p.version
        FROM prov.package p JOIN prov.environment e USING (environment_id)
        WHERE EXISTS (SELECT 1 FROM prov.activity a WHERE a.environment_id = e.environment_id)""",
        ("environment", "name", "version"),
        "EXISTS (SELECT 1 FROM prov.activity a JOIN prov.environment x USING (environment_id) "
        "WHERE a.activity_uuid = ANY(CAST(:uuids AS uuid[])) "
        "AND encode(x.sha256, 'hex') = t.environment)",
    ),
    "entity_description": Relation(
        f"SELECT x.name, x.description, x.docurl, x.type, x.content_type, x.value_type, "  # noqa: S608
        f"x.unit, x.ucd, x.utype, {_SAID} FROM prov.entity_description x {_WHERE_SAID}",
        ("name",),
        _ALWAYS,
    ),
    "activity_description": Relation(
        f"SELECT x.name, x.version, x.description, x.docurl, x.type, x.subtype, {_SAID} "  # noqa: S608
        f"FROM prov.activity_description x {_WHERE_SAID}",
        ("name", "version"),
        _ALWAYS,
    ),
    "flow_description": Relation(
        f"SELECT {_DESCRIBED}, p.direction, p.role, p.description, p.type, p.multiplicity, "  # noqa: S608
        f"p.entity_description FROM prov.flow_description p {_PART_OF}",
        ("described", "version", "direction", "role"),
        _ALWAYS,
    ),
    "parameter_description": Relation(
        f"SELECT {_DESCRIBED}, p.name, p.value_type, p.description, p.unit, p.ucd, p.utype, "  # noqa: S608
        f"p.min, p.max, p.default_value, p.options FROM prov.parameter_description p {_PART_OF}",
        ("described", "version", "name"),
        _ALWAYS,
    ),
    "config_file_description": Relation(
        f"SELECT {_DESCRIBED}, p.name, p.content_type, p.description "  # noqa: S608
        f"FROM prov.config_file_description p {_PART_OF}",
        ("described", "version", "name"),
        _ALWAYS,
    ),
    "link_rule": Relation("SELECT name, basis, reason FROM prov.link_rule", ("name",), _ALWAYS),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the record: activities and entities, and the documents that decide about them."""

    uuids: Sequence[UUID]
    document_ids: Sequence[int]


class Nodes(NamedTuple):
    """Activities and entities of a lineage."""

    activity_ids: list[int]
    entity_ids: list[int]
    uuids: list[UUID]


def nodes_of(session: Session, ids: Sequence[int]) -> Nodes:
    """Return those of `ids` that are activities, those that are entities, and what was used."""
    query = (
        "SELECT activity_id, activity_uuid, true FROM prov.activity WHERE activity_id = ANY(:ids) "
        "UNION ALL SELECT entity_id, entity_uuid, false FROM prov.entity WHERE entity_id IN "
        "(SELECT unnest(CAST(:ids AS bigint[])) "
        "UNION SELECT entity_id FROM prov.used WHERE activity_id = ANY(:ids))"
    )
    found = session.execute(text(query), {"ids": list(ids)}).all()
    return Nodes(
        [i for i, _, is_activity in found if is_activity],
        [i for i, _, is_activity in found if not is_activity],
        [uuid for _, uuid, _ in found],
    )


def assessing(session: Session, uuids: Sequence[UUID]) -> list[int]:
    """Return the documents that assess these, and those that take an assessment of these back."""
    query = (
        "WITH told AS (SELECT document_id, assessment_uuid FROM prov.assessed_entity "
        "WHERE entity_uuid = ANY(CAST(:u AS uuid[]))) "
        "SELECT document_id FROM told UNION SELECT r.document_id FROM told "
        "JOIN prov.assessment r ON r.revokes = told.assessment_uuid"
    )
    return list(session.execute(text(query), {"u": list(map(str, uuids))}).scalars())


def document_ids(
    session: Session, activity_ids: Sequence[int], entity_ids: Sequence[int]
) -> list[int]:
    """Return the documents that tell of these, of their users and makers, and of what they are in.

    What an activity is in are those that it was part of, at any depth. With what mentions a file
    aside come all that tell of the same activities: what a product's header says of its run counts
    only where that has no record of its own; of such a run the headers of all its products tell.
    Those of descriptions, which are few, tell of all.
    """
    query = (
        "WITH RECURSIVE act (activity_id) AS ("
        "  SELECT activity_id FROM prov.used WHERE entity_id = ANY(:entities)"
        "  UNION SELECT generated_by FROM prov.entity"
        "        WHERE entity_id = ANY(:entities) AND generated_by IS NOT NULL"
        "  UNION SELECT activity_id FROM prov.generation_claim WHERE entity_id = ANY(:entities)"
        "  UNION SELECT unnest(CAST(:activities AS bigint[]))"
        "), level (activity_id) AS ("
        "  SELECT activity_id FROM act"
        "  UNION SELECT w.informant_id FROM level JOIN prov.was_informed_by w"
        "        ON w.informed_id = level.activity_id AND w.kind = 'part-of'"
        "), claimed (activity_id) AS ("
        "  SELECT activity_id FROM level JOIN prov.activity USING (activity_id) WHERE is_claim"
        "), aside (document_id) AS ("
        "  SELECT document_id FROM prov.entity_document WHERE entity_id = ANY(:entities)"
        "  UNION SELECT d.document_id FROM claimed JOIN prov.entity e"
        "        ON e.generated_by = claimed.activity_id"
        "        JOIN prov.entity_document d USING (entity_id)"
        "  UNION SELECT d.document_id FROM claimed JOIN prov.generation_claim USING (activity_id)"
        "        JOIN prov.entity_document d USING (entity_id)"
        ") SELECT document_id FROM prov.activity_document JOIN level USING (activity_id) "
        "UNION SELECT document_id FROM aside "
        "UNION SELECT o.document_id FROM aside JOIN prov.activity_document t USING (document_id)"
        "      JOIN prov.activity_document o ON o.activity_id = t.activity_id "
        "UNION SELECT document_id FROM prov.document WHERE format = 'descriptions'"
    )
    values = {"activities": list(activity_ids), "entities": list(entity_ids)}
    return list(session.execute(text(query), values).scalars())


def count_documents(session: Session) -> int:
    """Return how many documents there are."""
    return int(session.execute(text("SELECT count(*) FROM prov.document")).scalar_one())


def ids_of_documents(session: Session, digests: Sequence[str]) -> list[int]:
    """Return the ids of documents, by SHA-256 (hexadecimal)."""
    query = text("SELECT document_id FROM prov.document WHERE encode(sha256, 'hex') = ANY(:d)")
    return list(session.execute(query, {"d": list(digests)}).scalars())


def rows(session: Session, relation: str, part: Part | None = None) -> Iterator[str]:
    """Yield the rows of a relation as JSON objects, in no order; those of `part` only.

    They are read as they are asked for, so that a record of any size goes through.
    """
    asked = RELATIONS[relation]
    values: dict[str, object] = {}
    query = f"SELECT CAST(to_jsonb(t) AS text) FROM ({asked.query}) AS t"  # noqa: S608
    if part is not None:
        if asked.within is None:
            return
        query += f" WHERE {asked.within}"
        if ":uuids" in asked.within:
            values["uuids"] = list(map(str, part.uuids))
        if ":documents" in asked.within:
            values["documents"] = _digests(session, part.document_ids)
    yield from _streamed(session, query, values).scalars()


def documents(session: Session, part: Part | None = None) -> Iterator[DocumentCopy]:
    """Yield the documents in the order in which they were recorded; those of `part` only."""
    query = (
        "SELECT encode(sha256, 'hex') AS sha256, encode(stored_sha256, 'hex') AS stored_sha256, "
        "source_name, size_bytes, "
        "content FROM prov.document "
    )
    values: dict[str, object] = {}
    if part is not None:
        query += "WHERE document_id = ANY(:ids) "
        values["ids"] = list(part.document_ids)
    for row in _streamed(session, query + "ORDER BY document_id", values):
        yield DocumentCopy(**dict(row._mapping) | {"content": bytes(row.content)})


def read_only(session: Session) -> None:
    """Let the transaction, before its first statement, see the record as it is at one instant."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.execute(text("SET TRANSACTION READ ONLY"))


def _digests(session: Session, document_ids: Sequence[int]) -> list[bytes]:
    query = text("SELECT sha256 FROM prov.document WHERE document_id = ANY(:ids)")
    return [bytes(d) for d in session.execute(query, {"ids": list(document_ids)}).scalars()]


def _streamed(session: Session, query: str, values: dict[str, object]) -> Result[Any]:
    options = {"stream_results": True, "yield_per": _PAGE}
    return session.execute(text(query), values, execution_options=options)
