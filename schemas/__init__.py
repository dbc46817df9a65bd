"""Versioned JSON Schemas of every document that crosses a border."""

import json
from importlib.resources import files
from typing import Any

__all__ = ["load"]


def load(name: str) -> dict[str, Any]:  # Any: a JSON Schema is free-form JSON
    """Return the JSON Schema `name`, such as ``activity.v1``."""
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return schema
