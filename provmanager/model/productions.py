"""Productions: steps, each with a query on the record, and how what it finds is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JSONDict = Mapping[str, Any]  # Any: free-form JSON

RETRIES = 2
"""How often a group that failed is run again, where nothing is said."""

WAIT_S = 300.0
"""How long a group is waited for that is not full, in seconds, where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values from `min` to `max`, both included; None: no bound."""

    min: str | float | None = None
    max: str | float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerQuery:
    """What the activity must have been that generated an input; names may be patterns with *."""

    name: str | None = None
    version: str | None = None
    type: str | None = None
    parameters: JSONDict = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    site: str | None = None
    host: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputQuery:
    """What a step takes: all conditions hold.

    Attributes
    ----------
    from_step, output : str, optional
        What that step's completed runs gave, as that output of its workflow.
    name, location, content_type, role : str, optional
        Patterns with ``*``; `role` is that of its generation.
    metadata : mapping
        By name a value, a tuple of values of which one fits, or a `Range`.
    after, before : datetime, optional
        Generated at or after, before.
    """

    from_step: str | None = None
    output: str | None = None
    name: str | None = None
    location: str | None = None
    kind: str | None = None
    content_type: str | None = None
    role: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    after: datetime | None = None
    before: datetime | None = None
    activity: ProducerQuery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNumbers:
    """What a step without input files takes: numbers, each the input of one run.

    Attributes
    ----------
    runs : int
        How many.
    first : int
        The least; the others follow one by one.
    parameter : str
        The workflow's input that takes the number, such as a run number or a seed.
    """

    runs: int
    first: int = 1
    parameter: str

    @property
    def last(self) -> int:
        """The greatest."""
        return self.first + self.runs - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionStep:
    """A step of a production; `group_by` is None, ``folder`` or ``metadata.NAME``.

    It takes what `input` finds, in its workflow's input `files`, or, if there are any, `numbers`.
    """

    name: str
    workflow: str
    input: InputQuery = field(default_factory=InputQuery)
    files: str = ""
    numbers: RunNumbers | None = None
    group_size: int = 1
    group_by: str | None = None
    wait_s: float = WAIT_S
    inputs: JSONDict = field(default_factory=dict)
    engine: str = "local"
    job: JSONDict = field(default_factory=dict)
    retries: int = RETRIES

    @property
    def taking(self) -> str:
        """The workflow's input that takes the files, or the number."""
        return self.numbers.parameter if self.numbers else self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """A production; `document` is it as it was written, as JSON."""

    name: str
    steps: tuple[ProductionStep, ...]
    metadata: JSONDict = field(default_factory=dict)
    description: str | None = None
    document: JSONDict = field(default_factory=dict)

    def step(self, name: str) -> ProductionStep:
        """Return the step of that name (StopIteration, if there is none)."""
        return next(step for step in self.steps if step.name == name)
