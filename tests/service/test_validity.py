"""A document that violates PROV-CONSTRAINTS is recorded, and what it violates stays with it."""

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from service.captured import work_at

from client_scripts import add_prov, trace, validate
from provmanager.client import ProvClient
from provmanager.logic import validity

# what cwltool writes: the start of the run is later than the start time of its activity
DOCUMENT = """document
  prefix x <https://example.org/validity/{world}/>
  entity(x:in)
  entity(x:out)
  activity(x:run, 2026-01-01T00:00:00.000100, 2026-01-01T00:01:00)
  wasStartedBy(x:run, -, -, 2026-01-01T00:00:00.000200)
  used(x:run, x:in, -)
  wasGeneratedBy(x:out, x:run, -)
endDocument
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_url: str, token: str) -> Path:
    return work_at(app_url, token, tmp_path, monkeypatch)


def run(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command.main, list(arguments))


def recorded(client: ProvClient, world: str, *, valid: bool = False) -> dict:
    text = DOCUMENT.replace("{world}", world)
    return client.record((text.replace("000200", "000100") if valid else text).encode())


def test_the_receipt_says_which_rules_a_document_violates(client: ProvClient):
    first, again = recorded(client, "receipt"), recorded(client, "receipt")
    assert (first["outcome"], again["outcome"]) == ("recorded", "unchanged")
    assert first["validity"] == again["validity"]
    assert first["validity"]["violations"] == 1
    [rule] = first["validity"]["rules"]
    assert (rule["number"], rule["name"], rule["count"]) == (28, "unique-startTime", 1)
    assert "x:run has two values of startTime" in rule["message"]
    assert recorded(client, "valid", valid=True)["validity"] == {"violations": 0, "rules": []}


def test_a_document_of_another_format_is_not_checked(client: ProvClient):
    told = {
        "schema": "provmanager/activity.v1",
        "id": "5f0c1f0e-0000-4000-8000-0000000000c1",
        "name": "tool",
        "status": "completed",
        "started_at": "2026-01-01T00:00:00Z",
    }
    assert client.record(json.dumps(told).encode())["validity"] is None


def test_a_very_large_document_is_recorded_unchecked(
    client: ProvClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(validity, "MOST_STATEMENTS", 5)
    receipt = recorded(client, "large")
    assert (receipt["outcome"], receipt["validity"]) == ("recorded", None)


def test_product_and_run_wear_the_badge_and_name_the_document(
    client: ProvClient, app_url: str, token: str
):
    receipt = recorded(client, "badge")
    headers = {"Authorization": f"Bearer {token}"}
    out = next(e["id"] for e in receipt["entities"] if e["name"] == "out")
    for place in (f"product/{out}", f"activity/{receipt['activities'][0]['id']}"):
        page = httpx.get(f"{app_url}/{place}.json", headers=headers).json()
        texts = [badge["text"] for badge in page["badges"]]
        assert "Violates PROV-CONSTRAINTS 1" in texts
        [document] = page["documents"]
        assert (document["violations"], document["rules"][0]["number"]) == (1, 28)
        html = httpx.get(f"{app_url}/{place}", headers=headers | {"Accept": "text/html"}).text
        assert "Constraint 28 (unique-startTime)" in html


def test_a_valid_document_gives_no_badge(client: ProvClient, app_url: str, token: str):
    receipt = recorded(client, "none", valid=True)
    page = httpx.get(
        f"{app_url}/activity/{receipt['activities'][0]['id']}.json",
        headers={"Authorization": f"Bearer {token}"},
    ).json()
    assert not any("PROV-CONSTRAINTS" in badge["text"] for badge in page["badges"])
    assert [d["violations"] for d in page["documents"]] == [0]


def test_recording_and_tracing_on_the_command_line_tell_of_it(folder: Path):
    (folder / "run.provn").write_text(DOCUMENT.replace("{world}", "line"))
    added = run(add_prov, "run.provn")
    assert added.exit_code == 0, added.output
    assert "violates Constraint 28 (unique-startTime)" in added.stdout
    traced = run(trace, "https://example.org/validity/line/out")
    assert traced.exit_code == 0, traced.output
    assert "violates PROV-CONSTRAINTS 1" in traced.stderr


def test_the_lineage_of_a_product_or_run_is_validated(folder: Path, client: ProvClient):
    receipt = recorded(client, "lineage")
    # what the record made of it has one start time, so it is valid
    for ref in ("https://example.org/validity/lineage/out", receipt["activities"][0]["id"]):
        result = run(validate, "--json", ref)
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        assert (answer["outcome"], answer["format"]) == ("valid", "prov-json")
        assert answer["statements"] >= 3


def test_a_lineage_that_cannot_have_happened_is_told_with_its_chain(
    folder: Path, client: ProvClient
):
    client.record(b"""document
      prefix x <https://example.org/validity/cycle/>
      entity(x:a) entity(x:b)
      wasDerivedFrom(x:a, x:b) wasDerivedFrom(x:b, x:a)
    endDocument""")
    result = run(validate, "https://example.org/validity/cycle/a")
    assert result.exit_code == 5, result.output
    assert "Constraint 42" in result.stdout
    assert "strictly precedes" in result.stdout


def test_what_nobody_recorded_is_not_found(folder: Path):
    assert run(validate, "https://example.org/validity/nothing").exit_code == 3
