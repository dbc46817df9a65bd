"""Productions: what the runs of a step have used, and who looks after them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

STEP_RUNS = (
    "FROM prov.was_informed_by i JOIN prov.activity a ON a.activity_id = i.informed_id "
    "LEFT JOIN prov.production_run p ON p.run_uuid = a.activity_uuid "
    "WHERE i.informant_id = :step AND i.kind = 'part-of'"
)
_STEP_USES = (
    "FROM prov.was_informed_by i JOIN prov.activity a ON a.activity_id = i.informed_id "
    "JOIN prov.used u ON u.activity_id = a.activity_id JOIN prov.role r USING (role_id) "
    "LEFT JOIN prov.production_run p ON p.run_uuid = a.activity_uuid "
    "WHERE i.informant_id = :step AND i.kind = 'part-of' AND r.name = :role"
)
_USES_OF = (
    "CROSS JOIN LATERAL (SELECT activity_id, entity_id, role_id FROM prov.used "
    "WHERE entity_id = {} OFFSET 0) u "
    "JOIN prov.was_informed_by i ON i.informed_id = u.activity_id AND i.informant_id = :step "
    "AND i.kind = 'part-of' JOIN prov.activity a ON a.activity_id = u.activity_id "
    "AND u.role_id = (SELECT role_id FROM prov.role WHERE name = :role) "
    "LEFT JOIN prov.production_run p ON p.run_uuid = a.activity_uuid"
)
"""How runs of the step used an entity: OFFSET 0 has it begin with the entity."""

_FAILED = "a.status IN ('error', 'interrupted')"
_OPEN = "a.status IN ('running', 'unknown')"
IS_AT_HOME = "(p.run_uuid IS NULL OR p.settled_at IS NOT NULL OR p.held_until < clock_timestamp())"
"""Whether nobody is still busy with bringing home what a run made."""


def _runs_that(condition: str) -> str:
    """Return what gives the runs of the step of some status that is not completed.

    There are few such, and an index of them: OFFSET 0 has it begin with these.
    """
    return (
        f"(SELECT a.activity_id FROM prov.activity a WHERE {condition} "  # noqa: S608
        "AND EXISTS (SELECT 1 FROM prov.was_informed_by w WHERE w.informed_id = a.activity_id "
        "AND w.informant_id = :step AND w.kind = 'part-of' OFFSET 0) OFFSET 0) AS those"
    )


def prefer_indexes(session: Session) -> None:
    """Have what this transaction looks up found by indexes, also in tables that were just filled.

    PostgreSQL counts them only minutes later, and takes them for small meanwhile.
    """
    session.execute(text("SET LOCAL enable_seqscan = off"))


def ids_of(session: Session, uuids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the keys of those of the activities that the record has."""
    rows = session.execute(
        text(
            "SELECT activity_uuid, activity_id FROM prov.activity "
            "WHERE activity_uuid = ANY(CAST(:u AS uuid[]))"
        ),
        {"u": [str(uuid) for uuid in uuids]},
    )
    return {row.activity_uuid: row.activity_id for row in rows}


