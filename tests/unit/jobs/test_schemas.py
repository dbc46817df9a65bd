"""The copies of CWL's schemas that spare cwltool to parse them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cwltool import process
from schema_salad import schema

from jobs.workflows import load_workflow, schemas

CWL = Path(__file__).parents[2] / "data" / "cwl"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the copies; cwltool has parsed nothing yet."""
    monkeypatch.setattr(schemas, "_FOLDER", tmp_path / "copies")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(schema, "cached_metaschema", None)
    before = dict(process.SCHEMA_CACHE)
    process.SCHEMA_CACHE.clear()
    yield tmp_path / "copies"
    process.SCHEMA_CACHE.update(before)


def forget() -> None:
    process.SCHEMA_CACHE.clear()
    schema.cached_metaschema = None


def test_a_copy_is_written_once_and_read_instead_of_parsing(folder, monkeypatch) -> None:
    first = load_workflow(str(CWL / "features.cwl"))
    assert len(list(folder.iterdir())) == 3  # metaschema, v1.0, v1.2
    forget()
    for module, name in ((process, "get_schema"), (schema, "get_metaschema")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("parsed again"))
    schemas.load_schemas("v1.2")
    monkeypatch.undo()
    second = load_workflow(str(CWL / "features.cwl"))
    assert second.inputs == first.inputs
    assert second.process.tool == first.process.tool


@pytest.mark.parametrize("spoilt", [b"", b"no pickle", b"\x80\x05cnowhere\nNothing\n."])
def test_a_copy_that_cannot_be_read_is_made_anew(folder, spoilt) -> None:
    load_workflow(str(CWL / "shell.cwl"))
    whole = {path: path.stat().st_size for path in folder.iterdir()}
    for path in whole:
        path.write_bytes(spoilt)
    forget()
    load_workflow(str(CWL / "shell.cwl"))
    assert all(path.stat().st_size > 10_000 for path in whole)


def test_where_nothing_may_be_written_all_works_as_without(folder, monkeypatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    load_workflow(str(CWL / "shell.cwl"))
    assert not folder.exists()
