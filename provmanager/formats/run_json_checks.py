"""Checks of our capture format, by hand: what schemas/activity.v1.json says, 100 times faster.

A test holds both against the same corpus of bad records.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from provmanager.errors import DocumentError

Rules = Mapping[str, frozenset[type]]
JSONDict = dict[str, Any]  # Any: free-form JSON

_TEXT: frozenset[type] = frozenset({str})
_TEXT_OR_NULL: frozenset[type] = frozenset({str, type(None)})
_OBJECT: frozenset[type] = frozenset({dict})
_LIST = frozenset({list})
_NUMBER_OR_NULL: frozenset[type] = frozenset({int, float, type(None)})
_INTEGER: frozenset[type] = frozenset({int})
_TEXT_OR_INTEGER: frozenset[type] = frozenset({str, int, type(None)})
_INTEGER_OR_NULL: frozenset[type] = frozenset({int, type(None)})
_ANY: frozenset[type] = frozenset({str, int, float, bool, dict, list, type(None)})
_BOOLEAN_OR_NULL: frozenset[type] = frozenset({bool, type(None)})
_NAMES: dict[type, str] = {
    str: "a string",
    dict: "an object",
    list: "a list",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}

RECORD: Rules = {
    "schema": _TEXT,
    "id": _TEXT,
    "name": _TEXT,
    "version": _TEXT_OR_NULL,
    "type": _TEXT_OR_NULL,
    "comment": _TEXT_OR_NULL,
    "status": _TEXT,
    "exit_code": _INTEGER_OR_NULL,
    "started_at": _TEXT_OR_NULL,
    "ended_at": _TEXT_OR_NULL,
    "parent": _TEXT_OR_NULL,
    "command": _OBJECT,
    "software": _OBJECT,
    "environment": _OBJECT,
    "host": _OBJECT,
    "container": _OBJECT,
    "job": _OBJECT,
    "agent": _OBJECT,
    "configuration": _OBJECT,
    "inputs": _LIST,
    "outputs": _LIST,
    "messages": _LIST,
    "resources": _OBJECT,
    "attributes": _OBJECT,
    "recorder": _OBJECT,
}
FLOW: Rules = {
    "role": _TEXT_OR_NULL,
    "name": _TEXT_OR_NULL,
    "kind": _TEXT,
    "url": _TEXT,
    "lfn": _TEXT,
    "locations": _LIST,
    "sha256": _TEXT,
    "digests": _OBJECT,
    "size_bytes": _INTEGER,
    "modified_at": _TEXT,
    "at": _TEXT,
    "product_id": _TEXT,
    "content_type": _TEXT_OR_NULL,
    "comment": _TEXT_OR_NULL,
    "value": _ANY,
    "members": _LIST,
}
_COMMAND: Rules = {
    "arguments": _LIST,
    "executable": _TEXT_OR_NULL,
    "directory": _TEXT_OR_NULL,
}
_SOFTWARE: Rules = {"name": _TEXT_OR_NULL, "version": _TEXT_OR_NULL, "git": _OBJECT}
_ENVIRONMENT: Rules = {
    "python": _OBJECT,
    "platform": _OBJECT,
    "packages": _LIST,
    "variables": _OBJECT,
}
_HOST: Rules = {"name": _TEXT}
_CONTAINER: Rules = {"runtime": _TEXT_OR_NULL, "image": _TEXT_OR_NULL, "digest": _TEXT_OR_NULL}
_JOB: Rules = {
    "system": _TEXT,
    "id": _TEXT_OR_NULL,
    "site": _TEXT_OR_NULL,
    "queue": _TEXT_OR_NULL,
    "pilot": _TEXT_OR_NULL,
    "attempt": _TEXT_OR_INTEGER,
    "batch": _OBJECT,
}
_AGENT: Rules = {
    "id": _TEXT,
    "name": _TEXT,
    "user": _TEXT,
    "email": _TEXT,
    "affiliation": _TEXT_OR_NULL,
    "type": _TEXT,
    "role": _TEXT_OR_NULL,
}
_RECORDER: Rules = {"name": _TEXT, "version": _TEXT_OR_NULL}
_GIT: Rules = {
    "commit": _TEXT,
    "dirty": _BOOLEAN_OR_NULL,
    "describe": _TEXT_OR_NULL,
    "url": _TEXT_OR_NULL,
}
_MESSAGE: Rules = {
    "level": _TEXT,
    "code": _TEXT_OR_NULL,
    "text": _TEXT,
    "at": _TEXT_OR_NULL,
    "traceback": _TEXT_OR_NULL,
}
_LEVELS = frozenset({"info", "warning", "error"})
_AGENT_TYPES = frozenset({"Person", "Organization", "SoftwareAgent"})
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_INT32 = 2**31


def fail(pointer: str, expected: str, found: Any) -> NoReturn:  # Any: a JSON value
    """Raise the DocumentError that says what stands at `pointer` and what should."""
    try:
        shown = json.dumps(found, ensure_ascii=False)
    except (RecursionError, ValueError):
        shown = f"<{type(found).__name__}>"
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise DocumentError(
        f"{pointer or 'the document'}: expected {expected}, found {shown}",
        pointer=pointer,
        expected=expected,
        found=shown,
    )


def escape(key: str) -> str:
    """Return `key` as a token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def check_types(value: JSONDict, rules: Rules, pointer: str) -> bool:
    """Check the type of every known field of `value`; return whether there are others."""
    is_extended = False
    for key, item in value.items():
        types = rules.get(key)
        if types is None:
            is_extended = True
        elif type(item) not in types and not _is_whole(item, types):
            expected = " or ".join(_NAMES[t] for t in _NAMES if t in types)
            fail(f"{pointer}/{escape(key)}", expected, item)
    return is_extended