def definition(session: Session, production: UUID) -> RowMapping | None:
    """Return (uuid, definition, defined_at) of a production as it was last defined."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid AS uuid, a.details -> 'definition' AS definition, "
            "a.started_at AS defined_at FROM prov.was_informed_by i "
            "JOIN prov.activity o ON o.activity_id = i.informant_id "
            "JOIN prov.activity a ON a.activity_id = i.informed_id "
            "WHERE o.activity_uuid = :u AND i.kind = 'part-of' AND a.type = 'ProductionDefinition' "
            "ORDER BY a.started_at DESC, a.activity_uuid LIMIT 1"
        ),
        {"u": str(production)},
    )
    return rows.mappings().one_or_none()


def productions(session: Session, *, limit: int, offset: int) -> tuple[int, list[RowMapping]]:
    """Return how many productions there are, and one page of them, the newest first."""
    total = session.execute(
        text("SELECT count(*) FROM prov.activity WHERE type = 'Production'")
    ).scalar_one()
    rows = session.execute(
        text(
            "SELECT activity_uuid AS uuid, name, started_at FROM prov.activity "
            "WHERE type = 'Production' ORDER BY started_at DESC NULLS LAST, activity_uuid "
            "LIMIT :limit OFFSET :offset"
        ),
        {"limit": limit, "offset": offset},
    )
    return total, list(rows.mappings())


# --- what its runs have used


def failed_uses(session: Session, step: int, role: str) -> list[RowMapping]:
    """Return (entity_id, n_failed, run_id) of what only failed runs of a step used, by last run.

    It begins with what failed, which is little, and not with all that the step did.
    """
    rows = session.execute(
        text(
            "SELECT entity_id, n_failed, run_id FROM (SELECT u.entity_id, count(*) AS n_failed, "  # noqa: S608
            f"max(a.activity_id) AS run_id, bool_and({_FAILED}) AS has_failed, "
            f"bool_and({IS_AT_HOME}) AS is_at_home FROM (SELECT DISTINCT f.entity_id FROM "
            f"{_runs_that(_FAILED)} JOIN prov.used f USING (activity_id) "
            "WHERE f.role_id = (SELECT role_id FROM prov.role WHERE name = :role) OFFSET 0) "
            f"AS tried {_USES_OF.format('tried.entity_id')} "
            "GROUP BY u.entity_id) AS taken "
            "WHERE has_failed AND is_at_home ORDER BY run_id, entity_id"
        ),
        {"step": step, "role": role},
    )
    return list(rows.mappings())


def last_uses(session: Session, step: int, role: str, entities: Sequence[int]) -> dict[int, int]:
    """Return the last run of the step that used each of the entities, of those that were used."""
    rows = session.execute(
        text(
            "SELECT u.entity_id, max(a.activity_id) AS run_id "  # noqa: S608
            "FROM (SELECT unnest(CAST(:entities AS bigint[])) AS entity_id) AS asked "
            f"{_USES_OF.format('asked.entity_id')} GROUP BY u.entity_id"
        ),
        {"step": step, "role": role, "entities": list(entities)},
    )
    return {row.entity_id: row.run_id for row in rows}


def is_busy(session: Session, step: int, uuid: UUID) -> bool:
    """Return whether a run of a step goes on, or is not at home."""
    found = session.execute(
        text(
            f"SELECT EXISTS (SELECT 1 FROM {_runs_that(_OPEN)}) OR EXISTS ("  # noqa: S608
            "SELECT 1 FROM prov.production_run WHERE step_uuid = :uuid "
            "AND settled_at IS NULL AND held_until >= clock_timestamp())"
        ),
        {"step": step, "uuid": str(uuid)},
    )
    return bool(found.scalar_one())


def with_product_ids(session: Session, identifiers: Sequence[str]) -> dict[str, int]:
    """Return the keys of the entities that have those product ids, by product id."""
    rows = session.execute(
        text(
            "SELECT x.identifier, x.entity_id FROM prov.entity_identifier x "
            "WHERE md5(x.identifier) = ANY(ARRAY(SELECT md5(w) FROM unnest("
            "CAST(:wanted AS text[])) w)) AND x.identifier = ANY(:wanted) AND x.kind = 'product-id'"
        ),
        {"wanted": list(identifiers)},
    )
    return {row.identifier: row.entity_id for row in rows}


def inputs_of(session: Session, runs: Sequence[int], role: str) -> dict[int, list[int]]:
    """Return the entities that each of the runs used in that role."""
    rows = session.execute(
        text(
            "SELECT u.activity_id, u.entity_id FROM prov.used u JOIN prov.role r USING (role_id) "
            "WHERE u.activity_id = ANY(:runs) AND r.name = :role ORDER BY 1, 2"
        ),
        {"runs": list(runs), "role": role},
    )
    found: dict[int, list[int]] = {run: [] for run in runs}
    for row in rows:
        found[row.activity_id].append(row.entity_id)
    return found


def described(session: Session, entities: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what there is to say of each of the entities, with all its locations. (Any: JSON.)"""
    rows = session.execute(
        text(
            "SELECT e.entity_id, e.entity_uuid, coalesce(e.name, e.base_name) AS name, e.kind, "
            "e.content_type, e.value, e.size_bytes, encode(e.sha256, 'hex') AS sha256, "
            "d.uri || e.base_name AS location, "
            "ARRAY(SELECT x.uri || l.base_name FROM prov.entity_location l "
            "JOIN prov.directory x USING (directory_id) WHERE l.entity_id = e.entity_id "
            "ORDER BY 1) AS further, "
            "(SELECT min(n.identifier) FROM prov.entity_identifier n "
            "WHERE n.entity_id = e.entity_id AND n.kind = 'product-id') AS product_id "
            "FROM prov.entity e LEFT JOIN prov.directory d USING (directory_id) "
            "WHERE e.entity_id = ANY(:entities)"
        ),
        {"entities": list(entities)},
    )
    return {row["entity_id"]: dict(row) for row in rows.mappings()}


