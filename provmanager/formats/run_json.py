"""Reader of our own capture format, `provmanager/activity.v1` (schemas/activity.v1.json).

This is the format of bulk ingest: a record is read in some tens of microseconds. The free-form
parts (configuration, environment, attributes) are passed through by reference, never copied.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

from provmanager.model import (
    Activity,
    Agent,
    AgentKind,
    Document,
    InformKind,
    Note,
    Status,
    WasAssociatedWith,
    WasInformedBy,
    attempt_of,
)

from .environments import Environments
from .run_json_checks import (
    RECORD,
    check_exit_code,
    check_instant,
    check_parts,
    check_types,
    check_uuid,
    fail,
)
from .run_json_flows import FlowReader, clean, cleaned

JSONDict = dict[str, Any]  # Any: free-form JSON

FORMAT = "run-json"
SCHEMA = "provmanager/activity.v1"
_FAMILY = "provmanager/activity."
_STATUS = {status.value: status for status in Status}
_KEPT = ("messages", "resources", "recorder")
_NOT_AN_ATTRIBUTE = frozenset({"id", "name", "email", "affiliation", "type", "role"})


def matches(values: list[Any]) -> bool:  # Any: JSON values
    """Whether a stream of JSON values is of records of our capture format, of any version."""
    found = False
    for _, record in _records(values):
        if not isinstance(record, dict) or not str(record.get("schema")).startswith(_FAMILY):
            return False
        found = True
    return found


def read_run_json(
    values: list[Any],  # Any: JSON values
    environments: Environments | None = None,
) -> Document:
    """Return what a stream of records states.

    Parameters
    ----------
    values : list
        The JSON values of the document in order: records, or lists of records.
    environments : Environments, optional
        Those of the documents that are read together with this one.

    Raises
    ------
    DocumentError
        A record is not as the schema says, or ends before it starts (``pointer``, ``expected``,
        ``found``). In a document of several values the pointer begins with the value's number.
    """
    reader = _Reader(environments or Environments())
    for pointer, record in _merged(values, reader.notes):
        reader.read(record, pointer)
    return reader.document()


def _records(values: list[Any]) -> Iterator[tuple[str, Any]]:  # Any: JSON values
    """Yield (JSON pointer, record) of every record."""
    is_single = len(values) == 1
    for number, value in enumerate(values):
        pointer = "" if is_single else f"/{number}"
        if type(value) is list:
            for index, item in enumerate(value):
                yield f"{pointer}/{index}", item
        else:
            yield pointer, value


def _merged(values: list[Any], notes: list[Note]) -> Iterator[tuple[str, JSONDict]]:
    """Yield every activity's record once: one of status running is completed by a later one."""
    records: dict[str, tuple[str, JSONDict]] = {}
    n_found = 0
    for pointer, record in _records(values):
        if type(record) is not dict:
            fail(pointer, "an object", record)
        n_found += 1
        name = record.get("id")
        key = name.lower() if type(name) is str else pointer
        if key in records:
            pointer_of_first, first = records[key]
            records[key] = (pointer_of_first, _completed(first, record, pointer, notes))
        else:
            records[key] = (pointer, record)
    if not n_found:
        fail("", "a record of an activity", values)
    yield from records.values()


def _completed(first: JSONDict, second: JSONDict, pointer: str, notes: list[Note]) -> JSONDict:
    """Return what two records of one activity say together.

    A running record gives way to the other one; of two final ones the first stands where they
    disagree, and a note says so.
    """
    if first == second:
        return first
    one, other = attempt_of(first.get("job")), attempt_of(second.get("job"))
    if one and other and one.job == other.job and one != other:
        pair = (first, second) if one < other else (second, first)
        return _last_attempt(*pair, pointer, notes)
    is_first_open = first.get("status") in ("running", None)
    weak, strong = (first, second) if is_first_open else (second, first)
    differing = [
        key
        for key in sorted(first.keys() & second.keys())
        if first[key] != second[key] and key not in ("status", "resources", "messages")
    ]
    if not is_first_open and second.get("status") != "running" and differing:
        fields = ", ".join(differing)
        notes.append(
            Note(
                code="contradictory-record",
                message=f"a second record of the activity differs in {fields}; the first stands",
                pointer=pointer,
            )
        )
    told = {key: value for key, value in strong.items() if value is not None}
    return {**weak, **told, **_all_flows(strong, weak)}


def _last_attempt(former: JSONDict, last: JSONDict, pointer: str, notes: list[Note]) -> JSONDict:
    """Return the record of the later attempt of a job, with the flows of both."""
    text = (
        f"of two attempts of one job, {last['job']['attempt']} is recorded: the record of attempt "
        f"{former['job']['attempt']} takes a document of its own"
    )
    notes.append(Note(code="former-attempt", message=text, pointer=pointer))
    return {**last, **_all_flows(last, former)}


def _all_flows(strong: JSONDict, weak: JSONDict) -> JSONDict:
    """Return the inputs and outputs that two records of an activity name, each once."""
    found = {}
    for side in ("inputs", "outputs"):
        lists = [record[side] for record in (strong, weak) if type(record.get(side)) is list]
        if lists and (len(lists) == 2 or strong.get(side) is None):
            flows = {json.dumps(flow, sort_keys=True): flow for part in lists for flow in part}
            found[side] = list(flows.values())
    return found


