"""The HTTP API as it describes itself: a snapshot, and what the client makes of it."""

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import httpx
import pytest
from data.snapshots import assert_is_snapshot

from provmanager.client import production_wire, wire
from provmanager.client.client import ProvClient
from provmanager.service.app import create_app

VERBS = ("get", "put", "post", "delete")


@pytest.fixture(scope="module")
def openapi(app_url: str) -> dict[str, Any]:
    """The description that the running server gives to anybody."""
    described: dict[str, Any] = httpx.get(app_url + "/v1/openapi.json").json()
    return described


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in openapi["paths"].items():
        for verb, operation in verbs.items():
            assert verb in VERBS
            yield f"{verb.upper()} {path}", operation


def test_the_api_is_that_of_the_snapshot(openapi: dict[str, Any]) -> None:
    """But for the version, and for what the framework words in its own way."""
    found = {key: openapi[key] for key in ("paths", "components")}
    assert_is_snapshot("openapi.v1", found)


def test_every_operation_says_what_it_does_and_how_it_fails(openapi: dict[str, Any]) -> None:
    names = set()
    for where, operation in operations(openapi):
        names.add(operation["operationId"])
        assert len(operation["description"].split()) > 4, where
        responses = operation["responses"]
        assert "422" not in responses, where  # the framework's own shape, which we never send
        for kind in ("4XX", "5XX"):
            schema = responses[kind]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorBody"}, where
        for parameter in operation.get("parameters", ()):
            is_sap = operation["tags"] == ["provsap"]  # its names are IVOA's
            assert is_sap or parameter["name"].islower(), where
    assert len(names) == sum(1 for _ in operations(openapi))
    assert set(openapi["components"]["schemas"]["ErrorBody"]["required"]) == {
        "code", "message", "details",
    }  # fmt: skip


def test_the_client_has_a_method_for_every_operation(openapi: dict[str, Any]) -> None:
    """But for the pages, which are for people, and what clients of other protocols call."""
    source = inspect.getsource(ProvClient)
    for where, operation in operations(openapi):
        if operation["tags"] in (["pages"], ["openlineage"], ["provsap"]):
            continue
        path = where.split()[1].partition("{")[0]
        assert f'"{path}' in source, where


# --- the client's view of the answers -------------------------------------------------------------

# the client's class, the schema of the service
ANSWERS = [
    (wire.ActivityItem, "ActivityItem"),
    (wire.ActivityOutcome, "ActivityOutcome"),
    (wire.Arrow, "Arrow"),
    (wire.Box, "Box"),
    (wire.BulkItem, "BulkItem"),
    (wire.BulkResult, "BulkAnswer"),
    (wire.Communication, "Communication"),
    (wire.Contradiction, "Contradiction"),
    (wire.Derivation, "Derivation"),
    (wire.DescriptionChange, "Change"),
    (wire.DescriptionOutcome, "DescriptionOutcome"),
    (wire.DescriptionsResult, "DescriptionsAnswer"),
    (wire.DocumentNote, "Note"),
    (wire.EntityOutcome, "EntityOutcome"),
    (wire.Flow, "Flow"),
    (production_wire.Group, "Group"),
    (production_wire.GroupInput, "GroupInput"),
    (wire.Info, "Info"),
    (wire.LineageActivity, "LineageActivity"),
    (wire.LineageAnswer, "Lineage"),
    (wire.LineageEntity, "LineageEntity"),
    (wire.Membership, "Membership"),
    (wire.NewToken, "NewToken"),
    (production_wire.OpenRun, "OpenRun"),
    (wire.Part, "Part"),
    (wire.ProductItem, "ProductItem"),
    (production_wire.ProductionDefined, "ProductionDefined"),
    (production_wire.ProductionFailure, "ProductionFailure"),
    (production_wire.ProductionInputCounts, "ProductionInputCounts"),
    (production_wire.ProductionItem, "ProductionItem"),
    (production_wire.ProductionNumbers, "ProductionNumbers"),
    (production_wire.ProductionRunCounts, "ProductionRunCounts"),
    (production_wire.ProductionStatus, "ProductionStatus"),
    (production_wire.ProductionStepStatus, "ProductionStepStatus"),
    (wire.Receipt, "Receipt"),
    (wire.Resolved, "Resolved"),
    (wire.RunListItem, "RunListItem"),
    (wire.RunMessage, "RunMessage"),
    (wire.RunProduct, "RunProduct"),
    (wire.RunStep, "RunStep"),
    (wire.SignInLink, "SignInLink"),
    (wire.SummaryAnswer, "Summary"),
    (wire.TokenItem, "TokenItem"),
    (wire.Validity, "Validity"),
    (wire.ViolatedRule, "ViolatedRule"),
    (wire.ViolatingDocument, "ViolatingDocument"),
    (wire.InvalidProduct, "InvalidProduct"),
    (wire.WireError, "ErrorBody"),
    (wire.WorkflowRun, "WorkflowRun"),
]


def literals(schema: dict[str, Any]) -> set[object] | None:
    """Return the values that a schema allows, if it names them."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


@pytest.mark.parametrize(("cls", "name"), ANSWERS, ids=[name for _, name in ANSWERS])
def test_the_client_expects_what_the_service_answers(
    openapi: dict[str, Any], cls: type, name: str
) -> None:
    """Field by field: the name, whether it may be null, and the words that it may be."""
    schemas = openapi["components"]["schemas"]
    assert is_typeddict(cls)
    properties = schemas[name]["properties"]
    hints = get_type_hints(cls)
    assert set(hints) == set(properties)
    for field, hint in hints.items():
        schema = properties[field]
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        options = schema.get("anyOf", [schema])
        is_nullable = any(option.get("type") == "null" for option in options) or (
            not schema.keys() & {"type", "anyOf", "enum", "const", "properties"}
        )
        may_be_none = type(None) in get_args(hint) or hint is Any
        assert may_be_none == is_nullable, field
        if get_origin(hint) is Literal:
            assert set(get_args(hint)) == literals(schema), field


def test_every_class_of_the_client_has_its_schema() -> None:
    named = {**vars(wire), **vars(production_wire)}
    classes = {value for value in named.values() if is_typeddict(value)}
    own = {wire.Spooled}  # never crosses HTTP
    inner = {c for c in classes if c.__name__ in ("Counts", "Limits", "RunFields", "SearchPage")}
    assert classes - own - inner == {cls for cls, _ in ANSWERS}


def test_the_service_makes_the_same_description_each_time(
    openapi: dict[str, Any], app: Any
) -> None:
    assert create_app(app.state.settings).openapi() == openapi