# --- how far a step is


def run_counts(session: Session, step: int) -> list[RowMapping]:
    """Return the runs of a step by (status, is_submitted, is_at_home): n, seconds, last end."""
    rows = session.execute(
        text(
            "SELECT a.status, (p.run_uuid IS NULL OR p.submitted_at IS NOT NULL) AS is_submitted, "  # noqa: S608
            f"{IS_AT_HOME} AS is_at_home, a.started_at IS NOT NULL AS has_started, count(*) AS n, "
            "extract(epoch FROM avg(a.ended_at - a.started_at)) AS mean_s, "
            "min(a.started_at) AS first_at, max(a.ended_at) AS last_at "
            f"{STEP_RUNS} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        ),
        {"step": step},
    )
    return list(rows.mappings())


def input_counts(session: Session, step: int, role: str, retries: int) -> RowMapping:
    """Return how many inputs of a step are done, running, to be retried, given up, and doubled."""
    row = session.execute(
        text(
            "SELECT count(*) FILTER (WHERE n_completed > 0) AS completed, "  # noqa: S608
            "count(*) FILTER (WHERE n_completed = 0 AND n_open > 0) AS running, "
            "count(*) FILTER (WHERE n_completed + n_open = 0 AND n_failed <= :retries) AS retried, "
            "count(*) FILTER (WHERE n_completed + n_open = 0 AND n_failed > :retries) AS failed, "
            "count(*) FILTER (WHERE n_completed + n_open > 1) AS doubled FROM ("
            "SELECT count(*) FILTER (WHERE a.status = 'completed') AS n_completed, "
            f"count(*) FILTER (WHERE {_FAILED}) AS n_failed, "
            f"count(*) FILTER (WHERE a.status <> 'completed' AND NOT {_FAILED}) AS n_open "
            f"{_STEP_USES} "
            "GROUP BY u.entity_id) AS taken"
        ),
        {"step": step, "role": role, "retries": retries},
    )
    return row.mappings().one()


def failures(session: Session, step: int, *, limit: int) -> list[RowMapping]:
    """Return the runs of a step that failed last."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid, a.status, a.exit_code, a.ended_at, a.details -> 'messages' "
            f"AS messages {STEP_RUNS} AND {_FAILED} "
            "ORDER BY a.ended_at DESC NULLS LAST, a.activity_uuid LIMIT :limit"
        ),
        {"step": step, "limit": limit},
    )
    return list(rows.mappings())


# --- who looks after its runs


def hold(
    session: Session,
    keys: Mapping[UUID, str | None],
    *,
    step: UUID,
    engine: str,
    holder: str,
    place: str,
    lease_s: float,
) -> None:
    """Note who is about to submit newly claimed runs, given with the keys of their groups."""
    session.execute(
        text(
            "INSERT INTO prov.production_run (run_uuid, step_uuid, engine, group_key, place, "
            "holder, held_until) SELECT run, :step, :engine, group_key, :place, :holder, "
            "clock_timestamp() + make_interval(secs => :lease_s) "
            "FROM unnest(CAST(:runs AS uuid[]), CAST(:keys AS text[])) AS claimed (run, group_key)"
        ),
        {
            "step": str(step), "engine": engine, "place": place, "holder": holder,
            "lease_s": lease_s, "runs": [str(run) for run in keys], "keys": list(keys.values()),
        },
    )  # fmt: skip


def take_over(
    session: Session, step: UUID, *, holder: str, place: str, lease_s: float, limit: int
) -> list[UUID]:
    """Return claimed runs that nobody submitted and whose holder is us or gone; they are ours now.

    What is to run on a machine is left to that machine: it may run there without our knowledge.
    """
    rows = session.execute(
        text(
            "UPDATE prov.production_run SET holder = :holder, place = :place, "
            "held_until = clock_timestamp() + make_interval(secs => :lease_s) WHERE run_uuid IN ("
            "SELECT run_uuid FROM prov.production_run WHERE step_uuid = :step "
            "AND submitted_at IS NULL AND settled_at IS NULL "
            "AND (holder = :holder OR held_until < clock_timestamp()) "
            "AND (place = :place OR engine <> 'local') ORDER BY claimed_at, run_uuid LIMIT :limit "
            "FOR UPDATE SKIP LOCKED) "
            "RETURNING run_uuid"
        ),
        {"step": str(step), "holder": holder, "place": place, "lease_s": lease_s, "limit": limit},
    )
    return list(rows.scalars())


def lock_runs(session: Session, steps: Sequence[UUID], runs: Sequence[UUID], holder: str) -> None:
    """Lock some runs and those of the holder that are open, in one order.

    Two submitters that look after each other's runs would wait for each other otherwise.
    """
    session.execute(
        text(
            "SELECT 1 FROM prov.production_run WHERE step_uuid = ANY(CAST(:steps AS uuid[])) "
            "AND (run_uuid = ANY(CAST(:runs AS uuid[])) OR (settled_at IS NULL "
            "AND holder = :holder)) ORDER BY run_uuid FOR UPDATE"
        ),
        {"steps": [str(s) for s in steps], "runs": [str(r) for r in runs], "holder": holder},
    )


def renew(session: Session, steps: Sequence[UUID], holder: str, lease_s: float) -> None:
    """Let the holder's open runs be held longer."""
    session.execute(
        text(
            "UPDATE prov.production_run SET "
            "held_until = clock_timestamp() + make_interval(secs => :lease_s) "
            "WHERE holder = :holder AND settled_at IS NULL "
            "AND step_uuid = ANY(CAST(:steps AS uuid[]))"
        ),
        {"holder": holder, "lease_s": lease_s, "steps": [str(s) for s in steps]},
    )


def note(session: Session, column: str, steps: Sequence[UUID], runs: Sequence[UUID]) -> None:
    """Note that runs were submitted (``submitted_at``) or are settled (``settled_at``), once."""
    assert column in ("submitted_at", "settled_at")
    session.execute(
        text(
            f"UPDATE prov.production_run SET {column} = clock_timestamp() "  # noqa: S608
            f"WHERE run_uuid = ANY(CAST(:runs AS uuid[])) AND {column} IS NULL "
            "AND step_uuid = ANY(CAST(:steps AS uuid[]))"
        ),
        {"runs": [str(r) for r in runs], "steps": [str(s) for s in steps]},
    )


def planned(session: Session, runs: Sequence[UUID]) -> list[RowMapping]:
    """Return (activity_id, run_uuid, key) of claimed runs, the first claimed first."""
    rows = session.execute(
        text(
            "SELECT a.activity_id, p.run_uuid, p.group_key AS key FROM prov.production_run p "
            "JOIN prov.activity a ON a.activity_uuid = p.run_uuid "
            "WHERE p.run_uuid = ANY(CAST(:runs AS uuid[])) ORDER BY a.activity_id"
        ),
        {"runs": [str(run) for run in runs]},
    )
    return list(rows.mappings())


def keys_of(session: Session, runs: Sequence[int]) -> dict[int, str | None]:
    """Return the key of the group of each of the runs."""
    rows = session.execute(
        text(
            "SELECT a.activity_id, p.group_key FROM prov.production_run p "
            "JOIN prov.activity a ON a.activity_uuid = p.run_uuid "
            "WHERE a.activity_id = ANY(:runs)"
        ),
        {"runs": list(runs)},
    )
    return {row.activity_id: row.group_key for row in rows}


def open_runs(session: Session, steps: Sequence[UUID]) -> list[RowMapping]:
    """Return the claimed and submitted runs of the steps that are not settled, the oldest first."""
    rows = session.execute(
        text(
            "SELECT p.run_uuid, p.step_uuid, p.engine, p.place, a.status, "
            "p.submitted_at IS NOT NULL AS is_submitted, "
            "p.held_until < clock_timestamp() AS is_lost "
            "FROM prov.production_run p JOIN prov.activity a ON a.activity_uuid = p.run_uuid "
            "WHERE p.step_uuid = ANY(CAST(:steps AS uuid[])) AND p.settled_at IS NULL "
            "ORDER BY p.claimed_at, p.run_uuid LIMIT 10000"
        ),
        {"steps": [str(s) for s in steps]},
    )
    return list(rows.mappings())
