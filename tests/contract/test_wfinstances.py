"""The real workflow executions of wfcommons/WfInstances, read through the capture format."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import networkx
import pytest
from data.wfformat import activity_id, edges, file_url, instances, to_records

import schemas
from provmanager.formats.run_json import read_run_json
from provmanager.model import Document, InformKind

# tasks, files, input edges, output edges of the raw files, counted before this code was written
COUNTS = {
    "1000genome-chameleon-22ch-250k-001": (902, 954, 2904, 902),
    "bacass-dirt02-001": (11, 67, 28, 61),
    "cycles-chameleon-1l-1c-9p-001": (67, 522, 481, 515),
    "montage-chameleon-dss-15d-001": (2122, 2463, 12336, 2341),
    "viralrecon-dirt02-001": (203, 877, 444, 864),
}


def raw(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))["workflow"]["specification"]
    return found


def locations(document: Document) -> dict[str, str]:
    """Return the one location of every entity by its key."""
    assert all(len(entity.locations) == 1 for entity in document.entities)
    return {entity.key: entity.locations[0] for entity in document.entities}


@pytest.fixture(scope="module")
def executions(prov_data: Path) -> list[tuple[Path, Document]]:
    """Every execution, read; by way of JSON text, as a client sends it."""
    found = []
    for path in instances(prov_data):
        lines = [json.dumps(record) for record in to_records(path)]
        found.append((path, read_run_json([json.loads(line) for line in lines])))
    assert len(found) == 22
    return found


def test_every_task_and_file_mention_of_every_execution_is_read(
    executions: list[tuple[Path, Document]],
) -> None:
    for path, document in executions:
        tasks = raw(path)["tasks"]
        n_used = sum(len(task["inputFiles"]) for task in tasks)
        n_generated = sum(len(task["outputFiles"]) for task in tasks)
        assert len(document.activities) == len(tasks) + 1
        assert (len(document.used), len(document.generated)) == (n_used, n_generated)
        assert document.notes == ()
        if path.stem in COUNTS:
            n_files = len(raw(path)["files"])
            assert (len(tasks), n_files, n_used, n_generated) == COUNTS[path.stem]
            assert len(set(locations(document).values())) == n_files
    assert {path.stem for path, _ in executions} > set(COUNTS)


def test_what_is_read_has_exactly_the_edges_of_the_raw_file(
    executions: list[tuple[Path, Document]],
) -> None:
    for path, document in executions:
        place = locations(document)
        read = {(place[used.entity], used.activity) for used in document.used}
        read |= {(made.activity, place[made.entity]) for made in document.generated}
        names = {
            node: activity_id(path, node[1]) if node[0] == "task" else file_url(path, node[1])
            for node in edges(path)
        }
        assert len(set(names.values())) == len(names), "two files share a location"
        assert read == {(names[source], names[target]) for source, target in edges(path).edges}


def test_the_parents_that_the_raw_file_states_are_those_that_the_files_imply(
    executions: list[tuple[Path, Document]],
) -> None:
    """WfFormat states the order of tasks apart from the files: both agree in what was read."""
    for path, document in executions:
        place = locations(document)
        producer = {place[made.entity]: made.activity for made in document.generated}
        implied = {
            (producer[place[used.entity]], used.activity)
            for used in document.used
            if place[used.entity] in producer
        }
        stated = {
            (activity_id(path, parent), activity_id(path, task["id"]))
            for task in raw(path)["tasks"]
            for parent in task["parents"]
        }
        assert implied == stated


def test_every_task_is_part_of_its_execution(executions: list[tuple[Path, Document]]) -> None:
    for path, document in executions:
        whole = activity_id(path)
        parts = {(link.informed, link.informant, link.kind) for link in document.informed}
        tasks = raw(path)["tasks"]
        assert parts == {(activity_id(path, t["id"]), whole, InformKind.PART_OF) for t in tasks}
        outer = next(a for a in document.activities if a.key == whole)
        assert not outer.is_claim
        assert outer.started_at is not None
        assert outer.ended_at is not None
        assert outer.ended_at > outer.started_at


def test_no_file_has_a_digest_and_every_size_is_that_of_the_raw_file(
    executions: list[tuple[Path, Document]],
) -> None:
    for path, document in executions:
        sizes = {file_url(path, file["id"]): file["sizeInBytes"] for file in raw(path)["files"]}
        for entity in document.entities:
            assert entity.digests == ()
            assert entity.size_bytes == sizes[entity.locations[0]]


def test_records_are_valid_and_the_same_each_time(prov_data: Path) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("activity.v1"))
    path = next(p for p in instances(prov_data) if p.stem == "cycles-chameleon-1l-1c-9p-001")
    for record in to_records(path):
        validator.validate(record)
    assert to_records(path) == to_records(path)


def test_the_raw_graphs_have_no_cycles(prov_data: Path) -> None:
    for path in instances(prov_data):
        assert networkx.is_directed_acyclic_graph(edges(path))
