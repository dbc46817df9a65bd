"""A lineage as W3C PROV: valid, readable by others, and read back by us for what it was."""

import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from prov.constants import PROV
from prov.model import ProvDocument
from rdflib.compare import isomorphic

from provmanager.errors import DocumentError, UsageError
from provmanager.formats.prov_compare import difference
from provmanager.formats.prov_document import read_prov, write
from provmanager.formats.prov_export import lineage_to_prov
from provmanager.formats.prov_turtle import plain_turtle
from provmanager.model import AgentKind, EntityKind, InformKind, Status

FORMATS = ("prov-json", "prov-n", "prov-xml")
SCHEMAS = Path(str(files("prov"))) / "tests" / "schemas"
RUN, STEP, MERGE = (str(uuid4()) for _ in range(3))
DL1, DL2, FLAG, FOLDER = (str(uuid4()) for _ in range(4))
DIGEST = "sha256:" + "ab" * 32
VOPROV = "http://www.ivoa.net/documents/ProvenanceDM/index.html#"


def activity(id_: str, name: str, **more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("version", "type", "exit_code", "started_at", "ended_at", "host"))
    row = {"id": id_, "name": name, "status": "unknown", "is_claim": False, "depth": 1}
    return {**row, **nothing, "described": False, **more}


def entity(id_: str, name: str, **more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("location", "digest", "product_id", "size_bytes", "value", "generated_by", "generated_at")
    )
    row = {"id": id_, "name": name, "kind": "dataset", "depth": 0, "is_root": False}
    return {**row, **nothing, **more}


@pytest.fixture
def lineage() -> dict[str, Any]:
    return {
        "focus": {"kind": "entity", "id": DL2, "name": "dl2.h5"},
        "direction": "up",
        "depth": 3,
        "truncated": True,
        "counts": {},
        "activities": [
            activity(RUN, "production"),
            activity(
                STEP,
                "ctapipe-apply-models",
                version="0.32.0",
                type="Reconstruction",
                status="error",
                exit_code=1,
                started_at="2026-11-21T02:17:52.452967+00:00",
                ended_at="2026-11-21T02:18:00Z",
                host="cp01",
            ),
            activity(MERGE, "ctapipe-merge", is_claim=True),
        ],
        "entities": [
            entity(DL1, "dl1.h5", digest=DIGEST, size_bytes=5_000_000_000),
            entity(
                DL2,
                "dl2 \"é\" 'x'.h5",
                location="lfn:/ctao/dl2.h5",
                product_id="urn:uuid:8d83ad75-0000-4000-8000-000000000000",
                generated_by=STEP,
                generated_at="2026-11-21T02:18:00+00:00",
            ),
            entity(FLAG, "flag", kind="value", value="true"),
            entity(FOLDER, "set", kind="collection", generated_at="2026-11-20T00:00:00+00:00"),
        ],
        "used": [
            {
                "activity": STEP,
                "entity": DL1,
                "role": "a",
                "rule": "same_digest",
                "basis": "stated",
            },
            {"activity": STEP, "entity": DL1, "role": "b", "rule": None, "basis": "inferred"},
            {"activity": STEP, "entity": FLAG, "role": None, "rule": None, "basis": "stated"},
        ],
        "generated": [
            {"entity": DL2, "activity": STEP, "role": "out", "rule": "stated", "basis": "stated"},
            {"entity": DL1, "activity": MERGE, "role": None, "rule": "claim", "basis": "claimed"},
        ],
        "derived": [{"derived": DL2, "source": DL1, "rule": "stated", "basis": "stated"}],
        "members": [{"collection": FOLDER, "member": DL1}],
        "parts": [{"activity": STEP, "part_of": RUN}],
        "agents": [
            {"id": "https://orcid.org/0000-0001-9842-9718", "name": "A. Person", "kind": "Person"},
            {"id": str(uuid4()), "name": "Operations", "kind": "Organization"},
        ],
        "associated": [
            {
                "activity": STEP,
                "agent": "https://orcid.org/0000-0001-9842-9718",
                "role": "Operator",
            }
        ],
        "attributed": [
            {"entity": DL2, "agent": "https://orcid.org/0000-0001-9842-9718", "role": "Creator"}
        ],
    }


