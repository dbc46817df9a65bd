"""What a person calls a product or an activity, to the record that it is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from provmanager.capture.hosts import image_url
from provmanager.errors import AmbiguousError, JSONDict, NotFoundError, UsageError
from provmanager.formats import absolute_uri, split_location
from provmanager.ids import parse_uuid
from provmanager.store import references as store

_DIGEST = re.compile(r"(?:(sha256|sha512|sha384|sha1|md5):)?([0-9a-fA-F]{32,128})")
_ONE_EACH = frozenset({"digest", "product-id", "image"})  # several are no versions of one
_LENGTHS = {64: "sha256", 128: "sha512", 96: "sha384", 40: "sha1", 32: "md5"}


@dataclass(frozen=True, slots=True)
class Reference:
    """What was found.

    Attributes
    ----------
    key : int
        Key inside the store.
    matched_by : str
        ``uuid``, ``digest``, ``product-id``, ``location``, ``basename``, ``image`` or ``iri``.
    """

    kind: Literal["activity", "entity"]
    key: int
    uuid: UUID
    name: str | None
    location: str | None
    matched_by: str

    def to_wire(self) -> JSONDict:
        """Return it as it crosses HTTP."""
        return {
            "kind": self.kind,
            "id": str(self.uuid),
            "name": self.name,
            "location": self.location,
            "matched_by": self.matched_by,
        }


def find(session: Session, ref: str) -> Reference:
    """Return what `ref` names: a UUID, digest, product id, LFN, URL, path, IRI, base name or image.

    Of several versions at one location it is the newest.

    Raises
    ------
    UsageError
        `ref` is empty.
    NotFoundError
        Nothing answers to it.
    AmbiguousError
        Several things do; ``candidates`` lists them.
    """
    ref = ref.strip()
    if not ref:
        raise UsageError("an empty reference: name a product by path, URL, LFN, digest or UUID")
    for matched_by, rows in _candidates(session, ref):
        if matched_by == "activity":
            return Reference("activity", rows[0]["id"], rows[0]["uuid"], rows[0]["name"], None,
                             "uuid" if parse_uuid(ref) else "iri")  # fmt: skip
        if rows:
            return _only(ref, matched_by, rows)
    raise NotFoundError(
        f"nothing in the record is called {ref!r}; give a path, URL, LFN, digest (sha256:…), "
        "product id or UUID, or look for it with prod-search",
        ref=ref,
        suggestions=store.names_like(session, split_location(ref)[1]) or None,
    )


def _candidates(session: Session, ref: str) -> Iterator[tuple[str, Sequence[RowMapping]]]:
    uuid = parse_uuid(ref)
    if uuid is not None:
        activity = store.activity_by_uuid(session, uuid)
        if activity is not None:
            yield "activity", [activity]
        yield "uuid", store.entities_by_uuid(session, uuid)
        yield "product-id", store.entities_by_product_id(session, f"urn:uuid:{uuid}")
    digest = _DIGEST.fullmatch(ref)
    if digest:
        algorithm = digest[1] or _LENGTHS.get(len(digest[2]))
        if algorithm and _LENGTHS.get(len(digest[2])) == algorithm:
            yield "digest", store.entities_by_digest(session, f"{algorithm}:{digest[2].lower()}")
    is_path = ref.startswith(("/", "lfn:", "file:"))
    if is_path:
        yield from _at_location(session, ref)
    yield "product-id", store.entities_by_product_id(session, ref)
    activity = store.activity_by_iri(session, ref)
    if activity is not None:
        yield "activity", [activity]
    if not is_path and ("/" in ref or ":" in ref):
        yield from _at_location(session, ref)
    elif not is_path:
        yield "basename", store.entities_by_name(session, ref)
    if not is_path and "://" not in ref:
        directory, name = split_location(image_url(ref))
        yield "image", store.entities_by_location(session, directory, name)


def _at_location(session: Session, ref: str) -> Iterator[tuple[str, Sequence[RowMapping]]]:
    directory, name = split_location(absolute_uri(ref))
    yield "location", store.entities_by_location(session, directory, name)
    if ref.startswith("/"):
        any_host = "*" + directory.removeprefix("file://")
        yield "location", store.entities_by_location(session, any_host, name)


def _only(ref: str, matched_by: str, rows: Sequence[RowMapping]) -> Reference:
    places = {row["location"] for row in rows}
    if len(rows) > 1 and (len(places) > 1 or matched_by in _ONE_EACH):
        candidates = [
            {
                "id": str(row["uuid"]),
                "name": row["name"],
                "location": row["location"],
                "generated_at": row["generated_at"].isoformat() if row["generated_at"] else None,
                "matched_by": matched_by,
            }
            for row in rows
        ]
        raise AmbiguousError(
            f"{len(rows)} products are called {ref!r} (by {matched_by}): give the whole location "
            "or the id of one of them",
            ref=ref,
            candidates=candidates,
        )
    row = rows[0]
    return Reference("entity", row["id"], row["uuid"], row["name"], row["location"], matched_by)
