"""Claims of productions: which inputs a run takes, decided once for everybody.

A claim is a record like any other: a run that is part of its step, `running`, and used its inputs.
All claims take turns with all other recording, so that no input is claimed twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, JSONDict
from provmanager.formats.production_document import from_json
from provmanager.model.productions import Production, ProductionStep
from provmanager.store import production_inputs as inputs
from provmanager.store import productions as store
from provmanager.store import writing

from .ingest import IngestPolicy
from .productions import ROLE, Group, Taking, held_definition, record_all, takings_of
from .trace import iso

MOST_GROUPS = 500
"""Most groups that are claimed in one request."""

_NEVER = 0
"""Key of the last run of what no run used."""


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
    store.prefer_indexes(session)
    takings = _choose(session, production, wanted)
    if not wanted.dry_run and any(group.is_new for t in takings for group in t.groups):
        writing.lock_writers(session)  # only now: until here, nobody who records had to wait
        if not all(_is_untouched(session, name, taking) for taking in takings):
            takings = _choose(session, production, wanted)
        for taking in takings:
            _plan(session, name, taking, wanted, policy=policy, by=by)
    return [g for taking in takings for g in _shown(session, taking)]


def _as_asked(session: Session, name: str, wanted: Claim) -> Production:
    production, held = held_definition(session, name)
    if held["uuid"] != wanted.definition and not wanted.dry_run:
        raise DifferenceError(
            f"production {name} was defined anew at {iso(held['defined_at'])}: start prod-submit "
            "again with the document that is to hold",
            definition=str(held["uuid"]),
        )
    return production


def _choose(session: Session, production: Production, wanted: Claim) -> list[Taking]:
    """Return the steps with the groups that may be claimed."""
    takings: dict[str, Taking] = {}
    room = dict(wanted.most)
    for taking in takings_of(session, production):
        step = taking.step
        takings[step.name] = taking
        n_taken = sum(len(t.groups) for t in takings.values())
        most = min(room.get(step.engine, 0), MOST_GROUPS - n_taken)
        if most > 0:
            _take(session, takings, taking, wanted, most)
        room[step.engine] = room.get(step.engine, 0) - len(taking.groups)
    return list(takings.values())


def _take(
    session: Session, takings: Mapping[str, Taking], taking: Taking, wanted: Claim, room: int
) -> None:
    """Choose the groups of a step."""
    step = taking.step
    if not wanted.dry_run:
        taken = store.take_over(
            session, taking.uuid, holder=wanted.holder, place=wanted.place,
            lease_s=wanted.lease_s, limit=room,
        )  # fmt: skip
        rows = store.planned(session, taken)
        used = store.inputs_of(session, [r["activity_id"] for r in rows], ROLE)
        taking.groups += [
            Group(r["key"], used[r["activity_id"]], run=r["run_uuid"], is_new=False) for r in rows
        ]
    if room > len(taking.groups):
        taking.groups += _again(session, taking)[: room - len(taking.groups)]
    n_wanted = (room - len(taking.groups)) * step.group_size
    if n_wanted <= 0:
        return
    if step.numbers is not None:
        gaps = inputs.free_numbers(session, taking.taker, step.numbers, n_wanted)
        numbers = [n for low, high in gaps for n in range(low, min(high, low + n_wanted) + 1)]
        taking.groups += [Group(None, [], number=n) for n in numbers[:n_wanted]]
        return
    free = inputs.free_inputs(session, taking.taker, n_wanted + 1)
    groups = _chunks(free[:n_wanted], step.group_size, is_cut=len(free) > n_wanted)
    is_partial = any(len(group.entities) < step.group_size for group in groups)
    if is_partial and not _may_be_partial(session, takings, step, wanted):
        groups = [group for group in groups if len(group.entities) == step.group_size]
    taking.groups += groups


def _again(session: Session, taking: Taking) -> list[Group]:
    """Return the groups whose runs failed, and that may be run again."""
    failed = store.failed_uses(session, taking.taker.step, taking.taker.role)
    return [g for g in _failed_groups(failed) if g.attempt <= taking.step.retries + 1]


def _may_be_partial(
    session: Session, takings: Mapping[str, Taking], step: ProductionStep, wanted: Claim
) -> bool:
    """Whether a group of a step need not be full: nothing more comes, or it was waited for."""
    if wanted.filled is not None and step.name not in wanted.filled:
        return False
    source = step.input.from_step
    return source is None or _has_ended(session, takings, takings[source])


def _has_ended(session: Session, takings: Mapping[str, Taking], taking: Taking) -> bool:
    """Whether nothing more can come of a step for now."""
    step, taker = taking.step, taking.taker
    source = step.input.from_step
    return not (
        taking.groups
        or store.is_busy(session, taker.step, taking.uuid)
        or _again(session, taking)
        or inputs.has_free_inputs(session, taker)
        or (source is not None and not _has_ended(session, takings, takings[source]))
    )


def _is_untouched(session: Session, production: str, taking: Taking) -> bool:
    """Whether no other claim took any of the new groups since they were chosen."""
    new = [group for group in taking.groups if group.is_new]
    numbers = [_number_id(production, taking.step, g.number) for g in new if g.number is not None]
    known = store.with_product_ids(session, numbers)
    chosen = {entity: group.row for group in new for entity in group.entities}
    chosen |= dict.fromkeys(known.values(), _NEVER)
    taker = taking.taker
    last = store.last_uses(session, taker.step, taker.role, list(chosen))
    return all(last.get(entity, _NEVER) == row for entity, row in chosen.items())


def _failed_groups(rows: Sequence[Mapping[Any, Any]]) -> Iterator[Group]:
    """Yield the groups whose last run failed, with the number of the next attempt."""
    for run, several in groupby(rows, key=lambda row: row["run_id"]):
        uses = list(several)
        attempt = max(row["n_failed"] for row in uses) + 1
        yield Group(None, [row["entity_id"] for row in uses], attempt, row=run)


def _chunks(free: Sequence[Mapping[Any, Any]], size: int, *, is_cut: bool) -> list[Group]:
    """Return groups of free inputs with one key each.

    Parameters
    ----------
    is_cut
        Whether there are more: then the last key's may not be all.
    """
    groups: list[Group] = []
    for key, several in groupby(free, key=lambda row: row["key"]):
        entities = [row["entity_id"] for row in several]
        groups += [Group(key, entities[i : i + size]) for i in range(0, len(entities), size)]
    if is_cut and groups and len(groups[-1].entities) < size:
        groups.pop()
    return groups


def _plan(
    session: Session, name: str, taking: Taking, wanted: Claim, *, policy: IngestPolicy, by: str
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
                "inputs": _number(name, step, group.number) if group.number is not None
                else [_flow(described[e], ROLE) for e in group.entities],
                "attributes": {
                    "production": name, "step": step.name, "attempt": group.attempt,
                    "definition": str(wanted.definition),
                    **({"key": group.key} if group.key is not None else {}),
                },
            }
        )  # fmt: skip
    record_all(session, records, policy=policy, by=by)
    store.hold(
        session, {group.run: group.key for group in new if group.run}, step=taking.uuid,
        engine=step.engine, holder=wanted.holder, place=wanted.place, lease_s=wanted.lease_s,
    )  # fmt: skip
    _check(session, taking, new)


def _check(session: Session, taking: Taking, groups: Sequence[Group]) -> None:
    """Make sure that the record took each claim for what was claimed.

    Raises
    ------
    DifferenceError
        It did not, so that nothing of this is recorded.
    """
    ids = store.ids_of(session, [group.run for group in groups if group.run])
    used = store.inputs_of(session, list(ids.values()), ROLE)
    for group in groups:
        assert group.run is not None
        if group.number is not None:
            group.entities = used[ids[group.run]]  # it was no entity before
        elif set(used[ids[group.run]]) != set(group.entities):
            names = store.described(session, group.entities).values()
            told = ", ".join(sorted(str(row["location"] or row["entity_uuid"]) for row in names))
            raise DifferenceError(
                f"step {taking.step.name} cannot take {told}: by location, digest and product id "
                "the record takes them for other products (docs/identity.md); prod-trace shows both"
            )
    numbered = [group for group in groups if group.number is not None]
    held = store.described(session, [e for group in numbered for e in group.entities])
    for group in numbered:
        found = [held[entity]["value"] for entity in group.entities]
        if found != [str(group.number)]:
            raise DifferenceError(
                f"step {taking.step.name} cannot take {group.number}: the record has "
                f"{', '.join(map(repr, found)) or 'nothing'} in its place"
            )


def _number(production: str, step: ProductionStep, number: int) -> list[JSONDict]:
    """Return the number of a run as our capture format has it: the same in each of its attempts."""
    assert step.numbers is not None
    return [
        {
            "role": ROLE, "kind": "value", "name": step.numbers.parameter, "value": number,
            "product_id": _number_id(production, step, number),
        }
    ]  # fmt: skip


def _number_id(production: str, step: ProductionStep, number: int) -> str:
    return f"urn:provmanager:production:{production}:{step.name}:{number}"


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
        "name": row["name"] if row["kind"] == "value" else None,
        "value": int(row["value"]) if row["kind"] == "value" else None,
    }
    return {key: value for key, value in flow.items() if value is not None}


def _shown(session: Session, taking: Taking) -> Iterator[JSONDict]:
    described = store.described(session, [e for g in taking.groups for e in g.entities])
    for group in taking.groups:
        yield {
            "step": taking.step.name,
            "run": str(group.run) if group.run else None,
            "key": group.key,
            "is_new": group.is_new,
            "number": _number_of(group, described),
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
                if row["kind"] != "value"
            ],
        }


def _number_of(group: Group, described: Mapping[int, Mapping[str, Any]]) -> int | None:
    """Return the number of a run, also of one that was claimed before."""
    if group.number is not None:
        return group.number
    values = [row["value"] for e in group.entities if (row := described[e])["kind"] == "value"]
    return int(values[0]) if values else None
