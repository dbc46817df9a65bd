"""Productions: defining them, claiming groups of inputs for their runs, and how far they are.

A claim is a record like any other: a run that is part of its step, `running`, and used its inputs.
All claims take turns with all other recording, so that no input is claimed twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, JSONDict, NotFoundError
from provmanager.formats.production_document import from_json
from provmanager.ids import uuid_of
from provmanager.model.productions import Production, ProductionStep
from provmanager.store import productions as store
from provmanager.store import writing

from .ingest import IngestPolicy, Source, record
from .search import MAX_PAGE, offset_of, page_of
from .trace import iso

MOST_GROUPS = 500
"""Most groups that are claimed in one request."""

_SCHEMA = "provmanager/activity.v1"
_N_FAILURES = 20
_NOBODY = 0  # key of no activity
_OPEN = ("running", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a submitter asks for.

    Attributes
    ----------
    definition : UUID, optional
        The definition of the production that it goes by; needed but for a dry run.
    document : dict, optional
        In a dry run, the production as it would be.
    holder, place : str
        Who it is, and the machine and state directory in which its runs lie.
    lease_s : float
        After how many seconds without a sign of it another may submit what it claimed.
    most : mapping
        Most groups, over all steps, by engine.
    filled : frozenset of str, optional
        Steps whose groups need not be full; by default all.
    """

    definition: UUID | None = None
    document: JSONDict | None = None
    holder: str
    place: str
    lease_s: float
    most: Mapping[str, int]
    filled: frozenset[str] | None = None
    dry_run: bool = False


@dataclass(slots=True)
class _Group:
    """Inputs that one run takes."""

    key: str | None
    entities: list[int]
    attempt: int = 1
    run: UUID | None = None
    is_new: bool = True
    row: int = 0
    """Key of the run's activity, where there is one."""


@dataclass(slots=True)
class _Taking:
    """A step while its groups are claimed."""

    step: ProductionStep
    taker: store.Taker
    uuid: UUID
    groups: list[_Group] = field(default_factory=list)
    has_ended: bool = False


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
    _record(session, [*new, told], policy=policy, by=by)
    return {"name": production.name, "definition": str(definition), "is_new": True}


def claim(
    session: Session, name: str, wanted: Claim, *, policy: IngestPolicy, by: str
) -> list[JSONDict]:
    """Claim groups of inputs for runs that the caller is to submit; return them.

    First come runs that were claimed and never submitted, by it or by one that is gone; then groups
    whose runs failed and that may be run again; then inputs that no run of the step has used.

    Raises
    ------
    NotFoundError
        There is no such production.
    DifferenceError
        It was defined anew since.
    """
    if wanted.dry_run and wanted.document is not None:
        production = from_json(wanted.document)
    else:
        production = _as_asked(session, name, wanted)
    if not wanted.dry_run:
        if not any(t.groups for t in _choose(session, production, wanted)):
            return []  # without making those wait who record
        writing.lock_writers(session)
    takings = _choose(session, production, wanted)
    if not wanted.dry_run:
        for taking in takings:
            _plan(session, name, taking, wanted, policy=policy, by=by)
    return [g for taking in takings for g in _shown(session, taking)]


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
    production, _ = _production(session, name)
    steps = {step_uuid(name, step.name): step.name for step in production.steps}
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
    production, held = _production(session, name)
    store.prefer_indexes(session)
    steps = [_described(session, taking) for taking in _takings(session, production)]
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


def _production(session: Session, name: str) -> tuple[Production, Mapping[Any, Any]]:
    held = store.definition(session, production_uuid(name))
    if held is None:
        raise NotFoundError(f"no production {name!r} in the record; prod-status lists them")
    return from_json(held["definition"]), held


def _as_asked(session: Session, name: str, wanted: Claim) -> Production:
    production, held = _production(session, name)
    if held["uuid"] != wanted.definition and not wanted.dry_run:
        raise DifferenceError(
            f"production {name} was defined anew at {iso(held['defined_at'])}: start prod-submit "
            "again with the document that is to hold",
            definition=str(held["uuid"]),
        )
    return production


