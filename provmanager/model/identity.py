"""Identity of entities: when two mentions are the same thing (docs/identity.md).

`resolve` is a pure function of *all* that was said of a set of files: of a set of `Mention`, never
of the order in which they came. Ingest evaluates it on the connected components that a new
document touches; the record is the same whatever the order of the documents.

The rules, in the order in which they bind:

1. `same_product_id`     one genuine product id is one entity, whatever its bytes or place;
2. `inner_generation`    what a workflow or job lists as its output and a part of it generated is
                         that part's product: the outer statement only adds names to it;
3. `same_digest`         bytes that were generated once are that product wherever they are read;
4. `version_at`          a path that was written is read in the version that stood there then;
5. `same_file_at`        a path that nobody is known to have written is one file, and the one whose
                         digest or product id was seen there, if only one was.

A generation makes a new entity each time: the same path written again is a new version, and two
activities that happen to write equal bytes made two products.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from provmanager.ids import uuid_of

from .mention import Act, Mention, digests_conflict, keys_of


@dataclass(slots=True)
class Identity:
    """One entity as `resolve` finds it: its mentions and what they say together.

    Attributes
    ----------
    producer : Mention or None
        The generation that stands; `outer` and `contradicting` are the other ones.
    rules : dict
        For each mention that is not a generation, the rule that brought it here.
    """

    uuid: UUID
    producer: Mention | None
    outer: list[Mention] = field(default_factory=list)
    contradicting: list[Mention] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)
    product_ids: set[str] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)


class _Group:
    """Mentions found to be one entity so far."""

    __slots__ = ("digests", "generations", "locations", "members", "product_ids", "rules")

    def __init__(self) -> None:
        self.generations: list[Mention] = []
        self.members: list[Mention] = []
        self.digests: set[str] = set()
        self.product_ids: set[str] = set()
        self.locations: set[str] = set()
        self.rules: dict[str, str] = {}

    def add(self, mention: Mention, rule: str) -> None:
        self.members.append(mention)
        self.rules[mention.ref] = rule
        if mention.act is Act.GENERATED:
            self.generations.append(mention)
        self.digests.update(mention.digests)
        self.product_ids.update(mention.product_ids)
        self.locations.update(mention.locations)

    def absorb(self, other: "_Group", rule: str | None = None) -> None:
        self.generations += other.generations
        self.members += other.members
        self.digests |= other.digests
        self.product_ids |= other.product_ids
        self.locations |= other.locations
        self.rules |= {ref: rule for ref in other.rules} if rule else other.rules


def resolve(mentions: Iterable[Mention]) -> list[Identity]:
    """Return the entities that `mentions` speak of; every mention is in exactly one.

    The result depends on the set of mentions only, never on their order.
    """
    ordered = sorted(mentions, key=_order)
    groups = _same_product_id(ordered)
    groups = _inner_generation(groups)
    readers = [g for g in groups if not g.generations]
    written = [g for g in groups if g.generations]
    readers = _same_digest(written, readers)
    readers = _version_at(written, readers)
    readers = _same_digest(written, readers)
    readers = _same_file_at(readers)
    return [_identity(group) for group in written + readers]


def _order(mention: Mention) -> tuple[object, ...]:
    when = mention.generated_at if mention.act is Act.GENERATED else mention.read_at
    return (
        mention.act,
        when,
        mention.activity.int if mention.activity else 0,
        mention.locations,
        mention.product_ids,
        mention.digests,
        mention.ref,
    )


def _ordered(mentions: list[Mention]) -> list[Mention]:
    return sorted(mentions, key=_order) if len(mentions) > 1 else mentions


def _same_product_id(mentions: Sequence[Mention]) -> list[_Group]:
    """Rule 1: mentions with a product id in common are one entity.

    Without a product id, a generation is an entity of its own (one an activity and output); reads
    without one are grouped by digest, else by location and activity, for the later rules.
    """
    groups: list[_Group] = []
    by_product: dict[str, _Group] = {}
    by_digest: dict[str, _Group] = {}
    by_output: dict[tuple[object, ...], _Group] = {}
    for mention in mentions:
        if mention.product_ids:
            found = {id(g): g for p in mention.product_ids if (g := by_product.get(p))}
            group = _united(list(found.values()), groups)
            for product_id in {*mention.product_ids, *group.product_ids}:
                by_product[product_id] = group
            group.add(mention, "product-id")
            continue
        if mention.digests and mention.act is not Act.GENERATED:
            found = {id(g): g for d in mention.digests if (g := by_digest.get(d))}
            group = _united(list(found.values()), groups)
            for digest in {*mention.digests, *group.digests}:
                by_digest[digest] = group
            group.add(mention, "digest")
            continue
        group = by_output.setdefault(_own_key(mention), _Group())
        if not group.members:
            groups.append(group)
        group.add(mention, "stated" if mention.act is Act.GENERATED else "location")
    return _outputs_with_product_ids(groups)


def _own_key(mention: Mention) -> tuple[object, ...]:
    if mention.act is Act.GENERATED:
        place = mention.locations or mention.digests or (mention.ref,)
        return ("output", mention.activity, place[0])
    if mention.locations:
        return ("place", mention.locations[0], mention.activity, mention.start, mention.end)
    return ("mention", mention.ref)


def _united(found: list[_Group], groups: list[_Group]) -> _Group:
    if not found:
        group = _Group()
        groups.append(group)
        return group
    first = found[0]
    for other in found[1:]:
        first.absorb(other)
        groups[:] = [g for g in groups if g is not other]
    return first


def _outputs_with_product_ids(groups: list[_Group]) -> list[_Group]:
    """Join the outputs of one activity at one location, with and without a product id."""
    by_output: dict[tuple[object, ...], _Group] = {}
    kept: list[_Group] = []
    for group in sorted(groups, key=lambda g: not g.product_ids):
        keys = {(m.activity, place) for m in group.generations for place in m.locations}
        twin = next((by_output[k] for k in sorted(keys, key=str) if k in by_output), None)
        if twin is not None and not (group.product_ids - twin.product_ids):
            twin.absorb(group)
        else:
            kept.append(group)
            twin = group
        for key in keys:
            by_output.setdefault(key, twin)
    return kept


def _inner_generation(groups: list[_Group]) -> list[_Group]:
    """Rule 2: an output that a part of the activity generated is the part's product."""
    generators = {m.activity for g in groups for m in g.generations}
    if not any(m.outer & generators for g in groups for m in g.generations):
        return groups
    by_key: dict[tuple[str, str], list[_Group]] = defaultdict(list)
    for group in groups:
        for mention in group.generations:
            for key in keys_of(mention):
                if group not in by_key[key]:
                    by_key[key].append(group)
    # taken before anything is absorbed: a part that took over its workflow's statement is still
    # the part, and no other part's output
    owners = {id(g): {m.activity for m in g.generations} for g in groups}
    gone: set[int] = set()
    for group in sorted(groups, key=lambda g: _depth(g)):
        inner = _inner_of(group, owners[id(group)], by_key, gone)
        if inner is not None:
            inner.absorb(group)
            for key in {k for m in group.generations for k in keys_of(m)}:
                by_key[key].append(inner)
            gone.add(id(group))
    return [g for g in groups if id(g) not in gone]


