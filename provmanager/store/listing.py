"""Pages of activities and products that belong to something, what failed first.

`of` says to what: a statement of SQL below, with its parameters; never a person's text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from .lineage import id_array
from .summary import DETAIL, Grouping

Given = Mapping[str, Any]  # Any: bound values

ACTIVITIES: Mapping[str, str] = {
    "users": "SELECT u.activity_id, string_agg(NULLIF(r.name, ''), ', ') AS role "
    "FROM prov.used u JOIN prov.role r USING (role_id) WHERE u.entity_id = :of GROUP BY 1",
    "parts": "SELECT informed_id AS activity_id, CAST(NULL AS text) AS role "
    "FROM prov.was_informed_by WHERE informant_id = :of AND kind = 'part-of'",
    "agent": "SELECT w.activity_id, string_agg(NULLIF(r.name, ''), ', ') AS role "
    "FROM prov.was_associated_with w JOIN prov.role r USING (role_id) WHERE w.agent_id = :of "
    "GROUP BY 1",
    "job": "SELECT activity_id, CAST(NULL AS text) AS role FROM prov.activity "
    "WHERE job ->> 'id' = :job AND job ->> 'system' IS NOT DISTINCT FROM :system",
}
PRODUCTS: Mapping[str, str] = {
    "inputs": "SELECT u.entity_id, string_agg(NULLIF(r.name, ''), ', ') AS role, "
    "min(k.basis) AS basis, min(k.name) AS rule FROM prov.used u JOIN prov.role r USING (role_id) "
    "JOIN prov.link_rule k USING (link_rule_id) WHERE u.activity_id = :of GROUP BY 1",
    "outputs": "SELECT e.entity_id, NULLIF(r.name, '') AS role, k.basis, k.name AS rule "
    "FROM prov.entity e LEFT JOIN prov.role r ON r.role_id = e.generation_role_id "
    "LEFT JOIN prov.link_rule k ON k.link_rule_id = e.generation_rule_id "
    "WHERE e.generated_by = :of",
    "members": "SELECT member_id AS entity_id, CAST(NULL AS text) AS role, "
    "CAST(NULL AS text) AS basis, CAST(NULL AS text) AS rule "
    "FROM prov.had_member WHERE collection_id = :of",
    "agent": "SELECT w.entity_id, string_agg(NULLIF(r.name, ''), ', ') AS role, "
    "CAST(NULL AS text) AS basis, CAST(NULL AS text) AS rule FROM prov.was_attributed_to w "
    "JOIN prov.role r USING (role_id) WHERE w.agent_id = :of GROUP BY 1",
}
_FAILURES_FIRST = "array_position(ARRAY['error', 'interrupted', 'running', 'unknown'], {}.status)"


def group_of_activities(
    ids: Sequence[int], *, step: str | None, detail: str | None, grouping: Grouping
) -> tuple[str, Given]:
    """Return what `activities` takes: those of `ids` that are one class of a summary."""
    source = (
        "SELECT i.activity_id, CAST(NULL AS text) AS role "  # noqa: S608
        "FROM unnest(CAST(:ids AS bigint[])) AS i (activity_id) "
        "JOIN prov.activity a USING (activity_id) WHERE a.name IS NOT DISTINCT FROM :step "
        f"AND {DETAIL[grouping].format('a')} IS NOT DISTINCT FROM CAST(:detail AS text)"
    )
    return source, {"ids": id_array(ids), "step": step, "detail": detail}


def group_of_products(
    ids: str,
    *,
    step: str | None,
    detail: str | None,
    extension: str,
    grouping: Grouping,
) -> tuple[str, Given]:
    """Return what `products` takes: those of `ids` that are one class of a summary.

    The ids are the text of an array.
    """
    source = (
        "SELECT e.entity_id, CAST(NULL AS text) AS role, CAST(NULL AS text) AS basis, "  # noqa: S608
        "CAST(NULL AS text) AS rule FROM unnest(CAST(:ids AS bigint[])) AS i (entity_id) "
        "JOIN prov.entity e USING (entity_id) "
        "LEFT JOIN prov.activity g ON g.activity_id = e.generated_by "
        "WHERE g.name IS NOT DISTINCT FROM :step "
        f"AND {DETAIL[grouping].format('g')} IS NOT DISTINCT FROM CAST(:detail AS text) "
        "AND e.extension = :extension"
    )
    return source, {"ids": ids, "step": step, "detail": detail, "extension": extension}


def activities(
    session: Session, of: str, given: Given, *, limit: int, offset: int
) -> tuple[int, list[RowMapping]]:
    """Return how many activities there are, and a page of them."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid, a.name, a.version, a.status, a.exit_code, a.started_at, "  # noqa: S608
            "a.ended_at, a.is_claim, h.name AS host, x.role, count(*) OVER () AS total "
            f"FROM ({of}) x JOIN prov.activity a USING (activity_id) "
            "LEFT JOIN prov.host h USING (host_id) "
            f"ORDER BY {_FAILURES_FIRST.format('a')}, a.started_at NULLS LAST, a.activity_uuid "
            "LIMIT :limit OFFSET :offset"
        ),
        {**given, "limit": limit, "offset": offset},
    )
    found = list(rows.mappings())
    return found[0]["total"] if found else _count(session, of, given), found


def products(
    session: Session, of: str, given: Given, *, limit: int, offset: int
) -> tuple[int, list[RowMapping]]:
    """Return how many products there are, and a page of them; those of failed runs come first."""
    rows = session.execute(
        text(
            "SELECT e.entity_uuid, coalesce(e.name, e.base_name) AS name, e.kind, e.value, "  # noqa: S608
            "d.uri || e.base_name AS location, encode(e.sha256, 'hex') AS sha256, e.size_bytes, "
            "coalesce(e.generated_at, g.ended_at) AS generated_at, g.activity_uuid, "
            "g.name AS activity_name, g.status AS activity_status, x.role, x.basis, x.rule, "
            "count(*) OVER () AS total "
            f"FROM ({of}) x JOIN prov.entity e USING (entity_id) "
            "LEFT JOIN prov.directory d USING (directory_id) "
            "LEFT JOIN prov.activity g ON g.activity_id = e.generated_by "
            f"ORDER BY {_FAILURES_FIRST.format('g')}, 2, e.entity_uuid LIMIT :limit OFFSET :offset"
        ),
        {**given, "limit": limit, "offset": offset},
    )
    found = list(rows.mappings())
    return found[0]["total"] if found else _count(session, of, given), found


def statuses(session: Session, of: str, given: Given) -> dict[str, int]:
    """Return how many of the activities ended how."""
    rows = session.execute(
        text(
            f"SELECT a.status, count(*) AS n FROM ({of}) x "  # noqa: S608
            "JOIN prov.activity a USING (activity_id) GROUP BY 1 ORDER BY 1"
        ),
        given,
    )
    return {row.status: row.n for row in rows}


def _count(session: Session, of: str, given: Given) -> int:
    query = text(f"SELECT count(*) FROM ({of}) x")  # noqa: S608
    return int(session.execute(query, given).scalar_one())


def agent(session: Session, iri: str) -> RowMapping | None:
    """Return the row of the agent of this identifier."""
    query = (
        "SELECT agent_id, iri, name, type, email, affiliation, phone, address, url, comment, "
        "details FROM prov.agent WHERE iri = :i"
    )
    return session.execute(text(query), {"i": iri}).mappings().one_or_none()
