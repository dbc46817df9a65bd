"""Documents that wait on disk go out once, in order, whatever is killed meanwhile."""

import json
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from provmanager.client import Spool
from provmanager.client.spool import name_of
from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    DocumentError,
    ProvError,
    ServerUnavailableError,
    UsageError,
)


class Recorder:
    """What records documents, in memory: refuses, fails or is away as it is told."""

    def __init__(self):
        self.got = []
        self.batches = []
        self.errors = {}
        self.is_away = False

    def record_batch(self, documents):
        if self.is_away:
            raise ServerUnavailableError("away")
        self.batches.append(len(documents))
        items = []
        for name, data in documents:
            error = self.errors.get(data)
            if error is None:
                self.got.append((name, data))
            outcome = "refused" if error else "recorded"
            wire = error.to_wire() if error else None
            items.append({"name": name, "outcome": outcome, "receipt": None, "error": wire})
        return {"items": items, "recorded": 0, "unchanged": 0, "refused": 0}


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def test_documents_go_out_in_order_under_their_names(spool):
    names = ["b.json", "a.json", "sub/dir/ü ~ 100%.json", "", "x" * 300 + ".json", "b.json"]
    for number, name in enumerate(names):
        spool.put(str(number).encode(), name)
    assert len(spool.waiting()) == 6
    recorder = Recorder()
    result = spool.drain(recorder)
    assert (result.recorded, result.left, result.refused) == (6, 0, [])
    assert [data for _, data in recorder.got] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [name for name, _ in recorder.got if len(name) < 100] == [
        "b.json", "a.json", "sub/dir/ü ~ 100%.json", "", "b.json",
    ]  # fmt: skip
    assert recorder.got[4][0].endswith("xxx.json")
    assert spool.waiting() == []


@pytest.mark.parametrize("n", range(20))
def test_a_name_cut_short_is_cut_between_characters(spool, n):
    name = "ü" * 100 + "y" * n
    assert name_of(spool.put(b"", name)) in name


def test_what_waits_is_private(spool):
    path = spool.put(b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700


def test_nothing_to_drain_makes_nothing(spool):
    assert spool.drain(Recorder()).recorded == 0
    assert not spool.directory.exists()


def test_it_stops_where_the_server_is_away_and_goes_on_later(spool):
    for number in range(450):
        spool.put(b"%d" % number)
    recorder = Recorder()
    send = recorder.record_batch

    def goes_away(documents):
        recorder.is_away = len(recorder.batches) == 1
        return send(documents)

    recorder.record_batch = goes_away
    result = spool.drain(recorder)
    assert (result.recorded, result.left) == (200, 250)
    assert isinstance(result.error, ServerUnavailableError)
    recorder.record_batch, recorder.is_away = send, False
    assert spool.drain(recorder).recorded == 250
    assert [int(data) for _, data in recorder.got] == list(range(450))


def test_large_documents_go_out_in_smaller_batches(spool):
    for _ in range(5):
        spool.put(b"x" * (7 * 2**20))
    recorder = Recorder()
    spool.drain(recorder)
    assert recorder.batches == [2, 2, 1]


def test_refused_documents_are_put_aside_with_the_error(spool):
    spool.put(b"good")
    spool.put(b"bad", "run.json")
    spool.put(b"good too")
    recorder = Recorder()
    recorder.errors = {b"bad": DocumentError("no good", pointer="/a")}
    result = spool.drain(recorder)
    assert (result.recorded, result.left) == (2, 0)
    (refused,) = result.refused
    assert refused.parent.name == "refused"
    assert (refused.read_bytes(), name_of(refused)) == (b"bad", "run.json")
    error = json.loads(refused.with_name(refused.name + ".error.json").read_text())
    assert error == {"code": "invalid_document", "message": "no good", "details": {"pointer": "/a"}}
    assert spool.drain(recorder).recorded == 0


def test_a_document_on_which_the_server_fails_stays_and_blocks_nothing(spool):
    spool.put(b"poison")
    spool.put(b"good")
    recorder = Recorder()
    recorder.errors = {b"poison": ProvError("incident 1")}
    result = spool.drain(recorder)
    assert (result.recorded, result.refused, result.left) == (1, [], 1)
    assert spool.waiting()[0].read_bytes() == b"poison"


@pytest.mark.parametrize("cls", [AuthenticationError, AuthorisationError])
def test_a_token_that_is_not_taken_loses_nothing(spool, cls):
    spool.put(b"good")
    recorder = Recorder()
    recorder.errors = {b"good": cls("no")}
    with pytest.raises(cls):
        spool.drain(recorder)
    assert len(spool.waiting()) == 1


def test_two_drainers_do_not_deliver_twice(spool):
    for number in range(20):
        spool.put(b"%d" % number)
    begun, go_on = threading.Event(), threading.Event()
    recorder = Recorder()
    send = recorder.record_batch

    def slowly(documents):
        begun.set()
        assert go_on.wait(timeout=120)
        return send(documents)

    recorder.record_batch = slowly
    thread = threading.Thread(target=spool.drain, args=(recorder,))
    thread.start()
    assert begun.wait(timeout=120)
    other = Recorder()
    result = Spool(spool.directory).drain(other)
    assert (result.is_busy, result.left, other.got) == (True, 20, [])
    go_on.set()
    thread.join()
    assert len(recorder.got) == 20
    assert spool.waiting() == []


def test_a_killed_writer_leaves_whole_documents_only(spool):
    program = (
        "import sys; from pathlib import Path; from provmanager.client import Spool\n"
        "spool = Spool(Path(sys.argv[1]))\n"
        "for n in range(10**6): spool.put(b'%d' % n * 50_000); print(n, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, spool.directory], stdout=subprocess.PIPE
    )
    for _ in range(20):
        process.stdout.readline()
    process.kill()
    acknowledged = 20 + len(process.communicate()[0].split())
    waiting = spool.waiting()
    assert len(waiting) in (acknowledged, acknowledged + 1)
    for number, path in enumerate(waiting):
        assert path.read_bytes() == b"%d" % number * 50_000


def test_what_a_killed_writer_began_is_removed_in_time(spool):
    spool.put(b"x")
    old, new = spool.directory / ".partial-old", spool.directory / ".partial-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    spool.drain(Recorder())
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="PROV_SPOOL_DIR"):
        Spool(tmp_path / "file" / "spool").put(b"x")
