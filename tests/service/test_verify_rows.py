"""Rows against documents: what is changed in the tables is found and named, and nothing else."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from client_scripts.verify import main
from provmanager.client import ProvClient
from provmanager.client.findings import Finding
from provmanager.client.log_check import verify_log
from provmanager.client.rows_check import proved_by_leaves, proved_one_by_one, verify_rows
from provmanager.formats import checkpoint as notes
from provmanager.logic.rebuilding import Scratch
from provmanager.store.database import Database

RUNS = {name: f"00000000-0000-4000-8000-{i:012d}" for i, name in enumerate("abcdx", 1)}


def run(name: str, number: int, inputs: list[str], outputs: list[str]) -> bytes:
    def flow(url: str, role: str) -> dict[str, str]:
        digest = hashlib.sha256(f"{url}, new".encode() if number > 4 else url.encode()).hexdigest()
        return {"url": f"/d/{url}", "sha256": digest, "role": role}

    told = {
        "schema": "provmanager/activity.v1",
        "id": RUNS[name],
        "name": f"tool-{name}",
        "version": "1.0",
        "status": "completed",
        "exit_code": 0,
        "started_at": f"2026-01-01T00:0{number}:00Z",
        "ended_at": f"2026-01-01T00:0{number}:30Z",
        "host": {"name": "node"},
        "configuration": {"cut": number, "mode": "fast"},
        "environment": {"packages": [{"name": "numpy", "version": "2.1"}]},
        "agent": {"id": "mailto:who@example.org", "name": "Who", "role": "operator"},
        "inputs": [flow(i, "data") for i in inputs],
        "outputs": [flow(o, "result") for o in outputs],
    }
    return json.dumps(told).encode()


W3C = b"""document
  prefix ex <http://example.org/>
  entity(ex:plan, [prov:label="Plan"])
  entity(ex:draft)
  activity(ex:writing, 2026-01-01T00:00:00, 2026-01-01T00:10:00)
  wasGeneratedBy(ex:plan, ex:writing, -)
  wasDerivedFrom(ex:plan, ex:draft)
