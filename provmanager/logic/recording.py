"""Writing a resolved batch: rows for runs, entities and relations, in set-based statements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.formats import split_location
from provmanager.model import InformKind
from provmanager.model.identity import Identity
from provmanager.model.mention import Act
from provmanager.store import activities as activity_store
from provmanager.store import entities as entity_store
from provmanager.store import relations as relation_store
from provmanager.store import writing
from provmanager.store.known import KnownEntity

from .assembly import (
    EntityFacts,
    claim_rank,
    differ,
    entity_facts,
    join_columns,
    location_rank,
)
from .claims import Contradiction, agents_of
from .doubts import known_in
from .mentions import Spoken
from .resolution import Resolution, entity_pairs
from .runs import Batch, RunWriter

STATED, PRODUCER_CLAIM = "stated", "producer-claim"


@dataclass(slots=True)
class Written:
    """What came of it: for receipts.

    Attributes
    ----------
    entity_of : dict
        (SHA-256 of the document, entity key) to (UUID, outcome, rule).
    """

    entity_of: dict[tuple[str, str], tuple[UUID, str, str]] = field(default_factory=dict)
    contradictions: list[Contradiction] = field(default_factory=list)


@dataclass(slots=True)
class _Entity:
    identity: Identity
    spoken: list[Spoken]
    facts: EntityFacts
    entity_id: int
    held: KnownEntity | None
    is_rebuilt: bool
    generated_by: int | None = None


class Recorder:
    """Writes one batch within the caller's transaction, which holds the writers' lock."""

    def __init__(self, session: Session, batch: Batch, found: Resolution) -> None:
        self._session = session
        self._batch = batch
        self._found = found
        self._runs = RunWriter(session, batch)
        self._entities: list[_Entity] = []
        self._roles: dict[str, int] = {}
        self._rules = relation_store.LINK_RULES

    def write(self) -> Written:
        """Write everything; return what became of each mention."""
        self._runs.write()
        self._prepare_entities()
        self._write_placeholders()
        self._write_entities()
        self._write_flows()
        self._write_relations()
        self._write_edges()
        written = self._outcomes()
        known = self._batch.known
        retold = [u for u in self._batch.runs if u in known]
        retold += [self._found.known[i].uuid for i in self._found.rebuilt if i in self._found.known]
        retold += [e.identity.uuid for e in self._entities if e.is_rebuilt and e.held]
        relation_store.write_contradictions(self._session, written.contradictions, retold)
        entity_store.update_validity(self._session, self._rewritten())
        return written

    def _write_placeholders(self) -> None:
        """Settle what generated each entity, by statement or else by claim."""
        unstated = [e for e in self._entities if e.identity.producer is None]
        listed = [c for e in unstated for c in e.facts.claims]
        claims = {c.uuid: c for c in sorted(listed, key=claim_rank, reverse=True)}
        only_claimed = self._runs.write_placeholders(claims, self._found.renewed)
        for e in self._entities:
            e.generated_by = self._generator(e, only_claimed)

    def _generator(self, e: _Entity, only_claimed: set[int]) -> int | None:
        ids = self._runs.ids
        producer = e.identity.producer
        if producer is not None and producer.activity is not None:
            return ids[producer.activity]
        standing = [
            (str(c.uuid), ids[c.uuid]) for c in e.facts.claims if ids[c.uuid] in only_claimed
        ]
        if e.held and not e.is_rebuilt and e.held.claimed_by:
            standing.append((str(e.held.claimed_by), e.held.row["generated_by"]))
        return min(standing)[1] if standing else None

    # entities -----------------------------------------------------------------------------------

    def _prepare_entities(self) -> None:
        found = self._found
        standing = {e.uuid: i for i, e in found.known.items() if i in found.rebuilt}
        actors = {m.activity for i in found.identities for m in i.mentions if m.activity}
        self._runs.learn(
            {e.row["generated_by"]: e.producer or e.claimed_by for e in found.known.values()}
        )
        self._runs.find(sorted(actors, key=str))
        standing |= found.same
        new: list[_Entity] = []
        for identity in found.identities:
            spoken = [found.spoken[m.ref] for m in identity.mentions if m.stands_for is None]
            own = known_in(identity)
            if not spoken:
                continue
            entity_id = own[0] if own else standing.get(identity.uuid, 0)
            item = _Entity(
                identity,
                spoken,
                entity_facts(identity, spoken),
                entity_id,
                found.known.get(entity_id),
                not own and identity.uuid not in found.same,
            )
            self._entities.append(item)
            if not entity_id:
                new.append(item)
        ids = writing.take_node_ids(self._session, len(new))
        for item, entity_id in zip(new, ids, strict=True):
            item.entity_id = entity_id

    def _write_entities(self) -> None:
        session, found = self._session, self._found
        self._intern()
        kept = {e.entity_id for e in self._entities}
        gone = {i: found.known[i] for i in found.rebuilt - kept}
        if found.rebuilt:
            entity_store.clear(session, list(found.rebuilt))
        entity_store.insert(
            session, [self._entity_row(e) for e in self._entities if e.held is None]
        )
        changed = [self._changed_row(e) for e in self._entities if e.held is not None]
        entity_store.update(session, [row for row in changed if len(row) > 1])
        renamed = [(e.held.uuid, e.identity.uuid) for e in self._entities
                   if e.held and e.held.uuid != e.identity.uuid]  # fmt: skip
        if gone:
            successors = self._successors(gone)
            entity_store.delete(session, list(gone))
            renamed += [(gone[i].uuid, e.identity.uuid) for i, e in successors.items()]
        entity_store.write_aliases(
            session, renamed, min(self._batch.document_ids.values(), default=None)
        )
        self._write_names()

    def _intern(self) -> None:
        roles = {""} | {s.role or "" for e in self._entities for s in e.spoken}
        roles |= {r or "" for run in self._batch.runs.values() for _, r in agents_of(run)}
        told = (*self._batch.documents.values(), *self._found.documents.values())
        roles |= {a.role or "" for d in told for a in d.attributed}
        self._roles = writing.intern_roles(self._session, roles)
        known = self._found.directories
        held = {split_location(x)[0] for e in self._entities if e.held for x in e.held.locations}
        known |= writing.find_directories(self._session, held - known.keys())
        places = {split_location(x)[0] for e in self._entities for x in e.facts.locations}
        known |= writing.insert_directories(self._session, places - known.keys())

    def _entity_row(self, e: _Entity) -> dict[str, Any]:
        row = {
            "entity_id": e.entity_id,
            "entity_uuid": e.identity.uuid,
            **self._place(e.facts.locations[0] if e.facts.locations else None),
            **e.facts.columns,
        }
        return row | self._generation(e)

    def _generation(self, e: _Entity) -> dict[str, Any]:
        producer = e.identity.producer
        role, rule = None, None
        if e.generated_by is not None:
            rule = self._rules[STATED if producer else PRODUCER_CLAIM]
        if producer is not None and producer.stands_for is None:
            item = self._found.spoken[producer.ref]
            role = self._roles[item.role or ""]
        elif e.held is not None and e.held.producer and not e.is_rebuilt:
            role = e.held.row["generation_role_id"]
        return {
            "generated_by": e.generated_by,
            "generation_role_id": role,
            "generation_rule_id": rule,
        }

    def _changed_row(self, e: _Entity) -> dict[str, Any]:
        held = e.held
        if held is None:
            return {}
        if e.is_rebuilt:
            return self._entity_row(e)
        row = join_columns(held.row, e.facts.columns, e.identity) | self._generation(e)
        if e.identity.uuid != held.uuid:
            row["entity_uuid"] = e.identity.uuid
        row |= self._place(_first_location(e))
        changed = {k: v for k, v in row.items() if differ(v, held.row[k])}
        return {"entity_id": e.entity_id, **changed}

    def _place(self, uri: str | None) -> dict[str, Any]:  # Any: column values
        if uri is None:
            return {"directory_id": None, "base_name": None}
        directory, name = split_location(uri)
        return {"directory_id": self._found.directories[directory], "base_name": name}

    def _write_names(self) -> None:
        identifiers: list[tuple[object, ...]] = []
        places: list[tuple[object, ...]] = []
        aside: list[tuple[object, ...]] = []
        documents = self._found.document_ids | self._batch.document_ids
        for e in self._entities:
            known = e.held if e.held and not e.is_rebuilt else None
            had = {*known.digests, *known.product_ids} if known else set()
            identifiers += [(e.entity_id, "digest", d) for d in e.facts.digests if d not in had]
            identifiers += [
                (e.entity_id, "product-id", p) for p in e.facts.product_ids if p not in had
            ]
            more = {*e.facts.locations, *(known.locations[:1] if known else ())}
            more -= {_first_location(e), *(known.locations[1:] if known else ())}
            places += [(e.entity_id, *self._place(x).values()) for x in sorted(more)]
            aside += [
                (e.entity_id, documents[s.document])
                for s in e.spoken
                if s.mention.act is Act.MENTIONED
            ]
        new = {e.entity_id for e in self._entities if e.held is None}
        relation_store.add_rows(
            self._session,
            "entity_identifier",
            ("entity_id", "kind", "identifier"),
            identifiers,
            new,
        )
        relation_store.add_rows(
            self._session,
            "entity_location",
            ("entity_id", "directory_id", "base_name"),
            places,
            new,
        )
        relation_store.add_rows(
            self._session, "entity_document", ("entity_id", "document_id"), aside, new
        )

    def _successors(self, gone: Mapping[int, KnownEntity]) -> dict[int, _Entity]:
        """Return which entity takes the place of each that is no more: the best namesake."""
        found: dict[int, _Entity] = {}
        for entity_id, held in gone.items():
            shared = [
                (
                    -len(set(held.product_ids) & e.identity.product_ids),
                    -len(set(held.digests) & e.identity.digests),
                    -len(set(held.locations) & e.identity.locations),
                    str(e.identity.uuid),
                    e,
                )
                for e in self._entities
            ]
            found[entity_id] = min(shared, key=lambda s: s[:4])[4]
        return found

    # relations ----------------------------------------------------------------------------------

    def _write_flows(self) -> None:
        used: dict[tuple[int, int, int], tuple[object, ...]] = {}
        generated: set[tuple[object, ...]] = set()
        for e in self._entities:
            outer = {m.ref for m in e.identity.outer}
            for s in e.spoken:
                m = s.mention
                if m.activity is None:
                    continue
                activity_id, role_id = self._runs.ids[m.activity], self._roles[s.role or ""]
                if m.act is Act.USED:
                    rule = self._rules[e.identity.rules[m.ref]]
                    used.setdefault(
                        (activity_id, e.entity_id, role_id),
                        (activity_id, e.entity_id, s.at, role_id, rule),
                    )
                elif m.act is Act.GENERATED:
                    reason = self._beside(e, s, role_id, m.ref in outer)
                    if reason:
                        generated.add((e.entity_id, activity_id, role_id, reason))
            if e.identity.producer is None:
                generated |= {
                    (e.entity_id, self._runs.ids[c.uuid], self._roles[""], PRODUCER_CLAIM)
                    for c in e.facts.claims
                    if c.uuid in self._runs.ids
                }
        columns = ("activity_id", "entity_id", "used_at", "role_id", "link_rule_id")
        relation_store.forget_relations(self._session, self._runs.retold)
        relation_store.add_rows(self._session, "used", columns, used.values(), self._runs.new)
        relation_store.insert_missing(
            self._session,
            "generation_claim",
            ("entity_id", "activity_id", "role_id", "reason"),
            sorted(generated, key=str),
        )

    def _beside(self, e: _Entity, s: Spoken, role_id: int, is_outer: bool) -> str | None:
        """Return why a stated generation is not the one in ``entity.generated_by``, or None."""
        producer = e.identity.producer
        if is_outer:
            return "outer-level"
        if producer is None or s.mention.activity != producer.activity:
            return "contradiction"
        standing = self._generation(e)["generation_role_id"]
        return None if role_id == standing else "another-role"

    def _write_relations(self) -> None:
        session, batch = self._session, self._batch
        informed = [
            (
                self._runs.ids[uuid],
                self._runs.ids[informant],
                kind.value,
                self._rules.get(rule, self._rules[STATED]),
            )
            for uuid, run in batch.runs.items()
            for claim in run.speaking
            for informant, kind, rule in claim.informed
        ]
        relation_store.insert_missing(
            session,
            "was_informed_by",
            ("informed_id", "informant_id", "kind", "link_rule_id"),
            informed,
        )
        entity_of = {
            (s.document, s.entity.key): e for e in reversed(self._entities) for s in e.spoken
        }
        relation_store.write_document_relations(
            session,
            {**self._found.documents, **batch.documents},
            batch.document_ids,
            {key: e.entity_id for key, e in entity_of.items()},
            self._rules,
            self._roles,
        )
        relation_store.write_associations(
            session,
            {self._runs.ids[uuid]: agents_of(run) for uuid, run in batch.runs.items()},
            self._roles,
        )

    def _rewritten(self) -> set[tuple[int, str]]:
        """Return the (directory_id, base name) of which the versions are not what they were."""
        at: dict[str, set[int]] = {}
        found = self._found
        for entity_id, known in found.known.items():
            for place in known.locations:
                at.setdefault(place, set()).add(entity_id)
        for e in self._entities:
            for place in e.facts.locations:
                at.setdefault(place, set()).add(e.entity_id)
        places = [_held_place(found.known[i]) for i in found.rebuilt]
        for e in self._entities:
            first = tuple(self._place(_first_location(e)).values())
            if e.held is None or e.is_rebuilt:
                if e.generated_by is not None and any(len(at[p]) > 1 for p in e.facts.locations):
                    places.append(first)
            elif not set(e.facts.locations) <= set(e.held.locations):
                places += [_held_place(e.held), first]
        return {(directory, name) for directory, name in places if name is not None}

    def _write_edges(self) -> None:
        """Keep the lineage edges of what was touched."""
        session = self._session
        producers = {e.entity_id: e.generated_by for e in self._entities}
        fresh = {
            (self._runs.ids[s.mention.activity], producers[e.entity_id])
            for e in self._entities
            for s in e.spoken
            if s.mention.act is Act.USED
            and s.mention.activity in self._runs.ids
            and self._runs.ids[s.mention.activity] in self._runs.new
            and producers[e.entity_id] is not None
        }
        rows = sorted((t, s) for t, s in fresh if s is not None and t != s)
        writing.copy_rows(session, "edge", ("target_id", "source_id"), rows)
        changed = [e.entity_id for e in self._entities if e.held is not None
                   and (e.is_rebuilt or e.generated_by != e.held.row["generated_by"])]  # fmt: skip
        again = {self._runs.ids[u] for u in self._batch.runs} | {
            self._runs.ids[s.mention.activity]
            for e in self._entities
            if self._found.rebuilt
            for s in e.spoken
            if s.mention.act is Act.USED and s.mention.activity
        }
        relation_store.renew_edges(
            session,
            activity_ids=sorted(again - self._runs.new),
            entity_ids=sorted({*changed, *self._found.rebuilt}),
            new_activity_ids=sorted(self._runs.new),
            informed=any(
                kind is InformKind.DATA_FLOW
                for run in self._batch.runs.values()
                for claim in run.speaking
                for _, kind, _ in claim.informed
            ),
            node_ids=self._nodes(),
        )
        if self._found.rebuilt:
            activity_store.delete_orphan_claims(session)

    def _nodes(self) -> list[int]:
        """Return the entities that the batch's documents derive or put into collections."""
        told = {**self._found.documents, **self._batch.documents}
        keys = {
            (sha, key)
            for sha, document in told.items()
            for pair in entity_pairs(document)
            for key in pair
        }
        if not keys:
            return []
        return sorted(
            {e.entity_id for e in self._entities for s in e.spoken
             if (s.document, s.entity.key) in keys}
        )  # fmt: skip

    def _outcomes(self) -> Written:
        written = Written()
        for e in self._entities:
            outcome = "new" if e.held is None else "confirmed"
            if e.held is not None and e.held.uuid != e.identity.uuid:
                outcome = "merged"
            if e.facts.contradictions or e.identity.contradicting:
                outcome = "contradictory"
            written.contradictions += e.facts.contradictions
            written.contradictions += [_second_producer(e, m.activity)
                                       for m in e.identity.contradicting]  # fmt: skip
            for s in e.spoken:
                rule = e.identity.rules[s.mention.ref]
                written.entity_of[s.document, s.entity.key] = (e.identity.uuid, outcome, rule)
        for run in self._batch.runs.values():
            written.contradictions += run.contradictions
        return written


def _held_place(known: KnownEntity) -> tuple[Any, ...]:  # Any: column values
    return (known.row["directory_id"], known.row["base_name"])


def _first_location(e: _Entity) -> str | None:
    """Return the location that comes first: an LFN before a URL before a path."""
    known = e.held.locations if e.held and not e.is_rebuilt else ()
    if len(e.facts.locations) == 1 and not known:
        return e.facts.locations[0]
    return min((*e.facts.locations, *known), key=location_rank, default=None)


def _second_producer(e: _Entity, other: UUID | None) -> Contradiction:
    producer = e.identity.producer
    first = str(producer.activity) if producer else ""
    return Contradiction(
        e.identity.uuid,
        "entity",
        "wasGeneratedBy",
        first,
        str(other),
        f"two activities state that they generated product {e.identity.uuid}: {first} (held) and "
        f"{other}",
    )


def record_batch(session: Session, batch: Batch, found: Resolution) -> Written:
    """Write `batch` as `found`; the caller holds the writers' lock and commits."""
    return Recorder(session, batch, found).write()
