"""FITS headers (FITS standard 4.0 §4), read without astropy: cards to a dictionary.

Only what product metadata needs: strings with doubled quotes and CONTINUE, logicals, numbers,
HIERARCH keywords, COMMENT joined. So that a node needs no astropy, and the server can read the
cards alone, without the data.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import DocumentError

CARD_BYTES = 80
BLOCK_BYTES = 2880
_MAX_HEADER_BLOCKS = 4000
_MAX_AXES = 999

Value = str | bool | int | float | None

_KEYWORD = re.compile(rb"[A-Z0-9_-]{1,8} *\Z")
_STRING = re.compile(r"\s*'((?:[^']|'')*+)'")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[EDed][+-]?\d+)?)\s*(?:/|$)")


def is_header(data: bytes) -> bool:
    """Return whether `data` begins with a FITS card."""
    start = data[:CARD_BYTES]
    is_hierarchical = start.startswith(b"HIERARCH ") and b"=" in start
    return is_hierarchical or (start[8:10] == b"= " and _KEYWORD.match(start[:8]) is not None)


def parse_header(data: bytes) -> dict[str, Value]:
    """Return the keywords and values of the cards in `data`.

    Cards of 80 bytes each, as in a file, or one a line, as header listings have them. Of a
    keyword that stands twice the first counts; ``END`` ends the header.
    """
    values: dict[str, Value] = {}
    latest = ""
    for card in _cards(data.decode("ascii", "replace")):
        keyword = card[:8].rstrip()
        if keyword == "END":
            break
        if keyword == "CONTINUE":
            _continue(values, latest, card[8:])
        elif keyword == "HIERARCH" and "=" in card:
            latest, _, text = card[9:].partition("=")
            latest = " ".join(latest.upper().split())
            values.setdefault(latest, _value(text))
        elif card[8:10] == "= ":
            latest = keyword
            values.setdefault(keyword, _value(card[10:]))
        elif keyword == "COMMENT":
            values["COMMENT"] = f"{values.get('COMMENT', '')}{card[8:].rstrip()}".strip()
    return values


def iter_headers(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the header of each HDU of the FITS file `stream`, whole blocks, without the data.

    Raises
    ------
    DocumentError
        A header does not end.
    """
    while block := stream.read(BLOCK_BYTES):
        header = bytearray(block)
        while not _has_end(block):
            block = stream.read(BLOCK_BYTES)
            if not block or len(header) > _MAX_HEADER_BLOCKS * BLOCK_BYTES:
                raise DocumentError(
                    f"the FITS header at byte {stream.tell() - len(block) - len(header)} has no "
                    "END card; the file is cut off",
                    expected="an END card",
                    found="the end of the file" if not block else f"{len(header)} bytes without",
                )
            header += block
        yield bytes(header)
        stream.seek(data_bytes(parse_header(bytes(header))), 1)


def _cards(text: str) -> Iterator[str]:
    if "\n" in text:
        yield from text.splitlines()
    else:
        for start in range(0, len(text), CARD_BYTES):
            yield text[start : start + CARD_BYTES]


def _has_end(block: bytes) -> bool:
    return any(
        block[start : start + 8] == b"END     " for start in range(0, len(block), CARD_BYTES)
    )


def _value(text: str) -> Value:
    string = _STRING.match(text)
    if string:
        return string[1].replace("''", "'").rstrip()
    number = _NUMBER.match(text)
    if number:
        digits = number[1].upper().replace("D", "E")
        return float(digits) if set(digits) & set(".E") else int(digits)
    bare = text.partition("/")[0].strip()
    return {"T": True, "F": False, "": None}.get(bare, bare)


def _continue(values: dict[str, Value], keyword: str, text: str) -> None:
    before = values.get(keyword)
    more = _value(text)
    if isinstance(before, str) and before.endswith("&") and isinstance(more, str):
        values[keyword] = before[:-1] + more


def data_bytes(header: dict[str, Value]) -> int:
    """Return the length of the data that follow `header`, padded to whole blocks (§4.4.1)."""
    n_axes = min(_count(header, "NAXIS"), _MAX_AXES)
    axes = [_count(header, f"NAXIS{i + 1}") for i in range(n_axes)]
    if not axes:
        return 0
    if axes[0] == 0 and header.get("GROUPS") is True:
        axes = axes[1:]
    elements = 1
    for axis in axes:
        elements *= axis
    elements = _count(header, "GCOUNT", 1) * (_count(header, "PCOUNT") + elements)
    size_bytes = max(0, abs(_count(header, "BITPIX")) // 8 * elements)
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _count(header: dict[str, Value], keyword: str, default: int = 0) -> int:
    value = header.get(keyword, default)
    return value if isinstance(value, int) else default