def _takings(session: Session, production: Production) -> Iterator[_Taking]:
    uuids = {step.name: step_uuid(production.name, step.name) for step in production.steps}
    ids = store.ids_of(session, list(uuids.values()))
    for step in production.steps:
        source = step.input.from_step
        taker = store.Taker(
            query=step.input,
            step=ids.get(uuids[step.name], _NOBODY),
            role=step.files,
            upstream=ids.get(uuids[source], _NOBODY) if source else None,
            by=step.group_by,
        )
        yield _Taking(step, taker, uuids[step.name])


def _choose(session: Session, production: Production, wanted: Claim) -> list[_Taking]:
    """Return the steps with the groups that are to be claimed."""
    takings: dict[str, _Taking] = {}
    room = dict(wanted.most)
    store.prefer_indexes(session)
    for taking in _takings(session, production):
        step = taking.step
        source = step.input.from_step
        is_fed = source is not None and not takings[source].has_ended
        may_be_partial = not is_fed and (wanted.filled is None or step.name in wanted.filled)
        n_taken = sum(len(t.groups) for t in takings.values())
        most = min(room.get(step.engine, 0), MOST_GROUPS - n_taken)
        _take(session, taking, wanted, most, is_fed=is_fed, may_be_partial=may_be_partial)
        room[step.engine] = room.get(step.engine, 0) - len(taking.groups)
        takings[step.name] = taking
    return list(takings.values())


def _take(
    session: Session,
    taking: _Taking,
    wanted: Claim,
    room: int,
    *,
    is_fed: bool,
    may_be_partial: bool,
) -> None:
    """Choose the groups of a step, and see whether nothing more can come of it for now."""
    step, taker = taking.step, taking.taker
    if not wanted.dry_run:
        taken = store.take_over(
            session, taking.uuid, holder=wanted.holder, place=wanted.place,
            lease_s=wanted.lease_s, limit=max(0, room),
        )  # fmt: skip
        rows = store.planned(session, taken)
        inputs = store.inputs_of(session, [r["activity_id"] for r in rows], step.files)
        taking.groups += [
            _Group(r["key"], inputs[r["activity_id"]], run=r["run_uuid"], is_new=False)
            for r in rows
        ]
    failed = store.failed_uses(session, taker.step, taker.role)
    again = [group for group in _failed_groups(failed) if group.attempt <= step.retries + 1]
    taking.groups += again[: max(0, room - len(taking.groups))]
    n_wanted = max(0, room - len(taking.groups)) * step.group_size
    free = store.free_inputs(session, taker, n_wanted + 1)
    fresh = _chunks(free[:n_wanted], step.group_size, partial=may_be_partial,
                    is_cut=len(free) > n_wanted)  # fmt: skip
    taking.groups += fresh
    is_left = len(free) > sum(len(group.entities) for group in fresh)
    counts = store.run_counts(session, taker.step)
    is_busy = any(c["status"] in _OPEN or not c["is_at_home"] for c in counts)
    taking.has_ended = not (is_fed or taking.groups or again or is_left or is_busy)


def _failed_groups(rows: Sequence[Mapping[Any, Any]]) -> Iterator[_Group]:
    """Yield the groups whose last run failed, with the number of the next attempt."""
    for run, several in groupby(rows, key=lambda row: row["run_id"]):
        uses = list(several)
        attempt = max(row["n_failed"] for row in uses) + 1
        yield _Group(None, [row["entity_id"] for row in uses], attempt, row=run)


def _chunks(
    free: Sequence[Mapping[Any, Any]], size: int, *, partial: bool, is_cut: bool
) -> list[_Group]:
    """Return groups of free inputs with one key each.

    Parameters
    ----------
    partial
        Whether a group may have fewer than `size`.
    is_cut
        Whether there are more: then the last key's may not be all.
    """
    groups: list[_Group] = []
    for key, several in groupby(free, key=lambda row: row["key"]):
        entities = [row["entity_id"] for row in several]
        groups += [_Group(key, entities[i : i + size]) for i in range(0, len(entities), size)]
    last = groups[-1] if groups else None
    return [
        g for g in groups if len(g.entities) == size or (partial and not (is_cut and g is last))
    ]


