"""Make docs/http-api.md: the routes of the service, who may use each, and what it takes.

    python docs/http_api.py

A test fails when the page is not what this makes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi.routing
from fastapi import FastAPI

from provmanager.config.settings import load_settings
from provmanager.errors import all_errors
from provmanager.service.app import create_app
from provmanager.service.security import AccessRule, OpenRule

PAGE = Path(__file__).with_name("http-api.md")

HEAD = """\
# HTTP API

<!-- Made by docs/http_api.py from the service itself; do not edit. -->

JSON over HTTP, under `/v1`. The running server describes itself in full at `/v1/openapi.json`
(OpenAPI 3, without a token); this page is the short form. `provmanager.client.ProvClient` has a
method for each call.

Every request but `GET /v1/health` carries `Authorization: Bearer <token>`. Each role may do what
those before it may: reader, recorder, curator, admin.

What ends with `.json` is the twin of a page for people ([auditors.md](auditors.md)), which stands
at the same path without that ending: `GET /search` is the page of `GET /search.json`. Pages take
the cookie of a browser that is signed in as well as a token; `/v1` takes tokens only.

Record a document, and ask where a product came from:

```sh
curl -H "Authorization: Bearer $PROV_TOKEN" --data-binary @run.json \\
    "$PROV_SERVER_URL/v1/documents?name=run.json"
curl -H "Authorization: Bearer $PROV_TOKEN" "$PROV_SERVER_URL/v1/lineage?ref=dl2.h5"
```
"""

Operation = dict[str, Any]  # Any: an operation of OpenAPI


def render() -> str:
    """Return the page."""
    # No connection is made: the application is only looked at.
    app = create_app(load_settings(database_url="postgresql:///nothing"))
    description = app.openapi()
    roles = _roles(app)
    parts = [HEAD, *_table(description["paths"], roles)]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {path}", operation, description)
    parts += _errors()
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _roles(app: FastAPI) -> dict[str, str]:
    # Newer FastAPI keeps the routes of included routers apart. (Any: its types differ.)
    walk: Any = getattr(fastapi.routing, "iter_route_contexts", iter)
    found: dict[str, str] = {}
    for route in walk(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None:
            (rule,) = _rules(dependant)
            role = rule.role.value if isinstance(rule, AccessRule) else "no token"
            found |= {f"{method} {route.path}": role for method in route.methods}
    return found


def _rules(dependant: Any) -> list[AccessRule | OpenRule]:  # Any: FastAPI's own
    own = [dependant.call] if isinstance(dependant.call, AccessRule | OpenRule) else []
    return own + [rule for inner in dependant.dependencies for rule in _rules(inner)]


def _table(paths: dict[str, dict[str, Operation]], roles: dict[str, str]) -> Iterator[str]:
    rows = [
        f"| `{method.upper()} {path}` | {roles[f'{method.upper()} {path}']} "
        f"| {_first(operation.get('description', ''))} |"
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    yield "## Routes"
    yield "| route | role | what it does |\n|---|---|---|\n" + "\n".join(rows)


def _first(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def _operation(name: str, operation: Operation, description: Operation) -> Iterator[str]:
    yield f"### `{name}`"
    yield operation.get("description", "")
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            f"| `{p['name']}` | {p['in']} | {_type(p['schema'], description)} | {_said(p)} |"
            for p in parameters
        ]
        yield "| parameter | in | type | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield f"Body: {', '.join(f'`{kind}`' for kind in body)}{_fields(body, description)}."
    answers = operation.get("responses", {}).items()
    told = [f"{status} {_answer(answer)}" for status, answer in answers if status.isdecimal()]
    yield f"Answers: {'; '.join(told)}."


def _type(schema: dict[str, Any], description: Operation) -> str:  # Any: JSON Schema
    if "anyOf" in schema:
        schema = next(s for s in schema["anyOf"] if s.get("type") != "null")
    if "$ref" in schema:
        schema = _referred(schema["$ref"], description)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_type(schema['items'], description)}, repeatable"
    return " ".join(filter(None, (schema.get("type", "any"), schema.get("format"))))


def _said(parameter: dict[str, Any]) -> str:  # Any: a parameter of OpenAPI
    said: str = parameter.get("description", "")
    if parameter.get("required"):
        said += " (required)"
    default = parameter["schema"].get("default")
    if default is not None:
        said += f" (default {str(default).lower() if isinstance(default, bool) else default})"
    return said.strip().replace("|", "\\|")


def _fields(body: Operation, description: Operation) -> str:
    reference = next(iter(body.values())).get("schema", {}).get("$ref")
    if not reference:
        return ""
    properties = _referred(reference, description)["properties"]
    return " with " + ", ".join(f"`{name}`" for name in properties)


def _referred(reference: str, description: Operation) -> dict[str, Any]:  # Any: JSON Schema
    found: dict[str, Any] = description["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _answer(answer: Operation) -> str:
    kinds: dict[str, Operation] = answer.get("content", {})
    schema: dict[str, Any] = next(iter(kinds.values()), {}).get("schema", {})  # Any: JSON Schema
    named = [schema, *schema.get("anyOf", [])]
    names = [s["$ref"].rpartition("/")[2] for s in named if "$ref" in s]
    said = " or ".join(f"`{name}`" for name in names) or ", ".join(f"`{k}`" for k in kinds)
    if answer["description"] != "Successful Response":
        said = f"({answer['description'].lower()}) {said}".strip()
    return said


def _errors() -> Iterator[str]:
    yield "## Errors"
    yield (
        'Every failure is `{"code": …, "message": …, "details": {…}}`: what was wrong, the value, '
        "what was expected, what to do. `details` says the same as data: `pointer`, `offset`, "
        "`line`, `expected`, `found`, `candidates`."
    )
    errors = sorted(all_errors().items(), key=lambda item: (item[1].http_status, item[0]))
    rows = [f"| {error.http_status} | `{code}` | {_one_line(error)} |" for code, error in errors]
    yield "| status | code | meaning |\n|--:|---|---|\n" + "\n".join(rows)


def _one_line(error: type[Exception]) -> str:
    return (error.__doc__ or "").partition("\n")[0].replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
