"""Secrets in records never reach a table, wherever in a record they stand."""

import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from provmanager.client import ProvClient
from provmanager.config.settings import Settings, load_settings
from provmanager.errors import UsageError
from provmanager.logic.redaction import CLUES, load_policy
from provmanager.service.app import create_app
from provmanager.store.database import Database

MARK = "[redacted]"
EXTRA = """\
# telescope control hands these out
(?P<secret>TCU-[0-9]{8})
badge=(?P<secret>\\w+)
"""


@pytest.fixture(scope="module")
def patterns_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("patterns") / "patterns.txt"
    path.write_text(EXTRA)
    return path


@pytest.fixture(scope="module")
def settings(database_url: str, state_dir: Path, patterns_file: Path) -> Settings:
    """A service whose operator has patterns of their own."""
    return load_settings(
        database_url=database_url, state_dir=state_dir, redact_patterns_file=patterns_file
    )


def cells(database: Database) -> Iterator[str]:
    """Yield every row of every table as text; documents as they were before compression."""
    with database.transaction() as session:
        names = session.execute(text(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'prov'"
        )).scalars()  # fmt: skip
        for name in list(names):
            for row in session.execute(text(f"SELECT t::text FROM prov.{name} t")).scalars():
                yield f"{name}: {row}"
        for content in session.execute(text("SELECT content FROM prov.document")).scalars():
            yield "document: " + zlib.decompress(bytes(content)).decode("utf-8", "replace")


# how it stands in a text, with * for the secret, and the secret
TEXTS = [
    ("--password=*", "hunter2=hunter2"),
    ("--db-password *", "hunter3"),
    ("mysql -u x --password *", "hunter4"),
    ("PGPASSWORD=*", "hunter5"),
    ("SECRET_KEY=*", "hunter6"),
    ("https://archive.example.org/x.fits?token=*&size=3", "hunter7"),
    ("https://user:*@archive.example.org/x.fits", "hunter8"),
    ("s3://b/k?X-Amz-Credential=c&X-Amz-Signature=*", "0fcd03hunter9"),
    ("curl -H 'Authorization: Bearer *'", "hunter10.abcdefgh"),
    ("Authorization: Basic *", "aHVudGVyMTE="),
    ("git clone *", "ghp_hunter12abcdefghijklmnopqrstuvwxyz0123"),
    ("see *", "eyJhunter13abc.eyJhunter13abc.hunter13abcdefgh"),
    ("id *", "AKIAHUNTER14ABCDEFGH"),
    ("prod-add-prov with *", "prov_hunter15" + "a" * 35),
    ("*", "-----BEGIN RSA PRIVATE KEY-----\\nhunter16+/=\\n-----END RSA PRIVATE KEY-----"),
    ("api_key=*", "hunter17"),
    ("passphrase%3D*", "hunter18"),
    ("unit TCU-12345678 says badge=*", "hunter19"),
]


def record_with_secrets(merge: bytes) -> tuple[bytes, list[str]]:
    """Return a real record with secrets in its command line, environment, URLs, configuration."""
    (run,) = json.loads(merge)
    lines = [form.replace("*", secret) for form, secret in TEXTS]
    secrets = [secret.replace("\\n", "\n") for _, secret in TEXTS] + ["TCU-12345678"]
    system = run["system"]
    system["arguments"] += [*lines, "--token", "hunter20", "-api-key", "hunter21 with \"quotes'"]
    system["environment"] |= {"DB_PASSWORD": "hunter22", "ACCESS_TOKEN": "hunter'23"}
    run["config"]["Archive"] = {"password": "hunter24", "urls": lines}
    run["input"].append({"url": "https://me:hunter25@example.org/a.fits", "role": "more"})
    run["output"].append({"url": "https://example.org/b.fits?sig=hunter26&v=1", "role": "out"})
    secrets += ["hunter20", "hunter21", "quotes'", "hunter22", "hunter'23", "r'23", "hunter24"]
    secrets += ["hunter25", "hunter26"]
    return json.dumps([run]).encode(), secrets


@pytest.fixture(scope="module")
def sent(prov_data: Path) -> tuple[bytes, list[str]]:
    log = prov_data / "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
    return record_with_secrets(log.read_bytes())


@pytest.fixture(scope="module")
def receipt(client: ProvClient, sent: tuple[bytes, list[str]]) -> dict[str, Any]:
    return client.record(sent[0], name="secrets.json")


def test_no_secret_reaches_any_table(
    receipt: dict[str, Any], sent: tuple[bytes, list[str]], database: Database
) -> None:
    n_cells = 0
    for cell in cells(database):
        n_cells += 1
        for secret in sent[1]:
            assert secret not in cell, cell[:200]
            assert json.dumps(secret)[1:-1] not in cell, cell[:200]
        assert "hunter" not in cell, cell[cell.index("hunter") - 100 :][:200]
    assert n_cells > 100


def test_the_receipt_counts_them(receipt: dict[str, Any], client: ProvClient) -> None:
    """Each of the lines twice: in the command line and in the configuration."""
    n_lines = len(TEXTS) + 2  # of two lines two are hidden
    assert receipt["redactions"] == 2 * n_lines + 2 + 2 + 1 + 2
    stored = client.document(receipt["document"])
    assert stored.count(MARK.encode()) == receipt["redactions"]


