"""OpenLineage events as they stand in a document: taken apart and checked, not yet understood."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..ids import parse_uuid
from ..model import Status
from .instants import parse_instant
from .json_fields import JSONObject, child, list_at, object_at, required_text, text_at, wrong

STATUSES = {
    "COMPLETE": Status.COMPLETED,
    "FAIL": Status.ERROR,
    "ABORT": Status.INTERRUPTED,
    "START": Status.RUNNING,
    "RUNNING": Status.RUNNING,
    "OTHER": Status.UNKNOWN,
}
"""What each type of event says of its run, those that say more first."""

_ENVELOPE = frozenset(("eventTime", "eventType"))
_SUBJECTS = frozenset(("run", "job", "dataset"))


@dataclass(frozen=True, slots=True)
class Job:
    """A job's name, in its namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class RunName:
    """A run, and the job that it is a run of."""

    uuid: UUID
    job: Job


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as an event names it.

    Attributes
    ----------
    facets : dict
        All of them: those of the data set, and those of its use in this run.
    """

    namespace: str
    name: str
    facets: JSONObject
    pointer: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes
    ----------
    type : str
        START, RUNNING, COMPLETE, ABORT, FAIL or OTHER, which one without a type is.
    run : RunName or None
        None for the design of a job and for what is said of a data set alone.
    parent, root : RunName or None
        What the run is part of: what started it, and the topmost one.
    """

    type: str
    time: datetime
    time_raw: str
    producer: str
    run: RunName | None
    run_facets: JSONObject
    job_facets: JSONObject
    parent: RunName | None
    root: RunName | None
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]
    pointer: str

    @property
    def status(self) -> Status:
        """How the run stands, as far as this event says."""
        return STATUSES[self.type]

    @property
    def rank(self) -> tuple[object, ...]:
        """Where it stands among the events of its run: what says how it ended first."""
        return (list(STATUSES).index(self.type), self.time)


def matches(values: list[Any]) -> str | None:  # Any: free-form JSON
    """Return why `values` are OpenLineage events, or None."""
    for _, value in _each(values):
        if not isinstance(value, dict):
            return None
        told, about = _ENVELOPE & value.keys(), _SUBJECTS & value.keys()
        return f'JSON with "{min(told)}" and "{max(about)}"' if told and about else None
    return None


def read_events(values: list[Any]) -> Iterator[Event]:  # Any: free-form JSON
    """Yield the events of a document: one, an array, or one after the other (NDJSON).

    Raises
    ------
    DocumentError
        One is not as OpenLineage's schema says (``pointer``, ``expected``, ``found``).
    """
    for pointer, value in _each(values):
        if not isinstance(value, dict):
            raise wrong(pointer, "an OpenLineage event (an object)", value)
        yield _event(value, pointer)


def _each(values: list[Any]) -> Iterator[tuple[str, Any]]:  # Any: free-form JSON
    alone = len(values) == 1
    for index, value in enumerate(values):
        pointer = "" if alone else child("", index)
        if isinstance(value, list):
            yield from ((child(pointer, place), item) for place, item in enumerate(value))
        else:
            yield pointer, value


def _event(value: JSONObject, pointer: str) -> Event:
    time_raw = required_text(value, "eventTime", pointer, "the time of the event (ISO 8601)")
    kind = text_at(value, "eventType", pointer) or "OTHER"
    if kind not in STATUSES:
        raise wrong(child(pointer, "eventType"), "one of " + ", ".join(STATUSES), kind)
    required_text(value, "schemaURL", pointer, "the URL of the event's schema")
    run, job = object_at(value, "run", pointer), object_at(value, "job", pointer)
    name = _job(job, child(pointer, "job")) if run or job or "dataset" not in value else None
    run_facets = _facets(run, child(pointer, "run"))
    parent, root = _parents(run_facets, child(pointer, "run", "facets", "parent"))
    static = object_at(value, "dataset", pointer) if not (run or job) else {}
    inputs = _datasets(value, "inputs", "inputFacets", pointer)
    if static:
        inputs = (*inputs, _dataset(static, (), child(pointer, "dataset")))
    return Event(
        type=kind,
        time=_instant(time_raw, child(pointer, "eventTime")),
        time_raw=time_raw,
        producer=required_text(value, "producer", pointer, "the URI of the event's producer"),
        run=RunName(_run_id(run, child(pointer, "run")), name) if run and name else None,
        run_facets=run_facets,
        job_facets=_facets(job, child(pointer, "job")),
        parent=parent,
        root=root,
        inputs=inputs,
        outputs=_datasets(value, "outputs", "outputFacets", pointer),
        pointer=pointer,
    )


def _instant(text: str, pointer: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise wrong(pointer, "a time such as 2026-11-21T02:15:36.187Z", text) from error


def _job(job: JSONObject, pointer: str) -> Job:
    return Job(
        required_text(job, "namespace", pointer, "the namespace of the job"),
        required_text(job, "name", pointer, "the name of the job"),
    )


def _run_id(run: JSONObject, pointer: str) -> UUID:
    text = required_text(run, "runId", pointer, "the UUID of the run")
    uuid = parse_uuid(text)
    if uuid is None:
        raise wrong(child(pointer, "runId"), "a UUID", text)
    return uuid


def _parents(facets: JSONObject, pointer: str) -> tuple[RunName | None, RunName | None]:
    facet = facets.get("parent")
    if not facet:
        return None, None
    return _run_name(facet, pointer), (
        _run_name(object_at(facet, "root", pointer), child(pointer, "root"))
        if facet.get("root")
        else None
    )


def _run_name(value: JSONObject, pointer: str) -> RunName:
    run, job = (object_at(value, key, pointer) for key in ("run", "job"))
    return RunName(_run_id(run, child(pointer, "run")), _job(job, child(pointer, "job")))


def _facets(parent: JSONObject, pointer: str, key: str = "facets") -> JSONObject:
    """Return the facets of a run, job or data set, without those that were deleted."""
    facets = object_at(parent, key, pointer)
    for name, facet in facets.items():
        if not isinstance(facet, dict):
            raise wrong(child(pointer, key, name), "a facet (an object)", facet)
    return {name: facet for name, facet in facets.items() if not facet.get("_deleted")}


def _datasets(event: JSONObject, side: str, key: str, pointer: str) -> tuple[Dataset, ...]:
    return tuple(
        _dataset(item, (key,), child(pointer, side, index))
        for index, item in enumerate(list_at(event, side, pointer))
    )


def _dataset(item: Any, more: tuple[str, ...], pointer: str) -> Dataset:  # Any: free-form JSON
    if not isinstance(item, dict):
        raise wrong(pointer, "a data set (an object with namespace and name)", item)
    facets = _facets(item, pointer)
    for key in more:
        facets |= _facets(item, pointer, key)
    return Dataset(
        required_text(item, "namespace", pointer, "the namespace of the data set"),
        required_text(item, "name", pointer, "the name of the data set"),
        facets,
        pointer,
    )
