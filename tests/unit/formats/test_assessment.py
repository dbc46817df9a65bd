"""Assessments: what the schema allows is read, what it does not is refused, with where and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

import schemas
from provmanager.errors import DocumentError
from provmanager.formats import read
from provmanager.model import AssessmentKind

EXAMPLES = sorted((Path(schemas.__file__).parent / "examples").glob("assessment.v1.*.json"))
VALID: dict[str, Any] = json.loads(EXAMPLES[0].read_text())
ID = "a4002bf3-50ee-5990-ba99-9d4a8b7d1224"


def is_valid(value: object) -> bool:
    validator = Draft202012Validator(
        schemas.load("assessment.v1"), format_checker=FormatChecker(formats=["uuid"])
    )
    return validator.is_valid(value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_and_read(path: Path):
    value = json.loads(path.read_text())
    assert is_valid(value)
    document = read(path.read_bytes())
    (told,) = document.assessments
    assert document.format == "assessment"
    assert (told.kind, told.reason) == (value["kind"], value["reason"])
    (activity,) = document.activities
    assert (activity.uuid, activity.comment) == (told.uuid, told.reason)
    assert document.used == document.generated == ()


def test_a_verification_has_an_outcome_for_each_product():
    value = {**VALID, "kind": "verification", "entities": [{"id": ID, "outcome": "differs"}]}
    (told,) = read(json.dumps(value).encode()).assessments
    assert told.kind is AssessmentKind.VERIFICATION
    assert [(str(uuid), outcome) for uuid, outcome in told.entities] == [(ID, "differs")]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "opinion"}, "/kind"),
        ({"id": "1"}, "/id"),
        ({"at": 5}, "/at"),
        ({"reason": None}, "/reason"),
        ({"entities": {}}, "/entities"),
        ({"entities": [{"id": 5}]}, "/entities/0/id"),
        ({"entities": ["x"]}, "/entities/0"),
        ({"entities": [{}]}, "/entities/0"),
        ({"agent": {"name": "x"}}, "/agent"),
        ({"more": 1}, "/more"),
        ({"kind": "verification"}, "/entities/0"),
        ({"entities": [{"id": ID, "outcome": "fine"}]}, "/entities/0/outcome"),
        ({"kind": "revocation"}, ""),
        ({"kind": "revocation", "revokes": "x"}, "/revokes"),
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_refused_with_its_place(change: dict[str, Any], pointer: str):
    value = VALID | change
    assert not is_valid(value)
    with pytest.raises(DocumentError) as caught:
        read(json.dumps(value).encode())
    assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize("field", ["id", "kind", "at", "reason", "entities"])
def test_what_an_invalidation_needs_is_asked_for(field: str):
    value = {name: item for name, item in VALID.items() if name != field}
    assert not is_valid(value)
    with pytest.raises(DocumentError, match=f"an object with {field}"):
        read(json.dumps(value).encode())
