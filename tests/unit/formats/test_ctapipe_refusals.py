"""What ctapipe records must be refused for, and that nothing else ever comes out."""

import copy
import json
from typing import Any

import pytest
from ctapipe_records import UUID_1, parse, record
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentError, JsonSyntaxError, UnrecognisedFormatError
from provmanager.formats import read


def refusal(*values: Any) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(*values)
    return caught.value


def test_an_activity_that_stops_before_it_starts_is_refused():
    error = refusal([record(stop={"time_utc": "2026-11-21T01:19:00.000"})])
    assert error.details == {
        "pointer": "/0/0/stop/time_utc",
        "expected": "a time at or after 2026-11-21T01:19:42.187",
        "found": '"2026-11-21T01:19:00.000"',
    }


@pytest.mark.parametrize(
    ("changes", "pointer", "expected", "found"),
    [
        ({"activity_uuid": None}, "/1/0/activity_uuid", "the UUID of the activity", "null"),
        ({"activity_uuid": "5dc6e2"}, "/1/0/activity_uuid", "a UUID", '"5dc6e2"'),
        ({"activity_uuid": 7}, "/1/0/activity_uuid", "the UUID of the activity", "the number 7"),
        ({"activity_name": ["x"]}, "/1/0/activity_name", "text", "an array of 1"),
        ({"exit_code": "one"}, "/1/0/exit_code", "a whole number or null", '"one"'),
        ({"exit_code": True}, "/1/0/exit_code", "a whole number or null", "true"),
        ({"start": "now"}, "/1/0/start", "an object", '"now"'),
        (
            {"start": {"time_utc": "yesterday"}},
            "/1/0/start/time_utc",
            "a time such as 2026-11-21T01:19:42.187 (UTC)",
            '"yesterday"',
        ),
        ({"start": {"time_utc": 5}}, "/1/0/start/time_utc", "text", "the number 5"),
        ({"input": {"url": "x"}}, "/1/0/input", "an array", "an object with url"),
        ({"input": ["x"]}, "/1/0/input/0", "an object with url and role", '"x"'),
        ({"output": [{"role": None}]}, "/1/0/output/0/url", "a path or URL", "nothing"),
        ({"output": [{"url": ""}]}, "/1/0/output/0/url", "a path or URL", '""'),
        ({"input": [{"url": "/a", "role": 1}]}, "/1/0/input/0/role", "text", "the number 1"),
        (
            {"input": [{"url": "/a", "reference_meta": []}]},
            "/1/0/input/0/reference_meta",
            "an object or null",
            "an array of 0",
        ),
        ({"config": ["a"]}, "/1/0/config", "an object", "an array of 1"),
        ({"system": "x"}, "/1/0/system", "an object", '"x"'),
        ({"system": {"arguments": [1]}}, "/1/0/system/arguments/0", "text", "the number 1"),
        ({"system": {"platform": 1}}, "/1/0/system/platform", "an object", "the number 1"),
    ],
)
def test_a_wrong_field_is_refused_with_its_pointer(changes, pointer, expected, found):
    error = refusal([record(activity_uuid=UUID_1)], [record(**changes)])
    assert error.details == {"pointer": pointer, "expected": expected, "found": found}
    assert pointer in error.message


def test_a_missing_activity_uuid_is_refused():
    without = record()
    del without["activity_uuid"]
    error = refusal([without])
    assert error.details["pointer"] == "/0/0/activity_uuid"
    assert error.details["found"] == "nothing"


def test_something_else_among_the_records_is_refused():
    assert refusal([record(), 5]).details["pointer"] == "/0/1"


# anything at all

FULL = json.dumps([record(activity_name="ctapipe-é-\U0001f300")], indent=3, ensure_ascii=False)
BYTES = FULL.encode()


@given(st.integers(0, len(BYTES) - 1))
def test_any_prefix_is_refused_as_cut_off(length):
    with pytest.raises(JsonSyntaxError if BYTES[:length].strip() else UnrecognisedFormatError):
        read(BYTES[:length])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in `value`."""
    if not isinstance(value, dict | list):
        return [path]
    below = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for key, item in below for p in places(item, (*path, key)))]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("file://[::1/x"),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@given(st.sampled_from(places([record()])), ANY_JSON)
def test_any_value_in_any_place_is_read_or_refused_with_a_reason(path, value):
    changed: Any = {"root": copy.deepcopy([record()])}
    parent = changed
    for key in ("root", *path)[:-1]:
        parent = parent[key]
    parent[("root", *path)[-1]] = value
    try:
        document = parse(changed["root"])
    except DocumentError as error:
        refused_for = error.details
    else:
        refused_for = {}
        json.dumps([dict(a.configuration or {}) for a in document.activities], allow_nan=False)
    assert refused_for.keys() <= {"pointer", "expected", "found"}
