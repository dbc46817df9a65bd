"""ctapipe's provenance log, versions 0.5 to 0.32, and lstchain's single records.

What tools leave behind is a flat array of finished activities, in the order in which they
finished. The traps, all seen in real files, and what becomes of each:

- arrays appended without a separator (``][``): read as a stream;
- ``[]``, of a run that failed before it began or whose activity never finished: no activities;
- several tools in one process dump the earlier activities again: the same record counts once, and
  a record of the finished activity completes one of the running activity;
- URLs that ``os.path.abspath`` mangled (``/cwd/https:/host/x``): repaired;
- random product ids, made up at each reading of a file without headers: ignored;
- ``CTA ACTIVITY ID`` of an output, which may be that of one of its inputs: ignored; of an input
  it is kept as a claim on who made it;
- one input in two roles: one entity, used twice;
- no pointer from an activity to the one inside which it ran: inferred from the times.

An activity may read a path and write it again: that is two versions of the file, so that what an
activity reads and what it writes are different entities here, and so are the mentions of different
activities. Ingest joins them by product id, or by location and time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ..errors import ActivityCollisionError
from ..ids import clean_json, parse_uuid
from ..model import (
    Activity,
    Agent,
    Document,
    Entity,
    InformKind,
    Used,
    WasAssociatedWith,
    WasGeneratedBy,
    WasInformedBy,
)
from .cta_reference import Reference, read_reference
from .ctapipe_activity import read_activity
from .json_fields import JSONObject, child, list_at, required_text, shown, text_at, wrong
from .json_stream import JsonStream
from .local_user import local_user
from .locations import absolute_uri, repair_mangled, split_location
from .note_book import NoteBook

FORMAT = "ctapipe"

_KEYS = frozenset(
    ("activity_name", "activity_uuid", "status", "exit_code", "start", "stop", "duration_min")
) | {"config", "input", "output", "samples", "system"}
_ENOUGH_KEYS = 3
_MAPPED_IO = frozenset(("url", "role", "reference_meta"))


@dataclass(slots=True)
class _Found:
    """What is read so far."""

    notes: NoteBook
    activities: list[Activity] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    agents: dict[str, Agent] = field(default_factory=dict)
    used: list[Used] = field(default_factory=list)
    generated: list[WasGeneratedBy] = field(default_factory=list)
    associated: list[WasAssociatedWith] = field(default_factory=list)


def matches(values: list[Any]) -> str | None:  # Any: free-form JSON
    """Return why `values` are ctapipe's, or None."""
    for _, _, record in _records(values):
        if not isinstance(record, dict) or "schema" in record:
            continue
        has_name = "activity_uuid" in record or "activity_name" in record
        if has_name and len(_KEYS & record.keys()) >= _ENOUGH_KEYS:
            system = record.get("system")
            has_version = isinstance(system, dict) and "ctapipe_version" in system
            second = '"system.ctapipe_version"' if has_version else '"activity_name"'
            return f'JSON records with "activity_uuid" and {second}'
    if values and all(value == [] for value in values):
        return "an empty JSON array, which ctapipe writes when no activity finished"
    return None


def read_records(stream: JsonStream, *, reason: str) -> Document:
    """Return what the records of `stream` state.

    Raises
    ------
    DocumentError
        A record is not as ctapipe writes it (``pointer``, ``expected``, ``found``).
    ActivityCollisionError
        Two records with one activity id have different names or starts.
    """
    notes = NoteBook(stream.notes)
    found = _Found(notes)
    arrays: dict[int, list[UUID]] = {}
    chosen: dict[UUID, tuple[str, JSONObject]] = {}
    for index, value in enumerate(stream.values):
        if value == []:
            notes.add("no-activities", "an empty array: no activity finished", child("", index))
    for pointer, index, record in _records(stream.values):
        uuid = _uuid(record, pointer)
        held = chosen.get(uuid)
        if held is None:
            arrays.setdefault(index, []).append(uuid)
            chosen[uuid] = (pointer, record)
        elif held[1] == record:
            notes.add("repeated-activity", f"{uuid} stands here again: counted once", pointer)
        else:
            chosen[uuid] = _merged(held, (pointer, record), uuid, notes)
    for uuid, (pointer, record) in chosen.items():
        cleaned = clean_json(record) if stream.needs_cleaning else record
        _read_run(record, cleaned, pointer, uuid, found)
    by_uuid = {activity.uuid: activity for activity in found.activities}
    return Document(
        format=FORMAT,
        reason=reason,
        activities=tuple(found.activities),
        entities=tuple(found.entities),
        agents=tuple(found.agents.values()),
        used=tuple(found.used),
        generated=tuple(found.generated),
        associated=tuple(found.associated),
        informed=tuple(
            part
            for uuids in arrays.values()
            for part in infer_nesting([by_uuid[uuid] for uuid in uuids])
        ),
        notes=notes.to_tuple(),
    )