def test_what_is_no_secret_stays_readable(
    receipt: dict[str, Any], sent: tuple[bytes, list[str]], client: ProvClient
) -> None:
    run = client.activity(receipt["activities"][0]["id"])
    shown = run["command"]["arguments"]
    for form, _ in TEXTS:
        expected = form.replace("*", MARK).replace("TCU-12345678", MARK)
        assert expected.replace("Credential=c", f"Credential={MARK}") in shown
    assert shown[-4:] == ["--token", MARK, "-api-key", MARK]
    variables = run["environment"]["variables"]
    assert (variables["DB_PASSWORD"], variables["ACCESS_TOKEN"]) == (MARK, MARK)
    assert variables["USER"] == json.loads(sent[0])[0]["system"]["environment"]["USER"]
    assert run["configuration"]["Archive.password"] == MARK
    names = {x["location"] for x in (*run["used"], *run["generated"])}
    assert any("example.org/a.fits" in name and "hunter" not in name for name in names)
    assert any("v=1" in name and "sig=" in name for name in names)


def test_the_document_is_found_by_both_digests_and_again_is_no_news(
    receipt: dict[str, Any], sent: tuple[bytes, list[str]], client: ProvClient
) -> None:
    assert client.record(sent[0])["outcome"] == "unchanged"
    stored = client.document(receipt["document"])
    assert json.loads(stored)[0]["activity_name"] == "ctapipe-merge"
    run = client.activity(receipt["activities"][0]["id"])
    assert run["documents"][0]["sha256"] == receipt["document"]
    assert client.record(stored)["redactions"] == 0  # nothing is hidden twice


def test_the_name_of_a_file_is_looked_through_too(
    client: ProvClient, database: Database, prov_data: Path
) -> None:
    log = prov_data / "ctapipe-samples/generated/chain_c0320/05_train_energy.provenance.log"
    client.record(log.read_bytes(), name="download?token=hunter30")
    with database.transaction() as session:
        names = list(session.execute(text("SELECT source_name FROM prov.document")).scalars())
    assert f"download?token={MARK}" in names


def test_no_word_of_a_pattern_is_passed_over_by_the_first_look() -> None:
    words = {word for words, _ in load_policy().patterns for word in words}
    assert [word for word in words if not any(clue in word for clue in CLUES)] == []


def test_a_variable_in_a_list_of_names_and_values_is_hidden() -> None:
    said = '[{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "tokenize", "value": "yes"}]'
    hidden, n = load_policy().apply(said.encode())
    assert (hidden.decode(), n) == (said.replace("hunter2", MARK), 1)


def test_records_without_secrets_are_kept_to_the_byte(prov_data: Path) -> None:
    """None of the real ones has any: nothing is taken for a secret that is none."""
    policy = load_policy()
    folders = ("ctapipe-samples", "cwlprov", "lstosa", "prov-lib-3.2.3", "ivoa-opus")
    paths = [p for f in folders for p in sorted((prov_data / f).rglob("*")) if p.is_file()]
    assert len(paths) > 1000
    assert [path for path in paths if policy.apply(path.read_bytes())[1]] == []


@pytest.mark.parametrize(
    "innocent",
    [
        '"packages": [{"name": "tokenize-rt", "version": "6.0"}, {"name": "keyring"}]',
        '"token_type": "bearer", "n_tokens": 4',
        '["passed", "--token-count", "3"]',
        "file://vm/data/prov_server_documents_2026-11-21.json",
        '"url": "https://example.org:8080/a@b/c"',
        '"comment": "two-token grammar, secret santa"',
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_words_that_only_sound_like_it_stay(innocent: str) -> None:
    assert load_policy().apply(innocent.encode()) == (innocent.encode(), 0)


@pytest.mark.parametrize(
    "hostile",
    ["password= ", '--token", "', "http://a:", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaaaa.",
     "Bearer ", '"-', "-password "],
)  # fmt: skip
def test_it_takes_time_in_proportion_to_the_length(hostile: str) -> None:
    """The time is that of the process: others may be at work on the machine."""
    policy = load_policy()
    seconds = []
    for n_bytes in (200_000, 800_000):
        data = (hostile * (n_bytes // len(hostile))).encode()
        start = time.process_time()
        policy.apply(data)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * seconds[0] + 0.2


@pytest.mark.parametrize(
    ("line", "message"),
    [("(?P<secret>[", "is not a regular expression"), ("TCU-[0-9]+", "has no group (?P<secret>")],
)
def test_a_pattern_that_cannot_be_used_stops_the_server_at_its_start(
    tmp_path: Path, database_url: str, line: str, message: str
) -> None:
    path = tmp_path / "patterns.txt"
    path.write_text(f"# ours\n{line}\n")
    with pytest.raises(UsageError) as caught:
        create_app(load_settings(database_url=database_url, redact_patterns_file=path))
    assert message in caught.value.message
    assert str(path) in caught.value.message
    with pytest.raises(UsageError, match="there is no file"):
        load_settings(database_url=database_url, redact_patterns_file=tmp_path / "absent")
