"""The log: each accepted document a leaf of a Merkle tree, whose checkpoints are signed.

A document is appended some seconds after it was recorded, by whoever asks for a checkpoint or by
the server in the background: recording does not wait for it.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, DocumentError, JSONDict, NotFoundError, UsageError
from provmanager.formats.checkpoint import Checkpoint, parse, sign, verifier_key, verify
from provmanager.ids import canonical_json, sha256_hex
from provmanager.model.merkle import TILE_LEVELS, Tree, leaf_hash
from provmanager.store import log as store
from provmanager.store.log import Leaf, LoggedDocument

logger = logging.getLogger(__name__)

SigningKey = Ed25519PrivateKey
MAX_PAGE = 1000


class SignedCheckpoint(NamedTuple):
    """A checkpoint as it was signed, and the key to check it by."""

    note: str
    key: str
    checkpoint: Checkpoint


class Entry(NamedTuple):
    """A leaf and its entry, from which the hash follows."""

    leaf_index: int
    leaf_hash: bytes
    entry: bytes
    document_id: int
    """Greater for a document that was recorded later, and so for a later leaf."""


class Problem(NamedTuple):
    """Something that is not as the log says."""

    leaf: int
    """The place in the log."""
    document: str | None
    """SHA-256 of the document, as its row says."""
    kind: str
    """``content``, ``row`` or ``leaf``."""
    message: str


class CheckedLeaves(NamedTuple):
    """What came of looking at leaves."""

    n_checked: int
    next: int
    """Where to go on."""
    size: int
    """Size of the log."""
    problems: list[Problem]


def load_key(path: Path) -> Ed25519PrivateKey:
    """Return the log's signing key, made at the first use (PEM, mode 0600).

    Raises
    ------
    UsageError
        The file holds something else or cannot be read.
    """
    try:
        if not path.exists():
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
            return made
        key = load_pem_private_key(path.read_bytes(), None)
    except FileExistsError:  # another server of this folder made it just now
        return load_key(path)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"the log's key {path} cannot be used: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"the log's key {path} is of another kind; expected Ed25519")
    return key


def entry_of(document: LoggedDocument) -> bytes:
    """Return the entry of a document's leaf: what the log vouches for, as canonical JSON."""
    return canonical_json(_vouched(document) | _vouched_since_0007(document))


def _vouched(document: LoggedDocument) -> JSONDict:
    return {
        "sha256": document.sha256,
        "stored_sha256": document.stored_sha256,
        "format": document.format,
        "size_bytes": document.size_bytes,
        "received_at": document.received_at.isoformat(),
        "received_from": document.received_from,
    }


def _vouched_since_0007(document: LoggedDocument) -> JSONDict:
    return {"source_name": document.source_name, "n_redactions": document.n_redactions}


def _entry(leaf: Leaf) -> bytes:
    """Return the entry of a leaf; those of former versions said less."""
    former = canonical_json(_vouched(leaf.document))
    return former if leaf_hash(former) == leaf.leaf_hash else entry_of(leaf.document)


def publish(session: Session, key: Ed25519PrivateKey, *, now: datetime) -> SignedCheckpoint | None:
    """Append what is not in the log yet and return a checkpoint of all; None if it is empty.

    The last checkpoint stands where nothing came since; otherwise there is a new one.

    Raises
    ------
    DifferenceError
        Leaves are gone that were there, or are not those that were signed: nothing more is signed.
    """
    store.lock(session)
    size, last_id = store.last_leaf(session)
    last = next(iter(store.checkpoints(session, limit=1)), None)
    signed = last.size if last else 0
    if size < signed or store.count_leaves(session, signed) != size - signed:
        raise DifferenceError(
            f"the log ends with leaf {size - 1}, and a checkpoint of {signed} documents was "
            "signed: leaves were taken out; prod-verify --all says more"
        )
    size = store.append_documents(session, size, last_id, lambda d: leaf_hash(entry_of(d)))
    if not size:
        return None
    name = store.origin(session)
    public = verifier_key(name, key.public_key().public_bytes_raw())
    if last and last.size == size:
        return SignedCheckpoint(last.note, public, parse(last.note))
    if last:
        _check_name(last.note, name)
        _check_past(session, last.note, public)
    _keep_nodes(session, size)
    checkpoint = Checkpoint(name, size, _tree(session, size).root())
    note = sign(checkpoint, key)
    store.insert_checkpoint(session, size=size, root=checkpoint.root, note=note, made_at=now)
    return SignedCheckpoint(note, public, checkpoint)


