"""Any Python value to plain JSON: what tools keep in their configurations is rarely that."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from os import PathLike, fspath
from typing import Any

MAX_DEPTH = 50
MAX_ITEMS = 10_000


def to_plain(value: Any, depth: int = 0) -> Any:  # Any: whatever a tool keeps, to free-form JSON
    """Return `value` as JSON of scalars, lists and objects; what has no JSON form as its text.

    NaN and infinities become the strings ``NaN``, ``Infinity`` and ``-Infinity``; arrays of more
    than `MAX_ITEMS` elements, and what lies deeper than `MAX_DEPTH`, become a short text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return to_plain(value.value, depth + 1)
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value))
    if depth >= MAX_DEPTH:
        return f"<{type(value).__name__}: nested deeper than {MAX_DEPTH}>"
    if isinstance(value, Mapping):
        return {_key(name): to_plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, depth)
    return _other(value, depth)


def to_instant(moment: datetime) -> str:
    """Return an aware instant as ISO 8601 UTC with microseconds and ``Z``."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _key(name: Any) -> str:  # Any: keys of other people's mappings
    return str(to_plain(name.value if isinstance(name, Enum) else str(name)))


def _items(value: Any, depth: int) -> Any:  # Any: a list, tuple or set of anything
    if len(value) > MAX_ITEMS:
        return f"<{type(value).__name__} of {len(value)} items>"
    items = [to_plain(item, depth + 1) for item in value]
    return sorted(items, key=repr) if isinstance(value, set | frozenset) else items


def _other(value: Any, depth: int) -> Any:  # Any: numpy, astropy, paths, dates, dataclasses, …
    if isinstance(value, PathLike):
        return to_plain(fspath(value), depth + 1)
    if isinstance(value, datetime):
        return to_instant(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "unit") and hasattr(value, "value"):  # astropy Quantity
        return {"value": to_plain(value.value, depth + 1), "unit": str(value.unit)}
    if hasattr(value, "tolist") and hasattr(value, "shape"):  # numpy scalar or array
        if getattr(value, "size", 0) > MAX_ITEMS:
            return f"<array of {value.dtype}, shape {tuple(value.shape)}>"
        return to_plain(value.tolist(), depth + 1)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {
            name: to_plain(getattr(value, name), depth + 1) for name in value.__dataclass_fields__
        }
    return to_plain(str(value), depth + 1)
