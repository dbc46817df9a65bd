"""The whole record goes into one file and comes out equal; what was changed in it is found."""

import gzip
import io
import json
import random
import stat
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from service.snapshot import difference, everything, snapshot
from sqlalchemy import text

from client_scripts import add_prov
from provmanager.client import ProvClient
from provmanager.errors import DifferenceError, DocumentError, ProvError, UsageError
from provmanager.formats.checkpoint import verify
from provmanager.formats.description_document import read_descriptions
from provmanager.logic import archive, log
from provmanager.logic.descriptions import all_descriptions, save_descriptions
from provmanager.logic.ingest import IngestPolicy, Source, record
from provmanager.store.database import Database, open_database

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
PATTERNS = ("cwlprov/runcrate-tests/*/metadata/provenance/*.json",
            "cwlprov/runcrate-tests/*/ro-crate-metadata.json",
            "ctapipe-samples/generated/*/*", "lstosa/*.log")  # fmt: skip
DESCRIPTIONS = b"""{"schema": "descriptions.v1", "activities": [{"name": "ctapipe-merge"}]}"""


@pytest.fixture(scope="module")
def filled(database: Database, prov_data: Path) -> Database:
    """A record of real documents, some told of late, with secrets, in a log with checkpoints."""
    paths = [p for pattern in PATTERNS for p in sorted(prov_data.glob(pattern))]
    rng = random.Random(5)
    documents = [(p.name, p.read_bytes()) for p in rng.sample(paths, len(paths))]
    name, data = documents[0]
    documents.append((name, data.rstrip() + b"\n" * 3))
    secret = {"schema": "provmanager/activity.v1", "id": "00000000-0000-4000-8000-00000000000c",
              "name": "fetch",
              "command": {"arguments": ["fetch", "--password=hunter2"]}}  # fmt: skip
    documents.append(("fetch.json", json.dumps(secret).encode()))
    for start in range(0, len(documents), 20):
        with database.transaction() as session:
            sources = [Source(d, n, f"client {start}") for n, d in documents[start : start + 20]]
            outcomes = record(session, sources, policy=IngestPolicy())
            assert [o.error for o in outcomes] == [None] * len(outcomes)
        with database.transaction() as session:
            log.publish(session, KEY, now=NOW)
    with database.transaction() as session:
        said = read_descriptions(DESCRIPTIONS)
        save_descriptions(session, said, policy=IngestPolicy(), by="a curator")
    return database


