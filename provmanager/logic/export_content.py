"""What documents for others hold of a lineage: agents, comments, settings and descriptions too."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, UsageError
from provmanager.store import descriptions as description_store
from provmanager.store import exports as store

from .descriptions import description_of
from .trace import iso

MAX_PARAMETERS = 200_000
"""The most settings of one document."""

_DESCRIBED = UUID("2ad3ad4a-6c3a-5b53-9d3c-8f3f1a4fb0c1")
"""Namespace of the UUIDs of what has none in the record: descriptions, environments."""

_AGENT = ("iri", "name", "type", "email", "affiliation", "phone", "address", "url", "comment")


def with_agents(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with the agents of its activities and entities."""
    associated = store.associations(session, [a["id"] for a in found["activities"]])
    attributed = store.attributions(session, [e["id"] for e in found["entities"]])
    agents = {row["iri"]: agent_row(row) for row in (*associated, *attributed)}
    return found | {
        "agents": list(agents.values()),
        "associated": [_of_agent(row, "activity") for row in associated],
        "attributed": [_of_agent(row, "entity") for row in attributed],
    }


def agent_row(row: Mapping[Any, Any]) -> JSONDict:  # Any: column values
    """Return an agent as documents have it."""
    return {name: row[name] for name in _AGENT} | {"kind": row["type"]}


def _of_agent(row: Mapping[Any, Any], what: str) -> JSONDict:  # Any: column values
    return {what: str(row[what]), "agent": row["iri"], "role": row["role"] or None}


def with_details(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with comments, and when things were used."""
    records = (*found["activities"], *found["entities"])
    comments = store.comments(session, [r["id"] for r in records])
    times = {
        (str(t["activity"]), str(t["entity"]), t["role"] or None): iso(t["used_at"])
        for t in store.use_times(session, [a["id"] for a in found["activities"]])
    }
    return found | {
        "activities": [a | {"comment": comments.get(a["id"])} for a in found["activities"]],
        "entities": [e | {"comment": comments.get(e["id"])} for e in found["entities"]],
        "used": [
            u | {"time": times.get((u["activity"], u["entity"], u["role"]))} for u in found["used"]
        ],
    }


_SURROUNDINGS = ("environment", "host", "container")


def with_surroundings(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with how its activities were called and set up, and what they ran in.

    ``surroundings`` are environments, hosts and containers, each of equal ones once; an activity
    has the ids of its own under ``ran_in``. Entities have all their digests, product ids and
    locations.
    """
    details = {str(row["id"]): row for row in _run_details(session, found)}
    surroundings: dict[str, JSONDict] = {}
    for kind in _SURROUNDINGS:
        digests = sorted({row[kind] for row in details.values() if row[kind]})
        for row in store.contents(session, kind, digests) if digests else ():
            if not (kind == "host" and row["content"].keys() <= {"name"}):
                id_ = _surrounding_id(kind, row["sha256"])
                surroundings[id_] = {"id": id_, "kind": kind, "content": row["content"]}
    called: dict[str, dict[str, list[str]]] = {}
    for row in store.names(session, [e["id"] for e in found["entities"]]):
        called.setdefault(str(row["id"]), {}).setdefault(row["kind"], []).append(row["name"])
    return found | {
        "activities": [
            a | _called(details[a["id"]], surroundings) if a["id"] in details else a
            for a in found["activities"]
        ],
        "entities": [e | _names(e, called.get(e["id"], {})) for e in found["entities"]],
        "surroundings": list(surroundings.values()),
    }


def _run_details(session: Session, found: JSONDict) -> list[RowMapping]:
    return store.run_details(session, [a["id"] for a in found["activities"]])


def _surrounding_id(kind: str, sha256: str) -> str:
    return str(uuid5(_DESCRIBED, f"{kind} {sha256}"))


def _called(row: RowMapping, surroundings: Mapping[str, JSONDict]) -> JSONDict:
    ids = [_surrounding_id(kind, row[kind]) for kind in _SURROUNDINGS if row[kind]]
    said = ("iri", "executable", "directory", "arguments", "job", "configuration")
    return {name: row[name] for name in said} | {"ran_in": [i for i in ids if i in surroundings]}


def _names(entity: JSONDict, called: Mapping[str, list[str]]) -> JSONDict:
    first = {"digest": entity["digest"], "product-id": entity["product_id"],
             "location": entity["location"]}  # fmt: skip
    listed = {
        kind: list(dict.fromkeys([*([one] if one else []), *called.get(kind, ())]))
        for kind, one in first.items()
    }
    return {
        "digests": listed["digest"],
        "product_ids": listed["product-id"],
        "locations": listed["location"],
    }


def with_configuration(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with the settings and configuration files of its activities.

    Raises
    ------
    UsageError
        There are more than `MAX_PARAMETERS` settings.
    """
    activities = [a["id"] for a in found["activities"]]
    settings = store.parameters(session, activities, limit=MAX_PARAMETERS + 1)
    if len(settings) > MAX_PARAMETERS:
        raise UsageError(
            f"the activities have more than {MAX_PARAMETERS} settings, too many for one document: "
            "follow fewer activities (depth)",
            n_most=MAX_PARAMETERS,
        )
    return found | {
        "parameters": [
            {
                "id": str(uuid5(p["activity"], f"parameter:{p['name']}")),
                "activity": str(p["activity"]),
                "name": p["name"],
                "value": p["value"],
            }
            for p in settings
        ],
        "config_files": [
            {**f, "activity": str(f["activity"]), "entity": str(f["entity"])}
            for f in store.config_files(session, activities)
        ],
    }


def with_descriptions(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with the descriptions of its activities, and of what they work on."""
    descriptions: dict[tuple[str, str | None], JSONDict] = {}
    described: dict[str, str] = {}
    for activity in found["activities"]:
        key = (activity["name"], activity["version"])
        if key not in descriptions:
            description = description_of(session, *key)
            descriptions[key] = _identified(description) if description else {}
        if descriptions[key]:
            described[activity["id"]] = descriptions[key]["id"]
    used = {id(d): d for d in descriptions.values() if d}
    unique = {d["id"]: d for d in used.values()}
    return found | {
        "activity_descriptions": list(unique.values()),
        "described": described,
        "entity_descriptions": _entity_descriptions(session, unique.values()),
    }


def _identified(description: JSONDict) -> JSONDict:
    name = f"{description['name']} {description.get('version') or ''}"
    return description | {"id": str(uuid5(_DESCRIBED, name))}


def _entity_descriptions(session: Session, descriptions: Iterable[JSONDict]) -> list[JSONDict]:
    names = {
        flow.get("entity_description")
        for description in descriptions
        for part in ("usages", "generations")
        for flow in description.get(part, ())
    }
    return [
        asdict(d) | {"id": str(uuid5(_DESCRIBED, f"entity {d.name}"))}
        for d in description_store.entity_descriptions(session)
        if d.name in names
    ]


def with_runs(session: Session, found: JSONDict) -> JSONDict:
    """Return a lineage with command lines, and the documents of its runs of workflows."""
    activities = [a["id"] for a in found["activities"]]
    return found | {
        "commands": {
            id_: shlex.join(words) for id_, words in store.commands(session, activities).items()
        },
        "workflows": [
            {**row, "activity": str(row["activity"]), "id": str(row["id"])}
            for row in store.workflows(session, activities)
        ],
    }
