"""Two products or activities beside each other: how they were made, where their histories part."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, UsageError
from provmanager.model import flatten
from provmanager.model.comparison import (
    Field,
    File,
    History,
    Parting,
    Run,
    compare_fields,
    partings,
)
from provmanager.store import fingerprints as store

from .describe import describe_activity, describe_entity
from .overview import duration_s
from .references import Reference, find
from .summary import summary
from .trace import iso, walk_lineage

MAX_RUNS = 10_000
"""Longest histories, in activities, of which it is said where they parted."""

_SHOWN_PARTINGS = 20


def compare(session: Session, a: str, b: str) -> JSONDict:
    """Return what two products, or two activities, have in common and what not.

    Raises
    ------
    NotFoundError, AmbiguousError
        Nothing, or several things, answer to `a` or `b`.
    UsageError
        One is a product and the other an activity.
    """
    left, right = find(session, a), find(session, b)
    if left.kind != right.kind:
        raise UsageError(
            f"{a!r} is an {left.kind} and {b!r} an {right.kind}: compare two products, or two "
            "activities",
            found=[left.kind, right.kind],
        )
    sides = [_side(session, reference) for reference in (left, right)]
    histories = _histories(session, left, right)
    sections = [
        _section(name, sides[0]["fields"][name], sides[1]["fields"][name])
        for name in sides[0]["fields"]
    ]
    sections.append(_section("structure", _steps(sides[0]), _steps(sides[1])))
    return {
        "kind": "activity" if left.kind == "activity" else "product",
        "a": {**left.to_wire(), "run": sides[0]["run"]},
        "b": {**right.to_wire(), "run": sides[1]["run"]},
        "is_same": left.uuid == right.uuid,
        "sections": [section for section in sections if section["fields"]],
        "partings": _partings(session, histories),
    }


def _side(session: Session, reference: Reference) -> JSONDict:
    """Return what is known of one side: its named values, its run and the steps before it."""
    product = None
    run_id: str | None = str(reference.uuid)
    if reference.kind == "entity":
        product = describe_entity(session, reference.uuid)
        run_id = product["produced_by"]["activity"] if product["produced_by"] else None
    run = describe_activity(session, UUID(run_id)) if run_id else None
    fields = {"product": _product(product)} if product else {}
    fields |= _run_fields(run)
    shown = None
    if run:
        shown = {name: run[name] for name in ("id", "name", "version", "status", "started_at")}
    steps = summary(session, str(reference.uuid), grouping="version")
    return {"fields": fields, "run": shown, "steps": steps}


def _product(product: JSONDict) -> JSONDict:
    return {
        "name": product["name"],
        "kind": product["kind"],
        "size in bytes": product["size_bytes"],
        "value": product["value"],
        "format": product["content_type"],
        **{f"digest {d.partition(':')[0]}": d for d in product["digests"]},
    }


def _run_fields(run: JSONDict | None) -> dict[str, JSONDict]:
    if run is None:
        return {name: {} for name in ("run", "software", "configuration", "inputs", "host")}
    environment, host = run["environment"] or {}, run["host"] or {}
    packages = {
        str(p.get("name")): p.get("version")
        for p in environment.get("packages") or ()
        if isinstance(p, Mapping)
    }
    rest = {name: value for name, value in environment.items() if name != "packages"}
    arguments = (run["command"] or {}).get("arguments")
    return {
        "run": {
            "activity": run["name"],
            "version": run["version"],
            "type": run["type"],
            "status": run["status"],
            "exit code": run["exit_code"],
            "command": " ".join(arguments) if arguments else None,
            "started": run["started_at"],
            "duration in s": duration_s(run["started_at"], run["ended_at"]),
            "agents": ", ".join(sorted(a["name"] for a in run["agents"])) or None,
        },
        "software": {**dict(flatten(rest)), **packages, **_prefixed("container", run["container"])},
        "configuration": dict(flatten(run["configuration"] or {})),
        "inputs": _inputs(run),
        "host": {**dict(flatten(host)), **_prefixed("job", run["job"])},
    }


def _prefixed(name: str, value: Any) -> JSONDict:  # Any: free-form JSON
    if value is None:
        return {}
    return dict(flatten({name: value}))


def _inputs(run: JSONDict) -> JSONDict:
    """Return what a run used, by role and number: the digest, or what else names it."""
    found: JSONDict = {}
    for item in run["used"]:
        role = item["role"] or "(no role)"
        n = sum(name.startswith(f"{role} #") for name in found) + 1
        told = f"sha256:{item['sha256']}" if item["sha256"] else f"id {item['entity']}"
        found[f"{role} #{n}"] = f"{item['name'] or '(no name)'} ({told})"
    return found


def _steps(side: JSONDict) -> JSONDict:
    """Return how often each step stands in a history."""
    counts: Counter[str] = Counter()
    for box in side["steps"]["boxes"]:
        if box["kind"] == "activity":
            name = f"{box['class']['step'] or '(no name)'} {box['class']['detail'] or ''}".strip()
            counts[name] += box["count"]
    return {name: f"{n} run{'s' if n > 1 else ''}" for name, n in counts.items()}


def _section(name: str, a: JSONDict, b: JSONDict) -> JSONDict:
    fields = compare_fields(a, b)
    n_differing = sum(field.state != "equal" for field in fields)
    return {
        "name": name,
        "n_differing": n_differing,
        "n_equal": len(fields) - n_differing,
        "fields": [asdict(field) for field in fields],
    }


def _partings(session: Session, histories: tuple[History, History, bool]) -> JSONDict:
    """Return where both histories parted, with what differs there."""
    a, b, is_cut = histories
    found = partings(a, b)
    return {
        "is_cut": is_cut,
        "total": len(found),
        "items": [_told(session, parting, a, b) for parting in found[:_SHOWN_PARTINGS]],
    }


def _histories(
    session: Session, left: Reference, right: Reference
) -> tuple[History, History, bool]:
    """Return the histories of two records, and whether one of them is longer than that.

    Both hold the runs and files of both, of which most are often the same.
    """
    reaches = [
        walk_lineage(session, focus, "up", depth=None, limit=MAX_RUNS) for focus in (left, right)
    ]
    nodes = [node for reach in reaches for node in reach.all]
    rows = store.history(session, list(dict.fromkeys([*nodes, left.key, right.key])))
    inputs: dict[str, list[tuple[str, str]]] = {}
    for run, role, entity in rows.uses:
        inputs.setdefault(run, []).append((role, entity))
    runs = {
        row.id: Run(
            **{**row._asdict(), "started_at": iso(row.started_at)},
            inputs=tuple(sorted(inputs.get(row.id, ()))),
        )
        for row in rows.runs
    }
    files = {row.id: File(**row._asdict()) for row in rows.files}
    a, b = (History(focus=str(one.uuid), runs=runs, files=files) for one in (left, right))
    return a, b, any(reach.truncated for reach in reaches)


def _told(session: Session, parting: Parting, a: History, b: History) -> JSONDict:
    """Return a parting with the names of its records, and what differs between them."""
    told: JSONDict = asdict(parting)
    sides = ((parting.a, a), (parting.b, b))
    records = [h.runs[i] if parting.kind == "activity" else h.files[i] for i, h in sides]
    told["a"], told["b"] = ({"id": r.id, "name": r.name} for r in records)
    told["fields"] = []
    if parting.kind == "activity" and "step" not in parting.reasons:
        runs = [_run_fields(describe_activity(session, UUID(r.id))) for r in records]
        for section in ("software", "configuration", "inputs"):
            told["fields"] += [
                {"section": section, **asdict(field)}
                for field in _differing(runs[0][section], runs[1][section])
            ]
    return told


def _differing(a: JSONDict, b: JSONDict) -> list[Field]:
    return [field for field in compare_fields(a, b) if field.state != "equal"]
