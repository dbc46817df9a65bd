"""Rows against documents: the record is made anew here, and compared with the one that stands.

The server gives its documents and its rows as of one instant. The documents are held against their
digests and the log, and recorded anew in an empty database on this machine by the version that is
installed here; what the server computed is only compared with it.
"""

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from provmanager.errors import NotFoundError, ProvError, from_wire
from provmanager.model.merkle import is_included, leaf_hash
from provmanager.model.rebuilt import MOST_DIFFERENCES, DocumentCopy, RefusedCopy, RowDifference

from .findings import Finding, Progress
from .log_check import CheckedLog
from .row_findings import explain

if TYPE_CHECKING:
    from provmanager.formats.checkpoint import Checkpoint

    from .client import ProvClient

_ROW = b'{"relation":"'
_SOME_BYTES = 64

Prove = Callable[[DocumentCopy], str | None]
"""Returns what the log has against a document, if anything."""


class Rebuilder(Protocol):
    """An empty record on this machine."""

    def replay(
        self, documents: Iterable[DocumentCopy], shared_paths: Sequence[str]
    ) -> Iterator[RefusedCopy]:
        """Record documents; yield those that cannot be."""
        ...

    def compare(
        self,
        stood: Iterable[tuple[str, str]],
        *,
        within: Sequence[UUID] | None,
        without: Callable[[], Sequence[str]],
    ) -> tuple[list[RowDifference], set[str]]:
        """Return the rows that only one record has, and what `without` may have changed."""
        ...


def verify_rows(
    client: "ProvClient",
    rebuilder: Rebuilder,
    prove: Prove,
    *,
    of: str | None = None,
    suspects: Iterable[str] = (),
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Check documents and the rows that follow from them: all, or those of a product's lineage.

    Parameters
    ----------
    suspects : iterable of str
        SHA-256 of documents with whose rows something is wrong: what they tell is not compared.
    """
    told = _Told(client.record_lines(of), prove, set(suspects), progress)
    refused = list(rebuilder.replay(told.documents(), told.head["shared_paths"]))
    for sha256, message in refused:
        told.left_out.add(sha256)
        text = f"it cannot be read by the version that is installed here: {message}"
        yield Finding("document", f"document {sha256}", "unknown", text)
    uuids = told.head["uuids"]
    found, aside = rebuilder.compare(
        told.rows(),
        within=None if uuids is None else [UUID(u) for u in uuids],
        without=lambda: sorted(told.left_out),
    )
    yield from told.findings
    yield from explain(found, told.left_out, aside)
    kinds = Counter((d.relation, d.stood is None) for d in found)
    for relation in sorted({r for (r, _), n in kinds.items() if n >= MOST_DIFFERENCES}):
        text = f"more of its rows differ than the {MOST_DIFFERENCES} that were looked at"
        yield Finding("row", relation, "differs", text)
    if not told.findings and not refused and not told.left_out:
        text = f"the stored bytes of {told.n_documents} are as they were recorded"
        yield Finding("document", "documents", "ok", text)
    if not found:
        text = f"{told.n_rows} follow from {told.n_documents} documents, and nothing else does"
        yield Finding("row", "rows", "ok", text)
    elif aside:
        text = (
            f"not compared for {len(aside)} runs and files, of which {len(told.left_out)} "
            "documents tell that are not as they were recorded"
        )
        yield Finding("row", "rows", "unknown", text)


class _Told:
    """What the server gives, line by line: a head, documents, rows, and an end."""

    def __init__(
        self, lines: Iterator[bytes], prove: Prove, suspects: set[str], progress: Progress | None
    ) -> None:
        self._lines = lines
        self._prove = prove
        self._progress = progress
        self._next = b""
        self.left_out = suspects
        self.findings: list[Finding] = []
        self.n_documents = self.n_rows = 0
        self.head: dict[str, Any] = self._object(next(lines, b""))["record"]  # Any: JSON

    def documents(self) -> Iterator[DocumentCopy]:
        """Yield the documents that are as they were recorded; tell of the others."""
        for line in self._lines:
            if line.startswith(_ROW):
                self._next = line
                return
            said = self._object(line)
            if "end" in said:
                self._next = line
                return
            item = said["document"]
            document = DocumentCopy(**item | {"content": base64.b64decode(item["content"])})
            self.n_documents += 1
            if self._progress is not None:
                self._progress(self.n_documents, self.head["n_documents"])
            if document.sha256 in self.left_out:
                continue
            wrong = _wrong_bytes(document) or self._prove(document)
            if wrong:
                self.left_out.add(document.sha256)
                what = f"document {document.sha256} ({document.source_name or 'unnamed'})"
                self.findings.append(Finding("document", what, "differs", wrong))
            else:
                yield document

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield (relation, row as JSON) up to the end."""
        line = self._next
        while line.startswith(_ROW):
            self.n_rows += 1
            relation, _, row = line.decode().removeprefix(_ROW.decode()).partition('","row":')
            yield relation, row[:-1]
            line = next(self._lines, b"")
        end = self._object(line)
        if end.get("end") != {"n_documents": self.n_documents, "n_rows": self.n_rows}:
            raise ProvError(f"the server's copy of its record ends too early: {line[:100]!r}")

    def _object(self, line: bytes) -> dict[str, Any]:  # Any: JSON
        if not line:
            raise ProvError("the server's copy of its record ends too early: try again")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise from_wire(said["error"])
        return said


def _wrong_bytes(document: DocumentCopy) -> str | None:
    try:
        content = zlib.decompress(document.content)
    except zlib.error:
        return (
            f"its stored bytes can be read up to byte {_n_readable(document.content)} of "
            f"{document.size_bytes} only; recorded: {document.stored_sha256}"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != document.stored_sha256:
        return f"its stored bytes have the SHA-256 {found}, recorded: {document.stored_sha256}"
    if len(content) != document.size_bytes:
        return f"its stored bytes are {len(content)}, recorded: {document.size_bytes}"
    return None


def _n_readable(content: bytes) -> int:
    """Return how many bytes can be decompressed before the damage shows."""
    stream, n_bytes = zlib.decompressobj(), 0
    try:
        for start in range(0, len(content), _SOME_BYTES):
            n_bytes += len(stream.decompress(content[start : start + _SOME_BYTES]))
    except zlib.error:
        pass
    return n_bytes


def proved_by_leaves(log: CheckedLog) -> Prove:
    """Return what holds documents against the entries of a log that was checked."""
    entries = {e["sha256"]: e for e in (json.loads(leaf.entry) for leaf in log.leaves)}

    def prove(document: DocumentCopy) -> str | None:
        entry = entries.get(document.sha256)
        if entry is None or entry["stored_sha256"] == document.stored_sha256:
            return None  # it is not in the log yet, or as that says
        return f"the log says that its stored bytes have the SHA-256 {entry['stored_sha256']}"

    return prove


def proved_one_by_one(client: "ProvClient", checkpoint: "Checkpoint") -> Prove:
    """Return what asks for a proof that the log has a document, and checks it."""

    def prove(document: DocumentCopy) -> str | None:
        try:
            proof = client.log_inclusion(document.sha256, checkpoint.size)
        except NotFoundError:
            return None  # not in the log yet
        steps = [bytes.fromhex(h) for h in proof["proof"]]
        leaf = leaf_hash(proof["entry"].encode())
        if not is_included(leaf, proof["index"], checkpoint.size, steps, checkpoint.root):
            return "its row is not what the log holds of it"
        if json.loads(proof["entry"])["stored_sha256"] != document.stored_sha256:
            return "the log has other bytes of it"
        return None

    return prove
