"""What is said of products afterwards: marked as invalid, taken back, verified; in any order."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from service.snapshot import difference, empty

from client_scripts import impact, search, trace, verify
from provmanager.client import ProvClient
from provmanager.errors import AuthorisationError
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.model import Role
from provmanager.store import canonical
from provmanager.store.database import Database

RAW, MADE, LAST = "raw.fits", "made.fits", "last.fits"


def run(name: str, folder: Path, source: str, made: str) -> bytes:
    def flow(file: str) -> dict[str, str]:
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        return {"url": f"file://{folder}/{file}", "sha256": digest}

    told = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": name,
        "status": "completed",
        "configuration": {"cut": 5},
        "environment": {"packages": [{"name": "scipy", "version": "1.11.0"}]},
        "inputs": [flow(source)],
        "outputs": [flow(made)],
    }
    return json.dumps(told).encode()


@pytest.fixture
def world(
    client: ProvClient, database: Database, app_url: str, make_token: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:  # fmt: skip
    """Three files in a row, here and recorded; the environment is a curator's."""
    for name in (RAW, MADE, LAST):
        (tmp_path / name).write_text(f"{name} in {tmp_path}")
    client.record(run("make", tmp_path, RAW, MADE), name="make.json")
    client.record(run("end", tmp_path, MADE, LAST), name="end.json")
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("curator"))
    monkeypatch.chdir(tmp_path)
    yield client
    empty(database)


def command(main: Any, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def badges(client: ProvClient, name: str) -> list[str]:
    product = client.resolve(name)["id"]
    page = client._transport.json("GET", f"/product/{product}.json")
    return [badge["text"] for badge in page["badges"]]


@pytest.mark.parametrize(
    ("asked", "marked"),
    [
        ([MADE], {MADE, LAST}),
        (["--software", "scipy==1.11.0"], {MADE, LAST}),
        (["--parameter", "cut=5"], {MADE, LAST}),
        (["--activity", "end"], {LAST}),
    ],
)
def test_everything_that_came_of_it_is_marked_and_seen_everywhere(world, asked, marked):
    code, said, _ = command(impact.main, *asked, "--invalidate", "lid closed", "--json")
    assert code == 0
    assessment = json.loads(said)["assessment"]
    for name in (RAW, MADE, LAST):
        assert ("Marked invalid" in badges(world, name)) == (name in marked)
    assert ("1 invalid upstream" in badges(world, LAST)) == (MADE in marked)
    told = world.entity(world.resolve(LAST)["id"])["assessments"]
    assert [(a["assessment_uuid"], a["reason"]) for a in told] == [(assessment, "lid closed")]
    lineage = world.lineage(LAST)
    names = {e["id"]: e["name"] for e in lineage["entities"]}
    assert {names[i["entity"]] for i in lineage["invalid"]} == marked
    assert "marked as invalid" in command(trace.main, LAST)[2]
    found = {p["name"]: p["is_invalid"] for p in world.search_products()["items"]}
    assert {name for name, is_invalid in found.items() if is_invalid} == marked
    assert "last.fits (invalid)" in command(search.main, "--name", LAST)[1]
    activity = world.activity(assessment)
    assert (activity["name"], activity["comment"]) == ("invalidate", "lid closed")


def test_a_marking_is_taken_back_and_its_history_stays(world):
    said = command(impact.main, MADE, "--invalidate", "lid closed", "--json")[1]
    assessment = json.loads(said)["assessment"]
    code, revocation, _ = command(impact.main, "--revoke", assessment, "it was run 13")
    assert code == 0
    assert "Marked invalid" not in badges(world, MADE)
    assert world.lineage(LAST)["invalid"] == []
    (told,) = world.entity(world.resolve(MADE)["id"])["assessments"]
    assert (told["reason"], told["revoked_by"]) == ("lid closed", revocation.strip())
    assert told["revoked_reason"] == "it was run 13"
    assert command(impact.main, "--revoke", revocation.strip(), "x")[0] == 2
    assert command(impact.main, "--revoke", str(uuid4()), "x")[0] == 3
    assert command(impact.main, MADE, "--revoke", assessment, "x")[0] == 2


def test_only_a_curator_marks(world, make_token, monkeypatch):
    monkeypatch.setenv("PROV_TOKEN", make_token("recorder"))
    assert command(impact.main, MADE, "--invalidate", "x")[0] == 4
    assert "Marked invalid" not in badges(world, MADE)
    told = {"schema": "provmanager/assessment.v1", "id": str(uuid4()), "kind": "revocation",
            "at": "2026-01-01T00:00:00Z", "reason": "x", "revokes": str(uuid4())}  # fmt: skip
    with ProvClient(world.url, make_token("recorder")) as recorder:
        with pytest.raises(AuthorisationError, match="role curator"):
            recorder.record(json.dumps(told).encode())
        (item,) = recorder.record_batch([("a", json.dumps(told).encode())])["items"]
    assert item["error"]["code"] == "not_authorised"


def test_a_verification_is_recorded_and_the_page_says_when(world, make_token, monkeypatch):
    monkeypatch.setenv("PROV_TOKEN", make_token("recorder"))
    assert "Digests 3 of 3" in badges(world, LAST)
    names = (RAW, MADE, LAST)
    assert command(verify.main, *names, "--record")[0] == 0
    (badge,) = [b for b in badges(world, LAST) if b.startswith("Digests")]
    assert badge.startswith("Digests verified 3 of 3, 20")
    Path(MADE).write_text("something else")
    assert command(verify.main, *names, "--record")[0] == 5
    (badge,) = [b for b in badges(world, LAST) if b.startswith("Digests")]
    assert badge.startswith("Digests verified 2 of 3, 1 differ, 20")
    told = world.entity(world.resolve(f"file://{Path.cwd()}/{MADE}")["id"])["assessments"]
    assert [a["outcome"] for a in told] == ["differs", "ok"]
    monkeypatch.setenv("PROV_TOKEN", make_token("reader"))
    assert command(verify.main, RAW, "--record")[0] == 4


def test_assessments_make_the_same_record_in_any_order(database, tmp_path):
    for name in (RAW, MADE):
        (tmp_path / name).write_text(name)
    ids = [str(uuid4()) for _ in range(3)]
    product = str(uuid4())

    def said(number: int, kind: str, **more: Any) -> bytes:
        told = {"schema": "provmanager/assessment.v1", "id": ids[number], "kind": kind,
                "at": f"2026-01-0{number + 1}T00:00:00Z"}  # fmt: skip
        return json.dumps(told | more).encode()

    documents = [
        run("make", tmp_path, RAW, MADE),
        said(0, "invalidation", reason="x", entities=[{"id": product}]),
        said(1, "revocation", reason="y", revokes=ids[0]),
        said(2, "verification", entities=[{"id": product, "outcome": "ok"}]),
    ]
    found = []
    for order in itertools.permutations(documents):
        with database.transaction() as session:
            for data in order:
                (done,) = record(session, [Source(data, role=Role.CURATOR)], policy=IngestPolicy())
                assert done.error is None
            found.append({n: sorted(canonical.rows(session, n)) for n in canonical.RELATIONS})
            session.rollback()
    assert all(difference(found[0], other) == {} for other in found[1:])
    assert len(found[0]["assessment"]) == 3
