"""The whole record as plain data, by names and not by keys, to compare two stores."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.logic.ingest import IngestPolicy, Outcome, Source, record
from provmanager.store.database import Database

_KEPT = (
    *("link_rule", "migration", "log_identity"),
    # never deleted, so that a running server remembers their ids
    *("role", "directory", "environment", "package", "host", "container", "configuration"),
)
_QUERIES = {
    "activities": """
        SELECT a.activity_uuid::text, a.name, a.version, a.status, a.status_raw, a.exit_code,
               a.started_at, a.ended_at, a.is_claim, a.arguments, a.job::text, a.details::text,
               a.type, a.iri, a.started_raw, a.ended_raw, a.comment, a.executable, a.directory,
               encode(e.sha256, 'hex'), encode(h.sha256, 'hex'), encode(c.sha256, 'hex'),
               (SELECT jsonb_object_agg(p.name, p.value)::text FROM prov.parameter p
                WHERE p.activity_id = a.activity_id)
        FROM prov.activity a LEFT JOIN prov.environment e USING (environment_id)
        LEFT JOIN prov.host h USING (host_id) LEFT JOIN prov.container c USING (container_id)""",
    "entities": """
        SELECT e.entity_uuid::text, e.kind, e.name, e.value, e.size_bytes, e.content_type,
               encode(e.sha256, 'hex'), e.generated_at, e.invalidated_at, a.activity_uuid::text,
               r.name, g.name, e.comment, e.details::text, d.uri || e.base_name
        FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by
        LEFT JOIN prov.role r ON r.role_id = e.generation_role_id
        LEFT JOIN prov.link_rule g ON g.link_rule_id = e.generation_rule_id
        LEFT JOIN prov.directory d USING (directory_id)""",
    "identifiers": """
        SELECT e.entity_uuid::text, i.kind, i.identifier
        FROM prov.entity_identifier i JOIN prov.entity e USING (entity_id)""",
    "locations": """
        SELECT e.entity_uuid::text, d.uri || x.base_name FROM prov.entity_location x
        JOIN prov.entity e USING (entity_id)
        JOIN prov.directory d ON d.directory_id = x.directory_id""",
    "used": """
        SELECT a.activity_uuid::text, e.entity_uuid::text, r.name, l.name, u.used_at
        FROM prov.used u JOIN prov.activity a USING (activity_id) JOIN prov.entity e
        USING (entity_id) JOIN prov.role r USING (role_id) JOIN prov.link_rule l
        USING (link_rule_id)""",
    "generation_claims": """
        SELECT e.entity_uuid::text, a.activity_uuid::text, r.name, g.reason
        FROM prov.generation_claim g JOIN prov.entity e USING (entity_id)
        JOIN prov.activity a USING (activity_id) JOIN prov.role r USING (role_id)""",
    "informed": """
        SELECT i.activity_uuid::text, o.activity_uuid::text, w.kind, r.name
        FROM prov.was_informed_by w JOIN prov.link_rule r USING (link_rule_id)
        JOIN prov.activity i ON i.activity_id = w.informed_id
        JOIN prov.activity o ON o.activity_id = w.informant_id""",
    "derived": """
        SELECT d.entity_uuid::text, s.entity_uuid::text, r.name FROM prov.was_derived_from w
        JOIN prov.link_rule r USING (link_rule_id)
        JOIN prov.entity d ON d.entity_id = w.derived_id
        JOIN prov.entity s ON s.entity_id = w.source_id""",
    "members": """
        SELECT c.entity_uuid::text, m.entity_uuid::text FROM prov.had_member h
        JOIN prov.entity c ON c.entity_id = h.collection_id
        JOIN prov.entity m ON m.entity_id = h.member_id""",
    "agents": """
        SELECT iri, name, type, email, affiliation, phone, address, url, comment, details::text
        FROM prov.agent""",
    "associated": """
        SELECT a.activity_uuid::text, g.iri, r.name FROM prov.was_associated_with w
        JOIN prov.activity a USING (activity_id) JOIN prov.agent g USING (agent_id)
        JOIN prov.role r USING (role_id)""",
    "attributed": """
        SELECT e.entity_uuid::text, g.iri, r.name FROM prov.was_attributed_to w
        JOIN prov.entity e USING (entity_id) JOIN prov.agent g USING (agent_id)
        JOIN prov.role r USING (role_id)""",
    "edges": """
        WITH node AS (SELECT activity_id AS id, activity_uuid::text AS name FROM prov.activity
                      UNION ALL SELECT entity_id, entity_uuid::text FROM prov.entity)
        SELECT t.name, s.name FROM prov.edge JOIN node t ON t.id = target_id
        JOIN node s ON s.id = source_id""",
    "documents": """
        SELECT encode(sha256, 'hex'), a.activity_uuid::text, d.claim::text FROM prov.document
        LEFT JOIN prov.activity_document d USING (document_id)
        LEFT JOIN prov.activity a USING (activity_id)""",
    "contradictions": """
        SELECT subject_uuid::text, subject_kind, field, held, claimed, message
        FROM prov.contradiction""",
    "mentioned": """
        SELECT e.entity_uuid::text, encode(d.sha256, 'hex') FROM prov.entity_document x
        JOIN prov.entity e USING (entity_id) JOIN prov.document d USING (document_id)""",
    "statements": """
        SELECT encode(d.sha256, 'hex'), s.ordinal, s.bundle, s.type, s.identifier,
               s.attributes::text
        FROM prov.statement s JOIN prov.document d USING (document_id)""",
    "namespaces": """
        SELECT encode(d.sha256, 'hex'), n.prefix, n.uri
        FROM prov.namespace n JOIN prov.document d USING (document_id)""",
}


def snapshot(session: Session) -> dict[str, list[tuple[object, ...]]]:
    """Return the record: relation name to its sorted rows."""
    return {
        name: sorted((tuple(map(_plain, row)) for row in session.execute(text(query))), key=repr)
        for name, query in _QUERIES.items()
    }


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def difference(left: dict, right: dict) -> dict:
    """Return, for each relation in which they differ, the rows that only one of two records has."""
    return {
        name: (set(left[name]) - set(right[name]), set(right[name]) - set(left[name]))
        for name in left
        if left[name] != right[name]
    }


def recorded(
    database: Database, policy: IngestPolicy, batches: Sequence[Sequence[bytes]]
) -> tuple[dict, set[bytes]]:
    """Return the record that `batches` make in an empty store, and what was refused.

    Nothing of it is kept. On the way: the lineage edges are those that follow from the relations,
    and every id that a receipt gave finds its activity or entity in the end.
    """
    refused: set[bytes] = set()
    receipts: list[Outcome] = []
    with database.transaction() as session:
        for batch in batches:
            outcomes = record(session, [Source(data) for data in batch], policy=policy)
            refused |= {d for d, o in zip(batch, outcomes, strict=True) if o.error is not None}
            receipts += outcomes
        check_edges(session)
        _check_receipts(session, receipts)
        found = snapshot(session)
        session.rollback()
    return found, refused


_DERIVED_EDGES = """
    WITH link AS (
        SELECT derived_id AS target_id, source_id FROM prov.was_derived_from
        UNION SELECT collection_id, member_id FROM prov.had_member
    ), node AS (SELECT target_id AS id FROM link UNION SELECT source_id FROM link)
    SELECT u.activity_id AS target_id, e.generated_by AS source_id
    FROM prov.used u JOIN prov.entity e USING (entity_id)
    WHERE e.generated_by IS NOT NULL AND e.generated_by <> u.activity_id
    UNION SELECT informed_id, informant_id FROM prov.was_informed_by
    WHERE kind = 'data-flow' AND informed_id <> informant_id
    UNION SELECT target_id, source_id FROM link
    UNION SELECT id, generated_by FROM node JOIN prov.entity ON entity_id = id
    WHERE generated_by IS NOT NULL
    UNION SELECT u.activity_id, u.entity_id FROM prov.used u
    WHERE u.entity_id IN (SELECT target_id FROM link)"""


def check_edges(session: Session) -> None:
    """Check that the lineage edges are those that follow from the relations, made from nothing."""
    kept = set(map(tuple, session.execute(text("SELECT target_id, source_id FROM prov.edge"))))
    assert kept == set(map(tuple, session.execute(text(_DERIVED_EDGES))))


_NAMES = """
    SELECT activity_uuid::text FROM prov.activity UNION ALL
    SELECT entity_uuid::text FROM prov.entity UNION ALL
    SELECT alias_uuid::text FROM prov.entity_alias JOIN prov.entity USING (entity_uuid)"""


def _check_receipts(session: Session, outcomes: Sequence[Outcome]) -> None:
    names = set(session.execute(text(_NAMES)).scalars())
    for outcome in outcomes:
        if outcome.receipt is not None:
            told = (*outcome.receipt["activities"], *outcome.receipt["entities"])
            assert {thing["id"] for thing in told} <= names


def empty(database: Database) -> None:
    """Take everything out of a store that was committed to; tokens stay."""
    with database.transaction() as session:
        names = session.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'prov'")
        ).scalars()
        tables = [f"prov.{n}" for n in names if n not in _KEPT and "token" not in n]
        session.execute(text(f"TRUNCATE {', '.join(tables)} CASCADE"))


def everything(database: Database) -> dict[str, tuple[int, str]]:
    """Return number and digest of the rows of each table.

    But when tokens were used, and the log, to which documents are appended some time later.
    """
    with database.transaction() as session:
        names = session.execute(text(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'prov' "
            "AND table_type = 'BASE TABLE' "
            "AND table_name NOT IN ('access_token', 'log_leaf', 'log_checkpoint')"
        )).scalars()  # fmt: skip
        return {
            name: tuple(session.execute(text(
                "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) "
                f"FROM prov.{name} t"
            )).one())
            for name in sorted(names)
        }  # fmt: skip