@pytest.fixture(scope="module")
def file(filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "record.tar.gz"
    with path.open("wb") as target:
        archive.write_archive(filled, target, key=KEY, around=archive.Around(), now=NOW)
    return path


@pytest.fixture
def empty_database(make_database_url: Callable[[], str]) -> Iterator[Database]:
    opened = open_database(make_database_url())
    yield opened
    opened.close()


LOGGED = """
    SELECT l.leaf_index, encode(l.leaf_hash, 'hex'), encode(d.sha256, 'hex'),
           encode(d.stored_sha256, 'hex'), d.format, d.source_name, d.size_bytes, d.n_redactions,
           d.received_at, d.received_from, encode(sha256(d.content), 'hex')
    FROM prov.log_leaf l JOIN prov.document d USING (document_id) ORDER BY 1"""
ALIASES = "SELECT alias_uuid::text, entity_uuid::text, merged_at FROM prov.entity_alias ORDER BY 1"
CHECKPOINTS = "SELECT tree_size, root_hash, note, made_at FROM prov.log_checkpoint ORDER BY 1"
ORIGIN = "SELECT origin FROM prov.log_identity"
NODES = "SELECT level, node_index, node_hash FROM prov.log_node ORDER BY 1, 2"


def rows(database: Database, *queries: str) -> list[list[tuple[Any, ...]]]:
    with database.transaction() as session:
        return [[tuple(map(_plain, r)) for r in session.execute(text(q))] for q in queries]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def test_the_record_comes_out_equal(filled: Database, file: Path, empty_database: Database) -> None:
    told: list[tuple[int, int]] = []
    n = archive.read_archive(empty_database, file, around=archive.Around(),
                             progress=lambda *x: told.append(x))  # fmt: skip
    with filled.transaction() as left, empty_database.transaction() as right:
        before, after = snapshot(left), snapshot(right)
        assert all_descriptions(left) == all_descriptions(right)
    assert difference(before, after) == {}
    assert len(before["activity"]) > 150
    everything_kept = (LOGGED, ALIASES, CHECKPOINTS, ORIGIN, NODES)
    assert rows(filled, *everything_kept) == rows(empty_database, *everything_kept)
    assert told[-1] == (n, n)
    assert len(rows(filled, CHECKPOINTS)[0]) > 3


def test_old_checkpoints_verify_and_the_log_goes_on(
    filled: Database, file: Path, empty_database: Database
) -> None:
    archive.read_archive(empty_database, file, around=archive.Around())
    with filled.transaction() as session:
        kept = log.publish(session, KEY, now=NOW)
    with empty_database.transaction() as session:
        new = Source(b'{"schema": "provmanager/activity.v1", "name": "later",'
                     b' "id": "00000000-0000-4000-8000-00000000000d"}')  # fmt: skip
        record(session, [new], policy=IngestPolicy())
        signed = log.publish(session, KEY, now=NOW)
        assert verify(kept.note, signed.key).size == signed.checkpoint.size - 1
        proof = log.consistency(session, kept.checkpoint.size, signed.checkpoint.size)
        assert log.check_leaves(session, 0, 1000).problems == []
    assert proof


def test_an_archive_of_the_copy_is_the_same_but_for_its_date(
    file: Path, empty_database: Database, tmp_path: Path
) -> None:
    archive.read_archive(empty_database, file, around=archive.Around())
    again = tmp_path / "again.tar.gz"
    with again.open("wb") as target:
        archive.write_archive(empty_database, target, key=KEY, around=archive.Around(), now=NOW)
    assert members(again) == members(file)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


def rewritten(file: Path, target: Path, change: Callable[[str, bytes], Any]) -> Path:
    """Write the archive with members changed, left out (None) or followed by others (a dict)."""
    with tarfile.open(target, "w:gz") as tar:
        for name, data in members(file).items():
            found = change(name.removeprefix("prov-archive/"), data)
            for key, value in (found if isinstance(found, dict) else {name: found}).items():
                if value is not None:
                    member = tarfile.TarInfo(key)
                    member.size = len(value)
                    tar.addfile(member, io.BytesIO(value))
    return target


def one(part: str, edit: Callable[[bytes], Any]) -> Callable[[str, bytes], Any]:
    return lambda name, data: edit(data) if name == part else data


def swapped(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([lines[1], lines[0], *lines[2:]])


@pytest.mark.parametrize(("change", "words"), [
    (one("documents/000000.jsonl", lambda d: d.replace(b"client 0", b"client 9", 1)),
     "documents/000000.jsonl was changed"),
    (one("documents/000000.jsonl", swapped), "documents/000000.jsonl was changed"),
    (one("checkpoints.jsonl", lambda d: b""), "checkpoints.jsonl was changed"),
    (one("redaction.txt", lambda d: None), "redaction.txt was changed, added or taken out"),
    (one("aliases.jsonl", lambda d: {"prov-archive/aliases.jsonl": d, "prov-archive/more": b"x"}),
     "more was changed, added or taken out"),
    (one("manifest-sha256.txt", lambda d: None), "it has no manifest"),
    (one("header.json", lambda d: d.replace(b"archive.v1", b"archive.v9")), "its format is"),
    (one("header.json", lambda d: {"etc/passwd": d}), "it holds 'etc/passwd'"),
])  # fmt: skip
def test_what_was_changed_is_found_and_nothing_is_restored(
    file: Path, empty_database: Database, tmp_path: Path, change: Any, words: str
) -> None:
    bad = rewritten(file, tmp_path / "bad.tar.gz", change)
    before = everything(empty_database)
    with pytest.raises(ProvError, match=words):
        archive.read_archive(empty_database, bad, around=archive.Around())
    assert everything(empty_database) == before


def test_a_flipped_bit_in_any_document_is_found(file: Path, tmp_path: Path) -> None:
    names = [n for n in members(file) if n.count("/") == 3]
    assert len(names) > 80
    for name in random.Random(3).sample(names, 5):
        flip = one(name.removeprefix("prov-archive/"), lambda d: bytes((d[0] ^ 1,)) + d[1:])
        bad = rewritten(file, tmp_path / "bad.tar.gz", flip)
        with pytest.raises(DifferenceError, match=r"was changed: its bytes have the SHA-256"):
            archive.check_archive(bad)
        gone = rewritten(file, tmp_path / "bad.tar.gz",
                         one(name.removeprefix("prov-archive/"), lambda d: None))  # fmt: skip
        with pytest.raises(DifferenceError, match="is missing from the archive"):
            archive.check_archive(gone)


def resealed(file: Path, target: Path, change: Callable[[str, bytes], Any]) -> Path:
    """Change members and make the manifest fit, as somebody who knows the format would."""
    from provmanager.ids import sha256_hex

    digests: dict[str, str] = {}

    def both(name: str, data: bytes) -> bytes:
        if name == "manifest-sha256.txt":
            return "".join(f"{d}  {n}\n" for n, d in digests.items()).encode()
        data = change(name, data)
        if name.count("/") < 2:
            digests[name] = sha256_hex(data)
        return data

    return rewritten(file, target, both)


@pytest.mark.parametrize(("part", "edit", "words"), [
    ("documents/000000.jsonl", lambda d: d.replace(b"client 0", b"client 9", 1),
     "is not the one of its leaf"),
    ("checkpoints.jsonl", lambda d: d.replace(b'"size": ', b'"size": 1', 1), "has the root"),
    ("checkpoints.jsonl", lambda d: d.replace(b"A", b"B"), "signature|key|checkpoint"),
])  # fmt: skip
def test_who_makes_the_manifest_fit_is_found_by_the_log(
    file: Path, empty_database: Database, tmp_path: Path, part: str, edit: Any, words: str
) -> None:
    bad = resealed(file, tmp_path / "bad.tar.gz", one(part, edit))
    archive.check_archive(bad)
    before = everything(empty_database)
    with pytest.raises(ProvError, match=words):
        archive.read_archive(empty_database, bad, around=archive.Around())
    assert everything(empty_database) == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_an_archive_that_is_cut_off_says_so(file: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.tar.gz"
    data = file.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DocumentError, match="cut off"):
        archive.check_archive(cut)


def test_other_files_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    for data in (b"", b"text", gzip.compress(b"text")):
        path.write_bytes(data)
        with pytest.raises((DocumentError, UsageError)):
            archive.check_archive(path)


def test_a_record_with_documents_is_left_as_it_is(filled: Database, file: Path) -> None:
    before = everything(filled)
    with pytest.raises(UsageError, match="give the archive to prod-add-prov"):
        archive.read_archive(filled, file, around=archive.Around())
    assert everything(filled) == before


def test_a_server_with_other_shared_paths_is_refused(file: Path, empty_database: Database) -> None:
    with pytest.raises(UsageError, match="PROV_SHARED_PATHS"):
        archive.read_archive(empty_database, file, around=archive.Around(shared_paths=("/fefs",)))


def test_an_empty_record_has_nothing_to_archive(empty_database: Database) -> None:
    with pytest.raises(UsageError, match="nothing to archive"):
        archive.write_archive(
            empty_database, io.BytesIO(), key=KEY, around=archive.Around(), now=NOW
        )


def test_into_a_record_with_documents_they_go_as_any_others(
    file: Path, client: ProvClient, app_url: str, token: str, tmp_path: Path
) -> None:
    """The module's server has them all: what was hidden is another document by its bytes."""
    env = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token}
    result = CliRunner().invoke(add_prov.main, [str(file), "--json"], env=env)
    assert result.exit_code == 0, result.output
    outcomes = Counter(json.loads(line)["outcome"] for line in result.stdout.splitlines())
    assert outcomes.keys() == {"unchanged", "recorded"}
    assert outcomes["recorded"] == 1
    bad = tmp_path / "bad.tar.gz"
    resealed(file, bad, lambda name, data: data[:-1] if name.count("/") == 2 else data)
    result = CliRunner().invoke(add_prov.main, [str(bad)], env=env)
    assert result.exit_code == 5, result.output
    assert "was changed" in result.output


def test_the_commands(make_server: Any, tmp_path: Path) -> None:
    old, new = make_server(), make_server()
    old.start()
    run = {"schema": "provmanager/activity.v1", "id": "00000000-0000-4000-8000-00000000000e",
           "name": "merge"}  # fmt: skip
    with old.client() as client:
        client.record(json.dumps(run).encode(), name="run.json")
    file, kept = tmp_path / "record.tar.gz", tmp_path / "kept.checkpoint"
    verify_all = ("--all", "--checkpoint", kept)
    verifier = [sys.executable, "-m", "client_scripts.verify"]
    done = old.command(*verify_all, program=verifier)
    assert done.returncode == 0, done.stdout + done.stderr
    done = old.command("archive", file, "--json")
    assert (done.returncode, json.loads(done.stdout)["documents"]) == (0, 1), done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = new.command("restore", file)
    assert done.returncode == 2
    assert "copy log.key from the state directory" in done.stderr
    new.state_dir.mkdir(exist_ok=True)
    (new.state_dir / "log.key").write_bytes((old.state_dir / "log.key").read_bytes())
    done = new.command("restore", file, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"documents": 1}), done.stderr
    new.start()
    with new.client() as client:
        assert client.record(json.dumps(run).encode())["outcome"] == "unchanged"
        assert client.activity(run["id"])["name"] == "merge"
    done = new.command(*verify_all, program=verifier)  # against what the auditor kept of the old
    assert done.returncode == 0, done.stdout + done.stderr
