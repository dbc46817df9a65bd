"""Documents that people write: YAML with the line of each value, and what does not fit a schema.

Messages say where (line, JSON pointer), what was expected and what was found.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import schemas
from provmanager.errors import DocumentError, JsonSyntaxError

if TYPE_CHECKING:
    import yaml
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Scalar = Callable[["yaml.ScalarNode"], Any]  # Any: JSON scalars

_MAX_NODES = 500_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit: where, what belongs there, and what stands there."""

    pointer: str
    expected: str
    found: str


def read_written(
    data: bytes, scalar: Scalar, *, number: Callable[[str], Any] | None = None
) -> tuple[Any, dict[str, int]]:  # Any: free-form JSON
    """Return the plain value of YAML or JSON, and the line of each pointer where it is YAML.

    Parameters
    ----------
    scalar
        Makes the value of a scalar of YAML.
    number
        Makes the value of a number of JSON; by default the number.

    Raises
    ------
    DocumentError
        It is not UTF-8 (``offset``), not YAML (``line``), nested too deeply, or has a field twice
        in one object. What starts as JSON and is not gives `JsonSyntaxError`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"not UTF-8 text: byte {error.object[error.start]:#04x} at offset {error.start}",
            offset=error.start,
            expected="UTF-8 text",
        ) from error
    if not text.lstrip().startswith("{"):
        return _read_yaml(text, scalar)
    try:
        value = json.loads(
            text, parse_float=number, parse_int=number, object_pairs_hook=_without_doubles
        )
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            line=error.lineno,
            offset=len(text[: error.pos].encode()),
        ) from error
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error
    return value, {}


def checked(
    value: Any,  # Any: whatever JSON there is
    schema: str,
    inconsistent: Callable[[Any], Iterable[Fault]],
    lines: Mapping[str, int] | None = None,
) -> Any:  # Any: JSON that fits the schema
    """Return `value` without its nulls, if it fits.

    Parameters
    ----------
    schema
        Name of the schema, such as ``descriptions.v1``.
    inconsistent
        Finds what the schema cannot, in what fits it.
    lines
        Line of each JSON pointer in the text from which the value comes, for messages.

    Raises
    ------
    DocumentError
        It does not fit; the message names the first five places.
    """
    held = _without_nulls(value)
    faults = [_fault_of(error) for error in _validator(schema).iter_errors(held)]
    faults = faults or list(inconsistent(held))
    if faults:
        raise _error_of(faults, lines or {})
    return held


@cache
def _validator(schema: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schemas.load(schema))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: free-form JSON
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DocumentError(f"the field {twice!r} stands twice in one object", found=twice)
    return found


def _read_yaml(text: str, scalar: Scalar) -> tuple[Any, dict[str, int]]:  # Any: free-form JSON
    """Return the plain value of a YAML text and the line of each pointer in it."""
    import yaml

    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return (_plain(node, "", lines, scalar) if node else None), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DocumentError(f"not YAML: {error.problem} at line {line}", line=line) from error
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {error}") from error
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error


def _plain(
    node: "yaml.Node", pointer: str, lines: dict[str, int], scalar: Scalar
) -> Any:  # Any: free-form JSON
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
            found[name] = _plain(value, at, lines, scalar)
            lines[at] = key.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{pointer}/{i}", lines, scalar) for i, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return scalar(node)


def _escaped(name: str) -> str:
    """Return `name` as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _without_nulls(value: Any) -> Any:  # Any: free-form JSON
    """Return `value` without the fields of objects that are null."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _fault_of(error: "ValidationError") -> Fault:
    """Say of one schema violation where it is, what belongs there and what stands there."""
    pointer = "".join(f"/{_escaped(str(part))}" for part in error.absolute_path)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance  # Any: free-form JSON
    rule: Any = error.validator_value  # Any: what the schema says there
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", ()))
        stray = next(name for name in instance if name not in known)
        near = difflib.get_close_matches(stray, known, n=1)
        expected = f"{near[0]!r}" if near else f"one of {', '.join(known)}"
        return Fault(f"{pointer}/{_escaped(stray)}", expected, f"the unknown field {stray!r}")
    if error.validator == "required":
        missing = next(name for name in rule if name not in instance)
        return Fault(pointer, f"the field {missing!r}", "none")
    if error.validator == "dependentRequired":
        needed = (name for asking, names in rule.items() if asking in instance for name in names)
        missing = next(name for name in needed if name not in instance)
        return Fault(pointer, f"the field {missing!r}", "none")
    if error.validator == "not":
        schema = rule
    expected = str(schema.get("description") or error.message)
    return Fault(pointer, expected, _shown(instance))


def _shown(value: Any) -> str:  # Any: free-form JSON
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, list(value)[:8])) or 'no fields'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _error_of(faults: Sequence[Fault], lines: Mapping[str, int]) -> DocumentError:
    """Return the error that tells of the first five of `faults`."""
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