def infer_nesting(activities: list[Activity]) -> list[WasInformedBy]:
    """Return which of the `activities` of one process ran inside which, direct parents only.

    A process keeps its running activities on a stack, so that one that started later and did not
    end later than another ran inside it. Starting takes some ten milliseconds and times have a
    millisecond, so that starts differ; ends may be the same.
    """
    timed = [(a.ended_at, a.started_at, a.key) for a in activities if a.ended_at and a.started_at]
    timed.sort(key=lambda item: (item[0], -item[1].timestamp()))
    found = []
    waiting: list[tuple[float, str]] = []
    for _, started_at, key in timed:
        start_s = started_at.timestamp()
        while waiting and waiting[-1][0] > start_s:
            found.append(
                WasInformedBy(
                    informed=waiting.pop()[1],
                    informant=key,
                    kind=InformKind.PART_OF,
                    rule="contained-in-time",
                )
            )
        waiting.append((start_s, key))
    return found


def _records(values: list[Any]) -> Iterator[tuple[str, int, Any]]:  # Any: free-form JSON
    """Yield (JSON pointer, index of the value in the stream, record)."""
    for index, value in enumerate(values):
        if isinstance(value, list):
            for place, record in enumerate(value):
                yield child("", index, place), index, record
        else:
            yield child("", index), index, value


def _uuid(record: Any, pointer: str) -> UUID:  # Any: free-form JSON
    if not isinstance(record, dict):
        raise wrong(pointer, "an activity record (an object)", record)
    text = required_text(record, "activity_uuid", pointer, "the UUID of the activity")
    uuid = parse_uuid(text)
    if uuid is None:
        raise wrong(child(pointer, "activity_uuid"), "a UUID", text)
    return uuid


def _merged(
    held: tuple[str, JSONObject], other: tuple[str, JSONObject], uuid: UUID, notes: NoteBook
) -> tuple[str, JSONObject]:
    """Return one record of two different ones of one activity.

    A finished record completes one of the running activity; of two finished ones the later
    counts. Inputs and outputs of both are kept.
    """
    first, second = (
        read_activity(clean_json(record), pointer, uuid, NoteBook())
        for pointer, record in (held, other)
    )
    if (first.name, first.started_at) != (second.name, second.started_at):
        raise ActivityCollisionError(
            f"{child(other[0], 'activity_uuid')}: {uuid} is {second.name!r} of "
            f"{second.started_raw} here and {first.name!r} of {first.started_raw} at {held[0]}; "
            "two runs need two ids",
            pointer=child(other[0], "activity_uuid"),
            expected=f"{first.name} started at {first.started_raw}",
            found=f"{second.name} started at {second.started_raw}",
        )
    if first.status.is_final and not second.status.is_final:
        held, other = other, held
        first, second = second, first
    if second.status.is_final and not first.status.is_final:
        notes.add("completed-record", f"{uuid} completes the record at {held[0]}", other[0])
    else:
        message = f"{uuid} differs from the record at {held[0]}: the later counts"
        notes.add("repeated-differently", message, other[0])
    merged = held[1] | other[1]
    for key in ("input", "output"):
        earlier, later = (list_at(record, key, pointer) for pointer, record in (held, other))
        merged[key] = [*later, *(entry for entry in earlier if entry not in later)]
    return other[0], merged


