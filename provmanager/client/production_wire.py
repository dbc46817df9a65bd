"""What the server answers of productions."""

from typing import TypedDict

from provmanager.errors import JSONDict


class ProductionDefined(TypedDict):
    """A production as it is defined now."""

    name: str
    definition: str
    is_new: bool


class GroupInput(TypedDict):
    """An input of a run of a production."""

    id: str
    name: str | None
    kind: str
    content_type: str | None
    size_bytes: int | None
    sha256: str | None
    locations: list[str]


class Group(TypedDict):
    """Inputs, or the number, that were claimed for one run; in a dry run, without the run."""

    step: str
    run: str | None
    key: str | None
    is_new: bool
    number: int | None
    inputs: list[GroupInput]


class OpenRun(TypedDict):
    """A run of a production that was claimed and is not settled."""

    run: str
    step: str
    engine: str
    place: str
    status: str
    is_submitted: bool
    is_lost: bool


class ProductionFailure(TypedDict):
    """A run of a production that failed."""

    run: str
    status: str
    exit_code: int | None
    ended_at: str | None
    reason: str | None


class ProductionRunCounts(TypedDict):
    """Runs of a step of a production."""

    claimed: int
    waiting: int
    running: int
    completed: int
    error: int
    interrupted: int


class ProductionInputCounts(TypedDict):
    """Inputs of a step of a production, each counted once."""

    free: int
    running: int
    completed: int
    retried: int
    failed: int
    doubled: int


class ProductionNumbers(TypedDict):
    """The numbers that a step of a production takes, one a run."""

    runs: int
    first: int
    parameter: str


ProductionStepStatus = TypedDict(
    "ProductionStepStatus",
    {
        "id": str,
        "name": str,
        "from": str | None,
        "generate": ProductionNumbers | None,
        "engine": str,
        "group_size": int,
        "runs": ProductionRunCounts,
        "inputs": ProductionInputCounts,
        "mean_s": float | None,
        "first_at": str | None,
        "last_at": str | None,
        "failures": list[ProductionFailure],
    },
)


class ProductionStatus(TypedDict):
    """How far a production is."""

    id: str
    name: str
    description: str | None
    metadata: JSONDict
    definition: str
    defined_at: str | None
    document: JSONDict
    is_done: bool
    steps: list[ProductionStepStatus]


class ProductionItem(TypedDict):
    """A production in a list."""

    id: str
    name: str
    started_at: str | None
