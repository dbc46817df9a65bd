"""The configuration of a run beside the defaults of its description."""

import pytest

from provmanager.model import ParameterDescription
from provmanager.model.configuration import against_defaults


def parameter(name, default):
    return ParameterDescription(name=name, value_type="x", default=default)


def test_what_differs_comes_first_then_what_nothing_describes():
    found = against_defaults(
        {"T": {"a": 1, "b": 2}, "z": 3, "c": None},
        [parameter("T.a", "1"), parameter("T.b", "1"), parameter("c", None)],
    )
    assert [(s.name, s.state) for s in found] == [
        ("T.b", "differs"), ("c", "undescribed"), ("z", "undescribed"), ("T.a", "default"),
    ]  # fmt: skip
    assert found[0].default == "1"


@pytest.mark.parametrize(
    ("value", "default", "is_same"),
    [
        (True, "true", True), (True, "True", True), (False, "true", False), (1, "1.0", True),
        (1.5, "1.50", True), (1, "one", False), ("x", "x", True), ("X", "x", False),
        (None, "none", True), (None, "0", False), ([1, 2], "[1, 2]", True), ([1], "1 2", False),
        ("1", "1", True), (True, "1", False),
    ],
)  # fmt: skip
def test_a_value_is_compared_with_what_a_description_writes(value, default, is_same):
    (found,) = against_defaults({"p": value}, [parameter("p", default)])
    assert (found.state == "default") is is_same
