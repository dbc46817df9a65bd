"""What a document that no reader knows looks like, and what to do with it instead."""

import re
from dataclasses import dataclass
from typing import Any

_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 65536
_SHOWN = 60
_SHOWN_KEYS = 8
_CONTROL = (*range(1, 9), *range(14, 32), 127)
_MAX_CONTROL_SHARE = 0.02
_MAX_HIGH_SHARE = 0.3
_LONGEST_CHARACTER = 4

_RECORD = "send the record of the run instead"
_UNPACK = "unpack it and send what is in it"
_PRODUCT = "send the file by prod-add-prov, which looks into it, or the record of the run"

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"SIMPLE  =", "a FITS file without CTAO product metadata in its headers", _RECORD),
    (b"XTENSION=", "a FITS header without CTAO product metadata", _RECORD),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _PRODUCT),
    (b"\x1f\x8b", "a gzip-compressed file", _UNPACK),
    (b"BZh", "a bzip2-compressed file", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz-compressed file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file (simulated events?)", _RECORD),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _RECORD),
    (b"\xff\xd8\xff", "a JPEG image", _RECORD),
    (b"GIF8", "a GIF image", _RECORD),
    (b"%PDF-", "a PDF document", _RECORD),
    (b"root\x00", "a ROOT file", _RECORD),
    (b"\x37\x8a\x1f\xd4", "an eventio file (simulated events)", _RECORD),
    (b"SQLite format 3\x00", "an SQLite database", _RECORD),
    (b"PAR1", "a Parquet file", _RECORD),
    (b"\x7fELF", "a program", _RECORD),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
)
_TAR_AT = 257
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_XML = re.compile(rb"(?>\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>)*+<([A-Za-z_][^\s/>]*)", re.DOTALL)
_YAML = re.compile(rb"(?:---|\s*[A-Za-z_][\w -]*:(?: |\r?\n))")
_PYTHON = re.compile(rb"\s*[\[{]\s*\{?\s*'")
_INI = re.compile(rb"\s*\[[A-Za-z][\w .:-]*\]\s*(?:\n|$)")

_JSON_KINDS: tuple[tuple[frozenset[str], str, str], ...] = (
    (
        frozenset(("schema", "activities")),
        "a document that describes activities",
        "give it to prod-init-prov",
    ),
    (
        frozenset(("nbformat", "cells")),
        "a Jupyter notebook",
        "save the record that a cell shows in a file of its own, and send that",
    ),
    (frozenset(("$schema", "properties")), "a JSON Schema", "send a document that follows it"),
    (frozenset(("$defs", "properties")), "a JSON Schema", "send a document that follows it"),
    (frozenset(("cwlVersion",)), "a CWL workflow", "send the record of a run of it"),
    (
        frozenset(("@context", "@graph")),
        "JSON-LD that is no RO-Crate",
        "send ro-crate-metadata.json, or PROV-JSON, PROV-N or PROV-XML",
    ),
    (frozenset(("workflow", "schemaVersion")), "a WfCommons instance", "send records of its tasks"),
)


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a document looks like.

    Attributes
    ----------
    found : str
        Such as ``a PNG image``.
    advice : str
        What to do next.
    """

    found: str
    advice: str


def looks_like_json(data: bytes) -> bool:
    """Return whether `data` begins as a JSON array or object does, and not as Python or INI."""
    head = data[:_HEAD_BYTES].removeprefix(_BOM).lstrip()
    if head[:1] not in (b"[", b"{"):
        return False
    return not (_PYTHON.match(head) or _INI.match(head))


def describe_bytes(data: bytes) -> Appearance:
    """Return what `data`, which is not JSON, looks like."""
    head = data[:_HEAD_BYTES].removeprefix(_BOM)
    if not head.strip():
        return Appearance("an empty file", "the run wrote no record: look for its log")
    for signature, found, advice in _SIGNATURES:
        if head.startswith(signature):
            return Appearance(found, advice)
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return Appearance("a tar archive", _UNPACK)
    if not _is_text(head):
        return Appearance("binary data of no kind that is known", _RECORD)
    return _describe_text(head)


def describe_json(values: list[Any]) -> Appearance:  # Any: free-form JSON
    """Return what the JSON `values` of no known format look like."""
    value = next((item for item in values if item not in ([], {})), values[0])
    while isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return Appearance(f"JSON without records ({type(value).__name__})", _RECORD)
    if not value:
        return Appearance("an empty JSON object", _RECORD)
    for keys, found, advice in _JSON_KINDS:
        if keys <= value.keys():
            return Appearance(found, advice)
    names = ", ".join(f'"{key[:_SHOWN]}"' for key in list(value)[:_SHOWN_KEYS])
    more = ", …" if len(value) > _SHOWN_KEYS else ""
    return Appearance(f"JSON of another kind, with {names}{more}", _RECORD)


def _describe_text(text: bytes) -> Appearance:
    if _HTML.match(text):
        return Appearance("an HTML page (of a log-in or an error?)", _RECORD)
    xml = _XML.match(text)
    if xml:
        return Appearance(f"XML with the root <{xml[1].decode('utf-8', 'replace')}>", _RECORD)
    shown = text.decode("utf-8", "replace").strip().partition("\n")[0].rstrip()[:_SHOWN]
    if _PYTHON.match(text):
        found = f"what Python prints for a list or dict, beginning {shown!r}"
        return Appearance(found, "write it with json.dumps, not with str or print")
    if _YAML.match(text):
        return Appearance(f"plain text (YAML?), beginning {shown!r}", _RECORD)
    return Appearance(f"plain text, beginning {shown!r}", _RECORD)


def _is_text(head: bytes) -> bool:
    """Return whether `head` has no NUL and few other control characters."""
    if b"\0" in head:
        return False
    n_control = sum(head.count(bytes((code,))) for code in _CONTROL)
    if n_control > _MAX_CONTROL_SHARE * len(head):
        return False
    n_high = len(head) - len(head.translate(None, bytes(range(128, 256))))
    is_latin = n_high <= _MAX_HIGH_SHARE * len(head)
    return is_latin or "\ufffd" not in head[:-_LONGEST_CHARACTER].decode("utf-8", "replace")