def _read_run(
    record: JSONObject, cleaned: JSONObject, pointer: str, uuid: UUID, found: _Found
) -> None:
    """Add all that one record states to `found`."""
    activity = read_activity(cleaned, pointer, uuid, found.notes)
    found.activities.append(activity)
    host = activity.host.get("name") if activity.host else None
    sides: dict[str, list[tuple[str, str | None]]] = {}
    for side in ("input", "output"):
        raw_urls = [
            entry.get("url") if isinstance(entry, dict) else None
            for entry in list_at(record, side, pointer)
        ]
        files = _Files(side, list_at(cleaned, side, pointer), raw_urls, child(pointer, side))
        sides[side] = _read_files(files, activity, host, found)
    key = activity.key
    found.used.extend(Used(activity=key, entity=e, role=role) for e, role in sides["input"])
    found.generated.extend(
        WasGeneratedBy(entity=e, activity=key, role=role) for e, role in sides["output"]
    )
    user = (activity.environment or {}).get("variables", {}).get("USER")
    if isinstance(user, str) and user:
        agent = local_user(user, host)
        found.agents.setdefault(agent.key, agent)
        found.associated.append(WasAssociatedWith(activity=key, agent=agent.key, role="Operator"))


@dataclass(frozen=True, slots=True)
class _Files:
    """The inputs or the outputs of one record; `raw_urls` may hold undecodable bytes."""

    side: str
    entries: list[Any]  # Any: free-form JSON
    raw_urls: list[Any]
    pointer: str


def _read_files(
    files: _Files, activity: Activity, host: str | None, found: _Found
) -> list[tuple[str, str | None]]:
    """Add the entities of one side; return (entity key, role) of each link."""
    keys: dict[tuple[str, str | None], str] = {}
    links: dict[tuple[str, str | None], None] = {}
    for index, entry in enumerate(files.entries):
        place = child(files.pointer, index)
        if not isinstance(entry, dict):
            raise wrong(place, "an object with url and role", entry)
        required_text(entry, "url", place, "a path or URL")
        if not isinstance(files.raw_urls[index], str):  # NaN, which was cleaned to a word
            raise wrong(child(place, "url"), "a path or URL", files.raw_urls[index])
        location = _location(files.raw_urls[index], host, place, found.notes)
        reference = _reference(entry, files.side, place, activity, found.notes)
        product_id = reference.product_id if reference else None
        key = keys.get((location, product_id))
        if key is None:
            key = keys[location, product_id] = f"{activity.key}/{files.side}/{index}"
            found.entities.append(_entity(key, location, entry, reference, files.side))
        links[key, text_at(entry, "role", place) or None] = None
    return list(links)


def _location(url: str, host: str | None, pointer: str, notes: NoteBook) -> str:
    place = child(pointer, "url")
    try:
        location = absolute_uri(url, host=host)
    except ValueError as error:
        raise wrong(place, "a path or URL", url, advice=str(error)) from error
    if repair_mangled(url) is not None:
        notes.add("mangled-url", f"{shown(url)} was {location} before os.path.abspath", place)
    return location


def _reference(
    entry: JSONObject, side: str, pointer: str, activity: Activity, notes: NoteBook
) -> Reference | None:
    """Return what the file's own headers say, with notes on what of it is not to be trusted."""
    metadata = entry.get("reference_meta")
    if metadata is None:
        return None
    place = child(pointer, "reference_meta")
    if not isinstance(metadata, dict):
        raise wrong(place, "an object or null", metadata)
    reference = read_reference(metadata)
    if reference.is_fabricated:
        notes.add(
            "fabricated-product-id",
            "the file has no CTA headers: ctapipe made up its product id, which is ignored",
            place,
        )
    elif side == "output" and reference.producer and reference.producer.uuid != activity.uuid:
        notes.add(
            "stale-activity-id",
            f"the output's headers name the activity {reference.producer.uuid}, which did not "
            "write it: ignored",
            place,
        )
    return reference


def _entity(
    key: str, location: str, entry: JSONObject, reference: Reference | None, side: str
) -> Entity:
    url = entry["url"]
    attributes = {name: value for name, value in entry.items() if name not in _MAPPED_IO}
    name = split_location(repair_mangled(url) or url)[1]
    if reference is None or reference.is_fabricated:
        return Entity(key=key, name=name, locations=(location,), attributes=attributes)
    return Entity(
        key=key,
        name=name,
        locations=(location,),
        product_ids=(reference.product_id,) if reference.product_id else (),
        generated_at=reference.created_at,
        producer=reference.producer if side == "input" else None,
        attributes=attributes | {"reference_meta": entry["reference_meta"]},
    )