class _Reader:
    """Collects what the records of one document state."""

    def __init__(self, environments: Environments) -> None:
        self.notes: list[Note] = []
        self._activities: dict[str, Activity] = {}
        self._agents: dict[str, Agent] = {}
        self._associated: list[WasAssociatedWith] = []
        self._parents: list[tuple[str, UUID]] = []
        self._flows = FlowReader()
        self._environments = environments

    def document(self) -> Document:
        """Return all of it; enclosing activities that have no record here are only named."""
        informed = []
        for child, parent in self._parents:
            key = str(parent)
            if key not in self._activities:
                self._activities[key] = Activity(key=key, uuid=parent, is_claim=True)
            informed.append(WasInformedBy(informed=child, informant=key, kind=InformKind.PART_OF))
        return Document(
            format=FORMAT,
            reason=f'every value says "schema": "{SCHEMA}"',
            activities=tuple(self._activities.values()),
            entities=tuple(self._flows.entities),
            agents=tuple(self._agents.values()),
            used=tuple(self._flows.used),
            generated=tuple(self._flows.generated),
            informed=tuple(informed),
            members=tuple(self._flows.members),
            associated=tuple(self._associated),
            notes=tuple(self.notes),
        )

    def read(self, record: JSONDict, pointer: str) -> None:
        """Take one record."""
        if record.get("schema") != SCHEMA:
            fail(f"{pointer}/schema", SCHEMA, record.get("schema"))
        is_extended = check_types(record, RECORD, pointer)
        for key in ("id", "name"):
            if not record.get(key):
                fail(f"{pointer}/{key}", "a string that is not empty", record.get(key))
        check_parts(record, pointer)
        environment = self._environments.of(record, pointer)
        activity = _activity(record, environment, pointer, is_extended=is_extended)
        self._activities[activity.key] = activity
        if record.get("parent") is not None:
            parent = check_uuid(record["parent"], f"{pointer}/parent")
            if parent == activity.uuid:
                fail(f"{pointer}/parent", "the id of another activity", record["parent"])
            self._parents.append((activity.key, parent))
        host = (activity.host or {}).get("name")
        if record.get("inputs"):
            self._flows.read_inputs(record["inputs"], activity, host, f"{pointer}/inputs")
        if record.get("outputs"):
            self._flows.read_outputs(record["outputs"], activity, host, f"{pointer}/outputs")
        if "agent" in record:
            self._read_agent(record["agent"], activity.key, host)

    def _read_agent(self, agent: JSONDict, activity: str, host: str | None) -> None:
        iri = _agent_iri(agent, host)
        if iri not in self._agents:
            kind = agent.get("type")
            name = agent.get("name") or agent.get("user") or agent.get("email") or iri
            self._agents[iri] = Agent(
                key=iri,
                iri=iri,
                name=clean(name),
                kind=AgentKind(kind) if kind else None,
                email=cleaned(agent.get("email")),
                affiliation=cleaned(agent.get("affiliation")),
                attributes={k: v for k, v in agent.items() if k not in _NOT_AN_ATTRIBUTE},
            )
        role = cleaned(agent.get("role"))
        self._associated.append(WasAssociatedWith(activity=activity, agent=iri, role=role))


def _agent_iri(agent: JSONDict, host: str | None) -> str:
    """Return what identifies the agent: its IRI, else its e-mail, else its account on a host."""
    if "id" in agent:
        return clean(agent["id"])
    if "email" in agent:
        return "mailto:" + quote(agent["email"].strip().lower(), safe="@+", errors="replace")
    if "user" in agent:
        user = quote(agent["user"], safe="", errors="replace")
        return f"urn:provmanager:account:{user}@{quote((host or '').lower(), errors='replace')}"
    return f"urn:provmanager:agent:{quote(agent['name'], safe='', errors='replace')}"


def _activity(
    record: JSONDict, environment: JSONDict | None, pointer: str, *, is_extended: bool
) -> Activity:
    """Return the activity of a record whose types were checked."""
    uuid = check_uuid(record["id"], f"{pointer}/id")
    status = record.get("status", "unknown")
    if status not in _STATUS:
        fail(f"{pointer}/status", "one of " + ", ".join(sorted(_STATUS)), status)
    started_raw = record.get("started_at")
    ended_raw = record.get("ended_at")
    started_at, ended_at = (
        None if raw is None else check_instant(raw, f"{pointer}/{name}")
        for name, raw in (("started_at", started_raw), ("ended_at", ended_raw))
    )
    if started_at and ended_at and ended_at < started_at:
        fail(f"{pointer}/ended_at", f"an instant not before started_at, {started_raw}", ended_raw)
    command = record.get("command") or {}
    version = record.get("version") or (record.get("software") or {}).get("version")
    arguments = command.get("arguments")
    return Activity(
        key=str(uuid),
        uuid=uuid,
        name=clean(record["name"]),
        version=cleaned(version),
        type=cleaned(record.get("type")),
        comment=cleaned(record.get("comment")),
        status=_STATUS[status],
        status_raw=record.get("status"),
        exit_code=check_exit_code(record.get("exit_code"), f"{pointer}/exit_code"),
        started_at=started_at,
        ended_at=ended_at,
        started_raw=started_raw,
        ended_raw=ended_raw,
        environment=environment,
        host=record.get("host"),
        container=record.get("container"),
        job=record.get("job"),
        configuration=record.get("configuration"),
        arguments=tuple(arguments) if arguments is not None else None,
        executable=cleaned(command.get("executable")),
        directory=cleaned(command.get("directory")),
        attributes=_attributes(record, is_extended=is_extended),
    )


def _attributes(record: JSONDict, *, is_extended: bool) -> JSONDict:
    """Return the tool's attributes with what has no field in the model; ours win, theirs stay."""
    told = record.get("attributes") or {}
    ours = {key: record[key] for key in _KEPT if key in record}
    if is_extended:
        ours.update({key: value for key, value in record.items() if key not in RECORD})
    clashing = told.keys() & ours.keys()
    theirs = {f"attributes.{k}" if k in clashing else k: v for k, v in told.items()}
    return {**theirs, **ours}
