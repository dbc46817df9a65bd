"""A complete archive of the record, out and in again into a record that is empty.

What is archived is the log up to a checkpoint: its documents, verbatim as they are stored, from
which the record is made anew, and what does not follow from them: when and from whom they came,
the log's leaves and signed checkpoints, former UUIDs, the operator's patterns of secrets. Tokens,
browser sessions and who looks after a production's run are no part of it.

Into a record that has documents, the documents of an archive go as any others do
(``prod-add-prov``): by the usual rules of identity, into the log that is there.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, JSONDict, UsageError
from provmanager.formats.archive import FORMAT, ArchiveReader, ArchiveWriter, Entry, lines_of
from provmanager.formats.description_document import read_descriptions
from provmanager.model import Role
from provmanager.store import archive as store
from provmanager.store import canonical
from provmanager.store.database import Database
from provmanager.store.log import Leaf

from . import log
from .descriptions import save_descriptions
from .ingest import IngestPolicy, Reading, Source, read_sources, record_read
from .mentions import LocationPolicy

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many documents of how many are done."""

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What of the server's settings belongs to the record.

    Attributes
    ----------
    shared_paths : tuple of str
        They decide which paths of different hosts are one file.
    redaction : bytes
        The operator's patterns of secrets.
    """

    shared_paths: tuple[str, ...] = ()
    redaction: bytes = b""


def write_archive(
    database: Database,
    target: BinaryIO,
    *,
    key: log.SigningKey,
    around: Around,
    now: datetime,
    progress: Progress = lambda done, of: None,
) -> int:
    """Write the record as it is at this moment into `target`; return the number of documents.

    Raises
    ------
    UsageError
        There is nothing to archive.
    DifferenceError
        The log lacks leaves, or a document is not what its row says.
    """
    with database.transaction() as session:
        signed = log.publish(session, key, now=now)
    if signed is None:
        raise UsageError("there is no document in this record: nothing to archive")
    size = signed.checkpoint.size
    with database.transaction() as session, ArchiveWriter(target) as archive:
        canonical.read_only(session)
        header = {
            "format": FORMAT,
            "provmanager": version("provmanager"),
            "made_at": now.isoformat(),
            "n_documents": size,
            "log": {"origin": signed.checkpoint.origin, "key": signed.key},
            "shared_paths": list(around.shared_paths),
        }
        archive.add_json("header.json", header)
        n_done = 0
        for leaves in store.batches(session, size):
            archive.add_documents([_entry(leaf) for leaf in leaves])
            n_done += len(leaves)
            progress(n_done, size)
        archive.add_lines("checkpoints.jsonl", log.all_checkpoints(session, size))
        archive.add_lines("aliases.jsonl", store.aliases(session))
        archive.add("redaction.txt", around.redaction)
    return size


def _entry(leaf: Leaf) -> Entry:
    said = leaf.document
    if leaf.content is None:
        raise DifferenceError(
            f"document {said.sha256} cannot be decompressed: prod-verify --all says more"
        )
    return {
        "leaf_index": leaf.leaf_index,
        "leaf_hash": leaf.leaf_hash.hex(),
        "sha256": said.sha256,
        "stored_sha256": said.stored_sha256,
        "size_bytes": said.size_bytes,
        "format": said.format,
        "source_name": said.source_name,
        "n_redactions": said.n_redactions,
        "received_at": said.received_at.isoformat(),
        "received_from": said.received_from,
    }, leaf.content


def check_archive(path: Path) -> JSONDict:
    """Read an archive from beginning to end, and return its header.

    Raises
    ------
    DifferenceError
        Something in it was changed.
    DocumentError
        It is cut off.
    UsageError
        It is no archive.
    """
    with path.open("rb") as file:
        reader = ArchiveReader(file)
        for _ in reader.documents():
            pass
    return reader.header


def read_archive(
    database: Database,
    path: Path,
    *,
    around: Around,
    progress: Progress = lambda done, of: None,
) -> int:
    """Make the record from the archive at `path`: all of it or nothing; return its documents.

    Raises
    ------
    DifferenceError
        It was changed, or its log does not lead to its checkpoints.
    DocumentError
        It is cut off.
    UsageError
        It is no archive, the record is not empty, or the server's `PROV_SHARED_PATHS` are others.
    """
    header = check_archive(path)
    _check_settings(header, around)
    locations = LocationPolicy(around.shared_paths)
    policy = IngestPolicy(locations=locations, max_document_bytes=2**62)
    with path.open("rb") as file, database.transaction() as session:
        n_there = store.count_documents(session)
        if n_there:
            raise UsageError(
                f"the record has {n_there} documents already: restore into an empty one, or give "
                "the archive to prod-add-prov, which adds its documents to those"
            )
        reader = ArchiveReader(file)
        store.set_origin(session, header["log"]["origin"])
        entries, n_done = reader.documents(), 0
        while batch := list(islice(entries, _BATCH)):
            _record(session, batch, policy)
            n_done += len(batch)
            progress(n_done, header["n_documents"])
        store.write_aliases(session, lines_of(reader.parts["aliases.jsonl"], "aliases.jsonl"))
        made = lines_of(reader.parts["checkpoints.jsonl"], "checkpoints.jsonl")
        log.take_over(session, header["log"]["key"], made)
        earlier = reader.parts.get("descriptions.json")  # from when they were no documents
        if earlier is not None:
            save_descriptions(session, read_descriptions(earlier), policy=policy, by=None)
    return n_done


def _check_settings(header: JSONDict, around: Around) -> None:
    paths = header.get("shared_paths", [])
    if sorted(paths) != sorted(around.shared_paths):
        raise UsageError(
            f"the archive's server had PROV_SHARED_PATHS={','.join(paths)!r}, this one has "
            f"{','.join(around.shared_paths)!r}: which paths are one file would not be the same",
            expected=paths,
            found=list(around.shared_paths),
        )


def _record(session: Session, batch: Sequence[Entry], policy: IngestPolicy) -> None:
    """Record documents as they were: what was hidden in them, when they came and from whom."""
    items = read_sources(
        [
            Source(
                data,
                line["source_name"],
                line["received_from"],
                sha256=line["sha256"],
                role=Role.ADMIN,  # who sent it was allowed to, then
            )
            for line, data in batch
        ],
        policy=policy,
    )
    for item, (line, _) in zip(items, batch, strict=True):
        if isinstance(item, Reading):
            item.n_redactions = line["n_redactions"]
    outcomes = record_read(session, items, policy=policy)
    for (line, _), outcome in zip(batch, outcomes, strict=True):
        if outcome.outcome != "recorded":
            why = outcome.error.message if outcome.error else "it stands in the archive twice"
            raise DifferenceError(f"document {line['sha256']} cannot be recorded again: {why}")
    store.set_received(
        session,
        [(line["sha256"], datetime.fromisoformat(line["received_at"])) for line, _ in batch],
    )
    log.append_leaves(
        session, {line["sha256"]: bytes.fromhex(line["leaf_hash"]) for line, _ in batch}
    )
