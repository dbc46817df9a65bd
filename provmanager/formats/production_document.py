"""Productions as people write them (``schemas/production.v1.json``), YAML or JSON."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provmanager.model.productions import (
    RETRIES,
    WAIT_S,
    InputQuery,
    ProducerQuery,
    Production,
    ProductionStep,
    Range,
    RunNumbers,
)

from .written import Fault, checked, read_written

if TYPE_CHECKING:
    import yaml

JSONDict = Mapping[str, Any]  # Any: free-form JSON
SCHEMA = "production.v1"

_SUFFIXES = frozenset({".yml", ".yaml", ".json"})
_SAYS_SO = re.compile(rf"""^\s*[{{]?\s*["']?schema["']?\s*:\s*["']?{re.escape(SCHEMA)}\b""", re.M)


def is_production(path: Path) -> bool:
    """Whether a file says that it is a production."""
    if path.suffix not in _SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        return _SAYS_SO.search(file.read(100_000).decode("utf-8", "replace")) is not None


def read_production(data: bytes) -> Production:
    """Read a production, YAML or JSON.

    Raises
    ------
    DocumentError
        It is not YAML (``line``), or does not fit the schema (``pointer``, ``line``, ``expected``,
        ``found``). What starts as JSON and is not gives `JsonSyntaxError`.
    """
    value, lines = read_written(data, _scalar)
    return from_json(value, lines=lines)


def from_json(
    value: Any,  # Any: whatever JSON there is, checked here
    *,
    lines: Mapping[str, int] | None = None,
) -> Production:
    """Make a production of JSON that fits the schema.

    Raises
    ------
    DocumentError
        It does not fit; the message names the first five places.
    """
    held = checked(value, SCHEMA, _inconsistent, lines)
    return Production(
        name=held["name"],
        steps=tuple(_step(step, held) for step in held["steps"]),
        metadata=held.get("metadata", {}),
        description=held.get("description"),
        document=held,
    )


def _scalar(node: "yaml.ScalarNode") -> Any:  # Any: JSON scalars
    """Take a word as YAML 1.1 does, but for instants, which stay texts."""
    import yaml

    if node.style is None:
        resolver: Any = yaml.resolver.Resolver()  # Any: it has no types
        tag = resolver.resolve(yaml.ScalarNode, node.value, (True, False))
        if tag.rpartition(":")[2] in ("int", "float", "bool", "null"):
            plain = yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark)
            return yaml.constructor.SafeConstructor().construct_object(plain)
    return node.value


def _inconsistent(held: JSONDict) -> Iterator[Fault]:
    """Find what the schema cannot: names that stand twice, and steps that are not there."""
    before: list[str] = []
    for number, step in enumerate(held["steps"]):
        pointer = f"/steps/{number}"
        if step["name"] in before:
            yield Fault(f"{pointer}/name", "another name for each step", repr(step["name"]))
        yield from _no_input(step, pointer)
        source = step.get("input", {}).get("from")
        if source is not None and source not in before:
            expected = f"an earlier step ({', '.join(before) or 'there is none'})"
            yield Fault(f"{pointer}/input/from", expected, repr(source))
        taking = step.get("files") or step.get("generate", {}).get("parameter")
        if taking in step.get("inputs", {}):
            told = "group" if "files" in step else "number"
            expected = f"no value for {taking!r}, which takes the {told}"
            yield Fault(f"{pointer}/inputs/{taking}", expected, "one")
        yield from _no_days(step.get("input", {}), f"{pointer}/input")
        before.append(step["name"])


def _no_input(step: JSONDict, pointer: str) -> Iterator[Fault]:
    """Find where a step has neither inputs nor numbers, or both."""
    found = " and ".join(name for name in ("input", "generate") if name in step)
    if found not in ("input", "generate"):
        expected = "either input (with files) or generate"
        yield Fault(pointer, expected, found or "neither")


def _no_days(query: JSONDict, pointer: str) -> Iterator[Fault]:
    for part in ("generated", "activity"):
        for bound in ("after", "before"):
            said = query.get(part, {}).get(bound)
            if said is not None and _instant(said) is None:
                yield Fault(f"{pointer}/{part}/{bound}", "an instant that there is", repr(said))


def _step(step: JSONDict, whole: JSONDict) -> ProductionStep:
    group = step.get("group", {})
    return ProductionStep(
        name=step["name"],
        input=_query(step.get("input", {})),
        workflow=step["workflow"],
        files=step.get("files", ""),
        numbers=RunNumbers(**step["generate"]) if "generate" in step else None,
        group_size=group.get("size", 1),
        group_by=group.get("by"),
        wait_s=float(group.get("wait_s", WAIT_S)),
        inputs=step.get("inputs", {}),
        engine=step.get("engine", whole.get("engine", "local")),
        job={**whole.get("job", {}), **step.get("job", {})},
        retries=step.get("retries", whole.get("retries", RETRIES)),
    )


def _query(query: JSONDict) -> InputQuery:
    generated = query.get("generated", {})
    activity = query.get("activity")
    return InputQuery(
        from_step=query.get("from"),
        **{name: query.get(name)
           for name in ("output", "name", "location", "kind", "content_type", "role")},
        metadata={name: _wanted(value) for name, value in query.get("metadata", {}).items()},
        after=_instant(generated.get("after")),
        before=_instant(generated.get("before")),
        activity=None if activity is None else ProducerQuery(
            **{k: v for k, v in activity.items() if k not in ("after", "before", "packages")},
            packages=tuple(activity.get("packages", ())),
            after=_instant(activity.get("after")),
            before=_instant(activity.get("before")),
        ),
    )  # fmt: skip


def _wanted(value: Any) -> Any:  # Any: a scalar, tuple of scalars or Range
    if isinstance(value, list):
        return tuple(value)
    return Range(**value) if isinstance(value, dict) else value


def _instant(text: str | None) -> datetime | None:
    """Return the instant, in UTC where it has no zone; None where there is none such."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
