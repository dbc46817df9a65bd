"""OpenLineage events are read as what they state, and refused with the place that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentError
from provmanager.formats import read
from provmanager.formats.openlineage_names import location_of, name_of
from provmanager.model import Document, EntityKind, InformKind, Status

RUN = "0190c0d2-7a3e-7f66-8b3d-3f1c1a2b3c4d"
PARENT = "0190c0d2-0000-7000-8000-000000000001"
ROOT = "0190c0d2-0000-7000-8000-000000000002"
BASE = {"_producer": "https://example.org/etl/1.0", "_schemaURL": "https://example.org/f.json"}


def event(
    kind: str = "COMPLETE", time: str = "2026-11-21T10:00:00Z", **more: Any
) -> dict[str, Any]:
    facets = more.pop("run_facets", {})
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": "https://example.org/etl/1.0",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": RUN, "facets": facets},
        "job": {"namespace": "nightly", "name": "merge.dl2", "facets": more.pop("job_facets", {})},
        **more,
    }


def dataset(name: str, namespace: str = "s3://dl2", **facets: Any) -> dict[str, Any]:
    return {"namespace": namespace, "name": name,
            "facets": {k: v | BASE for k, v in facets.items()}}  # fmt: skip


def of(*events: dict[str, Any]) -> Document:
    return read(b"\n".join(json.dumps(e).encode() for e in events))


def test_events_of_a_run_are_one_activity_whatever_their_order():
    start = event("START", "2026-11-21T09:00:00Z", inputs=[dataset("a.h5")])
    end = event("COMPLETE", outputs=[dataset("b.h5")])
    for events in ((start, end), (end, start), (end, start, end)):
        (run,) = of(*events).activities
        assert (str(run.uuid), run.name, run.status) == (RUN, "merge.dl2", Status.COMPLETED)
        assert (run.started_at.hour, run.ended_at.hour) == (9, 10)
        assert run.status_raw == "COMPLETE"


@pytest.mark.parametrize(("kind", "status"), [
    ("START", Status.RUNNING), ("RUNNING", Status.RUNNING), ("OTHER", Status.UNKNOWN),
    ("COMPLETE", Status.COMPLETED), ("FAIL", Status.ERROR), ("ABORT", Status.INTERRUPTED),
])  # fmt: skip
def test_each_type_of_event_says_how_the_run_stands(kind, status):
    (run,) = of(event(kind)).activities
    assert run.status is status


def test_data_sets_are_locations():
    document = of(
        event(inputs=[dataset("a/x.h5")], outputs=[dataset("db.t", "postgres://PG:5432")])
    )
    read_, written = document.entities
    assert read_.locations == ("s3://dl2/a/x.h5",)
    assert written.locations == ("postgres://pg:5432/db.t",)
    assert [u.entity for u in document.used] == [read_.key]
    assert [g.entity for g in document.generated] == [written.key]
    assert read_.kind is EntityKind.DATASET


def test_symlinks_are_further_locations():
    link = {"identifiers": [{"namespace": "hive://meta", "name": "dl2.events", "type": "TABLE"}]}
    (entity,) = of(event(inputs=[dataset("a", symlinks=link)])).entities
    assert entity.locations == ("s3://dl2/a", "hive://meta/dl2.events")


def test_every_facet_is_kept():
    schema = {"fields": [{"name": "energy", "type": "float"}]}
    document = of(event(outputs=[dataset("a", schema=schema)],
                        run_facets={"nominalTime": {"nominalStartTime": "x"} | BASE}))  # fmt: skip
    assert document.entities[0].attributes["facets.schema"]["fields"] == schema["fields"]
    assert "facets.run.nominalTime" in document.activities[0].attributes


def version(word: str) -> dict[str, Any]:
    return {"version": {"datasetVersion": word} | BASE}


def test_the_version_of_an_input_is_its_product_id_and_of_an_output_only_when_the_run_ended():
    table = dataset("t", "iceberg://c")
    before = table | {"facets": version("1")}
    after = table | {"facets": version("2")}
    (at_start,) = of(event("START", outputs=[before])).entities
    assert at_start.product_ids == ()
    document = of(event(inputs=[before], outputs=[after]))
    assert [e.product_ids for e in document.entities] == [
        ("urn:openlineage:iceberg%3A%2F%2Fc:t:1",), ("urn:openlineage:iceberg%3A%2F%2Fc:t:2",)
    ]  # fmt: skip


def test_an_output_with_the_version_of_an_input_was_not_made_by_the_run():
    table = dataset("t", "iceberg://c") | {"facets": version("1")}
    document = of(event(inputs=[table], outputs=[table]))
    assert [bool(e.product_ids) for e in document.entities] == [True, False]
    assert [n.code for n in document.notes] == ["version-not-made"]


def test_parents_are_what_a_run_is_part_of():
    job = {"namespace": "airflow", "name": "dag"}
    facet = {"run": {"runId": PARENT}, "job": job,
             "root": {"run": {"runId": ROOT}, "job": job | {"name": "top"}}}  # fmt: skip
    document = of(event(run_facets={"parent": facet | BASE}))
    links = {(i.informed, i.informant, i.kind, i.rule) for i in document.informed}
    assert links == {
        (RUN, PARENT, InformKind.PART_OF, "stated"),
        (PARENT, ROOT, InformKind.PART_OF, "openlineage-root"),
    }
    assert {a.name for a in document.activities} == {"merge.dl2", "dag", "top"}


def test_what_is_dropped_or_renamed_was_used():
    def change(word: str, **more: Any) -> dict[str, Any]:
        return {"lifecycleStateChange": {"lifecycleStateChange": word, **more}}

    former = {"previousIdentifier": {"namespace": "s3://dl2", "name": "old"}}
    document = of(event(outputs=[dataset("gone", **change("DROP")),
                                 dataset("new", **change("RENAME", **former))]))  # fmt: skip
    names = {e.key: e.name for e in document.entities}
    assert {(names[u.entity], u.role) for u in document.used} == {
        ("gone", "DROP"),
        ("old", "RENAME"),
    }
    assert [names[g.entity] for g in document.generated] == ["new"]


def test_owners_are_agents():
    owned = {"ownership": {"owners": [{"name": "team:dl", "type": "MAINTAINER"}]} | BASE}
    document = of(event(job_facets=owned))
    assert [
        (a.name, x.role) for a, x in zip(document.agents, document.associated, strict=True)
    ] == [("team:dl", "MAINTAINER")]


def test_a_design_names_data_sets_and_no_run_and_no_place():
    static = {
        k: v for k, v in event(outputs=[dataset("a")]).items() if k not in ("run", "eventType")
    }
    document = of(static)
    assert not document.activities
    assert not document.generated
    assert [e.locations for e in document.entities] == [()]
    assert [n.code for n in document.notes] == ["design-only"]
    described = {k: static[k] for k in ("eventTime", "producer", "schemaURL")}
    (entity,) = of(described | {"dataset": dataset("a")}).entities
    assert entity.product_ids == ("urn:openlineage:s3%3A%2F%2Fdl2:a",)


def test_an_end_before_the_start_is_noted():
    document = of(event("START", "2026-11-21T11:00:00Z"), event("COMPLETE"))
    assert document.activities[0].started_at is None
    assert [n.code for n in document.notes] == ["ends-before-start"]


@pytest.mark.parametrize(("change", "pointer", "expected"), [
    ({"eventTime": None}, "/eventTime", "the time of the event"),
    ({"eventTime": "last night"}, "/eventTime", "a time such as"),
    ({"eventType": "DONE"}, "/eventType", "one of COMPLETE"),
    ({"producer": ""}, "/producer", "the URI of the event's producer"),
    ({"schemaURL": 3}, "/schemaURL", "the URL of the event's schema"),
    ({"run": {"runId": "42"}}, "/run/runId", "a UUID"),
    ({"run": {"runId": RUN, "facets": {"parent": {"run": {}, "job": {}}}}},
     "/run/facets/parent/run/runId", "the UUID of the run"),
    ({"job": {"name": "x"}}, "/job/namespace", "the namespace of the job"),
    ({"inputs": {}}, "/inputs", "an array"),
    ({"inputs": [{"namespace": "x"}]}, "/inputs/0/name", "the name of the data set"),
    ({"outputs": [dataset("a") | {"facets": {"schema": 1}}]}, "/outputs/0/facets/schema",
     "a facet"),
    ({"outputs": ["a"]}, "/outputs/0", "a data set"),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(change, pointer, expected):
    with pytest.raises(DocumentError) as caught:
        of(event() | change)
    assert caught.value.details["pointer"] == pointer
    assert expected in caught.value.message


def test_the_place_in_a_file_of_events_counts_them():
    with pytest.raises(DocumentError) as caught:
        of(event(), event("DONE"))
    assert caught.value.details["pointer"] == "/1/eventType"


@pytest.mark.parametrize(("namespace", "name", "location"), [
    ("file", "/data/x.fits", "file:///data/x.fits"),
    ("file://node1", "/data/x y.fits", "file://node1/data/x%20y.fits"),
    ("s3://bucket", "a/b.h5", "s3://bucket/a/b.h5"),
    ("postgres://db:5432", "obs.public.runs", "postgres://db:5432/obs.public.runs"),
    ("lfn", "/ctao/dl3/x.fits", "lfn:/ctao/dl3/x.fits"),
    ("bigquery", "p.d.t", "openlineage:bigquery/p.d.t"),
    ("my warehouse/eu", "t", "openlineage:my%20warehouse%2Feu/t"),
])  # fmt: skip
def test_names_are_locations_and_back(namespace, name, location):
    assert location_of(namespace, name) == location
    assert name_of(location) == (namespace, name)


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_that_is_given_back_is_the_same_place(namespace, name):
    location = location_of(namespace, name)
    found = name_of(location) if location else None
    assert found is None or location_of(*found) == location


def test_the_facets_of_the_specification_are_read(prov_data: Path):
    folder = prov_data / "openlineage" / "spec" / "tests"
    paths = sorted(folder.glob("*/*.json"))
    assert len(paths) > 30
    for path in paths:
        facets = json.loads(path.read_bytes())
        whole = event(inputs=[dataset("a") | {"facets": facets}], job_facets=facets)
        if "Run" in path.parent.name:
            whole = event(run_facets=facets)
        document = of(whole)
        assert len(document.activities) >= 1
    full = read((folder / "example_full_event.json").read_bytes())
    assert [a.name for a in full.activities] == ["dbt"]
