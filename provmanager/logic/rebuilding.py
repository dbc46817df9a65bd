"""The record against its documents: what there is of both, and what comes of the documents anew."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import NotFoundError
from provmanager.model import Role
from provmanager.model.mention import keys_of
from provmanager.model.rebuilt import MOST_DIFFERENCES, DocumentCopy, RefusedCopy, RowDifference
from provmanager.store import beside, canonical
from provmanager.store import known as known_store
from provmanager.store import lineage as lineage_store
from provmanager.store.canonical import Part
from provmanager.store.database import Database

from .doubts import standing_for
from .ingest import IngestPolicy, Source, record
from .mentions import LocationPolicy
from .resolution import known_by_keys

_BATCH = 500


class Copy(NamedTuple):
    """A record as it stands: documents, and (relation, row as JSON) of what follows from them."""

    uuids: Sequence[UUID] | None
    """Of which runs and files they are; None: of all."""
    n_documents: int
    documents: Iterator[DocumentCopy]
    rows: Iterator[tuple[str, str]]


def copy_of(session: Session, of: UUID | None = None) -> Copy:
    """Return the whole record, or what a lineage is made of, as of one instant.

    To be called before anything else in the transaction; rows are read as they are asked for.

    Raises
    ------
    NotFoundError
        No run or product has that id.
    """
    canonical.read_only(session)
    part = None if of is None else _part_of(session, of)
    rows = ((r, row) for r in canonical.RELATIONS for row in canonical.rows(session, r, part))
    return Copy(
        None if part is None else part.uuids,
        canonical.count_documents(session) if part is None else len(part.document_ids),
        canonical.documents(session, part),
        rows,
    )


def _part_of(session: Session, of: UUID) -> Part:
    """Return the lineage of a product or run, and every document that decides about anything in it.

    Those are all documents that tell of its runs, of its files or of what shares a name with
    these, and of whatever these runs were part of: the same that ingest reads again in doubt.
    """
    entity_id = known_store.entity_ids(session, [of]).get(of)
    activity = known_store.known_activities(session, [of]).get(of)
    if entity_id is not None:
        start = lineage_store.start_nodes(session, entity_id, "up")
    elif activity is not None:
        start = [activity.activity_id]
    else:
        raise NotFoundError(f"no run or product has the id {of}", found=str(of))
    told = canonical.nodes_of(session, [*start, *lineage_store.walk(session, start, "up")])
    keys: set[tuple[str, str]] = set()
    directories: dict[str, int] = {}
    entities = known_store.entities_by_id(session, told.entity_ids)
    while True:
        n_keys = len(keys)
        keys |= {k for e in entities.values() for k in keys_of(standing_for(e, {}))}
        if len(keys) == n_keys:
            break
        entities |= known_by_keys(session, keys, directories)
    documents = {
        *canonical.document_ids(session, told.activity_ids, sorted(entities)),
        *canonical.assessing(session, told.uuids),
    }
    return Part(told.uuids, sorted(documents))


class Scratch:
    """A record made anew from documents, beside the rows of the one that stands.

    Parameters
    ----------
    database : Database
        With the whole schema and nothing in it; what is written there is left there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: list[str] = []

    def replay(
        self, documents: Iterable[DocumentCopy], shared_paths: Sequence[str]
    ) -> Iterator[RefusedCopy]:
        """Record documents whose bytes were found to be right, in their order.

        Those of another part of the same record may be there already.
        """
        policy = IngestPolicy(
            locations=LocationPolicy(tuple(shared_paths)), max_document_bytes=2**62
        )
        self._told.clear()
        batch: list[Source] = []
        for document in documents:
            self._told.append(document.sha256)
            data = zlib.decompress(document.content)
            batch.append(
                Source(data, document.source_name, sha256=document.sha256, role=Role.ADMIN)
            )
            if len(batch) >= _BATCH:
                yield from self._record(batch, policy)
                batch = []
        yield from self._record(batch, policy)

    def _record(self, batch: Sequence[Source], policy: IngestPolicy) -> Iterator[RefusedCopy]:
        with self._database.transaction() as session:
            outcomes = record(session, batch, policy=policy)
        for source, outcome in zip(batch, outcomes, strict=True):
            if outcome.error is not None:
                yield RefusedCopy(source.sha256 or "", outcome.error.message)

    def compare(
        self,
        stood: Iterable[tuple[str, str]],
        *,
        within: Sequence[UUID] | None,
        without: Callable[[], Sequence[str]],
    ) -> tuple[list[RowDifference], set[str]]:
        """Return the rows that only one of the records has, and what may differ for a good reason.

        That is whatever the documents `without`, which could not be replayed, may have decided; it
        is asked for when `stood` was read. `within`: compare what is of these runs and files only.
        """
        with self._database.transaction() as session:
            beside.make(session)
            beside.put(session, stood, stood=True)
            part = None
            if within is not None:
                part = Part(within, canonical.ids_of_documents(session, self._told))
            rows = ((r, x) for r in canonical.RELATIONS for x in canonical.rows(session, r, part))
            beside.put(session, rows, stood=False)
            found = beside.differences(session, MOST_DIFFERENCES)
            left_out = without()
            aside = beside.touched_by(session, left_out) if left_out and found else set()
            session.rollback()
        return found, aside
