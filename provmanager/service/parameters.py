"""What the query of a request may say: only what the route knows, and only what can be looked up.

A misspelt filter that is passed over would answer another question than the one that was asked.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import BeforeValidator

from provmanager.errors import UsageError


async def check_parameters(request: Request) -> None:
    """Refuse parameters that the route has not, or takes once only, and texts with NUL.

    Raises
    ------
    UsageError
        With a JSON pointer to the parameter.
    """
    declared = _declared(request)
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, n in counts.items():
        pointer = f"/query/{name}"
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise UsageError(
                f"{request.method} {request.url.path} has no parameter {name!r}; it has: {known}",
                pointer=pointer,
                found=name,
                expected=sorted(declared),
            )
        if n > 1 and not declared[name]:
            raise UsageError(f"parameter {name}: given {n} times, once is all", pointer=pointer)
    given = [*request.query_params.multi_items(), *request.path_params.items()]
    for name, value in given:
        if isinstance(value, str) and "\x00" in value:
            raise UsageError(
                f"parameter {name}: {value!r} holds a NUL character, which nothing in the record "
                "has",
                pointer=f"/query/{name}",
                found=value,
            )


def _declared(request: Request) -> dict[str, bool]:
    """Return the names of the route's parameters, and whether each may be given several times."""
    path = request.scope["route"].path_format
    paths = request.app.openapi()["paths"]
    # A page is described by its JSON twin; what is described nowhere takes nothing.
    described = paths.get(path) or paths.get(f"{path}.json") or {}
    operation = described.get(request.method.lower(), {})
    return {
        parameter["name"]: _is_list(parameter["schema"])
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def _is_list(schema: Mapping[str, Any]) -> bool:  # Any: a JSON Schema
    return any(s.get("type") == "array" for s in (schema, *schema.get("anyOf", ())))


def _iso(value: object) -> object:
    """Take ISO 8601 only: pydantic would read 2026 as seconds after 1970."""
    if isinstance(value, str) and value.isdecimal():
        raise ValueError("expected a day or time such as 2026-11-21 or 2026-11-21T02:15:00Z")
    return value


Instant = Annotated[datetime, BeforeValidator(_iso)]
"""A day or an instant in ISO 8601; without zone it is UTC."""
