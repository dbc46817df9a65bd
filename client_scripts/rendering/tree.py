"""A folded lineage as lines of a tree."""

from collections.abc import Iterable, Iterator, Sequence

from provmanager.model.folding import FAILED, Row, Tree

from .text import SIGNS, Look, duration, instant, printable, span, style_of_status

MAX_INDENT = 20
"""Levels that are drawn as branches; deeper rows say their depth in numbers."""


def render_tree(tree: Tree, look: Look) -> Iterator[str]:
    """Yield the lines of the tree, its loose activities last, and what its marks mean."""
    yield from _lines(tree.rows, look)
    if tree.loose:
        yield ""
        where = "before" if tree.direction == "up" else "after"
        yield look.paint(f"Also {where} it, joined by no recorded product:", "warn")
        yield from _lines(tree.loose, look)
    yield from _legend((*tree.rows, *tree.loose), look)


def _lines(rows: Sequence[Row], look: Look) -> Iterator[str]:
    open_levels: list[bool] = []
    for row in rows:
        del open_levels[max(row.depth - 1, 0) :]
        branch = _branch(open_levels, row)
        text = _activity(row, look) if row.kind == "activity" else _entity(row, look)
        yield look.shown(look.paint(branch, "dim") + text)
        if row.depth:
            open_levels.append(not row.is_last)


def _branch(open_levels: Sequence[bool], row: Row) -> str:
    if row.depth == 0:
        return ""
    drawn = open_levels[-MAX_INDENT:]
    skipped = len(open_levels) - len(drawn)
    start = f"⋯{skipped} " if skipped else ""
    bars = "".join("│  " if is_open else "   " for is_open in drawn)
    return f"{start}{bars}{'└─ ' if row.is_last else '├─ '}"


def _activity(row: Row, look: Look) -> str:
    n = len(row.ids)
    informed = "informed: " if row.relation == "informed" else ""
    parts = [_mark(row) + informed + look.paint(_count(row, n) + _names(row), "activity")]
    parts[0] += f" {_versions(row)}" if row.versions else ""
    if row.n_chains > 1 and row.levels > 1:
        parts.append(f"in {row.n_chains} chains of up to {row.levels}")
    elif row.levels > 1:
        parts.append(f"one after another, {row.levels} in a row")
    if row.n_claims < n:
        parts.append(_statuses(row, look))
    if row.n_claims:
        few = f"{row.n_claims} of them " if row.n_claims < n else ""
        parts.append(look.paint(f"{few}only claimed, never recorded", "warn"))
    parts.append(look.paint(span(row.first_at, row.last_at if n > 1 else None), "dim"))
    if row.record:
        took = duration(row.record.get("started_at"), row.record.get("ended_at"))
        parts.append(look.paint(took, "dim"))
        parts += [look.paint(f"id {row.ids[0]}", "dim")] if look.verbose else []
    # up the tree the role is that of the product above in its making: of little use, often empty
    roles = "" if row.relation == "generated" and not look.verbose else _roles(row)
    return "  ".join(part for part in parts if part) + roles + _again(row, look)


def _count(row: Row, n: int) -> str:
    ring = "⟳ " if row.levels > 1 else ""
    return f"{ring}{n} × " if n > 1 else ring


def _versions(row: Row) -> str:
    if len(row.versions) <= 3:
        return printable(", ".join(row.versions))
    first, last = printable(row.versions[0]), printable(row.versions[-1])
    return f"{first} … {last} ({len(row.versions)} versions)"


def _statuses(row: Row, look: Look) -> str:
    """Return how the runs ended, what went wrong first, and name the first that failed."""
    words = sorted(row.statuses, key=lambda word: (word not in FAILED, word == "completed", word))
    told = []
    for word in words:
        number = f"{row.statuses[word]} " if len(words) > 1 or row.statuses[word] > 1 else ""
        number = "" if len(words) == 1 and word not in FAILED else number
        text = f"{SIGNS.get(word, '?')} {number}{word}{_exit_code(row, word)}"
        told.append(look.paint(text, style_of_status(word)))
    if row.first_failed and len(row.ids) > 1:
        failed = row.first_failed
        at = instant(failed.get("started_at"))
        told.append(f"(first failed: {failed['id']}{f', {at}' if at else ''})")
    elif row.first_failed and not look.verbose:
        told.append(f"(id {row.ids[0]})")
    return " ".join(told)


def _exit_code(row: Row, word: str) -> str:
    code = row.record.get("exit_code") if row.record and word in FAILED else None
    return "" if code is None else f", exit code {code}"


def _entity(row: Row, look: Look) -> str:
    n = len(row.ids)
    relation = {"derived": "derived: ", "member": "member: "}.get(row.relation or "", "")
    text = _mark(row) + relation + look.paint(_count(row, n) + _names(row), "product") + _roles(row)
    value = row.record.get("value") if row.record else None
    if value is not None:
        text += f" = {_short(printable(str(value)))}"
    if row.n_roots:
        text += look.paint("  root" if row.n_roots == n else f"  {row.n_roots} roots", "good")
    if row.n_cut:
        more = "more before it, not asked for" if n == 1 else f"{row.n_cut} with more before them"
        text += look.paint(f"  ({more})", "warn")
    if look.verbose and row.record:
        where = row.record.get("location") or row.record.get("digest") or row.ids[0]
        text += look.paint(f"  {printable(str(where))}", "dim")
    return text + _again(row, look)


def _names(row: Row) -> str:
    names = [printable(name) for name in row.names]
    if len(names) <= 2:
        return ", ".join(names)
    if row.kind == "activity":
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{names[0]} … {names[-1]}"


def _roles(row: Row) -> str:
    roles = [printable(role) for role in row.roles]
    if not roles:
        return ""
    shown = roles if len(roles) <= 4 else [*roles[:3], f"{len(roles) - 3} more roles"]
    return f" [{', '.join(shown)}]"


def _mark(row: Row) -> str:
    return "? " if "claimed" in row.basis else "~ " if "inferred" in row.basis else ""


def _again(row: Row, look: Look) -> str:
    return look.paint(" (see above)", "dim") if row.is_seen else ""


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _legend(rows: Iterable[Row], look: Look) -> Iterator[str]:
    bases = {basis for row in rows for basis in row.basis}
    notes = []
    if "inferred" in bases:
        notes.append("~ link inferred by the server, by a named rule (--format json shows it)")
    if "claimed" in bases:
        notes.append("? link only claimed by a product's own metadata")
    if notes:
        yield ""
        yield from (look.shown(look.paint(note, "dim")) for note in notes)
