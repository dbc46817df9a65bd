"""From claims and documents to the mentions of entities that `model.identity` resolves."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from provmanager.model import Document, Entity, ProducerClaim
from provmanager.model.mention import Act, Mention, identifying_digests

from .claims import Run, scoped

_ACT = {act: str(int(act)) for act in Act}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A mention with what the document says of the entity there."""

    mention: Mention
    entity: Entity
    document: str
    role: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class LocationPolicy:
    """Which paths are the same file on every host (a shared file system).

    A tool only knows its own host; where ``/fefs`` is mounted everywhere, the operator says so and
    the host is left out of such locations.
    """

    shared_paths: tuple[str, ...] = ()

    def apply(self, uri: str) -> str:
        """Return `uri`, without its host if it lies under a shared path."""
        if not self.shared_paths or not uri.startswith("file://"):
            return uri
        slash = uri.find("/", len("file://"))
        path = uri[slash:]
        shared = any(path == p or path.startswith(p.rstrip("/") + "/") for p in self.shared_paths)
        return f"file://{path}" if shared else uri


def spoken_by_run(
    run: Run, outer: frozenset[UUID], locate: Callable[[str], str]
) -> Iterator[Spoken]:
    """Yield the mentions of inputs and outputs of `run`.

    Parameters
    ----------
    outer : frozenset of UUID
        Activities that the run was part of, at any distance.
    locate : callable
        `LocationPolicy.apply`.
    """
    a = run.activity
    for claim in run.speaking:
        who = f"{claim.document} {a.uuid}"
        for generation, entity in claim.generated:
            end = generation.at or entity.generated_at or a.ended_at
            yield _spoken(claim.document, who, entity, Act.GENERATED, a.uuid, a.started_at, end,
                          outer, generation.role, generation.at, locate)  # fmt: skip
        for usage, entity in claim.used:
            yield _spoken(claim.document, who, entity, Act.USED, a.uuid, usage.at or a.started_at,
                          a.ended_at, outer, usage.role, usage.at, locate)  # fmt: skip


def spoken_aside(
    document: Document,
    sha256: str,
    locate: Callable[[str], str],
    *,
    silent: Container[UUID] = frozenset(),
) -> Iterator[Spoken]:
    """Yield the entities of `document` that no activity in it used or generated.

    Parameters
    ----------
    silent : container of UUID
        Activities that have a record of their own: what a product's metadata says of them is a
        mention of the product and its inputs, and a claim on the product.
    """
    activities = {a.key: a for a in document.activities}
    hushed = {a.key for a in document.activities if a.is_claim and a.uuid in silent}
    named = {u.entity for u in document.used if u.activity not in hushed}
    named |= {g.entity for g in document.generated if g.activity not in hushed}
    makers = {g.entity: activities[g.activity] for g in document.generated}
    for entity in document.entities:
        if entity.key not in named:
            when = entity.generated_at
            own = scoped(entity, sha256)
            maker = makers.get(entity.key)
            if maker is not None:
                own = replace(own, producer=ProducerClaim(uuid=maker.uuid))
            yield _spoken(sha256, f"{sha256} None", own, Act.MENTIONED, None, when, when,
                          frozenset(), None, None, locate)  # fmt: skip


def _spoken(
    document: str,
    who: str,
    entity: Entity,
    act: Act,
    activity: UUID | None,
    start: datetime | None,
    end: datetime | None,
    outer: frozenset[UUID],
    role: str | None,
    at: datetime | None,
    locate: Callable[[str], str],
) -> Spoken:
    mention = Mention(
        ref=f"{who} {_ACT[act]} {role} {entity.key}",
        act=act,
        activity=activity,
        start=start,
        end=end,
        digests=identifying_digests(entity.digests) if entity.digests else (),
        product_ids=entity.product_ids,
        locations=tuple(map(locate, entity.locations)),
        outer=outer,
    )
    return Spoken(mention, entity, document, role, at)


def outer_activities(parents: Mapping[UUID, Iterable[UUID]], activity: UUID) -> frozenset[UUID]:
    """Return all activities that `activity` is part of, following `parents` upwards."""
    seen: set[UUID] = set()
    queue = list(parents.get(activity, ()))
    while queue:
        parent = queue.pop()
        if parent != activity and parent not in seen:
            seen.add(parent)
            queue.extend(parents.get(parent, ()))
    return frozenset(seen)
