"""The log of documents: what RFC 9162 says, and whatever is changed behind its back is found."""

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from productions import deliver
from sqlalchemy import text

from client_scripts.verify import main
from provmanager.client import ProvClient, verification
from provmanager.client.findings import Finding, KeptCheckpoint
from provmanager.client.log_check import verify_log
from provmanager.errors import DifferenceError, DocumentError, NotFoundError
from provmanager.formats import checkpoint as notes
from provmanager.logic import log
from provmanager.model.merkle import Tree, is_included, leaf_hash
from provmanager.store import log as log_store
from provmanager.store.database import Database

N_DOCUMENTS = 11


def record(client: ProvClient, name: str, folder: Path | None = None) -> None:
    """Record a run, with an output of known digest where there is a folder for it."""
    run: dict[str, object] = {"schema": "provmanager/activity.v1", "id": str(uuid4()), "name": name}
    if folder is not None:
        path = folder / f"{name}.fits"
        path.write_bytes(name.encode() * 100)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        run |= {"outputs": [{"url": str(path), "sha256": digest}]}
        run |= {"host": {"name": os.uname().nodename}}
    client.record(json.dumps(run).encode(), name=f"{name}.prov.json")


@pytest.fixture
def client(client: ProvClient, database: Database, tmp_path: Path) -> ProvClient:
    """A client of a server with some documents and a log without any fault."""
    with database.transaction() as session:
        session.execute(text("TRUNCATE prov.document, prov.log_checkpoint, prov.log_node CASCADE"))
        session.execute(text("TRUNCATE prov.activity, prov.entity, prov.edge CASCADE"))
    for number in range(N_DOCUMENTS - 1):
        record(client, f"run{number}")
    client.log_checkpoint()
    record(client, "product", tmp_path)
    return client


def check(client: ProvClient, kept: KeptCheckpoint | None = None) -> list[Finding]:
    """Check all that there is, and return what differs."""
    found = [*verify_log(client, kept).findings, *verification.verify_documents(client)]
    return [f for f in found if f.outcome != "ok"]


