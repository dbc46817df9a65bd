"""Differences between rows, told once each: which row, which column, and what it should be."""

import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_NAMED = ("environment", "host", "container", "agent", "document", "activity", "entity",
          "link_rule", "activity_description")  # fmt: skip
"""What others refer to by name."""
_REFERRING: Mapping[str, Mapping[str, str]] = {
    "link_rule": {"rule": "name"},
    "activity_description": {"described": "name", "version": "version"},
}
"""Columns that refer to a row, and its own; names of all others are those of nothing else."""
_STORED_ONCE = ("environment", "host", "container")
_SHARED = frozenset({*_STORED_ONCE, "agent", "package"})
_TOLD_TOGETHER = {"role": "role", "location": "directory"}
"""Columns whose text stands once for many rows, and where."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """A row that is not what the documents give."""

    relation: str
    row: Row
    text: str
    changes: Mapping[str, tuple[Any, Any]]  # Any: column values, as they are and should be


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
    for relation in _NAMED:
        for before, now in _renamed(stood, rebuilt, relation):
            _follow(stood, relation, before, now)
            yield _finding(_Difference(relation, now, _says(relation, before, now), {}))
    _leave_out_echoes(stood, rebuilt)
    found = [d for r in _KEYS for d in _compare(r, stood[r], rebuilt[r])]
    yield from _told_once(found)


def _is_aside(relation: str, row: Row, documents: Collection[str], aside: Collection[str]) -> bool:
    if not documents:
        return False
    values = [v for v in row.values() if isinstance(v, str)]
    return relation in _SHARED or any(v in aside or v in documents for v in values)


def _renamed(
    stood: dict[str, list[Row]], rebuilt: dict[str, list[Row]], relation: str
) -> list[tuple[Row, Row]]:
    """Return the rows of which nothing but the name differs."""
    key = _KEYS[relation]

    def rest(row: Row) -> str:
        return json.dumps({k: v for k, v in row.items() if k not in key}, sort_keys=True)

    def name(row: Row) -> tuple[Any, ...]:  # Any: column values
        return tuple(row[k] for k in key)

    held = {name(row) for row in rebuilt[relation]}
    by_rest = {rest(row): row for row in rebuilt[relation]}
    pairs: list[tuple[Row, Row]] = []
    for row in list(stood[relation]):
        now = by_rest.pop(rest(row), None) if name(row) not in held else None
        if now is not None:
            stood[relation].remove(row)
            rebuilt[relation].remove(now)
            pairs.append((row, now))
    return pairs


def _says(relation: str, before: Row, now: Row) -> str:
    key = _KEYS[relation]
    was, is_now = (" ".join(_plain(row[k]) for k in key if row[k]) for row in (before, now))
    return f"it stands as {was}; its documents give {is_now}"


def _follow(stood: dict[str, list[Row]], relation: str, before: Row, now: Row) -> None:
    """Let what refers to a row refer to it by its right name."""
    columns = _REFERRING.get(relation)
    old, new = before[_KEYS[relation][0]], now[_KEYS[relation][0]]
    for row in (row for rows in stood.values() for row in rows):
        if columns is None:
            row.update({c: new for c, value in row.items() if value == old})
        elif all(c in row and row[c] == before[k] for c, k in columns.items()):
            row.update({c: now[k] for c, k in columns.items()})


def _leave_out_echoes(stood: dict[str, list[Row]], rebuilt: dict[str, list[Row]]) -> None:
    """Leave out what is only there, or gone, because a run that differs refers to it, or not."""
    for mine, other in ((stood, rebuilt), (rebuilt, stood)):
        for relation in _STORED_ONCE:
            referred = {row[relation] for row in mine["activity"]}
            echoes = referred - {row[relation] for row in other[relation]}
            mine[relation] = [r for r in mine[relation] if r[relation] not in echoes]
            if relation == "environment":
                mine["package"] = [r for r in mine["package"] if r[relation] not in echoes]


def _compare(relation: str, stood: list[Row], rebuilt: list[Row]) -> Iterator[_Difference]:
    """Yield rows with the same name that differ, and of those that only one side has."""
    for row in [r for r in stood if r in rebuilt]:
        stood.remove(row)
        rebuilt.remove(row)
    for before in list(stood):
        now = _closest(before, rebuilt, _KEYS[relation])
        if now is None:
            text = f"it follows from no document: {_shown(before)}"
            yield _Difference(relation, before, text, {})
            continue
        rebuilt.remove(now)
        changes = {n: (v, now[n]) for n, v in before.items() if v != now[n]}
        text = "; ".join(
            f"{name} is {_shown(was)}, its documents give {_shown(is_now)}"
            for name, (was, is_now) in changes.items()
        )
        yield _Difference(relation, now, text, changes)
    for now in rebuilt:
        yield _Difference(relation, now, f"it is gone; its documents give {_shown(now)}", {})


def _closest(row: Row, others: Sequence[Row], key: tuple[str, ...]) -> Row | None:
    """Return the row of the same name that has most in common; else one that has all but one."""
    alike = [o for o in others if all(o[k] == row[k] for k in key)]
    if not alike:
        alike = [o for o in others if sum(o[k] != row[k] for k in row) == 1]
    return max(alike, key=lambda o: sum(o[k] == row[k] for k in row), default=None)


def _told_once(found: Sequence[_Difference]) -> Iterator[Finding]:
    """Yield a finding each; one for all rows that differ in one text which they share."""
    together: dict[tuple[str, str, str], list[_Difference]] = defaultdict(list)
    for difference in found:
        shared = _shared_text(difference.changes)
        if shared is not None:
            together[shared].append(difference)
    many = {shared: listed for shared, listed in together.items() if len(listed) > 1}
    grouped = {id(d) for listed in many.values() for d in listed}
    for difference in found:
        if id(difference) not in grouped:
            yield _finding(difference)
    for (what, was, now), listed in many.items():
        rows = "; ".join(_named(d) for d in listed[:3]) + ("; …" if len(listed) > 3 else "")
        text = f"it stands as {_shown(was)} for {len(listed)} rows: {rows}"
        yield Finding("row", f"{what} {_shown(now)}", "differs", text)


def _shared_text(changes: Mapping[str, tuple[Any, Any]]) -> tuple[str, str, str] | None:
    """Return (what it is, as it stands, as it should be) where only such a text differs."""
    if len(changes) != 1:
        return None
    ((column, (was, now)),) = changes.items()
    if column not in _TOLD_TOGETHER or not isinstance(was, str) or not isinstance(now, str):
        return None
    if column == "location":
        pairs = zip(reversed(was), reversed(now), strict=False)
        n_same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        was, now = was[: len(was) - n_same], now[: len(now) - n_same]
    return _TOLD_TOGETHER[column], was, now


def _finding(difference: _Difference) -> Finding:
    return Finding("row", _named(difference), "differs", difference.text)


def _named(difference: _Difference) -> str:
    relation, row = difference.relation, difference.row
    named = ", ".join(_plain(row[k]) for k in _KEYS[relation] if row[k] not in (None, ""))
    called = row.get("name") or row.get("location")
    label = f" ({called})" if called and relation in ("activity", "entity") else ""
    return f"{relation} {named}{label}"


def _plain(value: Any) -> str:  # Any: a column value
    return str(value).removeprefix("\\x")


def _shown(value: Any) -> str:  # Any: a column value, or a row
    if isinstance(value, dict):
        value = {k: _plain(v) if isinstance(v, str) else v for k, v in value.items()}
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:297]}…"
