"""Rows of agents: what all documents say of each together."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.ids import canonical_json, clean_json, join_json
from provmanager.model import Agent

from . import tables

_TEXTS = ("name", "type", "email", "affiliation", "phone", "address", "url", "comment")


def intern_agents(session: Session, agents: Iterable[Agent]) -> dict[str, int]:
    """Return the id of each agent by IRI, making those that are new.

    What documents say of one is joined to what is held, the same for any order of them.
    """
    said: dict[str, dict[str, Any]] = {}  # Any: column values
    for agent in agents:
        row = _row(agent)
        said[agent.iri] = _joined(said[agent.iri], row) if agent.iri in said else row
    if not said:
        return {}
    rows = session.execute(
        text("SELECT * FROM prov.agent WHERE iri = ANY(:iris)"), {"iris": list(said)}
    ).mappings()
    ids: dict[str, int] = {}
    for held in rows:
        ids[held["iri"]] = held["agent_id"]
        whole = _joined(dict(held), said.pop(held["iri"]))
        is_more = canonical_json(whole["details"]) != canonical_json(held["details"])
        if is_more or any(whole[name] != held[name] for name in _TEXTS):
            change = tables.agent.update().where(tables.agent.c.agent_id == held["agent_id"])
            session.execute(change.values(whole))
    if said:
        columns = tables.agent.c
        statement = tables.agent.insert().returning(columns.iri, columns.agent_id)
        made = session.execute(statement, [said[iri] for iri in sorted(said)])
        ids |= {row.iri: row.agent_id for row in made}
    return ids


def _row(agent: Agent) -> dict[str, Any]:  # Any: column values
    row = {name: getattr(agent, name, None) for name in _TEXTS}
    details = clean_json(dict(agent.attributes)) or None
    return {"iri": agent.iri, **row, "type": agent.kind and agent.kind.value, "details": details}


def _joined(held: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Join two accounts of one agent: of two texts the first in order stands, part of its IRI last.

    (Any: column values.)
    """
    iri = held["iri"]
    joined: dict[str, Any] = {"iri": iri}
    for name in _TEXTS:
        values = {v for v in (held[name], said[name]) if v is not None}
        joined[name] = min(values, key=lambda v: (v in iri, v), default=None)
    joined["details"] = join_json(held["details"] or {}, said["details"] or {}) or None
    return joined
