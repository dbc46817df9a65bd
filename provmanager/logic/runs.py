"""Writing the activities of a batch: new ones, retold ones, and those that are only claimed."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from provmanager.ids import clean_json, digest_of
from provmanager.model import Activity, Document, ProducerClaim
from provmanager.store import activities as store
from provmanager.store import relations as relation_store
from provmanager.store import writing
from provmanager.store.known import KnownActivity

from .assembly import activity_columns, claim_rank, differ, placeholder, shape_of
from .claims import Run


@dataclass(slots=True)
class Batch:
    """What is to be written.

    Attributes
    ----------
    runs : dict
        Activities that are new or told of in new words, whole.
    known : dict
        Those activities of the batch that the record has.
    documents : dict
        New documents, by SHA-256; `document_ids` has theirs.
    confirmed : list of (UUID, SHA-256, claim digest)
        Claims that say nothing new.
    """

    runs: dict[UUID, Run]
    known: dict[UUID, KnownActivity]
    documents: dict[str, Document]
    document_ids: dict[str, int]
    confirmed: list[tuple[UUID, str, str]]


class RunWriter:
    """Writes the activities of one batch, and knows their keys.

    Attributes
    ----------
    ids : dict
        UUID to key of every activity that came up.
    new : set of int
        Keys of those that this batch made.
    """

    def __init__(self, session: Session, batch: Batch) -> None:
        self._session = session
        self._batch = batch
        self.ids: dict[UUID, int] = {u: a.activity_id for u, a in batch.known.items()}
        self.new: set[int] = set()

    @property
    def retold(self) -> list[int]:
        """Keys of the known activities of the batch: told of again, in other words."""
        return [i for u in self._batch.runs if (i := self.ids[u]) not in self.new]

    def write(self) -> None:
        """Write the runs of the batch, and bare rows for activities that they only name."""
        runs = self._batch.runs
        new = [u for u in runs if u not in self.ids]
        informants = {i for r in runs.values() for c in r.speaking for i, _, _ in c.informed}
        stray = sorted(informants - set(runs) - set(self.ids), key=str)
        self.find(stray)
        stray = [u for u in stray if u not in self.ids]
        ids = writing.take_node_ids(self._session, len(new) + len(stray))
        self.ids |= dict(zip([*new, *stray], ids, strict=True))
        self.new = set(ids)
        bare = [Activity(key=str(u), uuid=u) for u in stray]
        rows = self._activity_rows([*(runs[u].activity for u in new), *bare])
        store.insert(self._session, rows)
        changed = [runs[u].activity for u in runs if self.ids[u] not in self.new]
        store.update(self._session, self._activity_rows(changed))
        self._write_claims()

    def _write_claims(self) -> None:
        ids, documents = self.ids, self._batch.document_ids
        rows = [
            (ids[uuid], documents[document], UUID(digest))
            for uuid, run in self._batch.runs.items()
            for document, digest in sorted(run.told)
            if document in documents
        ]
        rows += [(ids[u], documents[d], UUID(c)) for u, d, c in self._batch.confirmed]
        columns = ("activity_id", "document_id", "claim")
        relation_store.add_rows(self._session, "activity_document", columns, rows, self.new)

    def _activity_rows(self, activities: Sequence[Activity]) -> list[dict[str, Any]]:
        """Return column values; contents that are stored once are interned. (Any: values.)"""
        contents: dict[str, dict[bytes, dict[str, Any]]] = {
            "environment": {}, "host": {}, "container": {}, "configuration": {},
        }  # fmt: skip
        digest = _DigestCache()
        rows: list[dict[str, Any]] = []
        flats: list[dict[str, Any] | None] = []
        for a in activities:
            row: dict[str, Any] = {"activity_id": self.ids[a.uuid], "activity_uuid": a.uuid}
            row |= activity_columns(a)
            for table in ("environment", "host", "container"):
                content = getattr(a, table)
                if content:
                    key = digest.of_shared(content)
                    contents[table].setdefault(key, content)
                    row[f"{table}_id"] = key
            flat = None
            if a.configuration:
                shape, flat = shape_of(a)
                row["configuration_id"] = digest.of(shape)
                contents["configuration"].setdefault(row["configuration_id"], flat)
            flats.append(flat)
            rows.append(row)
        interned = store.intern(self._session, contents)
        templates = store.templates(self._session, interned["configuration"].values())
        for row, flat in zip(rows, flats, strict=True):
            for table, ids in interned.items():
                row[f"{table}_id"] = ids.get(row.get(f"{table}_id", b""))
            row["overrides"] = None
            if flat is not None:
                row["overrides"] = _overrides(templates[row["configuration_id"]], flat)
        return rows

    def learn(self, names: Mapping[int | None, UUID | None]) -> None:
        """Take keys of activities from what was read already."""
        self.ids |= {uuid: key for key, uuid in names.items() if key is not None and uuid}

    def find(self, uuids: Sequence[UUID]) -> None:
        """Learn the keys of those of `uuids` that the record has."""
        others = [u for u in uuids if u not in self.ids]
        if others:
            self.ids |= store.ids_of(self._session, others)

    def write_placeholders(
        self, claims: Mapping[UUID, ProducerClaim], renewed: Container[int]
    ) -> set[int]:
        """Make the activities that only metadata names, where nothing better is known.

        Return the keys of those of `claims` of which no document has told by itself. Those that
        are known already gain by a fuller account; the `renewed` ones are written anew.
        """
        self.find(sorted(claims, key=str))
        known = [self.ids[u] for u in claims if u in self.ids]
        held = store.claimed(self._session, known) if known else {}
        changed = [
            placeholder(c)
            for u, c in sorted(claims.items())
            if u in self.ids
            and (account := held.get(self.ids[u])) is not None
            and (self.ids[u] in renewed or claim_rank(c) < claim_rank(account))
        ]
        store.update(self._session, self._activity_rows(changed))
        new = [placeholder(c) for u, c in sorted(claims.items()) if u not in self.ids]
        ids = writing.take_node_ids(self._session, len(new))
        self.ids |= {a.uuid: i for a, i in zip(new, ids, strict=True)}
        self.new |= set(ids)
        store.insert(self._session, self._activity_rows(new))
        return held.keys() | set(ids)


def _overrides(held: Mapping[str, Any], flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return, clean, what of the configuration `flat` differs from the template. (Any: JSON.)"""
    if not flat.keys() <= held.keys():  # names that had to be cleaned
        flat = clean_json(flat)
    other: dict[str, Any] = {}
    for key, value in flat.items():
        like = held[key]
        if value == like and type(value) is type(like) and type(value) not in _NESTED:
            continue  # what equals something clean is clean
        clean = clean_json(value)
        if differ(like, clean):
            other[key] = clean
    return other or None


_NESTED = (dict, list)


class _DigestCache:
    """Digests of JSON contents; equal contents are hashed once a batch."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] = {}
        self._objects: dict[int, tuple[object, bytes]] = {}

    def of_shared(self, content: Any) -> bytes:  # Any: free-form JSON
        """Return what `of` does, of an object that may come again; it is held meanwhile."""
        known = self._objects.get(id(content))
        if known is None:
            known = self._objects[id(content)] = (content, self.of(content))
        return known[1]

    def of(self, content: Any) -> bytes:  # Any: free-form JSON
        """Return the SHA-256 of the canonical JSON of `content`."""
        try:
            text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # integers beyond 64 bits, lone surrogates
            return bytes.fromhex(digest_of(content))
        if text not in self._seen:
            self._seen[text] = bytes.fromhex(digest_of(content))
        return self._seen[text]
