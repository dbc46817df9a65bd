"""A lineage as a page of text, a table, and the words about it that go to stderr."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provmanager.model.folding import FAILED, Row, Tree, fold, fold_levels

from .table import Column, Style, duration_column, status_column, write_table
from .text import Look, counted, instant, printable
from .tree import render_tree

Lineage = Mapping[str, Any]  # Any: the JSON of GET /v1/lineage
Record = Mapping[str, Any]  # Any: one activity or entity of it

_MOST_NAMES = 5


def render_lineage(lineage: Lineage, look: Look, *, levels: bool = False) -> Iterator[str]:
    """Yield the lines of a page: how much there is, the tree of each direction, the levels."""
    both = lineage["direction"] == "both"
    for i, direction in enumerate(("up", "down") if both else (lineage["direction"],)):
        tree = fold(lineage, direction)
        yield from [""] * (i > 0)
        yield look.shown(_heading(lineage, tree))
        yield from render_tree(tree, look)
    if levels:
        nesting = fold_levels(lineage)
        yield ""
        told = "what ran inside what:" if nesting.rows else "nothing ran inside anything else"
        yield look.paint(f"Levels: {told}", "dim")
        yield from render_tree(nesting, look)


def render_job(activity: Record) -> str:
    """Return the line of a grid job: its number, where it ran, and whose it was."""
    job = activity["job"] or {}
    host = activity["host"] or {}
    where = " on ".join(str(one) for one in (job.get("site"), host.get("name")) if one)
    whose = ", ".join(str(agent["name"] or agent["iri"]) for agent in activity["agents"])
    said = [f"{job.get('system') or 'job'} {job.get('id') or activity['id']}"]
    said += [f"at {where}"] * bool(where) + [f"of {whose}"] * bool(whose)
    again = str(job.get("attempt") or "0")
    said += [f"after {again} rescheduling{'s' * (again != '1')}"] * (again != "0")
    return printable(f"{activity['name']}  {' '.join(said)}")


def render_table(lineage: Lineage, style: Style, look: Look) -> Iterator[str]:
    """Yield the lines of a table of all activities and products, nearest first."""
    activities = [
        {**a, "what": "activity", "at": a.get("started_at")} for a in _activities(lineage)
    ]
    products = [{**e, "what": "product", "at": e.get("generated_at")} for e in lineage["entities"]]
    records = sorted(
        [*activities, *products],
        key=lambda r: (r.get("depth") or 0, r["what"], str(r["at"] or "~"), str(r.get("name"))),
    )
    yield from write_table(records, _COLUMNS, style, look)


def warnings_of(lineage: Lineage) -> Iterator[str]:
    """Yield what a reader must not overlook, as sentences."""
    failed = [a for a in _activities(lineage) if a.get("status") in FAILED]
    if failed:
        is_are = "activity" if len(failed) == 1 else "activities"
        yield f"{len(failed)} failed {is_are}: {_some(failed, _failure)}"
    running = [a for a in _activities(lineage) if a.get("status") == "running"]
    if running:
        yield f"{counted(len(running), 'activity', 'activities')} still running: {_some(running)}"
    claimed = [a for a in _activities(lineage) if a.get("is_claim")]
    if claimed:
        is_are = "is" if len(claimed) == 1 else "are"
        yield (
            f"{counted(len(claimed), 'activity', 'activities')} {is_are} only claimed by a "
            f"product's own metadata, and not recorded: {_some(claimed)}"
        )
    contrary = [r for r in (*_activities(lineage), *lineage["entities"]) if r.get("contradictions")]
    if contrary:
        yield f"{counted(len(contrary), 'record')} with contradictions: {_some(contrary)}"
    invalid = lineage.get("invalid") or []
    if invalid:
        names = {e["id"]: e for e in lineage["entities"]}
        reasons = "; ".join(sorted({printable(i["reason"]) for i in invalid})[:3])
        marked = [names[i["entity"]] for i in invalid if i["entity"] in names]
        yield f"{counted(len(invalid), 'product')} marked as invalid: {_some(marked)} ({reasons})"
    violating = lineage.get("violations") or []
    if violating:
        rules = {r["number"] or r["name"]: None for d in violating for r in d["rules"]}
        n = sum(d["violations"] for d in violating)
        yield (
            f"violates PROV-CONSTRAINTS {n}: {counted(len(violating), 'document')} that told of it"
            f" break rules {', '.join(map(str, list(rules)[:5]))} (prod-validate shows how)"
        )
    if lineage.get("truncated"):
        yield "the answer was cut at its limit; ask for more with --limit, or for less with --depth"


def _heading(lineage: Lineage, tree: Tree) -> str:
    """Return how many records there are, and whether the lineage ends where it should."""
    shown = [row for row in (*tree.rows, *tree.loose) if not row.is_seen and not row.is_focus]
    n_activities = sum(len(row.ids) for row in shown if row.kind == "activity")
    n_products = sum(len(row.ids) + row.n_hidden for row in shown if row.kind == "entity")
    n_products += sum(row.n_hidden for row in shown if row.kind == "activity")
    name = printable(str(lineage["focus"].get("name") or lineage["focus"]["id"]))
    came = "came from" if tree.direction == "up" else "went into"
    told = (
        f"{name} {came} {counted(n_activities, 'activity', 'activities')} and "
        f"{counted(n_products, 'product')}"
    )
    if not shown and tree.direction == "up" and not any(row.n_cut for row in tree.rows):
        return f"{name}: nothing is recorded before it"
    if not shown and tree.direction == "down":
        return f"{name}: nothing is recorded after it{_cut_short(lineage)}"
    if tree.direction == "down":
        return told + _cut_short(lineage)
    return f"{told}; {_completeness(lineage, tree)}"


def _completeness(lineage: Lineage, tree: Tree) -> str:
    n_cut = sum(row.n_cut for row in tree.rows if not row.is_seen)
    if lineage.get("truncated") or n_cut:
        beyond = f", {counted(n_cut, 'product')} with more before" if n_cut else ""
        return f"not complete{_cut_short(lineage)}{beyond}"
    roots = [row for row in tree.rows if row.n_roots and not row.is_seen]
    n_roots = sum(row.n_roots for row in roots)
    if not n_roots:
        return "no root among them"
    names = [_of_roots(row) for row in roots[:_MOST_NAMES]]
    n_left = n_roots - sum(row.n_roots for row in roots[:_MOST_NAMES])
    more = f" and {n_left} more" if n_left else ""
    return f"complete, back to {counted(n_roots, 'root')}: {', '.join(names)}{more}"


def _of_roots(row: Row) -> str:
    first, last = printable(row.names[0]), printable(row.names[-1])
    return first if row.n_roots == 1 else f"{row.n_roots} × {first} … {last}"


def _cut_short(lineage: Lineage) -> str:
    if lineage.get("truncated"):
        return ", cut at the limit"
    return "" if lineage.get("depth") is None else f" (depth {lineage['depth']})"


def _activities(lineage: Lineage) -> Sequence[Record]:
    found: Sequence[Record] = lineage["activities"]
    return found


def _failure(record: Record) -> str:
    code = record.get("exit_code")
    return f"{record['status']}" + (f", exit code {code}" if code is not None else "")


def _some(records: Sequence[Record], detail: Any = None) -> str:  # Any: a function of a record
    told = []
    for record in records[:_MOST_NAMES]:
        extra = f", {detail(record)}" if detail else ""
        told.append(f"{printable(str(record.get('name')))} ({record['id']}{extra})")
    more = f" and {len(records) - _MOST_NAMES} more" if len(records) > _MOST_NAMES else ""
    return ", ".join(told) + more


def _nearest_first(record: Record) -> tuple[int, str, str, str, str]:
    at, name = str(record["at"] or "~"), str(record.get("name") or "")
    return record.get("depth") or 0, record["what"], at, name, str(record["id"])


_COLUMNS = (
    Column("DEPTH", lambda r: r.get("depth")),
    Column("KIND", lambda r: r["what"]),
    Column("NAME", lambda r: r.get("name")),
    Column("VERSION", lambda r: r.get("version")),
    status_column("status"),
    Column("TIME", lambda r: instant(r["at"]), lambda r: r["at"]),
    duration_column(),
    Column("WHERE", lambda r: r.get("host") or r.get("location")),
    Column("ID", lambda r: r["id"]),
)
