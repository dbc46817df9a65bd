"""Productions: how they are defined, how far they are, and who looks after their runs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, NotFoundError
from provmanager.formats.production_document import from_json
from provmanager.ids import uuid_of
from provmanager.model.productions import Production, ProductionStep
from provmanager.store import production_inputs as inputs
from provmanager.store import productions as store
from provmanager.store import writing

from .ingest import IngestPolicy, Source, record
from .search import MAX_PAGE, offset_of, page_of
from .trace import iso

_SCHEMA = "provmanager/activity.v1"
_N_FAILURES = 20
_NOBODY = 0  # key of no activity
OPEN = ("running", "unknown")
ROLE = "production input"
"""Role in which the claim of a run says that it used its inputs: by all that identifies them.

What the run itself tells has other roles, and from a node perhaps but the bytes, which several
products may have.
"""


@dataclass(slots=True)
class Group:
    """Inputs that one run takes, or the number that is one."""

    key: str | None
    entities: list[int]
    attempt: int = 1
    run: UUID | None = None
    is_new: bool = True
    row: int = 0
    """Key of the run's activity, where there is one."""
    number: int | None = None


@dataclass(slots=True)
class Taking:
    """A step while its groups are claimed."""

    step: ProductionStep
    taker: inputs.Taker
    uuid: UUID
    groups: list[Group] = field(default_factory=list)


def define(session: Session, production: Production, *, policy: IngestPolicy, by: str) -> JSONDict:
    """Record a production and its steps, and how it is defined from now on.

    Returns its name, the UUID of its definition, and whether that is a new one.
    """
    writing.lock_writers(session)
    document = dict(production.document)
    held = store.definition(session, production_uuid(production.name))
    if held is not None and held["definition"] == document:
        return {"name": production.name, "definition": str(held["uuid"]), "is_new": False}
    now = _now()
    whole = str(production_uuid(production.name))
    records = [{"id": whole, "name": production.name, "type": "Production", "started_at": now}]
    records += [
        {"id": str(step_uuid(production.name, step.name)), "parent": whole,
         "name": f"{production.name}.{step.name}", "type": "ProductionStep"}
        for step in production.steps
    ]  # fmt: skip
    known = store.ids_of(session, [UUID(r["id"]) for r in records])
    definition = uuid4()
    told = {
        "id": str(definition), "name": f"define {production.name}", "type": "ProductionDefinition",
        "status": "completed", "started_at": now, "ended_at": now, "parent": whole,
        "attributes": {"definition": document},
    }  # fmt: skip
    new = [r for r in records if UUID(r["id"]) not in known]
    record_all(session, [*new, told], policy=policy, by=by)
    return {"name": production.name, "definition": str(definition), "is_new": True}


def report(
    session: Session,
    name: str,
    *,
    holder: str,
    lease_s: float,
    submitted: Sequence[UUID] = (),
    settled: Sequence[UUID] = (),
) -> list[JSONDict]:
    """Note which runs were submitted and which are at home; return those that are not at home.

    It is also the sign of life of the caller.
    """
    production, _ = held_definition(session, name)
    steps = {step_uuid(name, step.name): step.name for step in production.steps}
    store.lock_runs(session, list(steps), [*submitted, *settled], holder)
    store.note(session, "submitted_at", list(steps), submitted)
    store.note(session, "settled_at", list(steps), settled)
    store.renew(session, list(steps), holder, lease_s)
    return [
        {"run": str(row["run_uuid"]), "step": steps[row["step_uuid"]], "engine": row["engine"],
         "place": row["place"], "status": row["status"], "is_submitted": row["is_submitted"],
         "is_lost": row["is_lost"]}
        for row in store.open_runs(session, list(steps))
    ]  # fmt: skip


def describe_production(session: Session, name: str) -> JSONDict:
    """Return how far a production is, step by step.

    Raises
    ------
    NotFoundError
        There is none of the name.
    """
    production, held = held_definition(session, name)
    store.prefer_indexes(session)
    steps = [_described(session, taking) for taking in takings_of(session, production)]
    return {
        "id": str(production_uuid(name)),
        "name": name,
        "description": production.description,
        "metadata": dict(production.metadata),
        "definition": str(held["uuid"]),
        "defined_at": iso(held["defined_at"]),
        "document": dict(production.document),
        "is_done": all(_is_done(step) for step in steps),
        "steps": steps,
    }