def test_the_checkpoint_is_a_note_that_others_can_check(client):
    """Done by hand here, from the text of C2SP signed-note and tlog-checkpoint."""
    said = client.log_checkpoint()
    body, signature = said["note"].split("\n\n")
    origin, size, root = body.split("\n")
    assert (origin, int(size)) == (said["origin"], N_DOCUMENTS)
    assert base64.b64decode(root).hex() == said["root"]
    name, key_id, key = said["key"].split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 1
    assert name == origin
    assert hashlib.sha256(f"{name}\n".encode() + public).digest()[:4].hex() == key_id
    mark, signer, encoded = signature.strip().split(" ")
    assert (mark, signer) == ("—", origin)
    decoded = base64.b64decode(encoded)
    assert decoded[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(decoded[4:], f"{body}\n".encode())


def test_each_document_is_a_leaf_and_proved_to_be_one(client):
    said = client.log_checkpoint()
    leaves = client.log_leaves(0, 1000)
    hashes = [leaf_hash(leaf["entry"].encode()) for leaf in leaves]
    assert [leaf["index"] for leaf in leaves] == list(range(N_DOCUMENTS))
    assert Tree.of(hashes).root().hex() == said["root"]
    for leaf in leaves:
        stated = json.loads(leaf["entry"])
        content = client.document(stated["sha256"])
        assert hashlib.sha256(content).hexdigest() == stated["stored_sha256"]
        proof = client.log_inclusion(stated["sha256"], said["size"])
        steps = [bytes.fromhex(step) for step in proof["proof"]]
        root = bytes.fromhex(said["root"])
        assert is_included(hashes[leaf["index"]], leaf["index"], said["size"], steps, root)
    with pytest.raises(NotFoundError, match="next checkpoint"):
        client.log_inclusion(json.loads(leaves[-1]["entry"])["sha256"], N_DOCUMENTS - 1)


def test_a_log_that_grows_continues_what_was_kept(client):
    assert check(client) == []
    kept = verify_log(client).checkpoint
    again = client.log_checkpoint()
    assert (again["note"], again["key"]) == (kept.note, kept.key)
    record(client, "later")
    found = verify_log(client, kept).findings
    assert {f.outcome for f in found} == {"ok"}
    assert any("1 documents were added" in f.message for f in found)


def flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def flip_stored_byte(session):
    row = session.execute(text("SELECT document_id, content FROM prov.document LIMIT 1")).one()
    changed = zlib.compress(flip(zlib.decompress(bytes(row[1]))))
    where = {"i": row[0], "c": changed}
    session.execute(text("UPDATE prov.document SET content = :c WHERE document_id = :i"), where)


def break_compression(session):
    session.execute(
        text(
            "UPDATE prov.document SET content = substr(content, 1, 20) WHERE document_id = "
            "(SELECT min(document_id) FROM prov.document)"
        )
    )


def replace_document(session):
    """Put other bytes in place of a document's, with digest and size that fit them."""
    other = b'{"schema": "provmanager/activity.v1"}'
    session.execute(
        text(
            "UPDATE prov.document SET content = :c, stored_sha256 = :h, size_bytes = :n WHERE "
            "document_id = (SELECT min(document_id) FROM prov.document)"
        ),
        {"c": zlib.compress(other), "h": hashlib.sha256(other).digest(), "n": len(other)},
    )


def change_sender(session):
    session.execute(
        text(
            "UPDATE prov.document SET received_from = 'somebody else' WHERE document_id = "
            "(SELECT min(document_id) FROM prov.document)"
        )
    )


def flip_leaf(session):
    hash_ = session.execute(text("SELECT leaf_hash FROM prov.log_leaf WHERE leaf_index = 3"))
    session.execute(
        text("UPDATE prov.log_leaf SET leaf_hash = :h WHERE leaf_index = 3"),
        {"h": flip(bytes(hash_.scalar_one()))},
    )


def swap_leaves(session):
    for before, after in ((2, 1000), (4, 2), (1000, 4)):
        session.execute(
            text("UPDATE prov.log_leaf SET leaf_index = :a WHERE leaf_index = :b"),
            {"a": after, "b": before},
        )


def cut_log(session):
    session.execute(text("DELETE FROM prov.log_leaf WHERE leaf_index >= 5"))


def take_leaf_out(session):
    session.execute(text("DELETE FROM prov.log_leaf WHERE leaf_index = 4"))


def forge_checkpoint(session):
    session.execute(text("UPDATE prov.log_checkpoint SET note = replace(note, '10', '11')"))


def swap_leaf_hashes(session):
    hashes = "SELECT leaf_hash FROM prov.log_leaf WHERE leaf_index = %s"
    session.execute(
        text(
            f"UPDATE prov.log_leaf l SET leaf_hash = CASE leaf_index WHEN 2 THEN ({hashes % 4}) "
            f"ELSE ({hashes % 2}) END WHERE leaf_index IN (2, 4)"
        )
    )


def forge_all(session):
    """Change a document, its leaf and with it the past: what a careful forger would do."""
    change_sender(session)
    row = log_store.leaves(session, 0, 1)[0]
    session.execute(
        text("UPDATE prov.log_leaf SET leaf_hash = :h WHERE leaf_index = 0"),
        {"h": leaf_hash(log.entry_of(row.document))},
    )


def forge_root(session):
    session.execute(
        text("UPDATE prov.log_checkpoint SET root_hash = decode(repeat('00', 32), 'hex')")
    )


def rename_log(session):
    session.execute(text("UPDATE prov.log_identity SET origin = 'provmanager/another'"))


@pytest.mark.parametrize(
    ("change", "kind", "names", "message"),
    [
        (flip_stored_byte, "document", ["document "], "its stored bytes have the SHA-256"),
        (break_compression, "document", ["document "], "cannot be decompressed"),
        (replace_document, "document", ["row of the document of leaf 0"], "row was changed"),
        (change_sender, "document", ["row of the document of leaf 0"], "somebody else"),
        (flip_leaf, "log", ["leaf 3"], "its document was not"),
        (swap_leaves, "log", ["leaves 2 and 4"], "leaf 2 stands at 4, leaf 4 stands at 2"),
        (swap_leaf_hashes, "log", ["leaf 2", "leaf 4"], "its document was not"),
        (cut_log, "log", ["leaves 5 to 10"], "a checkpoint of 11 documents was signed"),
        (take_leaf_out, "log", ["leaf 4"], "taken out"),
        (forge_checkpoint, "log", ["checkpoint 10"], "no valid signature"),
        (forge_root, "log", ["checkpoint 10", "checkpoint 11"], "its row says"),
        (rename_log, "log", ["log provmanager/another"], "it was called provmanager/"),
        (forge_all, "log", ["leaves 0 to 9"], "one of them at least was changed"),
    ],
)
def test_whatever_is_changed_is_found_and_named_and_nothing_else(
    client, database, change: Callable, kind: str, names: list[str], message: str
):
    if change is not forge_checkpoint:
        client.log_checkpoint()
    with database.transaction() as session:
        change(session)
    found = check(client)
    assert [f.kind for f in found] == [kind] * len(names), found
    for finding, what in zip(sorted(found, key=lambda f: f.what), names, strict=True):
        assert finding.what.startswith(what), found
        assert message in finding.message


def test_tiles_are_kept_and_give_the_same_root(client, database):
    """With logs of more than a tile, and where another version kept none."""
    n = 2**16 + 300
    leaves = [leaf_hash(str(i).encode()) for i in range(n)]
    with database.transaction() as session:
        session.execute(text("TRUNCATE prov.log_leaf, prov.log_node, prov.log_checkpoint"))
        session.execute(text("ALTER TABLE prov.log_leaf DROP CONSTRAINT log_leaf_document_id_fkey"))
        session.execute(
            text(
                "INSERT INTO prov.log_leaf SELECT * FROM unnest(CAST(:i AS bigint[]), "
                "CAST(:d AS bigint[]), CAST(:h AS bytea[]))"
            ),
            {"i": list(range(n)), "d": list(range(-n, 0)), "h": leaves},
        )
        made = log.publish(session, Ed25519PrivateKey.generate(), now=datetime.now(UTC))
        size = made.checkpoint.size
        added = [leaf.leaf_hash for leaf in log_store.leaves(session, n, 100)]
        whole = Tree.of([*leaves, *added])
        kept = {level: log_store.count_nodes(session, level) for level in (8, 16)}
        proofs = [log.consistency(session, first, size) for first in (1, 256, 65536, n)]
        session.rollback()
    assert size == n + N_DOCUMENTS
    assert made.checkpoint.root == whole.root()
    assert kept == {8: n >> 8, 16: 1}
    assert proofs == [whole.consistency_proof(first) for first in (1, 256, 65536, n)]


NEW_DOCUMENT = """
    INSERT INTO prov.document (sha256, stored_sha256, format, reason, size_bytes, content)
    SELECT sha256(CAST(:n AS bytea)), sha256(CAST(:n AS bytea)), 'f', 'r', 0, ''"""
N_LEAVES = 300


def test_nothing_is_signed_over_a_past_that_was_changed(database, client):
    """And hashes of subtrees that do not follow from the leaves are made anew."""
    key = Ed25519PrivateKey.generate()
    with database.transaction() as session:
        session.execute(text("TRUNCATE prov.log_leaf, prov.log_node, prov.log_checkpoint"))

        def publish(first: int, count: int) -> bytes:
            documents = [{"n": str(n).encode()} for n in range(first, first + count)]
            session.execute(text(NEW_DOCUMENT), documents)
            made = log.publish(session, key, now=datetime.now(UTC))
            leaves = log_store.leaves(session, 0, 2 * N_LEAVES)
            assert made.checkpoint.root == Tree.of([x.leaf_hash for x in leaves]).root()
            return made.checkpoint.root

        publish(0, N_LEAVES)
        for damage in ("UPDATE prov.log_node SET node_hash = sha256('x')",
                       "DELETE FROM prov.log_node"):  # fmt: skip
            session.execute(text(damage))
            publish(log_store.last_leaf(session)[0], 1)
        flip_leaf(session)
        session.execute(text("DELETE FROM prov.log_node"))
        with pytest.raises(DifferenceError, match="nothing more is signed"):
            publish(2 * N_LEAVES, 1)
        session.rollback()


def test_a_changed_product_document_is_found_by_the_product(client, database, tmp_path):
    entity = client.entity(client.resolve("product.fits")["id"])
    (good,) = verification.verify_product_documents(client, entity)
    assert good.outcome == "ok"
    with database.transaction() as session:
        session.execute(
            text("UPDATE prov.document SET received_from = 'x' WHERE encode(sha256, 'hex') = :s"),
            {"s": entity["documents"][0]["sha256"]},
        )
    (bad,) = verification.verify_product_documents(client, entity)
    assert (bad.outcome, bad.message) == ("differs", "its row is not what the log holds of it")


@pytest.mark.parametrize("n_lost", [1, N_DOCUMENTS])
def test_an_older_dump_is_found_by_who_kept_a_checkpoint(client, database, n_lost):
    """The whole database as it was before: it has no fault, and no longer what was promised."""
    kept = verify_log(client).checkpoint
    with database.transaction() as session:
        session.execute(text("DELETE FROM prov.log_checkpoint"))
        session.execute(
            text("DELETE FROM prov.log_leaf WHERE leaf_index >= :n"), {"n": N_DOCUMENTS - n_lost}
        )
        session.execute(
            text(
                "TRUNCATE prov.activity, prov.entity, prov.edge, prov.statement CASCADE; "
                "DELETE FROM prov.document WHERE document_id NOT IN "
                "(SELECT document_id FROM prov.log_leaf)"
            )
        )
    if n_lost < N_DOCUMENTS:
        assert check(client) == []  # nobody could tell without the checkpoint
        (lost,) = check(client, kept)
        assert "an old dump restored" in lost.message
    record(client, "other than what was lost")
    rewritten = check(client, kept)
    assert len(rewritten) == 1
    assert rewritten[0].kind == "log"


def test_a_checkpoint_of_another_log_or_key_is_refused(client):
    said = client.log_checkpoint()
    key = Ed25519PrivateKey.generate()
    real = notes.parse(said["note"])
    forged = notes.sign(real, key)
    with pytest.raises(DifferenceError, match="no valid signature"):
        notes.verify(forged, said["key"])
    other = notes.Checkpoint("elsewhere", 3, bytes(32))
    kept = KeptCheckpoint(
        notes.sign(other, key),
        notes.verifier_key("elsewhere", key.public_key().public_bytes_raw()),
    )
    assert "another log" in check(client, kept)[0].message
    for wrong in ("", "a\n1\nxx\n\n", "a\n-1\n" + "A" * 44 + "\n\n"):
        with pytest.raises(DocumentError, match="no checkpoint"):
            notes.parse(wrong)
    with pytest.raises(DocumentError, match="no public key"):
        notes.verify(forged, "elsewhere+00000000+AAAA")


def test_the_command_checks_files_products_and_the_log(
    client, database, app_url, make_token, tmp_path, monkeypatch
):
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("reader"))
    product, kept = tmp_path / "product.fits", tmp_path / "kept"

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, list(arguments))
        return result.exit_code, result.output

    assert run("--all", "--checkpoint", str(kept))[0] == 0
    assert run(str(product), "product.fits")[0] == 0
    copy = tmp_path / "elsewhere.fits"
    copy.write_bytes(product.read_bytes())
    assert run(str(copy))[0] == 0
    product.write_bytes(flip(product.read_bytes()))
    code, output = run(str(product), str(copy))
    assert code == 5
    assert f"DIFFERS  {product}" in output
    assert f"ok       {copy}" in output
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"?")
    assert run(str(stranger))[0] == 3
    assert run(str(stranger), str(copy))[0] == 6
    code, output = run("product.fits", "--map", f"file://{os.uname().nodename}/=/nowhere/")
    assert code == 6
    assert "is not here" in output
    code, output = run("product.fits", "--json")
    assert code == 5
    assert json.loads(output[: output.rindex("}") + 1])["counts"]["differs"] == 1
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "good.fits").write_bytes(copy.read_bytes())
    (folder / "dangling").symlink_to("/gone")
    os.mkfifo(tmp_path / "fifo")
    code, output = run(str(folder), "nowhere.fits", str(tmp_path / "fifo"), "x" * 300, str(product))
    assert code == 5  # whatever else there was
    told = [line.split(None, 2)[:2] for line in output.splitlines() if line[:1].strip()]
    assert ["ok", str(folder / "good.fits")] in told
    assert ["missing", str(folder / "dangling")] in told
    assert ["unknown", str(tmp_path / "fifo")] in told
    assert ["unknown", "nowhere.fits"] in told
    assert ["unknown", "x" * 300] in told
    assert ["DIFFERS", str(product)] in told
    assert run("nowhere.fits")[0] == 3
    packed = tmp_path / "product.fits.gz"
    packed.write_bytes(gzip.compress(copy.read_bytes()))
    code, output = run(str(packed))
    assert code == 3
    assert "compressed in it are the recorded bytes of product.fits" in output
    with database.transaction() as session:
        flip_leaf(session)
    before = kept.read_text()
    assert run("--checkpoint", str(kept))[0] == 5
    assert kept.read_text() == before  # what is wrong is not kept
    assert run()[0] == 2
    kept.write_text("{}")
    assert run("--checkpoint", str(kept))[0] == 2


def test_of_several_products_with_the_same_bytes_the_one_that_lies_there_is_meant(
    client, app_url, make_token, tmp_path, monkeypatch
):
    monkeypatch.setenv("PROV_SERVER_URL", app_url)
    monkeypatch.setenv("PROV_TOKEN", make_token("reader"))
    places = [tmp_path / "first.png", tmp_path / "again.png"]
    for place in places:
        place.write_bytes(b"the same picture")
        deliver(client, [place])
    (tmp_path / "copy.png").write_bytes(b"the same picture")
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    for place in places:
        assert f"ok       {place}  the bytes of {place.name}" in result.output
    assert f"{tmp_path / 'copy.png'}  the bytes of several products" in result.output
    assert len({client.resolve(str(place))["id"] for place in places}) == 2
