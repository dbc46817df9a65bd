"""Answers to IVOA ProvSAP: what is within so many relations of a record, without a summary.

Unlike a trace, whose depth counts activities, ProvSAP counts relations: ``DEPTH=1`` from a product
gives the activity that made it, ``DEPTH=2`` what that activity used too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, NotFoundError, UsageError
from provmanager.model import ExportFormat
from provmanager.store import exports as store

from .assessments import with_assessments
from .export import MAX_RECORDS, serialise
from .export_content import (
    agent_row,
    with_agents,
    with_configuration,
    with_descriptions,
    with_details,
)
from .references import find
from .trace import among

_MINIMAL = frozenset(
    ("id", "name", "kind", "iri", "activity", "entity", "agent", "role", "derived", "source",
     "collection", "member", "informant", "part_of", "generated_by", "generated_at", "started_at",
     "ended_at", "time", "value")
)  # fmt: skip
_LISTS = ("activities", "entities", "agents", "used", "generated", "derived", "informed")


@dataclass(frozen=True, slots=True, kw_only=True)
class SapQuery:
    """What was asked for, by the names of ProvSAP.

    Attributes
    ----------
    depth : int or None
        Relations to follow; None: all.
    descriptions : int
        0: none; 1: of activities; 2: with what they say of uses, products and settings.
    """

    ids: Sequence[str]
    depth: int | None = 1
    direction: Literal["BACK", "FORTH"] = "BACK"
    model: Literal["IVOA", "W3C"] = "IVOA"
    agent: bool = False
    members: bool = False
    steps: bool = False
    configuration: bool = True
    attributes: bool = True
    descriptions: int = 0


def answer(session: Session, query: SapQuery, format: ExportFormat) -> bytes:
    """Return what is within reach of the records that were asked for; of unknown ones, nothing.

    Raises
    ------
    UsageError
        There is too much of it for one document.
    AmbiguousError
        Several records answer to an id that is no identifier.
    """
    start, agents = _start(session, query)
    nodes = _reach(session, start, query)
    found = with_details(session, with_assessments(session, among(session, nodes)))
    found["model"] = query.model
    if query.agent:
        found = with_agents(session, found)
    known = {agent["iri"]: agent for agent in (*agents, *found.get("agents", ()))}
    found["agents"] = list(known.values())
    if query.steps:
        of = [a["id"] for a in found["activities"]]
        found["parts"] = [{k: str(v) for k, v in row.items()} for row in store.steps(session, of)]
    if query.model == "IVOA" and query.configuration:
        found = with_configuration(session, found)
    if query.model == "IVOA" and query.descriptions:
        found = _described(session, found, query.descriptions)
    return serialise(found if query.attributes else _without_attributes(found), format)


def _start(session: Session, query: SapQuery) -> tuple[list[int], list[JSONDict]]:
    """Return the nodes to begin at, and agents that were asked for by id."""
    nodes: list[int] = []
    agents: list[JSONDict] = []
    for ref in query.ids:
        by_agent = store.of_agent(session, ref, limit=MAX_RECORDS)
        if by_agent is not None:
            row, theirs = by_agent
            agents.append(agent_row(row))
            nodes += theirs if query.agent and query.depth != 0 else []
            continue
        try:
            nodes.append(find(session, ref).key)
        except NotFoundError:
            continue  # ProvSAP: an unknown id has an empty answer
    return list(dict.fromkeys(nodes)), agents


def _reach(session: Session, start: Sequence[int], query: SapQuery) -> list[int]:
    relations = ["generated", "used", "derived", "informed"]
    relations += ["members"] * query.members + ["steps"] * query.steps
    seen = dict.fromkeys(start)
    level = list(start)
    depth = query.depth
    while level and depth != 0:
        near = store.neighbours(session, level, back=query.direction == "BACK", relations=relations)
        level = [node for node in near if node not in seen]
        seen |= dict.fromkeys(level)
        depth = None if depth is None else depth - 1
        if len(seen) > MAX_RECORDS:
            raise UsageError(
                f"more than {MAX_RECORDS} activities and products are within reach, too many for "
                "one document: ask for a smaller DEPTH",
                n_most=MAX_RECORDS,
            )
    return list(seen)


def _described(session: Session, found: JSONDict, level: int) -> JSONDict:
    found = with_descriptions(session, found)
    if level == 1:
        parts = ("usages", "generations", "parameters", "config_files")
        found["entity_descriptions"] = []
        found["activity_descriptions"] = [
            {k: v for k, v in d.items() if k not in parts} for d in found["activity_descriptions"]
        ]
    return found


def _without_attributes(found: JSONDict) -> JSONDict:
    """Return a lineage with what identifies records and relates them, and nothing else."""
    return found | {
        name: [{k: v for k, v in row.items() if k in _MINIMAL} for row in found.get(name, ())]
        for name in _LISTS
    }
