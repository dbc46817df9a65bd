"""Logs of LST's on-site analysis (lstosa): the night's ``prov.log`` and the logs of single runs.

``prov.log`` holds lines ``INFO provLogger __PROV__<local time>__PROV__{dict}``, one a record, of
all jobs of a night; provprocess then writes one log a run, in which the sub-runs' activities are
merged into one, as bare dicts. The dicts are Python ``repr``. What lstosa's identifiers are worth:

- **activities**: six hexadecimal digits, drawn anew for every run's log (drs4_pedestal of one
  night is 77e1c2 in one and a02a0b in the other). No identity: the activity is known by its name,
  session, start and end (microseconds), which are the same wherever it is told of, so that the
  calibration steps in ``prov.log`` and in all runs' logs are one. The end is part of it because a
  merged activity starts with its first sub-run and ends with its last: it is that sub-run's
  activity only where there is one sub-run.
- **entities**: the MD5 digest of the *path*, also given as their ``hash``. No digest of content;
  it is ignored unless ``hash_type`` says ``content``. The file is known by its path on the host.
- **sessions** are named by run, and repeated for each step: they give host, software and
  configuration file of the step.
- **progenitors** come from variables of the process that were traced over all its calls, so that
  the file of one sub-run is "derived" from that of the sub-run before. Kept are those logged with
  a generated entity, and those between files of one name (the same sub-run, one step on).
- **times** are local, without a zone: taken as UTC, since nothing tells the offset.

Nothing is logged for a step that fails; one with an end was completed.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from ..errors import DocumentError
from ..ids import clean_json, uuid_of
from ..model import Activity, Document, Entity, EntityKind, Status
from .instants import parse_instant
from .json_fields import JSONObject, shown
from .locations import absolute_uri, split_location
from .lstosa_links import Links, Step
from .note_book import NoteBook
from .python_literals import parse_literal

FORMAT = "lstosa"

_PREFIX = b"__PROV__"
_HEAD_BYTES = 65536
_BARE = re.compile(rb"""(?:\xef\xbb\xbf)?\s*\{\s*'(?:session|activity|entity)_id':""")
_LOGGED = re.compile(rb"""__PROV__[^\n]{1,64}?__PROV__\s*\{""")
_COLLECTIONS = ("SetCollection", "FileCollection")
_MAPPED_ENTITY = frozenset(
    ("entity_id", "name", "type", "filepath", "location", "contentType", "value", "session_tag")
) | {"hash", "hash_type"}
_HEXADECIMAL = re.compile(r"[0-9a-f]{32,128}")
_HASH = re.compile(r"(?P<algorithm>md5|sha1|sha256|sha512)\W*content", re.IGNORECASE)


def matches(data: bytes) -> str | None:
    """Return why `data` is a log of lstosa, or None."""
    head = data[:_HEAD_BYTES]
    if _LOGGED.search(head):
        return "log lines with __PROV__ and a Python dict"
    if _BARE.match(head):
        return "lines that are Python dicts with session_id, activity_id or entity_id"
    return None


def read_log(data: bytes, *, reason: str) -> Document:
    """Return what the log `data` states.

    Raises
    ------
    DocumentError
        A line is no record (``line``, ``offset``, ``expected``, ``found``).
    """
    notes = NoteBook()
    records = list(_records(data, notes))
    steps = _read_steps(records, notes)
    links = Links(notes)
    for line, record in records:
        links.add(line, record, steps, _read_entity)
    notes.add("local-times", "times without a zone, which lstosa takes from the local clock: UTC?")
    found = links.to_parts()
    return Document(
        format=FORMAT,
        reason=reason,
        activities=tuple(step.activity for step in steps.values()),
        notes=notes.to_tuple(),
        **found,
    )


def _records(data: bytes, notes: NoteBook) -> Iterator[tuple[int, JSONObject]]:
    """Yield (line number, record); lines of other loggers are passed over."""
    offset = 0
    n_others = 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        text = line.strip()
        logged = _LOGGED.search(line)
        if logged or (text.startswith(b"{") and _PREFIX not in text):
            start = logged.end() - 1 if logged else line.index(b"{")
            yield number, _record(line[start:], number, offset + start)
        elif text:
            n_others += 1
        offset += len(line)
    if n_others:
        notes.add("other-lines", f"{n_others} lines of the log are no records: passed over")


def _record(literal: bytes, line: int, offset: int) -> JSONObject:
    try:
        value = parse_literal(literal.decode("utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise DocumentError(
            f"line {line} (byte {offset}) is no record of lstosa: {error}; expected a Python dict; "
            "a last line that is cut off is still being written: send the log again later",
            line=line,
            offset=offset,
            expected="a Python dict",
            found=shown(literal.decode("utf-8", "replace").strip()),
        ) from error
    if isinstance(value, dict):
        return {key: clean_json(item) for key, item in value.items()}
    raise DocumentError(
        f"line {line} (byte {offset}): expected a Python dict, found {shown(value)}",
        line=line,
        offset=offset,
        expected="a Python dict",
        found=shown(value),
    )


def _read_steps(records: list[tuple[int, JSONObject]], notes: NoteBook) -> dict[str, Step]:
    """Return the activities by lstosa's own id for them in this log."""
    starts: dict[str, tuple[int, JSONObject]] = {}
    ends: dict[str, tuple[int, JSONObject]] = {}
    parameters: dict[str, JSONObject] = {}
    sessions: list[JSONObject] = []
    for line, record in records:
        identifier = str(record.get("activity_id"))
        if "session_id" in record:
            sessions.append(record)
        elif "activity_id" in record and "name" in record:
            starts[identifier] = (line, record)
        elif "activity_id" in record and "endTime" in record:
            ends[identifier] = (line, record)
        if isinstance(record.get("parameters"), dict):
            parameters[identifier] = record["parameters"]
    hosts = {host for session in sessions if (host := _node(session))}
    steps = {}
    for identifier, (line, record) in starts.items():
        session = _session_of(record, sessions)
        activity = _activity(
            line, record, ends.get(identifier), parameters.get(identifier), session
        )
        step = Step(
            activity=activity,
            record=record,
            agent=_text(record, "agent_name"),
            config_file=_text(session, "config_file"),
            host=_node(session) or (next(iter(hosts)) if len(hosts) == 1 else None),
        )
        if not step.activity.ended_at:
            notes.add("running-record", f"line {line}: {step.activity.name!r} has no end")
        steps[identifier] = step
    return steps


def _session_of(record: JSONObject, sessions: list[JSONObject]) -> JSONObject:
    """Return the session in whose process the step ran: same step and start, or at least same run.

    A run's log keeps one session of many, so that for other steps there is none.
    """
    step = (record.get("session_tag"), record.get("startTime"))
    for session in sessions:
        if (session.get("session_tag"), session.get("startTime")) == step:
            return session
    for session in sessions:
        if session["session_id"] == record.get("in_session"):
            return session
    return {}


def _activity(
    line: int,
    record: JSONObject,
    end: tuple[int, JSONObject] | None,
    parameters: JSONObject | None,
    session: JSONObject,
) -> Activity:
    name = str(record["name"])
    started_raw, started_at = _clock(record, "startTime", line)
    ended_raw, ended_at = _clock(end[1], "endTime", end[0]) if end else (None, None)
    if started_at and ended_at and ended_at < started_at:
        raise DocumentError(
            f"line {end[0] if end else line}: the activity {name!r} ends at {ended_raw}, before it "
            f"starts at {started_raw}",
            line=end[0] if end else line,
            expected=f"a time at or after {started_raw}",
            found=ended_raw,
        )
    uuid = activity_uuid_of(name, str(record.get("in_session")), started_raw, ended_raw)
    system = _object(session, "system")
    platform = _object(system, "platform")
    arguments = system.get("arguments")
    return Activity(
        key=str(uuid),
        uuid=uuid,
        name=name,
        version=_text(session, "software_version"),
        status=Status.COMPLETED if ended_at else Status.RUNNING,
        started_at=started_at,
        ended_at=ended_at,
        started_raw=started_raw,
        ended_raw=ended_raw,
        environment=_environment(system, platform),
        host=_host(platform),
        configuration=parameters,
        arguments=tuple(map(str, arguments)) if isinstance(arguments, list) else None,
        executable=_text(system, "executable"),
        attributes={
            key: record[key] for key in ("in_session", "script", "session_tag") if key in record
        }
        | {key: session[key] for key in ("observation_date",) if key in session},
    )


def _node(session: JSONObject) -> str | None:
    return _text(_object(_object(session, "system"), "platform"), "node")


def activity_uuid_of(
    name: str, session: str, started_raw: str | None, ended_raw: str | None
) -> UUID:
    """Return the identity of a step: what every log says of it alike (see the module's text)."""
    return uuid_of("lstosa", name, session, started_raw or "", ended_raw or "")


def _clock(record: JSONObject, key: str, line: int) -> tuple[str | None, datetime | None]:
    raw = record.get(key)
    if raw is None:
        return None, None
    try:
        return str(raw), parse_instant(str(raw))
    except ValueError as error:
        raise DocumentError(
            f"line {line}: {key}: expected a time, found {shown(raw)}",
            line=line,
            expected="a time such as 2026-11-21T02:17:52.452967",
            found=shown(raw),
        ) from error


def _environment(system: JSONObject, platform: JSONObject) -> JSONObject | None:
    """Return the software environment; provprocess turns None into the word."""
    python = dict(_object(system, "python"))
    packages = python.pop("packages", None)
    variables = {
        key: None if value == "None" else value
        for key, value in _object(system, "environment").items()
    }
    shared = ("system", "machine", "architecture_bits", "architecture_linkage", "libcver")
    parts = {
        "python": python,
        "packages": packages,
        "variables": variables,
        "platform": {key: platform[key] for key in shared if key in platform},
    }
    return {key: part for key, part in parts.items() if part} or None


def _host(platform: JSONObject) -> JSONObject | None:
    names = {"node": "name", "num_cpus": "n_cpus"}
    kept = ("node", "system", "release", "version", "machine", "processor", "num_cpus")
    found = {names.get(key, key): platform[key] for key in kept if platform.get(key)}
    return found or None


def _read_entity(key: str, record: JSONObject, step: Step) -> Entity:
    """Return one mention of an entity by an activity.

    A collection is the files of one run in a folder, which holds other runs' too: its location is
    the folder with the fragment ``#<name>.Run<run>``. A relative path is no location: nothing
    tells the directory.
    """
    path = _text(record, "filepath") or _text(record, "location")
    name = split_location(path)[1] if path else _text(record, "name")
    raw_kind = _text(record, "type")
    kind = EntityKind.VALUE if raw_kind == "PythonObject" else EntityKind.DATASET
    location = _location(path, step.host) if path else None
    if raw_kind in _COLLECTIONS:
        kind = EntityKind.COLLECTION
        name = f"{record.get('name')}.Run{step.run}"
        location = f"{location.rstrip('/')}/#{name}" if location else None
    digest = _content_digest(record)
    value = record.get("value")
    attributes = {k: v for k, v in record.items() if k not in _MAPPED_ENTITY}
    if "name" in record:
        attributes["entity_name"] = record["name"]
    if path and location is None:
        attributes["filepath"] = path
    return Entity(
        key=key,
        kind=kind,
        name=name,
        digests=(digest,) if digest else (),
        locations=(location,) if location else (),
        is_unnamed=location is None and digest is None,
        content_type=_text(record, "contentType"),
        value=None if value is None else str(value),
        attributes=attributes,
    )


def _location(path: str, host: str | None) -> str | None:
    if not path.startswith("/") and ":" not in path.partition("/")[0]:
        return None
    try:
        return absolute_uri(path, host=host)
    except ValueError:
        return None


def _content_digest(record: JSONObject) -> str | None:
    """Return the digest of the content; ``hash_type`` is ``md5`` where it is of the path."""
    kind = _HASH.fullmatch(str(record.get("hash_type", "")))
    digest = str(record.get("hash", "")).lower()
    if kind is None or _HEXADECIMAL.fullmatch(digest) is None:
        return None
    return f"{kind['algorithm'].lower()}:{digest}"


def _object(parent: JSONObject, key: str) -> JSONObject:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: JSONObject, key: str) -> str | None:
    value: Any = parent.get(key)
    return str(value) if value not in (None, "", "None") else None
