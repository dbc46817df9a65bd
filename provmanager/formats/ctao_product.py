"""CTAO's data product metadata: what one product says of itself and of the activity that made it.

Three forms: the JSON of `Product` (ctao-datamodel, metadata versions 1.0.0 to 2.1.0), the same as
cards of a FITS header, and the flat ``CTA …`` keys of ctapipe's HDF5 files. The activity is only
a claim: headers are copied from input to output by some tools, so that the activity they name may
be an earlier one. A product id counts only where an activity is named beside it; ctao-datamodel
makes one up for a product without, at each reading.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import DocumentError
from ..ids import clean_json, parse_uuid
from ..model import (
    Activity,
    Agent,
    AgentKind,
    Document,
    Entity,
    Used,
    WasAttributedTo,
    WasGeneratedBy,
)
from .cta_reference import PRODUCT_ID, read_reference
from .ctao_keywords import marker_of, product_of
from .fits_header import Value
from .instants import parse_instant
from .json_fields import MISSING, JSONObject, child, list_at, object_at, text_at, wrong
from .json_stream import JsonStream
from .locations import absolute_uri, split_location
from .note_book import NoteBook

FORMAT = "ctao-product"

_OTHER_KEYS = frozenset(("ctao_metadata_version", "contact", "curation", "model", "creation_time"))
_MAPPED = frozenset(("description", "creation_time", "contact", "activity"))
_MAPPED_ACTIVITY = frozenset(
    ("process", "name", "description", "id", "start", "end", "configuration_id", "inputs")
)
_UNKNOWN = frozenset(("", "unknown"))


class _Found:
    """What is read so far."""

    def __init__(self, notes: NoteBook) -> None:
        self.notes = notes
        self.activities: dict[str, Activity] = {}
        self.entities: list[Entity] = []
        self.agents: dict[str, Agent] = {}
        self.used: list[Used] = []
        self.generated: list[WasGeneratedBy] = []
        self.attributed: list[WasAttributedTo] = []

    def to_document(self, reason: str) -> Document:
        return Document(
            format=FORMAT,
            reason=reason,
            activities=tuple(self.activities.values()),
            entities=tuple(self.entities),
            agents=tuple(self.agents.values()),
            used=tuple(dict.fromkeys(self.used)),
            generated=tuple(self.generated),
            attributed=tuple(self.attributed),
            notes=self.notes.to_tuple(),
        )


def matches(values: list[Any]) -> str | None:  # Any: free-form JSON
    """Return why `values` are products, or None."""
    for _, value in _products(values):
        if not isinstance(value, dict):
            continue
        if PRODUCT_ID in value:
            return f'JSON object with "{PRODUCT_ID}"'
        is_product = isinstance(value.get("instance"), dict) and isinstance(value.get("data"), dict)
        if is_product and _OTHER_KEYS & value.keys():
            return 'JSON object with "instance" and "data" of CTAO\'s Product'
    return None


def matches_header(header: dict[str, Value]) -> str | None:
    """Return why the FITS `header` describes a product, or None."""
    marker = marker_of(header)
    return f"FITS header with {marker}" if marker else None


def read_products(stream: JsonStream, *, reason: str, name: str | None) -> Document:
    """Return what the products of `stream` state; `name` is the file that was looked into.

    Raises
    ------
    DocumentError
        A field is not as the schema has it (``pointer``, ``expected``, ``found``).
    """
    found = _Found(NoteBook(stream.notes))
    for pointer, value in _products(stream.values):
        if not isinstance(value, dict):
            raise wrong(pointer, "a product (an object)", value)
        product = clean_json(value) if stream.needs_cleaning else value
        read_one = _read_flat if PRODUCT_ID in product else _read_product
        read_one(product, pointer, name, found)
    return found.to_document(reason)


def read_header(header: dict[str, Value], *, reason: str, name: str | None) -> Document:
    """Return what the FITS `header` states; places in errors are those of the JSON form."""
    found = _Found(NoteBook())
    header = clean_json(header)
    if header.get(PRODUCT_ID):
        flat = {key: value for key, value in header.items() if key.startswith("CTA ")}
        _read_flat(flat, "", name, found)
    else:
        _read_product(product_of(header), "", name, found)
    return found.to_document(reason)


def _products(values: list[Any]) -> list[tuple[str, Any]]:
    found = []
    for index, value in enumerate(values):
        if isinstance(value, list):
            found += [(child("", index, place), item) for place, item in enumerate(value)]
        else:
            found.append((child("", index), value))
    return found


def _read_product(product: JSONObject, pointer: str, name: str | None, found: _Found) -> None:
    instance = object_at(product, "instance", pointer)
    instance_pointer = child(pointer, "instance")
    product_id = _urn(instance, "id", instance_pointer)
    activity = object_at(product, "activity", pointer)
    if not activity:
        found.notes.add(
            "no-activity",
            "the product names no activity: its id may have been made up at reading and does not "
            "identify it",
            child(pointer, "activity"),
        )
    key = f"product{pointer}"
    generated_at = _instant(product, "creation_time", pointer)
    found.entities.append(
        Entity(
            key=key,
            name=split_location(name)[1] if name else None,
            product_ids=(product_id,) if product_id and activity else (),
            is_unnamed=not (product_id and activity),
            generated_at=generated_at,
            comment=text_at(product, "description", pointer),
            attributes={k: v for k, v in product.items() if k not in _MAPPED},
        )
    )
    _attribute(object_at(product, "contact", pointer), key, child(pointer, "contact"), found)
    if activity:
        _read_activity(activity, key, child(pointer, "activity"), found)


def _read_activity(activity: JSONObject, product: str, pointer: str, found: _Found) -> None:
    raw = activity.get("id", MISSING)
    uuid = parse_uuid(raw) if isinstance(raw, str) else None
    if uuid is None:
        raise wrong(child(pointer, "id"), "the UUID of the activity", raw)
    started_at = _instant(activity, "start", pointer)
    ended_at = _instant(activity, "end", pointer)
    if started_at and ended_at and ended_at < started_at:
        raise DocumentError(
            f"{child(pointer, 'end')}: the activity ends at {ended_at}, before it starts at "
            f"{started_at}",
            pointer=child(pointer, "end"),
            expected=f"a time at or after {started_at}",
            found=str(ended_at),
        )
    software = object_at(activity, "software", pointer)
    configuration = text_at(activity, "configuration_id", pointer)
    key = str(uuid)
    found.activities[key] = Activity(
        key=key,
        uuid=uuid,
        name=text_at(activity, "name", pointer),
        version=text_at(software, "version", child(pointer, "software")),
        type=text_at(activity, "process", pointer),
        comment=text_at(activity, "description", pointer),
        started_at=started_at,
        ended_at=ended_at,
        started_raw=_raw(activity, "start"),
        ended_raw=_raw(activity, "end"),
        configuration={"configuration_id": configuration} if configuration else None,
        attributes={k: v for k, v in activity.items() if k not in _MAPPED_ACTIVITY and v},
        is_claim=True,
    )
    found.generated.append(WasGeneratedBy(entity=product, activity=key))
    for index, entry in enumerate(list_at(activity, "inputs", pointer)):
        place = child(pointer, "inputs", index)
        if not isinstance(entry, dict):
            raise wrong(place, "an object with uri and role", entry)
        entity = _input(entry, f"{key}/input{place}", place)
        found.entities.append(entity)
        found.used.append(
            Used(activity=key, entity=entity.key, role=text_at(entry, "role", place) or None)
        )


def _input(entry: JSONObject, key: str, pointer: str) -> Entity:
    uri = text_at(entry, "uri", pointer) or ""
    product_id = _urn(entry, "id", pointer)
    try:
        # file://myfile.fits.gz, an example of the schema, is a name and no location
        is_name = uri.startswith("file://") and urlsplit(uri).path in ("", "/")
        location = absolute_uri(uri) if uri and not is_name else None
    except ValueError as error:
        raise wrong(child(pointer, "uri"), "a URI", uri, advice=str(error)) from error
    return Entity(
        key=key,
        name=split_location(uri.removeprefix("file://"))[1] or None,
        product_ids=(product_id,) if product_id else (),
        locations=(location,) if location else (),
        is_unnamed=not (product_id or location),
        attributes={k: v for k, v in entry.items() if k not in ("uri", "role", "id")},
    )


def _read_flat(metadata: JSONObject, pointer: str, name: str | None, found: _Found) -> None:
    """Read the flat keys; who made the product is kept as a claim on it, for it is often stale."""
    reference = read_reference(metadata)
    if reference.is_fabricated:
        message = "no activity beside the product id, which was made up at reading: ignored"
        found.notes.add("fabricated-product-id", message, child(pointer, PRODUCT_ID))
    key = f"product{pointer}"
    comment = metadata.get("CTA PRODUCT DESCRIPTION")
    found.entities.append(
        Entity(
            key=key,
            name=split_location(name)[1] if name else None,
            product_ids=(reference.product_id,) if reference.product_id else (),
            is_unnamed=reference.product_id is None,
            generated_at=reference.created_at,
            comment=comment if isinstance(comment, str) else None,
            producer=reference.producer,
            attributes={"reference_meta": metadata},
        )
    )
    contact = {
        field: metadata.get(f"CTA CONTACT {field.upper()}")
        for field in ("name", "organization", "email")
    }
    _attribute(contact, key, pointer, found)


def _attribute(contact: JSONObject, entity: str, pointer: str, found: _Found) -> None:
    """Attribute the product to its contact; ctapipe writes ``unknown`` for what it was not told."""
    texts = {
        field: text_at(contact, field, pointer) or "" for field in ("name", "organization", "email")
    }
    name, organization, email = (
        "" if text.strip().lower() in _UNKNOWN else text.strip() for text in texts.values()
    )
    if not name and not organization:
        return
    iri = f"mailto:{email}"
    if not email:
        iri = f"urn:provmanager:contact:{_quoted(organization)}:{_quoted(name)}"
    found.agents[iri] = Agent(
        key=iri,
        iri=iri,
        name=name or organization,
        kind=AgentKind.PERSON if name else AgentKind.ORGANIZATION,
        email=email or None,
        affiliation=organization or None,
    )
    found.attributed.append(WasAttributedTo(entity=entity, agent=iri, role="Contact"))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="-._~")


def _urn(parent: JSONObject, key: str, pointer: str) -> str | None:
    text = text_at(parent, key, pointer)
    if not text:
        return None
    uuid = parse_uuid(text)
    if uuid is None:
        raise wrong(child(pointer, key), "a UUID", text)
    return f"urn:uuid:{uuid}"


def _raw(parent: JSONObject, key: str) -> str | None:
    value = parent.get(key)
    return None if value is None else str(value)


def _instant(parent: JSONObject, key: str, pointer: str) -> datetime | None:
    """Return the time of `key`: ISO 8601 text, or a number of seconds since 1970 (UTC)."""
    value = parent.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return parse_instant(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise wrong(child(pointer, key), "a time", value) from error
    raise wrong(child(pointer, key), "a time", value)
