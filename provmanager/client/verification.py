"""Verify: files against recorded digests, documents against the log, the log against its past.

What can be checked here is checked here: hashes of files, signatures, proofs, the root over all
leaves. Only the stored bytes of documents are read by the server, unless a product's own documents
are fetched.
"""

import hashlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from provmanager.errors import DifferenceError, NotFoundError, ProvError
from provmanager.formats.checkpoint import Checkpoint, verify
from provmanager.ids import file_sha256
from provmanager.model.merkle import Tree, is_consistent, is_included, leaf_hash

from .client import ProvClient

Outcome = Literal["ok", "differs", "missing", "unknown"]
Progress = Callable[[int, int], None]
"""Called with how many of how many are done."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    kind: Literal["file", "document", "log"]
    what: str
    outcome: Outcome
    """``differs``: it is not what the record says. ``missing``: there is nothing to look at.
    ``unknown``: the record says nothing to hold it against."""
    message: str


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that an auditor kept, and the key that signed it."""

    note: str
    key: str


def verify_log(
    client: ProvClient, kept: KeptCheckpoint | None = None, *, progress: Progress | None = None
) -> tuple[list[Finding], KeptCheckpoint | None]:
    """Check the whole log: signature, every leaf, the root, and that it continues `kept`.

    Returns what was found, and the checkpoint to keep for the next time, if there is one.
    """
    try:
        said = client.log_checkpoint()
    except DifferenceError as error:
        return [Finding("log", "log", "differs", error.message), *_server_side(client)], None
    now = KeptCheckpoint(said["note"], said["key"])
    try:
        checkpoint = verify(now.note, now.key)
    except DifferenceError as error:
        return [Finding("log", said["origin"], "differs", error.message)], now
    findings = [
        *_leaves(client, checkpoint, progress),
        *([_continues(client, kept, now, checkpoint)] if kept else []),
        *_server_side(client),
    ]
    return findings, now


def _leaves(
    client: ProvClient, checkpoint: Checkpoint, progress: Progress | None
) -> Iterator[Finding]:
    """Hash every entry and the tree over them."""
    name = f"log {checkpoint.origin}"
    hashes: list[bytes] = []
    while len(hashes) < checkpoint.size:
        items = client.log_leaves(len(hashes), _PAGE)[: checkpoint.size - len(hashes)]
        for item in items:
            found = leaf_hash(item["entry"].encode())
            if item["index"] != len(hashes) or found.hex() != item["leaf_hash"]:
                text = (
                    f"leaf {len(hashes)} is not that of its document: the document's row gives "
                    f"{found.hex()}, the log has {item['leaf_hash']}"
                )
                yield Finding("log", name, "differs", text)
            hashes.append(bytes.fromhex(item["leaf_hash"]))
        if progress is not None:
            progress(len(hashes), checkpoint.size)
        if not items:
            text = f"the log ends after {len(hashes)} leaves; its checkpoint says {checkpoint.size}"
            yield Finding("log", name, "differs", text)
            return
    if (root := Tree(hashes).root()) == checkpoint.root:
        text = f"{checkpoint.size} documents give the signed root {root.hex()}"
        yield Finding("log", name, "ok", text)
    else:
        text = f"the leaves give the root {root.hex()}, signed is {checkpoint.root.hex()}"
        yield Finding("log", name, "differs", text)


def _continues(
    client: ProvClient, kept: KeptCheckpoint, now: KeptCheckpoint, checkpoint: Checkpoint
) -> Finding:
    """Prove that the log of now begins with the log that was kept."""
    try:
        before = verify(kept.note, kept.key)
    except DifferenceError as error:
        return Finding("log", "the checkpoint that was kept", "differs", error.message)
    what = f"log {before.origin} since {before.size} documents"
    if before.origin != checkpoint.origin:
        return Finding("log", what, "differs", f"this is another log: {checkpoint.origin}")
    if before.size > checkpoint.size:
        text = f"it has {checkpoint.size} now: the last were taken out, or an old dump restored"
        return Finding("log", what, "differs", text)
    proof = [bytes.fromhex(h) for h in client.log_consistency(before.size, checkpoint.size)]
    if not is_consistent(before.size, checkpoint.size, before.root, checkpoint.root, proof):
        text = "the log of now does not begin with the one that was kept: its past was changed"
        return Finding("log", what, "differs", text)
    changed = "" if kept.key == now.key else "; another key signs it now"
    n_new = checkpoint.size - before.size
    return Finding("log", what, "ok", f"nothing changed, {n_new} documents were added{changed}")


def _server_side(client: ProvClient) -> Iterator[Finding]:
    checked = client.log_check_checkpoints()
    for item in checked["items"]:
        yield Finding("log", f"checkpoint {item['leaf']}", "differs", item["message"])
    if not checked["items"]:
        text = f"{checked['n_checked']} signed checkpoints agree with the leaves"
        yield Finding("log", "checkpoints", "ok", text)


def verify_documents(client: ProvClient, *, progress: Progress | None = None) -> Iterator[Finding]:
    """Have the server hold every document against its digest, and its row against the log."""
    first = n_wrong = 0
    while (page := client.log_check(first, _PAGE))["n_checked"]:
        for item in page["items"]:
            n_wrong += 1
            what = f"document {item['document'] or '?'} (leaf {item['leaf']})"
            yield Finding("document", what, "differs", item["message"])
        first = page["next"]
        if progress is not None:
            progress(first, page["size"])
    if not n_wrong:
        yield Finding("document", "documents", "ok", f"{first} are as they were recorded")