def _plan(
    session: Session, name: str, taking: _Taking, wanted: Claim, *, policy: IngestPolicy, by: str
) -> None:
    """Record the runs of the groups that are new: from now on their inputs are used."""
    step = taking.step
    new = [group for group in taking.groups if group.is_new]
    if not new:
        return
    former = store.keys_of(session, [group.row for group in new if group.row])
    described = store.described(session, [e for group in new for e in group.entities])
    records = []
    for group in new:
        group.run = uuid4()
        group.key = group.key or former.get(group.row)
        records.append(
            {
                "id": str(group.run),
                "name": f"{name}.{step.name}",
                "type": "Workflow",
                "status": "running",
                "parent": str(taking.uuid),
                "inputs": [_flow(described[e], step.files) for e in group.entities],
                "attributes": {
                    "production": name, "step": step.name, "attempt": group.attempt,
                    "definition": str(wanted.definition),
                    **({"key": group.key} if group.key is not None else {}),
                },
            }
        )  # fmt: skip
    _record(session, records, policy=policy, by=by)
    store.hold(
        session,
        [{"run": str(g.run), "step": str(taking.uuid), "engine": step.engine,
          "group_key": g.key, "place": wanted.place, "holder": wanted.holder,
          "lease_s": wanted.lease_s}
         for g in new],
    )  # fmt: skip
    _check(session, taking, new)


def _check(session: Session, taking: _Taking, groups: Sequence[_Group]) -> None:
    """Make sure that the record took each claim for what was claimed.

    Raises
    ------
    DifferenceError
        It did not, so that nothing of this is recorded.
    """
    ids = store.ids_of(session, [group.run for group in groups if group.run])
    used = store.inputs_of(session, list(ids.values()), taking.step.files)
    for group in groups:
        assert group.run is not None
        if set(used[ids[group.run]]) != set(group.entities):
            names = store.described(session, group.entities).values()
            told = ", ".join(sorted(str(row["location"] or row["entity_uuid"]) for row in names))
            raise DifferenceError(
                f"step {taking.step.name} cannot take {told}: by location, digest and product id "
                "the record takes them for other products (docs/identity.md); prod-trace shows both"
            )


def _flow(row: Mapping[str, Any], role: str) -> JSONDict:
    """Return an input as our capture format has it, by all that identifies it."""
    places = [place for place in (row["location"], *row["further"]) if place]
    flow = {
        "role": role,
        "url": places[0] if places else None,
        "locations": places[1:] or None,
        "sha256": row["sha256"],
        "product_id": row["product_id"],
        "kind": row["kind"] if row["kind"] != "dataset" else None,
    }
    return {key: value for key, value in flow.items() if value is not None}


def _shown(session: Session, taking: _Taking) -> Iterator[JSONDict]:
    described = store.described(session, [e for g in taking.groups for e in g.entities])
    for group in taking.groups:
        yield {
            "step": taking.step.name,
            "run": str(group.run) if group.run else None,
            "key": group.key,
            "is_new": group.is_new,
            "inputs": [
                {
                    "id": str(row["entity_uuid"]),
                    "name": row["name"],
                    "kind": row["kind"],
                    "content_type": row["content_type"],
                    "size_bytes": row["size_bytes"],
                    "sha256": row["sha256"],
                    "locations": [p for p in (row["location"], *row["further"]) if p],
                }
                for row in (described[e] for e in group.entities)
            ],
        }


def _described(session: Session, taking: _Taking) -> JSONDict:
    step, taker = taking.step, taking.taker
    counts = store.run_counts(session, taker.step)
    runs = {"claimed": 0, "waiting": 0, "running": 0, "completed": 0, "error": 0, "interrupted": 0}
    for row in counts:
        word = row["status"]
        if word in _OPEN:
            word = "running" if row["has_started"] else "waiting"
            word = word if row["is_submitted"] else "claimed"
        runs[word] += row["n"]
    done = [row for row in counts if row["status"] == "completed" and row["mean_s"] is not None]
    n_done = sum(row["n"] for row in done)
    inputs = dict(store.input_counts(session, taker.step, taker.role, step.retries))
    failures = store.failures(session, taker.step, limit=_N_FAILURES)
    return {
        "id": str(taking.uuid),
        "name": step.name,
        "from": step.input.from_step,
        "engine": step.engine,
        "group_size": step.group_size,
        "runs": runs,
        "inputs": {"free": store.n_free_inputs(session, taker), **inputs},
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


def _record(
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
