"""What an auditor sees of the log: its checkpoints, one of them, and the leaf of a document."""

import json

from sqlalchemy.orm import Session

from provmanager.errors import DifferenceError, DocumentError, JSONDict, NotFoundError
from provmanager.formats.checkpoint import verify
from provmanager.model.merkle import leaf_hash
from provmanager.store import log as store
from provmanager.store.log import KeptCheckpoint

from . import log

PAGE = 50


def checkpoints(session: Session, key: log.SigningKey, *, before: int | None = None) -> JSONDict:
    """Return the newest checkpoints, of fewer leaves than `before`, and how the log stands."""
    kept = store.checkpoints(session, limit=PAGE + 1, before=before)
    size, _ = store.last_leaf(session)
    return {
        "page": "log",
        "origin": store.origin(session),
        "key": log.public_key(session, key),
        "size": size,
        "has_waiting": store.has_waiting(session),
        "items": [_item(c) for c in kept[:PAGE]],
        "next": kept[PAGE - 1].size if len(kept) > PAGE else None,
        "is_first": before is None,
    }


def checkpoint(session: Session, key: log.SigningKey, size: int) -> JSONDict:
    """Return one checkpoint, whether its signature and root hold, and how it follows the last.

    Raises
    ------
    NotFoundError
        None was signed at that size.
    """
    found = store.checkpoints(session, limit=2, before=size + 1)
    if not found or found[0].size != size:
        raise NotFoundError(f"no checkpoint of {size} documents was signed: see /log")
    former = found[1] if len(found) > 1 else None
    public = log.public_key(session, key)
    wrong = _wrong(session, found[0], public)
    proof = [] if wrong or former is None else log.consistency(session, former.size, size)
    return {
        "page": "checkpoint",
        **_item(found[0]),
        "note": found[0].note,
        "key": public,
        "problem": wrong,
        "former": None if former is None else _item(former),
        "consistency": [h.hex() for h in proof],
    }


def leaf(session: Session, key: log.SigningKey, document_sha256: str) -> JSONDict:
    """Return the leaf of a document, and the proof that the newest checkpoint has it.

    Raises
    ------
    NotFoundError
        No such document is in the log; one that was just recorded is so in some seconds.
    """
    last = next(iter(store.checkpoints(session, limit=1)), None)
    if last is None:
        raise NotFoundError("the log has no checkpoint yet: look again in a minute")
    entry, proof = log.inclusion(session, document_sha256, last.size)
    return {
        "page": "leaf",
        "document": document_sha256,
        "index": entry.leaf_index,
        "leaf_hash": entry.leaf_hash.hex(),
        "entry": entry.entry.decode(),
        "stated": json.loads(entry.entry),
        "is_as_logged": leaf_hash(entry.entry) == entry.leaf_hash,
        "checkpoint": _item(last),
        "key": log.public_key(session, key),
        "inclusion": [h.hex() for h in proof],
    }


def _item(kept: KeptCheckpoint) -> JSONDict:
    return {"size": kept.size, "root": kept.root.hex(), "made_at": kept.made_at.isoformat()}


def _wrong(session: Session, kept: KeptCheckpoint, public: str) -> str | None:
    """Return what is wrong with a checkpoint, or None."""
    try:
        said = verify(kept.note, public)
        if (said.size, said.root) != (kept.size, kept.root):
            return f"its row says {kept.size} and {kept.root.hex()}, its note something else"
        if (root := log.root(session, kept.size)) != kept.root:
            return f"the leaves give the root {root.hex()}"
    except (DifferenceError, DocumentError, NotFoundError) as error:
        return error.message
    return None
