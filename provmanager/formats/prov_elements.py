"""Elements of a W3C PROV document (activity, entity, agent) as classes of the model."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prov.identifier import QualifiedName
from prov.model import Literal, parse_xsd_datetime

from provmanager import ids
from provmanager.model import (
    Activity,
    Agent,
    AgentKind,
    Entity,
    EntityKind,
    Status,
)

from . import prov_terms as terms
from .note_book import NoteBook
from .prov_surroundings import CALLED, called_fields

JSONScalar = str | int | float | bool
JSONObject = dict[str, JSONScalar | list[JSONScalar]]

_TYPE = terms.PROV + "type"
_LABEL = terms.PROV + "label"
_STARTED = terms.PROV + "startTime"
_ENDED = terms.PROV + "endTime"
_NAMES = (
    _LABEL,
    terms.PROV + "name",  # voprov
    terms.VOPROV + "name",
    terms.FOAF + "name",
    terms.SCHEMA + "name",
    terms.CWLPROV + "basename",
)
_VALUES = (terms.PROV + "value", terms.VOPROV + "value")
_COMMENTS = tuple(ns + "comment" for ns in (terms.VOPROV, terms.PROV, terms.RDFS))
_LOCATIONS = (
    terms.PROV + "location",
    terms.VOPROV + "location",
    "param:filepath",  # lstosa
)
_GENERATED_AT = (terms.PROV + "generatedAtTime", terms.VOPROV + "generatedAtTime")
_INVALIDATED_AT = (terms.PROV + "invalidatedAtTime", terms.VOPROV + "invalidatedAtTime")
_VALUE_KINDS = {terms.VOPROV + name for name in ("ValueEntity", "Parameter")}
_COLLECTION_KINDS = {
    ns + name
    for ns in (terms.PROV, terms.VOPROV)
    for name in ("Collection", "EmptyCollection", "Dictionary", "EmptyDictionary")
}


@dataclass(slots=True)
class Described:
    """All that a document says of one identifier as an element of one kind.

    Attributes
    ----------
    key : str
        Absolute IRI, or one within the document where the identifier is the document's own.
    is_local : bool
        Whether the identifier means nothing outside its document.
    pairs : list of (name, value)
        Attributes of all its declarations; values as `prov` holds them.
    started, ended, generated, invalidated : list of datetime
        Instants that relations give.
    """

    name: QualifiedName
    key: str
    is_local: bool
    is_declared: bool = False
    is_collection: bool = False
    pairs: list[tuple[QualifiedName, object]] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    started: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)
    generated: list[datetime] = field(default_factory=list)
    invalidated: list[datetime] = field(default_factory=list)
    _known: set[tuple[QualifiedName, type, object]] = field(default_factory=set)

    def add(self, pairs: Iterable[tuple[QualifiedName, object]]) -> None:
        """Take the attributes of one declaration; what is known already adds nothing."""
        for name, value in pairs:
            key = (name, type(value), value)
            if key not in self._known:
                self._known.add(key)
                self.pairs.append((name, value))

    @property
    def types(self) -> list[object]:
        """The values of ``prov:type``, in order."""
        return self.values(_TYPE)

    @property
    def type_iris(self) -> set[str]:
        """The IRIs of those types that are qualified names."""
        return {value.uri for value in self.types if isinstance(value, QualifiedName)}

    def values(self, *iris: str) -> list[object]:
        """Return the values of the attributes `iris`, those of the first one first."""
        return [value for iri in iris for name, value in self.pairs if name.uri == iri]

    def text(self, *iris: str) -> str | None:
        """Return the text of the first of `values`, or None."""
        return next((text_of(value) for value in self.values(*iris)), None)

    def attributes(self, *left_out: str) -> JSONObject:
        """Return the attributes as JSON, those named `left_out` apart."""
        found: dict[str, dict[tuple[type, JSONScalar], JSONScalar]] = {}
        for name, value in self.pairs:
            if name.uri not in left_out:
                plain = value if isinstance(value, str | int | float) else text_of(value)
                found.setdefault(str(name), {})[type(plain), plain] = plain
        listed = {name: list(values.values()) for name, values in found.items()}
        return {name: v[0] if len(v) == 1 else v for name, v in listed.items()}


def text_of(value: object) -> str:
    """Return the text of an attribute's value: a name as ``prefix:local``, a literal's own text.

    NUL characters and lone surrogates, which no database text holds, become U+FFFD.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    text: str = ids.clean_json(value.value if isinstance(value, Literal) else str(value))
    return text