def _check_name(note: str, name: str) -> None:
    """Check that the log is called as when `note` was signed."""
    try:
        former = parse(note).origin
    except DocumentError:
        return  # this checkpoint itself was changed: prod-verify says so
    if former != name:
        raise DifferenceError(
            f"the log is called {name}, and was {former} when its last checkpoint was signed: "
            "nothing more is signed until prov.log_identity has that name again",
            expected=former,
            found=name,
        )


def _check_past(session: Session, note: str, key: str) -> None:
    """Check that the leaves give what was signed last; kept subtrees that do not are made anew."""
    try:
        before = verify(note, key)
    except (DifferenceError, DocumentError):
        return  # this checkpoint itself was changed: prod-verify says so
    if _gives(session, before):
        return
    store.delete_nodes(session)
    _keep_nodes(session, before.size)
    if not _gives(session, before):
        raise DifferenceError(
            f"the leaves no longer give the root that was signed for {before.size} documents: "
            "something of them was changed, and nothing more is signed; prod-verify --all says what"
        )


def _gives(session: Session, checkpoint: Checkpoint) -> bool:
    try:
        return _tree(session, checkpoint.size).root() == checkpoint.root
    except DifferenceError:  # subtrees are gone
        return False


def publish_new(session: Session, key: Ed25519PrivateKey, *, now: datetime) -> None:
    """Do as `publish` where documents wait for it."""
    if store.has_waiting(session):
        publish(session, key, now=now)


def _keep_nodes(session: Session, size: int) -> None:
    """Keep the roots of those complete subtrees that are not kept yet."""
    level = TILE_LEVELS
    while size >> level:
        first, end = store.count_nodes(session, level), size >> level
        if first < end:
            tree = _tree(session, size)
            hashes = [tree.subtree(level, i) for i in range(first, end)]
            store.insert_nodes(session, level, first, hashes)
        level += TILE_LEVELS


def append_leaves(session: Session, hashes: Mapping[str, bytes]) -> None:
    """Append documents that wait, as they stood in another log: leaf hashes by SHA-256.

    Raises
    ------
    DifferenceError
        A document's row does not give its leaf.
    """

    def hash_of(document: LoggedDocument) -> bytes:
        held = hashes.get(document.sha256, b"")
        former = leaf_hash(canonical_json(_vouched(document)))
        if held not in (leaf_hash(entry_of(document)), former):
            raise DifferenceError(
                f"document {document.sha256} is not the one of its leaf {held.hex()}: what is said "
                "of its name, format, size, time or sender was changed"
            )
        return held

    store.lock(session)
    store.append_documents(session, *store.last_leaf(session), hash_of)


def take_over(session: Session, key: str, checkpoints: Iterable[JSONDict]) -> None:
    """Take the signed checkpoints of another log, whose leaves were appended.

    Parameters
    ----------
    key : str
        The public key of that log.

    Raises
    ------
    DifferenceError
        A checkpoint's signature is not by that key, or the leaves do not lead to its root.
    """
    _keep_nodes(session, store.last_leaf(session)[0])
    for row in checkpoints:
        checkpoint = verify(row["note"], key)
        root = _tree(session, checkpoint.size).root()
        if (root.hex(), checkpoint.size) != (checkpoint.root.hex(), row["size"]):
            raise DifferenceError(
                f"the checkpoint of {row['size']} documents has the root {checkpoint.root.hex()}, "
                f"the leaves give {root.hex()}"
            )
        made_at = datetime.fromisoformat(row["made_at"])
        store.insert_checkpoint(
            session, size=checkpoint.size, root=root, note=row["note"], made_at=made_at
        )


def all_checkpoints(session: Session, size: int) -> Iterator[JSONDict]:
    """Yield the checkpoints up to `size`, as `take_over` takes them."""
    before: int | None = size + 1
    while before and (found := signed_checkpoints(session, limit=MAX_PAGE, before=before)):
        for kept in found:
            yield {"size": kept.size, "note": kept.note, "made_at": kept.made_at.isoformat()}
        before = found[-1].size


