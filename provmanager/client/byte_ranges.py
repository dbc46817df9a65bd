"""Where in a file that is not what it was the difference lies, as far as that can be told.

A digest of the whole file says that it differs, and not where. A copy with the recorded bytes says
it exactly; so does the recorded size, where bytes were added at the end; FITS files have checksums
of their own (FITS standard 4.0 §4.4.2.7, Appendix J), which narrow it to a header or its data.
"""

import array
import hashlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from provmanager.errors import DocumentError
from provmanager.formats.fits_header import data_bytes, is_header, iter_headers, parse_header
from provmanager.ids import file_sha256

_BLOCK = 2**20
_MOST = 5
_WHOLE = 0xFFFFFFFF


def tell_where(
    path: Path, *, sha256: str, size_bytes: int | None, copies: Iterable[Path] = ()
) -> str:
    """Return in words where `path` differs from what was recorded; empty if nothing tells.

    Parameters
    ----------
    sha256 : str
        The recorded digest, in hexadecimal.
    size_bytes : int or None
        The recorded size.
    copies : iterable of Path
        Files that may have the recorded bytes.
    """
    try:
        for copy in copies:
            if copy != path and copy.is_file() and file_sha256(copy) == sha256:
                return f"{_ranges(path, copy)} (against the copy {copy})"
        return _by_size(path, sha256, size_bytes) or _by_checksums(path)
    except (OSError, DocumentError):
        return ""


def _ranges(path: Path, copy: Path) -> str:
    found = _joined(_differing(path, copy))
    told = [_named(first, last) for first, last in itertools.islice(found, _MOST)]
    more = sum(1 for _ in found)
    return ", ".join(told) + (f" and {more} ranges more" if more else "")


def _named(first: int, last: int) -> str:
    return f"byte {first}" if first == last else f"bytes {first} to {last}"


def _differing(path: Path, copy: Path) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of differing bytes, neighbours too."""
    start = 0
    with path.open("rb") as one, copy.open("rb") as other:
        while True:
            left, right = one.read(_BLOCK), other.read(_BLOCK)
            if left != right:
                shared = min(len(left), len(right))
                yield from ((start + i, start + i) for i in range(shared) if left[i] != right[i])
                if len(left) != len(right):
                    yield start + shared, start + max(len(left), len(right)) - 1
            if not left and not right:
                return
            start += max(len(left), len(right))


def _joined(ranges: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    held: tuple[int, int] | None = None
    for first, last in ranges:
        if held is not None and first == held[1] + 1:
            held = (held[0], last)
        else:
            if held is not None:
                yield held
            held = (first, last)
    if held is not None:
        yield held


def _by_size(path: Path, sha256: str, size_bytes: int | None) -> str:
    size = path.stat().st_size
    if size_bytes is None or size == size_bytes:
        return ""
    if size < size_bytes:
        return f"the file ends at byte {size}: bytes {size} to {size_bytes - 1} are missing"
    with path.open("rb") as file:
        begin = hashlib.sha256()
        left = size_bytes
        while left and (block := file.read(min(_BLOCK, left))):
            begin.update(block)
            left -= len(block)
    added = f"bytes {size_bytes} to {size - 1} were added"
    return added if begin.hexdigest() == sha256 else f"{added}, and others before them changed"


def _by_checksums(path: Path) -> str:
    """Return the headers and data of a FITS file that do not have their checksums."""
    with path.open("rb") as file:
        if not is_header(file.read(80)):
            return ""
    wrong: list[str] = []
    n_without = 0
    with path.open("rb") as file, path.open("rb") as data:
        for number, header in enumerate(iter_headers(file)):
            # the generator stands at the end of the header until it is asked again
            begin, end = file.tell() - len(header), file.tell()
            size = _end_of(path, file.tell(), header) - end
            data.seek(end)
            total = _sum_of(data.read(size))
            cards = parse_header(header)
            if "DATASUM" not in cards or "CHECKSUM" not in cards:
                n_without += 1
                continue
            if str(total) != str(cards["DATASUM"]).strip():
                wrong.append(f"bytes {end} to {end + size - 1} (data of HDU {number})")
            elif _add(_sum_of(header), total) not in (0, _WHOLE):
                wrong.append(f"bytes {begin} to {end - 1} (header of HDU {number})")
    if wrong:
        return "its FITS checksums fail in " + ", ".join(wrong)
    return "" if n_without else "its FITS checksums hold: it was written anew"


def _end_of(path: Path, end: int, header: bytes) -> int:
    return min(path.stat().st_size, end + data_bytes(parse_header(header)))


def _sum_of(data: bytes) -> int:
    """Return the ones' complement sum of the big-endian 32-bit words of `data`."""
    words = array.array("I", data[: len(data) // 4 * 4])
    if sys.byteorder == "little":
        words.byteswap()
    return _add(sum(words), 0)


def _add(one: int, other: int) -> int:
    total = one + other
    while total > _WHOLE:
        total = (total & _WHOLE) + (total >> 32)
    return total
