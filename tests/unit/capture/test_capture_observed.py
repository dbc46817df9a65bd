"""Activities that another process performs, as engines and job wrappers record them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from provmanager.capture import files
from provmanager.capture.command import observed
from provmanager.capture.files import DigestMemory


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_process_of_somebody_is_one_activity(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(os.environ['PROV_PARENT_ACTIVITY'])"]
    activity, parent, record = str(uuid4()), str(uuid4()), tmp_path / "record.jsonl"
    with observed(
        command, name="fit", id=activity, directory=tmp_path, parent=parent, record=record,
        attributes={"scatter_index": [3]}, announce=True,
    ) as run:  # fmt: skip
        done = subprocess.run(command, env=run.environ(), capture_output=True, text=True)
        run.ended(done.returncode)
    assert done.stdout.strip() == activity
    begun, ended = records(record)
    assert (begun["id"], begun["status"]) == (activity, "running")
    assert (ended["id"], ended["status"], ended["exit_code"]) == (activity, "completed", 0)
    assert ended["parent"] == parent
    assert ended["command"]["arguments"] == command
    assert ended["command"]["directory"] == str(tmp_path)
    assert ended["attributes"]["scatter_index"] == [3]


@pytest.mark.parametrize(
    ("code", "status", "recorded"),
    [(0, "completed", 0), (3, "error", 3), (-15, "interrupted", 143), (-11, "error", 139)],
)
def test_how_it_ended_is_said_by_its_code(
    tmp_path: Path, code: int, status: str, recorded: int
) -> None:
    record = tmp_path / "record.jsonl"
    with observed(["tool"], name="step", record=record) as run:
        run.ended(code)
    (ended,) = records(record)
    assert (ended["status"], ended["exit_code"]) == (status, recorded)


def test_a_status_may_be_said_where_the_code_does_not(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with observed(["tool"], name="step", record=record) as run:
        run.ended(3, status="completed")
    (ended,) = records(record)
    assert (ended["status"], ended["exit_code"]) == ("completed", 3)


def test_what_the_process_took_is_its_own(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with observed(["tool"], name="step", record=record) as run:
        process = subprocess.Popen([sys.executable, "-c", "sum(range(10**6))"])
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        run.ended(process.returncode, usage=usage)
    (ended,) = records(record)
    assert ended["resources"]["cpu_user_s"] == round(usage.ru_utime, 6)


def test_a_file_that_several_share_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    digest_file = files.digest_file

    def counted(path: str, **options: Any) -> tuple[str | None, int]:
        read.append(path)
        return digest_file(path, **options)

    monkeypatch.setattr(files, "digest_file", counted)
    data, memory = tmp_path / "data", DigestMemory()
    data.write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to(data)
    for i, name in enumerate(("data", "link", "data")):
        with observed([], name="step", record=tmp_path / f"{i}.jsonl", digests=memory) as run:
            run.input(tmp_path / name)
    digests = {records(tmp_path / f"{i}.jsonl")[0]["inputs"][0]["sha256"] for i in range(3)}
    assert len(digests) == 1
    assert len(read) == 1
    data.write_bytes(b"y" * 1001)
    with observed([], name="step", record=tmp_path / "4.jsonl", digests=memory) as run:
        run.input(data)
    assert records(tmp_path / "4.jsonl")[0]["inputs"][0]["sha256"] not in digests