def _depth(group: _Group) -> int:
    return max((len(m.outer) for m in group.generations), default=0)


def _inner_of(
    group: _Group,
    owners: Set[UUID | None],
    by_key: Mapping[tuple[str, str], list[_Group]],
    gone: Set[int],
) -> _Group | None:
    candidates: list[tuple[bool, datetime, str, _Group]] = []
    names = _names(group)
    for mention in group.generations:
        for key in keys_of(mention):
            for other in by_key.get(key, ()):
                if other is group or id(other) in gone:
                    continue
                if digests_conflict(group.digests, other.digests):
                    continue
                times = [m for m in other.generations if m.outer & owners]
                if times:
                    last = max(times, key=lambda m: (m.generated_at, str(m.activity)))
                    is_called_so = not names.isdisjoint(_names(other))
                    named = (is_called_so, last.generated_at, str(last.activity), other)
                    candidates.append(named)
    return max(candidates, key=lambda c: c[:3])[3] if candidates else None


def _names(group: _Group) -> set[str]:
    """Return what a group's files are called, wherever they lie."""
    return {place.rpartition("/")[2] for m in group.generations for place in m.locations}


def _same_digest(written: list[_Group], readers: list[_Group]) -> list[_Group]:
    """Rule 3: bytes that were generated are that product wherever they are read afterwards."""
    by_digest: dict[str, list[_Group]] = defaultdict(list)
    for group in written:
        for digest in group.digests:
            by_digest[digest].append(group)
    left: list[_Group] = []
    for reader in readers:
        found = {id(g): g for d in reader.digests for g in by_digest.get(d, ())}
        if not found or reader.product_ids:
            left.append(reader)
            continue
        rest = _Group()
        for mention in reader.members:
            producers = [g for g in found.values() if _could_read(g, mention)]
            if producers:
                _best_producer(producers, mention).add(mention, "digest")
            else:
                rest.add(mention, reader.rules[mention.ref])
        if rest.members:
            left.append(rest)
    return left