endDocument
"""
SECRET = b'{"schema": "provmanager/activity.v1", "id": "00000000-0000-4000-8000-0000000000ff", \
"name": "fetch", "arguments": ["curl", "--password=hunter2hunter2"], \
"outputs": [{"url": "/d/fetched"}]}'
FILES = {
    "a.json": run("a", 1, ["raw"], ["one"]),
    "b.json": run("b", 2, ["one", "flat"], ["two"]),
    "c.json": run("c", 3, ["two"], ["three"]),
    "d.json": run("d", 4, ["other"], ["four"]),
    "x.json": run("x", 5, ["two"], ["one"]),  # writes the path of a's output again
    "plan.provn": W3C,
    "secret.json": SECRET,
}


@pytest.fixture
def client(client: ProvClient, database: Database) -> Iterator[ProvClient]:
    """A client of a server with a few runs, and nothing wrong with them."""
    for name, document in FILES.items():
        client.record(document, name=name)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE was AS TABLE prov.environment"))
    yield client
    with database.transaction() as session:
        session.execute(text("TRUNCATE prov.document, prov.log_checkpoint, prov.log_node CASCADE"))
        session.execute(text("TRUNCATE prov.activity, prov.entity, prov.agent CASCADE"))
        session.execute(text("TRUNCATE prov.edge, prov.contradiction"))
        session.execute(text("UPDATE prov.package SET version = '2.1'"))
        session.execute(
            text(
                "UPDATE prov.environment e SET content = was.content FROM was "
                "WHERE was.environment_id = e.environment_id; DROP TABLE was"
            )
        )


def check(client: ProvClient, scratch: Scratch, of: str | None = None) -> list[Finding]:
    if of is not None:
        said = client.log_checkpoint()
        prove = proved_one_by_one(client, notes.verify(said["note"], said["key"]))
        return list(verify_rows(client, scratch, prove, of=of))
    log = verify_log(client)
    prove = proved_by_leaves(log)
    return [*log.findings, *verify_rows(client, scratch, prove, suspects=log.suspects)]


def test_an_intact_record_follows_from_its_documents(client, scratch):
    found = check(client, scratch)
    assert {f.outcome for f in found} == {"ok"}, found
    assert [f.kind for f in found] == ["log", "document", "row"]
    for name in ("three", "one", "four"):
        (row,) = [f for f in check(client, scratch, product(client, name)) if f.kind == "row"]
        assert row.outcome == "ok", row


def product(client: ProvClient, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    found = client.resolve(f"sha256:{digest}")
    return str(found["id"])


A, B = RUNS["a"], RUNS["b"]
OF_A = f"activity_id = (SELECT activity_id FROM prov.activity WHERE activity_uuid = '{A}')"
ENTITY = "(SELECT entity_id FROM prov.entity WHERE encode(sha256, 'hex') = '%s')"
ONE, TWO = (ENTITY % hashlib.sha256(n.encode()).hexdigest() for n in ("one", "two"))
CHANGES = [
    (f"UPDATE prov.activity SET exit_code = 1 WHERE {OF_A}", f"activity {A} (tool-a)", "exit_code"),
    (
        f"UPDATE prov.activity SET started_at = started_at - interval '1 s' WHERE {OF_A}",
        f"activity {A} (tool-a)",
        "2026-01-01T00:00:59",
    ),
    (
        f"UPDATE prov.activity SET overrides = '{{\"cut\": 9}}' WHERE {OF_A}",
        f"activity {A} (tool-a)",
        '"cut": 9',
    ),
    (
        "UPDATE prov.activity SET activity_uuid = '00000000-0000-4000-8000-0000000000aa' "
        f"WHERE {OF_A}",
        f"activity {A} (tool-a)",
        "it stands as",
    ),
    (
        f"UPDATE prov.entity SET size_bytes = 7 WHERE entity_id = {ONE}",
        "entity ",
        "size_bytes is 7",
    ),
    (
        f"UPDATE prov.entity SET sha256 = decode('{'0' * 64}', 'hex') WHERE entity_id = {TWO}",
        "entity ",
        "sha256 is",
    ),
    (f"DELETE FROM prov.used WHERE entity_id = {ONE}", f"used {B}", "it is gone"),
    (
        f"UPDATE prov.used SET entity_id = {TWO} WHERE entity_id = {ONE}",
        f"used {B}",
        "entity is",
    ),
    ("UPDATE prov.agent SET email = 'else@x'", "agent mailto:who@example.org", "else@x"),
    ("UPDATE prov.environment SET content = '{}'", "environment ", "content is {}"),
    ("UPDATE prov.package SET version = '2.2'", "package ", "version is"),
    (
        "DELETE FROM prov.edge WHERE target_id IN (SELECT activity_id FROM prov.activity "
        f"WHERE activity_uuid = '{B}')",
        f"edge {B}",
        "it is gone",
    ),
    ("UPDATE prov.statement SET attributes = '{}' WHERE ordinal = 0", "statement ", "attributes"),
    ("UPDATE prov.constraint_check SET n_violations = 2", "constraint_check ", "n_violations is 2"),
    ("DELETE FROM prov.was_derived_from", "was_derived_from ", "it is gone"),
    ("UPDATE prov.document SET reason = 'x' WHERE source_name = 'a.json'", "document ", "reason"),
    (
        "INSERT INTO prov.contradiction (subject_uuid, subject_kind, field, held, claimed, "
        f"message) VALUES ('{A}', 'activity', 'name', 'x', 'y', 'z')",
        f"contradiction {A}, name",
        "follows from no document",
    ),
]


@pytest.mark.parametrize(("change", "what", "message"), CHANGES)
def test_a_changed_row_is_named_and_nothing_else(
    client, database, scratch, change: str, what: str, message: str
):
    client.log_checkpoint()
    with database.transaction() as session:
        session.execute(text(change))
    found = [f for f in check(client, scratch) if f.outcome != "ok"]
    with database.transaction() as session:
        session.execute(
            text("UPDATE prov.link_rule SET basis = 'inferred' WHERE name = 'location-version'")
        )
    assert len(found) == 1, found
    (only,) = found
    assert (only.kind, only.outcome) == ("row", "differs")
    assert only.what.startswith(what), only
    assert message in only.message, only


def change_document(session, what: str) -> None:
    session.execute(text(f"UPDATE prov.document SET {what} WHERE source_name = 'b.json'"))


def flip_document(session) -> None:
    row = session.execute(
        text("SELECT document_id, content FROM prov.document WHERE source_name = 'b.json'")
    ).one()
    content = bytearray(zlib.decompress(bytes(row.content)))
    content[content.index(b"tool-b")] ^= 1
    session.execute(
        text("UPDATE prov.document SET content = :c WHERE document_id = :i"),
        {"c": zlib.compress(bytes(content)), "i": row.document_id},
    )


@pytest.mark.parametrize(
    ("change", "kind", "what"),
    [
        (flip_document, "document", "document "),
        (lambda s: change_document(s, "received_from = 'x'"), "document", "row of the document of"),
        (lambda s: change_document(s, "source_name = 'x'"), "document", "row of the document of"),
        (lambda s: change_document(s, "n_redactions = 1"), "document", "row of the document of"),
        (lambda s: change_document(s, "format = 'x'"), "document", "row of the document of"),
        (
            lambda s: change_document(s, "received_at = received_at + interval '1 microsecond'"),
            "document",
            "row of the document of",
        ),
        (
            lambda s: change_document(s, "size_bytes = size_bytes + 1"),
            "document",
            "row of the document of",
        ),
        (
            lambda s: change_document(s, "stored_sha256 = sha256('x')"),
            "document",
            "row of the document of",
        ),
        (
            lambda s: change_document(s, "sha256 = set_byte(sha256, 0, get_byte(sha256, 0) # 1)"),
            "document",
            "row of the document of",
        ),
    ],
)
def test_of_a_changed_document_nothing_else_is_told(
    client, database, make_scratch, change: Callable, kind: str, what: str
):
    client.log_checkpoint()
    with database.transaction() as session:
        change(session)
    found = [f for f in check(client, make_scratch()) if f.outcome == "differs"]
    assert len(found) == 1, found
    assert (found[0].kind, found[0].what.startswith(what)) == (kind, True), found


def test_only_the_lineage_of_a_product_is_compared(client, database, scratch):
    with database.transaction() as session:
        session.execute(text("UPDATE prov.activity SET name = 'x' WHERE name = 'tool-d'"))
        session.execute(text("UPDATE prov.activity SET name = 'y' WHERE name = 'tool-b'"))

    def wrong(name: str) -> list[str]:
        found = check(client, scratch, product(client, name))
        return [f.what for f in found if f.outcome != "ok"]

    assert wrong("one") == []
    assert wrong("three") == [f"activity {RUNS['b']} (tool-b)"]
    assert wrong("four") == [f"activity {RUNS['d']} (tool-d)"]


def test_a_damaged_document_of_a_product_is_told_once(
    client, database, app_url, make_token, monkeypatch
):
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("reader"))
    client.log_checkpoint()
    with database.transaction() as session:
        change_document(session, "content = substr(content, 1, length(content) - 9)")
    result = CliRunner().invoke(main, [product(client, "two"), "--json"])
    assert result.exit_code == 5, result.output
    found = [f for f in json.loads(result.stdout)["findings"] if f["outcome"] == "differs"]
    assert [f["kind"] for f in found] == ["document"]
    assert "cannot be decompressed" in found[0]["message"]
    result = CliRunner().invoke(main, ["--all", "--json"])
    found = [f for f in json.loads(result.stdout)["findings"] if f["outcome"] == "differs"]
    assert [f["kind"] for f in found] == ["document"]
    assert re.search(r"can be read up to byte \d+ of \d+ only", found[0]["message"])


def test_the_command_makes_the_record_anew(client, database, app_url, make_token, monkeypatch):
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("reader"))
    with database.transaction() as session:
        session.execute(text("UPDATE prov.activity SET exit_code = 3 WHERE name = 'tool-b'"))
    result = CliRunner().invoke(main, ["--all", "--json"])
    assert result.exit_code == 5
    found = [f for f in json.loads(result.stdout)["findings"] if f["outcome"] == "differs"]
    assert [f["what"] for f in found] == [f"activity {RUNS['b']} (tool-b)"]
    assert CliRunner().invoke(main, ["--all", "--no-rows"]).exit_code == 0
