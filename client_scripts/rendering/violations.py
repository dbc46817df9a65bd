"""What is wrong with documents by PROV-CONSTRAINTS, for a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .text import Look, counted, printable

JSONDict = Mapping[str, Any]  # Any: free-form JSON

MAX_VIOLATIONS = 20
"""Violations of one document that are shown unless all are asked for."""
MAX_REMARKS = 3
"""Contradicting times of one document that are shown unless all are asked for."""
MAX_STATEMENTS = 4
"""Statements of one violation that are shown unless all are asked for."""
MAX_STEPS = 10
"""Links of a chain of events that are shown unless all are asked for."""
_STYLES = {"valid": "good", "violates": "bad", "unread": "warn"}


def render_checked(item: JSONDict, look: Look) -> Iterator[str]:
    """Yield the line of a document or lineage, and below it each violation."""
    outcome = str(item["outcome"])
    told = [look.paint(outcome.ljust(8), _STYLES[outcome]), printable(str(item["name"]))]
    if item["error"]:
        told.append(f"{item['error']['code']}: {printable(str(item['error']['message']))}")
        yield look.shown("  ".join(told))
        return
    told += [str(item["format"]), counted(item["statements"], "statement")]
    if item["bundles"]:
        told.append(counted(item["bundles"], "bundle"))
    violations: Sequence[JSONDict] = item["violations"]
    if violations:
        told.append(counted(len(violations), "violation"))
    yield look.shown("  ".join(told))
    most = len(violations) if look.verbose else MAX_VIOLATIONS
    for violation in violations[:most]:
        yield from (look.shown(line) for line in _violation(violation, look))
    if len(violations) > most:
        yield look.shown(f"  and {len(violations) - most} more (-v shows all)")
    remarks: Sequence[JSONDict] = item["remarks"]
    most = len(remarks) if look.verbose else MAX_REMARKS
    for remark in remarks[:most]:
        label = look.paint("note, no violation", "warn")
        yield from (look.shown(line) for line in _told(label, remark, look))
    if len(remarks) > most:
        yield look.shown(f"  and {counted(len(remarks) - most, 'more note')} (-v shows all)")


def rule_label(rule: JSONDict) -> str:
    """Return what a person calls a rule."""
    if rule["number"] is None:
        return f"PROV-LINKS {rule['name']}"
    return f"{str(rule['kind']).capitalize()} {rule['number']} ({rule['name']})"


def _violation(violation: JSONDict, look: Look) -> Iterator[str]:
    return _told(look.paint(rule_label(violation["rule"]), "bad"), violation, look)


def _told(label: str, violation: JSONDict, look: Look) -> Iterator[str]:
    where = f" in bundle {printable(violation['bundle'])}" if violation["bundle"] else ""
    yield f"  {label}{where}: {printable(violation['message'])}"
    chain: Sequence[JSONDict] = violation["chain"]
    n_left = 0 if look.verbose else len(chain) - MAX_STEPS
    for number, step in enumerate(chain):
        if n_left > 0 and MAX_STEPS - 1 <= number < len(chain) - 1:  # the last closes the circle
            if number == MAX_STEPS - 1:
                yield f"    … {counted(n_left, 'more step')} (-v shows all)"
            continue
        word = "strictly precedes" if step["strict"] else "precedes"
        events = f"{printable(step['earlier'])} {word} {printable(step['later'])}"
        yield f"    {events}, by {rule_label(step['rule'])}"
    statements = violation["statements"]
    most = len(statements) if look.verbose else MAX_STATEMENTS
    for statement in statements[:most]:
        place = f"{printable(statement['place'])}: " if statement["place"] else ""
        yield look.paint(f"    {place}{printable(statement['statement'])}", "dim")
    if len(statements) > most:
        more = f"    and {counted(len(statements) - most, 'more statement')}"
        yield look.paint(more, "dim")
