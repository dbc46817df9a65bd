"""Runs of workflows: activities of type Workflow, and the activities that are part of one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

TYPE = "Workflow"
"""Activity type of a run."""

MOST_STEPS = 10_000

_COLUMNS = (
    "a.activity_id, a.activity_uuid, a.name, a.version, a.status, a.exit_code, a.started_at, "
    "a.ended_at, a.details, h.name AS host, "
    "(SELECT coalesce(g.name, g.iri) FROM prov.was_associated_with w "
    "JOIN prov.agent g USING (agent_id) WHERE w.activity_id = a.activity_id "
    "ORDER BY g.agent_id LIMIT 1) AS person"
)


def runs(
    session: Session, *, status: str | None, limit: int, offset: int
) -> tuple[int, list[RowMapping]]:
    """Return how many runs there are, and one page of them, the newest first."""
    where = "a.type = 'Workflow'" + (" AND a.status = :status" if status else "")
    given: dict[str, Any] = {"status": status} if status else {}  # Any: bound values
    total = session.execute(
        text(f"SELECT count(*) FROM prov.activity a WHERE {where}"),  # noqa: S608
        given,
    ).scalar_one()
    rows = session.execute(
        text(
            f"SELECT {_COLUMNS} FROM prov.activity a LEFT JOIN prov.host h USING (host_id) "  # noqa: S608
            f"WHERE {where} ORDER BY a.started_at DESC NULLS LAST, a.activity_uuid "
            "LIMIT :limit OFFSET :offset"
        ),
        given | {"limit": limit, "offset": offset},
    )
    return total, list(rows.mappings())


def runs_beginning(session: Session, start: str, *, limit: int) -> list[RowMapping]:
    """Return the runs whose UUID begins with `start`, at most `limit`."""
    rows = session.execute(
        text(
            f"SELECT {_COLUMNS} FROM prov.activity a LEFT JOIN prov.host h USING (host_id) "  # noqa: S608
            "WHERE a.type = 'Workflow' AND starts_with(a.activity_uuid::text, :start) "
            "ORDER BY a.started_at DESC NULLS LAST, a.activity_uuid LIMIT :limit"
        ),
        {"start": start, "limit": limit},
    )
    return list(rows.mappings())


def steps(session: Session, activity_id: int) -> list[RowMapping]:
    """Return the activities that are part of a run, in the order of their starts."""
    rows = session.execute(
        text(
            f"SELECT {_COLUMNS} FROM prov.was_informed_by i "  # noqa: S608
            "JOIN prov.activity a ON a.activity_id = i.informed_id "
            "LEFT JOIN prov.host h USING (host_id) "
            "WHERE i.informant_id = :run AND i.kind = 'part-of' "
            "ORDER BY a.started_at NULLS LAST, a.activity_uuid LIMIT :limit"
        ),
        {"run": activity_id, "limit": MOST_STEPS},
    )
    return list(rows.mappings())


def step_counts(session: Session, activity_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many parts of each status each of the runs has."""
    rows = session.execute(
        text(
            "SELECT i.informant_id, a.status, count(*) AS n FROM prov.was_informed_by i "
            "JOIN prov.activity a ON a.activity_id = i.informed_id "
            "WHERE i.informant_id = ANY(:runs) AND i.kind = 'part-of' GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"runs": list(activity_ids)},
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.informant_id, {})[row.status] = row.n
    return found


def products(session: Session, activity_ids: Sequence[int]) -> list[RowMapping]:
    """Return what the activities generated, and what they state that a part of them did."""
    entity = (
        "e.entity_uuid, coalesce(e.name, e.base_name) AS name, "
        "d.uri || e.base_name AS location, "
        "encode(e.sha256, 'hex') AS sha256, e.size_bytes "
    )
    joins = "LEFT JOIN prov.directory d USING (directory_id) "
    rows = session.execute(
        text(
            f"SELECT e.generated_by AS activity_id, {entity}, r.name AS role "  # noqa: S608
            "FROM prov.entity e LEFT JOIN prov.role r ON r.role_id = e.generation_role_id "
            f"{joins} WHERE e.generated_by = ANY(:of) "
            f"UNION SELECT c.activity_id, {entity}, r.name AS role FROM prov.generation_claim c "
            f"JOIN prov.entity e USING (entity_id) JOIN prov.role r USING (role_id) {joins} "
            "WHERE c.activity_id = ANY(:of) ORDER BY 1, 3, 2 LIMIT :limit"
        ),
        {"of": list(activity_ids), "limit": MOST_STEPS},
    )
    return list(rows.mappings())
