"""Signals: what real processes leave behind, and that they end as they would have without us."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from capture_records import record_of, records_of, start_tool

SLEEPER = """
import sys, time
from provmanager import capture
with capture.activity('outer', announce={announce}):
    with capture.activity('inner') as run:
        open('partial.dat', 'w').write('half')
        run.output('partial.dat')
        print('ready', flush=True)
        time.sleep(60)
"""


def start(tmp_path: Path, code: str) -> "subprocess.Popen[str]":
    process = start_tool(code, cwd=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.stderr.read() if process.stderr else ""
    return process


def by_name(path: Path) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in records_of(path)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU])
def test_a_signal_that_ends_a_job_is_recorded_and_still_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, SLEEPER.format(announce=False))
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == -number
    records = by_name(tmp_path / "outer.prov.json")
    for name in ("outer", "inner"):
        assert (records[name]["status"], records[name]["exit_code"]) == (
            "interrupted",
            128 + number,
        )
        assert records[name]["messages"][0]["text"] == f"received {number.name}"
    assert records["inner"]["parent"] == records["outer"]["id"]
    assert records["inner"]["outputs"][0]["size_bytes"] == 4
    assert "sha256" in records["inner"]["outputs"][0]


def test_ctrl_c_is_recorded_as_interrupted(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER.format(announce=False))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    records = by_name(tmp_path / "outer.prov.json")
    assert {(r["status"], r["exit_code"]) for r in records.values()} == {("interrupted", 130)}


def test_a_kill_that_cannot_be_caught_leaves_the_announcement(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER.format(announce=True))
    process.kill()
    process.communicate(timeout=120)
    record = record_of(tmp_path / "outer.prov.json")
    assert (record["name"], record["status"]) == ("outer", "running")


def test_the_handler_of_the_tool_decides_how_it_ends(tmp_path: Path) -> None:
    code = """
import signal, sys, time
from provmanager import capture
def stop(number, frame):
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
with capture.activity('own') as run:
    print('ready', flush=True)
    time.sleep(60)
"""
    process = start(tmp_path, code)
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 5
    running, final = records_of(tmp_path / "own.prov.json")
    assert running["status"] == "running"  # were it killed now, this would be the trace
    assert (final["status"], final["exit_code"]) == ("interrupted", 5)
    assert final["id"] == running["id"]


def test_a_tool_whose_handler_lets_it_finish_is_recorded_at_its_end(tmp_path: Path) -> None:
    code = """
import signal, time
from provmanager import capture
stopped = []
signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
with capture.activity('graceful') as run:
    print('ready', flush=True)
    while not stopped:
        time.sleep(0.01)
    open('checkpoint.dat', 'w').write('state')
    run.output('checkpoint.dat')
print('restored', signal.getsignal(signal.SIGTERM).__name__)
"""
    process = start(tmp_path, code)
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "restored <lambda>\n")
    final = records_of(tmp_path / "graceful.prov.json")[-1]
    assert (final["status"], final["exit_code"]) == ("interrupted", 143)
    assert final["outputs"][0]["size_bytes"] == 5


def test_a_signal_that_the_tool_ignores_stays_ignored(tmp_path: Path) -> None:
    code = """
import signal, sys
from provmanager import capture
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with capture.activity('nohup'):
    print('ready', flush=True)
    sys.stdin = open('/dev/stdin') if False else None
    import time
    signal.raise_signal(signal.SIGHUP)
"""
    process = start(tmp_path, code)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert record_of(tmp_path / "nohup.prov.json")["status"] == "completed"


def test_a_handler_that_the_tool_sets_meanwhile_is_left_in_place(tmp_path: Path) -> None:
    code = """
import signal
from provmanager import capture
with capture.activity('late'):
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    print('ready', flush=True)
print(signal.getsignal(signal.SIGTERM).__name__)
"""
    process = start(tmp_path, code)
    out, _ = process.communicate(timeout=120)
    assert out == "<lambda>\n"


def test_workers_of_a_pool_die_of_sigterm_and_record_nothing_of_their_parent(
    tmp_path: Path,
) -> None:
    code = """
import os, signal, time
from provmanager import capture
with capture.activity('pool'):
    child = os.fork()
    if child == 0:
        time.sleep(60)
    print('ready', flush=True)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status))
"""
    process = start(tmp_path, code)
    out, _ = process.communicate(timeout=120)
    assert out == f"{int(signal.SIGTERM)}\n"
    assert record_of(tmp_path / "pool.prov.json")["status"] == "completed"


def test_activities_of_threads_are_recorded_when_a_signal_ends_the_process(tmp_path: Path) -> None:
    code = """
import threading, time
from provmanager import capture
begun = threading.Event()
def work():
    with capture.activity('thread'):
        begun.set()
        time.sleep(60)
with capture.activity('main'):
    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    print('ready', flush=True)
    time.sleep(60)
"""
    process = start(tmp_path, code)
    process.terminate()
    process.communicate(timeout=120)
    records = by_name(tmp_path / "main.prov.json")
    assert {r["status"] for r in records.values()} == {"interrupted"}
    assert set(records) == {"main", "thread"}


def test_big_outputs_do_not_delay_the_end_of_a_killed_job(tmp_path: Path) -> None:
    """The batch system's next signal cannot be caught: what takes long is not hashed."""
    code = """
import time
from provmanager import capture
with open('big.dat', 'wb') as stream:
    stream.truncate(200 << 30)
with capture.activity('big') as run:
    run.output('big.dat')
    print('ready', flush=True)
    time.sleep(60)
"""
    process = start(tmp_path, code)
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGTERM
    record = record_of(tmp_path / "big.prov.json")
    assert record["outputs"][0]["size_bytes"] == 200 << 30
    assert "sha256" not in record["outputs"][0]
    assert [m["code"] for m in record["messages"]] == ["signal", "not-hashed"]


def test_ctrl_c_while_outputs_are_hashed_still_writes_the_record(tmp_path: Path) -> None:
    code = """
from provmanager import capture
with open('big.dat', 'wb') as stream:
    stream.truncate(200 << 30)
with capture.activity('big') as run:
    run.output('big.dat')
    print('ready', flush=True)
"""
    process = start(tmp_path, code)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    record = record_of(tmp_path / "big.prov.json")
    assert record["status"] == "completed"
    assert "sha256" not in record["outputs"][0]
