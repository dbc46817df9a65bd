"""Bytes to a W3C PROV document: which of the three formats they are, and reading them."""

import re
from typing import Any, NamedTuple

from prov import Error as ProvLibraryError
from prov.model import ProvDocument
from prov.serializers.provn import ProvNSyntaxError

from provmanager.errors import DocumentError, UnrecognisedFormatError
from provmanager.model import Note

from .json_fields import shown
from .json_stream import JsonStream, read_stream
from .note_book import NoteBook
from .prov_json import SECTIONS, parse_json
from .prov_notes import warnings_as_notes
from .prov_terms import PROV
from .prov_xml import parse_xml

PROV_JSON = "prov-json"
PROV_N = "prov-n"
PROV_XML = "prov-xml"

_PROVN_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|//[^\n]*+|/\*.*?\*/)*+document(?![A-Za-z0-9_:(])", re.DOTALL
)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_HEAD_BYTES = 65536


class Match(NamedTuple):
    """Name of the format of a document, and why it was taken for that."""

    format: str
    reason: str


_PROVN_MATCH = Match(PROV_N, "text that opens with the keyword 'document' of PROV-N")
_XML_MATCH = Match(PROV_XML, f"XML in the namespace {PROV}")


def matches(data: bytes) -> Match | None:
    """Return which format of W3C PROV `data` is, or None where it is none of them.

    Looks at the content only: the root element of XML, the keyword that opens PROV-N, the keys
    of a JSON object.
    """
    head = _head(data)
    if _PROVN_START.match(head):
        return _PROVN_MATCH
    if _XML_START.match(head):
        return _XML_MATCH if PROV.encode() in head else None
    if _JSON_START.match(head):
        try:
            return _json_match(read_stream(data))
        except DocumentError:
            return None
    return None


def matches_json(value: Any) -> Match | None:  # Any: whatever json.loads gives
    """Return whether the JSON `value` is a PROV-JSON document."""
    if not isinstance(value, dict) or not value:
        return None
    keys = set(value)
    known = keys & (SECTIONS | {"prefix", "bundle"})
    if keys != known and not ("prefix" in known and len(known) > 1):
        return None
    return Match(
        PROV_JSON, f"JSON object with the sections of PROV-JSON: {', '.join(sorted(known))}"
    )


def parse(data: bytes, notes: NoteBook) -> tuple[ProvDocument, Match]:
    """Return the W3C PROV document that `data` holds, and what it was taken for.

    Raises
    ------
    UnrecognisedFormatError
        It is none of PROV-JSON, PROV-N and PROV-XML.
    DocumentError
        It cannot be read whole (``line``, ``column`` or ``pointer``).
    """
    head = _head(data)
    if _JSON_START.match(head):
        stream = read_stream(data)
        found = _json_match(stream)
        if found is None:
            raise _unknown(" and ".join(shown(value) for value in stream.values[:3]))
        for note in stream.notes:
            _take_note(note, notes)
        return parse_json(stream.values[0], notes), found
    if _PROVN_START.match(head):
        return parse_provn(data, notes), _PROVN_MATCH
    if _XML_START.match(head):
        return parse_xml(data, notes), _XML_MATCH
    raise _unknown(repr(data[:20].decode("utf-8", "replace")) if data.strip() else "nothing")


def parse_provn(data: bytes, notes: NoteBook) -> ProvDocument:
    """Return the W3C PROV document that the PROV-N `data` holds.

    Raises
    ------
    DocumentError
        It is not PROV-N (``line``, ``column``).
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"not UTF-8 at byte {error.start}: {error.reason}; PROV-N is UTF-8",
            offset=error.start,
        ) from error
    with warnings_as_notes(notes):
        try:
            return ProvDocument.deserialize(content=text, format="provn")
        except ProvNSyntaxError as error:
            raise DocumentError(
                f"not PROV-N: {error}", line=error.line, column=error.column
            ) from error
        except (ProvLibraryError, ValueError) as error:
            raise DocumentError(f"not PROV-N that can be read: {error}") from error


def _head(data: bytes) -> bytes:
    """Return the start of `data` in UTF-8; XML may be UTF-16."""
    head = data[:_HEAD_BYTES]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace").encode("utf-8", "replace")
    return head


def _json_match(stream: JsonStream) -> Match | None:
    return matches_json(stream.values[0]) if len(stream.values) == 1 else None


def _take_note(note: Note, notes: NoteBook) -> None:
    """Refuse a document of which one of two values would be lost."""
    if note.code == "repeated-keys":
        raise DocumentError(
            f"{note.message}, so that the others would be lost; PROV-JSON gives several records"
            " of one identifier as a list"
        )
    if note.code != "non-finite-number":  # kept, as xsd:double
        notes.add(note.code, note.message, note.pointer)


def _unknown(found: str) -> UnrecognisedFormatError:
    return UnrecognisedFormatError(
        f"neither PROV-JSON nor PROV-N nor PROV-XML: found {found}",
        found=found,
        expected=[PROV_JSON, PROV_N, PROV_XML],
    )
