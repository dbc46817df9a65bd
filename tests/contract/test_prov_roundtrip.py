"""W3C PROV documents go in and come out equal: all real ones, and any that can be made."""

import importlib.util
import json
import logging
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from lxml import etree
from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.constants import PROV_TYPE, XSD
from prov.identifier import Identifier, Namespace
from prov.model import Literal, ProvBundle, ProvDocument

from provmanager.errors import DocumentError, UsageError
from provmanager.formats.prov_compare import difference
from provmanager.formats.prov_document import document_to_prov, read_prov, write
from provmanager.model import Document, Statement

ROOT = Path(__file__).resolve().parents[2]
READERS = {"prov-json": "json", "prov-n": "provn", "prov-xml": "xml"}
SUFFIXES = {"json": "*.json", "provn": "*.provn", "xml": "*.xml"}


@pytest.fixture(autouse=True)
def _prov_is_quiet():
    """`prov` logs, at level warning, each datatype of a text in a language that it replaces."""
    logging.getLogger("prov").setLevel(logging.ERROR)


def through_jsonb(document: Document) -> Document:
    """Store and load the statements as jsonb does: the keys of objects lose their order."""
    shuffled = random.Random(0)

    def disordered(value: Any) -> Any:
        if isinstance(value, dict):
            keys = shuffled.sample(list(value), len(value))
            return {key: disordered(value[key]) for key in keys}
        return [disordered(v) for v in value] if isinstance(value, list | tuple) else value

    rows = [[s.bundle, s.type, s.identifier, s.attributes] for s in document.statements]
    text = json.dumps(disordered([rows, dict(document.namespaces)]), allow_nan=False)
    loaded, namespaces = json.loads(text)
    statements = tuple(
        Statement(bundle=b, type=t, identifier=i, attributes=tuple((n, v) for n, v in attributes))
        for b, t, i, attributes in loaded
    )
    return replace(document, statements=statements, namespaces=namespaces)


def read_with_prov(path: Path, format_: str) -> ProvDocument | None:
    """Return what `prov` alone reads; None where it refuses."""
    with collect_warnings():
        try:
            return ProvDocument.deserialize(str(path), format=format_)
        except (ProvLibraryError, ValueError, etree.XMLSyntaxError, AttributeError):
            return None


def assert_comes_out_equal(path: Path, format_: str) -> bool:
    """Check one document; return whether `prov` reads it."""
    expected = read_with_prov(path, format_)
    if expected is None:
        with pytest.raises(DocumentError):
            read_prov(path.read_bytes())
        return False
    back = document_to_prov(through_jsonb(read_prov(path.read_bytes())))
    assert back == expected, path
    assert expected == back, path
    assert difference(expected, back) is None, path
    return True


@pytest.mark.parametrize(
    ("folder", "format_", "n_equal", "n_refused"),
    [
        ("prov-lib-3.2.3/json", "json", 266, 0),
        ("prov-lib-3.2.3/unification", "json", 10, 0),
        ("prov-lib-3.2.3/provn", "provn", 327, 23),
        ("prov-lib-3.2.3/xml", "xml", 21, 8),
        ("prov-lib-3.2.3/unification", "xml", 100, 2),
        ("provtoolbox-validation", "provn", 132, 4),
        ("provtoolbox-validation/validate", "xml", 125, 3),
        ("lstosa", "json", 4, 0),
    ],
)
def test_every_document_of_the_corpora_comes_out_equal_or_is_refused(
    prov_data: Path, folder: str, format_: str, n_equal: int, n_refused: int
):
    paths = sorted((prov_data / folder).rglob(SUFFIXES[format_]))
    outcomes = [assert_comes_out_equal(path, format_) for path in paths]
    assert (outcomes.count(True), outcomes.count(False)) == (n_equal, n_refused)


@pytest.mark.parametrize(("format_", "n_equal"), [("json", 45), ("provn", 45), ("xml", 27)])
def test_every_real_cwl_run_comes_out_equal(prov_data: Path, format_: str, n_equal: int):
    paths = sorted((prov_data / "cwlprov").rglob("*.cwlprov." + format_))
    assert len(paths) == n_equal
    assert all([assert_comes_out_equal(path, format_) for path in paths])


def test_one_run_says_the_same_in_three_formats(prov_data: Path):
    """The three serializations that cwltool writes of a run become the same in the model."""
    folder = prov_data / "cwlprov/runcrate-tests/revsort-run-1/metadata/provenance"
    documents = [
        read_prov((folder / f"primary.cwlprov.{suffix}").read_bytes())
        for suffix in ("json", "provn", "xml")
    ]

    def relations(document: Document) -> list[Any]:
        used = {(u.activity, u.entity, u.role, u.at) for u in document.used}
        generated = {(g.entity, g.activity, g.role, g.at) for g in document.generated}
        activities = {(a.uuid, a.name, a.started_at, a.ended_at) for a in document.activities}
        entities = {(e.key, e.name, e.digests, e.kind) for e in document.entities}
        return [used, generated, activities, entities, set(document.informed)]

    first, *others = map(relations, documents)
    assert len(first[0]) == 5
    assert all(other == first for other in others)


# --- the page -----------------------------------------------------------------------------------


def load_conformance() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance", ROOT / "docs" / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


