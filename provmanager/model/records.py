"""The classes and relations of W3C PROV-DM and IVOA ProvenanceDM 1.0, as a document states them.

A reader turns a document into one `Document` of these. Inside a document, things are named by
document-local **keys** (any string, unique among the entities, the activities or the agents of the
document); what they are in the record is decided at ingest from their identifiers
(docs/identity.md). Instants are aware UTC `datetime`; digests are ``"algorithm:hexadecimal"``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from .descriptions import DescriptionDocument

JSONDict = Mapping[str, Any]  # Any: free-form JSON


class Status(StrEnum):
    """How an activity ended; the raw word of the document is kept beside it."""

    COMPLETED = "completed"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the activity is over."""
        return self in (Status.COMPLETED, Status.ERROR, Status.INTERRUPTED)


class EntityKind(StrEnum):
    """The classes of Entity of IVOA ProvenanceDM 1.0 §2.1; a plain Entity is a dataset to us."""

    DATASET = "dataset"
    VALUE = "value"
    COLLECTION = "collection"


class AgentKind(StrEnum):
    """AgentType of IVOA ProvenanceDM 1.0 §2.4."""

    PERSON = "Person"
    ORGANIZATION = "Organization"
    SOFTWARE_AGENT = "SoftwareAgent"


class InformKind(StrEnum):
    """What a wasInformedBy says: that one ran inside the other, or that something passed."""

    PART_OF = "part-of"
    DATA_FLOW = "data-flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One run of a tool, a job or a workflow.

    Attributes
    ----------
    key : str
        Name inside the document.
    uuid : UUID
        Identity in the record.
    iri : str or None
        The identifier as the document gave it, where that is not the UUID.
    version : str or None
        Version of the software that ran, as the tool names it.
    status_raw : str or None
        The document's own word; ctapipe's context manager writes the activity's name here.
    started_raw, ended_raw : str or None
        The clock's text as it stood in the document.
    environment : JSON object or None
        What is the same for all jobs of a production: ``{"python": {…}, "packages":
        [{"name", "version"}], "variables": {…}, …}``; no host, no argv, no times. Stored once.
    host : JSON object or None
        ``{"name": …, "system", "release", "machine", "n_cpus", …}``.
    container, job : JSON object or None
        Container image; grid or batch job (``{"system": "DIRAC", "id": …, "site": …}``).
    configuration : JSON object or None
        Nested parameters, as the tool wrote them.
    arguments : tuple of str or None
        The command line (argv).
    attributes : JSON object
        Everything else that the document said of it.
    is_claim : bool
        True for an activity that only another document's metadata names.
    """

    key: str
    uuid: UUID
    iri: str | None = None
    name: str | None = None
    version: str | None = None
    type: str | None = None
    comment: str | None = None
    status: Status = Status.UNKNOWN
    status_raw: str | None = None
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    started_raw: str | None = None
    ended_raw: str | None = None
    environment: JSONDict | None = None
    host: JSONDict | None = None
    container: JSONDict | None = None
    job: JSONDict | None = None
    configuration: JSONDict | None = None
    arguments: tuple[str, ...] | None = None
    executable: str | None = None
    directory: str | None = None
    attributes: JSONDict = field(default_factory=dict)
    is_claim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerClaim:
    """What a product's own metadata says of the activity that made it; often stale, never proof."""

    uuid: UUID
    name: str | None = None
    version: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One mention of a data set, value or collection, with what may identify it.

    Attributes
    ----------
    key : str
        Name inside the document.
    digests : tuple of str
        Content digests, ``"sha256:…"`` first where there is one.
    product_ids : tuple of str
        Genuine identifiers of the product: a CTA/CTAO PRODUCT ID (``"urn:uuid:…"``), DIRAC GUID
        (``"guid:…"``), ivoid, DOI, or the absolute IRI of a PROV document. Readers leave out
        fabricated ones.
    locations : tuple of str
        Absolute URIs, the strongest first: ``lfn:/vo/…``, ``https://…``, ``file://host/path``.
    is_unnamed : bool
        True where the document gave only a name of its own (a blank node): the entity is that
        document's alone.
    producer : ProducerClaim or None
        The activity that the product's metadata names.
    """

    key: str
    kind: EntityKind = EntityKind.DATASET
    name: str | None = None
    digests: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    is_unnamed: bool = False
    size_bytes: int | None = None
    content_type: str | None = None
    value: str | None = None
    generated_at: datetime | None = None
    invalidated_at: datetime | None = None
    comment: str | None = None
    producer: ProducerClaim | None = None
    attributes: JSONDict = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A person, organisation or software that bears responsibility; `iri` is its identity."""

    key: str
    iri: str
    name: str
    kind: AgentKind | None = None
    email: str | None = None
    affiliation: str | None = None
    phone: str | None = None
    address: str | None = None
    url: str | None = None
    comment: str | None = None
    attributes: JSONDict = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Activity `activity` used entity `entity` in `role` (keys)."""

    activity: str
    entity: str
    role: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WasGeneratedBy:
    """Entity `entity` was generated by activity `activity` in `role` (keys)."""

    entity: str
    activity: str
    role: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WasInformedBy:
    """Activity `informed` was informed by activity `informant` (keys)."""

    informed: str
    informant: str
    kind: InformKind = InformKind.DATA_FLOW
    rule: str = "stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class WasDerivedFrom:
    """Entity `derived` was derived from entity `source` (keys)."""

    derived: str
    source: str
    rule: str = "stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class HadMember:
    """Collection `collection` had the member `member` (entity keys)."""

    collection: str
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WasAssociatedWith:
    """Activity `activity` was associated with agent `agent` in `role` (keys)."""

    activity: str
    agent: str
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WasAttributedTo:
    """Entity `entity` was attributed to agent `agent` in `role` (keys)."""

    entity: str
    agent: str
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One record of a W3C PROV document, whole, so that the document can be made again.

    Attributes
    ----------
    bundle : str or None
        Identifier of the bundle in which it stands; None for the document itself.
    type : str
        PROV-DM type, such as ``Entity`` or ``Generation``.
    identifier : str or None
        Qualified name as written, where the record has one.
    attributes : list of [name, value]
        In order; a value is a JSON scalar or ``{"$": …, "type": …, "lang": …}``.
    """

    bundle: str | None
    type: str
    identifier: str | None
    attributes: tuple[tuple[str, Any], ...]  # Any: JSON scalar or typed literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that the reader found and handled, which a person may want to know."""

    code: str
    message: str
    pointer: str | None = None