def verify_product_documents(client: ProvClient, *entities: Mapping[str, Any]) -> Iterator[Finding]:
    """Fetch the documents that told of products, each once, and prove them to be in the log."""
    said = client.log_checkpoint()
    checkpoint = verify(said["note"], said["key"])
    for document in {d["sha256"]: d for e in entities for d in e["documents"]}.values():
        what = f"document {document['sha256'][:16]}… ({document['source_name'] or 'unnamed'})"
        proof = client.log_inclusion(document["sha256"], checkpoint.size)
        steps = [bytes.fromhex(h) for h in proof["proof"]]
        leaf = leaf_hash(proof["entry"].encode())
        stated = json.loads(proof["entry"])
        content = hashlib.sha256(client.document(document["sha256"])).hexdigest()
        if not is_included(leaf, proof["index"], checkpoint.size, steps, checkpoint.root):
            yield Finding("document", what, "differs", "its row is not what the log holds of it")
        elif content != stated["stored_sha256"]:
            text = f"its stored bytes have the SHA-256 {content}, not {stated['stored_sha256']}"
            yield Finding("document", what, "differs", text)
        else:
            text = (
                f"as it was recorded at {stated['received_at']}; leaf {proof['index']} of the log"
            )
            yield Finding("document", what, "ok", text)


def verify_files(
    client: ProvClient,
    paths: Sequence[Path],
    *,
    n_threads: int = 4,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Hold files against what the record knows of their bytes, and of their places."""
    with ThreadPoolExecutor(n_threads) as pool:
        pairs = zip(paths, pool.map(_digest, paths), strict=True)
        for n_done, (path, digest) in enumerate(pairs, 1):
            yield _file(client, path, digest)
            if progress is not None:
                progress(n_done, len(paths))


def _file(client: ProvClient, path: Path, digest: str | OSError) -> Finding:
    if isinstance(digest, OSError):
        return Finding("file", str(path), "missing", f"cannot be read: {digest.strerror}")
    try:
        known = client.resolve(f"sha256:{digest}")
    except NotFoundError:
        pass
    else:
        return Finding("file", str(path), "ok", f"the bytes of {known['name']} {known['id']}")
    try:
        known = client.resolve(str(path.absolute()))
    except ProvError:
        text = f"the record knows neither these bytes ({digest}) nor this place"
        return Finding("file", str(path), "unknown", text)
    return _against(client.entity(known["id"]), str(path), digest)


def _against(entity: Mapping[str, Any], what: str, digest: str) -> Finding:
    recorded = recorded_sha256(entity)
    if recorded is None:
        text = f"the record has no digest of {entity['name']} {entity['id']}; now it is {digest}"
        return Finding("file", what, "unknown", text)
    if recorded != digest:
        text = f"has the SHA-256 {digest}; recorded for {entity['name']} {entity['id']}: {recorded}"
        return Finding("file", what, "differs", text)
    return Finding("file", what, "ok", f"the bytes of {entity['name']} {entity['id']}")


def recorded_sha256(entity: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 that the record has of an entity, if it has one."""
    for digest in entity["digests"]:
        if digest.startswith("sha256:"):
            return str(digest.removeprefix("sha256:"))
    return None


def verify_products(
    client: ProvClient,
    entity_ids: Sequence[str],
    *,
    moved: Sequence[tuple[str, str]] = (),
    n_threads: int = 4,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Hold the files of recorded products, where this machine reaches them, against their digests.

    `moved` are pairs of prefixes: where a location begins with the first, the file lies under the
    second.
    """
    entities = [client.entity(entity_id) for entity_id in entity_ids]
    places = [
        [path for at in entity["locations"] if (path := local_path(at, moved)) is not None]
        for entity in entities
    ]
    there = [next((p for p in paths if p.is_file()), None) for paths in places]
    with ThreadPoolExecutor(n_threads) as pool:
        digests = pool.map(lambda path: None if path is None else _digest(path), there)
        for n_done, (entity, paths, path, digest) in enumerate(
            zip(entities, places, there, digests, strict=True), 1
        ):
            if path is None or digest is None:
                where = str(paths[0]) if paths else ", ".join(entity["locations"]) or "no location"
                text = f"{entity['id']} is not here: {where}"
                yield Finding("file", entity["name"] or entity["id"], "missing", text)
            elif isinstance(digest, OSError):
                text = f"cannot be read: {digest.strerror}"
                yield Finding("file", str(path), "missing", text)
            else:
                yield _against(entity, str(path), digest)
            if progress is not None:
                progress(n_done, len(entities))


def local_path(location: str, moved: Sequence[tuple[str, str]] = ()) -> Path | None:
    """Return where a location lies on this machine, if it does."""
    for before, after in moved:
        if location.startswith(before):
            return Path(after + unquote(location.removeprefix(before)))
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost", socket.gethostname()):
        return Path(unquote(parts.path))
    return None


def _digest(path: Path) -> str | OSError:
    try:
        return file_sha256(path)
    except OSError as error:
        return error
