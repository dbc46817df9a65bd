"""The client on a real server: one document, many, and documents that wait while it is away."""

import hashlib
import json
import subprocess
import sys

import pytest
from test_prod_server import run_document

from provmanager.client import ProvClient, Spool
from provmanager.errors import (
    AuthenticationError,
    DocumentError,
    NotFoundError,
    ServerUnavailableError,
    UsageError,
)

BAD = b'[{"activity_name": "x"'


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def test_bytes_and_files_are_recorded_alike(client, tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(run_document(1))
    receipt = client.record(path)
    assert receipt["outcome"] == "recorded"
    assert receipt["document"] == hashlib.sha256(run_document(1)).hexdigest()
    assert client.record(run_document(1), name="other.json")["outcome"] == "unchanged"
    assert client.document(receipt["document"]) == run_document(1)
    with pytest.raises(NotFoundError):
        client.document("0" * 64)
    with pytest.raises(UsageError, match=r"nowhere\.json cannot be read: No such file"):
        client.record(tmp_path / "nowhere.json")


def test_many_are_recorded_in_order_each_by_itself(client, tmp_path):
    path = tmp_path / "run 103 ü.json"
    path.write_bytes(run_document(103))
    documents = [(f"{n}.json", run_document(n)) for n in range(100, 103)]
    documents += [(path.name, path), ("bad.json", BAD)]
    documents += [(f"{n}.json", run_document(n)) for n in range(104, 110)]
    items = list(client.record_many(iter(documents), batch_documents=4))
    assert [item["name"] for item in items] == [name for name, _ in documents]
    assert [item["outcome"] for item in items] == ["recorded"] * 4 + ["refused"] + ["recorded"] * 6
    assert items[4]["error"]["code"] == "json_syntax"
    again = client.record_batch(documents)
    assert (again["recorded"], again["unchanged"], again["refused"]) == (0, 10, 1)


def test_without_a_spool_a_server_that_is_away_is_an_error():
    away = ProvClient("http://127.0.0.1:9", "x", retries=0)
    with pytest.raises(ServerUnavailableError):
        away.record(b"{}")


def test_documents_wait_and_go_out_with_the_next_that_is_recorded(make_server, spool):
    server = make_server()
    server.start()
    with server.client(retries=0, spool=spool) as client:
        assert client.record(run_document(1))["outcome"] == "recorded"
        server.end()
        waiting = [client.record(run_document(n), name=f"{n}.json") for n in (2, 3)]
        assert [item["outcome"] for item in waiting] == ["spooled"] * 2
        assert waiting[0]["document"] == hashlib.sha256(run_document(2)).hexdigest()
        assert "prod-server" in waiting[0]["reason"]
        spool.put(BAD, "bad.json")
        assert len(spool.waiting()) == 3
    server.start()
    with server.client(retries=0, spool=spool) as client:
        assert client.record(run_document(4))["outcome"] == "recorded"
        assert spool.waiting() == []
        for n in (1, 2, 3, 4):
            assert client.record(run_document(n))["outcome"] == "unchanged"
    (error,) = (spool.directory / "refused").glob("*.error.json")
    assert json.loads(error.read_text())["code"] == "json_syntax"


def test_a_wrong_token_is_told_and_nothing_is_lost(app_url, spool):
    spool.put(run_document(5))
    stranger = ProvClient(app_url, "prov_" + "x" * 43, retries=0, spool=spool)
    with stranger, pytest.raises(AuthenticationError):
        stranger.record(run_document(6))
    assert len(spool.waiting()) == 1


def test_a_refused_document_is_not_spooled(client, app_url, token, spool):
    with ProvClient(app_url, token, spool=spool) as other, pytest.raises(DocumentError):
        other.record(BAD)
    assert spool.waiting() == []


def test_two_processes_drain_one_spool_without_doubling(app_url, token, client, spool):
    for n in range(1000, 1200):
        spool.put(run_document(n), f"{n}.json")
    program = (
        "import sys; from pathlib import Path; from provmanager.client import ProvClient, Spool\n"
        "client = ProvClient(sys.argv[1], sys.argv[2])\n"
        "print(Spool(Path(sys.argv[3])).drain(client).recorded)"
    )
    arguments = [sys.executable, "-c", program, app_url, token, spool.directory]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(2)]
    drained = sum(int(process.communicate(timeout=60)[0]) for process in processes)
    drained += spool.drain(client).recorded
    assert drained == 200
    assert spool.waiting() == []
