"""`prod-submit` and `prod-status` as processes, against a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provmanager.client import ProvClient

CWL = Path(__file__).parents[1] / "data" / "cwl"

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environ(app_url: str, make_token: Callable[..., str], tmp_path: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
    return inherited | {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
    }


@pytest.fixture
def prod(environ: dict[str, str], tmp_path: Path) -> Program:
    def run(name: str, *arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", f"client_scripts.{name}", *map(str, arguments)],
            env=environ | variables, cwd=tmp_path, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    return run


def status_of(prod: Program, run: str) -> dict[str, Any]:
    return json.loads(prod("status", run, "--json").stdout)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_submit_runs_to_the_end_and_status_tells_of_it(prod: Program, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one two\n")
    done = prod("submit", CWL / "chain.cwl", "--set", "text=words.txt", "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/run/products/count.txt\n"
    assert "count: completed" in done.stderr
    assert "completed, 2 steps" in done.stderr
    (listed,) = json.loads(prod("status", "--json").stdout)
    assert (listed["name"], listed["state"], listed["is_recorded"]) == ("chain", "completed", True)
    told = prod("status", listed["id"][:8])
    assert told.returncode == 0
    for word in ("shout", "count", "count.txt", "✓ completed"):
        assert word in told.stdout
    by_folder = prod("status", tmp_path / "run", "--json")
    assert json.loads(by_folder.stdout)["id"] == listed["id"]


def test_a_failed_run_says_why_and_how_to_go_on(prod: Program) -> None:
    done = prod("submit", CWL / "branches.cwl", "--set", "code=4")
    assert done.returncode == 6
    for line in ("fails: error", "  exit code 4", "  last reason", "prod-submit --resume"):
        assert line in done.stderr
    run = done.stderr.splitlines()[0].removeprefix("run ")
    told = prod("status", run)
    assert told.returncode == 6
    for words in ("✗ error", "– not run", "last reason", "step fails failed: exit code 4"):
        assert words in told.stdout
    again = prod("submit", "--resume", run[:12], "--set", "code=0", "--json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert sorted(s["name"] for s in found["steps"] if s["is_reused"]) == ["late", "slow"]
    assert set(found["outputs"]) == {"s", "l", "a"}
    resumed = prod("status", found["id"]).stdout
    assert resumed.count("completed (reused)") == 2


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_ending_submit_ends_the_run_and_closes_its_record(
    client: ProvClient, environ: dict[str, str], prod: Program, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "client_scripts.submit", str(CWL / "shell.cwl"),
               "--set", "script=sleep 60"]  # fmt: skip
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        run = process.stderr.readline().split()[1]
        wait_for(lambda: any(s["state"] == "running" for s in status_of(prod, run)["steps"]))
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == code
    found = client.run(run)
    assert found["status"] == "interrupted"
    assert [step["status"] for step in found["steps"]] == ["interrupted"]


def test_a_detached_run_is_ended(client: ProvClient, prod: Program) -> None:
    run = prod("submit", CWL / "shell.cwl", "--set", "script=sleep 60", "--detach").stdout.strip()
    wait_for(lambda: any(s["state"] == "running" for s in status_of(prod, run)["steps"]))
    assert prod("status", run[:8], "--cancel", "--follow").returncode == 143
    assert client.run(run)["status"] == "interrupted"
    assert prod("status", "--cancel").returncode == 2
    assert prod("status", "00000000", "--cancel").returncode == 3


def test_a_detached_run_is_followed_later(prod: Program, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"until test -e {go}; do sleep 0.1; done"
    started = prod("submit", CWL / "shell.cwl", "--set", f"script={script}", "--detach")
    assert started.returncode == 0
    run = started.stdout.strip()
    wait_for(lambda: status_of(prod, run)["state"] == "running")
    assert prod("status", run).returncode == 8
    go.touch()
    followed = prod("status", run, "--follow")
    assert followed.returncode == 0, followed.stderr
    assert "✓ completed" in followed.stdout


def test_where_no_server_answers_the_directory_of_the_run_tells(prod: Program) -> None:
    away = {"PROV_SERVER_URL": "http://127.0.0.1:9"}
    done = prod("submit", CWL / "shell.cwl", "--set", "script=true", **away)
    assert done.returncode == 0, done.stderr
    assert "wait on disk" in done.stderr
    run = done.stderr.splitlines()[0].removeprefix("run ")
    told = prod("status", run, **away)
    assert told.returncode == 0
    assert "no server tells of it" in told.stderr
    assert "✓ completed" in told.stdout
    listed = prod("status", "--json", **away)
    assert [row["is_recorded"] for row in json.loads(listed.stdout)] == [False]
