"""What became of each document that was sent, one line each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .text import Look, counted, printable
from .violations import rule_label

JSONDict = Mapping[str, Any]  # Any: free-form JSON

MAX_DETAILS = 3
"""Contradictions and notes that are shown of one document unless all are asked for."""
_STYLES = {"recorded": "good", "unchanged": "dim", "refused": "bad", "spooled": "warn"}
_WIDTH = 9  # of the longest outcome


def render_item(item: JSONDict, look: Look) -> Iterator[str]:
    """Yield the line of an item, and below it what a person should know of it.

    Parameters
    ----------
    item
        ``{"name", "outcome", "receipt", "error"}``; outcomes beyond those of the service are
        ``spooled``, ``skipped`` and ``readable`` (a dry run, with ``would_send``).
    """
    outcome = str(item["outcome"])
    told = [look.paint(outcome.ljust(_WIDTH), _STYLES.get(outcome, "dim"))]
    told.append(printable(str(item["name"])))
    receipt, error, read = item.get("receipt"), item.get("error"), item.get("would_send")
    if receipt:
        told += [str(receipt["format"]), _of_receipt(receipt)]
    if read:
        told += [str(read["format"]), _of_counts(read["counts"])]
    if error:
        told.append(f"{error['code']}: {printable(str(error['message']))}")
    if item.get("detail"):
        told.append(str(item["detail"]))
    yield look.shown("  ".join(told))
    for source in (receipt, read):
        if source:
            yield from (look.shown(line) for line in _below(source, look))


def summarise(outcomes: Mapping[str, int]) -> str:
    """Return how many documents ended how: ``12 documents: 9 recorded, 3 refused``."""
    n = sum(outcomes.values())
    told = ", ".join(f"{count} {word}" for word, count in outcomes.items() if count)
    return f"{counted(n, 'document')}: {told}" if n else "no documents"


def _of_receipt(receipt: JSONDict) -> str:
    activities = _counted_outcomes(receipt["activities"], "activity", "activities")
    entities = _counted_outcomes(receipt["entities"], "entity", "entities")
    told = f"{activities}, {entities}"
    redactions = receipt.get("redactions") or 0
    return f"{told}, {counted(redactions, 'secret')} redacted" if redactions else told


def _counted_outcomes(records: Sequence[JSONDict], noun: str, plural: str) -> str:
    by_outcome = Counter(str(record["outcome"]) for record in records)
    told = ", ".join(f"{n} {word}" for word, n in sorted(by_outcome.items(), key=_new_first))
    return counted(len(records), noun, plural) + (f" ({told})" if told else "")


def _of_counts(counts: JSONDict) -> str:
    activities = counted(counts["activities"], "activity", "activities")
    return f"{activities}, {counted(counts['entities'], 'entity', 'entities')}"


def _new_first(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] != "new", item[0]


def _below(receipt: JSONDict, look: Look) -> Iterator[str]:
    """Yield contradictions and notes: the first few, or all of them if asked."""
    for kind, style in (("contradictions", "bad"), ("notes", "dim")):
        entries = receipt.get(kind) or []
        most = len(entries) if look.verbose else MAX_DETAILS
        for entry in entries[:most]:
            yield "  " + look.paint(_entry(kind, entry), style)
        if len(entries) > most:
            yield "  " + look.paint(f"and {len(entries) - most} more {kind} (-v shows all)", style)
    validity = receipt.get("validity")
    for rule in validity["rules"] if validity else ():
        times = f", {rule['count']} times" if rule["count"] > 1 else ""
        told = f"violates {rule_label(rule)}{times}: {printable(str(rule['message']))}"
        yield "  " + look.paint(told, "warn")
    if look.verbose:
        document = f"document {receipt['document']}: " if "document" in receipt else ""
        yield "  " + look.paint(f"{document}{receipt['reason']}", "dim")


def _entry(kind: str, entry: JSONDict) -> str:
    message = printable(str(entry["message"]))
    if kind == "contradictions":
        return f"contradiction: {message}"
    pointer = entry.get("pointer")
    return f"note: {message}" + (f" at {printable(str(pointer))}" if pointer else "")
