"""Configuration as IVOA Parameters: nested JSON to (name, value) leaves and back to search keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .descriptions import ParameterDescription


def flatten(configuration: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf; a list or an empty object is one leaf.

    Any: values are free-form JSON.
    """
    for key, value in configuration.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One parameter of a run, beside what its description says of it.

    Attributes
    ----------
    state : str
        ``differs`` from the default, ``default``, or ``undescribed``: there is no default to
        compare with.
    """

    name: str
    value: Any  # Any: free-form JSON
    state: Literal["differs", "default", "undescribed"]
    default: str | None = None
    unit: str | None = None
    description: str | None = None


def against_defaults(
    configuration: Mapping[str, Any], described: Iterable[ParameterDescription]
) -> list[Setting]:
    """Return the settings of a run, those that differ from their defaults first, then by name."""
    known = {p.name: p for p in described}
    found = [_setting(name, value, known.get(name)) for name, value in flatten(configuration)]
    order = ("differs", "undescribed", "default")
    return sorted(found, key=lambda s: (order.index(s.state), s.name))


def _setting(name: str, value: Any, described: ParameterDescription | None) -> Setting:
    if described is None:
        return Setting(name=name, value=value, state="undescribed")
    same = described.default is not None and _is(value, described.default)
    return Setting(
        name=name,
        value=value,
        state="default" if same else "undescribed" if described.default is None else "differs",
        default=described.default,
        unit=described.unit,
        description=described.description,
    )


def _is(value: Any, default: str) -> bool:
    """Whether a JSON value is what a description writes as text: 1 is 1.0, true is True."""
    if isinstance(value, str):
        return value == default
    if isinstance(value, bool):
        return default.strip().lower() == str(value).lower()
    if value is None:
        return default.strip().lower() in ("", "none", "null")
    try:
        if isinstance(value, int | float):
            return float(default) == value
        return bool(json.loads(default) == value)
    except ValueError:
        return False
