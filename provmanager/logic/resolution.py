"""Which entities a batch speaks of, against what the record already holds.

`model.identity.resolve` is a function of all that was said of a file. Most of the time a batch
cannot change what was decided before: a new output at a new place, one more reader of a known
file. Then a known entity stands for all that was said of it (`_standing_for`). Where it could (a
late producer, a path with readers that is written in the past, one more digest at a place), all
documents that touch the files in question are read again and everything about them is resolved
anew: `rebuilt`.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.formats import read, split_location
from provmanager.model import Document, InformKind
from provmanager.model.identity import (
    Act,
    Identity,
    Mention,
    digests_conflict,
    identifying_digests,
    keys_of,
    resolve,
)
from provmanager.store import known as store
from provmanager.store.writing import find_locations

from .claims import Claim, Run, claims_of, merge
from .mentions import Spoken, outer_activities, spoken_aside, spoken_by_run

logger = logging.getLogger(__name__)

Key = tuple[str, str]
_EVER = datetime(1, 1, 1, tzinfo=UTC)


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
        Documents that were read again for that, by SHA-256; `claims` are theirs.
    places : dict
        Ids of those locations that the record has, by (directory, name).
    same : dict
        Known entities that nothing identifies but the mention itself, by UUID.
    """

    identities: list[Identity] = field(default_factory=list)
    spoken: dict[str, Spoken] = field(default_factory=dict)
    known: dict[int, store.KnownEntity] = field(default_factory=dict)
    rebuilt: set[int] = field(default_factory=set)
    documents: dict[str, Document] = field(default_factory=dict)
    claims: dict[str, list[Claim]] = field(default_factory=dict)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    same: dict[UUID, int] = field(default_factory=dict)


def resolve_batch(
    session: Session,
    runs: Mapping[UUID, Run],
    aside: Iterable[tuple[Document, str]],
    *,
    seeds: Iterable[int] = (),
    locate: Callable[[str], str],
) -> Resolution:
    """Return the entities that `runs` and the documents `aside` speak of.

    Parameters
    ----------
    runs : mapping of UUID to Run
        Activities whose inputs and outputs are to be linked, whole.
    aside : iterable of (Document, SHA-256)
        New documents, for the entities in them that no activity touches.
    seeds : iterable of int
        Entities of the record to resolve anew in any case.
    locate : callable
        `LocationPolicy.apply`.
    """
    found = Resolution()
    parents = _parents(session, runs)
    for uuid, run in runs.items():
        for item in spoken_by_run(run, outer_activities(parents, uuid), locate):
            found.spoken[item.mention.ref] = item
    documents = list(aside)
    silent = _with_own_record(session, (document for document, _ in documents), runs)
    for document, sha256 in documents:
        for item in spoken_aside(document, sha256, locate, silent=silent):
            found.spoken[item.mention.ref] = item
    rebuild = set(seeds)
    while True:
        if rebuild:
            _read_again(session, found, rebuild, runs, locate)
        _resolve_against_known(session, found)
        rebuild = _could_change(session, found) - found.rebuilt
        if not rebuild:
            return found


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


def _parents(session: Session, runs: Mapping[UUID, Run]) -> dict[UUID, set[UUID]]:
    parents: dict[UUID, set[UUID]] = {}
    for uuid, run in runs.items():
        above = {i for c in run.claims for i, kind, _ in c.informed if kind is InformKind.PART_OF}
        if above:
            parents[uuid] = above
    asked = {p for above in parents.values() for p in above}
    if asked:
        for inner, outer in store.parents_of(session, asked).items():
            parents.setdefault(inner, set()).update(outer)
    return parents


def _resolve_against_known(session: Session, found: Resolution) -> None:
    keys = {k for s in found.spoken.values() for k in keys_of(s.mention)}
    found.known = _known_by_keys(session, keys, found.places)
    standing = [e for i, e in found.known.items() if i not in found.rebuilt]
    mentions = [s.mention for s in found.spoken.values()]
    producers = _producers_in_doubt(mentions, standing)
    parents = store.parents_of(session, producers) if producers else {}
    found.identities = resolve([*mentions, *(_standing_for(e, parents) for e in standing)])
    for identity in found.identities:
        own = known_in(identity)
        if len(own) == 1 and found.known[own[0]].producer and not identity.product_ids:
            identity.uuid = found.known[own[0]].uuid  # of its first mention, which is not here
    unnamed = [i.uuid for i in found.identities if not next(keys_of(i.mentions[0]), None)]
    found.same = store.entity_ids(session, unnamed) if unnamed else {}
    found.known |= store.entities_by_id(session, list(found.same.values()))


