"""The shapes of what the server answers; instants are ISO 8601 texts with Z, ids UUID texts."""

from typing import Any, Generic, Literal, TypedDict, TypeVar

JSONDict = dict[str, Any]  # Any: free-form JSON

Direction = Literal["up", "down", "both"]
Basis = Literal["stated", "inferred", "claimed"]
DocumentFormat = Literal["prov-json", "prov-n", "prov-xml"]
RoleName = Literal["reader", "recorder", "curator", "admin"]
Item = TypeVar("Item")


class WireError(TypedDict):
    """An error as it crosses HTTP."""

    code: str
    message: str
    details: JSONDict


class ActivityOutcome(TypedDict):
    """What became of an activity of a document."""

    id: str
    name: str | None
    outcome: Literal["new", "confirmed", "completed", "contradictory", "claimed"]


class EntityOutcome(TypedDict):
    """What became of an entity of a document, and the identity rule that decided."""

    id: str
    name: str | None
    outcome: Literal["new", "confirmed", "merged", "contradictory"]
    rule: str


class Counts(TypedDict):
    """How much a document said."""

    activities: int
    entities: int
    used: int
    generated: int


class Contradiction(TypedDict):
    """What a document says differently from the record."""

    subject: str
    field: str
    held: str
    claimed: str
    message: str


class DocumentNote(TypedDict):
    """What a reader noticed in a document."""

    code: str
    message: str
    pointer: str | None


class ViolatedRule(TypedDict):
    """A rule of W3C PROV-CONSTRAINTS that a document violates."""

    number: int | None
    kind: str
    name: str
    count: int
    message: str


class Validity(TypedDict):
    """Whether a W3C PROV document is valid by PROV-CONSTRAINTS."""

    violations: int
    rules: list[ViolatedRule]


class ViolatingDocument(Validity):
    """A document that told of a lineage and violates PROV-CONSTRAINTS."""

    document: str
    source_name: str | None


class Receipt(TypedDict):
    """What became of one document."""

    document: str
    format: str
    reason: str
    outcome: Literal["recorded", "unchanged"]
    activities: list[ActivityOutcome]
    entities: list[EntityOutcome]
    counts: Counts
    contradictions: list[Contradiction]
    notes: list[DocumentNote]
    redactions: int
    validity: Validity | None


class Spooled(TypedDict):
    """The server is away: the document waits on disk."""

    outcome: Literal["spooled"]
    document: str
    """SHA-256 of its bytes."""
    path: str
    reason: str


class BulkItem(TypedDict):
    """What became of one document of several."""

    name: str | None
    outcome: Literal["recorded", "unchanged", "refused"]
    receipt: Receipt | None
    error: WireError | None


class BulkResult(TypedDict):
    """What became of several documents."""

    items: list[BulkItem]
    recorded: int
    unchanged: int
    refused: int


class Resolved(TypedDict):
    """What a reference names."""

    kind: Literal["entity", "activity"]
    id: str
    name: str | None
    location: str | None
    matched_by: str


class LineageActivity(TypedDict):
    """An activity in a lineage."""

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
    depth: int | None
    described: bool
    contradictions: int


class LineageEntity(TypedDict):
    """An entity in a lineage."""

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
    depth: int | None
    is_root: bool
    contradictions: int


class Flow(TypedDict):
    """A used or a wasGeneratedBy."""

    activity: str
    entity: str
    role: str | None
    rule: str
    basis: Basis


class Derivation(TypedDict):
    """A wasDerivedFrom."""

    derived: str
    source: str
    rule: str
    basis: Basis


class Membership(TypedDict):
    """A hadMember."""

    collection: str
    member: str


class Communication(TypedDict):
    """A wasInformedBy: something passed that no entity stands for."""

    activity: str
    informant: str
    rule: str
    basis: Basis


class Part(TypedDict):
    """One activity ran inside another."""

    activity: str
    part_of: str


class InvalidProduct(TypedDict):
    """A product that a curator marked as invalid, and why."""

    entity: str
    reason: str
    at: str
    assessment: str


class LineageAnswer(TypedDict):
    """A lineage, record by record."""

    focus: Resolved
    direction: Direction
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
    invalid: list[InvalidProduct]


class Box(TypedDict):
    """A group of activities or products in a summary."""

    id: str
    kind: Literal["activity", "product"]
    name: str | None
    count: int
    statuses: dict[str, int]
    versions: list[str]
    first_at: str | None
    last_at: str | None
    is_focus: bool


class Arrow(TypedDict):
    """Data that flow from one group to another."""

    kind: Literal["used", "generated", "derived"]
    source: str
    target: str
    count: int
    roles: list[str]


class SummaryAnswer(TypedDict):
    """A lineage by groups."""

    focus: Resolved
    direction: Direction
    depth: int | None
    boxes: list[Box]
    arrows: list[Arrow]
    counts: dict[str, int]
    truncated: bool


class ActivityItem(TypedDict):
    """An activity that was found."""

    id: str
    name: str | None
    version: str | None
    status: str
    exit_code: int | None
    started_at: str | None
    ended_at: str | None
    host: str | None


class ProductItem(TypedDict):
    """A product that was found."""

    id: str
    name: str | None
    kind: str
    value: str | None
    location: str | None
    digest: str | None
    generated_by: str | None
    activity_name: str | None
    activity_status: str | None
    generated_at: str | None
    is_invalid: bool


class SearchPage(TypedDict, Generic[Item]):
    """One page of what was found; `next` is the cursor of the page after it."""

    items: list[Item]
    next: str | None
    total: int


class RunFields(TypedDict):
    """What runs of workflows and their steps have in common."""

    id: str
    name: str | None
    version: str | None
    status: str
    exit_code: int | None
    started_at: str | None
    ended_at: str | None
    host: str | None
    person: str | None


class RunListItem(RunFields):
    """A run in a list, with the number of its steps by status."""

    steps: dict[str, int]


class RunProduct(TypedDict):
    """What a run or step made."""

    id: str
    name: str | None
    location: str | None
    role: str | None
    sha256: str | None
    size_bytes: int | None


class RunMessage(TypedDict):
    """A warning or error of a run or step."""

    level: str
    code: str | None
    text: str


class RunStep(RunFields):
    """A step of a run."""

    scatter_index: list[int]
    products: list[RunProduct]
    messages: list[RunMessage]


class WorkflowRun(RunFields):
    """A run with its steps."""

    engine: str | None
    directory: str | None
    resumes: str | None
    planned: list[str]
    steps: list[RunStep]
    products: list[RunProduct]
    messages: list[RunMessage]


DescriptionChange = TypedDict("DescriptionChange", {"field": str, "from": Any, "to": Any})


class DescriptionOutcome(TypedDict):
    """What became of one description."""

    kind: str
    name: str
    version: str | None
    outcome: Literal["new", "changed", "unchanged"]
    changes: list[DescriptionChange]


class DescriptionsResult(TypedDict):
    """What became of a document of descriptions."""

    items: list[DescriptionOutcome]
    document: str | None


class TokenItem(TypedDict):
    """What is known of a token."""

    id: str
    name: str
    role: RoleName
    job: str | None
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewToken(TokenItem):
    """A new token, with the token."""

    token: str


class SignInLink(TypedDict):
    """A link that signs one browser in, once; `path` stands after the server's address."""

    path: str
    expires_in_s: int


class Limits(TypedDict):
    """The most that the server takes."""

    document_bytes: int
    documents_per_request: int
    request_bytes: int


class Info(TypedDict):
    """What the server is and holds."""

    version: str
    limits: Limits
    documents: int
    activities: int
    entities: int
