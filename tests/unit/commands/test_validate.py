"""`prod-validate` on documents: what it says, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client_scripts.validate import main

VALID = """document
prefix ex <http://example.org/>
entity(ex:e)
endDocument
"""
CYCLE = """document
  prefix ex <http://example.org/>
  // wasDerivedFrom(ex:e9, ex:e8) is only a remark
  entity(ex:e1, [ex:note="wasDerivedFrom(ex:e8, ex:e9)"])
  entity(ex:e2)
  wasDerivedFrom(ex:e2, ex:e1)
  wasDerivedFrom(ex:e1, ex:e2)
endDocument
"""
OVERLAP = {
    "prefix": {"ex": "http://example.org/"},
    "bundle": {
        "ex:b": {
            "entity": {"ex:x": {}},
            "wasGeneratedBy": {"_:g": {"prov:entity": "ex:e", "prov:activity": "ex:x"}},
        }
    },
}


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "valid.provn").write_text(VALID)
    (tmp_path / "cycle.provn").write_text(CYCLE)
    (tmp_path / "overlap.json").write_text(json.dumps(OVERLAP))
    return tmp_path


def test_a_valid_document_is_told_and_ends_well(folder: Path):
    result = run(str(folder / "valid.provn"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("valid ")


def test_a_violation_names_its_rule_its_chain_and_the_lines(folder: Path):
    result = run(str(folder / "cycle.provn"))
    assert result.exit_code == 5
    assert "Constraint 42 (derivation-generation-generation-ordering)" in result.stdout
    assert "generation of ex:e2 strictly precedes generation of ex:e1" in result.stdout
    assert "line 6: wasDerivedFrom(ex:e2, ex:e1, -, -, -)" in result.stdout
    assert "line 7: wasDerivedFrom(ex:e1, ex:e2, -, -, -)" in result.stdout
    assert "it violates PROV-CONSTRAINTS" in result.stderr


def test_of_a_long_chain_the_ends_are_shown(folder: Path):
    n = 40
    entities = "\n".join(f"entity(ex:e{i})" for i in range(n))
    links = "\n".join(f"wasDerivedFrom(ex:e{(i + 1) % n}, ex:e{i})" for i in range(n))
    (folder / "long.provn").write_text(VALID.replace("entity(ex:e)", f"{entities}\n{links}"))
    short, full = (run(*flags, str(folder / "long.provn")).stdout for flags in ((), ("-v",)))
    assert short.count("strictly precedes") == 10
    assert f"… {n - 10} more steps" in short
    assert full.count("strictly precedes") == n


def test_json_has_one_object_a_document_with_pointers(folder: Path):
    result = run("--json", str(folder / "overlap.json"), str(folder / "valid.provn"))
    overlap, valid = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 5
    assert valid["valid"]
    [violation] = overlap["violations"]
    assert (violation["rule"]["number"], violation["bundle"]) == (55, "ex:b")
    places = [s["place"] for s in violation["statements"]]
    assert places == ["/bundle/ex:b/entity/ex:x", "/bundle/ex:b/wasGeneratedBy/_:g"]


def test_a_folder_is_counted_and_what_is_no_provenance_passed_over(folder: Path):
    (folder / "notes.json").write_text('{"a": 1}')
    result = run(str(folder))
    assert result.exit_code == 5
    assert "3 checked: 2 violates, 1 valid" in result.stderr


def test_quiet_writes_only_what_is_wrong(folder: Path):
    result = run("-q", str(folder))
    assert "valid.provn" not in result.stdout
    assert "cycle.provn" in result.stdout


def test_what_cannot_be_read_is_told_apart_from_what_is_invalid(folder: Path):
    (folder / "bad.provn").write_text("document entity( endDocument")
    assert run(str(folder / "bad.provn")).exit_code == 1
    assert run(str(folder / "bad.provn"), str(folder / "valid.provn")).exit_code == 6
    assert run(str(folder / "bad.provn"), str(folder / "cycle.provn")).exit_code == 5


def test_an_end_before_its_start_is_noted_and_no_violation(folder: Path):
    times = "2026-01-01T12:00:00, 2026-01-01T11:00:00"
    text = VALID.replace("entity(ex:e)", f"activity(ex:a, {times})")
    (folder / "clock.provn").write_text(text)
    result = run(str(folder / "clock.provn"))
    assert result.exit_code == 0
    assert "note, no violation: the end of ex:a is dated 2026-01-01 11:00:00" in result.stdout
    assert "by Constraint 30 (start-precedes-end)" in result.stdout
    [remark] = json.loads(run("--json", str(folder / "clock.provn")).stdout)["remarks"]
    assert remark["statements"][0]["place"] == "line 3"


def test_standard_input_is_a_document():
    assert run("-", given=VALID).exit_code == 0
    assert run("-", given=CYCLE).exit_code == 5


def test_a_record_of_a_tool_is_checked_as_what_it_says_in_prov(folder: Path):
    run_json = {
        "schema": "provmanager/activity.v1",
        "id": "0a1f2d3c-0000-4000-8000-000000000001",
        "name": "tool",
        "status": "completed",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:01:00Z",
        "inputs": [{"url": "file://node/d/in.fits"}],
        "outputs": [{"url": "file://node/d/out.fits"}],
    }
    (folder / "run.json").write_text(json.dumps(run_json))
    result = run(str(folder / "run.json"))
    assert result.exit_code == 0, result.output
    assert "5 statements" in result.stdout
