"""The documents that describe activities: YAML or JSON to `provmanager.model` and back.

The shape is that of ``schemas/descriptions.v1.json``. In YAML every plain word is taken as it is
written, so that ``version: 0.30`` is the text ``0.30`` and ``default: no`` the text ``no``.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import schemas
from provmanager.errors import DocumentError, JsonSyntaxError
from provmanager.model import (
    ActivityDescription,
    ConfigFileDescription,
    EntityDescription,
    FlowDescription,
    ParameterDescription,
)

if TYPE_CHECKING:
    import yaml
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

JSONDict = Mapping[str, Any]  # Any: free-form JSON
SCHEMA = "descriptions.v1"

_PARTS: Mapping[str, type] = {
    "usages": FlowDescription,
    "generations": FlowDescription,
    "parameters": ParameterDescription,
    "config_files": ConfigFileDescription,
}
_MAX_NODES = 500_000
_NULLS = ("", "~", "null", "Null", "NULL")
_Described = TypeVar("_Described")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionDocument:
    """What one document of descriptions states."""

    entities: tuple[EntityDescription, ...] = ()
    activities: tuple[ActivityDescription, ...] = ()


def read_descriptions(data: bytes) -> DescriptionDocument:
    """Read a document of descriptions, YAML or JSON.

    Raises
    ------
    DocumentError
        It is not YAML (``line``), or does not fit the schema (``pointer``, ``line``, ``expected``,
        ``found``). What starts as JSON and is not gives `JsonSyntaxError`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"not UTF-8 text: byte {error.object[error.start]:#04x} at offset {error.start}",
            offset=error.start,
            expected="UTF-8 text",
        ) from error
    if text.lstrip().startswith("{"):
        return from_json(_json(text))
    plain, lines = _yaml(text)
    return from_json(plain, lines=lines)


def from_json(
    value: Any,  # Any: whatever JSON there is, checked here
    *,
    lines: Mapping[str, int] | None = None,
) -> DescriptionDocument:
    """Make descriptions of JSON that fits the schema.

    Parameters
    ----------
    lines
        Line of each JSON pointer in the text from which the value comes, for messages.

    Raises
    ------
    DocumentError
        It does not fit; the message names the first five places.
    """
    held = _without_nulls(value)
    faults = [_fault(error) for error in _validator().iter_errors(held)]
    faults = faults or list(_duplicates(held))
    if faults:
        raise _error(faults, lines or {})
    return DescriptionDocument(
        entities=tuple(_made(EntityDescription, e) for e in held.get("entities", ())),
        activities=tuple(_made(ActivityDescription, a) for a in held.get("activities", ())),
    )


def to_json(document: DescriptionDocument) -> dict[str, Any]:
    """Return the JSON of descriptions; `from_json` makes the same of it again. Any: JSON."""
    found: dict[str, Any] = {"schema": SCHEMA}
    for section in ("entities", "activities"):
        items = getattr(document, section)
        if items:
            found[section] = [_fields_of(item) for item in items]
    return found


def to_yaml(document: DescriptionDocument) -> str:
    """Return descriptions as YAML; `read_descriptions` makes the same of it again."""
    import yaml

    return yaml.safe_dump(to_json(document), sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True, slots=True)
class _Fault:
    pointer: str
    expected: str
    found: str


@cache
def _validator() -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schemas.load(SCHEMA))


def _json(text: str) -> Any:  # Any: free-form JSON
    try:
        return json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            line=error.lineno,
            offset=len(text[: error.pos].encode()),
        ) from error
    except RecursionError as error:
        raise DocumentError("nested too deeply for a document of descriptions") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: free-form JSON
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DocumentError(f"the field {twice!r} stands twice in one object", found=twice)
    return found


def _yaml(text: str) -> tuple[Any, dict[str, int]]:  # Any: free-form JSON
    """Return the plain value of a YAML text and the line of each pointer in it."""
    import yaml

    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return (_plain(node, "", lines) if node else None), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DocumentError(f"not YAML: {error.problem} at line {line}", line=line) from error
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {error}") from error
    except RecursionError as error:
        raise DocumentError("nested too deeply for a document of descriptions") from error


