"""Everything that the record holds of one activity or one entity."""

from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session


def activity(session: Session, activity_id: int) -> RowMapping:
    """Return the row of an activity with its environment, host, container and configuration."""
    return (
        session.execute(
            text(
                "SELECT a.*, e.content AS environment, "
                "encode(e.sha256, 'hex') AS environment_sha256, h.content AS host, "
                "c.content AS container, "
                "t.content || coalesce(a.overrides, '{}'::jsonb) AS configuration "
                "FROM prov.activity a LEFT JOIN prov.environment e USING (environment_id) "
                "LEFT JOIN prov.host h USING (host_id) "
                "LEFT JOIN prov.container c USING (container_id) "
                "LEFT JOIN prov.configuration t USING (configuration_id) WHERE a.activity_id = :i"
            ),
            {"i": activity_id},
        )
        .mappings()
        .one()
    )


def activity_relations(session: Session, activity_id: int) -> dict[str, list[RowMapping]]:
    """Return what hangs on an activity: uses, products, agents, levels, documents."""
    entity = (
        "x.entity_uuid AS entity, coalesce(x.name, x.base_name) AS name, "
        "d.uri || x.base_name AS location, "
        "encode(x.sha256, 'hex') AS sha256, x.size_bytes "
    )
    joins = "LEFT JOIN prov.directory d USING (directory_id) "
    queries = {
        "used": f"SELECT {entity}, r.name AS role, k.name AS rule, k.basis FROM prov.used u "  # noqa: S608
        f"JOIN prov.entity x USING (entity_id) JOIN prov.role r USING (role_id) "
        f"JOIN prov.link_rule k USING (link_rule_id) {joins} WHERE u.activity_id = :i "
        "ORDER BY 2, 1 LIMIT 1000",
        "generated": f"SELECT {entity}, r.name AS role, k.name AS rule, k.basis "  # noqa: S608
        "FROM prov.entity x LEFT JOIN prov.role r ON r.role_id = x.generation_role_id "
        f"JOIN prov.link_rule k ON k.link_rule_id = x.generation_rule_id {joins} "
        "WHERE x.generated_by = :i ORDER BY 2, 1 LIMIT 1000",
        "also_stated": f"SELECT {entity}, r.name AS role, g.reason FROM prov.generation_claim g "  # noqa: S608
        f"JOIN prov.entity x USING (entity_id) JOIN prov.role r USING (role_id) {joins} "
        "WHERE g.activity_id = :i ORDER BY 2, 1 LIMIT 1000",
        "agents": "SELECT a.iri, a.name, a.type, a.email, a.affiliation, r.name AS role "
        "FROM prov.was_associated_with w JOIN prov.agent a USING (agent_id) "
        "JOIN prov.role r USING (role_id) WHERE w.activity_id = :i ORDER BY 2",
        "part_of": "SELECT a.activity_uuid AS activity, a.name, a.type, a.status, "
        "a.job ->> 'attempt' AS attempt, k.name AS rule, k.basis "
        "FROM prov.was_informed_by w JOIN prov.activity a ON a.activity_id = w.informant_id "
        "JOIN prov.link_rule k USING (link_rule_id) "
        "WHERE w.informed_id = :i AND w.kind = 'part-of' ORDER BY a.name, a.started_at, 1",
        "parts": "SELECT a.activity_uuid AS activity, a.name, a.status, "
        "a.job ->> 'attempt' AS attempt "
        "FROM prov.was_informed_by w JOIN prov.activity a ON a.activity_id = w.informed_id "
        "WHERE w.informant_id = :i AND w.kind = 'part-of' ORDER BY a.started_at, 1 LIMIT 1000",
        "documents": "SELECT encode(d.sha256, 'hex') AS sha256, d.format, d.source_name, "
        "d.received_at, d.received_from, c.n_violations AS violations, c.rules "
        "FROM prov.activity_document JOIN prov.document d USING (document_id) "
        "LEFT JOIN prov.constraint_check c USING (document_id) "
        "WHERE activity_id = :i ORDER BY d.received_at, 1",
    }
    return _all(session, queries, {"i": activity_id})


def entity(session: Session, entity_id: int) -> RowMapping:
    """Return the row of an entity with its producer and location."""
    return (
        session.execute(
            text(
                "SELECT e.*, coalesce(e.name, e.base_name) AS title, "
                "d.uri || e.base_name AS location, "
                "encode(e.sha256, 'hex') AS sha256_hex, a.activity_uuid, a.name AS activity_name, "
                "a.status AS activity_status, a.version AS activity_version, "
                "coalesce(e.generated_at, a.ended_at) AS made_at, r.name AS role, "
                "k.name AS rule, k.basis "
                "FROM prov.entity e LEFT JOIN prov.directory d USING (directory_id) "
                "LEFT JOIN prov.activity a ON a.activity_id = e.generated_by "
                "LEFT JOIN prov.role r ON r.role_id = e.generation_role_id "
                "LEFT JOIN prov.link_rule k ON k.link_rule_id = e.generation_rule_id "
                "WHERE e.entity_id = :i"
            ),
            {"i": entity_id},
        )
        .mappings()
        .one()
    )