@pytest.mark.parametrize("format_", [*FORMATS, "turtle", "json-ld"])
def test_prov_reads_the_export_back_equal(lineage: dict[str, Any], format_: str, tmp_path: Path):
    document = lineage_to_prov(lineage)
    path = tmp_path / "export"
    path.write_bytes(write(document, format_))
    names: dict[str, dict[str, str]] = {
        "prov-json": {"format": "json"},
        "prov-n": {"format": "provn"},
        "prov-xml": {"format": "xml"},
        "turtle": {"format": "rdf", "rdf_format": "turtle"},
        "json-ld": {"format": "jsonld"},
    }
    again = ProvDocument.deserialize(str(path), **names[format_])
    assert again == document
    assert difference(document, again) is None


def graph_of(data: bytes) -> rdflib.Graph:
    return rdflib.Graph().parse(data=data, format="turtle")


def test_turtle_is_the_graph_that_prov_makes(lineage: dict[str, Any]):
    lineage["assessments"] = [
        {"id": STEP, "kind": "invalidation", "at": "2026-11-22T00:00:00Z", "reason": "x",
         "entities": [{"id": DL2}]},
        {"id": MERGE, "kind": "verification", "at": "2026-11-22T00:00:00Z", "reason": None,
         "entities": [{"id": DL1, "outcome": "differs"}]},
    ]  # fmt: skip
    document = lineage_to_prov(lineage)
    plain = plain_turtle(document)
    assert plain is not None
    stream = io.BytesIO()
    document.serialize(stream, format="rdf", rdf_format="turtle")
    assert isomorphic(graph_of(plain), graph_of(stream.getvalue()))


def test_what_plain_turtle_cannot_say_is_left_to_prov():
    document = ProvDocument()
    document.add_namespace("ex", "https://example.org/")
    document.entity("ex:a", {"ex:size": 1.5})
    assert plain_turtle(document) is None
    again = ProvDocument.deserialize(
        content=write(document, "turtle"), format="rdf", rdf_format="turtle"
    )
    assert difference(document, again) is None


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
def test_any_text_comes_back_from_turtle(text: str):
    document = lineage_to_prov({"entities": [entity(DL1, text, digest=DIGEST)]})
    plain = plain_turtle(document)
    assert plain is not None
    (label,) = graph_of(plain).objects(predicate=rdflib.RDFS.label)
    assert str(label) == text


def test_export_is_valid_prov_json(lineage: dict[str, Any]):
    validator = jsonschema.Draft4Validator(
        json.loads((SCHEMAS / "prov-json.schema.json").read_text())
    )
    exported = json.loads(write(lineage_to_prov(lineage), "prov-json"))
    assert not list(validator.iter_errors(exported))
    exported["datasetEntity"] = {}
    assert list(validator.iter_errors(exported))


def xml_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(SCHEMAS / "prov.xsd")))


def test_export_is_valid_prov_xml(lineage: dict[str, Any]):
    lineage["agents"][0]["id"] = "https://example.org/people/ann"
    for relation in (*lineage["associated"], *lineage["attributed"]):
        relation["agent"] = "https://example.org/people/ann"
    lineage["entities"].append(entity("12345678-9012-4345-8678-9012345678ab", "digits first"))
    written = etree.fromstring(write(lineage_to_prov(lineage), "prov-xml"))
    schema = xml_schema()
    assert schema.validate(written), schema.error_log
    written.find(f"{{{PROV.uri}}}entity").set(f"{{{PROV.uri}}}id", "uuid:42")
    assert not schema.validate(written)


def test_a_name_without_letters_is_the_one_thing_that_prov_xml_cannot_hold(
    lineage: dict[str, Any],
):
    schema = xml_schema()
    schema.validate(etree.fromstring(write(lineage_to_prov(lineage), "prov-xml")))
    assert {"0000-0001-9842-9718" in error.message for error in schema.error_log} == {True}


