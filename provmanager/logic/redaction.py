"""Secrets in command lines and environments are replaced before anything is stored.

The policy is a list of named patterns; an operator adds patterns in the file that
``PROV_REDACT_PATTERNS_FILE`` names, one regular expression a line (``#`` starts a comment). The
group ``secret`` of a pattern is replaced, the rest stays readable.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from provmanager.errors import UsageError

REPLACEMENT = b"[redacted]"

_END = r"""(?:[^\s"'&\\]+)"""
_NEW = r"(?!\[redacted\])"
_WORD = (
    r"(?:pass(?:word|wd|phrase)|secret(?:[_-]?key)?|token|credential"
    r"|(?:api|access|private|auth)[_-]?key)s?"
)
_WORDS = (
    *(b"passw", b"passphrase", b"secret", b"token", b"credential"),
    *(b"_key", b"-key", b"apikey", b"accesskey", b"privatekey", b"authkey"),
)
_BUILT_IN: tuple[tuple[tuple[bytes, ...], str], ...] = (
    # --password=xyz, token=xyz in a URL or command line, PGPASSWORD=xyz
    (_WORDS, rf"""(?i){_WORD}(?:=|%3d)(?P<secret>{_NEW}{_END})"""),
    # "--db-password", "xyz" as two arguments
    (
        _WORDS,
        rf"""(?i)"--?[\w.-]{{0,60}}?{_WORD}"\s*,\s*"(?P<secret>{_NEW}[^"\\-](?:[^"\\\n]|\\.)*+)\"""",
    ),
    # --password xyz in one text
    (
        _WORDS,
        rf"""(?i)[\s"'=]--?[\w.-]{{0,60}}?{_WORD}[ \t](?P<secret>{_NEW}[^\s"'\\-]{_END}?)""",
    ),
    # "DB_PASSWORD": "xyz", and the same as Python writes it
    (_WORDS, rf"""(?i){_WORD}["']\s*:\s*"(?P<secret>{_NEW}(?:[^"\\\n]|\\.)++)\""""),
    (_WORDS, rf"""(?i){_WORD}["']\s*:\s*'(?P<secret>{_NEW}(?:[^'\\\n]|\\.)++)'"""),
    # {"name": "DB_PASSWORD", "value": "xyz"}, as OpenLineage lists variables and parameters
    (
        _WORDS,
        rf"""(?i)"(?:name|key)"\s*:\s*"[\w.-]{{0,60}}?{_WORD}"\s*,\s*"""
        rf""""value"\s*:\s*"(?P<secret>{_NEW}(?:[^"\\\n]|\\.)++)\"""",
    ),
    # scheme://user:xyz@host
    ((b"://",), rf"""://[^/\s:"'@]+:(?P<secret>{_NEW}[^/\s"'@]+)@"""),
    # signed URLs
    (
        (b"signature=", b"sig="),
        rf"""(?i)[?&](?:x-amz-signature|x-goog-signature|signature|sig)=(?P<secret>{_NEW}{_END})""",
    ),
    # Authorization: Bearer xyz, Basic xyz
    ((b"bearer",), rf"""(?i)\bBearer\s+(?P<secret>{_NEW}[A-Za-z0-9._~+/=-]{{8,}})"""),
    (
        (b"authorization",),
        rf"""(?i)authorization["']?\s*[:=]\s*["']?Basic\s+(?P<secret>{_NEW}[A-Za-z0-9+/=]{{4,}})""",
    ),
    # well-known token shapes
    (
        (b"gh",),
        r"""\b(?P<secret>(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{30,}))""",
    ),
    ((b"glpat-", b"xox"), r"""\b(?P<secret>(?:glpat|xox[abprs])-[A-Za-z0-9_-]{20,})"""),
    ((b"prov_",), r"""\b(?P<secret>prov_[A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])"""),
    ((b"akia",), r"""\b(?P<secret>AKIA[0-9A-Z]{16})\b"""),
    (
        (b"eyj",),
        r"""\b(?P<secret>eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})""",
    ),
    (
        (b"private key",),
        # to its end, or to the next quote or five dashes: time grows with the length only
        r"""(?P<secret>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^"-]++|-(?!----))*+"""
        r"""(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?)""",
    ),
)
"""(Words without which it cannot match, in lower case; pattern)."""

CLUES = (
    *(b"pass", b"key", b"secret", b"token", b"credential", b"://", b"sig", b"bearer"),
    *(b"authorization", b"gh", b"glpat-", b"xox", b"prov_", b"akia", b"eyj"),
)
"""Each of those words has one of these in it: a document with none of them has no secret."""


@dataclass(frozen=True, slots=True)
class RedactionPolicy:
    """Patterns of secrets, each with words of which one must be there for it to match.

    Those of the operator have no words: they are tried on every document.
    """

    patterns: tuple[tuple[tuple[bytes, ...], re.Pattern[bytes]], ...]

    def apply(self, data: bytes) -> tuple[bytes, int]:
        """Return `data` without its secrets, and how many there were."""
        found = 0
        lower = data.lower()
        has_clue = False
        for clue in CLUES:  # most documents end here; a generator would double the time
            if clue in lower:
                has_clue = True
                break
        for words, pattern in self.patterns:
            if not words or (has_clue and any(word in lower for word in words)):
                data, n = pattern.subn(_hide, data)
                found += n
        return data, found


def _hide(match: re.Match[bytes]) -> bytes:
    start, end = match.span("secret")
    whole = match.start()
    return match.group()[: start - whole] + REPLACEMENT + match.group()[end - whole :]


def load_policy(extra: Path | None = None) -> RedactionPolicy:
    """Return the built-in patterns with those of the file `extra`.

    Raises
    ------
    UsageError
        A line of `extra` is not a regular expression, or has no group ``secret``.
    """
    own: list[str] = []
    if extra is not None:
        try:
            text = extra.read_text("utf-8")
        except OSError as error:
            raise UsageError(
                f"PROV_REDACT_PATTERNS_FILE {extra} cannot be read: {error.strerror}"
            ) from error
        lines = [line.strip() for line in text.splitlines()]
        own = [line for line in lines if line and not line.startswith("#")]
    patterns = [*_BUILT_IN, *(((), line) for line in own)]
    return RedactionPolicy(tuple((words, _compiled(line, extra)) for words, line in patterns))


def _compiled(line: str, source: Path | None) -> re.Pattern[bytes]:
    try:
        pattern = re.compile(line.encode(), re.DOTALL)
    except re.error as error:
        raise UsageError(f"{source}: {line!r} is not a regular expression: {error}") from error
    if "secret" not in pattern.groupindex:
        raise UsageError(
            f"{source}: the pattern {line!r} has no group (?P<secret>…) to say what to hide"
        )
    return pattern
