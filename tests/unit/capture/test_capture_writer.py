"""Appending records: whole lines, from several processes, and when the disk says no."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from capture_records import record_of, records_of, run_tool

from provmanager.capture.writer import append_record, record_path, rescue_path

APPENDER = """
import sys
from provmanager import capture
for number in range(25):
    with capture.activity('append', configuration={'text': 'x' * 20_000}) as run:
        run.value('worker', sys.argv[1])
"""


def test_eight_processes_append_to_one_file_without_tearing_a_line(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(number)],
            cwd=tmp_path,
            env={**os.environ, "PROV_RUN_FILE": "all.json"},
        )
        for number in range(8)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * 8
    records = records_of(tmp_path / "all.json")
    assert len(records) == 200
    assert len({record["id"] for record in records}) == 200
    counts = [r["outputs"][0]["value"] for r in records]
    assert {worker: counts.count(worker) for worker in counts} == {str(n): 25 for n in range(8)}


def test_a_torn_line_does_not_take_the_next_record_with_it(tmp_path: Path) -> None:
    path = tmp_path / "torn.json"
    path.write_text('{"half": ')
    append_record(str(path), {"a": 1})
    append_record(str(path), {"a": 2})
    lines = path.read_text().splitlines()
    assert lines[0] == '{"half": '
    assert [json.loads(line) for line in lines[1:]] == [{"a": 1}, {"a": 2}]


def test_a_full_disk_is_a_warning_and_the_record_is_rescued(tmp_path: Path) -> None:
    code = """
from provmanager import capture
with capture.activity('full', record='/dev/full'):
    pass
print('went on')
"""
    (tmp_path / "tmp").mkdir()
    done = run_tool(code, cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "No space left on device" in done.stderr
    (rescued,) = (tmp_path / "tmp").iterdir()
    assert record_of(rescued)["name"] == "full"
    assert str(rescued) in done.stderr


def test_nowhere_to_write_is_a_warning_too(tmp_path: Path) -> None:
    code = """
import os
from provmanager import capture
with capture.activity('nowhere', record='/dev/full'):
    pass
print('went on')
"""
    file = tmp_path / "file"
    file.write_text("")
    # the temporary folder is full as well: only tools that ask for it by name get there
    code = "import tempfile; tempfile.tempdir = '/dev/full'\n" + code
    done = run_tool(code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "recording the activity failed" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    done = run_tool(
        "from provmanager import capture\nwith capture.activity('x', record='locked/'): pass",
        cwd=tmp_path,
        TMPDIR=str(tmp_path),
    )
    assert done.returncode == 0
    assert "Permission denied" in done.stderr


def test_a_working_directory_that_was_removed_does_not_break_the_tool(tmp_path: Path) -> None:
    code = """
import os
os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')
from provmanager import capture
with capture.activity('homeless', record=os.environ['PWD'] + '/homeless.json') as run:
    run.input('x.dat')
print('went on')
"""
    done = run_tool(code, cwd=tmp_path, PWD=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert record_of(tmp_path / "homeless.json")["status"] == "completed"


def test_a_line_is_one_write_and_ends_with_a_newline(tmp_path: Path) -> None:
    append_record(str(tmp_path / "a" / "b.json"), {"text": "é\n\u2028", "big": "x" * 100_000})
    data = (tmp_path / "a" / "b.json").read_bytes()
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")


def test_names_of_activities_make_safe_file_names() -> None:
    def path(name: str) -> str:
        return record_path(None, name=name, activity_id="1", directory="/d")

    assert path("qtemp") == "/d/qtemp.prov.json"
    assert path("../../etc/passwd") == "/d/etc_passwd.prov.json"
    assert path("...") == "/d/activity.prov.json"
    assert rescue_path("/d/qtemp.prov.json", "7").endswith("/qtemp.7.prov.json")


def test_processes_started_by_multiprocessing_are_parts_of_the_activity(tmp_path: Path) -> None:
    code = """
import multiprocessing, sys
from provmanager import capture
def work(number):
    with capture.activity('worker'):
        return number
if __name__ == '__main__':
    with capture.activity('main', record='all.json') as run:
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            pool.map(work, range(4))
    print(run.id)
"""
    (tmp_path / "tool.py").write_text(code)
    for method in multiprocessing.get_all_start_methods():
        for old in tmp_path.glob("*.json"):
            old.unlink()
        done = subprocess.run(
            [sys.executable, "tool.py", method],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        records = [r for path in tmp_path.glob("*.json") for r in records_of(path)]
        workers = [r for r in records if r["name"] == "worker"]
        assert len(workers) == 4, method
        assert {r["parent"] for r in workers} == {done.stdout.strip()}, method