def _producers_in_doubt(
    mentions: Iterable[Mention], standing: Iterable[store.KnownEntity]
) -> set[UUID]:
    """Return the known producers of what the batch generates too: one may be part of another."""
    generated = [e for e in standing if e.producer]
    if not generated:
        return set()
    made = {k for m in mentions if m.act is Act.GENERATED for k in keys_of(m)}
    return {
        e.producer
        for e in generated
        if e.producer and not made.isdisjoint(keys_of(_standing_for(e, {})))
    }


def _known_by_keys(
    session: Session, keys: Iterable[Key], places: dict[tuple[str, str], int]
) -> dict[int, store.KnownEntity]:
    """Return the entities that have one of `keys`; the locations that are known go to `places`."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, identifier in keys:
        by_kind[kind].append(identifier)
    pairs = sorted(set(map(split_location, by_kind["location"])))
    new = [pair for pair in pairs if pair not in places]
    places |= find_locations(session, new)
    return store.known_entities(
        session,
        digests=by_kind["digest"],
        product_ids=by_kind["product-id"],
        location_ids=[places[pair] for pair in pairs if pair in places],
    )


def _standing_for(entity: store.KnownEntity, parents: Mapping[UUID, set[UUID]]) -> Mention:
    """Return one mention that stands for all that was said of a known entity."""
    producer = entity.producer
    return Mention(
        ref=f"known {entity.entity_id}",
        stands_for=entity.entity_id,
        act=Act.GENERATED if producer else Act.USED,
        activity=producer,
        start=entity.started_at if producer else None,
        end=entity.ended_at if producer else None,
        digests=identifying_digests(entity.digests),
        product_ids=entity.product_ids,
        locations=entity.locations,
        outer=outer_activities(parents, producer) if producer else frozenset(),
    )


def known_in(identity: Identity) -> list[int]:
    """Return the ids of the known entities that `identity` is."""
    return [m.stands_for for m in identity.mentions if m.stands_for is not None]


def _could_change(session: Session, found: Resolution) -> set[int]:
    """Return the known entities about which the batch could change what was decided."""
    by_key: dict[Key, list[store.KnownEntity]] = defaultdict(list)
    for entity in found.known.values():
        if entity.entity_id not in found.rebuilt:
            for key in keys_of(_standing_for(entity, {})):
                by_key[key].append(entity)
    if not by_key:
        return set()
    doubtful: set[int] = set()
    readings: list[tuple[int, datetime]] = []
    for identity in found.identities:
        _doubts(identity, found, by_key, doubtful, readings)
    if readings:
        doubtful |= store.versions_read_after(session, readings)
    return doubtful


def _doubts(
    identity: Identity,
    found: Resolution,
    by_key: Mapping[Key, list[store.KnownEntity]],
    doubtful: set[int],
    readings: list[tuple[int, datetime]],
) -> None:
    """Add to `doubtful`, or to `readings` where it depends on who read the version since."""
    fresh = [m for m in identity.mentions if m.stands_for is None]
    met = {e.entity_id: (k, e) for m in fresh for k in keys_of(m) for e in by_key.get(k, ())}
    if not met:
        return
    own = known_in(identity)
    made = [m for m in fresh if m.act is Act.GENERATED]
    if len(own) > 1 or (own and (made or _retells(identity, fresh, found, found.known[own[0]]))):
        doubtful.update(own)
    for entity_id, (key, entity) in met.items():
        if entity_id in own:
            continue
        if made and entity.producer:
            at_place = key[0] == "location"
            readings += [(entity_id, m.generated_at if at_place else _EVER) for m in made]
        elif made or not own or _brings(identity, found.known[own[0]], by_key):
            doubtful.add(entity_id)


def _retells(
    identity: Identity, fresh: Iterable[Mention], found: Resolution, own: store.KnownEntity
) -> bool:
    """Whether a document contradicts what is held, or names a file known only by its place."""
    if not (own.producer or own.digests or own.product_ids) and (
        identity.digests or identity.product_ids
    ):
        return True
    held = own.row
    for mention in fresh:
        said = found.spoken[mention.ref].entity
        if any(
            getattr(said, name) not in (None, held[name]) and held[name] is not None
            for name in ("size_bytes", "value")
        ) or digests_conflict(own.digests, said.digests):
            return True
    return False


def _brings(
    identity: Identity, own: store.KnownEntity, by_key: Mapping[Key, list[store.KnownEntity]]
) -> bool:
    """Whether the batch gives `own` an identifier that another known entity has."""
    held = set(keys_of(_standing_for(own, {})))
    gained = {k for m in identity.mentions for k in keys_of(m)} - held
    return any(key in by_key for key in gained)


def _read_again(
    session: Session,
    found: Resolution,
    rebuild: Iterable[int],
    runs: Mapping[UUID, Run],
    locate: Callable[[str], str],
) -> None:
    """Add to `found` all that was ever said of the entities `rebuild` and their namesakes."""
    entities = store.entities_by_id(session, list(rebuild))
    keys = {k for e in entities.values() for k in keys_of(_standing_for(e, {}))}
    keys |= {k for s in found.spoken.values() for k in keys_of(s.mention)
             if keys & set(keys_of(s.mention))}  # fmt: skip
    while True:
        new = {i: e for i, e in entities.items() if i not in found.rebuilt}
        found.rebuilt |= set(new)
        for stored in store.documents_of_entities(session, list(new)):
            if stored.sha256 not in found.documents:
                document = read(stored.content, name=stored.source_name)
                found.documents[stored.sha256] = document
                found.claims[stored.sha256] = claims_of(document, stored.sha256)
        before = len(keys)
        again = _spoken_again(session, found, runs, locate)
        related = _related(found, again, keys)
        for item in again:
            mine = set(keys_of(item.mention))
            if mine & keys or (item.document, item.entity.key) in related:
                keys |= mine
                found.spoken[item.mention.ref] = item
        entities = _known_by_keys(session, keys, found.places)
        if len(keys) == before and set(entities) <= found.rebuilt:
            break
    logger.info(
        "resolved %d entities anew from %d documents", len(found.rebuilt), len(found.claims)
    )


def _related(found: Resolution, again: Iterable[Spoken], keys: set[Key]) -> set[tuple[str, str]]:
    """Return both ends of derivations and memberships of which one end is resolved anew."""
    touched = {(i.document, i.entity.key) for i in again if not keys.isdisjoint(keys_of(i.mention))}
    related: set[tuple[str, str]] = set()
    for sha256, document in found.documents.items():
        for left, right in entity_pairs(document):
            if (sha256, left) in touched or (sha256, right) in touched:
                related |= {(sha256, left), (sha256, right)}
    return related


def entity_pairs(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the keys (later, earlier) of derivations and (collection, member) of memberships."""
    yield from ((d.derived, d.source) for d in document.derived)
    yield from ((m.collection, m.member) for m in document.members)


def _spoken_again(
    session: Session,
    found: Resolution,
    runs: Mapping[UUID, Run],
    locate: Callable[[str], str],
) -> list[Spoken]:
    by_activity: dict[UUID, list[Claim]] = defaultdict(list)
    for listing in found.claims.values():
        for claim in listing:
            by_activity[claim.activity.uuid].append(claim)
    again = {uuid: runs.get(uuid) or merge(listing) for uuid, listing in by_activity.items()}
    parents = _parents(session, {**again, **runs})
    for inner, outer in store.parents_of(session, again).items():
        parents.setdefault(inner, set()).update(outer)
    silent = _with_own_record(session, found.documents.values(), runs)
    items: list[Spoken] = []
    for uuid, run in again.items():
        if uuid not in silent or not run.activity.is_claim:
            items += spoken_by_run(run, outer_activities(parents, uuid), locate)
    for sha256, document in found.documents.items():
        items += spoken_aside(document, sha256, locate, silent=silent)
    return items
