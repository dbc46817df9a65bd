"""What documents for others hold beyond what a trace shows: comments, agents, settings; ProvSAP."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

_AGENT = "g.iri, g.name, g.type, g.email, g.affiliation, g.phone, g.address, g.url, g.comment"

_RELATIONS = {
    "generated": "SELECT entity_id AS later, generated_by AS earlier FROM prov.entity "
    "WHERE generated_by IS NOT NULL",
    "used": "SELECT activity_id AS later, entity_id AS earlier FROM prov.used",
    "derived": "SELECT derived_id AS later, source_id AS earlier FROM prov.was_derived_from",
    "informed": "SELECT informed_id AS later, informant_id AS earlier FROM prov.was_informed_by "
    "WHERE kind = 'data-flow'",
    "members": "SELECT collection_id AS later, member_id AS earlier FROM prov.had_member",
    "steps": "SELECT informed_id AS later, informant_id AS earlier FROM prov.was_informed_by "
    "WHERE kind = 'part-of'",
}
"""Relations between records, from the later to the earlier (of a step: from part to whole)."""


def neighbours(
    session: Session, nodes: Sequence[int], *, back: bool, relations: Sequence[str]
) -> list[int]:
    """Return the nodes that are one relation away from any of `nodes`, each once."""
    near, far = ("later", "earlier") if back else ("earlier", "later")
    queries = [
        f"SELECT {far} FROM ({_RELATIONS[name]}) AS {name} WHERE {near} = ANY(:i)"  # noqa: S608
        for name in relations
    ]
    query = " UNION ".join(queries) + " ORDER BY 1"
    return list(session.execute(text(query), {"i": list(nodes)}).scalars())


def comments(session: Session, uuids: Sequence[str]) -> dict[str, str]:
    """Return the comments of those activities and entities that have one, by UUID."""
    rows = session.execute(
        text(
            "SELECT activity_uuid AS id, comment FROM prov.activity "
            "WHERE activity_uuid = ANY(CAST(:u AS uuid[])) AND comment IS NOT NULL "
            "UNION ALL SELECT entity_uuid, comment FROM prov.entity "
            "WHERE entity_uuid = ANY(CAST(:u AS uuid[])) AND comment IS NOT NULL"
        ),
        {"u": list(uuids)},
    )
    return {str(row.id): row.comment for row in rows}


def use_times(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return when these activities used what they used, where that is known."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid AS activity, e.entity_uuid AS entity, r.name AS role, "
            "u.used_at FROM prov.activity a JOIN prov.used u USING (activity_id) "
            "JOIN prov.entity e USING (entity_id) JOIN prov.role r USING (role_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) AND u.used_at IS NOT NULL "
            "ORDER BY 1, 2, 3"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def associations(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return the agents of these activities, by UUID."""
    rows = session.execute(
        text(
            f"SELECT a.activity_uuid AS activity, {_AGENT}, r.name AS role "  # noqa: S608
            "FROM prov.activity a JOIN prov.was_associated_with USING (activity_id) "
            "JOIN prov.agent g USING (agent_id) JOIN prov.role r USING (role_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) ORDER BY 1, 2, r.name"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def attributions(session: Session, entity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return the agents to whom these entities are attributed, by UUID."""
    rows = session.execute(
        text(
            f"SELECT e.entity_uuid AS entity, {_AGENT}, r.name AS role "  # noqa: S608
            "FROM prov.entity e JOIN prov.was_attributed_to USING (entity_id) "
            "JOIN prov.agent g USING (agent_id) JOIN prov.role r USING (role_id) "
            "WHERE e.entity_uuid = ANY(CAST(:u AS uuid[])) ORDER BY 1, 2, r.name"
        ),
        {"u": list(entity_uuids)},
    )
    return list(rows.mappings())


def parameters(session: Session, activity_uuids: Sequence[str], *, limit: int) -> list[RowMapping]:
    """Return the settings of these activities, by name; at most `limit`."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid AS activity, p.name, p.value FROM prov.activity a "
            "JOIN prov.parameter p USING (activity_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) "
            'ORDER BY 1, p.name COLLATE "C" LIMIT :n'
        ),
        {"u": list(activity_uuids), "n": limit},
    )
    return list(rows.mappings())


def config_files(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return the configuration files of these activities, as ``config_file`` has them."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid AS activity, e.entity_uuid AS entity, "
            "coalesce(f.name, e.name) AS name, f.location, f.comment FROM prov.activity a "
            "JOIN prov.config_file f USING (activity_id) JOIN prov.entity e USING (entity_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) ORDER BY 1, 2"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def of_agent(session: Session, iri: str, *, limit: int) -> tuple[RowMapping, list[int]] | None:
    """Return an agent, and what it was responsible for; None where there is no such agent."""
    found = session.execute(
        text(f"SELECT g.agent_id, {_AGENT} FROM prov.agent g WHERE g.iri = :iri"),  # noqa: S608
        {"iri": iri},
    )
    agent = found.mappings().one_or_none()
    if agent is None:
        return None
    nodes = session.execute(
        text(
            "SELECT activity_id FROM prov.was_associated_with WHERE agent_id = :a "
            "UNION SELECT entity_id FROM prov.was_attributed_to WHERE agent_id = :a "
            "ORDER BY 1 LIMIT :n"
        ),
        {"a": agent["agent_id"], "n": limit},
    )
    return agent, list(nodes.scalars())


def steps(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return which of these activities ran inside which of them."""
    rows = session.execute(
        text(
            "SELECT p.activity_uuid AS activity, w.activity_uuid AS part_of "
            "FROM prov.was_informed_by i JOIN prov.activity p ON p.activity_id = i.informed_id "
            "JOIN prov.activity w ON w.activity_id = i.informant_id WHERE i.kind = 'part-of' "
            "AND p.activity_uuid = ANY(CAST(:u AS uuid[])) "
            "AND w.activity_uuid = ANY(CAST(:u AS uuid[])) ORDER BY 1, 2"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def commands(session: Session, activity_uuids: Sequence[str]) -> dict[str, list[str]]:
    """Return the command lines of those activities that have one, by UUID."""
    rows = session.execute(
        text(
            "SELECT activity_uuid AS id, arguments FROM prov.activity "
            "WHERE activity_uuid = ANY(CAST(:u AS uuid[])) AND arguments IS NOT NULL"
        ),
        {"u": list(activity_uuids)},
    )
    return {str(row.id): row.arguments for row in rows}


def workflows(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return the documents that runs of workflows among these activities ran."""
    rows = session.execute(
        text(
            "SELECT DISTINCT ON (a.activity_uuid) a.activity_uuid AS activity, "
            "a.details->>'engine' AS engine, e.entity_uuid AS id, "
            "coalesce(e.name, e.base_name) AS name, d.uri || e.base_name AS location, "
            "'sha256:' || encode(e.sha256, 'hex') AS digest, e.size_bytes, e.content_type "
            "FROM prov.activity a JOIN prov.used u USING (activity_id) "
            "JOIN prov.role r USING (role_id) JOIN prov.entity e USING (entity_id) "
            "LEFT JOIN prov.directory d USING (directory_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) AND a.type = 'Workflow' "
            "AND r.name = 'workflow' ORDER BY 1, 3"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def run_details(session: Session, activity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return how these activities were called and set up, and the digests of what they ran in."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid AS id, a.iri, a.executable, a.directory, a.arguments, a.job, "
            "t.content || coalesce(a.overrides, '{}'::jsonb) AS configuration, "
            "encode(e.sha256, 'hex') AS environment, encode(h.sha256, 'hex') AS host, "
            "encode(c.sha256, 'hex') AS container FROM prov.activity a "
            "LEFT JOIN prov.configuration t USING (configuration_id) "
            "LEFT JOIN prov.environment e USING (environment_id) "
            "LEFT JOIN prov.host h USING (host_id) LEFT JOIN prov.container c USING (container_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[]))"
        ),
        {"u": list(activity_uuids)},
    )
    return list(rows.mappings())


def contents(session: Session, table: str, digests: Sequence[str]) -> list[RowMapping]:
    """Return (sha256, content) of environments, hosts or containers, by `table`."""
    rows = session.execute(
        text(
            f"SELECT encode(sha256, 'hex') AS sha256, content FROM prov.{table} "  # noqa: S608
            "WHERE encode(sha256, 'hex') = ANY(:d) ORDER BY 1"
        ),
        {"d": list(digests)},
    )
    return list(rows.mappings())


def names(session: Session, entity_uuids: Sequence[str]) -> list[RowMapping]:
    """Return (id, kind, name) of the names of entities: digest, product-id or location."""
    rows = session.execute(
        text(
            "WITH wanted AS (SELECT entity_id, entity_uuid FROM prov.entity "
            "WHERE entity_uuid = ANY(CAST(:u AS uuid[]))) "
            "SELECT entity_uuid AS id, kind, identifier AS name FROM wanted "
            "JOIN prov.entity_identifier USING (entity_id) UNION ALL "
            "SELECT entity_uuid, 'location', d.uri || x.base_name FROM wanted "
            "JOIN prov.entity_location x USING (entity_id) "
            "JOIN prov.directory d USING (directory_id) ORDER BY 1, 2, 3"
        ),
        {"u": list(entity_uuids)},
    )
    return list(rows.mappings())
