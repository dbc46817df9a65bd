"""The log, checked on this machine: signatures, every leaf, the order of all, and its past.

The server gives leaves, their entries (what the log vouches for of each document) and all signed
checkpoints; every hash is computed here. Where something is wrong, the signed roots tell which of
the two is it: the leaf, or the row of the document.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provmanager.errors import DifferenceError, DocumentError, JSONDict
from provmanager.formats.checkpoint import Checkpoint, parse, renamed_key, verify
from provmanager.model.merkle import Tree, leaf_hash

from .findings import Finding, KeptCheckpoint, Progress

if TYPE_CHECKING:
    from .client import ProvClient

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf as the server gives it."""

    index: int
    stored: bytes
    """Its hash, as the log has it."""
    entry: str
    """What the row of its document gives."""
    order: int

    @property
    def derived(self) -> bytes:
        """Its hash, as it follows from the row of its document."""
        return leaf_hash(self.entry.encode())


@dataclass(slots=True)
class CheckedLog:
    """What came of it.

    Attributes
    ----------
    leaves : list of Leaf
        In order, without those that are gone.
    checkpoint : KeptCheckpoint or None
        The one of now, to keep for the next time.
    suspects : set of str
        SHA-256 of documents with whose rows something is wrong.
    """

    findings: list[Finding] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    checkpoint: KeptCheckpoint | None = None
    suspects: set[str] = field(default_factory=set)

    def suspect(self, leaf: Leaf, which: str) -> None:
        """Tell that the row of a leaf's document was changed, or perhaps the leaf."""
        self.findings.append(_changed(leaf, which))
        self.suspects.add(json.loads(leaf.entry)["sha256"])


def verify_log(
    client: "ProvClient", kept: KeptCheckpoint | None = None, *, progress: Progress | None = None
) -> CheckedLog:
    """Check the whole log, and that it continues `kept`.

    Raises
    ------
    NotFoundError
        It is empty: nothing was recorded yet.
    """
    found = CheckedLog()
    refusal = None
    try:
        said = client.log_checkpoint()
        found.checkpoint = KeptCheckpoint(said["note"], said["key"])
    except (DifferenceError, DocumentError) as error:
        refusal = error
    signed = _checkpoints(client, found)
    if not signed and refusal is not None and not found.findings:
        found.findings.append(Finding("log", "log", "differs", refusal.message))
    size = max((c.size for c in signed), default=0)
    found.leaves = list(_leaves(client, size, progress))
    hashes = _explain(found, signed, size)
    if kept is not None:
        found.findings.append(_continues(kept, found.checkpoint, hashes, signed))
    if all(f.outcome == "ok" for f in found.findings) and signed:
        text = (
            f"{size} documents give the signed root {signed[-1].root.hex()}, and all "
            f"{len(signed)} checkpoints that were signed"
        )
        found.findings.insert(0, Finding("log", f"log {signed[-1].origin}", "ok", text))
    return found


def _checkpoints(client: "ProvClient", found: CheckedLog) -> list[Checkpoint]:
    """Return the checkpoints that are signed, smallest first; tell of those that are not."""
    signed: list[Checkpoint] = []
    before: int | None = None
    name: str | None = None
    while (page := client.log_checkpoints(before=before))["items"]:
        key = page["key"]
        former = _former_name(page)
        if former is not None:
            if name is None:
                text = f"it was called {former} when its checkpoints were signed"
                called = key.partition("+")[0]
                found.findings.append(Finding("log", f"log {called}", "differs", text))
            name, key = former, renamed_key(key, former)
        for item in page["items"]:
            before, what = item["size"], f"checkpoint {item['size']}"
            try:
                checkpoint = verify(item["note"], key)
            except (DifferenceError, DocumentError) as error:
                found.findings.append(Finding("log", what, "differs", error.message))
                continue
            if (checkpoint.size, checkpoint.root.hex()) != (item["size"], item["root"]):
                text = (
                    f"its row says {item['size']} documents and root {item['root']}, signed are "
                    f"{checkpoint.size} and {checkpoint.root.hex()}"
                )
                found.findings.append(Finding("log", what, "differs", text))
            signed.append(checkpoint)
    return signed[::-1]


def _former_name(page: JSONDict) -> str | None:
    """Return how the log was called when all these checkpoints were signed, where that differs."""
    try:
        names = {parse(item["note"]).origin for item in page["items"]}
    except DocumentError:
        return None
    former = names.pop() if len(names) == 1 else None
    return None if former == page["key"].partition("+")[0] else former


def _leaves(client: "ProvClient", size: int, progress: Progress | None) -> Iterator[Leaf]:
    first = 0
    while first < size and (items := client.log_leaves(first, min(_PAGE, size - first))):
        for item in items:
            first = item["index"] + 1
            if first <= size:
                stored = bytes.fromhex(item["leaf_hash"])
                yield Leaf(item["index"], stored, item["entry"], item["document_order"])
        if progress is not None:
            progress(min(first, size), size)