class AssessmentKind(StrEnum):
    """What an assessment is."""

    INVALIDATION = "invalidation"
    REVOCATION = "revocation"
    VERIFICATION = "verification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What somebody said of recorded products afterwards.

    Attributes
    ----------
    entities : tuple of (UUID, str or None)
        The products, and of a verification what came of it: ok, differs, missing, unknown.
    revokes : UUID or None
        Of a revocation: the invalidation that holds no more.
    """

    uuid: UUID
    kind: AssessmentKind
    at: datetime
    reason: str | None
    agent_iri: str | None
    agent_name: str | None
    revokes: UUID | None
    entities: tuple[tuple[UUID, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that one document states.

    Attributes
    ----------
    format : str
        Name of the format that was detected, such as ``ctapipe``.
    reason : str
        Why it was taken for that.
    namespaces : mapping of str to str
        Prefixes of a W3C PROV document (bundle-local ones as ``"bundle prefix"``).
    """

    format: str
    reason: str
    activities: tuple[Activity, ...] = ()
    entities: tuple[Entity, ...] = ()
    agents: tuple[Agent, ...] = ()
    used: tuple[Used, ...] = ()
    generated: tuple[WasGeneratedBy, ...] = ()
    informed: tuple[WasInformedBy, ...] = ()
    derived: tuple[WasDerivedFrom, ...] = ()
    members: tuple[HadMember, ...] = ()
    associated: tuple[WasAssociatedWith, ...] = ()
    attributed: tuple[WasAttributedTo, ...] = ()
    statements: tuple[Statement, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    descriptions: DescriptionDocument | None = None
