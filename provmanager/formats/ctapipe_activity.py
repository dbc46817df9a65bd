"""One record of ctapipe's ``Provenance``, to an `Activity`: times, status, software, host.

The keys, and since when they are there, are those of ctapipe/core/provenance.py 0.5 to 0.32.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from ..errors import DocumentError
from ..model import Activity, Status
from .instants import parse_instant
from .json_fields import JSONObject, child, list_at, object_at, shown, text_at, wrong
from .note_book import NoteBook

_MAPPED = frozenset(("activity_name", "activity_uuid", "status", "exit_code", "start", "stop")) | {
    "config",
    "input",
    "output",
    "system",
}
_MAPPED_SYSTEM = frozenset(("executable", "platform", "python", "environment", "arguments"))
_SOFTWARE = (
    "ctapipe_version",
    "ctapipe_resources_version",
    "pyhessio_version",
    "eventio_version",
    "ctapipe_svc_path",
)
# Of a platform, what a container or conda environment fixes; the rest is the machine's own.
_SHARED_PLATFORM = ("system", "machine", "architecture_bits", "architecture_linkage", "libcver")
_HOST_PLATFORM = ("system", "release", "version", "machine", "processor")
_MAPPED_PLATFORM = frozenset((*_SHARED_PLATFORM, *_HOST_PLATFORM, "node", "n_cpus", "num_cpus"))

_STATUS = {
    "completed": Status.COMPLETED,
    "success": Status.COMPLETED,
    "error": Status.ERROR,
    "interrupted": Status.INTERRUPTED,
    "running": Status.RUNNING,
}
_EXIT_INTERRUPTED = 130
_EXIT_DIGITS = 9


def read_activity(record: JSONObject, pointer: str, uuid: UUID, notes: NoteBook) -> Activity:
    """Return the activity that `record`, at JSON pointer `pointer`, states.

    Raises
    ------
    DocumentError
        A field has the wrong type, a time is none, or the activity stops before it starts.
    """
    name = text_at(record, "activity_name", pointer)
    started_raw, started_at = _clock(record, "start", pointer)
    ended_raw, ended_at = _clock(record, "stop", pointer)
    if started_at and ended_at and ended_at < started_at:
        raise DocumentError(
            f"{child(pointer, 'stop', 'time_utc')}: the activity {name!r} stops at {ended_raw}, "
            f"before it starts at {started_raw}; the clock or the file is wrong",
            pointer=child(pointer, "stop", "time_utc"),
            expected=f"a time at or after {started_raw}",
            found=shown(ended_raw),
        )
    status_raw = text_at(record, "status", pointer)
    exit_code = _exit_code(record, pointer)
    system_pointer = child(pointer, "system")
    system = object_at(record, "system", pointer)
    platform = object_at(system, "platform", system_pointer)
    return Activity(
        key=str(uuid),
        uuid=uuid,
        name=name or None,
        version=text_at(system, "ctapipe_version", system_pointer),
        status=_status(
            status_raw, name, exit_code, is_over=ended_at is not None, pointer=pointer, notes=notes
        ),
        status_raw=status_raw,
        exit_code=exit_code,
        started_at=started_at,
        ended_at=ended_at,
        started_raw=started_raw,
        ended_raw=ended_raw,
        environment=_environment(system, platform, system_pointer),
        host=_host(platform, child(system_pointer, "platform")),
        configuration=object_at(record, "config", pointer) if record.get("config") else None,
        arguments=_arguments(system, system_pointer),
        executable=text_at(system, "executable", system_pointer),
        attributes=_attributes(record, system, platform),
    )


def _clock(record: JSONObject, key: str, pointer: str) -> tuple[str | None, datetime | None]:
    """Return (text, instant) of ``start`` or ``stop``; an unfinished record has ``"stop": {}``."""
    raw = text_at(object_at(record, key, pointer), "time_utc", child(pointer, key))
    if raw is None:
        return None, None
    try:
        return raw, parse_instant(raw)
    except ValueError as error:
        place = child(pointer, key, "time_utc")
        raise wrong(place, "a time such as 2026-11-21T01:19:42.187 (UTC)", raw) from error


def _exit_code(record: JSONObject, pointer: str) -> int | None:
    value = record.get("exit_code")
    if value is None:
        return None
    code = None
    is_whole = isinstance(value, float) and value.is_integer()
    is_text = isinstance(value, str) and len(value) <= _EXIT_DIGITS
    if isinstance(value, int) and not isinstance(value, bool):
        code = value
    elif is_whole or (is_text and value.removeprefix("-").isdecimal()):
        code = int(value)
    if code is None:
        raise wrong(child(pointer, "exit_code"), "a whole number or null", value)
    if not -(2**31) <= code < 2**31:
        raise wrong(child(pointer, "exit_code"), "a whole number of 32 bits", value)
    return code


def _status(
    raw: str | None,
    name: str | None,
    exit_code: int | None,
    *,
    is_over: bool,
    pointer: str,
    notes: NoteBook,
) -> Status:
    """Return how the run ended.

    ``Provenance.activity(name)`` calls ``finish_activity(name)``, whose first parameter is the
    status, so that the status of such runs is the activity's own name (still so in 0.32); the
    exit code decides then, and without one an activity that has an end was completed.
    """
    if not is_over and raw in (None, "running"):
        notes.add(
            "running-record",
            f"written before {name!r} ended (as lstchain stores them in HDF5 under /provenance): "
            "its end and outcome are not known",
            pointer,
        )
        return Status.RUNNING
    known = _STATUS.get((raw or "").lower())
    if known is not None and known is not Status.RUNNING:
        return known
    place = child(pointer, "status")
    if exit_code is not None:
        decided = _status_of_exit(exit_code)
    elif raw == name and is_over:
        decided = Status.COMPLETED
    else:
        decided = Status.UNKNOWN
    code = "status-is-name" if raw == name else "unknown-status"
    notes.add(code, f"status {shown(raw)}, exit code {shown(exit_code)}: taken as {decided}", place)
    return decided


def _status_of_exit(exit_code: int) -> Status:
    if exit_code == 0:
        return Status.COMPLETED
    return Status.INTERRUPTED if exit_code == _EXIT_INTERRUPTED else Status.ERROR


def _environment(system: JSONObject, platform: JSONObject, pointer: str) -> JSONObject | None:
    """Return the software environment: nothing of the host, the command line or the clock."""
    python = dict(object_at(system, "python", pointer))
    packages = list_at(python, "packages", child(pointer, "python"))
    python.pop("packages", None)
    parts = {
        "python": python,
        "packages": packages,
        "variables": object_at(system, "environment", pointer),
        "platform": {key: platform[key] for key in _SHARED_PLATFORM if key in platform},
    }
    found = {key: part for key, part in parts.items() if part}
    found |= {key: system[key] for key in _SOFTWARE if system.get(key) is not None}
    return found or None


def _host(platform: JSONObject, pointer: str) -> JSONObject | None:
    """Return the machine; ``num_cpus`` became ``n_cpus`` with 0.16."""
    node = text_at(platform, "node", pointer)
    found: JSONObject = {"name": node} if node else {}
    found |= {key: platform[key] for key in _HOST_PLATFORM if platform.get(key)}
    n_cpus = platform.get("n_cpus", platform.get("num_cpus"))
    return found if n_cpus is None else {**found, "n_cpus": n_cpus}


def _arguments(system: JSONObject, pointer: str) -> tuple[str, ...] | None:
    if system.get("arguments") is None:
        return None
    arguments = list_at(system, "arguments", pointer)
    for index, argument in enumerate(arguments):
        if not isinstance(argument, str):
            raise wrong(child(pointer, "arguments", index), "text", argument)
    return tuple(arguments)


def _attributes(record: JSONObject, system: JSONObject, platform: JSONObject) -> dict[str, Any]:
    """Return all that has no field of its own, so that nothing is lost."""
    rest = {key: value for key, value in record.items() if key not in _MAPPED}
    for key in ("start", "stop"):
        clock = record.get(key) or {}
        if extra := {k: v for k, v in clock.items() if k != "time_utc"}:
            rest[key] = extra
    of_system = {
        key: value
        for key, value in system.items()
        if key not in _MAPPED_SYSTEM and key not in _SOFTWARE
    }
    if extra := {k: v for k, v in platform.items() if k not in _MAPPED_PLATFORM}:
        of_system["platform"] = extra
    if of_system:
        rest["system"] = of_system
    return rest
