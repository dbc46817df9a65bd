"""Mentions: the places in documents where entities are named, and by what they may meet."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from uuid import UUID

_EARLY = datetime.min.replace(tzinfo=UTC)
_LATE = datetime.max.replace(tzinfo=UTC)
_EMPTY_DIGESTS = frozenset(
    {
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
    }
)
_STRONG = ("sha256", "sha512", "sha384", "sha1", "md5", "blake2b", "blake3", "sha3-256")


class Act(IntEnum):
    """What a document says that happened to the entity."""

    GENERATED = 0
    USED = 1
    MENTIONED = 2


@dataclass(frozen=True, slots=True)
class Mention:
    """One place in a document where an entity is named.

    Attributes
    ----------
    ref : str
        Name of the mention, unique among those resolved together.
    activity : UUID or None
        Who used or generated it; None for a mere mention.
    start, end : datetime or None
        Of the activity (or of the use, if stated); `end` is the generation time of an output.
    outer : frozenset of UUID
        Activities that the activity ran inside of, at any distance.
    stands_for : int or None
        Key of the known entity for whose mentions, all together, this one stands.
    """

    ref: str
    act: Act
    activity: UUID | None
    start: datetime | None
    end: datetime | None
    digests: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    outer: frozenset[UUID] = frozenset()
    stands_for: int | None = None

    @property
    def generated_at(self) -> datetime:
        """When its bytes stood: the end of the activity, else its start, else long ago."""
        return self.end or self.start or _EARLY

    @property
    def read_at(self) -> datetime:
        """When it was opened: at the start of the activity; unknown counts as now."""
        return self.start or _LATE


def identifying_digests(digests: Iterable[str]) -> tuple[str, ...]:
    """Return the digests that identify content: strong algorithms, and not of zero bytes.

    Empty files are all alike without being the same thing; checksums such as adler32 collide.
    """
    return tuple(
        sorted(d for d in digests if d.partition(":")[0] in _STRONG and d not in _EMPTY_DIGESTS)
    )


def keys_of(mention: Mention) -> Iterator[tuple[str, str]]:
    """Yield the (kind, identifier) by which the mention may meet others."""
    for digest in mention.digests:
        yield "digest", digest
    for product_id in mention.product_ids:
        yield "product-id", product_id
    for location in mention.locations:
        yield "location", location


def digests_conflict(left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether two sets of digests cannot be of the same bytes: one algorithm, other values."""
    known: dict[str, set[str]] = defaultdict(set)
    for digest in left:
        known[digest.partition(":")[0]].add(digest)
    return any(
        d not in known[algorithm] for d in right if (algorithm := d.partition(":")[0]) in known
    )