def entity_relations(session: Session, entity_id: int) -> dict[str, list[RowMapping]]:
    """Return what hangs on an entity: identifiers, locations, versions, users, documents."""
    queries = {
        "identifiers": "SELECT kind, identifier FROM prov.entity_identifier "
        "WHERE entity_id = :i ORDER BY 1, 2",
        "locations": "SELECT d.uri || x.base_name AS location FROM prov.entity_location x "
        "JOIN prov.directory d USING (directory_id) "
        "WHERE x.entity_id = :i ORDER BY 1",
        "versions": "SELECT v.entity_uuid AS entity, coalesce(v.generated_at, a.ended_at) AS at, "
        "v.invalidated_at, encode(v.sha256, 'hex') AS sha256 FROM prov.entity e "
        "JOIN prov.entity v USING (base_name, directory_id) "
        "LEFT JOIN prov.activity a ON a.activity_id = v.generated_by "
        "WHERE e.entity_id = :i ORDER BY 2 NULLS FIRST, 1 LIMIT 100",
        "used_by": "SELECT a.activity_uuid AS activity, a.name, a.version, a.status, a.started_at, "
        "r.name AS role, k.name AS rule, k.basis FROM prov.used u "
        "JOIN prov.activity a USING (activity_id) JOIN prov.role r USING (role_id) "
        "JOIN prov.link_rule k USING (link_rule_id) WHERE u.entity_id = :i "
        "ORDER BY a.started_at DESC NULLS LAST, 1 LIMIT 100",
        "same_bytes": "SELECT o.entity_uuid AS entity FROM prov.entity e JOIN prov.entity o "
        "ON substring(o.sha256, 1, 7) = substring(e.sha256, 1, 7) AND o.sha256 = e.sha256 "
        "AND o.entity_id <> e.entity_id WHERE e.entity_id = :i "
        "ORDER BY 1 LIMIT 100",
        "also_stated": "SELECT a.activity_uuid AS activity, a.name, r.name AS role, g.reason "
        "FROM prov.generation_claim g JOIN prov.activity a USING (activity_id) "
        "JOIN prov.role r USING (role_id) WHERE g.entity_id = :i ORDER BY 2, 1",
        "attributed_to": "SELECT a.iri, a.name, a.type, a.email, r.name AS role "
        "FROM prov.was_attributed_to w JOIN prov.agent a USING (agent_id) "
        "JOIN prov.role r USING (role_id) WHERE w.entity_id = :i ORDER BY 2",
        "derived_from": "SELECT s.entity_uuid AS entity, k.name AS rule, k.basis "
        "FROM prov.was_derived_from w JOIN prov.entity s ON s.entity_id = w.source_id "
        "JOIN prov.link_rule k USING (link_rule_id) WHERE w.derived_id = :i ORDER BY 1",
        "members": "SELECT m.entity_uuid AS entity FROM prov.had_member h JOIN prov.entity m "
        "ON m.entity_id = h.member_id WHERE h.collection_id = :i ORDER BY 1 LIMIT 1000",
        "aliases": "SELECT x.alias_uuid AS id, x.merged_at FROM prov.entity_alias x "
        "JOIN prov.entity e USING (entity_uuid) WHERE e.entity_id = :i ORDER BY 1",
        "documents": "WITH told AS (SELECT document_id FROM prov.activity_document "
        "JOIN (SELECT activity_id FROM prov.used WHERE entity_id = :i UNION "
        "SELECT generated_by FROM prov.entity WHERE entity_id = :i LIMIT 100) t "
        "USING (activity_id) UNION "
        "SELECT document_id FROM prov.entity_document WHERE entity_id = :i) "
        "SELECT encode(d.sha256, 'hex') AS sha256, d.format, d.source_name, d.received_at, "
        "c.n_violations AS violations, c.rules FROM told JOIN prov.document d USING (document_id) "
        "LEFT JOIN prov.constraint_check c USING (document_id) ORDER BY 4, 1 LIMIT 200",
    }
    return _all(session, queries, {"i": entity_id})


def n_users(session: Session, entity_id: int) -> int:
    """Return how many uses there are of an entity."""
    query = text("SELECT count(*) FROM prov.used WHERE entity_id = :i")
    return int(session.execute(query, {"i": entity_id}).scalar_one())


def contradictions(session: Session, uuid: str) -> list[RowMapping]:
    """Return what documents say differently of one activity or entity."""
    rows = session.execute(
        text(
            "SELECT field, held, claimed, message FROM prov.contradiction "
            "WHERE subject_uuid = CAST(:u AS uuid) ORDER BY 1, 2, 3"
        ),
        {"u": uuid},
    )
    return list(rows.mappings())


def _all(
    session: Session,
    queries: dict[str, str],
    given: dict[str, Any],  # Any: bound values
) -> dict[str, list[RowMapping]]:
    return {n: list(session.execute(text(q), given).mappings()) for n, q in queries.items()}
