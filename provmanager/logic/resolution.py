"""Which entities a batch speaks of, against what the record already holds.

`model.identity.resolve` is a function of all that was said of a file. Most of the time a batch
cannot change what was decided before: a new output at a new place, one more reader of a known
file. Then a known entity stands for all that was said of it. Where it could (`logic.doubts`), all
documents that touch the files in question are read again and everything about them is resolved
anew: `rebuilt`.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.formats import read, split_location
from provmanager.model import Document, InformKind, ProducerClaim
from provmanager.model.identity import Identity, resolve
from provmanager.model.mention import Act, Mention, keys_of
from provmanager.store import activities as activity_store
from provmanager.store import known as store
from provmanager.store.writing import find_directories

from .assembly import claim_rank
from .claims import Claim, Run, claims_of, merge
from .doubts import Key, could_change, known_in, standing_for
from .mentions import Spoken, outer_activities, spoken_aside, spoken_by_run

logger = logging.getLogger(__name__)

_NO_CLAIM: tuple[object, ...] = (1,)
"""After the rank of any claim."""


@dataclass(slots=True)
class Resolution:
    """What the mentions of a batch turned out to be.

    Attributes
    ----------
    spoken : dict
        All mentions that were resolved, by `Mention.ref`: the batch's and those read again.
    known : dict
        Entities of the record that share an identifier with them.
    rebuilt : set of int
        Those of `known` about which everything was resolved anew.
    documents : dict
        Documents that were read again for that, by SHA-256, as `document_ids`.
    directories : dict
        Ids of those leading parts of locations that the record has.
    same : dict
        Known entities that nothing identifies but the mention itself, by UUID.
    renewed : set of int
        Activities that nothing but metadata names, all of which was read again.
    """

    identities: list[Identity] = field(default_factory=list)
    spoken: dict[str, Spoken] = field(default_factory=dict)
    known: dict[int, store.KnownEntity] = field(default_factory=dict)
    rebuilt: set[int] = field(default_factory=set)
    documents: dict[str, Document] = field(default_factory=dict)
    document_ids: dict[str, int] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    same: dict[UUID, int] = field(default_factory=dict)
    renewed: set[int] = field(default_factory=set)


def resolve_batch(
    session: Session,
    runs: Mapping[UUID, Run],
    documents: Mapping[str, Document],
    *,
    known: Mapping[UUID, store.KnownActivity],
    locate: Callable[[str], str],
) -> Resolution:
    """Return the entities that `runs` and the new `documents` speak of.

    Parameters
    ----------
    runs : mapping of UUID to Run
        Activities whose inputs and outputs are to be linked, whole.
    documents : mapping of SHA-256 to Document
        New documents, for the entities in them that no activity touches.
    known : mapping of UUID to KnownActivity
        Those of `runs` that the record has.
    locate : callable
        `LocationPolicy.apply`.
    """
    known = {uuid: activity for uuid, activity in known.items() if uuid in runs}
    return _Resolver(session, runs, documents, known, locate).resolve()


class _Resolver:
    """Resolves one batch: against what is known where that is safe, else from the documents."""

    def __init__(
        self,
        session: Session,
        runs: Mapping[UUID, Run],
        documents: Mapping[str, Document],
        known: Mapping[UUID, store.KnownActivity],
        locate: Callable[[str], str],
    ) -> None:
        self._session = session
        self._runs = runs
        self._documents = documents
        self._known_runs = known
        self._locate = locate
        self._found = Resolution()
        self._keys: set[Key] = set()
        self._claims: dict[UUID, list[Claim]] = defaultdict(list)
        self._batch: list[Spoken] = []

    def resolve(self) -> Resolution:
        """Return what the mentions of the batch turned out to be."""
        session, found = self._session, self._found
        retold = {a.activity_id: uuid for uuid, a in self._known_runs.items()}
        links = store.links_of(session, list(retold)) if retold else []
        parents, rebuild = self._levels(retold)
        self._batch = self._told(self._runs, self._documents, parents)
        found.spoken = {s.mention.ref: s for s in self._batch}
        for link in links:
            uuid = retold[link.activity_id]
            if self._known_runs[uuid].is_claim and not self._runs[uuid].activity.is_claim:
                rebuild.add(link.entity_id)  # it has a record of its own now
        told = {(retold[x.activity_id], x.entity_id, x.rule) for x in links if not x.is_claimed}
        while True:
            if rebuild:
                self._read_again(rebuild)
            self._resolve_against_known()
            rebuild = could_change(session, found, told)
            if not rebuild:
                rebuild = self._claimed_alike() if found.rebuilt else set()
            if not rebuild:
                return found

    def _levels(self, retold: Mapping[int, UUID]) -> tuple[dict[UUID, set[UUID]], set[int]]:
        """Return the part-of links, and the entities for which those of the batch change them."""
        above = _parents_told(self._runs)
        asked = {p for parents in above.values() for p in parents} | set(retold.values())
        parents = store.parents_of(self._session, asked) if asked else {}
        moved = [i for i, u in retold.items() if parents.get(u, set()) != above.get(u, set())]
        rebuild = store.generated_within(self._session, moved) if moved else set()
        for uuid in self._runs:
            parents[uuid] = above.get(uuid, set())
        return parents, rebuild

    def _told(
        self,
        runs: Mapping[UUID, Run],
        documents: Mapping[str, Document],
        parents: Mapping[UUID, Iterable[UUID]],
    ) -> list[Spoken]:
        """Return all mentions of entities in `runs` and aside of them in `documents`."""
        silent = _with_own_record(self._session, documents.values(), self._runs)
        told: list[Spoken] = []
        for uuid, run in runs.items():
            if uuid not in silent or not run.activity.is_claim:
                told += spoken_by_run(run, outer_activities(parents, uuid), self._locate)
        for sha256, document in documents.items():
            told += spoken_aside(document, sha256, self._locate, silent=silent)
        return told

    def _read_again(self, rebuild: Iterable[int]) -> None:
        """Add all that was ever said of the entities `rebuild` and of all that they may meet."""
        session, found, keys = self._session, self._found, self._keys
        entities = store.entities_by_id(session, list(rebuild))
        while True:
            n_keys = len(keys)
            keys |= {k for e in entities.values() for k in keys_of(standing_for(e, {}))}
            new = entities.keys() - found.rebuilt
            found.rebuilt |= new
            for stored in store.documents_of_entities(session, list(new)):
                if stored.sha256 not in found.documents:
                    document = read(stored.content, name=stored.source_name)
                    found.documents[stored.sha256] = document
                    found.document_ids[stored.sha256] = stored.document_id
                    for claim in claims_of(document, stored.sha256):
                        self._claims[claim.activity.uuid].append(claim)
            self._select()
            entities = known_by_keys(session, keys, found.directories)
            if len(keys) == n_keys and entities.keys() <= found.rebuilt:
                break
        logger.info(
            "resolved %d entities anew from %d documents", len(found.rebuilt), len(found.documents)
        )

    def _select(self) -> None:
        """Take those mentions of the documents read again that have to do with what is rebuilt."""
        found, keys = self._found, self._keys
        again = {u: self._runs.get(u) or merge(claims) for u, claims in self._claims.items()}
        parents = store.parents_of(self._session, again)
        above = _parents_told(self._runs)
        parents |= {uuid: above.get(uuid, set()) for uuid in self._runs}
        told = self._told(again, found.documents, parents)
        found.spoken = {s.mention.ref: s for s in self._batch}
        everything = [*self._batch, *told]
        related: set[tuple[str, str]] = set()
        n = -1
        while n != len(keys):
            n = len(keys)
            related |= _related({**found.documents, **self._documents}, everything, keys)
            for item in everything:
                if (item.document, item.entity.key) in related or not keys.isdisjoint(
                    keys_of(item.mention)
                ):
                    keys |= set(keys_of(item.mention))
                    found.spoken[item.mention.ref] = item

    def _resolve_against_known(self) -> None:
        session, found = self._session, self._found
        keys = {k for s in found.spoken.values() for k in keys_of(s.mention)}
        found.known = known_by_keys(session, keys, found.directories)
        standing = [e for i, e in found.known.items() if i not in found.rebuilt]
        mentions = [s.mention for s in found.spoken.values()]
        producers = self._producers_in_doubt(mentions, standing)
        parents = store.parents_of(session, producers) if producers else {}
        found.identities = resolve([*mentions, *(standing_for(e, parents) for e in standing)])
        for identity in found.identities if standing else ():
            own = known_in(identity)
            if len(own) == 1 and found.known[own[0]].producer and not identity.product_ids:
                identity.uuid = found.known[own[0]].uuid  # of its first mention, which is not here
        unnamed = [i.uuid for i in found.identities if not next(keys_of(i.mentions[0]), None)]
        found.same = store.entity_ids(session, unnamed) if unnamed else {}
        more = {*found.same.values(), *(found.rebuilt - found.known.keys())}
        found.known |= store.entities_by_id(session, sorted(more))

    def _producers_in_doubt(
        self, mentions: Sequence[Mention], standing: Iterable[store.KnownEntity]
    ) -> set[UUID]:
        """Return the known producers of which it matters whether they were parts of others."""
        generated = [e for e in standing if e.producer]
        if not generated:
            return set()
        if not self._known_runs.keys().isdisjoint(m.activity for m in mentions if m.activity):
            return {e.producer for e in generated if e.producer}
        made = {k for m in mentions if m.act is Act.GENERATED for k in keys_of(m)}
        return {
            e.producer
            for e in generated
            if e.producer and not made.isdisjoint(keys_of(standing_for(e, {})))
        }

    def _claimed_alike(self) -> set[int]:
        """Return the entities that claim the same producer as one that claims it no more.

        The record of a producer that nothing but metadata names is what they say together.
        """
        found = self._found
        claims: dict[UUID, list[ProducerClaim]] = defaultdict(list)
        for identity in found.identities:
            if identity.producer is None:
                for ref in (m.ref for m in identity.mentions if m.stands_for is None):
                    claim = found.spoken[ref].entity.producer
                    if claim is not None:
                        claims[claim.uuid].append(claim)
        producers = store.claimed_producers(self._session, list(found.rebuilt))
        held = activity_store.claimed(self._session, producers) if producers else {}
        found.renewed = {
            activity_id
            for activity_id, claim in held.items()
            if claim is not None
            and claim_rank(claim) < min(map(claim_rank, claims[claim.uuid]), default=_NO_CLAIM)
        }
        links = store.links_of(self._session, list(found.renewed)) if found.renewed else []
        return {link.entity_id for link in links} - found.rebuilt


def _parents_told(runs: Mapping[UUID, Run]) -> dict[UUID, set[UUID]]:
    parents: dict[UUID, set[UUID]] = {}
    for uuid, run in runs.items():
        above = {i for c in run.speaking for i, kind, _ in c.informed if kind is InformKind.PART_OF}
        if above:
            parents[uuid] = above
    return parents


def _with_own_record(
    session: Session, documents: Iterable[Document], runs: Mapping[UUID, Run]
) -> set[UUID]:
    """Return those activities that products' metadata claim and that have a record of their own."""
    claimed = {a.uuid for document in documents for a in document.activities if a.is_claim}
    if not claimed:
        return set()
    own = {u for u in claimed if u in runs and not runs[u].activity.is_claim}
    held = store.known_activities(session, claimed - own)
    return own | {uuid for uuid, activity in held.items() if not activity.is_claim}


