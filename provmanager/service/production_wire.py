"""Wire models of productions."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from .wire import Wire


class ProductionDefined(Wire):
    """A production as it is defined now."""

    name: str
    definition: str
    """UUID of the activity that defined it."""
    is_new: bool
    """Whether it was not defined so before."""


class ClaimRequest(Wire):
    """What a submitter asks for."""

    definition: UUID | None = None
    """The definition that it goes by; in a dry run, that of now, or the document."""
    document: dict[str, Any] | None = None  # Any: schema production.v1
    """In a dry run: the production as it would be."""
    holder: Annotated[str, Field(min_length=1, max_length=500)]
    """Who it is."""
    place: Annotated[str, Field(min_length=1, max_length=1000)]
    """Machine and state directory in which its runs lie."""
    lease_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """After how many seconds without a sign of it another may submit what it claimed."""
    most: dict[Literal["local", "diracx"], Annotated[int, Field(ge=0, le=500)]]
    """Most groups, over all steps, by engine."""
    filled: list[str] | None = None
    """Steps whose groups need not be full; by default all."""
    dry_run: bool = False
    """Only say what would be claimed."""


class GroupInput(Wire):
    """An input of a run."""

    id: str
    name: str | None
    kind: str
    content_type: str | None
    size_bytes: int | None
    sha256: str | None
    locations: list[str]


class Group(Wire):
    """Inputs that were claimed for one run."""

    step: str
    run: str | None
    """UUID of the run's activity; none in a dry run."""
    key: str | None
    """What the inputs have in common, if the step groups by something."""
    is_new: bool
    """False: it was claimed before, and nobody is known to have submitted it."""
    number: int | None
    """Of a step that generates: the number of the run, which is its only input."""
    inputs: list[GroupInput]
    """Files and collections that the run takes."""


class Groups(Wire):
    """What was claimed."""

    items: list[Group]


class RunReport(Wire):
    """What a submitter has done."""

    holder: Annotated[str, Field(min_length=1, max_length=500)]
    lease_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    submitted: Annotated[list[UUID], Field(default_factory=list, max_length=10000)]
    """Runs that it has given to their engine."""
    settled: Annotated[list[UUID], Field(default_factory=list, max_length=10000)]
    """Runs that have ended, and of which all is at home."""


class OpenRun(Wire):
    """A run that was claimed and is not settled."""

    run: str
    step: str
    engine: str
    place: str
    status: str
    """As the record has it."""
    is_submitted: bool
    """Whether it is known to be submitted."""
    is_lost: bool
    """Whether nobody has looked after it for a while."""


class OpenRuns(Wire):
    """All of them."""

    items: list[OpenRun]


class ProductionFailure(Wire):
    """A run that failed."""

    run: str
    status: str
    exit_code: int | None
    ended_at: str | None
    reason: str | None


class ProductionRunCounts(Wire):
    """Runs of a step."""

    claimed: int
    """Their inputs are claimed; not known to be submitted."""
    waiting: int
    """Submitted; not known to have begun."""
    running: int
    completed: int
    error: int
    interrupted: int


class ProductionInputCounts(Wire):
    """Inputs of a step; each is counted once."""

    free: int
    """No run has used them."""
    running: int
    """Claimed, or used by a run that goes on."""
    completed: int
    """Used by a completed run."""
    retried: int
    """Used by failed runs only; they will be run again."""
    failed: int
    """Used by failed runs only, as often as was allowed."""
    doubled: int
    """Used by several runs that did not fail: never more than 0."""


class ProductionNumbers(Wire):
    """What a step without input files takes: numbers, each the input of one run."""

    runs: int
    first: int
    parameter: str
    """The workflow's input that takes the number."""


class ProductionStepStatus(Wire):
    """How far a step is."""

    id: str
    """UUID of its activity."""
    name: str
    from_step: str | None = Field(alias="from")
    generate: ProductionNumbers | None
    """The numbers that it takes, if it takes no files."""
    engine: str
    group_size: int
    runs: ProductionRunCounts
    inputs: ProductionInputCounts
    mean_s: float | None
    """Mean time of a completed run, in seconds."""
    first_at: str | None
    last_at: str | None
    failures: list[ProductionFailure]
    """The last 20."""


class ProductionStatus(Wire):
    """How far a production is."""

    id: str
    """UUID of its activity."""
    name: str
    description: str | None
    metadata: dict[str, Any]  # Any: JSON scalars
    definition: str
    defined_at: str | None
    document: dict[str, Any]  # Any: schema production.v1
    is_done: bool
    """Whether there is nothing to do for now."""
    steps: list[ProductionStepStatus]


class ProductionItem(Wire):
    """A production in a list."""

    id: str
    name: str
    started_at: str | None


class ProductionPage(Wire):
    """One page of productions."""

    items: list[ProductionItem]
    total: int
    next: str | None
