"""Two products or runs beside each other: what is equal, what differs, and where they parted.

Pure functions. `compare_fields` holds two sets of named values against each other; `partings` walks
two histories upstream together and finds the runs at which they came to differ.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["equal", "differs", "only_a", "only_b"]
Reason = Literal["step", "software", "configuration", "status", "inputs", "file", "end"]

_MOST_PAIRS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One named value on both sides; None where a side has none."""

    name: str
    a: Any  # Any: free-form JSON
    b: Any
    state: State


def compare_fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Field]:
    """Return all fields of both sides, those that differ first, then by name.

    A value that is None counts as absent.
    """
    found = [_field(name, a.get(name), b.get(name)) for name in {*a, *b}]
    kept = [field for field in found if field.a is not None or field.b is not None]
    return sorted(kept, key=lambda field: (field.state == "equal", field.name))


def _field(name: str, a: Any, b: Any) -> Field:
    state: State = "differs"
    if a == b:
        state = "equal"
    elif a is None or b is None:
        state = "only_b" if a is None else "only_a"
    return Field(name=name, a=a, b=b, state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An activity of a history: what could make its outcome another.

    Attributes
    ----------
    software, configuration : str or None
        Digests; equal ones mean the same. None: not recorded.
    inputs : tuple of (role, entity id)
    """

    id: str
    name: str | None
    version: str | None
    status: str
    started_at: str | None
    software: str | None
    configuration: str | None
    inputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An entity of a history."""

    id: str
    name: str | None
    digest: str | None
    generated_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All upstream of something: `focus` is the id of one of its files or runs."""

    focus: str
    runs: Mapping[str, Run]
    files: Mapping[str, File]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Two records at which two histories came to differ, while all before them is the same.

    Attributes
    ----------
    reasons : tuple of str
        ``step``: other activities; ``software``, ``configuration``, ``status``: the same step, run
        differently; ``inputs``: more or fewer of them; ``file``: other files that no recorded run
        made; ``end``: only one of both was made by a recorded run.
    a, b : str
        Ids of the records.
    """

    kind: Literal["activity", "product"]
    reasons: tuple[Reason, ...]
    a: str
    b: str
    started_at: str | None


_Pair = tuple[str, str]


def partings(a: History, b: History) -> list[Parting]:
    """Return where two histories parted, the earliest first; none if no difference is recorded.

    Files are the same if they are one record or have the same digest; what made them is then not
    looked at. Inputs of two runs are paired by role, then by record, digest and name.
    """
    found: dict[_Pair, Parting | None] = {}
    differs: dict[_Pair, bool] = {}
    stack: list[tuple[_Pair, bool]] = [((a.focus, b.focus), False)]
    while stack and len(differs) < _MOST_PAIRS:
        pair, is_done = stack.pop()
        if pair in differs and not is_done:
            continue
        below = _below(pair, a, b)
        if not is_done and below:
            differs[pair] = False  # on the way: a circle ends here
            stack.append((pair, True))
            stack += [(other, False) for other in below if other not in differs]
            continue
        is_changed_before = any(differs.get(other, False) for other in below)
        own = _own(pair, a, b)
        differs[pair] = is_changed_before or bool(own)
        if own and not is_changed_before:
            found[pair] = own
    listed = [parting for parting in found.values() if parting is not None]
    return sorted(listed, key=lambda p: (p.started_at is not None, p.started_at or "", p.a, p.b))


def _same_file(one: File, other: File) -> bool:
    return one.id == other.id or (one.digest is not None and one.digest == other.digest)


def _below(pair: _Pair, a: History, b: History) -> list[_Pair]:
    """Return the pairs from which a pair came."""
    one, other = pair
    if one == other:
        return []
    if one in a.files and other in b.files:
        first, second = a.files[one], b.files[other]
        if _same_file(first, second):
            return []
        made = first.generated_by, second.generated_by
        return [made] if made[0] in a.runs and made[1] in b.runs else []  # type: ignore[list-item]
    if one in a.runs and other in b.runs and a.runs[one].name == b.runs[other].name:
        return _paired(a.runs[one].inputs, b.runs[other].inputs, a.files, b.files)[0]
    return []


def _own(pair: _Pair, a: History, b: History) -> Parting | None:
    """Return what of a pair itself differs."""
    one, other = pair
    if one == other:
        return None
    if one in a.runs and other in b.runs:
        reasons = tuple(_reasons(a.runs[one], b.runs[other], a, b))
        at = min(filter(None, (a.runs[one].started_at, b.runs[other].started_at)), default=None)
        return _parting("activity", reasons, pair, at)
    if one in a.files and other in b.files:
        first, second = a.files[one], b.files[other]
        if _same_file(first, second):
            return None
        known = [f.generated_by in h.runs for f, h in ((first, a), (second, b))]
        if all(known):
            return None  # the runs that made them say what differs
        return _parting("product", ("end",) if any(known) else ("file",), pair, None)
    return None


def _parting(
    kind: Literal["activity", "product"], reasons: tuple[Reason, ...], pair: _Pair, at: str | None
) -> Parting | None:
    if not reasons:
        return None
    return Parting(kind=kind, reasons=reasons, a=pair[0], b=pair[1], started_at=at)


def _reasons(one: Run, other: Run, a: History, b: History) -> Iterable[Reason]:
    if one.name != other.name:
        yield "step"
        return
    if (one.version, one.software) != (other.version, other.software):
        yield "software"
    if one.configuration != other.configuration:
        yield "configuration"
    if one.status != other.status:
        yield "status"
    if _paired(one.inputs, other.inputs, a.files, b.files)[1]:
        yield "inputs"


def _paired(
    a: Sequence[tuple[str, str]],
    b: Sequence[tuple[str, str]],
    files_a: Mapping[str, File],
    files_b: Mapping[str, File],
) -> tuple[list[_Pair], bool]:
    """Return the pairs of inputs, and whether one side has some that the other has not."""
    by_role: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for role, entity in a:
        by_role[role][0].append(entity)
    for role, entity in b:
        by_role[role][1].append(entity)
    pairs: list[_Pair] = []
    has_more = False
    for left, right in by_role.values():
        has_more = has_more or len(left) != len(right)
        for same in (
            lambda f: f.id,
            lambda f: f.digest,
            lambda f: f.name,
        ):
            pairs += _taken(left, right, files_a, files_b, same)
        pairs += zip(sorted(left), sorted(right), strict=False)
    return pairs, has_more


def _taken(
    left: list[str],
    right: list[str],
    files_a: Mapping[str, File],
    files_b: Mapping[str, File],
    same: Any,  # Any: a function of a file
) -> list[_Pair]:
    """Take those out of both lists that are the same by one measure, and return them in pairs."""
    waiting: dict[Any, list[str]] = defaultdict(list)
    for entity in right:
        value = same(files_b[entity]) if entity in files_b else None
        if value is not None:
            waiting[value].append(entity)
    found: list[_Pair] = []
    for entity in list(left):
        value = same(files_a[entity]) if entity in files_a else None
        if value is not None and waiting.get(value):
            other = waiting[value].pop(0)
            found.append((entity, other))
            left.remove(entity)
            right.remove(other)
    return found
