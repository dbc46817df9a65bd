"""Software environments that many records have in common."""

from typing import Any

from .run_json_checks import check_environment

try:
    import orjson
except ImportError:  # a client without the server's extra: each is looked at by itself
    orjson = None  # type: ignore[assignment]

JSONDict = dict[str, Any]  # Any: free-form JSON


class Environments:
    """The environments of documents that are read together, each of equal ones once.

    A production has few environments, of hundreds of packages, and many runs. Who gets the same
    object again need not look into it again.
    """

    def __init__(self) -> None:
        self._found: dict[bytes, JSONDict] = {}

    def of(self, record: JSONDict, pointer: str) -> JSONDict | None:
        """Return the environment of a record, with its software; equal ones are one object.

        Raises
        ------
        DocumentError
            Its packages or variables are not as the schema says.
        """
        environment = record.get("environment") or {}
        software = record.get("software")
        if not environment and not software:
            return None
        whole = {**environment, "software": software} if software else environment
        key = _text_of(whole)
        known = self._found.get(key) if key else None
        if known is not None:
            return known
        check_environment(environment, f"{pointer}/environment")
        if key:
            self._found[key] = whole
        return whole


def _text_of(environment: JSONDict) -> bytes | None:
    """Return text that is equal for equal JSON only (to Python, 1, 1.0 and true are equal)."""
    try:
        return orjson.dumps(environment) if orjson else None
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return None
