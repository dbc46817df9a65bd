import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentError, JsonSyntaxError
from provmanager.formats.description_document import (
    from_json,
    read_descriptions,
    to_json,
    to_yaml,
)
from provmanager.model import (
    ActivityDescription,
    DescriptionDocument,
    EntityDescription,
    FlowDescription,
)

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "schemas" / "examples").glob("descriptions.v1.*"))
HEAD = "schema: descriptions.v1\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_read_and_written_again_without_loss(path: Path):
    document = read_descriptions(path.read_bytes())
    assert document.activities
    assert from_json(to_json(document)) == document
    assert read_descriptions(to_yaml(document).encode()) == document
    assert read_descriptions(json.dumps(to_json(document)).encode()) == document


def test_there_are_examples_in_yaml_and_in_json():
    assert {path.suffix for path in EXAMPLES} == {".yaml", ".json"}


def test_the_ctapipe_example_describes_every_role_of_the_example_chain():
    document = read_descriptions((ROOT / "examples/ctapipe-descriptions.yaml").read_bytes())
    described = {(a.name, a.version): a for a in document.activities}
    logs = sorted((ROOT / "examples" / "chain").glob("*.log"))
    assert len(logs) == 6
    for log in logs:
        for run in json.loads(log.read_text()):
            description = described[run["activity_name"], run["system"]["ctapipe_version"]]
            assert {i["role"] for i in run["input"]} <= {u.role for u in description.usages}
            roles = {o["role"] for o in run["output"] if o["role"] is not None}
            assert roles <= {g.role for g in description.generations}


def test_yaml_words_are_taken_as_they_are_written():
    text = HEAD + (
        "activities:\n"
        "- name: no\n"
        "  version: 0.30\n"
        "  docurl: ~\n"
        "  parameters:\n"
        "  - {name: p, value_type: boolean, default: false, min: 1e3, options: [010, yes]}\n"
    )
    (activity,) = read_descriptions(text.encode()).activities
    assert (activity.name, activity.version, activity.docurl) == ("no", "0.30", None)
    (parameter,) = activity.parameters
    assert (parameter.default, parameter.min, parameter.options) == ("false", "1e3", ("010", "yes"))


def test_json_numbers_are_taken_as_they_are_written():
    text = '{"schema": "descriptions.v1", "activities": [{"name": "a", "version": 0.30}]}'
    assert read_descriptions(text.encode()).activities[0].version == "0.30"


def test_two_versions_of_an_activity_are_two_descriptions():
    text = HEAD + "activities: [{name: a, version: 1}, {name: a, version: 2}, {name: a}]"
    versions = [a.version for a in read_descriptions(text.encode()).activities]
    assert versions == ["1", "2", None]


@pytest.mark.parametrize(
    ("text", "pointer", "line", "message"),
    [
        ("activities:\n- nane: x\n  name: y\n", "/activities/0/nane", 3, "expected 'name'"),
        ("activities:\n- version: 1\n", "/activities/0", 3, "the field 'name', found none"),
        (
            "activities:\n- name: a\n  usages:\n  - role: r\n    multiplicity: many\n",
            "/activities/0/usages/0/multiplicity",
            6,
            'such as 1, *, 0..1 or 3..*, found "many"',
        ),
        ("entities:\n- name: a\n- name: a\n", "/entities/1", 4, "another at /entities/0"),
        (
            "activities:\n- name: a\n  usages:\n  - role: r\n  - role: r\n",
            "/activities/0/usages/1",
            6,
            "one description of r",
        ),
        (
            "entities:\n- {name: a, content_type: x, value_type: int}\n",
            "/entities/0",
            3,
            "not both",
        ),
        ("activities: {}\n", "/activities", 2, "a list of activity descriptions"),
        ("schema: descriptions.v1\n", "/schema", 2, "stands twice"),
    ],
)
def test_what_does_not_fit_is_told_with_pointer_line_expected_and_found(
    text: str, pointer: str, line: int, message: str
):
    with pytest.raises(DocumentError) as caught:
        read_descriptions((HEAD + text).encode())
    assert caught.value.details["pointer"] == pointer
    assert caught.value.details["line"] == line
    assert message in caught.value.message
    assert f"line {line}" in caught.value.message


def test_several_faults_are_told_at_once_and_the_rest_counted():
    text = HEAD + "entities: [" + ", ".join(["{nam: x}"] * 4) + "]"
    with pytest.raises(DocumentError, match=r"/entities/0.*/entities/1.*and 3 more"):
        read_descriptions(text.encode())


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"a: [", DocumentError, "not YAML.*line 1"),
        (b"\xff\xfe", DocumentError, "not UTF-8.*offset 0"),
        (b'{"schema": }', JsonSyntaxError, "not JSON.*line 1, column 12"),
        (b'{"schema": "descriptions.v1", "schema": 1}', DocumentError, "'schema' stands twice"),
        (b"", DocumentError, "an object with the fields schema"),
        (b"entities: []", DocumentError, "the field 'schema'"),
        (b"schema: descriptions.v2", DocumentError, "the text descriptions.v1.*descriptions.v2"),
        (b"a: 1\n---\nb: 2", DocumentError, "not YAML: but found another document"),
        (b"[" * 5000, DocumentError, "not YAML|too deeply"),
        (b'{"a":' * 100_000, DocumentError, "too deeply|not JSON"),
    ],
)
def test_what_is_no_such_document_says_what_it_is(
    data: bytes, error: type[DocumentError], message: str
):
    with pytest.raises(error, match=message):
        read_descriptions(data)


def test_anchors_that_multiply_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(DocumentError, match="more than 500000 values"):
        read_descriptions("\n".join(lines).encode())


def test_a_server_that_gets_something_else_answers_with_the_place():
    with pytest.raises(DocumentError) as caught:
        from_json({"schema": "descriptions.v1", "activities": [{"name": 7}]})
    assert caught.value.details == {
        "pointer": "/activities/0/name",
        "expected": "a text that is not empty",
        "found": "7",
    }


TEXT = st.text(min_size=1, max_size=12).filter(lambda t: t.isprintable())


@given(
    st.lists(TEXT, max_size=4, unique=True),
    st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=4, unique=True),
    st.lists(TEXT, max_size=3, unique=True),
)
def test_any_descriptions_survive_json_and_yaml(
    entities: list[str], activities: list[tuple[str, Any]], roles: list[str]
):
    flows = tuple(FlowDescription(role=role, multiplicity="1..*") for role in roles)
    document = DescriptionDocument(
        entities=tuple(EntityDescription(name=name, description=name) for name in entities),
        activities=tuple(
            ActivityDescription(name=name, version=version, usages=flows, generations=flows)
            for name, version in activities
        ),
    )
    assert from_json(json.loads(json.dumps(to_json(document)))) == document
    assert read_descriptions(to_yaml(document).encode()) == document