def element_key(name: QualifiedName, document_digest: str) -> tuple[str, bool]:
    """Return the identity of the element called `name`, and whether it is the document's own."""
    if terms.is_global(name.uri):
        return name.uri, False
    return f"urn:sha256:{document_digest}#{name}", True


class Clock:
    """Instants as aware UTC; those without a zone are taken as UTC, and noted once."""

    def __init__(self, notes: NoteBook) -> None:
        self._notes = notes
        self._has_noted = False

    def utc(self, instant: datetime) -> datetime | None:
        """Return `instant` in UTC, or None where it lies outside the years 1 to 9999."""
        if instant.tzinfo is None:
            if not self._has_noted:
                self._has_noted = True
                self._notes.add(
                    "no-time-zone",
                    f"times without a zone, such as {instant.isoformat()}, are taken as UTC",
                )
            return instant.replace(tzinfo=UTC)
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            self._notes.add("time-out-of-range", f"{instant.isoformat()} is left out")
            return None

    def instants(self, values: Iterable[object]) -> list[tuple[datetime, str]]:
        """Return those of `values` that are instants or texts of some, with their texts, sorted."""
        found = []
        for value in values:
            parsed = value if isinstance(value, datetime) else parse_xsd_datetime(text_of(value))
            instant = None if parsed is None else self.utc(parsed)
            if instant is not None:
                found.append((instant, text_of(value)))
        return sorted(found)

    def earliest(self, values: Iterable[object]) -> datetime | None:
        """Return the first of the instants among `values`, or None."""
        return next((instant for instant, _ in self.instants(values)), None)


def activity_of(element: Described, clock: Clock, notes: NoteBook) -> Activity:
    """Return the activity that `element` describes."""
    starts = element.values(_STARTED)
    ends = element.values(_ENDED)
    if len(set(starts)) > 1 or len(set(ends)) > 1:
        notes.add(
            "conflicting-times",
            f"the activity {element.name} has several start or end times; the earliest start and"
            " the latest end are taken",
        )
    started = clock.instants(starts or element.started)
    ended = clock.instants(ends or element.ended)
    status = element.text(terms.TERMS + "status")
    exit_code = element.text(terms.TERMS + "exitCode")
    name = element.text(*_NAMES) or element.name.localpart or element.key
    consumed = [_STARTED, _ENDED, *CALLED]
    consumed += [terms.TERMS + t for t in ("status", "exitCode", "isClaim")]
    called = called_fields({iri.removeprefix(terms.TERMS): element.text(iri) for iri in CALLED})
    iri = element.text(terms.TERMS + "iri")
    if len(element.values(_LABEL)) == 1:
        consumed.append(_LABEL)
    return Activity(
        key=element.key,
        uuid=ids.activity_uuid(element.key),
        iri=iri if ids.parse_uuid(element.key) else element.key,
        name=name,
        version=element.text(terms.TERMS + "version", terms.VOPROV + "version"),
        type=element.text(terms.TERMS + "type")
        or next((text_of(value) for value in element.types), None),
        comment=element.text(*_COMMENTS),
        status=Status(status) if status in set(Status) else Status.UNKNOWN,
        status_raw=status,
        exit_code=_integer(exit_code, -(2**31), 2**31 - 1),
        started_at=started[0][0] if started else None,
        ended_at=ended[-1][0] if ended else None,
        started_raw=started[0][1] if started else None,
        ended_raw=ended[-1][1] if ended else None,
        host={"name": host} if (host := element.text(terms.TERMS + "host")) else None,
        attributes=ids.clean_json(element.attributes(*consumed)),
        is_claim=element.text(terms.TERMS + "isClaim") == "true",
        **called,
    )


