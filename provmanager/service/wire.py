"""Wire models: what crosses HTTP; `provmanager.client.wire` has the client's view of it."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from provmanager.errors import JSONDict
from provmanager.logic.ingest import Outcome

Basis = Literal["stated", "inferred", "claimed"]


class Wire(BaseModel):
    """Common settings: attribute docstrings are the documentation."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ActivityOutcome(Wire):
    """What became of one activity of a document."""

    id: str
    name: str | None
    outcome: Literal["new", "confirmed", "completed", "contradictory", "claimed"]


class EntityOutcome(Wire):
    """What became of one entity of a document."""

    id: str
    name: str | None
    outcome: Literal["new", "confirmed", "merged", "contradictory"]
    rule: str
    """The identity rule by which it is that entity (docs/identity.md)."""


class Contradiction(Wire):
    """Documents say two things of one."""

    subject: str
    field: str
    held: str
    claimed: str
    message: str


class Note(Wire):
    """Something that the reader found and handled."""

    code: str
    message: str
    pointer: str | None


class ViolatedRule(Wire):
    """A rule of W3C PROV-CONSTRAINTS that a document violates."""

    number: int | None
    """null: a rule of PROV-LINKS."""
    kind: str
    name: str
    count: int
    message: str
    """The first violation in words."""


class Validity(Wire):
    """Whether a W3C PROV document is valid by PROV-CONSTRAINTS; it is recorded either way."""

    violations: int
    rules: list[ViolatedRule]


class InvalidProduct(Wire):
    """A product that a curator marked as invalid, and why."""

    entity: str
    reason: str
    at: str
    assessment: str


class ViolatingDocument(Validity):
    """A document that told of a lineage and violates PROV-CONSTRAINTS."""

    document: str
    source_name: str | None


class Receipt(Wire):
    """What recording one document did."""

    document: str
    """SHA-256 of its bytes."""
    format: str
    reason: str
    """Why it was taken for that format."""
    outcome: Literal["recorded", "unchanged"]
    activities: list[ActivityOutcome]
    entities: list[EntityOutcome]
    counts: dict[str, int]
    contradictions: list[Contradiction]
    notes: list[Note]
    redactions: int
    """How many secrets were replaced before storage."""
    validity: Validity | None
    """null: not checked, because it is no W3C PROV, or very large."""


class ErrorBody(Wire):
    """The one shape of errors."""

    code: str
    message: str
    details: dict[str, Any]  # Any: free-form JSON


class BulkItem(Wire):
    """What became of one of many documents."""

    name: str | None
    outcome: Literal["recorded", "unchanged", "refused"]
    receipt: Receipt | None
    error: ErrorBody | None


class BulkAnswer(Wire):
    """What became of many documents, in their order."""

    items: list[BulkItem]
    recorded: int
    unchanged: int
    refused: int


def bulk_answer(outcomes: Sequence[Outcome]) -> JSONDict:
    """Make a `BulkAnswer`, as plain JSON."""
    words = [o.outcome for o in outcomes]
    return {
        "items": [o.to_wire() for o in outcomes],
        "recorded": words.count("recorded"),
        "unchanged": words.count("unchanged"),
        "refused": words.count("refused"),
    }


class Resolved(Wire):
    """What a reference names."""

    kind: Literal["activity", "entity"]
    id: str
    name: str | None
    location: str | None
    matched_by: str


class LineageActivity(Wire):
    """An activity of a lineage."""

    id: str
    name: str | None
    version: str | None
    type: str | None
    status: str
    exit_code: int | None
    started_at: str | None
    ended_at: str | None
    host: str | None
    is_claim: bool
    """Only a product's metadata names it."""
    described: bool
    """Whether there is an ActivityDescription for it."""
    depth: int | None
    """Activities between it and the focus, itself included; null: around the flow of data."""
    contradictions: int
    """How many; `GET /v1/activities/{id}` lists them."""


class LineageEntity(Wire):
    """An entity of a lineage."""

    id: str
    name: str | None
    kind: str
    location: str | None
    digest: str | None
    product_id: str | None
    size_bytes: int | None
    value: str | None
    content_type: str | None
    generated_by: str | None
    generated_at: str | None
    invalidated_at: str | None
    is_root: bool
    """No recorded activity generated it."""
    depth: int | None
    contradictions: int
    """How many; `GET /v1/entities/{id}` lists them."""


class Flow(Wire):
    """A used or wasGeneratedBy."""

    activity: str
    entity: str
    role: str | None
    rule: str
    basis: Basis


class Derivation(Wire):
    """A wasDerivedFrom."""

    derived: str
    source: str
    rule: str
    basis: Basis


