"""What goes home from a node: everything small, products where there is room for them."""

import json
import os
from pathlib import Path

import pytest

from jobs.engines.diracx import gathering
from jobs.engines.diracx.former import pack_formers
from jobs.engines.diracx.gathering import gather
from jobs.engines.local.directory import RunDirectory, write_json
from jobs.storage import StoredFile

STEP = "8a3b6c0e-5d57-4b9e-9a6e-0c7f9b6f2d11"


@pytest.fixture
def directory(tmp_path):
    """A run of which one step was completed, whose output became a product."""
    run = RunDirectory(tmp_path / "run")
    work = run.steps / "make" / "work"
    work.mkdir(parents=True)
    run.products.mkdir()
    (work / "made.txt").write_bytes(b"x" * 100)
    (work / "between.txt").write_bytes(b"y" * 50)
    (run.steps / "make" / "stderr.log").write_text("told\n")
    os.link(work / "made.txt", run.products / "made.txt")
    places = [
        {"class": "File", "location": (work / n).as_uri()} for n in ("made.txt", "between.txt")
    ]
    record = {"id": STEP, "status": "completed", "attributes": {"cwl": {"outputs": {"o": places}}}}
    run.record_file.write_text(json.dumps(record) + "\n")
    write_json(run.run_file, {"id": "r", "resumes": None})
    product = {"name": "made.txt", "path": str(run.products / "made.txt"), "role": "o"}
    outputs = {"o": {"class": "File", "location": (run.products / "made.txt").as_uri()}}
    write_json(run.outputs_file, outputs)
    run.append("ended", state="completed", exit_code=0, products=[product])
    return run


def went(directory, tmp_path, stored=None, *, with_products=True):
    result = tmp_path / "result"
    result.mkdir()
    gather(directory, result, stored or {}, with_products=with_products)
    return {str(path.relative_to(result)) for path in result.rglob("*") if path.is_file()}


SMALL = {"state.jsonl", "provenance.jsonl", "outputs.json", "steps/make/stderr.log"}
MADE = {"steps/make/work/made.txt", "steps/make/work/between.txt"}


def test_a_file_with_two_names_goes_once(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "LARGEST_BYTES", 150)
    assert went(directory, tmp_path) == SMALL | MADE | {"products/made.txt"}
    result = tmp_path / "result"
    assert (result / "products/made.txt").samefile(result / "steps/make/work/made.txt")


def test_products_go_before_what_is_between_them(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "LARGEST_BYTES", 149)
    assert went(directory, tmp_path) == SMALL | {"products/made.txt"}


def test_products_without_room_stay_and_that_is_said(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "LARGEST_BYTES", 99)
    assert went(directory, tmp_path) == SMALL
    (note,) = (e for e in directory.events() if e["event"] == "note")
    assert "(100 bytes) are larger than a sandbox may be: they are on the node" in note["text"]


def test_what_is_stored_may_stay_away_and_is_named_by_its_lfn(directory, tmp_path):
    path = str(directory.products / "made.txt")
    stored = {path: StoredFile(lfn="/vo/made.txt", url="s3://b/vo/made.txt", size_bytes=100)}
    assert went(directory, tmp_path, stored, with_products=False) == SMALL
    (product,) = list(directory.events())[-1]["products"]
    assert (product["lfn"], product["path"]) == ("LFN:/vo/made.txt", "LFN:/vo/made.txt")
    told = json.loads((tmp_path / "result/outputs.json").read_text())
    assert told["o"]["location"] == "LFN:/vo/made.txt"


def test_a_former_run_is_found_where_it_was_brought(directory, tmp_path):
    homes = pack_formers(directory, tmp_path / "package")
    assert homes == [str(directory.path)]
    there = RunDirectory(tmp_path / "package" / "former" / "0")
    assert there.origin == str(directory.path)
    (record,) = there.moved_records()
    for place in record["attributes"]["cwl"]["outputs"]["o"]:
        path = Path(place["location"].removeprefix("file://"))
        assert path.is_relative_to(there.path)
        assert path.is_file()
