"""When a known entity may stand for all that was said of it, and when all must be read again.

`model.identity.resolve` is a function of all mentions. One more reader of a known file, or a new
output at a place that nobody read since, changes nothing of what was decided before; anything else
that meets a known entity may, and is decided from the documents. Doubt costs time, never truth:
where a rule here is too careful, the record is the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.ids import uuid_of
from provmanager.model.identity import Identity
from provmanager.model.mention import (
    Act,
    Mention,
    digests_conflict,
    identifying_digests,
    keys_of,
)
from provmanager.store import known as store

from .mentions import outer_activities

if TYPE_CHECKING:
    from .resolution import Resolution

Key = tuple[str, str]
_EVER = datetime(1, 1, 1, tzinfo=UTC)


def standing_for(entity: store.KnownEntity, parents: Mapping[UUID, set[UUID]]) -> Mention:
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


def could_change(
    session: Session, found: "Resolution", told: Set[tuple[UUID, int, str | None]]
) -> set[int]:
    """Return the known entities about which the batch could change what was decided.

    Parameters
    ----------
    told : set of (UUID, int, str or None)
        What the activities of the batch used, by which rule, or generated before: they may do so
        no more, or by what the entity learned from them only.
    """
    by_key: dict[Key, list[store.KnownEntity]] = defaultdict(list)
    for entity in found.known.values():
        if entity.entity_id not in found.rebuilt:
            for key in keys_of(standing_for(entity, {})):
                by_key[key].append(entity)
    doubtful: set[int] = set()
    readings: list[tuple[int, datetime]] = []
    if by_key:
        for identity in found.identities:
            _doubts(identity, found, by_key, doubtful, readings)
    if readings:
        doubtful |= store.versions_read_after(session, readings)
    if told:
        now = {
            (m.activity, i, identity.rules[m.ref] if m.act is Act.USED else None)
            for identity in found.identities
            for m in identity.mentions
            for i in (*known_in(identity), found.same.get(identity.uuid))
        }
        doubtful |= {entity_id for _, entity_id, _ in told - now}
    return doubtful - found.rebuilt


def _doubts(
    identity: Identity,
    found: "Resolution",
    by_key: Mapping[Key, list[store.KnownEntity]],
    doubtful: set[int],
    readings: list[tuple[int, datetime]],
) -> None:
    """Add to `doubtful`, or to `readings` where it depends on who read the version since."""
    own = known_in(identity)
    if len(own) > 1:  # even without a new mention: what stands for readers knows not when they read
        doubtful.update(own)
    fresh = [m for m in identity.mentions if m.stands_for is None]
    met = {(k, e.entity_id): e for m in fresh for k in keys_of(m) for e in by_key.get(k, ())}
    if not met:
        return
    others = [(key, e) for (key, i), e in met.items() if i not in own]
    made = [m for m in fresh if m.act is Act.GENERATED]
    if own and made:
        doubtful.update(own)
    elif len(own) == 1:
        mine = found.known[own[0]]
        held = set(keys_of(standing_for(mine, {})))
        brings = any(k not in held and k in by_key for m in fresh for k in keys_of(m))
        if brings or _retells(identity, fresh, found, mine) or _is_by_place(identity, fresh, mine):
            doubtful.update(own)
        if brings:
            doubtful.update(e.entity_id for _, e in others)
    for (kind, _), entity in others:
        if made and not entity.is_contested:
            at_place = kind == "location"
            readings += [(entity.entity_id, m.generated_at if at_place else _EVER) for m in made]
        elif made or not own:
            doubtful.add(entity.entity_id)


def _is_by_place(identity: Identity, fresh: Iterable[Mention], version: store.KnownEntity) -> bool:
    """Whether the place alone says that the known version was read, and it may not be there.

    A version stands where it was written; where it was read, nobody else need have read it.
    """
    by_place = [m for m in fresh if identity.rules[m.ref].startswith("location-")]
    if not by_place or version.producer is None:
        return False
    if version.is_contested:
        return True
    first = {next((x for x in m.locations if x in version.locations), "") for m in by_place}
    return any(version.uuid != uuid_of("generated", str(version.producer), x) for x in first)


def _retells(
    identity: Identity, fresh: Iterable[Mention], found: "Resolution", own: store.KnownEntity
) -> bool:
    """Whether a document contradicts what is held, or names a file known only by its place."""
    if not (own.producer or identifying_digests(own.digests) or own.product_ids) and (
        identity.digests or identity.product_ids
    ):
        return True
    held = own.row
    if held["name"] and any(
        held["name"] in k for k in {*identity.digests, *identity.product_ids}
        - {*own.digests, *own.product_ids}
    ):  # fmt: skip
        return True  # it was a name, and is but a part of an identifier now
    for mention in fresh:
        said = found.spoken[mention.ref].entity
        if any(
            getattr(said, name) not in (None, held[name]) and held[name] is not None
            for name in ("size_bytes", "value")
        ) or digests_conflict(own.digests, said.digests):
            return True
    return False
