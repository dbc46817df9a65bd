"""Productions: what a step may take."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from provmanager.model.productions import InputQuery, ProducerQuery, Range, RunNumbers

from .productions import IS_AT_HOME, STEP_RUNS
from .search import ActivityFilter, Where, as_json, like_pattern, where_of

_ENTITIES = (
    "FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by "
    "LEFT JOIN prov.directory d ON d.directory_id = e.directory_id "
    "LEFT JOIN prov.role r ON r.role_id = e.generation_role_id"
)
_GAPS = (
    "FROM (SELECT n + 1 AS low, "
    "lead(n, 1, CAST(:last AS bigint) + 1) OVER (ORDER BY n) - 1 AS high "
    "FROM (SELECT CAST(:first AS bigint) - 1 AS n UNION SELECT taken.n FROM ("
    "SELECT CASE WHEN e.value ~ '^[0-9]{1,18}$' THEN CAST(e.value AS bigint) END AS n "
    "FROM prov.was_informed_by i JOIN prov.used u ON u.activity_id = i.informed_id "
    "JOIN prov.entity e USING (entity_id) WHERE i.informant_id = :step AND i.kind = 'part-of' "
    "AND u.role_id = (SELECT role_id FROM prov.role WHERE name = :taken_as) AND e.kind = 'value') "
    "AS taken WHERE taken.n BETWEEN :first AND :last) AS known) AS gap WHERE low <= high"
)
"""Ranges of numbers between those that runs of the step used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A step as it looks for inputs.

    Attributes
    ----------
    step, upstream : int
        Keys of the activities of the step, and of the one whose outputs it takes.
    role : str
        Role in which runs of the step use what they take.
    by : str, optional
        What the key is by which inputs come in groups: ``folder`` or ``metadata.NAME``.
    numbers : RunNumbers, optional
        What it takes instead of what `query` finds.
    """

    query: InputQuery
    step: int
    role: str
    upstream: int | None = None
    by: str | None = None
    numbers: RunNumbers | None = None


def free_numbers(
    session: Session, taker: Taker, numbers: RunNumbers, limit: int
) -> list[tuple[int, int]]:
    """Return the first and last of the least ranges of numbers that no run of the step used."""
    rows = session.execute(
        text(f"SELECT low, high {_GAPS} ORDER BY low LIMIT :limit"),
        {**_bounds(taker, numbers), "limit": limit},
    )
    return [(row.low, row.high) for row in rows]


def _bounds(taker: Taker, numbers: RunNumbers) -> dict[str, object]:
    return {"step": taker.step, "taken_as": taker.role,
            "first": numbers.first, "last": numbers.last}  # fmt: skip


def free_inputs(session: Session, taker: Taker, limit: int) -> list[RowMapping]:
    """Return (entity_id, entity_uuid, key) of what fits and no run of the step used, by key."""
    where = _free(session, taker)
    key = "NULL"
    if taker.by == "folder":
        key = "d.uri"
    elif taker.by is not None:
        key = f"{_metadata(where, 'key', taker.by.removeprefix('metadata.'))} #>> '{{}}'"
    rows = session.execute(
        text(
            f"SELECT e.entity_id, e.entity_uuid, {key} AS key {_ENTITIES} "
            f"WHERE {where.sql()} "
            "ORDER BY key NULLS FIRST, coalesce(e.generated_at, a.ended_at), e.base_name, "
            "e.entity_uuid LIMIT :limit"
        ),
        {**where.given, "limit": limit},
    )
    return list(rows.mappings())


def has_free_inputs(session: Session, taker: Taker) -> bool:
    """Return whether there are any, of inputs or numbers."""
    if taker.numbers is not None:
        return bool(free_numbers(session, taker, taker.numbers, 1))
    where = _free(session, taker)
    found = text(f"SELECT EXISTS (SELECT 1 {_ENTITIES} WHERE {where.sql()})")
    return bool(session.execute(found, where.given).scalar_one())


def n_free_inputs(session: Session, taker: Taker) -> int:
    """Return how many there are, of inputs or numbers."""
    if taker.numbers is not None:
        counted = text(f"SELECT coalesce(sum(high - low + 1), 0) {_GAPS}")
        return int(session.execute(counted, _bounds(taker, taker.numbers)).scalar_one())
    where = _free(session, taker)
    statement = text(f"SELECT count(*) {_ENTITIES} WHERE {where.sql()}")
    return int(session.execute(statement, where.given).scalar_one())


def _free(session: Session, taker: Taker) -> Where:
    where = _where(session, taker.query, taker.upstream)
    # OFFSET 0 keeps the order: from the input to the few that used it, whatever the planner thinks
    # of tables that it has not counted. A join with all that the step used would be quadratic.
    where.add(
        "NOT EXISTS (SELECT 1 FROM (SELECT activity_id, role_id FROM prov.used "
        "WHERE entity_id = e.entity_id OFFSET 0) u "
        "WHERE u.role_id = (SELECT role_id FROM prov.role WHERE name = :taken_as) "
        "AND EXISTS (SELECT 1 FROM prov.was_informed_by ui WHERE ui.informed_id = u.activity_id "
        "AND ui.informant_id = :step AND ui.kind = 'part-of' OFFSET 0) OFFSET 0)",
        step=taker.step,
        taken_as=taker.role,
    )
    return where


def _producer(session: Session, wanted: ProducerQuery) -> Where:
    """Return the conditions on the activity that generated an input."""
    packages = (p.partition("==") for p in wanted.packages)
    where = where_of(
        session,
        ActivityFilter(
            name=wanted.name, version=wanted.version, after=wanted.after, before=wanted.before,
            host=wanted.host, person=wanted.person,
            packages=tuple((name.strip(), version.strip() or None)
                           for name, _, version in packages),
            parameters=tuple(wanted.parameters.items()),
        ),
    )  # fmt: skip
    where.add("a.activity_id IS NOT NULL")
    if wanted.type is not None:
        where.add("a.type LIKE :producer_type", producer_type=like_pattern(wanted.type))
    if wanted.site is not None:
        where.add("a.job ->> 'site' LIKE :site", site=like_pattern(wanted.site))
    return where


def _where(session: Session, query: InputQuery, upstream: int | None) -> Where:
    where = _producer(session, query.activity) if query.activity else Where()
    where.add("e.invalidated_at IS NULL AND e.kind <> 'value'")
    where.add("(a.activity_id IS NULL OR a.is_claim OR a.status = 'completed')")
    if query.from_step is not None:
        _add_outputs(where, query.output, upstream)
    patterns = {
        "name": "coalesce(e.name, e.base_name)", "location": "d.uri || e.base_name",
        "content_type": "e.content_type", "role": "r.name",
    }  # fmt: skip
    for name, column in patterns.items():
        value = getattr(query, name)
        if value is not None:
            where.add(f"{column} LIKE :wanted_{name}", **{f"wanted_{name}": like_pattern(value)})
    if query.kind is not None:
        where.add("e.kind = :kind", kind=query.kind)
    made_at = "coalesce(e.generated_at, a.ended_at)"
    if query.after is not None:
        where.add(f"{made_at} >= :made_after", made_after=query.after)
    if query.before is not None:
        where.add(f"{made_at} < :made_before", made_before=query.before)
    for number, (name, value) in enumerate(query.metadata.items()):
        _add_metadata(where, number, name, value)
    return where


def _add_outputs(where: Where, output: str | None, upstream: int | None) -> None:
    """Restrict to what the completed runs of a step gave, once it is at home."""
    # an array has it begin with the runs: of all that was ever generated, theirs may be little
    runs = f"SELECT a.activity_id {STEP_RUNS} AND a.status = 'completed' AND {IS_AT_HOME}"
    runs = f"ANY(ARRAY({runs.replace(':step', ':upstream')}))"
    is_output = "" if output is None else "AND o.name = :output "
    where.add(
        "e.entity_id IN (SELECT m.entity_id FROM prov.entity m "  # noqa: S608
        "LEFT JOIN prov.role o ON o.role_id = m.generation_role_id "
        f"WHERE m.generated_by = {runs} {is_output}"
        "UNION SELECT c.entity_id FROM prov.generation_claim c JOIN prov.role o USING (role_id) "
        f"WHERE c.reason IN ('outer-level', 'another-role') AND c.activity_id = {runs} "
        f"{is_output})",
        upstream=upstream,
    )
    if output is not None:
        where.given["output"] = output


def _metadata(where: Where, number: object, name: str) -> str:
    """Return what gives the value of an entity's attribute: by its name, else by its path."""
    where.given |= {f"field_{number}": name, f"path_{number}": name.split(".")}
    return (
        f"coalesce(e.details -> CAST(:field_{number} AS text), "
        f"e.details #> CAST(:path_{number} AS text[]))"
    )


def _add_metadata(where: Where, number: int, name: str, value: Any) -> None:  # Any: scalar, Range
    held = _metadata(where, number, name)
    if isinstance(value, Range):
        for bound, sign in (("min", ">="), ("max", "<=")):
            limit = getattr(value, bound)
            if isinstance(limit, str):
                where.add(f"({held} #>> '{{}}') COLLATE \"C\" {sign} :{bound}_{number}")
            elif limit is not None:
                where.add(
                    f"CASE WHEN jsonb_typeof({held}) = 'number' THEN "
                    f"CAST({held} AS numeric) {sign} :{bound}_{number} ELSE false END"
                )
            if limit is not None:
                where.given[f"{bound}_{number}"] = limit
        return
    values = value if isinstance(value, tuple) else (value,)
    where.add(
        f"{held} = ANY(CAST(:values_{number} AS jsonb[]))",
        **{f"values_{number}": [as_json(one) for one in values]},
    )
