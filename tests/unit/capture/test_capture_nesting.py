"""Which activity runs inside which: blocks, threads, event loops, forks and child processes."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from capture_records import record_of, records_of, run_tool

from provmanager import capture


def test_nested_activities_are_parts_of_the_outer_one_in_one_file(tmp_path: Path) -> None:
    with capture.activity("outer") as outer:
        assert capture.current() is outer
        with capture.activity("inner") as inner, capture.activity("innermost") as innermost:
            assert capture.current() is innermost
        with capture.activity("second") as second:
            pass
    assert capture.current() is None
    with capture.activity("later") as later:
        assert later.path == str(tmp_path / "later.prov.json")
    parents = {r["name"]: r.get("parent") for r in records_of(tmp_path / "outer.prov.json")}
    assert parents == {
        "innermost": inner.id,
        "inner": outer.id,
        "second": outer.id,
        "outer": None,
    }
    assert second.id != inner.id


def test_a_child_process_is_part_of_the_activity_that_started_it(tmp_path: Path) -> None:
    code = "from provmanager import capture\nwith capture.activity('child'): pass"
    with capture.activity("job") as job:
        assert os.environ["PROV_PARENT_ACTIVITY"] == job.id
        run_tool(code, cwd=tmp_path, PROV_PARENT_ACTIVITY=os.environ["PROV_PARENT_ACTIVITY"])
        run_tool(
            code, cwd=tmp_path, **{"PROV_PARENT_ACTIVITY": job.environ()["PROV_PARENT_ACTIVITY"]}
        )
    assert "PROV_PARENT_ACTIVITY" not in os.environ
    children = records_of(tmp_path / "child.prov.json")
    assert [c["parent"] for c in children] == [job.id, job.id]


def test_what_was_inherited_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = "0f8fad5b-d9cb-469f-a165-70867728950e"
    monkeypatch.setenv("PROV_PARENT_ACTIVITY", outer)
    with capture.activity("a"):
        with capture.activity("b"):
            pass
        assert os.environ["PROV_PARENT_ACTIVITY"] != outer
    assert os.environ["PROV_PARENT_ACTIVITY"] == outer
    assert records_of(tmp_path / "a.prov.json")[1]["parent"] == outer


def test_a_parent_that_is_no_uuid_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROV_PARENT_ACTIVITY", "the job")
    with capture.activity("a"):
        pass
    assert "parent" not in record_of(tmp_path / "a.prov.json")
    assert "the job" in caplog.text


def test_a_parent_can_be_named(tmp_path: Path) -> None:
    with capture.activity("first") as first:
        pass
    with capture.activity("second", parent=first, record="two.json"):
        pass
    assert record_of(tmp_path / "two.json")["parent"] == first.id


def test_threads_of_an_activity_are_parts_of_it_each_with_its_own_record(tmp_path: Path) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> str:
        with capture.activity(f"part{number}") as run:
            barrier.wait(timeout=120)
            run.value("number", number)
            with capture.activity(f"inner{number}"):
                barrier.wait(timeout=120)
        return run.id

    with capture.activity("pool") as pool, ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(work, range(4)))
    records = {r["name"]: r for r in records_of(tmp_path / "pool.prov.json")}
    assert len(records) == 9
    for number in range(4):
        assert records[f"part{number}"]["parent"] == pool.id
        assert records[f"part{number}"]["outputs"] == [{"name": "number", "value": number}]
        assert records[f"inner{number}"]["parent"] == ids[number]


def test_tasks_of_an_event_loop_are_not_taken_for_parts_of_each_other(tmp_path: Path) -> None:
    async def work(name: str, first: asyncio.Event, second: asyncio.Event) -> None:
        with capture.activity(name, record="tasks.json"):
            first.set()
            await second.wait()

    async def main() -> None:
        a, b = asyncio.Event(), asyncio.Event()
        await asyncio.gather(work("a", a, b), work("b", b, a))

    asyncio.run(main())
    assert [r.get("parent") for r in records_of(tmp_path / "tasks.json")] == [None, None]
    assert "PROV_PARENT_ACTIVITY" not in os.environ


def test_a_fork_of_the_tool_writes_no_record_of_its_own(tmp_path: Path) -> None:
    code = """
import os, sys
from provmanager import capture
with capture.activity('forking') as run:
    child = os.fork()
    if child == 0:
        with capture.activity('child'):
            pass
        sys.exit(0)   # leaves the block of the parent too
    os.waitpid(child, 0)
print(run.id)
"""
    done = run_tool(code, cwd=tmp_path)
    records = {r["name"]: r for r in records_of(tmp_path / "forking.prov.json")}
    assert sorted(records) == ["child", "forking"]
    assert records["child"]["parent"] == done.stdout.strip()
