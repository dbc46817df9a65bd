"""RO-Crates of runs are read as what they state, and refused with the place that is wrong."""

import json
from typing import Any

import pytest

from provmanager.errors import DocumentError
from provmanager.formats import read
from provmanager.model import Document, EntityKind, Status

RUN = "#8d4a2c4e-6f5b-4c1e-9a56-0a7a1d2b3c4d"
STEP = "#8d4a2c4e-6f5b-4c1e-9a56-0a7a1d2b3c4e"


def crate(*things: dict[str, Any]) -> Document:
    descriptor = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}}
    whole = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [descriptor, *things]}
    return read(json.dumps(whole).encode())


def action(name: str = RUN, **fields: Any) -> dict[str, Any]:
    return {"@id": name, "@type": "CreateAction", "name": "merge"} | fields


def ref(*names: str) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


FILE = {"@id": "in/a.h5", "@type": "File", "sha256": "ab" * 32, "contentSize": "12"}
RESULT = {"@id": "out/b.h5", "@type": "File", "sha256": "cd" * 32}


def test_an_action_is_an_activity_with_its_objects_and_results():
    document = crate(
        action(object=ref("in/a.h5"), result=ref("out/b.h5"), startTime="2026-11-21T10:00:00Z",
               endTime="2026-11-21T10:01:00Z",
               actionStatus={"@id": "http://schema.org/FailedActionStatus"}, error="disk full"),
        FILE, RESULT,
    )  # fmt: skip
    (run,) = document.activities
    assert (str(run.uuid), run.status, run.started_at.minute) == (RUN[1:], Status.ERROR, 0)
    read_, made = document.entities
    assert (read_.digests, read_.product_ids, read_.size_bytes) == (
        ("sha256:" + "ab" * 32,),
        (),
        12,
    )
    assert made.digests == ("sha256:" + "cd" * 32,)
    assert len(made.product_ids) == 1  # two equal results of a run are two
    assert [u.entity for u in document.used] == ["in/a.h5"]
    assert [g.entity for g in document.generated] == ["out/b.h5"]


def test_names_that_are_the_crates_own_differ_from_crate_to_crate():
    first = crate(action("#run"), {"@id": "#a", "@type": "File"}).activities[0]
    second = crate(action("#run"), {"@id": "#b", "@type": "File"}).activities[0]
    assert first.uuid != second.uuid
    assert first.iri.endswith("#%23run")


def test_a_uuid_that_is_made_of_a_name_is_the_crates_own():
    name = "#6fa459ea-ee8a-3ca4-894e-db77e160355e"  # version 3
    assert str(crate(action(name)).activities[0].uuid) != name[1:]


def test_a_file_without_digest_or_url_is_the_crates_own():
    document = crate(action(object=ref("a", "https://example.org/x.fits", "file:///tmp/y")),
                     {"@id": "a", "@type": "File"})  # fmt: skip
    own, remote, local = document.entities
    assert own.product_ids[0].startswith("urn:sha256:")
    assert (remote.locations, remote.product_ids) == (("https://example.org/x.fits",), ())
    assert local.locations == ()  # of some host
    assert [n.code for n in document.notes] == ["dangling-reference", "dangling-reference"]


def test_steps_are_part_of_their_workflow_and_that_of_its_engines_run():
    document = crate(
        action(), action(STEP),
        {"@id": "#control", "@type": "ControlAction", "instrument": ref("wf#s1"),
         "object": ref(STEP)},
        {"@id": "#engine", "@type": "OrganizeAction", "object": ref("#control"),
         "result": ref(RUN), "instrument": ref("#cwltool")},
        {"@id": "#cwltool", "@type": "SoftwareApplication", "name": "cwltool 3.1"},
    )  # fmt: skip
    links = {(i.informed, i.informant, i.rule) for i in document.informed}
    assert links == {(RUN, "#engine", "ro-crate-step"), (STEP, RUN, "ro-crate-step")}
    assert [a.name for a in document.agents] == ["cwltool 3.1"]
    assert next(a for a in document.activities if a.key == STEP).attributes["step"] == "wf#s1"


def test_without_an_engine_the_one_run_of_the_workflow_has_the_steps():
    workflow = {"@id": "wf", "@type": ["File", "ComputationalWorkflow"], "step": ref("wf#s1")}
    control = {"@id": "#c", "@type": "ControlAction", "instrument": ref("wf#s1"),
               "object": ref(STEP)}  # fmt: skip
    document = crate(action(instrument=ref("wf")), action(STEP), control, workflow)
    assert [(i.informed, i.informant) for i in document.informed] == [(STEP, RUN)]
    two = crate(action(instrument=ref("wf")), action("#other", instrument=ref("wf")), action(STEP),
                control, workflow)  # fmt: skip
    assert two.informed == ()


def test_roles_are_the_instruments_own_parameters():
    document = crate(
        action(instrument=ref("tool"), object=ref("in/a.h5", "#pv")),
        {"@id": "tool", "@type": "SoftwareApplication", "input": ref("tool#data", "tool#sort"),
         "name": "merge", "softwareVersion": "1.2"},
        FILE | {"exampleOfWork": ref("wf#input", "tool#data")},
        {"@id": "#pv", "@type": "PropertyValue", "name": "sort", "value": True,
         "exampleOfWork": ref("tool#sort")},
    )  # fmt: skip
    assert [u.role for u in document.used] == ["data", "sort"]
    (run,) = document.activities
    assert run.configuration == {"sort": "true"}
    assert run.environment == {"packages": [{"name": "merge", "version": "1.2"}]}
    assert [e.kind for e in document.entities] == [EntityKind.DATASET, EntityKind.VALUE]


def test_collections_have_their_parts_but_the_crate_itself_is_one_thing():
    document = crate(
        action(object=ref("dir/", "./")),
        {"@id": "./", "@type": "Dataset", "hasPart": ref("dir/", "in/a.h5")},
        {"@id": "dir/", "@type": "Dataset", "hasPart": ref("in/a.h5")}, FILE,
    )  # fmt: skip
    assert [(m.collection, m.member) for m in document.members] == [("dir/", "in/a.h5")]


def test_a_crate_without_a_run_says_so():
    document = crate(FILE)
    assert [n.code for n in document.notes] == ["no-run"]
    assert len(document.entities) == 1


@pytest.mark.parametrize(("things", "pointer", "expected"), [
    ([action(startTime="noon")], "/@graph/1/startTime", "a time such as"),
    ([{"@type": "File"}], "/@graph/1/@id", "the identifier of the entity"),
    (["text"], "/@graph/1", "an entity"),
    ([FILE, FILE], "/@graph/2/@id", "stands at /@graph/1 already"),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(things, pointer, expected):
    with pytest.raises(DocumentError) as caught:
        crate(*things)
    assert caught.value.details["pointer"] == pointer
    assert expected in caught.value.message
