"""The documents that describe activities: YAML or JSON to `provmanager.model` and back.

The shape is that of ``schemas/descriptions.v1.json``. In YAML every plain word is taken as it is
written, so that ``version: 0.30`` is the text ``0.30`` and ``default: no`` the text ``no``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from provmanager.model import (
    ActivityDescription,
    ConfigFileDescription,
    DescriptionDocument,
    Document,
    EntityDescription,
    FlowDescription,
    ParameterDescription,
)

from .run_json_checks import check_instant, fail, says_schema
from .written import Fault, checked, read_written

if TYPE_CHECKING:
    import yaml

JSONDict = Mapping[str, Any]  # Any: free-form JSON
FORMAT = "descriptions"
SCHEMA = "descriptions.v1"

_FAMILY = "descriptions."
_PARTS: Mapping[str, type] = {
    "usages": FlowDescription,
    "generations": FlowDescription,
    "parameters": ParameterDescription,
    "config_files": ConfigFileDescription,
}
_NULLS = ("", "~", "null", "Null", "NULL")
_Described = TypeVar("_Described")


def matches(values: list[Any]) -> str | None:  # Any: JSON values
    """Return why the values are descriptions, of any version, or None."""
    return says_schema(values, _FAMILY)


def read_recorded(value: Any, *, reason: str) -> Document:  # Any: free-form JSON
    """Return what descriptions state that say when they were made.

    Raises
    ------
    DocumentError
        They do not fit the schema, or do not say when.
    """
    described = from_json(value)
    if described.stated_at is None:
        fail(
            "/stated_at",
            "when this was said (prod-init-prov records descriptions, and says when)",
            None,
        )
    return Document(format=FORMAT, reason=reason, descriptions=described)


def read_descriptions(data: bytes) -> DescriptionDocument:
    """Read a document of descriptions, YAML or JSON.

    Raises
    ------
    DocumentError
        It is not YAML (``line``), or does not fit the schema (``pointer``, ``line``, ``expected``,
        ``found``). What starts as JSON and is not gives `JsonSyntaxError`.
    """
    value, lines = read_written(data, _word, number=str)
    return from_json(value, lines=lines)


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
    held = checked(value, SCHEMA, _duplicates, lines)
    at = held.get("stated_at")
    return DescriptionDocument(
        stated_at=None if at is None else check_instant(at, "/stated_at"),
        entities=tuple(_made(EntityDescription, e) for e in held.get("entities", ())),
        activities=tuple(_made(ActivityDescription, a) for a in held.get("activities", ())),
    )


def to_json(document: DescriptionDocument) -> dict[str, Any]:
    """Return the JSON of descriptions; `from_json` makes the same of it again. Any: JSON."""
    found: dict[str, Any] = {"schema": SCHEMA}
    if document.stated_at is not None:
        found["stated_at"] = document.stated_at.isoformat().replace("+00:00", "Z")
    for section in ("entities", "activities"):
        items = getattr(document, section)
        if items:
            found[section] = [_fields_of(item) for item in items]
    return found


def to_yaml(document: DescriptionDocument) -> str:
    """Return descriptions as YAML; `read_descriptions` makes the same of it again."""
    import yaml

    return yaml.safe_dump(to_json(document), sort_keys=False, allow_unicode=True, width=100)


def _word(node: "yaml.ScalarNode") -> str | None:
    """Take a plain word as it is written."""
    is_null = node.style is None and node.value in _NULLS
    return None if is_null else str(node.value)


def _duplicates(value: JSONDict) -> Iterator[Fault]:
    """Find descriptions that describe the same thing twice."""
    yield from _twice(value.get("entities", ()), "/entities", ("name",))
    activities = value.get("activities", ())
    yield from _twice(activities, "/activities", ("name", "version"))
    for i, activity in enumerate(activities):
        for part, cls in _PARTS.items():
            key = "role" if cls is FlowDescription else "name"
            yield from _twice(activity.get(part, ()), f"/activities/{i}/{part}", (key,))


def _twice(items: Sequence[JSONDict], pointer: str, keys: Sequence[str]) -> Iterator[Fault]:
    first: dict[tuple[Any, ...], int] = {}  # Any: JSON scalars
    for i, item in enumerate(items):
        name = tuple(item.get(key) for key in keys)
        if name in first:
            told = " ".join(str(part) for part in name if part is not None)
            yield Fault(
                f"{pointer}/{i}",
                f"one description of {told}",
                f"another at {pointer}/{first[name]}",
            )
        first.setdefault(name, i)


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
