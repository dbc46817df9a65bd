"""Obvious secrets are masked before a record is written; the server's policy goes further."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

MASK = "[redacted]"

_WORD = (
    r"(?:[\w.-]*[-_.])?"
    r"(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key)"
)
_KEY = re.compile(rf"{_WORD}", re.IGNORECASE)
_OPTION = re.compile(rf"--?{_WORD}", re.IGNORECASE)
_ASSIGNED = re.compile(rf"(?P<key>{_WORD}\s*=\s*)(?P<value>[^\s&;,'\"]+)", re.IGNORECASE)
_TOLD = re.compile(
    r"(?P<key>(?:password|passwd|passphrase|secret|authorization)\s*:\s*(?:(?:bearer|basic)\s+)?)"
    r"(?P<value>[^\s&;,'\"]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<key>\bbearer\s+)(?P<value>[\w.~+/=-]{8,})", re.IGNORECASE)
_USERINFO = re.compile(r"(?P<key>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)(?P<value>[^\s/@]+)(?=@)", re.I)
_SIGNED = re.compile(
    r"(?P<key>[?&](?:x-amz-[\w-]*(?:signature|credential|token)|signature|sig|access_token)=)"
    r"(?P<value>[^\s&'\"]+)",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web token
    r"|\bgh[pousr]_\w{20,}|\bglpat-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_KEYED = (_ASSIGNED, _TOLD, _BEARER, _USERINFO, _SIGNED)


def redact_text(text: str) -> str:
    """Return `text` with passwords, tokens, keys and the user info of URLs masked."""
    for pattern in _KEYED:
        text = pattern.sub(lambda match: match["key"] + MASK, text)
    return _SHAPES.sub(MASK, text)


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command line with secrets masked, also in ``--password VALUE`` pairs."""
    shown: list[str] = []
    is_value = False
    for argument in arguments:
        if is_value and not argument.startswith("-"):
            shown.append(MASK)
            is_value = False
            continue
        is_value = _OPTION.fullmatch(argument) is not None
        shown.append(redact_text(argument))
    return shown


def redact_json(value: Any) -> Any:  # Any: free-form JSON in and out
    """Return `value` with the strings under secret-like names, and secrets in others, masked."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: MASK
            if isinstance(item, str) and item and _KEY.fullmatch(key)
            else redact_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return value
