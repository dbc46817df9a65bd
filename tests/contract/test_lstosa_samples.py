"""The real logs of lstosa: counts against counts made from the raw files alone."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from provmanager.errors import UnrecognisedFormatError
from provmanager.formats import read
from provmanager.model import Document, EntityKind, Status

RUN_LOGS = [f"calibration_to_dl{level}_0180{run}_prov.log" for level in (1, 2) for run in (7, 8)]
LOGS = ["prov.log", *RUN_LOGS]


@pytest.fixture(scope="module")
def folder(prov_data: Path) -> Path:
    return prov_data / "lstosa"


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name in LOGS:
        lines = (folder / name).read_text().splitlines()
        literals = [line.split("__PROV__")[-1] for line in lines]
        found[name] = [ast.literal_eval(text) for text in literals if text.startswith("{")]
    return found


@pytest.fixture(scope="module")
def documents(folder: Path) -> dict[str, Document]:
    return {name: read((folder / name).read_bytes(), name=name) for name in LOGS}


def starts(raw: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {r["activity_id"]: r for r in raw if "activity_id" in r and "name" in r}


def test_every_file_is_read_or_refused(folder):
    outcome = {}
    for path in sorted(folder.iterdir()):
        try:
            outcome[path.name] = read(path.read_bytes(), name=path.name).format
        except UnrecognisedFormatError as error:
            outcome[path.name] = error.details["found"]
    assert outcome == {
        "LICENSE": "plain text, beginning 'BSD 3-Clause License'",
        "definition.yaml": "plain text (YAML?), beginning '---'",
        **dict.fromkeys(LOGS, "lstosa"),
        **{name.replace(".log", ".json"): "prov-json" for name in RUN_LOGS},
    }


def test_reasons_say_what_was_seen(documents):
    assert documents["prov.log"].reason == "log lines with __PROV__ and a Python dict"
    assert {documents[name].reason for name in RUN_LOGS} == {
        "lines that are Python dicts with session_id, activity_id or entity_id"
    }


@pytest.mark.parametrize(("name", "n_activities"), list(zip(LOGS, (34, 5, 5, 6, 6), strict=True)))
def test_activities_are_those_of_the_log(documents, records, name, n_activities):
    raw = starts(records[name])
    activities = documents[name].activities
    assert len(activities) == len(raw) == n_activities
    assert [a.name for a in activities] == [r["name"] for r in raw.values()]
    assert [a.started_raw for a in activities] == [r["startTime"] for r in raw.values()]
    assert {a.status for a in activities} == {Status.COMPLETED}


@pytest.mark.parametrize("name", LOGS)
def test_links_are_those_of_the_log_and_the_configuration_file(documents, records, name):
    raw = records[name]
    used = {(r["activity_id"], r["used_id"], r["used_role"]) for r in raw if "used_id" in r}
    made = {
        (r["activity_id"], r["generated_id"], r["generated_role"])
        for r in raw if "generated_id" in r
    }  # fmt: skip
    document = documents[name]
    settings = [link for link in document.used if link.role == "Session configuration"]
    with_session = [a for a in document.activities if a.environment]
    assert len(settings) == len(with_session)
    assert len(document.used) == len(used) + len(settings)
    assert len(document.generated) == len(made)
    assert Counter(link.role for link in document.generated) == Counter(m[2] for m in made)
    assert not document.members


def test_paths_are_those_of_the_log(documents, records):
    raw = {r["filepath"] for r in records["prov.log"] if "filepath" in r}
    absolute = {path for path in raw if path.startswith("/")}
    config = {r["config_file"] for r in records["prov.log"] if "config_file" in r}
    found = {uri for entity in documents["prov.log"].entities for uri in entity.locations}
    assert found == {f"file://vm{path}" for path in absolute | config}
    unnamed = {e.attributes["filepath"] for e in documents["prov.log"].entities if e.is_unnamed}
    assert unnamed == raw - absolute


def test_hashes_are_the_ids_made_of_paths_and_no_digest_is_made_of_them(documents, records):
    for name in LOGS:
        hashed = [r for r in records[name] if r.get("hash")]
        assert hashed
        assert all((r["hash"], r["hash_type"]) == (r["entity_id"], "md5") for r in hashed)
        assert not any(entity.digests for entity in documents[name].entities)


def test_calibration_steps_are_the_same_in_all_logs(documents, records):
    """Their ids differ from log to log; what is told of them does not."""
    for step in ("drs4_pedestal", "calibrate_charge"):
        ids = {
            i for name in LOGS for i, r in starts(records[name]).items() if r["name"] == step
        }  # fmt: skip
        found = [a for name in LOGS for a in documents[name].activities if a.name == step]
        assert len(ids) == 3
        assert len(found) == 5
        assert len({(a.uuid, a.started_at, a.ended_at) for a in found}) == 1


def test_files_of_the_calibration_steps_are_the_same_in_all_logs(documents):
    for step in ("drs4_pedestal", "calibrate_charge"):
        files = set()
        for document in documents.values():
            [key] = [a.key for a in document.activities if a.name == step]
            by_key = {entity.key: entity for entity in document.entities}
            made = [g.entity for g in document.generated if g.activity == key]
            files.add(tuple(sorted(by_key[k].locations[0] for k in made)))
        assert len(files) == 1


def test_merged_steps_are_not_their_first_sub_run(documents):
    night = {a.uuid for a in documents["prov.log"].activities}
    for name in RUN_LOGS:
        merged = {a.name for a in documents[name].activities if a.uuid not in night}
        assert merged == {a.name for a in documents[name].activities} - {
            "drs4_pedestal", "calibrate_charge",
        }  # fmt: skip


def test_merged_steps_are_the_same_in_both_logs_of_a_run(documents):
    for run in (7, 8):
        to_dl1, to_dl2 = (
            {a.uuid for a in documents[f"calibration_to_dl{n}_0180{run}_prov.log"].activities}
            for n in (1, 2)
        )
        assert to_dl1 < to_dl2
        assert len(to_dl2) == len(to_dl1) + 1


def test_collections_of_two_runs_in_one_folder_are_two(documents, records):
    places = [
        {
            uri
            for entity in documents[f"calibration_to_dl2_0180{run}_prov.log"].entities
            if entity.kind is EntityKind.COLLECTION
            for uri in entity.locations
        }
        for run in (7, 8)
    ]
    raw = {
        (r["name"], r["filepath"])
        for r in records["calibration_to_dl2_01807_prov.log"]
        if r.get("type") == "SetCollection"
    }
    assert len(places[0]) == len(places[1]) == len(raw) == 6
    assert not places[0] & places[1]
    assert all(uri.endswith(".Run01807") for uri in places[0])


def test_derivations_are_of_one_sub_run_and_the_traced_ones_are_left_out(documents, records):
    document = documents["prov.log"]
    names = {entity.key: entity.name for entity in document.entities}
    pairs = {(names[d.derived], names[d.source]) for d in document.derived}
    assert len(document.derived) == 8
    assert pairs == {(f"dl1_LST-1.Run0180{r}.000{s}.h5",) * 2 for r in (7, 8) for s in range(4)}
    n_raw = sum("progenitor_id" in r for r in records["prov.log"])
    assert n_raw == 39
    codes = Counter(note.code for note in document.notes)
    assert codes["bogus-progenitor"] == 20 + 1  # of 31 the first 20, and one that counts the rest


def test_parameters_and_session_are_kept(documents, records):
    by_name = {a.name: a for a in documents["prov.log"].activities}
    assert by_name["dl1ab"].configuration == {"StoreImage": True}
    step = by_name["drs4_pedestal"]
    assert step.version == "v0.12.3"
    assert step.arguments == ("datasequence",)
    assert step.attributes["observation_date"] == "20200117"
    assert step.host is not None
    assert step.host["name"] == "vm"
    assert step.environment is not None
    assert step.environment["variables"]["USER"] is None
    assert step.environment["packages"] == records["prov.log"][0]["system"]["python"]["packages"]
