"""Identifiers and digests: how names become UUIDs, and JSON becomes bytes that hash the same."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("6f0e2b9a-2d0c-5c39-9f0e-0c6c1f7b7a10")
"""Namespace of the name-based UUIDs (RFC 9562 §5.5) that provmanager makes."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SURROGATE_OR_NUL = re.compile("[\x00\ud800-\udfff]")


def uuid_of(*parts: str) -> UUID:
    """Return the name-based UUID of `parts`; the same parts give the same UUID anywhere."""
    return uuid5(NAMESPACE, "\x1f".join(parts))


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that `text` is, bare or as ``urn:uuid:…``, else None."""
    bare = text.strip().removeprefix("urn:uuid:")
    return UUID(bare) if _UUID.fullmatch(bare) else None


def activity_uuid(iri: str) -> UUID:
    """Return the UUID of the activity named `iri`: its own if it is one, else a name-based one."""
    return parse_uuid(iri) or uuid_of("activity", iri)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 digest of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file's bytes in hexadecimal; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clean_json(value: Any) -> Any:  # Any: free-form JSON in and out
    """Return `value` as JSON that PostgreSQL's jsonb takes.

    NaN and infinities, which JSON does not have, become the strings ``NaN``, ``Infinity`` and
    ``-Infinity``; NUL characters and lone surrogates become U+FFFD. The verbatim document keeps
    what was there.
    """
    if isinstance(value, str):
        return _SURROGATE_OR_NUL.sub("\ufffd", value) if _SURROGATE_OR_NUL.search(value) else value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {clean_json(str(k)): clean_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(v) for v in value]
    return value


def canonical_json(value: Any) -> bytes:  # Any: free-form JSON
    """Return the canonical UTF-8 bytes of `value`: sorted keys, no spaces, `clean_json` applied."""
    clean = clean_json(value)
    return json.dumps(clean, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def join_json(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Return two JSON objects as one; where they differ, what is smaller in canonical JSON stands.

    The same for any order and number of them. (Any: free-form JSON.)
    """
    joined = dict(left)
    for key, value in right.items():
        if key not in joined or canonical_json(value) < canonical_json(joined[key]):
            joined[key] = value
    return joined


def digest_of(value: Any) -> str:  # Any: free-form JSON
    """Return the SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return sha256_hex(canonical_json(value))
