"""`prod-submit production.yml` as people use it: real runs of the local engine, a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from productions import deliver, make_files, record_activity

from jobs.productions import Holder, Options, Submitter, load_production
from provmanager.client import ProvClient
from provmanager.errors import NotFoundError

CWL = Path(__file__).parents[1] / "data" / "cwl"
PATIENCE_S = 120.0

Prod = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environ(app_url: str, make_token: Callable[..., str], tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
    return kept | {
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
        "PROV_STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def prod(environ: dict[str, str], tmp_path: Path) -> Prod:
    def run(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(name, *arguments), env=environ, cwd=tmp_path, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    return run


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"client_scripts.{name}", *map(str, arguments)]


@pytest.fixture
def document(tmp_path: Path) -> Callable[..., Path]:
    """Write the production of tests/data/cwl under a name of this test's, with changes."""

    def write(*steps: str, **changes: Any) -> Path:
        wanted = yaml.safe_load((CWL / "production.yml").read_text())
        wanted["name"] = name_of(tmp_path)
        wanted["steps"] = [s for s in wanted["steps"] if not steps or s["name"] in steps]
        wanted["steps"][0]["input"]["location"] = f"file://*{tmp_path}/*"
        for step in wanted["steps"]:
            step["workflow"] = str(CWL / step["workflow"])
        path = tmp_path / "production.yml"
        path.write_text(yaml.safe_dump(wanted | changes))
        return path

    return write