def _is_whole(item: Any, types: frozenset[type]) -> bool:  # Any: a JSON value
    """Whether `item` is a number such as 3.0, an integer to JSON Schema, where one may stand."""
    return type(item) is float and int in types and item.is_integer()


def check_uuid(text: str, pointer: str) -> UUID:
    """Return the UUID that `text` is."""
    if _UUID.fullmatch(text) is None:
        fail(pointer, "a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e", text)
    return UUID(text)


def says_schema(values: list[Any], family: str) -> str | None:  # Any: JSON values
    """Return why the values are one document of a `family` of schemas, or None."""
    if len(values) != 1 or not isinstance(values[0], dict):
        return None
    schema = values[0].get("schema")
    is_one = isinstance(schema, str) and schema.startswith(family)
    return f'JSON with "schema": "{schema}"' if is_one else None


def check_instant(text: str, pointer: str) -> datetime:
    """Return the aware UTC instant that `text` is."""
    if (len(text) == 27 and text[7] == "-" and text[10] == "T" and text[19:27:7] == ".Z") or (
        _INSTANT.fullmatch(text) is not None
    ):
        try:
            moment = datetime.fromisoformat(text)
            return moment if text[-1] == "Z" else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    return fail(pointer, "an instant with a zone, such as 2026-03-01T12:00:00Z", text)


def check_parts(record: JSONDict, pointer: str) -> None:
    """Check the nested objects of a record that have fields of their own, but the environment."""
    for key, rules, check in _PARTS:
        part = record.get(key)
        if part is not None:
            check_types(part, rules, f"{pointer}/{key}")
            if check is not None:
                check(part, f"{pointer}/{key}")
    if "messages" in record:
        _check_messages(record["messages"], f"{pointer}/messages")


def check_environment(environment: JSONDict, pointer: str) -> None:
    """Check the packages and variables of an environment."""
    check_types(environment, _ENVIRONMENT, pointer)
    for number, package in enumerate(environment.get("packages", ())):
        if type(package) is not dict or type(package.get("name")) is not str:
            fail(f"{pointer}/packages/{number}", "an object with the field name", package)
        version = package.get("version")
        if type(version) is not str and version is not None:
            fail(f"{pointer}/packages/{number}/version", "a string or null", version)
    for key, item in environment.get("variables", {}).items():
        if type(item) is not str and item is not None:
            fail(f"{pointer}/variables/{escape(key)}", "a string or null", item)


def check_exit_code(code: Any, pointer: str) -> int | None:  # Any: int, whole float or null
    """Return the exit code, which must fit in 32 bits."""
    if code is None:
        return None
    if not -_INT32 <= code < _INT32:
        fail(pointer, "an integer of 32 bits", code)
    return int(code)


def _check_command(command: JSONDict, pointer: str) -> None:
    for number, item in enumerate(command.get("arguments", ())):
        if type(item) is not str:
            fail(f"{pointer}/arguments/{number}", "a string", item)


def _check_software(software: JSONDict, pointer: str) -> None:
    if "git" in software:
        _check_git(software["git"], f"{pointer}/git")


def _check_host(host: JSONDict, pointer: str) -> None:
    if host.get("name") == "":
        fail(f"{pointer}/name", "a host name", "")


def _check_resources(resources: JSONDict, pointer: str) -> None:
    for key, item in resources.items():
        if type(item) not in _NUMBER_OR_NULL:
            fail(f"{pointer}/{escape(key)}", "a number or null", item)


def _check_git(git: JSONDict, pointer: str) -> None:
    check_types(git, _GIT, pointer)
    if "commit" not in git:
        fail(pointer, "an object with the field commit", git)
    if _COMMIT.fullmatch(git["commit"]) is None:
        fail(f"{pointer}/commit", "a commit hash in hexadecimal", git["commit"])


def _check_agent(agent: JSONDict, pointer: str) -> None:
    found = [key for key in ("id", "name", "user", "email") if key in agent]
    if not found:
        fail(pointer, "an object with one of the fields id, name, user, email", agent)
    for key in found:
        if not agent[key]:
            fail(f"{pointer}/{key}", "a string that is not empty", agent[key])
    if "type" in agent and agent["type"] not in _AGENT_TYPES:
        fail(f"{pointer}/type", "one of Organization, Person, SoftwareAgent", agent["type"])


def _check_messages(messages: list[Any], pointer: str) -> None:  # Any: JSON values
    for number, message in enumerate(messages):
        place = f"{pointer}/{number}"
        if type(message) is not dict:
            fail(place, "an object", message)
        check_types(message, _MESSAGE, place)
        if "text" not in message or "level" not in message:
            fail(place, "an object with the fields level and text", message)
        if message["level"] not in _LEVELS:
            fail(f"{place}/level", "one of error, info, warning", message["level"])
        if message.get("at") is not None:
            check_instant(message["at"], f"{place}/at")


Check = Callable[[Any, str], None]  # Any: an object whose types were checked

_PARTS: tuple[tuple[str, Rules, Check | None], ...] = (
    ("command", _COMMAND, _check_command),
    ("software", _SOFTWARE, _check_software),
    ("host", _HOST, _check_host),
    ("container", _CONTAINER, None),
    ("job", _JOB, None),
    ("agent", _AGENT, _check_agent),
    ("resources", {}, _check_resources),
    ("recorder", _RECORDER, None),
)
