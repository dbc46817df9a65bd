"""Productions as they are written: what is read, and what is refused and how."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from provmanager.errors import DocumentError, JsonSyntaxError
from provmanager.formats.production_document import from_json, is_production, read_production
from provmanager.model.productions import Range

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "schemas" / "examples").glob("production.v1.*"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_fit_the_schema_and_are_known_as_productions(path: Path) -> None:
    production = read_production(path.read_bytes())
    jsonschema.Draft202012Validator(schemas.load("production.v1")).validate(production.document)
    assert from_json(json.loads(json.dumps(production.document))) == production
    assert is_production(path)


def test_there_are_examples_in_yaml_and_in_json() -> None:
    assert {path.suffix for path in EXAMPLES} == {".yaml", ".json"}


def test_other_documents_are_no_productions(tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.yml"
    workflow.write_text("cwlVersion: v1.2\nclass: Workflow\ndoc: 'schema: production.v1'\n")
    assert not is_production(workflow)
    assert not is_production(tmp_path / "absent.yml")
    assert not is_production(ROOT / "CHANGELOG.md")


def test_words_are_what_they_are_in_yaml_but_instants_stay_texts() -> None:
    text = """
schema: production.v1
name: "2026"
metadata: {campaign: PROD6, level: 2, night: 2026-03-01, is_dark: true}
steps:
- name: a
  input:
    metadata: {x: {min: 1.5, max: 2}, y: [1, two], z: "1"}
    generated: {after: 2026-03-01, before: 2026-03-02T12:00:00+02:00}
  workflow: a.cwl
  files: f
"""
    production = read_production(text.encode())
    assert production.metadata == {
        "campaign": "PROD6", "level": 2, "night": "2026-03-01", "is_dark": True,
    }  # fmt: skip
    query = production.steps[0].input
    assert query.metadata == {"x": Range(min=1.5, max=2), "y": (1, "two"), "z": "1"}
    assert query.after is not None
    assert query.before is not None
    assert (query.before - query.after).total_seconds() == 34 * 3600


def test_a_step_says_what_the_whole_leaves_open_and_overrides_it() -> None:
    step = {"name": "a", "input": {"name": "*"}, "workflow": "a.cwl", "files": "f"}
    production = from_json(
        {
            "schema": "production.v1", "name": "p", "engine": "diracx", "retries": 5,
            "job": {"sites": ["A"], "priority": 1},
            "steps": [step, step | {"name": "b", "engine": "local", "job": {"priority": 9}}],
        }
    )  # fmt: skip
    first, second = production.steps
    assert (first.engine, first.retries, first.job) == (
        "diracx",
        5,
        {"sites": ["A"], "priority": 1},
    )
    assert (second.engine, second.job) == ("local", {"sites": ["A"], "priority": 9})


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a b"}, "/steps/0/name", "letters"),
    ({"input": {}}, "/steps/0/input", "at least one condition"),
    ({"input": {"from": "later"}}, "/steps/0/input/from", "an earlier step"),
    ({"input": {"output": "x"}}, "/steps/0/input", "from"),
    ({"input": {"metadata": {"x": {"from": 1}}}}, "/steps/0/input/metadata/x", "range"),
    (
        {"input": {"generated": {"after": "2026-02-30"}}},
        "/steps/0/input/generated/after",
        "instant",
    ),
    ({"group": {"by": "size"}}, "/steps/0/group/by", "folder or metadata.NAME"),
    ({"retries": -1}, "/steps/0/retries", "whole number"),
    ({"inputs": {"f": 1}}, "/steps/0/inputs/f", "takes the group"),
    ({"workflows": "x"}, "/steps/0/workflows", "'workflow'"),
]


@pytest.mark.parametrize(("change", "pointer", "expected"), WRONG, ids=[p for _, p, _ in WRONG])
def test_what_does_not_fit_is_refused_with_its_place(
    change: dict[str, Any], pointer: str, expected: str
) -> None:
    step = {"name": "a", "input": {"name": "*"}, "workflow": "a.cwl", "files": "f"} | change
    text = yaml.safe_dump({"schema": "production.v1", "name": "p", "steps": [step]})
    with pytest.raises(DocumentError) as caught:
        read_production(text.encode())
    assert caught.value.details["pointer"] == pointer
    assert expected in caught.value.message
    assert f"line {caught.value.details['line']}" in caught.value.message


def test_steps_have_names_of_their_own() -> None:
    step = {"name": "a", "input": {"name": "*"}, "workflow": "a.cwl", "files": "f"}
    with pytest.raises(DocumentError, match="another name for each step"):
        from_json({"schema": "production.v1", "name": "p", "steps": [step, step]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "either input (with files) or generate, found neither"),
        ({"input": {"name": "*"}}, "the field 'files'"),
        ({"input": {"name": "*"}, "files": "f", "generate": {"runs": 1, "parameter": "n"}},
         "found input and generate"),
        ({"generate": {"runs": 0, "parameter": "n"}}, "/steps/0/generate/runs"),
        ({"generate": {"runs": 3}}, "the field 'parameter'"),
        ({"generate": {"runs": 3, "parameter": "n"}, "files": "f"}, "the field 'input'"),
        ({"generate": {"runs": 3, "parameter": "n"}, "group": {"size": 2}}, "the field 'input'"),
        ({"generate": {"runs": 3, "parameter": "n"}, "inputs": {"n": 1}}, "which takes the number"),
    ],
    ids=str,
)  # fmt: skip
def test_a_step_takes_files_or_numbers(change: dict[str, Any], message: str) -> None:
    step = {"name": "a", "workflow": "a.cwl"} | change
    with pytest.raises(DocumentError) as caught:
        from_json({"schema": "production.v1", "name": "p", "steps": [step]})
    assert message in str(caught.value)


def test_numbers_begin_with_one_unless_something_else_is_said() -> None:
    step = {"name": "a", "workflow": "a.cwl", "generate": {"runs": 3, "parameter": "n"}}
    numbers = from_json({"schema": "production.v1", "name": "p", "steps": [step]}).steps[0].numbers
    assert numbers is not None
    assert (numbers.first, numbers.last, numbers.parameter) == (1, 3, "n")


@pytest.mark.parametrize("data", [b"", b"[]", b"a: [", b"\xff", b"schema: production.v1"])
def test_what_is_no_such_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read_production(data)


def test_bad_json_says_the_line() -> None:
    with pytest.raises(JsonSyntaxError, match="line 2"):
        read_production(b'{"schema":\n]')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


_FIELDS = ["input", "generate", "group", "inputs", "job", "name", "files"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_FIELDS), json_values))
def test_any_json_is_read_or_refused(change: dict[str, Any]) -> None:
    step = {"name": "a", "input": {"name": "*"}, "workflow": "a.cwl", "files": "f"} | change
    try:
        production = from_json({"schema": "production.v1", "name": "p", "steps": [step]})
    except DocumentError:
        return
    assert from_json(production.document) == production


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b'{"steps": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"name": "a", "name": "b"}', "'name' stands twice"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read_production(data)
