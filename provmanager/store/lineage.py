"""Lineage in SQL: plain UNION walks over ids along the edge table.

No depth, path or CYCLE clause ever stands in the recursive row: on a diamond each would enumerate
paths instead of nodes. A depth limit is a level-by-level walk.
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from .prepared import fetch

Direction = Literal["up", "down"]

_NESTED_LOOPS = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
_ANY_JOIN = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
"""The walk is only fast by index; the planner cannot know how little a step finds."""

_STEP = {"up": ("source_id", "target_id"), "down": ("target_id", "source_id")}
_BESIDE = {
    "up": "SELECT generated_by FROM prov.entity WHERE entity_id = %s AND generated_by IS NOT NULL",
    "down": "SELECT activity_id FROM prov.used WHERE entity_id = %s",
}
"""Where the walk from an entity starts, beside the entity."""


def start_nodes(session: Session, entity_id: int, direction: Direction) -> list[int]:
    """Return the nodes at which the walk from an entity starts."""
    found = fetch(session, _BESIDE[direction], entity_id)
    return [*dict.fromkeys(node for (node,) in found), entity_id]


def walk(
    session: Session,
    start: Sequence[int],
    direction: Direction,
    *,
    depth: int | None = None,
    limit: int | None = None,
) -> list[int]:
    """Return the nodes that can be reached from `start`, with `start`; cycles are harmless.

    Parameters
    ----------
    depth : int, optional
        Number of activities to follow, those in `start` included; all of them if absent.
    limit : int, optional
        Stop after about this many nodes; the caller sees that there were more.
    """
    if depth is not None:
        return _walk_levels(session, start, direction, depth=depth, limit=limit)
    found, asked = _STEP[direction]
    query = (
        f"WITH RECURSIVE walk (id) AS (SELECT unnest(CAST(%s AS bigint[])) UNION "  # noqa: S608
        f"SELECT e.{found} FROM walk JOIN prov.edge e ON e.{asked} = walk.id) SELECT id FROM walk"
    )
    if limit is not None:
        query += f" LIMIT {int(limit)}"
    rows = fetch(session, f"{_NESTED_LOOPS}; {query}", id_array(start))
    fetch(session, _ANY_JOIN)
    return [node for (node,) in rows]


def reached(
    session: Session, node: int, direction: Direction, *, is_entity: bool, limit: int
) -> tuple[int, str]:
    """Return how many nodes `walk` finds from here, and them as the text of a bigint[].

    A million ids are quick as one text, and are not as a million objects. The first step is a join
    of its own: of a file that very many used it goes to very many, whom the planner knows of, and
    most of what they pass on is among themselves.
    """
    found, asked = _STEP[direction]
    beside = f"UNION ALL {_BESIDE[direction]}" if is_entity else ""
    query = f"""
        WITH RECURSIVE first AS MATERIALIZED (
            SELECT CAST(%s AS bigint) AS id {beside} LIMIT %s
        ), walk (id) AS (
            SELECT e.{found} FROM first JOIN prov.edge e ON e.{asked} = first.id
            WHERE NOT EXISTS (SELECT 1 FROM first AS f WHERE f.id = e.{found})
            UNION SELECT x.id FROM walk CROSS JOIN LATERAL (
                SELECT e.{found} AS id FROM prov.edge e WHERE e.{asked} = walk.id OFFSET 0) AS x
        )
        SELECT count(*), CAST(array_agg(id) AS text) FROM (
            SELECT id FROM first UNION (SELECT id FROM walk LIMIT %s) LIMIT %s) AS w
    """  # noqa: S608  (columns, no input)
    given = [node] * (2 if is_entity else 1)
    [(number, ids)] = fetch(session, query, *given, limit, limit, limit)
    return number, ids


def _walk_levels(
    session: Session,
    start: Sequence[int],
    direction: Direction,
    *,
    depth: int,
    limit: int | None,
) -> list[int]:
    """Walk an activity at a time; the first are in `start`. Entities on the way do not count."""
    is_entity = text("SELECT entity_id FROM prov.entity WHERE entity_id = ANY(:i)")
    entities = list(session.execute(is_entity, {"i": list(start)}).scalars())
    seen = dict.fromkeys(entities)
    level = dict.fromkeys(i for i in start if i not in seen)
    level |= dict.fromkeys(_beyond(session, entities, direction, seen))
    for _ in range(depth):
        seen |= level
        level = dict.fromkeys(_beyond(session, list(level), direction, seen))
        if not level or (limit is not None and len(seen) >= limit):
            break
    return list(seen)


def _beyond(
    session: Session, nodes: Sequence[int], direction: Direction, seen: dict[int, None]
) -> list[int]:
    """Return the activities next to `nodes` that are not in `seen`; add the entities between."""
    found, asked = _STEP[direction]
    query = text(
        f"SELECT DISTINCT e.{found} AS id, n.entity_id IS NOT NULL AS is_entity "  # noqa: S608
        f"FROM prov.edge e LEFT JOIN prov.entity n ON n.entity_id = e.{found} "
        f"WHERE e.{asked} = ANY(CAST(:i AS bigint[]))"
    )
    activities: list[int] = []
    while nodes:
        rows = session.execute(query, {"i": id_array(nodes)}).all()
        fresh = [row for row in rows if row.id not in seen]
        nodes = [row.id for row in fresh if row.is_entity]
        seen.update(dict.fromkeys(nodes))
        activities += [row.id for row in fresh if not row.is_entity]
    return activities


def activities(session: Session, ids: Sequence[int]) -> list[RowMapping]:
    """Return those of the nodes `ids` that are activities."""
    rows = session.execute(
        text(
            "SELECT a.activity_id, a.activity_uuid, a.name, a.version, a.type, a.status, "
            "a.exit_code, a.started_at, a.ended_at, h.name AS host, a.is_claim, "
            "EXISTS (SELECT 1 FROM prov.activity_description d WHERE d.name = a.name "
            "        AND d.version IN ('', a.version)) AS described "
            "FROM prov.activity a LEFT JOIN prov.host h USING (host_id) "
            "WHERE a.activity_id = ANY(:i) ORDER BY a.started_at NULLS FIRST, a.activity_uuid"
        ),
        {"i": list(ids)},
    )
    return list(rows.mappings())


def entities(
    session: Session,
    *,
    node_ids: Sequence[int],
    used_by: Sequence[int] = (),
    generated_by: Sequence[int] = (),
) -> list[RowMapping]:
    """Return the entities among the nodes, and those these activities used or generated."""
    rows = session.execute(
        text(
            "WITH wanted AS (SELECT entity_id FROM prov.entity WHERE entity_id = ANY(:n) "
            "UNION SELECT entity_id FROM prov.used WHERE activity_id = ANY(:u) "
            "UNION SELECT entity_id FROM prov.entity WHERE generated_by = ANY(:g)) "
            "SELECT e.entity_id, e.entity_uuid, coalesce(e.name, e.base_name) AS name, e.kind, "
            "d.uri || e.base_name AS location, encode(e.sha256, 'hex') AS sha256, e.size_bytes, "
            "e.value, e.content_type, e.generated_by AS generator_id, "
            "a.activity_uuid AS generated_by, coalesce(e.generated_at, a.ended_at) AS generated_at,"
            " e.invalidated_at, r.name AS role, k.name AS rule, k.basis, "
            "(SELECT min(i.identifier) FROM prov.entity_identifier i "
            " WHERE i.entity_id = e.entity_id AND i.kind = 'product-id') AS product_id, "
            "(SELECT min(i.identifier) FROM prov.entity_identifier i "
            " WHERE i.entity_id = e.entity_id AND i.kind = 'digest') AS digest "
            "FROM wanted JOIN prov.entity e USING (entity_id) "
            "LEFT JOIN prov.directory d USING (directory_id) "
            "LEFT JOIN prov.activity a ON a.activity_id = e.generated_by "
            "LEFT JOIN prov.role r ON r.role_id = e.generation_role_id "
            "LEFT JOIN prov.link_rule k ON k.link_rule_id = e.generation_rule_id "
            "ORDER BY e.entity_uuid"
        ),
        {"n": list(node_ids), "u": list(used_by), "g": list(generated_by)},
    )
    return list(rows.mappings())


def used(session: Session, activity_ids: Sequence[int]) -> list[RowMapping]:
    """Return all uses by these activities."""
    rows = session.execute(
        text(
            "SELECT u.activity_id, u.entity_id, r.name AS role, k.name AS rule, k.basis "
            "FROM prov.used u JOIN prov.role r USING (role_id) "
            "JOIN prov.link_rule k USING (link_rule_id) WHERE u.activity_id = ANY(:i) "
            "ORDER BY u.activity_id, u.entity_id, r.name"
        ),
        {"i": list(activity_ids)},
    )
    return list(rows.mappings())


def parts(session: Session, activity_ids: Sequence[int]) -> list[RowMapping]:
    """Return the part-of links above these activities, all the way up."""
    rows = session.execute(
        text(
            "WITH RECURSIVE up (id) AS (SELECT unnest(CAST(:i AS bigint[])) UNION "
            "SELECT w.informant_id FROM up JOIN prov.was_informed_by w "
            "ON w.informed_id = up.id AND w.kind = 'part-of') "
            "SELECT w.informed_id, w.informant_id FROM up JOIN prov.was_informed_by w "
            "ON w.informed_id = up.id AND w.kind = 'part-of' ORDER BY 1, 2"
        ),
        {"i": list(activity_ids)},
    )
    return list(rows.mappings())


def informed(session: Session, activity_ids: Sequence[int]) -> list[RowMapping]:
    """Return what passed directly among these activities, without an entity that stands for it."""
    rows = session.execute(
        text(
            "SELECT w.informed_id, w.informant_id, k.name AS rule, k.basis "
            "FROM prov.was_informed_by w JOIN prov.link_rule k USING (link_rule_id) "
            "WHERE w.kind = 'data-flow' AND w.informed_id = ANY(:i) AND w.informant_id = ANY(:i) "
            "ORDER BY 1, 2"
        ),
        {"i": list(activity_ids)},
    )
    return list(rows.mappings())


def entity_links(session: Session, entity_ids: Sequence[int]) -> list[RowMapping]:
    """Return derivations and memberships among these entities."""
    rows = session.execute(
        text(
            "SELECT 'derived' AS link, derived_id AS later, source_id AS earlier, k.name AS rule, "
            "k.basis FROM prov.was_derived_from JOIN prov.link_rule k USING (link_rule_id) "
            "WHERE derived_id = ANY(:i) AND source_id = ANY(:i) "
            "UNION ALL SELECT 'member', collection_id, member_id, NULL, NULL FROM prov.had_member "
            "WHERE collection_id = ANY(:i) AND member_id = ANY(:i) ORDER BY 1, 2, 3"
        ),
        {"i": list(entity_ids)},
    )
    return list(rows.mappings())


def contradicted(
    session: Session, *, activity_ids: Sequence[int], entity_ids: Sequence[int]
) -> dict[int, int]:
    """Return how many contradictions there are of those of these nodes that have any."""
    rows = session.execute(
        text(
            "SELECT a.activity_id AS id, count(*) AS n FROM prov.contradiction c "
            "JOIN prov.activity a ON a.activity_uuid = c.subject_uuid "
            "WHERE c.subject_kind = 'activity' AND a.activity_id = ANY(:a) GROUP BY 1 "
            "UNION ALL SELECT e.entity_id, count(*) FROM prov.contradiction c "
            "JOIN prov.entity e ON e.entity_uuid = c.subject_uuid "
            "WHERE c.subject_kind = 'entity' AND e.entity_id = ANY(:e) GROUP BY 1"
        ),
        {"a": list(activity_ids), "e": list(entity_ids)},
    )
    return {row.id: row.n for row in rows}


def entity_ids(
    session: Session,
    *,
    node_ids: Sequence[int],
    used_by: Sequence[int] = (),
    generated_by: Sequence[int] = (),
) -> tuple[int, str]:
    """Return how many entities `entities` would return, and their ids as the text of a bigint[]."""
    query = (
        "SELECT count(*), coalesce(CAST(array_agg(entity_id) AS text), '{}') FROM ("
        "SELECT entity_id FROM prov.entity WHERE entity_id = ANY(CAST(%s AS bigint[])) "
        "UNION SELECT entity_id FROM prov.used WHERE activity_id = ANY(CAST(%s AS bigint[])) "
        "UNION SELECT entity_id FROM prov.entity WHERE generated_by = ANY(CAST(%s AS bigint[]))"
        ") AS e"
    )
    [(number, ids)] = fetch(session, query, *map(id_array, (node_ids, used_by, generated_by)))
    return number, ids


def id_array(ids: Sequence[int]) -> str:
    """Return `ids` as the text of a bigint[]: an ARRAY expression of them is parsed far slower."""
    return f"{{{','.join(map(str, ids))}}}"