def signed_checkpoints(
    session: Session, *, limit: int, before: int | None = None
) -> list[store.KeptCheckpoint]:
    """Return checkpoints as they are kept, the newest first; those of a size below `before`."""
    return store.checkpoints(session, limit=min(limit, MAX_PAGE), before=before)


def public_key(session: Session, key: Ed25519PrivateKey) -> str:
    """Return the log's public key, as signed notes name it."""
    return verifier_key(store.origin(session), key.public_key().public_bytes_raw())


def entries(session: Session, first: int, limit: int) -> list[Entry]:
    """Return leaves from `first` on, in order."""
    found = store.leaves(session, first, min(limit, MAX_PAGE))
    return [
        Entry(leaf.leaf_index, leaf.leaf_hash, _entry(leaf), leaf.document.document_id)
        for leaf in found
    ]


def inclusion(session: Session, document_sha256: str, size: int) -> tuple[Entry, list[bytes]]:
    """Return the leaf of a document and the proof that the tree of `size` holds it.

    Raises
    ------
    NotFoundError
        The document is not known, or not in the log of that size.
    """
    index = store.find_leaf(session, document_sha256)
    if index is None or index >= size:
        raise NotFoundError(
            f"the log has no document {document_sha256} among its first {size}: one that was just "
            "recorded is in the next checkpoint"
        )
    proof = _tree(session, size).inclusion_proof(index)
    return entries(session, index, 1)[0], proof


def root(session: Session, size: int) -> bytes:
    """Return the root over the first `size` leaves; NotFoundError if there are fewer."""
    return _tree(session, size).root()


def consistency(session: Session, first: int, second: int) -> list[bytes]:
    """Return the proof that the log at size `second` begins with that at size `first`.

    Raises
    ------
    NotFoundError
        The log is not that long.
    """
    if not 0 <= first <= second:
        raise UsageError(f"a log of {second} documents cannot begin with one of {first}")
    return _tree(session, second).consistency_proof(first)


def _tree(session: Session, size: int) -> Tree:
    there, _ = store.last_leaf(session)
    if there < size:
        raise NotFoundError(f"the log has {there} documents, not {size}")

    def read(level: int, first: int, count: int) -> list[bytes]:
        found = store.subtree_hashes(session, level, first, count)
        if len(found) != count:
            raise DifferenceError(
                f"of the log's hashes {first} to {first + count - 1} of level {level} "
                f"{count - len(found)} are gone: prod-verify --all says more"
            )
        return found

    return Tree(size, read)


def check_leaves(session: Session, first: int, limit: int) -> CheckedLeaves:
    """Check the documents of up to `limit` leaves from `first`.

    The stored bytes are held against the digest in the row, the row against the leaf.
    """
    leaves = store.leaves(session, first, min(limit, MAX_PAGE), with_content=True)
    problems: list[Problem] = []
    expected = first
    for leaf in leaves:
        if leaf.leaf_index != expected:
            problems.append(_gap(expected))
        expected = leaf.leaf_index + 1
        wrong = _content_problem(leaf)
        if wrong:
            problems.append(Problem(leaf.leaf_index, leaf.document.sha256, "content", wrong))
        found = leaf_hash(_entry(leaf))
        if found != leaf.leaf_hash:
            message = (
                f"the row document_id {leaf.document.document_id} or its leaf was changed: the row "
                f"gives the leaf hash {found.hex()}, the log has {leaf.leaf_hash.hex()}"
            )
            problems.append(Problem(leaf.leaf_index, leaf.document.sha256, "row", message))
    return CheckedLeaves(len(leaves), expected, store.last_leaf(session)[0], problems)


def _content_problem(leaf: store.Leaf) -> str:
    """Return what is wrong with the stored bytes of a leaf's document, or nothing."""
    document, content = leaf.document, leaf.content
    if content is None:
        wrong = "its stored bytes cannot be decompressed"
    elif sha256_hex(content) != document.stored_sha256:
        wrong = f"its stored bytes have the SHA-256 {sha256_hex(content)}"
    elif len(content) != document.size_bytes:
        wrong = f"its stored bytes are {len(content)}"
    else:
        return ""
    return f"{wrong}; recorded: {document.stored_sha256}, {document.size_bytes} bytes"


def _gap(index: int) -> Problem:
    return Problem(index, None, "leaf", f"the log has no leaf {index}: it was taken out")
