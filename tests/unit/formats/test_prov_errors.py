"""What is wrong in a W3C PROV document is said with its place, and nothing leaks or hangs."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provmanager.errors import (
    DocumentError,
    DocumentTooDeepError,
    JsonSyntaxError,
    ProvError,
    UnrecognisedFormatError,
)
from provmanager.formats.prov_document import read_prov

PREFIX = {"ex": "http://example.org/"}
XML = (
    '<prov:document xmlns:prov="http://www.w3.org/ns/prov#" xmlns:ex="http://example.org/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n%s</prov:document>'
)


def read_json(**sections: Any) -> None:
    read_prov(json.dumps({"prefix": PREFIX, **sections}).encode())


@pytest.mark.parametrize(
    ("sections", "pointer", "message"),
    [
        ({"datasetEntity": {}, "entity": {}}, "/datasetEntity", "no section of PROV-JSON"),
        ({"entity": "notadict"}, "/entity", "expected an object"),
        ({"entity": {"ex:e": None}}, "/entity/ex:e", "expected an object"),
        ({"entity": {"ex:e": [{}, 5]}}, "/entity/ex:e/1", "expected an object"),
        ({"entity": {"ex:a/b": 5}}, "/entity/ex:a~1b", "expected an object"),
        ({"entity": {"no:e": {}}}, "/entity/no:e", "prefix that is not declared"),
        ({"entity": {"_:e": {}}}, "/entity/_:e", "blank node"),
        ({"entity": {"ex:e": {"no:a": 1}}}, "/entity/ex:e", "no:a"),
        ({"entity": {"ex:e": {"ex:a": {"type": "xsd:int"}}}}, "/entity/ex:e/ex:a", '"\\$"'),
        ({"entity": {"ex:e": {"ex:a": [1, [2]]}}}, "/entity/ex:e/ex:a/1", "list in a list"),
        (
            {"entity": {"ex:e": {"ex:a": {"$": "1", "type": 5}}}},
            "/entity/ex:e/ex:a/type",
            "not a string",
        ),
        (
            {"entity": {"ex:e": {"ex:a": {"$": "1", "type": "no:int"}}}},
            "/entity/ex:e",
            "would be lost",
        ),
        (
            {"activity": {"ex:a": {"prov:startTime": "yesterday"}}},
            "/activity/ex:a",
            "'yesterday' is not an xsd:dateTime and is dropped: a part of the document would be",
        ),
        (
            {"used": {"_:u": {"prov:activity": "ex:a", "prov:entity": "no:e"}}},
            "/used/_:u",
            "its prefix 'no' is not declared; it is dropped",
        ),
        (
            {"used": {"_:u": {"prov:activity": ["ex:a", "ex:b"]}}},
            "/used/_:u",
            "an array of 2 values",
        ),
        (
            {"used": {"_:u": {"prov:entity": {"$": "ex:e"}}}},
            "/used/_:u/prov:entity",
            "by its name, a string",
        ),
        ({"bundle": "notadict"}, "/bundle", "expected an object"),
        ({"bundle": {"ex:b": 5}}, "/bundle/ex:b", "expected an object"),
        ({"bundle": {"no:b": {}}}, "/bundle/no:b", "no identifier"),
        ({"bundle": {"ex:b": {"bundle": {}}}}, "/bundle/ex:b/bundle", "holds no bundles"),
        (
            {"bundle": {"ex:b": {"entity": {"ex:e": 5}}}},
            "/bundle/ex:b/entity/ex:e",
            "expected an object",
        ),
        ({"prefix": {"ex": 5}, "entity": {}}, "/prefix/ex", "needs a namespace IRI"),
        ({"prefix": {"ex": " "}, "entity": {}}, "/prefix/ex", "needs a namespace IRI"),
    ],
    ids=str,
)
def test_wrong_json_is_pointed_at(sections: dict[str, Any], pointer: str, message: str):
    with pytest.raises(DocumentError, match=message) as caught:
        read_json(**sections)
    assert caught.value.details["pointer"] == pointer
    json.dumps(caught.value.to_wire())


def test_repeated_key_is_refused_since_one_of_the_two_would_be_lost():
    data = b'{"prefix": {"ex": "http://example.org/"}, "entity": {"ex:e": {}, "ex:e": {"ex:a": 1}}}'
    with pytest.raises(DocumentError, match='stand twice in one object \\("ex:e"\\)'):
        read_prov(data)


def test_truncated_json_has_its_offset():
    whole = json.dumps({"prefix": PREFIX, "entity": {"ex:é": {}}}, ensure_ascii=False).encode()
    with pytest.raises(JsonSyntaxError) as caught:
        read_prov(whole[:-2], name="run.json")
    assert caught.value.details["offset"] == len(whole) - 2
    assert caught.value.details["line"] == 1
    assert caught.value.details["name"] == "run.json"


def test_deep_nesting_is_refused_at_once():
    started = time.process_time()
    with pytest.raises(DocumentTooDeepError):
        read_prov(b'{"entity":' * 100_000)
    with pytest.raises(DocumentTooDeepError):
        read_prov((XML % ("<prov:a>" * 10_000)).encode())
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"5", b'"entity"', b"SIMPLE  =  T", b"\xff\xfe", b'{"a": 1} {}'],
    ids=repr,
)
def test_what_is_none_of_the_formats_says_what_it_found(data: bytes):
    with pytest.raises(UnrecognisedFormatError, match="neither PROV-JSON nor PROV-N") as caught:
        read_prov(data)
    assert caught.value.details["found"]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("document\n  entity(ex:e)\nendDocument", 2, 10, "ex:e"),
        ("document\n  entity(", 2, 10, "expected an identifier"),
        ("document endDocument entity(a)", 1, 22, "after 'endDocument'"),
        ("document\nprefix a <http://a/>\nused(a:b; a:c)\nused(a:x, a:y)", 4, 1, "takes 1 or 3"),
    ],
)
def test_wrong_provn_has_line_and_column(text: str, line: int, column: int, message: str):
    with pytest.raises(DocumentError, match=message) as caught:
        read_prov(text.encode())
    assert (caught.value.details["line"], caught.value.details["column"]) == (line, column)


def test_default_namespace_declared_twice_in_provn_is_refused():
    with pytest.raises(DocumentError, match="the last one is used"):
        read_prov(b"document default <http://a/> default <http://b/> entity(e) endDocument")


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("\n<ex:entity/>", 3, "no record of PROV-XML"),
        ("<prov:nonsense/>", 2, "no record of PROV-XML"),
        ("<prov:entity prov:id='no:e'/>", 2, "no:e"),
        ("\n\n<prov:bundleContent/>", 4, "needs a prov:id"),
        ("<prov:bundleContent prov:id='ex:b'>\n<prov:bundleContent/>", 3, None),
        ("<prov:used><prov:entity/></prov:used>", 2, "no prov:ref"),
        (
            "<prov:entity prov:id='ex:e'><ex:a xsi:type='xsd:QName'/></prov:entity>",
            2,
            "cannot be read",
        ),
        ("<prov:entity prov:id='ex:e'><ex:a>&undefined;</ex:a></prov:entity>", 2, "undefined"),
    ],
)
def test_wrong_xml_has_its_line(body: str, line: int, message: str | None):
    with pytest.raises(DocumentError, match=message) as caught:
        read_prov((XML % body).encode())
    assert caught.value.details["line"] == line


def test_bundle_in_a_bundle_is_refused_in_xml():
    body = (
        "<prov:bundleContent prov:id='ex:b'>"
        "<prov:bundleContent prov:id='ex:c'/></prov:bundleContent>"
    )
    with pytest.raises(DocumentError, match="holds no bundles"):
        read_prov((XML % body).encode())


def test_foreign_xml_is_not_recognised():
    with pytest.raises(UnrecognisedFormatError, match="root is foo"):
        read_prov(b"<foo/>")


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE d>",
        '<!DOCTYPE d [<!ENTITY a "x">]>',
        '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/evil.dtd">',
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE d [<!ENTITY %% p SYSTEM "http://127.0.0.1:9/evil.dtd"> %%p;]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_type_is_refused(doctype: str, encoding: str):
    body = "<prov:entity prov:id='ex:e'/>" + (
        "<prov:entity prov:id='ex:f'><ex:a>&a;</ex:a></prov:entity>"
        if "ENTITY a" in doctype
        else ""
    )
    with pytest.raises(DocumentError, match="document type"):
        read_prov((doctype.replace("%%", "%") + XML % body).encode(encoding))


def test_entity_bomb_is_refused_quickly():
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30)
    )
    body = "<prov:entity prov:id='ex:e' ex:x='&a29;'><ex:a>&a29;</ex:a></prov:entity>"
    started = time.process_time()
    with pytest.raises(DocumentError):
        read_prov((f"<!DOCTYPE d [{entities}]>" + XML % body).encode())
    assert time.process_time() - started < 5


def test_xml_in_utf16_is_read():
    document = read_prov((XML % "<prov:entity prov:id='ex:é'/>").encode("utf-16"))
    assert document.entities[0].name == "é"


def test_comments_and_instructions_in_xml_are_passed_over():
    body = (
        "<?pi x?><!-- a --><prov:entity prov:id='ex:e'><!-- b -->"
        "<prov:label>dl<!-- c -->2</prov:label><?pi y?></prov:entity>"
    )
    document = read_prov(("<!-- head -->" + XML % body + "<!-- tail -->").encode())
    assert document.entities[0].name == "dl2"


def test_what_prov_xml_has_no_place_for_is_noted():
    body = (
        "<prov:other><ex:x/></prov:other>"
        "<prov:entity prov:id='ex:e'><ex:a><ex:b/></ex:a></prov:entity>"
    )
    document = read_prov((XML % body).encode())
    assert [note.code for note in document.notes] == ["prov", "nested-content"]


def test_undeclared_prefix_in_a_value_is_kept_and_noted():
    value = {"$": "no:x", "type": "xsd:QName"}
    document = read_prov(
        json.dumps({"prefix": PREFIX, "entity": {"ex:e": {"ex:a": value}}}).encode()
    )
    assert document.statements[0].attributes == (("ex:a", {**value, "opaque": True}),)
    (note,) = document.notes
    assert (note.code, note.pointer) == ("prov", "/entity/ex:e")
    assert "3.3.0" not in note.message


def test_relation_identifier_that_does_not_resolve_is_noted():
    document = read_prov(
        json.dumps(
            {"prefix": PREFIX, "used": {"u1": {"prov:activity": "ex:a", "prov:entity": "ex:e"}}}
        ).encode()
    )
    assert len(document.used) == 1
    assert [note.code for note in document.notes] == ["unresolved-identifier"]


def test_many_notes_are_counted():
    entities = {f"ex:e{n}": {"ex:a": {"$": "no:x", "type": "xsd:QName"}} for n in range(300)}
    document = read_prov(json.dumps({"prefix": PREFIX, "entity": entities}).encode())
    assert len(document.notes) < 30
    assert "280 more" in document.notes[-1].message


def test_malformed_corpus_is_refused(prov_data: Path):
    folder = prov_data / "prov-lib-3.2.3" / "malformed"
    paths = sorted(folder.iterdir())
    assert len(paths) == 11
    for path in paths:
        with pytest.raises(DocumentError) as caught:
            read_prov(path.read_bytes(), name=path.name)
        assert caught.value.details["name"] == path.name
        assert len(caught.value.message) > 20


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["ex:a", "ex:b", "no:c", "_:d", "2026-11-21T00:00:00", "xsd:int", "prov:x"]),
)
_KEYS = st.sampled_from(
    ["prov:entity", "prov:activity", "prov:time", "prov:type", "ex:a", "no:a", "$", "type", "lang"]
) | st.text(max_size=3)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)
_SECTIONS = st.sampled_from(
    ["entity", "activity", "agent", "used", "wasGeneratedBy", "hadMember", "bundle", "prefix"]
)


@settings(max_examples=300)
@given(st.dictionaries(_SECTIONS, st.dictionaries(_KEYS, _VALUES, max_size=3), max_size=3))
def test_any_json_is_read_or_refused_with_an_error_of_ours(sections: dict[str, Any]):
    logging.getLogger("prov").setLevel(logging.ERROR)
    data = json.dumps({"prefix": PREFIX, "entity": {}, **sections}).encode()
    try:
        read_prov(data)
    except ProvError as error:
        json.dumps(error.to_wire())
