"""Where a statement is said to stand, it stands: every one of the real documents."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from prov.constants import PROV_N_MAP

from provmanager.errors import DocumentError
from provmanager.formats.prov_document import read_prov
from provmanager.formats.prov_places import places_of
from provmanager.model import Statement

ID = "{http://www.w3.org/ns/prov#}id"
WORDS = {type_.localpart: word for type_, word in PROV_N_MAP.items()}
SETS = ("prov-lib-3.2.3", "provtoolbox-validation", "cwlprov", "lstosa")
# prov-dm-example-42 leaves `bundle` unclosed in a remark; a hadMember of several is several
UNPLACED = 13


def placed(folder: Path, suffix: str) -> list[tuple[bytes, Statement, str | None]]:
    found = []
    for name in SETS:
        for path in sorted((folder / name).rglob(f"*{suffix}")):
            data = path.read_bytes()
            try:
                document = read_prov(data)
            except DocumentError:
                continue
            if not document.statements:
                continue
            places = places_of(data, document.format, document.statements)
            pairs = zip(document.statements, places, strict=True)
            found += [(data, s, place) for s, place in pairs if s.type != "Bundle"]
    assert len(found) > 500
    return found


def local(name: str | None) -> str:
    return (name or "").rpartition(":")[2]


def test_a_line_of_prov_n_holds_the_statement(prov_data: Path):
    found = placed(prov_data, ".provn")
    for data, statement, place in found:
        if place is not None:
            line = data.decode().splitlines()[int(place.removeprefix("line ")) - 1]
            assert f"{WORDS[statement.type]}(" in line.replace(" ", ""), (line, statement)
            assert local(statement.identifier) in line or "\\" in line, (line, statement)
    assert sum(place is None for _, _, place in found) <= UNPLACED


@cache
def ids_by_line(data: bytes) -> dict[int, str | None]:
    root = etree.fromstring(data, etree.XMLParser(remove_comments=True, remove_pis=True))
    return {element.sourceline: element.get(ID) for element in root.iter()}


def test_a_line_of_prov_xml_begins_the_element(prov_data: Path):
    for data, statement, place in placed(prov_data, ".xml"):
        assert place is not None
        held = ids_by_line(data)[int(place.removeprefix("line "))]
        assert local(held) == local(statement.identifier), (place, statement)


def test_a_pointer_leads_to_the_record(prov_data: Path):
    found = placed(prov_data, ".json")
    for data, statement, place in found:
        if place is None:
            continue
        record: Any = json.loads(data)
        steps = [s.replace("~1", "/").replace("~0", "~") for s in place.split("/")[1:]]
        for step in steps:
            record = record[int(step)] if isinstance(record, list) else record[step]
        given = {name.removeprefix("prov:") for name, _ in statement.attributes}
        held = {name.removeprefix("prov:") for name in record}
        assert given == held, (place, given, held)
    assert sum(place is None for _, _, place in found) <= UNPLACED


def test_of_other_bytes_nothing_is_said():
    text = b"document\nprefix ex <http://example.org/>\nentity(ex:e)\nendDocument\n"
    document = read_prov(text)
    assert places_of(text, document.format, document.statements) == ["line 3"]
    assert places_of(b"{", "prov-json", document.statements) == [None]
    assert places_of(b"document endDocument", "prov-n", document.statements) == [None]


@pytest.mark.parametrize("remark", ["// entity(ex:x)", "/* entity(ex:x)\n*/", "x"])
def test_what_stands_in_remarks_and_texts_is_no_statement(remark: str):
    note = '[ex:t="entity(ex:y)", ex:u="""\nentity(ex:z)\n""", ex:v="a \\" entity(ex:w)"]'
    remark = "" if remark == "x" else remark
    text = (
        f"document\nprefix ex <http://example.org/entity(>\n{remark}\nentity(ex:a, {note})\n"
        "entity(ex:b)\nendDocument\n"
    )
    document = read_prov(text.encode())
    places = places_of(text.encode(), document.format, document.statements)
    lines = text.splitlines()
    assert [lines[int(p.removeprefix("line ")) - 1][:11] for p in places if p] == [
        "entity(ex:a", "entity(ex:b",
    ]  # fmt: skip
