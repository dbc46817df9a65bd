import json
from datetime import UTC, datetime

import pytest
from prov._warnings import collect_warnings
from prov.constants import PROV, XSD, XSD_LONG, XSD_QNAME
from prov.identifier import Identifier, Namespace, QualifiedName
from prov.model import Literal, ProvDocument

from provmanager.errors import DocumentError
from provmanager.formats.prov_compare import difference
from provmanager.formats.prov_statements import (
    Scope,
    decode_value,
    encode_value,
    from_statements,
    to_statements,
)
from provmanager.model import Statement

EX = Namespace("ex", "http://example.org/")


def through_jsonb(document: ProvDocument) -> ProvDocument:
    """Store the statements as PostgreSQL would, and make the document again."""
    statements, namespaces = to_statements(document)
    rows = [[s.bundle, s.type, s.identifier, s.attributes] for s in statements]
    text = json.dumps([rows, namespaces], sort_keys=True, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\u0000", "")
    assert not _numbers(json.loads(text))
    loaded, loaded_namespaces = json.loads(text)
    return from_statements(
        [
            Statement(
                bundle=bundle,
                type=type_,
                identifier=identifier,
                attributes=tuple((name, value) for name, value in attributes),
            )
            for bundle, type_, identifier, attributes in loaded
        ],
        loaded_namespaces,
    )


def _numbers(value: object) -> list[object]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        "NUL \x00 inside",
        "lone \ud800 surrogate",
        '"\\u0000"',
        True,
        False,
        1,
        -(2**31) - 1,
        2**63,
        10**300,
        1.0,
        0.1,
        1e300,
        float("inf"),
        float("-inf"),
        datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 11, 21, 3, 4, 5),  # noqa: DTZ001 - a clock without zone
        Identifier("http://example.org/a b"),
        EX["e1"],
        EX["with:colon"],
        EX[""],
        Literal("5", XSD_LONG),
        Literal("abc", XSD["int"]),
        Literal("ça", langtag="fr"),
        Literal("NUL \x00", XSD["token"]),
        Literal("aGVsbG8=", XSD["base64Binary"]),
        Literal("unknown:name", XSD_QNAME),
        Literal("ex:e1", XSD_QNAME),
        Literal("2012-13-01T00:00:00", XSD["dateTime"]),
    ],
    ids=repr,
)
def test_value_survives_jsonb(value: object):
    document = ProvDocument(namespaces=[EX])
    with collect_warnings():
        document.entity("ex:e", [("ex:value", value), ("ex:value", "another")])
    back = through_jsonb(document)
    assert back == document
    assert difference(document, back) is None


def test_nan_survives_although_it_equals_nothing():
    document = ProvDocument(namespaces=[EX])
    document.entity("ex:e", [("ex:value", float("nan"))])
    assert difference(document, through_jsonb(document)) is None


def test_integer_and_float_of_one_value_stay_two_values():
    document = ProvDocument(namespaces=[EX])
    document.entity("ex:e", [("ex:value", 1), ("ex:value", 1.0), ("ex:value", True)])
    back = through_jsonb(document)
    assert len(back.records[0].attributes) == 3
    assert difference(document, back) is None


def test_bundle_without_records_survives():
    document = ProvDocument(namespaces=[EX])
    document.bundle("ex:empty")
    back = through_jsonb(document)
    assert [bundle.identifier for bundle in back.bundles] == [EX["empty"]]


def test_record_given_twice_stays_twice():
    document = ProvDocument(namespaces=[EX])
    document.entity("ex:e")
    document.entity("ex:e")
    back = through_jsonb(document)
    assert len(back.records) == 2
    assert difference(document, back) is None


