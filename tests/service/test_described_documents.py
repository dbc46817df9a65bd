"""Descriptions are documents like any other: logged, replayed, and the latest stands."""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from service.snapshot import difference, recorded, snapshot
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.client.log_check import verify_log
from provmanager.client.rows_check import proved_by_leaves, verify_rows
from provmanager.errors import AuthorisationError, DocumentError
from provmanager.formats import read
from provmanager.formats.description_document import read_descriptions
from provmanager.logic import archive
from provmanager.logic.descriptions import all_descriptions, document_earlier, save_descriptions
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.model import Role
from provmanager.store.database import Database, open_database
from provmanager.store.migrations import migrate
from sql import migrations

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
POLICY = IngestPolicy()


def said(at: str, *activities: dict[str, Any], entities: tuple[dict[str, Any], ...] = ()) -> bytes:
    told = {"schema": "descriptions.v1", "stated_at": at, "activities": activities}
    return json.dumps({**told, "entities": entities} if entities else told).encode()


FIRST = said(
    "2026-01-01T00:00:00Z",
    {"name": "a", "description": "first", "parameters": [{"name": "p", "value_type": "int"}]},
    {"name": "b", "usages": [{"role": "r", "entity_description": "events"}]},
)
SECOND = said(
    "2026-01-02T00:00:00Z",
    {"name": "a", "description": "second"},
    entities=({"name": "events", "content_type": "application/fits"},),
)
THIRD = said("2026-01-02T00:00:00Z", {"name": "a", "description": "third"}, {"name": "b"})


def test_the_latest_stands_in_any_order_and_grouping(database: Database) -> None:
    documents = [FIRST, SECOND, THIRD]
    at_once, refused = recorded(database, POLICY, [documents])
    assert not refused
    for order in itertools.permutations(documents):
        again, _ = recorded(database, POLICY, [[d] for d in (*order, order[0])])
        assert difference(at_once, again) == {}
    (a,) = [r for r in map(json.loads, at_once["activity_description"]) if r["name"] == "a"]
    assert a["description"] in ("second", "third")  # of one instant: by digest
    assert at_once["parameter_description"] == []
    assert len(at_once["entity_description"]) == 1


def test_descriptions_that_do_not_say_when_are_not_recorded_as_they_are() -> None:
    with pytest.raises(DocumentError, match="prod-init-prov") as caught:
        read(b'{"schema": "descriptions.v1", "activities": [{"name": "a"}]}')
    assert caught.value.details["pointer"] == "/stated_at"
    with pytest.raises(DocumentError, match="instant with a zone"):
        read(said("yesterday", {"name": "a"}))


def test_only_a_curator_delivers_them(app_url: str, make_token: Callable[..., str]) -> None:
    with (
        ProvClient(app_url, make_token("recorder")) as other,
        pytest.raises(AuthorisationError, match="curator"),
    ):
        other.record(FIRST)


def test_what_is_set_is_a_document_once_and_in_the_log(client: ProvClient) -> None:
    body = b'{"schema": "descriptions.v1", "activities": [{"name": "logged", "docurl": "x"}]}'
    assert client.put_descriptions(body, dry_run=True)["document"] is None
    sha256 = client.put_descriptions(body)["document"]
    assert sha256 is not None
    assert client.put_descriptions(body)["document"] is None
    stored = read_descriptions(client.document(sha256))
    assert (stored.activities[0].name, stored.stated_at is None) == ("logged", False)
    size = client.log_checkpoint()["size"]
    entry = json.loads(client.log_inclusion(sha256, size)["entry"])
    assert (entry["sha256"], entry["format"]) == (sha256, "descriptions")
    # a clock that went back, or another server's: what is said now stands all the same
    client.record(said("2031-01-01T00:00:00Z", {"name": "logged", "docurl": "late"}))
    client.put_descriptions(body)
    assert client.put_descriptions(body)["document"] is None
    assert client.descriptions()["activities"] == [{"name": "logged", "docurl": "x"}]


@pytest.fixture
def empty_database(make_database_url: Callable[[], str]) -> Iterator[Database]:
    opened = open_database(make_database_url())
    yield opened
    opened.close()


INVALID = Path(__file__).resolve().parents[2] / "schemas/examples/assessment.v1.invalidation.json"


def test_an_archive_has_what_only_curators_say(
    empty_database: Database, make_database_url: Callable[[], str], tmp_path: Path
) -> None:
    with empty_database.transaction() as session:
        for body in (SECOND, FIRST):
            told = read_descriptions(body)
            save_descriptions(session, told, policy=POLICY, by="a curator")
        mark = Source(INVALID.read_bytes(), role=Role.CURATOR)
        assert record(session, [mark], policy=POLICY)[0].error is None
        before = snapshot(session)
    file = tmp_path / "record.tar.gz"
    key = Ed25519PrivateKey.generate()
    with file.open("wb") as target:
        assert archive.write_archive(
            empty_database, target, key=key, around=archive.Around(), now=NOW
        ) == 3  # fmt: skip
    restored = open_database(make_database_url())
    archive.read_archive(restored, file, around=archive.Around())
    with restored.transaction() as session:
        assert difference(before, snapshot(session)) == {}
    restored.close()


OLD = """
INSERT INTO prov.entity_description (name, content_type) VALUES ('events', 'application/fits');
INSERT INTO prov.activity_description (name, version, docurl) VALUES ('a', '1.0', 'x');
INSERT INTO prov.flow_description (activity_description_id, direction, role, entity_description_id)
SELECT activity_description_id, 'usage', 'r', entity_description_id
FROM prov.activity_description, prov.entity_description;
"""


def test_descriptions_of_an_older_database_become_a_document_once(postgresql: Any) -> None:
    scripts = migrations()
    before = [s for s in scripts if s[0] < "0012_log"]
    outer = open_database(postgresql.url)
    with outer.statements() as session:
        session.execute(text("CREATE DATABASE before_documents"))
    old = open_database(postgresql.url.replace("/prov?", "/before_documents?"))
    try:
        migrate(old, before)
        with old.transaction() as session:
            session.execute(text(OLD))
        migrate(old)
        with old.transaction() as session:
            held = all_descriptions(session)
            assert document_earlier(session, policy=POLICY)
            assert not document_earlier(session, policy=POLICY)
            assert all_descriptions(session) == held
            stored = session.execute(text("SELECT format, size_bytes FROM prov.document")).all()
            there = snapshot(session)
        assert [row[0] for row in stored] == ["descriptions"]
        assert held.activities[0].usages[0].entity_description == "events"
        assert all(json.loads(r)["document"] for r in there["activity_description"])
    finally:
        old.close()
        with outer.statements() as session:
            session.execute(text("DROP DATABASE before_documents WITH (FORCE)"))
        outer.close()


def test_a_changed_description_is_named(
    client: ProvClient, database: Database, make_scratch: Callable[[], Any]
) -> None:
    client.record(FIRST)
    scratch = make_scratch()

    def wrong() -> list[tuple[str, str]]:
        log = verify_log(client)
        prove = proved_by_leaves(log)
        found = [*log.findings, *verify_rows(client, scratch, prove, suspects=log.suspects)]
        return [(f.what, f.message) for f in found if f.outcome != "ok"]

    assert wrong() == []
    with database.transaction() as session:
        session.execute(text("UPDATE prov.flow_description SET entity_description = 'images'"))
    assert wrong() == [(
        "flow_description b, usage, r",
        'entity_description is "images", its documents give "events"',
    )]  # fmt: skip