def list_productions(session: Session, *, limit: int = 100, cursor: str | None = None) -> JSONDict:
    """Return one page of the productions, the newest first."""
    offset = offset_of(cursor)
    total, rows = store.productions(session, limit=min(limit, MAX_PAGE), offset=offset)
    items = [
        {"id": str(row["uuid"]), "name": row["name"], "started_at": iso(row["started_at"])}
        for row in rows
    ]
    return page_of(items, total, offset)


def production_uuid(name: str) -> UUID:
    """Return the UUID of a production's activity."""
    return uuid_of("production", name)


def step_uuid(production: str, step: str) -> UUID:
    """Return the UUID of the activity of a step."""
    return uuid_of("production-step", production, step)


def held_definition(session: Session, name: str) -> tuple[Production, Mapping[Any, Any]]:
    """Return a production as it was last defined, and the row of that; Any: columns.

    Raises
    ------
    NotFoundError
        There is none of the name.
    """
    held = store.definition(session, production_uuid(name))
    if held is None:
        raise NotFoundError(f"no production {name!r} in the record; prod-status lists them")
    return from_json(held["definition"]), held


def takings_of(session: Session, production: Production) -> Iterator[Taking]:
    """Yield the steps of a production with what they look for."""
    uuids = {step.name: step_uuid(production.name, step.name) for step in production.steps}
    ids = store.ids_of(session, list(uuids.values()))
    for step in production.steps:
        source = step.input.from_step
        taker = inputs.Taker(
            query=step.input,
            step=ids.get(uuids[step.name], _NOBODY),
            role=ROLE,
            upstream=ids.get(uuids[source], _NOBODY) if source else None,
            by=step.group_by,
            numbers=step.numbers,
        )
        yield Taking(step, taker, uuids[step.name])


def _described(session: Session, taking: Taking) -> JSONDict:
    step, taker = taking.step, taking.taker
    counts = store.run_counts(session, taker.step)
    runs = {"claimed": 0, "waiting": 0, "running": 0, "completed": 0, "error": 0, "interrupted": 0}
    for row in counts:
        word = row["status"]
        if word in OPEN:
            word = "running" if row["has_started"] else "waiting"
            word = word if row["is_submitted"] else "claimed"
        runs[word] += row["n"]
    done = [row for row in counts if row["status"] == "completed" and row["mean_s"] is not None]
    n_done = sum(row["n"] for row in done)
    used = dict(store.input_counts(session, taker.step, taker.role, step.retries))
    failures = store.failures(session, taker.step, limit=_N_FAILURES)
    return {
        "id": str(taking.uuid),
        "name": step.name,
        "from": step.input.from_step,
        "generate": asdict(step.numbers) if step.numbers else None,
        "engine": step.engine,
        "group_size": step.group_size,
        "runs": runs,
        "inputs": {"free": inputs.n_free_inputs(session, taker), **used},
        "mean_s": float(sum(row["mean_s"] * row["n"] for row in done)) / n_done if n_done else None,
        "first_at": iso(min((r["first_at"] for r in counts if r["first_at"]), default=None)),
        "last_at": iso(max((r["last_at"] for r in counts if r["last_at"]), default=None)),
        "failures": [_failure(row) for row in failures],
    }


def _failure(row: Mapping[Any, Any]) -> JSONDict:
    messages = row["messages"] if isinstance(row["messages"], list) else []
    said = [str(m.get("text")) for m in messages
            if isinstance(m, dict) and m.get("level") == "error"]  # fmt: skip
    return {
        "run": str(row["activity_uuid"]),
        "status": row["status"],
        "exit_code": row["exit_code"],
        "ended_at": iso(row["ended_at"]),
        "reason": "; ".join(said) or None,
    }


def _is_done(step: JSONDict) -> bool:
    runs, inputs = step["runs"], step["inputs"]
    is_open = runs["claimed"] + runs["waiting"] + runs["running"]
    return not (is_open or inputs["free"] or inputs["retried"])


def record_all(
    session: Session, records: Iterable[JSONDict], *, policy: IngestPolicy, by: str
) -> None:
    """Record activities, a document each, in the caller's transaction, all or none.

    Raises
    ------
    ProvError
        One is refused.
    """
    recorder = {"name": "provmanager"}
    sources = [
        Source(json.dumps({"schema": _SCHEMA, **told, "recorder": recorder}).encode(), None, by)
        for told in records
    ]
    for outcome in record(session, sources, policy=policy):
        if outcome.error is not None:
            raise outcome.error


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
