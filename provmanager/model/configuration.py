"""Configuration as IVOA Parameters: nested JSON to (name, value) leaves and back to search keys."""

from collections.abc import Iterator, Mapping
from typing import Any


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
