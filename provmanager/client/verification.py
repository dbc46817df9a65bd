"""Verify: files against recorded digests, documents against the log.

What can be checked here is checked here. Only `verify_documents` has the server read the stored
bytes, for who does not fetch them all.
"""

import contextlib
import hashlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provmanager.errors import AmbiguousError, DifferenceError, NotFoundError, ProvError
from provmanager.formats.checkpoint import verify
from provmanager.model.merkle import is_included, leaf_hash

from .byte_ranges import tell_where
from .client import ProvClient
from .findings import Finding, Progress
from .hashing import digest_inside, digests_of

_PAGE = 1000


def verify_documents(client: ProvClient, *, progress: Progress | None = None) -> Iterator[Finding]:
    """Have the server hold the stored bytes of every document against their digest."""
    first = n_wrong = 0
    while (page := client.log_check(first, _PAGE))["n_checked"]:
        for item in (i for i in page["items"] if i["kind"] == "content"):
            n_wrong += 1
            what = f"document {item['document'] or '?'} (leaf {item['leaf']})"
            yield Finding("document", what, "differs", item["message"])
        first = page["next"]
        if progress is not None:
            progress(first, page["size"])
    if not n_wrong:
        text = f"the stored bytes of {first} are as they were recorded"
        yield Finding("document", "documents", "ok", text)


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
        try:
            content = hashlib.sha256(client.document(document["sha256"])).hexdigest()
        except DifferenceError as error:
            yield Finding("document", what, "differs", error.message, document=document["sha256"])
            continue
        if not is_included(leaf, proof["index"], checkpoint.size, steps, checkpoint.root):
            text = "its row is not what the log holds of it"
            yield Finding("document", what, "differs", text, document=document["sha256"])
        elif content != stated["stored_sha256"]:
            text = f"its stored bytes have the SHA-256 {content}, not {stated['stored_sha256']}"
            yield Finding("document", what, "differs", text, document=document["sha256"])
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
    """Hold files against what the record knows of their bytes, and of their places.

    Each is told of as soon as it and those before it were read; `progress` is told bytes.
    """
    digests = digests_of(paths, n_threads=n_threads, progress=progress)
    with contextlib.closing(digests):
        for path, digest in zip(paths, digests, strict=True):
            yield _file(client, path, digest, paths)


def _file(
    client: ProvClient, path: Path, digest: str | OSError | None, others: Sequence[Path]
) -> Finding:
    if not isinstance(digest, str):
        why = digest.strerror if digest is not None else "it is not there"
        return Finding("file", str(path), "missing", f"cannot be read: {why}")
    try:
        known = client.resolve(f"sha256:{digest}")
    except NotFoundError:
        pass
    except AmbiguousError as error:
        return _one_of(client, path, [one["id"] for one in error.details["candidates"]])
    else:
        text = f"the bytes of {known['name']} {known['id']}"
        return Finding("file", str(path), "ok", text, known["id"])
    try:
        known = client.resolve(str(path.absolute()))
    except ProvError:
        text = f"the record knows neither these bytes ({digest}) nor this place"
        return Finding("file", str(path), "unknown", text + _inside(client, path))
    return _against(client.entity(known["id"]), path, digest, others)


def _one_of(client: ProvClient, path: Path, candidates: Sequence[str]) -> Finding:
    """Tell of a file whose bytes several products have: the one that lies here, if any of them."""
    try:
        here = client.resolve(str(path.absolute()))
    except ProvError:
        here = None
    if here is not None and here["id"] in candidates:
        text = f"the bytes of {here['name']} {here['id']}"
        return Finding("file", str(path), "ok", text, here["id"])
    text = f"the bytes of several products, not known to lie here: {', '.join(candidates)}"
    return Finding("file", str(path), "ok", text)


def _inside(client: ProvClient, path: Path) -> str:
    """Return what a compressed file holds, in words, where the record knows that."""
    digest = digest_inside(path)
    if digest is None:
        return ""
    try:
        known = client.resolve(f"sha256:{digest}")
    except ProvError:
        return ", nor what is compressed in it"
    return f"; compressed in it are the recorded bytes of {known['name']} {known['id']}"


def _against(entity: Mapping[str, Any], path: Path, digest: str, others: Sequence[Path]) -> Finding:
    what = str(path)
    recorded = recorded_sha256(entity)
    if recorded is None:
        text = f"the record has no digest of {entity['name']} {entity['id']}; now it is {digest}"
        return Finding("file", what, "unknown", text, entity["id"])
    if recorded != digest:
        copies = [*others, *(p for at in entity["locations"] if (p := local_path(at)) is not None)]
        where = tell_where(path, sha256=recorded, size_bytes=entity["size_bytes"], copies=copies)
        text = (
            f"{f'{where}: ' if where else ''}has the SHA-256 {digest}; recorded for "
            f"{entity['name']} {entity['id']}: {recorded}"
        )
        return Finding("file", what, "differs", text, entity["id"])
    text = f"the bytes of {entity['name']} {entity['id']}"
    return Finding("file", what, "ok", text, entity["id"])


def recorded_sha256(entity: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 that the record has of an entity, if it has one."""
    for digest in entity["digests"]:
        if digest.startswith("sha256:"):
            return str(digest.removeprefix("sha256:"))
    return None


def verify_products(
    entities: Sequence[Mapping[str, Any]],
    *,
    moved: Sequence[tuple[str, str]] = (),
    n_threads: int = 4,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Hold the files of recorded products, where this machine reaches them, against their digests.

    `entities` are as `ProvClient.entity` gives them.
    `moved` are pairs of prefixes: where a location begins with the first, the file lies under the
    second.
    """
    places = [
        [path for at in entity["locations"] if (path := local_path(at, moved)) is not None]
        for entity in entities
    ]
    there = [next((p for p in paths if p.is_file()), None) for paths in places]
    digests = digests_of(there, n_threads=n_threads, progress=progress)
    with contextlib.closing(digests):
        for entity, paths, path, digest in zip(entities, places, there, digests, strict=True):
            if path is None or digest is None:
                where = str(paths[0]) if paths else ", ".join(entity["locations"]) or "no location"
                text = f"{entity['id']} is not here: {where}"
                yield Finding("file", entity["name"] or entity["id"], "missing", text, entity["id"])
            elif isinstance(digest, OSError):
                text = f"cannot be read: {digest.strerror}"
                yield Finding("file", str(path), "missing", text, entity["id"])
            else:
                yield _against(entity, path, digest, paths)


def local_path(location: str, moved: Sequence[tuple[str, str]] = ()) -> Path | None:
    """Return where a location lies on this machine, if it does."""
    for before, after in moved:
        if location.startswith(before):
            return Path(after + unquote(location.removeprefix(before)))
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost", socket.gethostname()):
        return Path(unquote(parts.path))
    return None