def known_by_keys(
    session: Session, keys: Iterable[Key], directories: dict[str, int]
) -> dict[int, store.KnownEntity]:
    """Return the entities that have one of `keys`; add to `directories` those that are known."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, identifier in keys:
        by_kind[kind].append(identifier)
    pairs = list(map(split_location, by_kind["location"]))
    directories |= find_directories(session, {d for d, _ in pairs} - directories.keys())
    return store.known_entities(
        session,
        digests=by_kind["digest"],
        product_ids=by_kind["product-id"],
        places=[(directories[d], name) for d, name in pairs if d in directories],
    )


def _related(
    documents: Mapping[str, Document], told: Iterable[Spoken], keys: set[Key]
) -> set[tuple[str, str]]:
    """Return both ends of derivations and memberships of which one end is resolved anew."""
    touched = {(i.document, i.entity.key) for i in told if not keys.isdisjoint(keys_of(i.mention))}
    related: set[tuple[str, str]] = set()
    for sha256, document in documents.items():
        for left, right in entity_pairs(document):
            if (sha256, left) in touched or (sha256, right) in touched:
                related |= {(sha256, left), (sha256, right)}
    return related


def entity_pairs(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the keys (later, earlier) of derivations and (collection, member) of memberships."""
    yield from ((d.derived, d.source) for d in document.derived)
    yield from ((m.collection, m.member) for m in document.members)
