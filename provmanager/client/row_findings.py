"""Differences between rows, told once each: which row, which column, and what it should be."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from provmanager.model.rebuilt import RowDifference

from .findings import Finding

Row = dict[str, Any]  # Any: column values

_KEYS: Mapping[str, tuple[str, ...]] = {
    "environment": ("environment",),
    "host": ("host",),
    "container": ("container",),
    "agent": ("agent",),
    "activity": ("activity",),
    "entity": ("entity",),
    "document": ("document",),
    "entity_identifier": ("entity",),
    "entity_location": ("entity",),
    "used": ("activity", "entity"),
    "generation_claim": ("entity", "activity"),
    "was_informed_by": ("activity", "informant"),
    "was_derived_from": ("entity", "source"),
    "had_member": ("entity",),
    "was_associated_with": ("activity", "agent"),
    "was_attributed_to": ("entity", "agent"),
    "edge": ("target", "source"),
    "activity_document": ("activity", "document"),
    "entity_document": ("entity",),
    "contradiction": ("subject", "field"),
    "statement": ("document", "ordinal"),
    "constraint_check": ("document",),
    "namespace": ("document", "prefix"),
    "assessment": ("document",),
    "assessed_entity": ("document", "assessed"),
    "package": ("environment", "name"),
    "entity_description": ("name",),
    "activity_description": ("name", "version"),
    "flow_description": ("described", "version", "direction", "role"),
    "parameter_description": ("described", "version", "name"),
    "config_file_description": ("described", "version", "name"),
    "link_rule": ("name",),
}
"""What says which row it is, of the columns that a change of the row leaves; the first ones are
what others refer to."""
_NAMED = ("environment", "host", "container", "agent", "activity", "entity")
_SHARED = frozenset({"environment", "host", "container", "agent", "package"})


def explain(
    differences: Iterable[RowDifference], left_out: Collection[str], aside: Collection[str]
) -> Iterator[Finding]:
    """Yield a finding for each row that is not what the documents give.

    Parameters
    ----------
    left_out : collection of str
        Documents that were not replayed: what hangs on them is not told of.
    aside : collection of str
        Runs and files of which they may have decided.
    """
    stood: dict[str, list[Row]] = defaultdict(list)
    rebuilt: dict[str, list[Row]] = defaultdict(list)
    documents = {f"\\x{d}" for d in left_out}
    for relation, before, now in differences:
        row = before if before is not None else now or {}
        if _is_aside(relation, row, documents, aside):
            continue
        (stood if before is not None else rebuilt)[relation].append(row)
    renamed: dict[str, str] = {}
    for relation in _NAMED:
        for before, now in _renamed(stood, rebuilt, relation):
            renamed[before[relation]] = now[relation]
            _substitute(stood, renamed)
            text = f"it stands as {before[relation]}; its documents give {now[relation]}"
            yield _finding(relation, now, text)
    _substitute(stood, renamed)
    for relation in _KEYS:
        yield from _compare(relation, stood[relation], rebuilt[relation])


def _is_aside(relation: str, row: Row, documents: Collection[str], aside: Collection[str]) -> bool:
    if not documents:
        return False
    values = [v for v in row.values() if isinstance(v, str)]
    return relation in _SHARED or any(v in aside or v in documents for v in values)


def _renamed(
    stood: dict[str, list[Row]], rebuilt: dict[str, list[Row]], relation: str
) -> list[tuple[Row, Row]]:
    """Return the rows of which nothing but the name differs."""

    def rest(row: Row) -> str:
        return json.dumps({k: v for k, v in row.items() if k != relation}, sort_keys=True)

    held = {row[relation] for row in rebuilt[relation]}
    by_rest = {rest(row): row for row in rebuilt[relation]}
    pairs = [
        (row, by_rest[rest(row)])
        for row in stood[relation]
        if row[relation] not in held and rest(row) in by_rest
    ]
    for before, now in pairs:
        stood[relation].remove(before)
        if now in rebuilt[relation]:
            rebuilt[relation].remove(now)
    return pairs


def _substitute(stood: dict[str, list[Row]], renamed: Mapping[str, str]) -> None:
    for rows in stood.values():
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str) and value in renamed:
                    row[name] = renamed[value]


def _compare(relation: str, stood: list[Row], rebuilt: list[Row]) -> Iterator[Finding]:
    """Tell of rows with the same name that differ, and of those that only one side has."""
    for row in [r for r in stood if r in rebuilt]:
        stood.remove(row)
        rebuilt.remove(row)
    for before in list(stood):
        now = _closest(before, rebuilt, _KEYS[relation])
        if now is None:
            yield _finding(relation, before, f"it follows from no document: {_shown(before)}")
            continue
        rebuilt.remove(now)
        changes = "; ".join(
            f"{name} is {_shown(before[name])}, its documents give {_shown(now[name])}"
            for name in before
            if before[name] != now[name]
        )
        yield _finding(relation, now, changes)
    for now in rebuilt:
        yield _finding(relation, now, f"it is gone; its documents give {_shown(now)}")


def _closest(row: Row, others: Sequence[Row], key: tuple[str, ...]) -> Row | None:
    """Return the row of the same name that has most in common; else one that has all but one."""
    alike = [o for o in others if all(o[k] == row[k] for k in key)]
    if not alike:
        alike = [o for o in others if sum(o[k] != row[k] for k in row) == 1]
    return max(alike, key=lambda o: sum(o[k] == row[k] for k in row), default=None)


def _finding(relation: str, row: Row, text: str) -> Finding:
    named = ", ".join(_plain(row[k]) for k in _KEYS[relation] if row[k] not in (None, ""))
    called = row.get("name") or row.get("location")
    label = f" ({called})" if called and relation in ("activity", "entity") else ""
    return Finding("row", f"{relation} {named}{label}", "differs", text)


def _plain(value: Any) -> str:  # Any: a column value
    return str(value).removeprefix("\\x")


def _shown(value: Any) -> str:  # Any: a column value, or a row
    if isinstance(value, dict):
        value = {k: _plain(v) if isinstance(v, str) else v for k, v in value.items()}
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:297]}…"
