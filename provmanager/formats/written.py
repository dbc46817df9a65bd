"""Documents that people write: YAML with the line of each value, and what does not fit a schema.

Messages say where (line, JSON pointer), what was expected and what was found.
"""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provmanager.errors import DocumentError

if TYPE_CHECKING:
    import yaml
    from jsonschema.exceptions import ValidationError

Scalar = Callable[["yaml.ScalarNode"], Any]  # Any: JSON scalars

_MAX_NODES = 500_000


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit: where, what belongs there, and what stands there."""

    pointer: str
    expected: str
    found: str


def decoded(data: bytes) -> str:
    """Return the text of a document.

    Raises
    ------
    DocumentError
        It is not UTF-8 (``offset``).
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"not UTF-8 text: byte {error.object[error.start]:#04x} at offset {error.start}",
            offset=error.start,
            expected="UTF-8 text",
        ) from error


def read_yaml(text: str, scalar: Scalar) -> tuple[Any, dict[str, int]]:  # Any: free-form JSON
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
            at = f"{pointer}/{escaped(name)}"
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


def escaped(name: str) -> str:
    """Return `name` as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def without_nulls(value: Any) -> Any:  # Any: free-form JSON
    """Return `value` without the fields of objects that are null."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def fault_of(error: "ValidationError") -> Fault:
    """Say of one schema violation where it is, what belongs there and what stands there."""
    pointer = "".join(f"/{escaped(str(part))}" for part in error.absolute_path)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance  # Any: free-form JSON
    rule: Any = error.validator_value  # Any: what the schema says there
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", ()))
        stray = next(name for name in instance if name not in known)
        near = difflib.get_close_matches(stray, known, n=1)
        expected = f"{near[0]!r}" if near else f"one of {', '.join(known)}"
        return Fault(f"{pointer}/{escaped(stray)}", expected, f"the unknown field {stray!r}")
    if error.validator == "required":
        missing = next(name for name in rule if name not in instance)
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


def error_of(faults: Sequence[Fault], lines: Mapping[str, int]) -> DocumentError:
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