def _could_read(version: _Group, mention: Mention) -> bool:
    """Whether the reader can have read this version: not its own or a part's output, nor a later.

    An activity that copies a file reads and generates the same bytes; they are two products.
    """
    made = version.generations
    if mention.activity is not None and any(
        m.activity == mention.activity or mention.activity in m.outer for m in made
    ):
        return False
    return mention.end is None or _made_at(version) <= mention.end


def _best_producer(producers: list[_Group], mention: Mention) -> _Group:
    """Of products with equal bytes: the one that stood at the same place, else the first made."""
    if len(producers) == 1:
        return producers[0]
    at_place = [
        (when, g)
        for g in producers
        if (when := _written_at(g, mention.locations)) is not None and when <= mention.read_at
    ]
    if at_place:
        return max(at_place, key=lambda pair: pair[0])[1]
    return min(producers, key=lambda g: (_made_at(g), str(_identity_uuid(g))))


def _written_at(group: _Group, locations: Iterable[str]) -> datetime | None:
    places = set(locations)
    times = [m.generated_at for m in group.generations if places & set(m.locations)]
    return max(times, default=None)


def _made_at(group: _Group) -> datetime:
    return min(m.generated_at for m in group.generations)


def _version_at(written: list[_Group], readers: list[_Group]) -> list[_Group]:
    """Rule 4: a read of a written path is of the version that stood there then.

    Readers that know more (a product id, a digest) go first, the earliest read first, and teach
    the version what they know; a version whose bytes or product id are known to be others is not
    the one that was read.
    """
    versions: dict[str, list[tuple[datetime, str, _Group]]] = defaultdict(list)
    for group in written:
        for mention in group.generations:
            for place in mention.locations:
                versions[place].append((mention.generated_at, str(mention.activity), group))
    for listing in versions.values():
        listing.sort(key=lambda item: item[:2])
    left: list[_Group] = []
    for reader in sorted(readers, key=_knowledge):
        for mention in sorted(reader.members, key=_order):
            found = _version_for(versions, mention, reader)
            if found is not None:
                group, rule = found
                group.absorb(reader, rule)
                break
        else:
            left.append(reader)
    return left


def _knowledge(group: _Group) -> tuple[object, ...]:
    first = min(group.members, key=_order)
    return (not group.product_ids, not group.digests, *_order(first))


