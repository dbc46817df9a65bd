"""JSON as tools really write it: values one after the other, NaN, a byte order mark.

ctapipe appends one whole array to its log at each run, so that a log of two runs holds ``][``
(cta-observatory/ctapipe issue 3058); Python's json module writes bare ``NaN``. Both are read.
Anything else that is not JSON is refused with its byte offset.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ..errors import DocumentTooDeepError, JsonSyntaxError
from ..model import Note

try:
    import orjson
except ImportError:  # a client without the server's extra: the standard library reads it all
    orjson = None  # type: ignore[assignment]

MAX_DEPTH = 200
"""How deep arrays and objects may be nested; real records reach about 12."""

_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_OPENING = b"[{"
_INEXACT = re.compile(rb"\d{19}")
_OVERFLOWING = re.compile(rb"[eE]\+?\d{3}")
_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SPACE = re.compile(r"[ \t\r\n]*")
_SHOWN_KEYS = 5

# One object for each, so that two readings of a record with NaN in it compare equal.
_CONSTANTS = {name: float(name) for name in ("NaN", "Infinity", "-Infinity")}

_EXPECTED = {
    "Expecting property name enclosed in double quotes": "a key in double quotes or '}'",
    "Expecting ':' delimiter": "':' after the key",
    "Expecting ',' delimiter": "',' or the end of the array or object",
    "Expecting value": "a value",
    "Unterminated string starting at": "the closing '\"' of the string that starts here",
    "Invalid control character at": "a character that a string may hold (escape line ends as \\n)",
    "Illegal trailing comma before end of object": "a key after ','",
    "Illegal trailing comma before end of array": "a value after ','",
}


@dataclass(frozen=True, slots=True)
class JsonStream:
    """The values of one document.

    Attributes
    ----------
    values : list
        In order; numbers that are not finite are floats.
    notes : tuple of Note
        What was tolerated.
    needs_cleaning : bool
        Whether there may be NaN, infinities, NUL or lone surrogates in it, which
        `provmanager.ids.clean_json` replaces.
    """

    values: list[Any]  # Any: free-form JSON
    notes: tuple[Note, ...]
    needs_cleaning: bool


def read_values(data: bytes, *, max_depth: int = MAX_DEPTH) -> list[Any]:  # Any: free-form JSON
    """Return the JSON values that stand one after the other in `data`.

    Raises
    ------
    JsonSyntaxError
        With ``offset`` (bytes), ``line``, ``column``, ``expected`` and ``found``.
    DocumentTooDeepError
        Arrays and objects nested more than `max_depth` deep.
    """
    return read_stream(data, max_depth=max_depth).values


def read_stream(data: bytes, *, max_depth: int = MAX_DEPTH) -> JsonStream:
    """Return the values of `data` and what was tolerated in it; raises as `read_values` does."""
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    body = data[skipped:]
    compact = _read_compact(body, max_depth)
    if compact is not None:
        return compact
    skeleton = _STRING.sub(b"", body).translate(None, b" \t\r\n")
    _check_depth(skeleton, body, skipped, max_depth)
    notes: list[Note] = []
    values = _read_fast(body, skeleton)
    is_finite = True
    if values is None:
        values, is_finite = _read_all(body, skipped, notes)
        is_finite = is_finite and not _OVERFLOWING.search(skeleton)
    if not is_finite:
        message = 'NaN or Infinity, which JSON does not have: kept as the words "NaN", "Infinity"'
        notes.append(Note(code="non-finite-number", message=message))
    if skeleton.count(b":") != _count_keys(values):
        notes.append(_note_on_repeated_keys(body.decode()))
    has_escapes = b"\\u" in body
    needs_cleaning = not is_finite or (has_escapes and _UNSTORABLE.search(body) is not None)
    return JsonStream(values, tuple(notes), needs_cleaning)


def _read_compact(body: bytes, max_depth: int) -> JsonStream | None:
    """Return the stream of a document that is exactly what orjson writes, else None.

    What comes out again byte for byte has no repeated key and no number that was rounded, and few
    brackets cannot be nested deeply: nothing of it needs a second look.
    """
    if orjson is None or body.count(b"[") + body.count(b"{") > max_depth or b"\\u" in body:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return JsonStream([value], (), False) if orjson.dumps(value) == body else None


def _read_fast(body: bytes, skeleton: bytes) -> list[Any] | None:
    """Return [the value] of a document that is one clean value, or None to read it the long way.

    orjson rounds integers of more than 64 bits, so that those are left to the standard library.
    """
    if orjson is None or _INEXACT.search(skeleton):
        return None
    try:
        return [orjson.loads(body)]
    except orjson.JSONDecodeError:
        return None


def _read_all(body: bytes, skipped: int, notes: list[Note]) -> tuple[list[Any], bool]:
    """Return (all values, whether no constant such as NaN was among them)."""
    text = _decoded(body, skipped)
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return _CONSTANTS[name]

    decoder = json.JSONDecoder(parse_constant=constant)
    values: list[Any] = []
    position = _end_of_space(text, 0)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise _syntax_error(text, error, skipped) from error
        except ValueError as error:  # an integer of more than 4300 digits
            message = f"not readable as JSON: {error}"
            raise JsonSyntaxError(message, expected="a number that can be read") from error
        values.append(value)
        position = _end_of_space(text, position)
        if text.startswith(",", position):
            position = _end_of_space(text, position + 1)
            if position < len(text):
                notes.append(Note(code="comma-between-values", message="a comma between records"))
            else:
                missing = json.JSONDecodeError("Expecting value", text, position)
                raise _syntax_error(text, missing, skipped)
    return values, not constants


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _decoded(body: bytes, skipped: int) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start
        line, column = _line_and_column(body, offset)
        is_cut = error.reason == "unexpected end of data"
        found = "the end of the document" if is_cut else f"byte 0x{body[offset]:02x}"
        at = offset + skipped
        message = f"not UTF-8 at byte {at} (line {line}, column {column}): found {found}; " + (
            "it is cut off: send the whole file" if is_cut else "save it as UTF-8"
        )
        raise JsonSyntaxError(
            message, offset=at, line=line, column=column, expected="UTF-8 text", found=found
        ) from error


def _syntax_error(text: str, error: json.JSONDecodeError, skipped: int) -> JsonSyntaxError:
    """Return the error at its byte offset, in words that say what was expected and found."""
    offset = len(text[: error.pos].encode("utf-8", "surrogatepass")) + skipped
    expected = _EXPECTED.get(error.msg, error.msg)
    is_cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
    found = "the end of the document" if is_cut else repr(text[error.pos])
    where = f"byte {offset} (line {error.lineno}, column {error.colno})"
    message = f"not JSON at {where}: expected {expected}, found {found}"
    if is_cut:
        message += "; it is cut off: send the whole file"
    return JsonSyntaxError(
        message,
        offset=offset,
        line=error.lineno,
        column=error.colno,
        expected=expected,
        found=found,
    )


def _check_depth(skeleton: bytes, body: bytes, skipped: int, max_depth: int) -> None:
    """Refuse what is nested too deep before any parser descends into it."""
    brackets = skeleton.translate(None, _NOT_BRACKETS)
    if brackets.count(b"[") + brackets.count(b"{") <= max_depth:
        return
    depth = 0
    for byte in brackets:
        depth += 1 if byte in _OPENING else -1
        if depth > max_depth:
            raise _too_deep(body, skipped, max_depth)


def _too_deep(body: bytes, skipped: int, max_depth: int) -> DocumentTooDeepError:
    depth = 0
    offset = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        if match[0][0] == 0x22:  # a string
            continue
        depth += 1 if match[0] in (b"[", b"{") else -1
        offset = match.start()
        if depth > max_depth:
            break
    line, column = _line_and_column(body, offset)
    return DocumentTooDeepError(
        f"arrays and objects are nested deeper than {max_depth} levels at byte "
        f"{offset + skipped} (line {line}, column {column}); records of runs reach about 12",
        offset=offset + skipped,
        line=line,
        column=column,
        expected=f"at most {max_depth} levels",
        found=f"{max_depth + 1} levels",
    )


def _line_and_column(body: bytes, offset: int) -> tuple[int, int]:
    """Return line and column, both from 1; the column counts characters."""
    start = body.rfind(b"\n", 0, offset) + 1
    return body.count(b"\n", 0, offset) + 1, len(body[start:offset].decode("utf-8", "replace")) + 1


def _count_keys(values: list[Any]) -> int:
    """Return the number of keys in all objects of `values`."""
    count = 0
    queue: list[Any] = list(values)
    while queue:
        value = queue.pop()
        if type(value) is dict:
            count += len(value)
            queue.extend(v for v in value.values() if type(v) is dict or type(v) is list)
        elif type(value) is list:
            queue.extend(v for v in value if type(v) is dict or type(v) is list)
    return count


def _note_on_repeated_keys(text: str) -> Note:
    repeated: dict[str, int] = {}

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            for key, count in Counter(key for key, _ in pairs).items():
                if count > 1:
                    repeated[key] = repeated.get(key, 0) + 1
        return found

    decoder = json.JSONDecoder(object_pairs_hook=collect)
    position = _end_of_space(text, 0)
    while position < len(text):
        _, position = decoder.raw_decode(text, position)
        position = _end_of_space(text, position)
        if text.startswith(",", position):
            position = _end_of_space(text, position + 1)
    names = ", ".join(f'"{key}"' for key in list(repeated)[:_SHOWN_KEYS])
    more = f" and {len(repeated) - _SHOWN_KEYS} more" if len(repeated) > _SHOWN_KEYS else ""
    message = f"keys that stand twice in one object ({names}{more}): the last one counts"
    return Note(code="repeated-keys", message=message)