class Communication(Wire):
    """A wasInformedBy of kind data-flow: something passed that no entity stands for."""

    activity: str
    informant: str
    rule: str
    basis: Basis


class Membership(Wire):
    """A hadMember."""

    collection: str
    member: str


class Part(Wire):
    """A wasInformedBy of kind part-of."""

    activity: str
    part_of: str


class Lineage(Wire):
    """Where something comes from, or what came of it."""

    focus: Resolved
    direction: Literal["up", "down", "both"]
    depth: int | None
    truncated: bool
    counts: dict[str, int]
    activities: list[LineageActivity]
    entities: list[LineageEntity]
    used: list[Flow]
    generated: list[Flow]
    derived: list[Derivation]
    members: list[Membership]
    informed: list[Communication]
    parts: list[Part]
    violations: list[ViolatingDocument]
    """Documents that told of it and violate PROV-CONSTRAINTS."""
    invalid: list[InvalidProduct]


class Box(Wire):
    """Like activities, or like products."""

    id: str
    kind: Literal["activity", "product"]
    name: str | None
    count: int
    statuses: dict[str, int]
    versions: list[str]
    first_at: str | None
    last_at: str | None
    is_focus: bool


class Arrow(Wire):
    """Flow of data between boxes."""

    kind: Literal["used", "generated", "derived"]
    source: str
    target: str
    count: int
    roles: list[str]


class Summary(Wire):
    """A lineage as classes."""

    focus: Resolved
    direction: Literal["up", "down", "both"]
    depth: int | None
    truncated: bool
    counts: dict[str, int]
    boxes: list[Box]
    arrows: list[Arrow]


class ActivityItem(Wire):
    """An activity that a search found."""

    id: str
    name: str | None
    version: str | None
    status: str
    exit_code: int | None
    started_at: str | None
    ended_at: str | None
    host: str | None


class ProductItem(Wire):
    """A product that a search found."""

    id: str
    name: str | None
    kind: str
    value: str | None
    """What a ValueEntity holds."""
    location: str | None
    digest: str | None
    generated_by: str | None
    activity_name: str | None
    activity_status: str | None
    generated_at: str | None
    is_invalid: bool


class ActivityPage(Wire):
    """One page of activities."""

    items: list[ActivityItem]
    total: int
    next: str | None
    """The `cursor` of the next page."""


class ProductPage(Wire):
    """One page of products."""

    items: list[ProductItem]
    total: int
    next: str | None


class RunFields(Wire):
    """What runs of workflows and their steps have in common."""

    id: str
    """UUID of its activity."""
    name: str | None
    version: str | None
    status: str
    exit_code: int | None
    started_at: str | None
    ended_at: str | None
    host: str | None
    person: str | None


class RunListItem(RunFields):
    """A run in a list."""

    steps: dict[str, int]
    """How many steps of each status; those that have not begun are not counted."""


class RunPage(Wire):
    """One page of runs."""

    items: list[RunListItem]
    total: int
    next: str | None


class RunProduct(Wire):
    """What a run or step made."""

    id: str
    name: str | None
    location: str | None
    role: str | None
    sha256: str | None
    size_bytes: int | None


class RunMessage(Wire):
    """What was said of it: warnings, errors, the last lines of a log."""

    level: str
    code: str | None
    text: str


class RunStep(RunFields):
    """A step of a run, or one of a scattered step."""

    scatter_index: list[int]
    products: list[RunProduct]
    messages: list[RunMessage]


class WorkflowRun(RunFields):
    """A run with its steps."""

    engine: str | None
    directory: str | None
    resumes: str | None
    """UUID of the run that it took steps from."""
    planned: list[str]
    """Names of the workflow's steps; those without a step in `steps` have not begun."""
    steps: list[RunStep]
    products: list[RunProduct]
    messages: list[RunMessage]


class Change(BaseModel):
    """What a description changes in one field."""

    model_config = ConfigDict(populate_by_name=True)

    field: str
    before: Any = Field(alias="from")  # Any: JSON value
    after: Any = Field(alias="to")  # Any: JSON value


class DescriptionOutcome(Wire):
    """What became of one description."""

    kind: str
    name: str
    version: str | None
    outcome: Literal["new", "changed", "unchanged"]
    changes: list[Change]


class DescriptionsAnswer(Wire):
    """What became of a document of descriptions."""

    items: list[DescriptionOutcome]
    document: str | None
    """SHA-256 of the document that was recorded; none where nothing changed."""


class Record(BaseModel):
    """Everything of one activity or entity; the fields are those of the classes in docs."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str | None

    @classmethod
    def of(cls, record: JSONDict) -> Self:
        """Make the wire form."""
        return cls(**record)
