"""RO-Crates of runs: the Process, Workflow and Provenance Run Crate profiles (0.1 to 0.5), read.

What becomes of a crate's metadata (https://www.researchobject.org/workflow-run-crate):

- CreateAction, UpdateAction and ActivateAction are activities: their objects were used, their
  results generated; an OrganizeAction is the run of the workflow engine, of which the workflow's
  run is a part. An action called ``#<UUID>`` is that UUID, as runcrate and WfExS name them, any
  other relative name is this crate's own;
- a ControlAction says of which step (HowToStep) an action is the run, and so of which workflow's
  run it is a part;
- a data entity is its digest or its URL; the files of a crate lie nowhere but in it, so that one
  without a digest is this crate's own. A Collection or Dataset has its parts as members, a
  PropertyValue is a value, and an activity's values are its configuration too;
- roles are the names of FormalParameters, of the instrument's own where it lists them;
- the instrument is the software: a SoftwareAgent with its version, or a file that was used.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from ..ids import activity_uuid, clean_json, parse_uuid, sha256_hex
from ..model import (
    Activity,
    Agent,
    AgentKind,
    Document,
    Entity,
    EntityKind,
    HadMember,
    InformKind,
    Status,
    Used,
    WasAssociatedWith,
    WasGeneratedBy,
    WasInformedBy,
)
from . import prov_terms as terms
from .assessment import NAMES as ASSESSMENT_NAMES
from .gathered import Gathered
from .instants import parse_instant
from .json_fields import child, wrong
from .json_stream import JsonStream
from .note_book import NoteBook
from .ro_crate_graph import Graph, Thing, listed, matches
from .ro_crate_own import (
    GENERATED_AT,
    PART_OF,
    PRODUCT_ID,
    REVIEW,
    ROLE,
    SETTING,
    VALUE,
    assessment_of,
    called_fields,
    is_own,
    setting_of,
)

__all__ = ["FORMAT", "STEP_RULE", "matches", "read_crate"]

FORMAT = "ro-crate"
STEP_RULE = "ro-crate-step"
INSTRUMENT, AGENT = "instrument", "agent"

_RUNS = ("CreateAction", "UpdateAction", "ActivateAction")
_STATUSES = {
    "CompletedActionStatus": Status.COMPLETED,
    "FailedActionStatus": Status.ERROR,
    "ActiveActionStatus": Status.RUNNING,
}
_SOFTWARE = frozenset(("SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow"))
_COLLECTIONS = frozenset(("Collection", "Dataset", "RepositoryCollection"))
_READ_HERE = frozenset(
    ("@id", "@type", "name", "startTime", "endTime", "object", "result", "instrument", "agent")
)
_ROOTS = ("./", ".")
"""The crate itself, which has inputs and outputs as its parts alike."""
_RANDOM_UUIDS = (1, 4, 6, 7)


@dataclass(slots=True)
class _Found(Gathered):
    """What is read so far."""

    graph: Graph = field(kw_only=True)
    digest: str = field(kw_only=True)
    results: set[str] = field(kw_only=True)
    assessed: set[str] = field(kw_only=True)
    has_noted_zone: bool = False

    def own(self, name: str) -> str:
        """Return the IRI of what only this crate calls `name`."""
        if terms.is_global(name):
            return name
        return f"urn:sha256:{self.digest}#{quote(name, safe='/:@!$&()*+,;=~')}"


def read_crate(stream: JsonStream, data: bytes, *, reason: str) -> Document:
    """Return what the metadata of a crate state.

    Raises
    ------
    DocumentError
        They are no flat JSON-LD, or a time in them is none (``pointer``, ``expected``, ``found``).
    """
    crate = clean_json(stream.values[0]) if stream.needs_cleaning else stream.values[0]
    graph = Graph(crate)
    actions = graph.of_type(*_RUNS)
    results = {name for action in actions for name in action.ids("result")}
    assessed = {name for review in graph.of_type(REVIEW) for name in review.ids("object")}
    notes = NoteBook(stream.notes)
    digest = sha256_hex(data)
    found = _Found(notes, graph=graph, digest=digest, results=results, assessed=assessed)
    for action in actions:
        _read_action(action, found)
    for action in actions:
        for outer in action.ids(PART_OF):
            if outer in found.activities and outer != action.id:
                found.informed[_part(action.id, outer, "stated")] = None
    for action in graph.of_type(REVIEW):
        _read_review(action, found)
    for engine in graph.of_type("OrganizeAction"):
        _read_engine(engine, found)
    _read_steps_of_workflows(found)
    if not actions:
        found.notes.add("no-run", "the crate tells of no run: it has no CreateAction")
        for thing in graph.of_type("File"):
            if thing.digests:
                _entity(thing, found)
    return found.document(format=FORMAT, reason=reason)


# actions ------------------------------------------------------------------------------------------


def _read_action(action: Thing, found: _Found) -> None:
    graph = found.graph
    instruments = graph.refer(action, "instrument")
    inputs, outputs = graph.refer(action, "object"), graph.refer(action, "result")
    activity = _activity(action, found, instruments, inputs)
    found.activities[action.id] = activity
    for thing in inputs:
        if thing.text("propertyID") == SETTING:
            continue
        for role in _roles(thing, _parameters(instruments, "input")):
            found.used[Used(activity=action.id, entity=_entity(thing, found), role=role)] = None
    for thing in outputs:
        for role in _roles(thing, _parameters(instruments, "output")):
            key = _entity(thing, found)
            found.generated[WasGeneratedBy(entity=key, activity=action.id, role=role)] = None
    for thing in instruments:
        if "File" in thing.types:
            key = _entity(thing, found)
            found.used[Used(activity=action.id, entity=key, role=INSTRUMENT)] = None
        elif "SoftwareApplication" in thing.types and terms.is_global(thing.id):
            _associate(action.id, thing, INSTRUMENT, found)
    for thing in graph.refer(action, "agent"):
        _associate(action.id, thing, AGENT, found)


def _read_review(action: Thing, found: _Found) -> None:
    """Add what was said of products afterwards, where the crate is one of ours."""
    at = _instant(action, "endTime", found)
    people = found.graph.refer(action, "agent")
    agent = _agent(people[0], found) if people else None
    told = assessment_of(action, found.graph, at, agent)
    if told is None:
        return
    found.assessments[told] = None
    found.activities[action.id] = Activity(
        key=action.id,
        uuid=told.uuid,
        name=ASSESSMENT_NAMES[told.kind],
        type="Assessment",
        status=Status.COMPLETED,
        started_at=at,
        ended_at=at,
        comment=told.reason,
    )
    for thing in people:
        _associate(action.id, thing, None, found)
    for thing in found.graph.refer(action, "object"):
        _entity(thing, found)


def _parameters(instruments: Iterable[Thing], side: str) -> set[str]:
    return {name for thing in instruments for name in thing.ids(side)}


def _roles(thing: Thing, listed_here: set[str]) -> list[str | None]:
    """Return the names of the parameters of which `thing` is the value: those listed, else all."""
    works = thing.ids("exampleOfWork")
    chosen = [name for name in works if name in listed_here]
    chosen = chosen or [name for name in works if not name.startswith(ROLE)]
    return list(dict.fromkeys(_role(name) for name in chosen)) or [None]


def _role(name: str) -> str:
    is_own = name.startswith(ROLE)
    return unquote(name.rpartition("/")[2]) if is_own else name.rpartition("#")[2]


def _activity(
    action: Thing, found: _Found, instruments: list[Thing], inputs: list[Thing]
) -> Activity:
    uuid, iri = _identity(action, found)
    started, ended = (_instant(action, key, found) for key in ("startTime", "endTime"))
    if started and ended and started > ended:
        message = f"{action.id} ends before it starts: the start is left out"
        found.notes.add("ends-before-start", message, action.pointer)
        started = None
    word = terms.local_name(_reference(action, "actionStatus") or "")
    error = [thing.text("name", "description") for thing in found.graph.refer(action, "error")]
    values = {
        (thing.text("name") or thing.id): setting_of(thing)
        for thing in inputs
        if "PropertyValue" in thing.types
        and thing.text("value") is not None
        and thing.text("propertyID") != VALUE
    }
    images = found.graph.refer(action, "containerImage")
    kept = {k: v for k, v in action.fields.items() if k not in _READ_HERE and not is_own(k)}
    if instruments:
        kept["instrument"] = [thing.id for thing in instruments]
    told = Activity(
        key=action.id,
        uuid=uuid,
        iri=iri,
        name=action.text("name") or action.id,
        version=next((v for t in instruments if (v := t.text("softwareVersion", "version"))), None),
        type=min(action.types & {*_RUNS, "OrganizeAction"}),
        comment=next((e for e in error if e), None) or action.text("description"),
        status=_STATUSES.get(word, Status.UNKNOWN),
        status_raw=word or None,
        started_at=started,
        started_raw=action.text("startTime") if started else None,
        ended_at=ended,
        ended_raw=action.text("endTime"),
        container=_image(images[0]) if len(images) == 1 else None,
        environment=_software(found.graph, instruments),
        configuration=values or None,
        attributes=kept,
    )
    return replace(told, **called_fields(action))


def _identity(action: Thing, found: _Found) -> tuple[UUID, str | None]:
    """Return the UUID of an action, and its IRI where that is something else.

    ``#<UUID>`` is that UUID; one made of a name (versions 3, 5, 8) need not be of this run alone.
    """
    uuid = parse_uuid(action.id.removeprefix("#"))
    if uuid is not None and uuid.version in _RANDOM_UUIDS:
        return uuid, None
    iri = found.own(action.id)
    return activity_uuid(iri), iri


def _instant(action: Thing, key: str, found: _Found) -> datetime | None:
    text = action.text(key)
    if text is None:
        return None
    try:
        when = parse_instant(text)
    except ValueError as error:
        place = child(action.pointer, key)
        raise wrong(place, "a time such as 2026-11-21T02:15:36Z", text) from error
    has_zone = datetime.fromisoformat(text.strip().replace(":60", ":59")).tzinfo is not None
    if not has_zone and not found.has_noted_zone:
        found.has_noted_zone = True
        message = f"times without a zone, such as {text}, are taken as UTC"
        found.notes.add("no-time-zone", message, child(action.pointer, key))
    return when


def _reference(thing: Thing, key: str) -> str | None:
    return next(iter(thing.ids(key)), None)


def _image(thing: Thing) -> dict[str, Any]:  # Any: free-form JSON
    said = {
        "image": thing.text("name") or thing.id,
        "registry": thing.text("registry"),
        "tag": thing.text("tag"),
        "digest": next(iter(thing.digests), None),
    }
    return {key: value for key, value in said.items() if value}


def _software(graph: Graph, instruments: Iterable[Thing]) -> dict[str, Any] | None:
    """Return the named and versioned software that actions ran with. (Any: free-form JSON.)"""
    packages: dict[tuple[str, str], None] = {}
    queue = [t for t in instruments if t.types & _SOFTWARE]
    seen: set[str] = set()
    while queue:
        thing = queue.pop()
        if thing.id in seen:
            continue
        seen.add(thing.id)
        name, version = thing.text("name"), thing.text("softwareVersion", "version")
        if name and version:
            packages[name, version] = None
        queue += graph.refer(thing, "softwareRequirements")
    listed_ = [{"name": name, "version": version} for name, version in sorted(packages)]
    return {"packages": listed_} if listed_ else None


# engines and steps --------------------------------------------------------------------------------


def _read_engine(engine: Thing, found: _Found) -> None:
    """Add the run of a workflow engine, around the run of the workflow and those of its steps."""
    graph = found.graph
    instruments = graph.refer(engine, "instrument")
    found.activities[engine.id] = _activity(engine, found, instruments, [])
    for thing in graph.refer(engine, "agent"):
        _associate(engine.id, thing, AGENT, found)
    for thing in instruments:
        _associate(engine.id, thing, INSTRUMENT, found)
    workflows = [name for name in engine.ids("result") if name in found.activities]
    for name in workflows:
        _be_part(name, engine.id, found)
    for control in graph.refer(engine, "object"):
        if "ControlAction" in control.types:
            for step in control.ids("object"):
                _take_step(step, control.ids("instrument"), workflows, found)


def _read_steps_of_workflows(found: _Found) -> None:
    """Add steps whose ControlAction no engine has: of the one run of the workflow that has them."""
    graph = found.graph
    runs: dict[str, list[str]] = {}
    for key in found.activities:
        for workflow in graph.refer(graph.get(key), "instrument"):
            for step in workflow.ids("step"):
                runs.setdefault(step, []).append(key)
    inner = {link.informed for link in found.informed}
    for control in graph.of_type("ControlAction"):
        steps = control.ids("instrument")
        of = {run for step in steps for run in runs.get(step, ())}
        for step in control.ids("object"):
            if len(of) == 1 and step not in inner:
                _take_step(step, steps, list(of), found)


def _take_step(step: str, names: list[str], workflows: list[str], found: _Found) -> None:
    activity = found.activities.get(step)
    if activity is None:
        return
    for workflow in workflows:
        _be_part(step, workflow, found)
    attributes = {**activity.attributes, "step": names[0]} if names else activity.attributes
    found.activities[step] = replace(activity, attributes=attributes)


def _be_part(inner: str, outer: str, found: _Found) -> None:
    if inner != outer and _part(inner, outer, "stated") not in found.informed:
        found.informed[_part(inner, outer, STEP_RULE)] = None


def _part(inner: str, outer: str, rule: str) -> WasInformedBy:
    return WasInformedBy(informed=inner, informant=outer, kind=InformKind.PART_OF, rule=rule)


# data and agents ----------------------------------------------------------------------------------


def _entity(thing: Thing, found: _Found) -> str:
    """Add a data entity with its parts; return its key."""
    if thing.id in found.entities:
        return thing.id
    if not thing.pointer:
        message = f"{thing.id} is referred to, and described nowhere in the crate"
        found.notes.add("dangling-reference", message)
    locations = _locations(thing)
    is_result = thing.id in found.results
    is_named = bool(thing.digests or locations) and not is_result
    kind = EntityKind.DATASET
    if "PropertyValue" in thing.types:
        kind = EntityKind.VALUE
    elif thing.types & _COLLECTIONS:
        kind = EntityKind.COLLECTION
    found.entities[thing.id] = Entity(
        key=thing.id,
        kind=kind,
        name=thing.text("alternateName", "name") or terms.local_name(thing.id),
        digests=thing.digests,
        product_ids=_product_ids(thing, found, is_named=is_named),
        locations=locations,
        size_bytes=thing.size_bytes,
        content_type=thing.text("encodingFormat"),
        value=thing.text("value") if kind is EntityKind.VALUE else None,
        comment=thing.text("description"),
        generated_at=_instant(thing, GENERATED_AT, found),
        attributes={"crate id": thing.id} | _rest(thing),
    )
    has_parts = kind is EntityKind.COLLECTION and thing.id not in _ROOTS
    for part in found.graph.refer(thing, "hasPart") if has_parts else ():
        if part.id != thing.id:
            key = _entity(part, found)
            found.members[HadMember(collection=thing.id, member=key)] = None
    return thing.id


def _product_ids(thing: Thing, found: _Found, *, is_named: bool) -> tuple[str, ...]:
    """Return what identifies a data entity: its own id where it must, or an assessment names it."""
    own = () if is_named and thing.id not in found.assessed else (found.own(thing.id),)
    said = (v for v in listed(thing.fields.get(PRODUCT_ID)) if isinstance(v, str) and v)
    return (*own, *said)


def _rest(thing: Thing) -> dict[str, Any]:  # Any: free-form JSON
    said = ("@id", "@type", "name", "alternateName", "hasPart", "contentSize", "exampleOfWork")
    return {k: v for k, v in thing.fields.items() if k not in said}


def _locations(thing: Thing) -> tuple[str, ...]:
    """Return where a data entity lies, unless its host is not said: ``file:///tmp/x``."""
    said = [thing.id, *(u for u in listed(thing.fields.get("contentUrl")) if isinstance(u, str))]
    places = (terms.location_of_value(text) for text in said if terms.is_global(text))
    return tuple(dict.fromkeys(p for p in places if p and not p.startswith("file:///")))


def _associate(activity: str, thing: Thing, role: str | None, found: _Found) -> None:
    found.agents[thing.id] = _agent(thing, found)
    found.associated[WasAssociatedWith(activity=activity, agent=thing.id, role=role)] = None


def _agent(thing: Thing, found: _Found) -> Agent:
    kinds = {k for k in AgentKind if k.value in thing.types}
    if "SoftwareApplication" in thing.types:
        kinds = {AgentKind.SOFTWARE_AGENT}
    organisations = found.graph.refer(thing, "affiliation")
    return Agent(
        key=thing.id,
        iri=found.own(thing.id),
        name=thing.text("name") or thing.id,
        kind=min(kinds, default=None),
        email=(thing.text("email") or "").removeprefix("mailto:") or None,
        affiliation=next((n for o in organisations if (n := o.text("name") or o.id)), None),
        url=thing.text("url") or _reference(thing, "url"),
    )