def test_export_is_valid_prov_jsonld_but_for_the_context_that_it_brings(lineage: dict[str, Any]):
    schema = json.loads((SCHEMAS / "prov-jsonld.schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    exported = json.loads(write(lineage_to_prov(lineage), "json-ld"))
    assert [list(error.absolute_path) for error in validator.iter_errors(exported)] == [
        ["@context", 1]
    ]
    exported["@context"][1] = "https://openprovenance.org/prov-jsonld/context.jsonld"
    assert not list(validator.iter_errors(exported))


@pytest.mark.parametrize("format_", ["turtle", "json-ld"])
def test_rdflib_answers_from_the_export_what_made_a_product(lineage: dict[str, Any], format_: str):
    graph = rdflib.Graph().parse(data=write(lineage_to_prov(lineage), format_), format=format_)
    rows = graph.query(
        """
        PREFIX prov: <http://www.w3.org/ns/prov#>
        SELECT ?run ?input ?role {
            ?product rdfs:label ?name ; prov:qualifiedGeneration/prov:activity ?run .
            ?run prov:qualifiedUsage ?use . ?use prov:entity/rdfs:label ?input .
            OPTIONAL { ?use prov:hadRole ?role }
        }""",
        initBindings={"name": rdflib.Literal("dl2 \"é\" 'x'.h5")},
    )
    assert {str(r.role) for r in rows if r.role} == {"a", "b"}
    assert {(str(r.run), str(r.input)) for r in rows} == {
        (f"urn:uuid:{STEP}", "dl1.h5"), (f"urn:uuid:{STEP}", "flag"),
    }  # fmt: skip
    assert not {str(x) for x in graph.objects(None, rdflib.RDF.type)} & {"Reconstruction"}


def test_export_marks_what_ivoa_calls_things(lineage: dict[str, Any]):
    exported = json.loads(write(lineage_to_prov(lineage), "prov-json"))
    assert exported["prefix"]["voprov"] == VOPROV
    types = {n: e["prov:type"]["$"] for n, e in exported["entity"].items()}
    assert types == {
        f"uuid:{DL1}": "voprov:DatasetEntity",
        f"uuid:{DL2}": "voprov:DatasetEntity",
        f"uuid:{FLAG}": "voprov:ValueEntity",
        f"uuid:{FOLDER}": "prov:Collection",
    }
    step = exported["activity"][f"uuid:{STEP}"]
    assert step["prov:startTime"] == "2026-11-21T02:17:52.452967+00:00"
    assert step["provmanager:status"] == "error"
    assert step["provmanager:exitCode"] == {"$": "1", "type": "xsd:int"}
    (focus,) = (e for e in exported["entity"].values() if "provmanager:isFocus" in e)
    assert focus["prov:label"] == "dl2 \"é\" 'x'.h5"
    assert focus["provmanager:isTruncated"] is True
    assert focus["prov:location"] == {"$": "lfn:/ctao/dl2.h5", "type": "xsd:anyURI"}
    assert len(exported["used"]) == 3
    assert len(exported["wasGeneratedBy"]) == 3


@pytest.mark.parametrize("format_", FORMATS)
def test_we_read_the_export_back_for_what_it_was(lineage: dict[str, Any], format_: str):
    found = read_prov(write(lineage_to_prov(lineage), format_))
    activities = {str(a.uuid): a for a in found.activities}
    step = activities[STEP]
    assert (step.name, step.version, step.type) == (
        "ctapipe-apply-models",
        "0.32.0",
        "Reconstruction",
    )
    assert (step.status, step.exit_code, step.host) == (Status.ERROR, 1, {"name": "cp01"})
    assert step.ended_at is not None
    assert step.ended_at.isoformat() == "2026-11-21T02:18:00+00:00"
    assert activities[MERGE].is_claim
    entities = {e.key.removeprefix("urn:uuid:"): e for e in found.entities}
    assert entities[DL1].digests == (DIGEST,)
    assert entities[DL1].size_bytes == 5_000_000_000
    assert entities[DL2].locations == ("lfn:/ctao/dl2.h5",)
    assert entities[DL2].product_ids[1:] == ("urn:uuid:8d83ad75-0000-4000-8000-000000000000",)
    assert entities[DL2].generated_at == step.ended_at
    assert entities[FOLDER].generated_at is not None
    assert (entities[FLAG].kind, entities[FLAG].value) == (EntityKind.VALUE, "true")
    assert entities[FOLDER].kind is EntityKind.COLLECTION
    (part,) = found.informed
    assert (part.informed, part.informant) == (f"urn:uuid:{STEP}", f"urn:uuid:{RUN}")
    assert part.kind is InformKind.PART_OF
    assert {u.role for u in found.used} == {"a", "b", None}
    assert [(g.entity, g.activity) for g in found.generated] == [
        (f"urn:uuid:{DL2}", f"urn:uuid:{STEP}"),
        (f"urn:uuid:{DL1}", f"urn:uuid:{MERGE}"),
    ]
    person, organisation = found.agents
    assert person.iri == "https://orcid.org/0000-0001-9842-9718"
    assert (person.kind, organisation.kind) == (AgentKind.PERSON, AgentKind.ORGANIZATION)
    assert [a.role for a in found.associated] == ["Operator"]
    assert [a.role for a in found.attributed] == ["Creator"]
    assert "not-stated" in {note.code for note in found.notes}


def test_lineage_of_nothing_but_its_focus_is_exported():
    document = lineage_to_prov({"entities": [entity(DL2, "dl2.h5")]})
    assert len(document.records) == 1


@pytest.mark.parametrize(
    "lineage",
    [
        {"activities": [activity("77e1c2", "x")]},
        {"entities": [{"name": "x"}]},
        {"used": [{"activity": STEP}]},
        {"activities": [activity(STEP, "x", started_at="yesterday")]},
        {"agents": [{"id": "nobody", "name": "x"}]},
    ],
)
def test_lineage_without_uuid_time_or_iri_is_refused(lineage: dict[str, Any]):
    with pytest.raises(DocumentError):
        lineage_to_prov(lineage)


def test_what_a_format_cannot_express_is_refused_not_altered():
    document = lineage_to_prov({"entities": [entity(DL2, "bell \x07")]})
    assert read_prov(write(document, "prov-json")).entities[0].name == "bell \x07"
    with pytest.raises(UsageError, match="cannot be written as prov-xml"):
        write(document, "prov-xml")
    spaced = ProvDocument(namespaces={"ex": "http://example.org/"})
    with pytest.warns(match="cannot write"):
        spaced.entity("ex:a b")
    with pytest.raises(UsageError, match="prov-n cannot express this document"):
        write(spaced, "prov-n")
    inner = ProvDocument(namespaces={"ex": "http://example.org/"})
    bundle = inner.bundle("ex:b")
    bundle.set_default_namespace("http://example.org/inner/")
    bundle.entity("e")
    with pytest.raises(UsageError, match="prov-xml"):
        write(inner, "prov-xml")
    assert (
        difference(inner, ProvDocument.deserialize(content=write(inner, "prov-n"), format="provn"))
        is None
    )


def test_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="'n3' is no format") as caught:
        write(ProvDocument(), "n3")
    assert "prov-json" in caught.value.details["expected"]


def test_membership_of_several_is_written_whole():
    xml = (
        '<prov:document xmlns:prov="http://www.w3.org/ns/prov#" xmlns:ex="http://example.org/">'
        '<prov:hadMember><prov:collection prov:ref="ex:c"/><prov:entity prov:ref="ex:a"/>'
        '<prov:entity prov:ref="ex:b"/></prov:hadMember></prov:document>'
    )
    document = ProvDocument.deserialize(content=xml, format="xml")
    for format_ in FORMATS:
        found = read_prov(write(document, format_))
        assert [m.member[-1] for m in found.members] == ["a", "b"]


_NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
_ROWS = st.builds(
    entity,
    st.uuids().map(str),
    _NAMES,
    kind=st.sampled_from(["dataset", "value", "collection"]),
    value=st.none() | _NAMES,
    location=st.none() | st.sampled_from(["file://cp01/a b", "s3://b/k", "lfn:/x"]),
    digest=st.none() | st.just(DIGEST),
    size_bytes=st.none() | st.integers(0, 2**62),
)


@settings(max_examples=50)
@given(st.lists(_ROWS, min_size=1, max_size=5))
def test_any_entities_come_back_from_any_format(rows: list[dict[str, Any]]):
    document = lineage_to_prov({"entities": rows})
    for format_ in FORMATS:
        found = {e.key: e for e in read_prov(write(document, format_)).entities}
        for row in rows:
            back = found["urn:uuid:" + row["id"]]
            assert back.name == row["name"]
            assert back.value == row["value"]
            assert back.size_bytes == row["size_bytes"]