def name_of(folder: Path) -> str:
    return "".join(c if c.isalnum() else "-" for c in folder.name)[:60]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_production_runs_over_all_there_is_and_goes_on_with_what_comes_late(
    client: ProvClient, prod: Prod, document: Callable[..., Path], tmp_path: Path, token: str
) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    deliver(client, make_files(tmp_path, 1, 6))
    path = document()
    dry = prod("submit", path, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "mark: 2 runs of mark over 6 inputs" in dry.stdout
    done = prod("submit", path)
    assert done.returncode == 0, done.stderr
    assert "mark: 2 runs submitted" in done.stderr
    status = json.loads(prod("status", name_of(tmp_path), "--json").stdout)
    assert status["is_done"]
    assert [step["inputs"]["completed"] for step in status["steps"]] == [6, 6, 1]
    assert [step["runs"]["completed"] for step in status["steps"]] == [2, 1, 1]
    told = prod("status", name_of(tmp_path))
    assert "4 runs done, 0 to come" in told.stdout
    assert name_of(tmp_path) in prod("status", "--productions").stdout
    assert prod("status", "nobody").returncode == 3

    page = httpx.get(f"{client.url}/production", params={"name": name_of(tmp_path)},
                     headers={**bearer, "Accept": "text/html"}).text  # fmt: skip
    assert "outputs of mark, 20 a run" in page
    twin = httpx.get(f"{client.url}/production.json", params={"name": name_of(tmp_path)},
                     headers=bearer).json()  # fmt: skip
    assert twin == {"page": "production", **status}
    listed = httpx.get(f"{client.url}/productions", headers={**bearer, "Accept": "text/html"}).text
    assert name_of(tmp_path) in listed

    again = prod("submit", path, "--json")
    assert json.loads(again.stdout)["steps"][0]["runs"]["completed"] == 2
    deliver(client, make_files(tmp_path, 7, 8))
    late = prod("submit", path)
    assert late.returncode == 0, late.stderr
    status = dict(client.production(name_of(tmp_path)))
    assert [step["inputs"]["completed"] for step in status["steps"]] == [8, 8, 2]
    assert [step["inputs"]["doubled"] for step in status["steps"]] == [0, 0, 0]


def test_what_fails_is_run_again_up_to_the_limit_and_then_reported(
    client: ProvClient, prod: Prod, document: Callable[..., Path], tmp_path: Path
) -> None:
    files = make_files(tmp_path, 1, 7)
    files[6].write_text("fail")
    deliver(client, files)
    done = prod("submit", document("mark"))
    assert done.returncode == 6, done.stderr
    (step,) = client.production(name_of(tmp_path))["steps"]
    assert (step["runs"]["error"], step["runs"]["completed"]) == (2, 1)
    assert (step["inputs"]["failed"], step["inputs"]["completed"]) == (2, 5)
    assert "exit code 3" in done.stderr or "failed: mark" in done.stderr
    assert prod("status", name_of(tmp_path)).returncode == 6
    more = prod("submit", document("mark", retries=2))
    assert more.returncode == 6
    assert client.production(name_of(tmp_path))["steps"][0]["runs"]["error"] == 3


def test_submitters_at_once_and_killed_ones_run_each_input_once(
    client: ProvClient, prod: Prod, document: Callable[..., Path], tmp_path: Path,
    environ: dict[str, str],
) -> None:  # fmt: skip
    deliver(client, make_files(tmp_path, 1, 30))
    path = document("mark")
    name = name_of(tmp_path)

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command("submit", path, "-q"), env=environ, cwd=tmp_path)

    def n_submitted() -> int:
        try:
            return sum(client.production(name)["steps"][0]["runs"].values())
        except NotFoundError:  # not defined yet
            return 0

    first, second = start(), start()
    wait_for(lambda: n_submitted() >= 2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    third = start()
    assert (second.wait(PATIENCE_S), third.wait(PATIENCE_S)) == (0, 0)
    (step,) = client.production(name)["steps"]
    assert step["inputs"] == {
        "free": 0, "running": 0, "completed": 30, "retried": 0, "failed": 0, "doubled": 0,
    }  # fmt: skip
    assert step["runs"]["completed"] == 6
    assert len(list((tmp_path / "state" / "runs").iterdir())) == 6


def test_numbers_are_run_once_by_submitters_at_once_and_killed_ones(
    client: ProvClient, prod: Prod, tmp_path: Path, environ: dict[str, str], token: str
) -> None:
    (tmp_path / "make.cwl").write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [sh, -c, "
        f"'echo $0 >>{tmp_path}/began.txt; test $0 -ne 9 || exit 3; echo seed $0 >run$0.txt']\n"
        "inputs: {seed: {type: int, inputBinding: {position: 1}}}\n"
        "outputs: {made: {type: File, outputBinding: {glob: 'run*.txt'}}}\n"
    )
    path, name = tmp_path / "production.yml", name_of(tmp_path)

    def write(n_runs: int) -> None:
        numbers = {"first": 8, "parameter": "seed", "runs": n_runs}
        step = {"name": "make", "workflow": "make.cwl", "generate": numbers}
        whole = {"schema": "production.v1", "name": name, "retries": 1, "steps": [step]}
        path.write_text(yaml.safe_dump(whole))

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command("submit", path, "-q"), env=environ, cwd=tmp_path)

    write(3)
    assert "make: 3 runs of make with 3 numbers as seed" in prod("submit", path, "--dry-run").stdout
    first, second = start(), start()
    wait_for((tmp_path / "began.txt").exists)
    first.send_signal(signal.SIGKILL)
    first.wait()
    third = start()
    assert (second.wait(PATIENCE_S), third.wait(PATIENCE_S)) == (6, 6)
    write(4)
    assert prod("submit", path).returncode == 6
    (step,) = client.production(name)["steps"]
    assert step["inputs"] == {
        "free": 0, "running": 0, "completed": 3, "retried": 0, "failed": 1, "doubled": 0,
    }  # fmt: skip
    began = [int(line) for line in (tmp_path / "began.txt").read_text().split()]
    assert sorted(began) == [8, 9, 9, 10, 11]  # the one that failed: again, as itself
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
    page = httpx.get(f"{client.url}/production", params={"name": name}, headers=headers).text
    assert "seed from 8, 4 runs" in page