def test_the_conformance_page_is_what_the_data_give(prov_data: Path):
    conformance = load_conformance()
    results = conformance.measure(prov_data)
    assert results.different == []
    total: Counter[str] = Counter()
    for kind, counts in sorted(results.cases.items()):
        print(f"PROV-CONSTRAINTS {kind}: {counts['tested']} of {counts['cases']} agree")
        total += counts
    print(
        f"PROV-CONSTRAINTS: {total['tested']} of {total['cases']} agree; by name {total['agree']}"
    )
    assert total["tested"] >= 0.97 * total["cases"]
    assert total["agree"] >= 0.94 * total["cases"]
    assert [case for case in results.disagreements if not case[-1]] == []  # all are explained
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert page == conformance.render(results), "run: python docs/conformance.py"


# --- any document -------------------------------------------------------------------------------

EX = Namespace("ex", "http://example.org/")
OTHER = Namespace("o", "urn:other:")
_LOCAL = st.text("abc019_='(),:;[]é", min_size=1, max_size=5)
_TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8) | st.text(max_size=3)
_TIMES = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - zones are drawn
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))]),
)
# Not xsd:QName: whatever resolves is a qualified name to every reader.
_LITERALS = st.builds(
    Literal,
    _TEXT,
    st.sampled_from([XSD[t] for t in ("long", "int", "decimal", "token", "date", "hexBinary")]),
) | st.builds(Literal, _TEXT, st.none(), st.sampled_from(["en", "fr-CA", "de-1996"]))
_VALUES = st.one_of(
    _TEXT,
    st.integers(),
    st.booleans(),
    st.floats(),
    _TIMES,
    _LOCAL.map(EX.__getitem__),
    _LOCAL.map(OTHER.__getitem__),
    st.text("ab:/ ", min_size=1).map(Identifier),
    _LITERALS,
)
_ATTRIBUTES = st.lists(
    st.tuples(st.one_of(_LOCAL.map(EX.__getitem__), st.just(PROV_TYPE)), _VALUES), max_size=3
)
_ELEMENTS = ("entity", "activity", "agent")
# method, number of references, whether a time is its third argument
_RELATIONS = (
    ("generation", 2, True),
    ("usage", 2, True),
    ("invalidation", 2, True),
    ("communication", 2, False),
    ("start", 3, True),
    ("end", 3, True),
    ("derivation", 5, False),
    ("attribution", 2, False),
    ("association", 3, False),
    ("delegation", 3, False),
    ("influence", 2, False),
    ("specialization", 2, False),
    ("alternate", 2, False),
    ("membership", 2, False),
)
_BARE = ("specialization", "alternate", "membership")
_REQUIRED = {"attribution": 2, "delegation": 2, "communication": 2, "influence": 2, "derivation": 2}


@st.composite
def prov_documents(draw: st.DrawFn) -> ProvDocument:
    """Return any W3C PROV document: all relations, bundles, prefixes that hide one another."""
    with collect_warnings():
        document = ProvDocument(namespaces=[EX, OTHER])
        if draw(st.booleans()):
            document.set_default_namespace("http://example.org/default#")
        fill(draw, document)
        for name in draw(st.lists(_LOCAL, max_size=2, unique=True)):
            bundle = document.bundle(EX[name])
            if draw(st.booleans()):
                bundle.add_namespace("o", "http://example.com/hidden/")
            if draw(st.booleans()):
                bundle.set_default_namespace("http://example.org/inner#")
            fill(draw, bundle)
        return document


def fill(draw: st.DrawFn, bundle: ProvBundle) -> None:
    """Add elements and relations."""
    names = [draw(st.sampled_from([EX, OTHER]))[n] for n in draw(st.lists(_LOCAL, max_size=4))]
    if bundle.get_default_namespace():
        names.append(bundle.get_default_namespace()[draw(_LOCAL)])
    for name in names:
        element = draw(st.sampled_from(_ELEMENTS))
        getattr(bundle, element)(name, other_attributes=draw(_ATTRIBUTES))
    if not names:
        return
    for method, n_references, has_time in draw(st.lists(st.sampled_from(_RELATIONS), max_size=6)):
        required = n_references if method in _BARE else _REQUIRED.get(method, 1)
        arguments: list[Any] = [draw(st.sampled_from(names)) for _ in range(required)]
        if method not in _BARE:
            arguments += [
                draw(st.none() | st.sampled_from(names)) for _ in range(n_references - required)
            ]
            options: dict[str, Any] = {"other_attributes": draw(_ATTRIBUTES)}
            options["identifier"] = draw(st.none() | _LOCAL.map(EX.__getitem__))
            if has_time:
                options["time"] = draw(st.none() | _TIMES)
            getattr(bundle, method)(*arguments, **options)
        else:
            getattr(bundle, method)(*arguments)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prov_documents())
def test_any_document_comes_out_as_it_went_in(document: ProvDocument):
    for format_ in READERS:
        try:
            data = write(document, format_)
        except UsageError:
            assert format_ != "prov-json"  # which can express any
            continue
        if data.strip() == b"{}":
            continue  # nothing says that this is PROV
        back = document_to_prov(through_jsonb(read_prov(data)))
        assert difference(document, back) is None
        event(f"came out of {format_}")
        if not has_nan(document):
            assert back == document
            assert document == back


def has_nan(document: ProvDocument) -> bool:
    """Whether a value is NaN, which equals nothing."""
    records = [r for bundle in (document, *document.bundles) for r in bundle.records]
    return any(value != value for record in records for _, value in record.attributes)