def _version_for(
    versions: Mapping[str, list[tuple[datetime, str, _Group]]], mention: Mention, reader: _Group
) -> tuple[_Group, str] | None:
    for place in mention.locations:
        listing = [
            v
            for v in versions.get(place, ())
            if mention.activity is None
            or not any(
                m.activity == mention.activity or mention.activity in m.outer
                for m in v[2].generations
            )
        ]
        stood = [v for v in listing if v[0] <= mention.read_at]
        if stood:
            if _compatible(stood[-1][2], reader):
                return stood[-1][2], "location-version"
            continue
        later = [v for v in listing if mention.end is not None and v[0] <= mention.end]
        if later and _compatible(later[0][2], reader):
            return later[0][2], "location-during"
    return None


def _compatible(version: _Group, reader: _Group) -> bool:
    if version.product_ids and reader.product_ids and not version.product_ids & reader.product_ids:
        return False
    return not digests_conflict(version.digests, reader.digests)


def _same_file_at(readers: list[_Group]) -> list[_Group]:
    """Rule 5: a path that nobody wrote is one file; the only one with a digest or id seen there."""
    strong = _bytes_with_product_ids(readers)
    seen: dict[str, list[_Group]] = defaultdict(list)
    for group in strong:
        for place in group.locations:
            seen[place].append(group)
    places: list[_Group] = []
    at: dict[str, _Group] = {}
    for group in readers:
        if group.product_ids or group.digests:
            continue
        if not group.locations:
            strong.append(group)
            continue
        found = {id(g): g for p in sorted(group.locations) if (g := at.get(p))}
        place_group = _united(list(found.values()), places)
        place_group.absorb(group)
        for place in place_group.locations:
            at[place] = place_group
    for group in list(places):
        known = {id(g): g for p in group.locations for g in seen.get(p, ())}
        if len(known) == 1:
            next(iter(known.values())).absorb(group, "location-same-file")
            places.remove(group)
    return strong + places


def _bytes_with_product_ids(readers: list[_Group]) -> list[_Group]:
    """Return the readers with a product id or digest; equal bytes join the one with an id."""
    named: dict[str, list[_Group]] = defaultdict(list)
    for group in readers:
        if group.product_ids:
            for digest in group.digests:
                named[digest].append(group)
    strong = [g for g in readers if g.product_ids]
    for group in readers:
        if group.digests and not group.product_ids:
            found = {id(g): g for d in group.digests for g in named.get(d, ())}
            if found:
                min(found.values(), key=lambda g: min(g.product_ids)).absorb(group, "digest")
            else:
                strong.append(group)
    return strong


def _identity(group: _Group) -> Identity:
    generations = _ordered(group.generations)
    owners = {m.activity for m in generations}
    inner = [m for m in generations if not any(m.activity in o.outer for o in generations)]
    producer = inner[0] if inner else None
    same = {m.activity for m in inner if producer and m.activity == producer.activity}
    return Identity(
        uuid=_identity_uuid(group),
        producer=producer,
        outer=[m for m in generations if m not in inner] if owners else [],
        contradicting=[m for m in inner if m.activity not in same],
        mentions=_ordered(group.members),
        rules=group.rules,
        digests=group.digests,
        product_ids=group.product_ids,
        locations=group.locations,
    )


def _identity_uuid(group: _Group) -> UUID:
    """The name that the entity has outside: of its strongest identity."""
    if group.product_ids:
        return uuid_of("product", min(group.product_ids))
    if group.generations:
        inner = [
            m
            for m in group.generations
            if not any(m.activity in o.outer for o in group.generations)
        ]
        first = min(inner or group.generations, key=_order)
        place = first.locations or first.digests or (first.ref,)
        return uuid_of("generated", str(first.activity), place[0])
    if group.digests:
        return uuid_of("bytes", min(group.digests))
    if group.locations:
        return uuid_of("location", min(group.locations))
    return uuid_of("mention", group.members[0].ref)
