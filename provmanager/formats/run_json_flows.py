"""Inputs and outputs of our capture format: entities, and what used and generated them."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provmanager.ids import clean_json, parse_uuid, uuid_of
from provmanager.model import Activity, Entity, EntityKind, HadMember, Used, WasGeneratedBy

from .locations import absolute_uri
from .run_json_checks import FLOW, check_instant, check_types, fail

JSONDict = dict[str, Any]  # Any: free-form JSON

_KIND = {kind.value: kind for kind in EntityKind}
_IDENTIFIERS = frozenset({"url", "lfn", "locations", "sha256", "digests", "product_id", "value"})
_DATASET = EntityKind.DATASET
_VALUE = EntityKind.VALUE
_PLAIN = frozenset({"role", "url", "sha256", "size_bytes", "modified_at", "at"})
_OF_THE_USE = frozenset({"role", "at"})
_PLACE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:.")
_CANONICAL = re.compile(r"(?:file://[a-z0-9.-]+|lfn:)(?:/[\w@+=:,-][\w.@+=:,-]*)+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LOWER_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_ALGORITHM = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MAX_SIZE = 2**63


def clean(text: str) -> str:
    """Return `text` as PostgreSQL takes it: NUL and lone surrogates become U+FFFD."""
    return text if text.isprintable() else str(clean_json(text))


def cleaned(text: str | None) -> str | None:
    """Return `text` cleaned, or None."""
    return None if text is None else clean(text)


@dataclass(frozen=True, slots=True)
class _Side:
    """Whose inputs or outputs are read: the activity, its host, and which of the two."""

    activity: Activity
    host: str | None
    is_output: bool


class FlowReader:
    """Collects entities, used, wasGeneratedBy and hadMember of one document."""

    def __init__(self) -> None:
        self.entities: list[Entity] = []
        self.used: list[Used] = []
        self.generated: list[WasGeneratedBy] = []
        self.members: list[HadMember] = []
        self._by_digest: dict[str, tuple[JSONDict, str]] = {}

    def read_inputs(
        self, items: list[Any], activity: Activity, host: str | None, pointer: str
    ) -> None:  # Any: JSON values
        """Take what `activity` used; equal mentions of equal bytes are one entity."""
        side = _Side(activity, host, is_output=False)
        seen: set[tuple[str, str | None]] = set()
        for number, item in enumerate(items):
            place = f"{pointer}/{number}"
            entity = _plain_file(item, place, None)
            is_extended = _check(item, place) if entity is None else False
            key = self._known(item)
            if key is None:
                key = place
                if entity is None:
                    self._add(item, place, side, is_extended=is_extended)
                else:
                    self.entities.append(entity)
                if "sha256" in item:
                    self._by_digest[item["sha256"]] = (item, place)
            role = item.get("role")
            if (key, role) in seen:
                continue
            seen.add((key, role))
            at = check_instant(item["at"], f"{place}/at") if "at" in item else None
            self.used.append(Used(activity=activity.key, entity=key, role=cleaned(role), at=at))

    def read_outputs(
        self, items: list[Any], activity: Activity, host: str | None, pointer: str
    ) -> None:  # Any: JSON values
        """Take what `activity` generated; one product in several roles is one entity."""
        side = _Side(activity, host, is_output=True)
        seen: dict[str, str] = {}
        for number, item in enumerate(items):
            place = f"{pointer}/{number}"
            entity = _plain_file(item, place, activity)
            if entity is not None:
                at = entity.generated_at
            else:
                is_extended = _check(item, place)
                at = _generated_at(item, activity, place)
            url = item["url"] if "url" in item and "value" not in item else place
            key = seen.get(url)
            if key is None:
                key = seen[url] = place
                if entity is not None:
                    self.entities.append(entity)
                else:
                    self._add(item, place, side, is_extended=is_extended, at=at)
            role = cleaned(item.get("role"))
            self.generated.append(
                WasGeneratedBy(entity=key, activity=activity.key, role=role, at=at)
            )

    def _known(self, item: JSONDict) -> str | None:
        """Return the key of an earlier input that says the same, if there is one."""
        known = self._by_digest.get(item.get("sha256", ""))
        if known is not None and _without_use(known[0]) == _without_use(item):
            return known[1]
        return None

    def _add(
        self,
        item: JSONDict,
        place: str,
        side: _Side,
        *,
        is_extended: bool,
        at: datetime | None = None,
    ) -> None:
        """Add the entity that `item` is, with its members; `at` is when it was generated."""
        kind = _VALUE if "value" in item else _DATASET
        if "kind" in item:
            kind = _KIND[item["kind"]]
        elif "members" in item:
            kind = EntityKind.COLLECTION
        product_ids: tuple[str, ...] = ()
        if "product_id" in item:
            product_ids = (_product_id(item["product_id"]),)
        elif kind is _VALUE and not _IDENTIFIERS & (item.keys() - {"value"}):
            # a value is its activity's: the same in every document that tells of the activity
            words = (
                side.activity.key,
                "generated" if side.is_output else "used",
                item.get("role") or "",
                item["name"],
                _text_of(item["value"]),
            )
            product_ids = (f"urn:uuid:{uuid_of('value', *words)}",)
        self.entities.append(
            Entity(
                key=place,
                kind=kind,
                name=cleaned(item.get("name")),
                digests=_digests(item, place),
                product_ids=product_ids,
                locations=_locations(item, side.host),
                size_bytes=_size(item, place),
                content_type=cleaned(item.get("content_type")),
                value=_text_of(item["value"]) if "value" in item else None,
                generated_at=at,
                comment=cleaned(item.get("comment")),
                attributes=_attributes(item, place, is_extended=is_extended),
            )
        )
        role = cleaned(item.get("role"))
        for number, member in enumerate(item.get("members", ())):
            inner = f"{place}/members/{number}"
            self._add_member(member, inner, side, role)
            self.members.append(HadMember(collection=place, member=inner))

    def _add_member(
        self, item: Any, place: str, side: _Side, role: str | None
    ) -> None:  # Any: a JSON value
        """Add a member of a collection.

        Using a collection is using its members; generating it is generating those of its members
        that had not been written before.
        """
        is_extended = _check(item, place)
        activity = side.activity
        if not side.is_output:
            self._add(item, place, side, is_extended=is_extended)
            at = check_instant(item["at"], f"{place}/at") if "at" in item else None
            self.used.append(Used(activity=activity.key, entity=place, role=role, at=at))
        elif _is_older(item, activity, place):
            self._add(item, place, side, is_extended=is_extended)
        else:
            at = _generated_at(item, activity, place)
            self._add(item, place, side, is_extended=is_extended, at=at)
            self.generated.append(
                WasGeneratedBy(entity=place, activity=activity.key, role=role, at=at)
            )


def _plain_file(
    item: Any,
    place: str,
    activity: Activity | None,  # Any: a JSON value
) -> Entity | None:
    """Return the entity of a file as capture writes it, which nearly all are; else None.

    All that `_check` asks is asked here too, in one go; what fails is looked at again there, for
    the error. `activity` is the one that generated the file, None for an input.
    """
    if type(item) is not dict or not item.keys() <= _PLAIN or "url" not in item:
        return None
    url = item["url"]
    sha256 = item.get("sha256")
    modified_at = item.get("modified_at", "")
    size = item.get("size_bytes", 0)
    is_plain = (
        type(url) is str
        and type(size) is int
        and type(modified_at) is str
        and type(item.get("role", "")) is str
        and type(item.get("at", "")) is str
        and 0 <= size < _MAX_SIZE
        and _CANONICAL.fullmatch(url) is not None
        and (type(sha256) is str and _LOWER_SHA256.fullmatch(sha256) is not None)
    )
    if not is_plain:
        return None
    if activity is None and "modified_at" in item:
        check_instant(modified_at, f"{place}/modified_at")
    return Entity(
        key=place,
        digests=(f"sha256:{sha256}",),
        locations=(url,),
        size_bytes=size if "size_bytes" in item else None,
        generated_at=_generated_at(item, activity, place) if activity else None,
        attributes={"modified_at": modified_at} if "modified_at" in item else {},
    )


def _check(item: Any, pointer: str) -> bool:  # Any: a JSON value
    """Check one input or output; return whether it has fields that are not ours."""
    if type(item) is not dict:
        fail(pointer, "an object", item)
    is_extended = check_types(item, FLOW, pointer)
    if _IDENTIFIERS.isdisjoint(item):
        names = ", ".join(sorted(_IDENTIFIERS))
        fail(pointer, f"an object with one of the fields {names}", item)
    if "url" in item and _PLACE.match(item["url"]) is None:
        fail(f"{pointer}/url", "an absolute path or URI", item["url"])
    if "value" in item and item.get("name") is None:
        fail(pointer, "a value with its name", item)
    if "kind" in item and item["kind"] not in _KIND:
        fail(f"{pointer}/kind", "one of collection, dataset, value", item["kind"])
    if "product_id" in item and not item["product_id"]:
        fail(f"{pointer}/product_id", "a string that is not empty", "")
    if "lfn" in item and (item["lfn"][:4].lower() != "lfn:" or len(item["lfn"]) == 4):
        fail(f"{pointer}/lfn", "a logical file name lfn:/vo/…", item["lfn"])
    if "locations" in item:
        _check_locations(item["locations"], f"{pointer}/locations")
    return is_extended


def _check_locations(locations: list[Any], pointer: str) -> None:  # Any: JSON values
    if not locations:
        fail(pointer, "a list that is not empty", locations)
    for number, place in enumerate(locations):
        if type(place) is not str or _PLACE.match(place) is None:
            fail(f"{pointer}/{number}", "an absolute path or URI", place)


def _without_use(item: JSONDict) -> JSONDict:
    return {key: value for key, value in item.items() if key not in _OF_THE_USE}


def _generated_at(item: JSONDict, activity: Activity, pointer: str) -> datetime | None:
    """Return when the output was complete: as stated; when it was last written, if that lies
    inside the activity (clocks of file servers differ); else when the activity ended.
    """
    if "at" in item:
        return check_instant(item["at"], f"{pointer}/at")
    ended_at = activity.ended_at
    if "modified_at" in item:
        modified_at = check_instant(item["modified_at"], f"{pointer}/modified_at")
        started_at = activity.started_at
        if started_at and started_at <= modified_at and (not ended_at or modified_at <= ended_at):
            return modified_at
    return ended_at


def _is_older(item: JSONDict, activity: Activity, pointer: str) -> bool:
    """Whether a file was last written before the activity began."""
    if "modified_at" not in item or activity.started_at is None:
        return False
    return check_instant(item["modified_at"], f"{pointer}/modified_at") < activity.started_at


def _digests(item: JSONDict, pointer: str) -> tuple[str, ...]:
    sha256 = item.get("sha256")
    if sha256 is not None and _SHA256.fullmatch(sha256) is None:
        fail(f"{pointer}/sha256", "64 hexadecimal digits", sha256)
    if "digests" not in item:
        return () if sha256 is None else (f"sha256:{sha256.lower()}",)
    found = {} if sha256 is None else {"sha256": sha256.lower()}
    if not item["digests"]:
        fail(f"{pointer}/digests", "an object that is not empty", item["digests"])
    for algorithm, digest in item["digests"].items():
        if _ALGORITHM.fullmatch(algorithm) is None:
            fail(f"{pointer}/digests", "names of algorithms in lower case", algorithm)
        if type(digest) is not str or _HEXADECIMAL.fullmatch(digest) is None:
            fail(f"{pointer}/digests/{algorithm}", "hexadecimal digits", digest)
        found.setdefault(algorithm, digest.lower())
    return tuple(f"{algorithm}:{digest}" for algorithm, digest in found.items())


def _locations(item: JSONDict, host: str | None) -> tuple[str, ...]:
    """Return the absolute URIs, the strongest first: LFNs, then URLs, then files of a machine."""
    url = item.get("url")
    if url is not None and "lfn" not in item and "locations" not in item:
        return (url if _CANONICAL.fullmatch(url) else clean(absolute_uri(url, host=host)),)
    places = [item[key] for key in ("lfn", "url") if key in item] + item.get("locations", [])
    found = dict.fromkeys(clean(absolute_uri(place, host=host)) for place in places)
    return tuple(sorted(found, key=_weakness))


def _weakness(uri: str) -> int:
    return 0 if uri.startswith("lfn:") else (2 if uri.startswith("file:") else 1)


def _size(item: JSONDict, pointer: str) -> int | None:
    if "size_bytes" not in item:
        return None
    size = item["size_bytes"]
    if not 0 <= size < _MAX_SIZE:
        fail(f"{pointer}/size_bytes", "an integer of 63 bits, not below 0", size)
    return int(size)


def _product_id(text: str) -> str:
    uuid = parse_uuid(text)
    return clean(text) if uuid is None else f"urn:uuid:{uuid}"


def _text_of(value: Any) -> str:  # Any: a JSON value
    if isinstance(value, str):
        return clean(value)
    return json.dumps(clean_json(value), ensure_ascii=False, sort_keys=True)


def _attributes(item: JSONDict, pointer: str, *, is_extended: bool) -> JSONDict:
    attributes: JSONDict = {}
    if "modified_at" in item:
        check_instant(item["modified_at"], f"{pointer}/modified_at")
        attributes["modified_at"] = item["modified_at"]
    if is_extended:
        attributes.update({key: item[key] for key in item if key not in FLOW})
    return attributes
