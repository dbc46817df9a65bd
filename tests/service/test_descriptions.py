"""Descriptions over HTTP: idempotent, saying what changed, and never in the way of a record."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.errors import AuthorisationError, DocumentError, JsonSyntaxError, ProvError
from provmanager.formats.description_document import read_descriptions, to_json
from provmanager.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ctapipe-descriptions.yaml"


@pytest.fixture(scope="module")
def chain(prov_data: Path, client: ProvClient) -> dict[str, str]:
    """The chain of real runs, recorded before anything was described: name to id."""
    folder = prov_data / "ctapipe-samples/generated/chain_c0320"
    receipts = [client.record(path) for path in sorted(folder.iterdir())]
    assert {r["outcome"] for r in receipts} == {"recorded"}
    return {a["name"]: a["id"] for r in receipts for a in r["activities"]}


@pytest.fixture(scope="module")
def first(chain: dict[str, str], client: ProvClient) -> dict[str, Any]:
    """What became of the example descriptions when they came the first time."""
    lineage = client.lineage("mu_applied.dl2.h5")
    assert not any(a["described"] for a in lineage["activities"])
    return client.put_descriptions(EXAMPLE.read_bytes())


def test_all_are_new_once_and_unchanged_ever_after(
    first: dict[str, Any], client: ProvClient
) -> None:
    document = read_descriptions(EXAMPLE.read_bytes())
    names = [("EntityDescription", e.name, None) for e in document.entities]
    names += [("ActivityDescription", a.name, a.version) for a in document.activities]
    assert [(i["kind"], i["name"], i["version"]) for i in first["items"]] == names
    assert {item["outcome"] for item in first["items"]} == {"new"}
    again = client.put_descriptions(EXAMPLE.read_bytes())
    assert {item["outcome"] for item in again["items"]} == {"unchanged"}
    as_json = json.dumps(to_json(document)).encode()
    same = client.put_descriptions(as_json)
    assert {item["outcome"] for item in same["items"]} == {"unchanged"}


def test_they_come_back_as_they_went_in(first: dict[str, Any], client: ProvClient) -> None:
    """In an order of their own: of their names."""

    def in_order(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: in_order(item) for key, item in value.items()}
        if isinstance(value, list):
            return sorted(map(in_order, value), key=lambda v: json.dumps(v, sort_keys=True))
        return value

    sent = to_json(read_descriptions(EXAMPLE.read_bytes()))
    assert in_order(client.descriptions()) == in_order(sent)


def test_what_was_recorded_before_is_described_from_then_on(
    first: dict[str, Any], chain: dict[str, str], client: ProvClient
) -> None:
    lineage = client.lineage("mu_applied.dl2.h5")
    assert all(a["described"] for a in lineage["activities"])
    found = client.activity(chain["ctapipe-process"])["description"]
    assert (found["name"], found["version"], found["type"]) == (
        "ctapipe-process", "0.32.0", "Reconstruction",
    )  # fmt: skip
    usage = next(u for u in found["usages"] if u["role"] == "DL0/Event")
    assert usage["entity_description"] == "Simulated raw events"


def test_a_description_without_version_holds_for_every_version(
    first: dict[str, Any], client: ProvClient, prov_data: Path
) -> None:
    log = prov_data / "ctapipe-samples/generated/c0280/01_process_gamma_dl1.provenance.log"
    run = client.record(log)["activities"][0]["id"]
    assert client.activity(run)["description"] is None
    general = {"schema": "descriptions.v1", "activities": [{"name": "ctapipe-process"}]}
    client.put_descriptions(json.dumps(general).encode())
    assert client.activity(run)["description"]["name"] == "ctapipe-process"
    assert "version" not in client.activity(run)["description"]


def test_what_changes_is_named_field_by_field_and_a_dry_run_changes_nothing(
    first: dict[str, Any], client: ProvClient
) -> None:
    changed = client.descriptions()
    merge = next(a for a in changed["activities"] if a["name"] == "ctapipe-merge")
    before = merge["description"]
    merge["description"] = "Put files together"
    merge["parameters"] = [{"name": "MergeTool.overwrite", "value_type": "boolean"}]
    body = json.dumps(changed).encode()
    held = client.descriptions()
    for dry_run in (True, False):
        answer = client.put_descriptions(body, dry_run=dry_run)
        (item,) = [i for i in answer["items"] if i["outcome"] != "unchanged"]
        assert (item["name"], item["outcome"]) == ("ctapipe-merge", "changed")
        fields = {c["field"]: c for c in item["changes"]}
        assert set(fields) == {"description", "parameters"}
        assert fields["description"]["from"] == before
        assert fields["description"]["to"] == "Put files together"
        assert [p["name"] for p in fields["parameters"]["to"]] == ["MergeTool.overwrite"]
        assert (client.descriptions() == held) is dry_run
    assert client.descriptions() == changed


def test_names_sort_the_same_here_and_in_any_database(client: ProvClient) -> None:
    """Else the second time says "changed"."""
    roles = ["b", "B", "a", "É", "e", "_x", "é z", "Z", "zé", "10", "9"]
    document = {
        "schema": "descriptions.v1",
        "activities": [
            {
                "name": "sorting",
                "usages": [{"role": role} for role in roles],
                "parameters": [{"name": role, "value_type": "char"} for role in roles],
                "config_files": [{"name": r, "content_type": "text/plain"} for r in roles],
            }
        ],
    }
    outcomes = [
        client.put_descriptions(json.dumps(document).encode())["items"][0]["outcome"]
        for _ in range(2)
    ]
    assert outcomes == ["new", "unchanged"]


def test_a_file_in_a_described_role_is_a_config_file(
    first: dict[str, Any], chain: dict[str, str], database: Database, client: ProvClient
) -> None:
    def config_files() -> set[tuple[str, str]]:
        with database.transaction() as session:
            rows = session.execute(text(
                "SELECT a.name, f.name FROM prov.config_file f "
                "JOIN prov.activity a USING (activity_id)"
            ))  # fmt: skip
            return {(activity, file) for activity, file in rows}

    train = ("ctapipe-train-energy-regressor", "train.yaml")
    applied = ("ctapipe-apply-models", "energy.pkl")
    assert train in config_files()
    assert applied not in config_files()
    held = client.descriptions()
    apply_models = next(a for a in held["activities"] if a["name"] == "ctapipe-apply-models")
    run = client.activity(chain["ctapipe-apply-models"])
    role = next(u["role"] for u in run["used"] if u["name"] == "energy.pkl")
    apply_models["config_files"] = [{"name": role, "content_type": "application/x-pickle"}]
    client.put_descriptions(json.dumps(held).encode())
    assert {train, applied} <= config_files()


@pytest.mark.parametrize(
    ("body", "error", "message", "details"),
    [
        (b"schema: descriptions.v1\nactivities: [{nam: x}]", DocumentError,
         "line 2, /activities/0: expected the field 'name'", {"pointer": "/activities/0"}),
        (b"schema: descriptions.v1\nactivities: {", DocumentError, "line 2", {"line": 2}),
        (b'{"schema": "descriptions.v1", "activities": [', JsonSyntaxError, "column 46",
         {"offset": 45}),
        (b'{"schema": "descriptions.v2"}', DocumentError, "expected the text descriptions.v1",
         {"pointer": "/schema", "found": '"descriptions.v2"'}),
        (b"\xff\xfe", DocumentError, "not UTF-8", {"offset": 0}),
        (b"", DocumentError, "expected an object", {"pointer": "", "found": "null"}),
        (b"just words", DocumentError, "expected an object", {"found": '"just words"'}),
        (b"schema: descriptions.v1\nactivities: [{name: x, usages: [{role: r, "
         b"entity_description: nowhere}]}]", DocumentError,
         "no entity description is called 'nowhere'",
         {"pointer": "/activities/0/usages/0/entity_description"}),
    ],
)  # fmt: skip
def test_a_wrong_document_changes_nothing(
    client: ProvClient,
    body: bytes,
    error: type[ProvError],
    message: str,
    details: dict[str, Any],
) -> None:
    held = client.descriptions()
    with pytest.raises(error) as caught:
        client.put_descriptions(body)
    assert message in caught.value.message
    assert details.items() <= caught.value.details.items()
    assert client.descriptions() == held


def test_only_a_curator_describes(app_url: str, make_token: Any) -> None:
    for role in ("reader", "recorder"):
        with (
            ProvClient(app_url, make_token(role)) as other,
            pytest.raises(AuthorisationError, match="curator"),
        ):
            other.put_descriptions(EXAMPLE.read_bytes())
    with ProvClient(app_url, make_token("curator")) as other:
        other.put_descriptions(EXAMPLE.read_bytes(), dry_run=True)