def test_a_run_whose_process_is_gone_is_closed_and_run_again(
    client: ProvClient, document: Callable[..., Path], tmp_path: Path, environ: dict[str, str]
) -> None:
    deliver(client, make_files(tmp_path, 1, 1))
    path = document("mark")
    wanted = yaml.safe_load(path.read_text())
    slow = tmp_path / "slow.cwl"
    slow.write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [sh, -c, "
        f"'test -e {tmp_path}/go || {{ touch {tmp_path}/begun; sleep 600; }}; cat $0']\n"
        "inputs: {texts: {type: 'File[]', inputBinding: {position: 1}}}\n"
        "outputs: {out: stdout}\n"
    )
    wanted["steps"][0] |= {"workflow": str(slow), "inputs": {}}
    path.write_text(yaml.safe_dump(wanted))
    with subprocess.Popen(command("submit", path, "-q"), env=environ, cwd=tmp_path) as process:
        wait_for((tmp_path / "begun").exists)
        (run,) = (tmp_path / "state" / "runs").iterdir()
        pid = json.loads((run / "run.json").read_text())["starting_pid"]
        (tmp_path / "go").touch()
        os.killpg(pid, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 0
    (step,) = client.production(name_of(tmp_path))["steps"]
    assert (step["runs"]["interrupted"], step["runs"]["completed"]) == (1, 1)
    assert client.activity(run.name)["status"] == "interrupted"


def test_endless_it_takes_what_arrives(
    client: ProvClient, document: Callable[..., Path], tmp_path: Path, environ: dict[str, str]
) -> None:
    deliver(client, make_files(tmp_path, 1, 2))
    path = document("mark")
    name = name_of(tmp_path)
    wanted = yaml.safe_load(path.read_text())
    wanted["steps"][0]["group"]["wait_s"] = 0
    path.write_text(yaml.safe_dump(wanted))
    endless = command("submit", path, "-q", "--follow")

    def n_done() -> int:
        try:
            return int(client.production(name)["steps"][0]["inputs"]["completed"])
        except NotFoundError:  # not defined yet
            return 0

    with subprocess.Popen(endless, env=environ, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        wait_for(lambda: n_done() == 2)
        deliver(client, make_files(tmp_path, 3, 4))
        wait_for(lambda: n_done() == 4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"goes on" in told


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"files": "txts"}, "has no input 'txts'"),
        ({"inputs": {"word": "${nobody}"}}, "${nobody} is not known"),
        ({"inputs": {}}, "needs also: word"),
        ({"workflow": "nowhere.cwl"}, "nowhere.cwl"),
        ({"files": "word", "inputs": {}}, "expected File"),
        ({"group": {"size": 0}}, "/steps/0/group/size"),
        ({"generate": {"runs": 2, "parameter": "word"}}, "either input (with files) or generate"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused_before_anything_is_claimed(
    prod: Prod, document: Callable[..., Path], change: dict[str, Any], expected: str
) -> None:
    path = document("mark")
    wanted = yaml.safe_load(path.read_text())
    wanted["steps"][0] |= change
    path.write_text(yaml.safe_dump(wanted))
    done = prod("submit", path)
    assert done.returncode in (1, 2, 3), done.stderr
    assert expected in done.stderr


def test_options_of_a_single_run_are_refused(prod: Prod, document: Callable[..., Path]) -> None:
    done = prod("submit", document(), "--set", "word=x")
    assert done.returncode == 2
    assert "--set is for a single run" in done.stderr


def test_a_submitter_waits_for_what_another_claimed_just_before_it(
    client: ProvClient, document: Callable[..., Path], tmp_path: Path,
    app_url: str, make_token: Callable[..., str],
) -> None:  # fmt: skip
    deliver(client, make_files(tmp_path, 1, 2))
    loaded = load_production(document("mark"))
    name = name_of(tmp_path)
    theirs: list[Any] = []

    class Rivalled(ProvClient):
        """Another submitter is a moment faster, once."""

        def claim_groups(self, production: str, wanted: Any) -> Any:
            if not theirs:
                theirs.extend(client.claim_groups(name, wanted | {"holder": "b", "place": "b"}))
            return super().claim_groups(production, wanted)

    def finish(status: Any) -> None:
        if status["steps"][0]["runs"]["claimed"]:  # seen at the end of the first cycle
            record_activity(client, id=theirs[0]["run"], name=f"{name}.mark", type="Workflow",
                            status="completed")  # fmt: skip
            client.report_runs(name, {"holder": "b", "settled": [theirs[0]["run"]]})

    rivalled = Rivalled(app_url, make_token("recorder"))
    with rivalled, Holder(name, tmp_path / "state") as holder:
        submitter = Submitter(rivalled, loaded, holder, Options())
        submitter.define()
        status = submitter.run(finish)
    assert [len(group["inputs"]) for group in theirs] == [2]
    assert status["is_done"]
