"""What a W3C PROV document becomes in the model; expectations come from the raw JSON."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from provmanager.formats.prov_document import matches, read_prov
from provmanager.ids import parse_uuid
from provmanager.model import Document, EntityKind, InformKind, Status

EX = "http://example.org/"
PREFIX = {"ex": EX, "voprov": "http://www.ivoa.net/documents/ProvenanceDM/index.html#"}


def read(**sections: Any) -> Document:
    return read_prov(json.dumps({"prefix": PREFIX, **sections}).encode())


def codes(document: Document) -> set[str]:
    return {note.code for note in document.notes}


def typed(name: str) -> dict[str, str]:
    return {"$": name, "type": "xsd:QName"}


def test_activity_has_its_times_label_type_and_the_rest():
    document = read(
        activity={
            "ex:run": {
                "prov:startTime": "2026-11-21T03:00:00+01:00",
                "prov:endTime": "2026-11-21T02:30:00Z",
                "prov:label": "ctapipe-merge",
                "prov:type": typed("ex:Merge"),
                "ex:n_files": 3,
                "voprov:comment": "second try",
            }
        }
    )
    (activity,) = document.activities
    assert activity.name == "ctapipe-merge"
    assert activity.iri == EX + "run"
    assert activity.started_at == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    assert activity.ended_at == datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
    assert activity.started_raw == "2026-11-21T03:00:00+01:00"
    assert activity.type == "ex:Merge"
    assert activity.comment == "second try"
    assert activity.status is Status.UNKNOWN
    assert activity.status_raw is None
    assert activity.attributes == {
        "prov:type": "ex:Merge",
        "ex:n_files": 3,
        "voprov:comment": "second try",
    }
    assert not document.notes


def test_activity_named_by_a_uuid_is_that_uuid():
    uuid = "39408a40-c1c8-4852-9747-87249425be1e"
    document = read_prov(
        json.dumps({"prefix": {"id": "urn:uuid:"}, "activity": {f"id:{uuid}": {}}}).encode()
    )
    (activity,) = document.activities
    assert activity.uuid == UUID(uuid)
    assert activity.iri is None
    assert activity.name == uuid


def test_same_iri_is_the_same_activity_in_any_document_and_format():
    one = read(activity={"ex:run": {}})
    other = read_prov(b"document prefix e <http://example.org/> activity(e:run) endDocument")
    assert one.activities[0].uuid == other.activities[0].uuid
    assert other.format == "prov-n"


def test_name_of_a_prefix_without_uri_is_the_documents_own():
    sections = {
        "prefix": {"id": "id:", "default": "param:"},
        "activity": {"id:77e1c2": {}},
        "entity": {"id:a": {}, "id:b": {"filepath": "/fefs/b.h5"}},
        "agent": {"id:Anonymous": {}},
        "used": {"_:u": {"prov:activity": "id:77e1c2", "prov:entity": "id:a"}},
    }
    data = json.dumps(sections).encode()
    document = read_prov(data)
    again = read_prov(data)
    elsewhere = read_prov(data + b"\n")
    assert document.activities[0].uuid == again.activities[0].uuid
    assert document.activities[0].uuid != elsewhere.activities[0].uuid
    digest = hashlib.sha256(data).hexdigest()
    assert document.activities[0].iri == f"urn:sha256:{digest}#id:77e1c2"
    unnamed, located = document.entities
    assert unnamed.is_unnamed
    assert not unnamed.product_ids + unnamed.digests + unnamed.locations
    assert not located.is_unnamed
    assert located.locations == ("file:///fefs/b.h5",)
    assert document.agents[0].iri != elsewhere.agents[0].iri


def test_identifier_of_an_entity_is_its_product_id_digest_or_location():
    sha1 = hashlib.sha1(b"x").hexdigest()
    prefix = {"ex": EX, "data": "urn:hash::sha1:", "lfn": "lfn:/ctao/"}
    entities = {"ex:e": {}, f"data:{sha1}": {}, "lfn:x.h5": {}}
    document = read_prov(json.dumps({"prefix": prefix, "entity": entities}).encode())
    product, digest, location = document.entities
    assert product.product_ids == (EX + "e",)
    assert (digest.product_ids, digest.digests) == ((), (f"sha1:{sha1}",))
    assert (location.product_ids, location.locations) == ((), ("lfn:/ctao/x.h5",))


def test_kind_and_value_come_from_voprov_markers_and_prov():
    document = read(
        entity={
            "ex:plain": {},
            "ex:dataset": {"prov:type": typed("voprov:DatasetEntity")},
            "ex:threshold": {"prov:type": typed("voprov:ValueEntity"), "voprov:value": 3.5},
            "ex:parameter": {"prov:type": typed("voprov:Parameter"), "prov:name": "sigma"},
            "ex:config": {"prov:type": typed("voprov:ConfigFile"), "prov:location": "/etc/c.yaml"},
            "ex:flag": {"prov:value": {"$": "1", "type": "xsd:boolean"}},
            "ex:list": {"prov:type": typed("prov:Collection")},
            "ex:folder": {},
        },
        hadMember={"_:m": {"prov:collection": "ex:folder", "prov:entity": "ex:plain"}},
    )
    found = {e.key.removeprefix(EX): e for e in document.entities}
    assert {name: e.kind for name, e in found.items()} == {
        "plain": EntityKind.DATASET,
        "dataset": EntityKind.DATASET,
        "threshold": EntityKind.VALUE,
        "parameter": EntityKind.VALUE,
        "config": EntityKind.DATASET,
        "flag": EntityKind.VALUE,
        "list": EntityKind.COLLECTION,
        "folder": EntityKind.COLLECTION,
    }
    assert found["threshold"].value == "3.5"
    assert found["flag"].value == "true"
    assert found["parameter"].name == "sigma"
    assert found["config"].locations == ("file:///etc/c.yaml",)


def test_element_declared_again_also_in_a_bundle_gains_attributes():
    document = read(
        entity={"ex:e": [{"prov:label": "dl2"}, {"ex:a": [1, 2], "prov:label": "dl2"}]},
        bundle={"ex:b": {"entity": {"ex:e": {"ex:a": 2, "ex:b": "x"}}}},
    )
    (entity,) = document.entities
    assert entity.name == "dl2"
    assert entity.attributes == {"ex:a": [1, 2], "ex:b": "x"}
    assert [(s.bundle, s.type) for s in document.statements] == [
        (None, "Entity"),
        (None, "Entity"),
        (None, "Bundle"),
        ("ex:b", "Entity"),
    ]


def test_relation_to_what_nothing_declares_makes_bare_elements():
    document = read(
        used={"_:u": {"prov:activity": "ex:a", "prov:entity": "ex:e", "prov:role": "dl1"}},
        wasAssociatedWith={"_:w": {"prov:activity": "ex:a", "prov:agent": "ex:me"}},
    )
    assert [a.name for a in document.activities] == ["a"]
    assert [e.name for e in document.entities] == ["e"]
    assert [a.name for a in document.agents] == ["me"]
    (used,) = document.used
    assert (used.activity, used.entity, used.role) == (EX + "a", EX + "e", "dl1")


def test_relation_that_lacks_an_argument_stays_a_statement():
    document = read(
        activity={"ex:a": {}},
        entity={"ex:e": {}},
        used={"_:u": {"prov:activity": "ex:a"}},
        wasGeneratedBy={"_:g": {"prov:entity": "ex:e", "prov:time": "2026-11-21T00:00:00Z"}},
    )
    assert document.used == document.generated == ()
    assert [s.type for s in document.statements] == ["Activity", "Entity", "Usage", "Generation"]
    assert document.entities[0].generated_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert codes(document) == {"incomplete-relations"}


def test_usage_in_two_roles_is_two_rows_and_the_same_usage_is_one():
    usage = {"prov:activity": "ex:a", "prov:entity": "ex:e"}
    document = read(
        used={
            "_:1": {**usage, "prov:role": ["dl1", "data to merge"]},
            "_:2": {**usage, "prov:role": "dl1", "prov:time": "2026-11-21T00:00:00Z"},
        }
    )
    assert {(u.role, u.at) for u in document.used} == {
        ("dl1", datetime(2026, 11, 21, tzinfo=UTC)),
        ("data to merge", None),
    }


def test_times_of_start_end_and_invalidation_are_taken():
    document = read(
        activity={"ex:a": {}, "ex:b": {"prov:startTime": "2026-11-21T00:00:00Z"}},
        entity={"ex:e": {}},
        wasStartedBy={
            "_:1": {"prov:activity": "ex:a", "prov:time": "2026-11-21T01:00:00Z"},
            "_:2": {"prov:activity": "ex:b", "prov:time": "2026-11-21T01:00:00Z"},
        },
        wasEndedBy={"_:3": {"prov:activity": "ex:a", "prov:time": "2026-11-21T02:00:00Z"}},
        wasInvalidatedBy={"_:4": {"prov:entity": "ex:e", "prov:time": "2026-11-21T03:00:00Z"}},
    )
    a, b = document.activities
    assert (a.started_at, a.ended_at) == (
        datetime(2026, 11, 21, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 2, tzinfo=UTC),
    )
    assert b.started_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert document.entities[0].invalidated_at == datetime(2026, 11, 21, 3, tzinfo=UTC)
    assert document.informed == ()


def test_time_without_zone_is_utc_and_noted_once():
    document = read(
        activity={f"ex:{n}": {"prov:startTime": f"2026-11-21T00:00:0{n}.5"} for n in range(3)}
    )
    assert document.activities[1].started_at == datetime(2026, 11, 21, 0, 0, 1, 500000, tzinfo=UTC)
    assert [note.code for note in document.notes] == ["no-time-zone"]


def test_information_is_data_flow_unless_our_marker_says_part():
    document = read_prov(
        b"""document
        prefix ex <http://example.org/>
        prefix pm <urn:provmanager:terms#>
        wasInformedBy(ex:a, ex:b)
        wasInformedBy(ex:step, ex:workflow, [prov:type='pm:PartOf'])
        endDocument"""
    )
    assert [(i.informed, i.informant, i.kind) for i in document.informed] == [
        (EX + "a", EX + "b", InformKind.DATA_FLOW),
        (EX + "step", EX + "workflow", InformKind.PART_OF),
    ]


def test_start_by_an_activity_is_a_level_only_in_workflow_runs():
    wfprov = {"wfprov": "http://purl.org/wf4ever/wfprov#"}
    sections = {
        "activity": {
            "ex:run": {"prov:type": typed("wfprov:WorkflowRun")},
            "ex:step": {},
            "ex:plain": {},
        },
        "agent": {"ex:engine": {}},
        "wasStartedBy": {
            "_:1": {"prov:activity": "ex:step", "prov:starter": "ex:run"},
            "_:2": {"prov:activity": "ex:run", "prov:starter": "ex:engine"},
            "_:3": {"prov:activity": "ex:step", "prov:starter": "ex:plain"},
            "_:4": {"prov:activity": "ex:engine", "prov:starter": "ex:run"},
        },
    }
    document = read_prov(json.dumps({"prefix": {**PREFIX, **wfprov}, **sections}).encode())
    (part,) = document.informed
    assert (part.informed, part.informant) == (EX + "step", EX + "run")
    assert (part.kind, part.rule) == (InformKind.PART_OF, "cwlprov-started-by")
    assert {a.name for a in document.activities} == {"run", "step", "plain"}


def test_no_field_holds_what_a_database_text_cannot():
    terms = {"pm": "urn:provmanager:terms#", **PREFIX}
    entity = {
        "prov:label": "a\x00b",
        "prov:value": "\ud800",
        "ex:a": "\x00",
        "prov:location": "file://[x/y",
        "pm:sizeBytes": str(2**63),
    }
    usage = {"prov:activity": "ex:a", "prov:entity": "ex:e", "prov:role": "\x00"}
    document = read_prov(
        json.dumps(
            {
                "prefix": terms,
                "entity": {"ex:e": entity},
                "activity": {"ex:a": {"pm:exitCode": str(2**31)}},
                "used": {"_:u": usage},
            }
        ).encode()
    )
    (found,) = document.entities
    assert (found.name, found.value, found.attributes["ex:a"]) == ("a\ufffdb", "\ufffd", "\ufffd")
    assert (found.size_bytes, found.locations) == (None, ())
    assert document.used[0].role == "\ufffd"
    assert document.activities[0].exit_code is None


def test_agents_have_kind_name_and_contact():
    document = read_prov(
        b"""document
        prefix ex <http://example.org/>
        prefix foaf <http://xmlns.com/foaf/0.1/>
        prefix schema <http://schema.org/>
        agent(ex:ops, [prov:type='prov:Organization', prov:label="Operations"])
        agent(ex:p, [prov:type='schema:Person', foaf:name="A. Person", schema:email="a@b.org"])
        agent(ex:tool, [prov:type='prov:SoftwareAgent'])
        agent(ex:bare)
        wasAttributedTo(ex:e, ex:p)
        endDocument"""
    )
    assert [(a.name, a.kind and a.kind.value, a.email) for a in document.agents] == [
        ("Operations", "Organization", None),
        ("A. Person", "Person", "a@b.org"),
        ("tool", "SoftwareAgent", None),
        ("bare", None, None),
    ]
    assert [(a.entity, a.agent) for a in document.attributed] == [(EX + "e", EX + "p")]


def test_derivation_and_members_are_links_of_entities():
    document = read(
        wasDerivedFrom={"_:d": {"prov:generatedEntity": "ex:dl2", "prov:usedEntity": "ex:dl1"}},
        hadMember={"_:m": {"prov:collection": "ex:c", "prov:entity": ["ex:dl1", "ex:dl2"]}},
    )
    assert [(d.derived, d.source, d.rule) for d in document.derived] == [
        (EX + "dl2", EX + "dl1", "stated")
    ]
    assert [(m.collection, m.member) for m in document.members] == [
        (EX + "c", EX + "dl1"),
        (EX + "c", EX + "dl2"),
    ]


def test_specialization_of_content_named_by_its_digest_gives_the_digest():
    sha1 = hashlib.sha1(b"whale").hexdigest()
    document = read_prov(
        json.dumps(
            {
                "prefix": {"ex": EX, "data": "urn:hash::sha1:"},
                "entity": {"ex:whale.txt": {}, f"data:{sha1}": {}},
                "specializationOf": {
                    "_:s": {
                        "prov:specificEntity": "ex:whale.txt",
                        "prov:generalEntity": f"data:{sha1}",
                    },
                    "_:t": {"prov:specificEntity": "ex:x", "prov:generalEntity": "ex:whale.txt"},
                },
            }
        ).encode()
    )
    assert [(e.name, e.digests) for e in document.entities] == [
        ("whale.txt", (f"sha1:{sha1}",)),
        (sha1, (f"sha1:{sha1}",)),
    ]


def test_entity_with_two_makers_keeps_both_and_says_so():
    document = read(
        wasGeneratedBy={
            "_:1": {"prov:entity": "ex:e", "prov:activity": "ex:step"},
            "_:2": {"prov:entity": "ex:e", "prov:activity": "ex:workflow"},
        }
    )
    assert [g.activity for g in document.generated] == [EX + "step", EX + "workflow"]
    assert codes(document) == {"several-generators"}


def test_formats_are_told_by_content_with_a_reason():
    provn = matches(b"// a comment\n/* and\n another */ document endDocument")
    xml = matches(b'<?xml version="1.0"?><p:document xmlns:p="http://www.w3.org/ns/prov#"/>')
    found = matches(b'{"prefix": {}, "entity": {"ex:e": {}}}')
    assert provn is not None
    assert xml is not None
    assert found is not None
    assert (provn.format, xml.format, found.format) == ("prov-n", "prov-xml", "prov-json")
    assert "entity, prefix" in found.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"5",
        b'{"entity": {}, "run": 1}',
        b'{"activity": {"name": "x"}, "data": {}, "contact": {}}',
        b"<html/>",
        b"documentation",
        b"document(x)",
        b"SIMPLE  =                    T",
        b"\x89HDF\r\n",
        b" " * 100_000,
        b"/*" * 50_000,
    ],
)
def test_what_is_no_prov_document_matches_nothing(data: bytes):
    assert matches(data) is None


# --- real runs ----------------------------------------------------------------------------------


class Raw:
    """A PROV-JSON document as plain JSON, read without any of our code or `prov`."""

    def __init__(self, path: Path) -> None:
        self.data = json.loads(path.read_bytes())

    def iri(self, name: str) -> str:
        prefix, _, local = name.partition(":")
        return self.data["prefix"][prefix] + local

    def containers(self) -> Iterator[dict[str, Any]]:
        yield self.data
        yield from self.data.get("bundle", {}).values()

    def records(self, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for container in self.containers():
            for name, content in container.get(section, {}).items():
                for instance in content if isinstance(content, list) else [content]:
                    yield name, instance

    def links(self, section: str, *names: str) -> set[tuple[str, ...]]:
        found = set()
        for _, record in self.records(section):
            values = [record.get(f"prov:{name}") for name in names]
            if all(values):
                found.add(tuple(self.iri(value) for value in values))
        return found

    def types(self, name: str) -> set[str]:
        found = set()
        for other, record in self.records("activity"):
            types = record.get("prov:type", [])
            if other == name:
                found |= {t["$"] for t in (types if isinstance(types, list) else [types])}
        return found


def cwlprov_documents(prov_data: Path) -> list[Path]:
    return sorted((prov_data / "cwlprov").rglob("*.cwlprov.json"))


def test_relations_of_real_cwl_runs_are_those_of_the_raw_documents(prov_data: Path):
    paths = cwlprov_documents(prov_data)
    assert len(paths) == 45
    for path in paths:
        raw, document = Raw(path), read_prov(path.read_bytes(), name=path.name)
        used = raw.links("used", "activity", "entity")
        generated = raw.links("wasGeneratedBy", "entity", "activity")
        members = raw.links("hadMember", "collection", "entity")
        assert {(u.activity, u.entity) for u in document.used} == used
        assert {(g.entity, g.activity) for g in document.generated} == generated
        assert {(m.collection, m.member) for m in document.members} == members
        activities = {raw.iri(name) for name, _ in raw.records("activity")}
        assert {a.key for a in document.activities} == activities
        entities = {raw.iri(name) for name, _ in raw.records("entity")}
        mentioned = (
            {e for _, e in used} | {e for e, _ in generated} | {e for m in members for e in m}
        )
        specific = {s for s, g in raw.links("specializationOf", "specificEntity", "generalEntity")}
        assert {e.key for e in document.entities} == entities | mentioned | specific
        assert all(parse_uuid(a.key) == a.uuid for a in document.activities)


def test_levels_of_real_cwl_runs_are_steps_inside_their_workflow(prov_data: Path):
    n_levels = 0
    for path in cwlprov_documents(prov_data):
        raw, document = Raw(path), read_prov(path.read_bytes())
        expected = {
            (raw.iri(r["prov:activity"]), raw.iri(r["prov:starter"]))
            for _, r in raw.records("wasStartedBy")
            if raw.types(r["prov:starter"]) & {"wfprov:WorkflowRun", "wfprov:ProcessRun"}
        }
        assert {(i.informed, i.informant) for i in document.informed} == expected
        assert {i.kind for i in document.informed} <= {InformKind.PART_OF}
        n_levels += len(expected)
    assert n_levels == 68


def test_content_links_the_files_of_real_cwl_runs(prov_data: Path):
    """Every file of CWLProv that specializes a content has its SHA-1."""
    n_files = 0
    for path in cwlprov_documents(prov_data):
        raw, document = Raw(path), read_prov(path.read_bytes())
        entities = {e.key: e for e in document.entities}
        for specific, general in raw.links("specializationOf", "specificEntity", "generalEntity"):
            scheme, _, digest = general.rpartition(":")
            assert scheme == "urn:hash::sha1"
            assert f"sha1:{digest}" in entities[specific].digests
            n_files += 1
    assert n_files == 256


def test_lstosa_documents_name_things_of_their_own_and_files_by_path(prov_data: Path):
    for path in sorted((prov_data / "lstosa").glob("*_prov.json")):
        raw = json.loads(path.read_bytes())
        document = read_prov(path.read_bytes())
        assert len(document.activities) == len(raw["activity"])
        assert len(document.entities) == len(raw["entity"])
        assert len(document.used) == len(raw["used"])
        assert len(document.generated) == len(raw["wasGeneratedBy"])
        paths = {e.get("filepath", "") for e in raw["entity"].values()}
        # neither relative paths nor the folders of collections
        paths = {p for p in paths if p.startswith("/") and not p.endswith("/")}
        located = {p for e in document.entities for p in e.locations}
        assert located == {f"file://{p}" for p in paths}
        assert all(e.is_unnamed != bool(e.locations) for e in document.entities)
        assert not any(e.product_ids for e in document.entities)