def _explain(found: CheckedLog, signed: Sequence[Checkpoint], size: int) -> list[bytes]:
    """Tell what is wrong with the leaves; return their hashes as they were signed, if known."""
    leaves = found.leaves
    stored = [leaf.stored for leaf in leaves]
    if len(leaves) < size:
        found.findings += _gaps(leaves, size)
        first = next((i for i, leaf in enumerate(leaves) if leaf.index != i), len(leaves))
        return stored[:first]
    derived = [leaf.derived for leaf in leaves]
    wrong = [i for i in range(size) if stored[i] != derived[i]]
    if _fits(stored, signed):
        for i in wrong:
            found.suspect(leaves[i], "row")
        return stored
    if wrong and _fits(derived, signed):
        found.findings += [_changed(leaves[i], "leaf") for i in wrong]
        return derived
    if wrong:
        for i in wrong:
            found.suspect(leaves[i], "row or its leaf")
        return stored
    ordered = sorted(leaves, key=lambda leaf: leaf.order)
    if _fits([leaf.stored for leaf in ordered], signed):
        moved = [(i, leaf.index) for i, leaf in enumerate(ordered) if i != leaf.index]
        text = ", ".join(f"leaf {place} stands at {now}" for place, now in moved)
        what = "leaves " + " and ".join(str(place) for place, _ in moved)
        found.findings.append(Finding("log", what, "differs", f"the order was changed: {text}"))
        return [leaf.stored for leaf in ordered]
    found.findings.append(_somewhere(stored, signed))
    return stored


def _fits(hashes: Sequence[bytes], signed: Sequence[Checkpoint]) -> bool:
    tree = Tree.of(hashes)
    return all(tree.root(c.size) == c.root for c in signed)


def _gaps(leaves: Sequence[Leaf], size: int) -> Iterator[Finding]:
    """Tell of each run of leaves that are gone."""
    there = [-1, *(leaf.index for leaf in leaves), size]
    for before, after in itertools.pairwise(there):
        if after - before < 2:
            continue
        first, last = before + 1, after - 1
        what = f"leaf {first}" if first == last else f"leaves {first} to {last}"
        text = f"taken out: a checkpoint of {size} documents was signed"
        yield Finding("log", what, "differs", text)


def _changed(leaf: Leaf, which: str) -> Finding:
    text = (
        f"the log has {leaf.stored.hex()}, the document's row gives {leaf.derived.hex()}: "
        f"{leaf.entry}"
    )
    if which == "leaf":
        text = f"leaf {leaf.index} was changed, its document was not: {text}"
        return Finding("log", f"leaf {leaf.index}", "differs", text)
    text = f"its {which} was changed: {text}"
    return Finding("document", f"row of the document of leaf {leaf.index}", "differs", text)


def _somewhere(hashes: Sequence[bytes], signed: Sequence[Checkpoint]) -> Finding:
    """Tell between which checkpoints the leaves are no longer those that were signed."""
    tree = Tree.of(hashes)
    good = [c.size for c in signed if tree.root(c.size) == c.root]
    bad = next(c for c in signed if tree.root(c.size) != c.root)
    roots = f"the leaves give {tree.root(bad.size).hex()}, signed is {bad.root.hex()}"
    if good and good[-1] > bad.size:
        text = f"it is not of this log, and one of {good[-1]} documents is: {roots}"
        return Finding("log", f"checkpoint {bad.size}", "differs", text)
    first = good[-1] if good else 0
    text = f"one of them at least was changed or moved, with its document's row: {roots}"
    return Finding("log", f"leaves {first} to {bad.size - 1}", "differs", text)


def _continues(
    kept: KeptCheckpoint,
    now: KeptCheckpoint | None,
    hashes: Sequence[bytes],
    signed: Sequence[Checkpoint],
) -> Finding:
    """Tell whether the log of now begins with the log that was kept."""
    try:
        before = verify(kept.note, kept.key)
    except DifferenceError as error:
        return Finding("log", "the checkpoint that was kept", "differs", error.message)
    what = f"log {before.origin} since {before.size} documents"
    if signed and before.origin != signed[-1].origin:
        return Finding("log", what, "differs", f"this is another log: {signed[-1].origin}")
    size = signed[-1].size if signed else 0
    if before.size > size:
        text = f"it has {size} now: the last were taken out, or an old dump restored"
        return Finding("log", what, "differs", text)
    if before.size > len(hashes):
        return Finding("log", what, "unknown", "cannot be told while leaves are gone")
    if Tree.of(hashes[: before.size]).root() != before.root:
        text = "the log of now does not begin with the one that was kept: its past was changed"
        return Finding("log", what, "differs", text)
    changed = "; another key signs it now" if now is not None and kept.key != now.key else ""
    n_new = size - before.size
    return Finding("log", what, "ok", f"nothing changed, {n_new} documents were added{changed}")
