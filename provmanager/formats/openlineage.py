"""OpenLineage run events (2.0 of the specification, and those before) read.

A run is told of by several events, which may come in any order, twice, or not at all: each is a
document of its own or stands with others in one, and the record is the same. What becomes of them:

- the run is an activity by its UUID; START gives its start, COMPLETE, FAIL and ABORT its end;
- the facet ``parent`` makes it part of that run, and that one part of the ``root``;
- a data set is the version of its location (namespace and name) that time decides, with the names
  of the facet ``symlinks`` as further locations. The facet ``version`` of an input, and of an
  output of a run that has ended, is its product id: before, it is the version that was replaced;
- a data set that a run drops is one that it used; one that it renames was used by its former name;
- what is said of a job or data set without a run (design) describes data sets, and no run;
- every facet, such as schema and columnLineage, is kept as it stands.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from ..ids import clean_json, join_json
from ..model import (
    Activity,
    Agent,
    Document,
    Entity,
    EntityKind,
    InformKind,
    Used,
    WasAssociatedWith,
    WasAttributedTo,
    WasGeneratedBy,
    WasInformedBy,
)
from .gathered import Gathered
from .json_fields import JSONObject
from .json_stream import JsonStream
from .note_book import NoteBook
from .openlineage_events import Dataset, Event, RunName, matches, read_events
from .openlineage_names import location_of, version_id
from .openlineage_own import (
    ASSESSMENT_FACET,
    ENTITY_FACET,
    OWN_FACETS,
    RUN_FACET,
    USE_FACET,
    agents_in,
    entity_fields,
    read_assessment_facet,
    run_fields,
    uses_of,
)

__all__ = ["FORMAT", "ROOT_RULE", "matches", "read_stream_of_events"]

FORMAT = "openlineage"
ROOT_RULE = "openlineage-root"

_KINDS = {kind.value: kind for kind in EntityKind}
_ENDED = ("COMPLETE", "FAIL", "ABORT")


def read_stream_of_events(stream: JsonStream, *, reason: str) -> Document:
    """Return what the events of `stream` state; those of one run together.

    Raises
    ------
    DocumentError
        An event is not as OpenLineage's schema says (``pointer``, ``expected``, ``found``).
    """
    found = Gathered(NoteBook(stream.notes))
    values = clean_json(stream.values) if stream.needs_cleaning else stream.values
    runs: dict[UUID, list[Event]] = {}
    for event in read_events(values):
        if event.run is None:
            _read_design(event, found)
        else:
            runs.setdefault(event.run.uuid, []).append(event)
    for events in runs.values():
        events.sort(key=lambda event: event.rank)
        _read_run(events, found)
    return found.document(format=FORMAT, reason=reason)


def _read_run(events: Sequence[Event], found: Gathered) -> None:
    """Add one run; of its events, those that say how it ended come first."""
    activity = _activity(events, found.notes)
    held = found.activities.get(activity.key)
    if held is not None:  # so far only named, as the parent of another
        activity = replace(activity, name=activity.name or held.name)
    found.activities[activity.key] = activity
    own: JSONObject = next((f for e in events if (f := e.run_facets.get(RUN_FACET))), {})
    who = [agent for agent, _ in _own_agents(own, activity.key, found)]
    facet = next((f for e in events if (f := e.run_facets.get(ASSESSMENT_FACET))), None)
    assessment = facet and read_assessment_facet(activity.uuid, facet, who[0] if who else None)
    if assessment:
        found.assessments[assessment] = None
    for event in events:
        _read_parents(event, activity.key, found)
        if not who:
            _read_owners(event, activity.key, found)
        if assessment:
            for dataset in event.inputs:
                _entity(dataset, f"{activity.key}/assessed", found, has_version=True)
            continue
        stale = {_identity(d) for d in event.inputs} if event.type in _ENDED else None
        for dataset in event.inputs:
            key = _input(dataset, activity, found)
            for role, at in uses_of(dataset.facets.get(USE_FACET, {})):
                found.used[Used(activity=activity.key, entity=key, role=role, at=at)] = None
        for dataset in event.outputs:
            _read_output(dataset, activity, stale, found)


def _activity(events: Sequence[Event], notes: NoteBook) -> Activity:
    facets: dict[str, JSONObject] = {}
    for event in events:
        for side, kept in (("run", event.run_facets), ("job", event.job_facets)):
            for name, facet in kept.items():
                facets.setdefault(f"facets.{side}.{name}", facet)
    own: JSONObject = facets.pop(f"facets.run.{RUN_FACET}", {})
    facets.pop(f"facets.run.{ASSESSMENT_FACET}", None)
    best = events[0]
    assert best.run is not None
    started = min((e for e in events if e.type == "START"), key=lambda e: e.time, default=None)
    ended = max((e for e in events if e.type in _ENDED), key=lambda e: e.time, default=None)
    if started and ended and started.time > ended.time:
        message = f"{ended.type} at {ended.time_raw} before START at {started.time_raw}, left out"
        notes.add("ends-before-start", message, started.pointer)
        started = None
    error, engine = (facets.get(f"facets.run.{n}") for n in ("errorMessage", "processing_engine"))
    told = Activity(
        key=str(best.run.uuid),
        uuid=best.run.uuid,
        name=best.run.job.name,
        version=_text(facets.get("facets.job.sourceCodeLocation"), "version"),
        type=_text(facets.get("facets.job.jobType"), "jobType"),
        comment=_text(error, "message"),
        status=best.status,
        status_raw=None if best.type == "OTHER" else best.type,
        started_at=started.time if started else None,
        started_raw=started.time_raw if started else None,
        ended_at=ended.time if ended else None,
        ended_raw=ended.time_raw if ended else None,
        environment=_environment(engine),
        configuration=_parameters(facets.get("facets.run.executionParameters")),
        attributes={"job.namespace": best.run.job.namespace, "producer": best.producer} | facets,
    )
    return replace(told, **run_fields(own), iri=_text(own, "iri"))


def _own_agents(own: JSONObject, key: str, found: Gathered) -> list[tuple[Agent, str | None]]:
    """Add the agents that our own facet of a run lists."""
    listed = list(agents_in(own, "agents"))
    for agent, role in listed:
        found.agents[agent.key] = agent
        found.associated[WasAssociatedWith(activity=key, agent=agent.key, role=role)] = None
    return listed


def _environment(engine: JSONObject | None) -> JSONObject | None:
    """Return the software that the facet ``processing_engine`` names."""
    name, version = _text(engine, "name"), _text(engine, "version")
    return {"packages": [{"name": name, "version": version}]} if name and version else None


def _parameters(facet: JSONObject | None) -> JSONObject | None:
    listed = (facet or {}).get("parameters")
    if not isinstance(listed, list):
        return None
    found = {
        key: item.get("value")
        for item in listed
        if isinstance(item, dict) and isinstance(key := item.get("key"), str) and key
    }
    return found or None


def _text(facet: JSONObject | None, key: str) -> str | None:
    value = (facet or {}).get(key)
    return value if isinstance(value, str) and value else None


def _read_parents(event: Event, key: str, found: Gathered) -> None:
    parent, root = event.parent, event.root
    if parent is None or parent.uuid == UUID(key):
        return
    _name_run(parent, found)
    found.informed[_part(key, parent, "stated")] = None
    if root is not None and root.uuid not in (parent.uuid, UUID(key)):
        _name_run(root, found)
        found.informed[_part(str(parent.uuid), root, ROOT_RULE)] = None


def _name_run(run: RunName, found: Gathered) -> None:
    """Add a run of which only its parts tell, but for what its own events say."""
    key = str(run.uuid)
    if key not in found.activities:
        found.activities[key] = Activity(
            key=key,
            uuid=run.uuid,
            name=run.job.name,
            attributes={"job.namespace": run.job.namespace},
        )


def _part(key: str, outer: RunName, rule: str) -> WasInformedBy:
    return WasInformedBy(
        informed=key, informant=str(outer.uuid), kind=InformKind.PART_OF, rule=rule
    )


def _read_owners(event: Event, key: str, found: Gathered) -> None:
    for agent, role in _owners(event.job_facets, found):
        found.associated[WasAssociatedWith(activity=key, agent=agent, role=role)] = None


def _owners(facets: JSONObject, found: Gathered) -> Iterable[tuple[str, str]]:
    """Yield the owners of a job or data set, (key of the agent, what they are to it)."""
    listed = facets.get("ownership", {}).get("owners")
    for owner in listed if isinstance(listed, list) else ():
        name = _text(owner, "name") if isinstance(owner, dict) else None
        if name is not None:
            iri = f"urn:openlineage:owner:{name}"
            found.agents[iri] = Agent(key=iri, iri=iri, name=name)
            yield iri, _text(owner, "type") or "owner"


def _input(dataset: Dataset, activity: Activity, found: Gathered) -> str:
    return _entity(dataset, f"{activity.key}/input", found, has_version=True)


def _read_output(
    dataset: Dataset, activity: Activity, stale: set[tuple[str, ...]] | None, found: Gathered
) -> None:
    """Add an output.

    Parameters
    ----------
    stale : set or None
        Versions that the same event lists as inputs, which it cannot have made; None where the
        run has not ended, and an output's version is the one that it replaces.
    """
    change = dataset.facets.get("lifecycleStateChange", {})
    word = change.get("lifecycleStateChange")
    if word == "DROP":
        key = _entity(dataset, f"{activity.key}/dropped", found, has_version=False)
        found.used[Used(activity=activity.key, entity=key, role="DROP")] = None
        return
    has_version = stale is not None and _identity(dataset) not in stale
    if "version" in dataset.facets and not has_version:
        message = "the version of an output before the run has ended is the one it replaces"
        if stale is not None:
            message = "an input has this version too: the run did not make it"
        found.notes.add("version-not-made", message, dataset.pointer)
    key = _entity(dataset, f"{activity.key}/output", found, has_version=has_version)
    for role, _ in uses_of(dataset.facets.get(USE_FACET, {})):
        found.generated[WasGeneratedBy(entity=key, activity=activity.key, role=role)] = None
    former = change.get("previousIdentifier") if word == "RENAME" else None
    namespace, name = _text(former, "namespace"), _text(former, "name")
    if namespace and name:
        before = Dataset(namespace, name, {}, dataset.pointer)
        key = _entity(before, f"{activity.key}/input", found, has_version=False)
        found.used[Used(activity=activity.key, entity=key, role="RENAME")] = None


def _identity(dataset: Dataset) -> tuple[str, ...]:
    version = _text(dataset.facets.get("version"), "datasetVersion")
    return (dataset.namespace, dataset.name, version) if version else ()


def _read_design(event: Event, found: Gathered) -> None:
    """Add data sets that are described without a run; nothing was read or written."""
    for dataset in (*event.inputs, *event.outputs):
        whole = Dataset(dataset.namespace, dataset.name, dataset.facets, dataset.pointer)
        _entity(whole, "design", found, has_version=True, has_place=False)
    if event.job_facets or event.outputs:
        message = "a job's design states no run: only its data sets are recorded"
        found.notes.add("design-only", message, event.pointer)


def _entity(
    dataset: Dataset, side: str, found: Gathered, *, has_version: bool, has_place: bool = True
) -> str:
    """Add a data set, or what is said of it again; return its key."""
    own = dataset.facets.get(ENTITY_FACET, {})
    version = _text(dataset.facets.get("version"), "datasetVersion") if has_version else None
    products = [*_texts(own, "productIds")]
    if version:
        products.append(version_id(dataset.namespace, dataset.name, version))
    elif not has_place and not products:
        products.append(version_id(dataset.namespace, dataset.name, "").rstrip(":"))
    locations = _locations(dataset, _texts(own, "locations")) if has_place else ()
    key = f"{side}/{dataset.namespace}/{dataset.name}"
    said = version or next(iter((*_texts(own, "digests"), *_texts(own, "productIds"))), None)
    if said:
        key += f"@{said}"  # of one data set there may be several
    held = found.entities.get(key)
    entity = Entity(
        key=key,
        kind=_KINDS.get(_text(own, "kind") or "", EntityKind.DATASET),
        name=_text(own, "name") or dataset.name,
        value=_text(own, "value"),
        digests=_texts(own, "digests"),
        product_ids=tuple(products),
        locations=locations,
        attributes={"namespace": dataset.namespace}
        | {f"facets.{n}": facet for n, facet in dataset.facets.items() if n not in OWN_FACETS},
        **entity_fields(own),
    )
    found.entities[key] = entity if held is None else _joined(held, entity)
    for to, part in agents_in(own, "attributedTo"):
        found.agents[to.key] = to
        found.attributed[WasAttributedTo(entity=key, agent=to.key, role=part)] = None
    for agent, role in _owners(dataset.facets, found):
        found.attributed[WasAttributedTo(entity=key, agent=agent, role=role)] = None
    return key


def _joined(held: Entity, entity: Entity) -> Entity:
    """Return what two events say of one data set in one run."""
    return replace(
        held,
        digests=tuple(dict.fromkeys((*held.digests, *entity.digests))),
        product_ids=tuple(dict.fromkeys((*held.product_ids, *entity.product_ids))),
        locations=tuple(dict.fromkeys((*held.locations, *entity.locations))),
        attributes=join_json(held.attributes, entity.attributes),
    )


def _locations(dataset: Dataset, own: tuple[str, ...]) -> tuple[str, ...]:
    listed = [location_of(dataset.namespace, dataset.name), *own]
    others = dataset.facets.get("symlinks", {}).get("identifiers")
    for other in others if isinstance(others, list) else ():
        namespace = _text(other, "namespace") if isinstance(other, dict) else None
        name = _text(other, "name") if isinstance(other, dict) else None
        if namespace and name:
            listed.append(location_of(namespace, name))
    return tuple(dict.fromkeys(place for place in listed if place))


def _texts(facet: JSONObject, key: str) -> tuple[str, ...]:
    listed: Any = facet.get(key)  # Any: free-form JSON
    return (
        tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()
    )