def test_bundle_may_bind_a_prefix_of_the_document_otherwise():
    document = ProvDocument(namespaces=[EX])
    document.set_default_namespace("http://example.org/outer/")
    document.entity("e1")
    bundle = document.bundle("ex:b")
    bundle.add_namespace("ex", "http://example.com/inner#")
    bundle.set_default_namespace("http://example.org/inner/")
    bundle.entity("ex:e2", {"label": "ex:e1"})
    bundle.entity("e3")
    statements, namespaces = to_statements(document)
    assert namespaces == {
        "": "http://example.org/outer/",
        "ex": "http://example.org/",
        "ex:b ": "http://example.org/inner/",
        "ex:b ex": "http://example.com/inner#",
    }
    assert [s.identifier for s in statements] == ["e1", "ex:b", "ex:e2", "e3"]
    back = through_jsonb(document)
    inner = next(iter(back.bundles))
    assert [r.identifier.uri for r in inner.records] == [
        "http://example.com/inner#e2",
        "http://example.org/inner/e3",
    ]
    assert difference(document, back) is None


def test_a_prefix_that_would_mean_two_namespaces_gets_another_name():
    scope = Scope([EX])
    other = QualifiedName(Namespace("ex", "http://example.com/"), "e1")
    assert scope.text(EX["e1"]) == "ex:e1"
    assert scope.text(other) == "ex_1:e1"
    assert scope.resolve("ex_1:e1") == other
    assert scope.resolve("nope:e1") is None


def test_the_prefixes_of_w3c_are_known_and_cannot_be_taken():
    scope = Scope([Namespace("xsd", "http://www.w3.org/2001/XMLSchema")])
    assert scope.resolve("prov:type") == PROV["type"]
    assert scope.resolve("xsd:int") == XSD["int"]
    assert scope.prefixes["xsd_1"].uri == "http://www.w3.org/2001/XMLSchema"


@pytest.mark.parametrize("local", ["", "a", "a:b", ":a", "::", "ex:e1"])
def test_name_in_the_default_namespace_is_resolved_again(local: str):
    scope = Scope([Namespace("", "http://example.org/d#"), EX])
    name = QualifiedName(Namespace("", "http://example.org/d#"), local)
    assert scope.resolve(scope.text(name)) == name


@pytest.mark.parametrize("prefix", ["a b", "a:b", " ", "a\nb"])
def test_prefix_that_no_qualified_name_can_have_is_replaced(prefix: str):
    scope = Scope([Namespace(prefix, "http://example.org/x#")])
    name = QualifiedName(Namespace(prefix, "http://example.org/x#"), "e")
    text = scope.text(name)
    assert scope.resolve(text) == name
    assert " " not in text
    assert text.count(":") == 1


def test_identifier_with_a_nul_is_refused():
    with collect_warnings():
        name = QualifiedName(EX, "a\x00b")
    with pytest.raises(DocumentError, match="NUL"):
        Scope([EX]).text(name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"$": 5}, "string in '\\$'"),
        ({"type": "xsd:int"}, "string in '\\$'"),
        ({"$": "1", "type": "nope:int"}, "prefix"),
        ({"$": "nope:x", "type": "xsd:QName"}, "prefix"),
        (None, "not a value"),
        ([1], "not a value"),
    ],
)
def test_value_of_no_known_form_is_refused(value: object, message: str):
    with pytest.raises(DocumentError, match=message):
        decode_value(value, Scope([EX]))


def test_value_that_prov_has_no_form_for_is_refused():
    with pytest.raises(DocumentError, match="no form in PROV"):
        encode_value(object(), Scope())


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (Statement(bundle=None, type="Nonsense", identifier="ex:a", attributes=()), "no type"),
        (Statement(bundle="ex:b", type="Entity", identifier="ex:a", attributes=()), "announces"),
        (Statement(bundle=None, type="Entity", identifier="no:a", attributes=()), "prefix"),
        (Statement(bundle=None, type="Entity", identifier=None, attributes=()), "made again"),
        (
            Statement(
                bundle=None,
                type="Usage",
                identifier=None,
                attributes=(("prov:time", "yesterday"),),
            ),
            "made again",
        ),
    ],
)
def test_statement_that_makes_no_record_is_refused(statement: Statement, message: str):
    with pytest.raises(DocumentError, match=message):
        from_statements([statement], {"ex": EX.uri})
