"""Obvious secrets are masked before a record is written; the server's policy goes further.

The patterns begin at literal words and have bounded repetitions: the time they take grows with the
length of the text and no faster, whatever stands in it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

MASK = "[redacted]"

_WORD = (
    r"(?<![A-Za-z0-9])"
    r"(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key)"
)
_NAME = re.compile(rf"{_WORD}\Z", re.IGNORECASE)
_CAMEL_NAME = re.compile(r"(?<=[a-z0-9])(?:Password|Passphrase|Secret|Token|ApiKey|AccessKey)\Z")
_VALUE = r"(?P<value>[^\s&;,'\"]+)"
_PATTERNS = (
    re.compile(rf"(?P<key>{_WORD}\s{{0,4}}=\s{{0,4}}['\"]?){_VALUE}", re.IGNORECASE),
    re.compile(
        r"(?P<key>(?<![A-Za-z0-9])(?:password|passwd|passphrase|secret|authorization)\s{0,4}:"
        rf"\s{{0,4}}(?:(?:bearer|basic)\s{{1,4}})?['\"]?){_VALUE}",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<key>\bbearer\s{1,4})(?P<value>[\w.~+/=-]{8,})", re.IGNORECASE),
    # scheme://user:password@
    re.compile(r"(?P<key>://[^\s/:@]{0,256}:)(?P<value>[^\s/@]{1,1024})(?=@)"),
    re.compile(
        r"(?P<key>[?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|access_token)"
        r"=)(?P<value>[^\s&'\"]+)",
        re.IGNORECASE,
    ),
    # JSON web tokens, and tokens of well-known services
    re.compile(r"(?P<key>(?<![\w-]))(?P<value>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"),
    re.compile(
        r"(?P<key>(?<!\w))(?P<value>gh[pousr]_\w{20,255}|glpat-[\w-]{16,255}|AKIA[0-9A-Z]{16}\b)"
    ),
    re.compile(
        r"(?P<key>)(?P<value>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
        r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z))",
        re.DOTALL,
    ),
)


def redact_text(text: str) -> str:
    """Return `text` with passwords, tokens, keys and the user info of URLs masked."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<key>{MASK}", text)
    return text


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command line with secrets masked, also in ``--password VALUE`` pairs."""
    shown: list[str] = []
    is_value = False
    for argument in arguments:
        if is_value and not argument.startswith("-"):
            shown.append(MASK)
            is_value = False
            continue
        is_value = argument.startswith("-") and is_secret_name(argument)
        shown.append(redact_text(argument))
    return shown


def redact_json(value: Any) -> Any:  # Any: free-form JSON in and out
    """Return `value` with the strings under secret-like names, and secrets in others, masked."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            name: MASK
            if isinstance(item, str) and item and is_secret_name(name)
            else redact_json(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return value


def is_secret_name(name: str) -> bool:
    """Whether `name` says secret: ``db_password``, ``apiToken``; not ``tokenizer``."""
    return _NAME.search(name) is not None or _CAMEL_NAME.search(name) is not None
