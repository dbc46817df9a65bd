"""Where the statements of a W3C PROV document stand in its text: lines, or JSON pointers.

The readers of `prov` do not keep that. So the text is gone through once more, and the n-th
statement of a kind in a bundle is the n-th of that kind that was read; where their numbers differ
(a hadMember of several members), nothing is said of that kind.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prov.constants import PROV_BASE_CLS, PROV_N_MAP, PROV_RECORD_IDS_MAP
from prov.serializers.provxml import FULL_PROV_RECORD_IDS_MAP

from provmanager.errors import DocumentError
from provmanager.model import Statement

from .json_fields import child
from .json_stream import read_stream
from .prov_parse import PROV_JSON, PROV_N
from .prov_statements import BUNDLE
from .prov_terms import PROV
from .prov_xml import load_xml

Place = tuple[int, str, str]  # number of the bundle (0: none), type of the statement, where

_BASE = {word: PROV_BASE_CLS[kind].localpart for word, kind in PROV_RECORD_IDS_MAP.items()}
_XML_BASE = {word: PROV_BASE_CLS[kind].localpart for word, kind in FULL_PROV_RECORD_IDS_MAP.items()}
_WORDS = sorted(set(PROV_N_MAP.values()) - {"bundle"})
_PROVN_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\]|\\.)*"|<[^>\n]*>|//[^\n]*|/\*.*?\*/|'
    rf"(?P<bundle>\bbundle\s)|(?<![\w:])(?P<word>{'|'.join(_WORDS)})\s*\(",
    re.DOTALL,
)


def places_of(data: bytes, format: str, statements: Sequence[Statement]) -> list[str | None]:
    """Return where each of `statements` stands in `data`: ``line 7`` or a JSON pointer.

    Parameters
    ----------
    format : str
        ``prov-json``, ``prov-n`` or ``prov-xml``.
    statements
        All those of the document, as `read_prov` gave them.
    """
    try:
        found = _sorted(_READERS.get(format, _xml_places)(data))
    except DocumentError:  # not the bytes that were read
        return [None] * len(statements)
    wanted: dict[tuple[int, str], list[int]] = defaultdict(list)
    bundles: dict[str | None, int] = {None: 0}
    for number, statement in enumerate(statements):
        if statement.type == BUNDLE:
            bundles[statement.identifier] = len(bundles)
        else:
            wanted[bundles[statement.bundle], statement.type].append(number)
    places: list[str | None] = [None] * len(statements)
    for kind, numbers in wanted.items():
        if len(found.get(kind, ())) == len(numbers):
            for number, where in zip(numbers, found[kind], strict=True):
                places[number] = where
    return places


def _sorted(places: Iterable[Place]) -> dict[tuple[int, str], list[str]]:
    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for bundle, kind, where in places:
        found[bundle, kind].append(where)
    return found


def _json_places(data: bytes) -> Iterator[Place]:
    document = read_stream(data).values[0]
    yield from _container_places(document, 0, "")
    for number, (name, content) in enumerate(document.get("bundle", {}).items(), start=1):
        yield from _container_places(content, number, child("/bundle", name))


def _container_places(container: dict[str, object], bundle: int, pointer: str) -> Iterator[Place]:
    for section, records in container.items():
        if section in ("prefix", "bundle") or not isinstance(records, dict):
            continue
        for identifier, content in records.items():
            where = child(child(pointer, section), identifier)
            if isinstance(content, list):
                for n in range(len(content)):
                    yield bundle, _BASE[section], f"{where}/{n}"
            else:
                yield bundle, _BASE[section], where


def _provn_places(data: bytes) -> Iterator[Place]:
    text = data.decode("utf-8-sig", "replace")
    ends = list(accumulate(len(line) for line in text.splitlines(keepends=True)))
    bundle = 0
    kinds = {word: kind.localpart for kind, word in PROV_N_MAP.items()}
    for token in _PROVN_TOKEN.finditer(text):
        if token["bundle"]:
            bundle += 1
        elif token["word"]:
            line = bisect_left(ends, token.start() + 1) + 1
            yield bundle, kinds[token["word"]], f"line {line}"


def _xml_places(data: bytes) -> Iterator[Place]:
    n_bundles = 0
    for element in load_xml(data):
        if element.tag == f"{{{PROV}}}bundleContent":
            n_bundles += 1
            for inner in element:
                yield n_bundles, _xml_kind(str(inner.tag)), f"line {inner.sourceline}"
        else:
            yield 0, _xml_kind(str(element.tag)), f"line {element.sourceline}"


def _xml_kind(tag: str) -> str:
    return _XML_BASE.get(tag.removeprefix(f"{{{PROV}}}"), "")


_READERS = {PROV_JSON: _json_places, PROV_N: _provn_places}