def entity_of(element: Described, clock: Clock) -> Entity:
    """Return the entity that `element` describes."""
    digests, products, locations = _identities(element)
    values = element.values(*_VALUES)
    consumed = [terms.TERMS + t for t in ("digest", "sizeBytes", "productId", "contentType")]
    if len(element.values(_LABEL)) == 1:
        consumed.append(_LABEL)
    if len(values) == 1:
        consumed.extend(_VALUES)
    return Entity(
        key=element.key,
        kind=_kind(element, has_value=bool(values)),
        name=element.text(*_NAMES) or element.name.localpart or element.key,
        digests=digests,
        product_ids=products,
        locations=locations,
        is_unnamed=element.is_local and not (digests or products or locations),
        size_bytes=_integer(element.text(terms.TERMS + "sizeBytes"), 0, 2**63 - 1),
        content_type=element.text(terms.TERMS + "contentType", "param:contentType"),
        value=text_of(values[0]) if values else None,
        generated_at=clock.earliest(element.generated or element.values(*_GENERATED_AT)),
        invalidated_at=clock.earliest(element.invalidated or element.values(*_INVALIDATED_AT)),
        comment=element.text(*_COMMENTS),
        attributes=ids.clean_json(element.attributes(*consumed)),
    )


def agent_of(element: Described) -> Agent:
    """Return the agent that `element` describes."""
    kinds = {terms.local_name(iri) for iri in element.type_iris}
    email = element.text(*_in("email", terms.VOPROV, terms.SCHEMA), terms.FOAF + "mbox")
    return Agent(
        key=element.key,
        iri=element.key,
        name=element.text(*_NAMES) or element.name.localpart or element.key,
        kind=next((kind for kind in AgentKind if kind.value in kinds), None),
        email=email.removeprefix("mailto:") if email else None,
        affiliation=element.text(*_in("affiliation", terms.VOPROV, terms.SCHEMA)),
        phone=element.text(terms.VOPROV + "phone", terms.SCHEMA + "telephone"),
        address=element.text(*_in("address", terms.VOPROV, terms.SCHEMA)),
        url=element.text(*_in("url", terms.VOPROV, terms.SCHEMA), terms.FOAF + "homepage"),
        comment=element.text(*_COMMENTS),
        attributes=ids.clean_json(element.attributes(_LABEL)),
    )


def _identities(
    element: Described,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the digests, product ids and locations of an entity."""
    digests = set(element.digests)
    products: list[str] = []
    locations: list[str] = []
    if not element.is_local:
        digest, location = terms.digest_of_iri(element.key), terms.location_of_iri(element.key)
        if digest:
            digests.add(digest)
        elif location:
            locations.append(location)
        else:
            products.append(element.key)
    for value in element.values(terms.TERMS + "digest"):
        stated = terms.parse_digest(text_of(value))
        if stated:
            digests.add(stated)
    products.extend(text_of(value) for value in element.values(terms.TERMS + "productId"))
    for value in element.values(*_LOCATIONS):
        place = terms.location_of_value(text_of(value))
        if place:
            locations.append(place)
    return terms.sorted_digests(digests), _unique(products), _unique(locations)


def _kind(element: Described, *, has_value: bool) -> EntityKind:
    types = element.type_iris
    if element.is_collection or types & _COLLECTION_KINDS:
        return EntityKind.COLLECTION
    if has_value or types & _VALUE_KINDS:
        return EntityKind.VALUE
    return EntityKind.DATASET


def _integer(text: str | None, lowest: int, highest: int) -> int | None:
    try:
        number = None if text is None else int(text)
    except ValueError:
        return None
    return number if number is None or lowest <= number <= highest else None


def _in(name: str, *namespaces: str) -> tuple[str, ...]:
    return tuple(namespace + name for namespace in namespaces)


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