def _plain(node: "yaml.Node", pointer: str, lines: dict[str, int]) -> Any:  # Any: free-form JSON
    import yaml

    lines[pointer] = node.start_mark.line + 1
    if len(lines) > _MAX_NODES:
        raise DocumentError(f"more than {_MAX_NODES} values, counting what its anchors repeat")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            at = f"{pointer}/{_escaped(name)}"
            if name in found:
                line = key.start_mark.line + 1
                raise DocumentError(
                    f"line {line}: the field {name!r} stands twice in one object",
                    line=line,
                    pointer=at,
                )
            found[name] = _plain(value, at, lines)
            lines[at] = key.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{pointer}/{i}", lines) for i, item in enumerate(node.value)]
    is_plain_word = getattr(node, "style", None) is None
    return None if is_plain_word and node.value in _NULLS else node.value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _without_nulls(value: Any) -> Any:  # Any: free-form JSON
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _fault(error: "ValidationError") -> _Fault:
    """Say of one schema violation where it is, what belongs there and what stands there."""
    pointer = "".join(f"/{_escaped(str(part))}" for part in error.absolute_path)
    schema: JSONDict = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance  # Any: free-form JSON
    rule: Any = error.validator_value  # Any: what the schema says there
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", ()))
        stray = next(name for name in instance if name not in known)
        near = difflib.get_close_matches(stray, known, n=1)
        expected = f"{near[0]!r}" if near else f"one of {', '.join(known)}"
        return _Fault(f"{pointer}/{_escaped(stray)}", expected, f"the unknown field {stray!r}")
    if error.validator == "required":
        missing = next(name for name in rule if name not in instance)
        return _Fault(pointer, f"the field {missing!r}", "none")
    if error.validator == "not":
        schema = rule
    expected = str(schema.get("description") or error.message)
    return _Fault(pointer, expected, _shown(instance))


def _shown(value: Any) -> str:  # Any: free-form JSON
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, list(value)[:8])) or 'no fields'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _duplicates(value: JSONDict) -> Iterator[_Fault]:
    """Find descriptions that describe the same thing twice."""
    yield from _twice(value.get("entities", ()), "/entities", ("name",))
    activities = value.get("activities", ())
    yield from _twice(activities, "/activities", ("name", "version"))
    for i, activity in enumerate(activities):
        for part, cls in _PARTS.items():
            key = "role" if cls is FlowDescription else "name"
            yield from _twice(activity.get(part, ()), f"/activities/{i}/{part}", (key,))


def _twice(items: Sequence[JSONDict], pointer: str, keys: Sequence[str]) -> Iterator[_Fault]:
    first: dict[tuple[Any, ...], int] = {}  # Any: JSON scalars
    for i, item in enumerate(items):
        name = tuple(item.get(key) for key in keys)
        if name in first:
            told = " ".join(str(part) for part in name if part is not None)
            yield _Fault(
                f"{pointer}/{i}",
                f"one description of {told}",
                f"another at {pointer}/{first[name]}",
            )
        first.setdefault(name, i)


def _error(faults: Sequence[_Fault], lines: Mapping[str, int]) -> DocumentError:
    told = []
    for fault in faults[:5]:
        line = _line_of(fault.pointer, lines)
        where = (f"line {line}, " if line else "") + (fault.pointer or "the whole document")
        told.append(f"{where}: expected {fault.expected}, found {fault.found}")
    if len(faults) > len(told):
        told.append(f"and {len(faults) - len(told)} more")
    return DocumentError(
        "; ".join(told),
        pointer=faults[0].pointer,
        line=_line_of(faults[0].pointer, lines),
        expected=faults[0].expected,
        found=faults[0].found,
    )


def _line_of(pointer: str, lines: Mapping[str, int]) -> int | None:
    while pointer not in lines and pointer:
        pointer = pointer.rpartition("/")[0]
    return lines.get(pointer)


def _made(cls: type[_Described], value: JSONDict) -> _Described:
    held: dict[str, Any] = {}  # Any: the fields of a description class
    for name, item in value.items():
        if name in _PARTS:
            held[name] = tuple(_made(_PARTS[name], part) for part in item)
        elif name == "options":
            held[name] = tuple(_as_text(option) for option in item)
        else:
            held[name] = _as_text(item)
    return cls(**held)


def _as_text(value: Any) -> str:  # Any: JSON scalar
    return value if isinstance(value, str) else json.dumps(value)


def _fields_of(described: Any) -> dict[str, Any]:  # Any: a description; free-form JSON
    found: dict[str, Any] = {}
    for field in fields(described):
        value = getattr(described, field.name)
        if field.name in _PARTS:
            value = [_fields_of(part) for part in value]
        elif isinstance(value, tuple):
            value = list(value)
        if value not in (None, []):
            found[field.name] = value
    return found
