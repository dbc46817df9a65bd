"""Typed access to the fields of a JSON document, with errors that point at the place."""

from collections.abc import Mapping
from typing import Any, Final

from ..errors import DocumentError

JSONObject = dict[str, Any]  # Any: free-form JSON

_SHOWN = 60


class _Missing:
    """The type of `MISSING`."""


MISSING: Final = _Missing()
"""Stands for a field that is not there, where ``null`` would mean something else."""


def child(pointer: str, *tokens: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to what `tokens` name below `pointer`."""
    escaped = (str(token).replace("~", "~0").replace("/", "~1") for token in tokens)
    return "/".join((pointer, *escaped))


def shown(value: object) -> str:
    """Return a few words on `value` for an error message."""
    if value is MISSING:
        return "nothing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value!r:.{_SHOWN}}"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= _SHOWN else f'"{value[:_SHOWN]}…"'
    if isinstance(value, Mapping):
        names = ", ".join(map(str, value))
        return f"an object with {names[:_SHOWN]}" if value else "an empty object"
    return f"an array of {len(value)}" if isinstance(value, list) else type(value).__name__


def wrong(pointer: str, expected: str, value: object, *, advice: str = "") -> DocumentError:
    """Return the error of a field that is not what it must be."""
    found = shown(value)
    message = f"{pointer or '/'}: expected {expected}, found {found}"
    return DocumentError(
        f"{message}; {advice}" if advice else message,
        pointer=pointer,
        expected=expected,
        found=found,
    )


def text_at(parent: JSONObject, key: str, pointer: str) -> str | None:
    """Return the text of `key`, None where it is absent or null.

    Raises
    ------
    DocumentError
        It is something else.
    """
    value = parent.get(key)
    if value is None or isinstance(value, str):
        return value
    raise wrong(child(pointer, key), "text", value)


def required_text(parent: JSONObject, key: str, pointer: str, what: str) -> str:
    """Return the text of `key`, which must be there and not empty; `what` names it in the error."""
    value = parent.get(key, MISSING)
    if isinstance(value, str) and value:
        return value
    raise wrong(child(pointer, key), what, value)


def object_at(parent: JSONObject, key: str, pointer: str) -> JSONObject:
    """Return the object of `key`, an empty one where it is absent or null."""
    value = parent.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise wrong(child(pointer, key), "an object", value)


def list_at(parent: JSONObject, key: str, pointer: str) -> list[Any]:  # Any: free-form JSON
    """Return the array of `key`, an empty one where it is absent or null."""
    value = parent.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise wrong(child(pointer, key), "an array", value)
