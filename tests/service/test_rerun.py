"""Products made again from the record: real commands, a real server, the local engine."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from service.captured import capture, work_at

from client_scripts.rerun import main
from jobs.engines import RunStatus, StepStatus
from jobs.rerun import Plan, Step, recorded_changes

TOOL = """\
import json, os, sys, time
if os.path.exists("{folder}/full"):
    raise SystemExit("no more disk")
source, target, factor = sys.argv[1], sys.argv[2].partition("=")[2], float(sys.argv[3])
os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
numbers = [float(x) * factor for x in open(source).read().split()]
when = time.time() if "--date" in sys.argv else 0
numbers[0] += os.path.exists("{folder}/drift") * 1e-3
json.dump(dict(numbers=numbers, DATE=when), open(target, "w"))
"""
COUNT = "import json,sys; print(sum(json.load(open(sys.argv[1]))['numbers']))"

Prod = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_url, make_token) -> Path:
    """A folder with a tool and raw data, whose runs are recorded at the server of this module."""
    work = work_at(app_url, make_token("recorder"), tmp_path, monkeypatch)
    (work / "tool.py").write_text(TOOL.replace("{folder}", str(work)))
    (work / "count.py").write_text(COUNT)
    (work / "raw.txt").write_text(f"1 2 {os.getpid()}.5 {hash(str(tmp_path)) % 10000}\n")
    return work


def rerun(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def make_chain(*options: str) -> None:
    capture(sys.executable, "tool.py", "raw.txt", "--output=out/dl1.json", "2.5", *options)
    capture(sys.executable, "tool.py", "raw.txt", "--output=side.json", "1", *options)
    capture(sys.executable, "count.py", "out/dl1.json", stdout="sum.txt")


def test_a_product_is_made_again_with_the_same_bytes(folder):
    make_chain()
    result = rerun("sum.txt")
    assert result.exit_code == 0, result.output
    assert result.output.count("same bytes") == 1  # dl1.json is still here: only the last step ran
    everything = rerun("sum.txt", "--from-roots", "--json")
    assert everything.exit_code == 0, everything.output
    answer = json.loads(everything.stdout)
    assert {p["name"]: p["outcome"] for p in answer["products"]} == {
        "dl1.json": "same-bytes",
        "sum.txt": "same-bytes",
    }


def test_an_input_that_is_gone_or_changed_is_made_again_too(folder):
    make_chain()
    Path("out/dl1.json").write_text("{}")
    result = rerun("sum.txt")
    assert result.exit_code == 0, result.output
    assert "dl1.json" in result.stdout
    Path("out/dl1.json").unlink()
    assert rerun("sum.txt").exit_code == 0


def test_what_cannot_be_had_again_is_said_before_anything_runs(folder):
    make_chain()
    (folder / "raw.txt").write_text("7 7 7\n")
    result = rerun("out/dl1.json")
    assert result.exit_code == 5
    assert "raw.txt: changed since" in result.output
    assert "run " not in result.stdout
    (folder / "raw.txt").unlink()
    result = rerun("out/dl1.json", "--dry-run", "--json")
    assert result.exit_code == 5
    assert "raw.txt: not here" in json.loads(result.stdout)["missing"][0]
    assert not (folder.parent / "state" / "runs").exists()


def test_times_of_making_do_not_count_but_values_do(folder):
    make_chain("--date")
    result = rerun("side.json")
    assert result.exit_code == 0, result.output
    assert "same values" in result.output
    (folder / "drift").touch()  # what no record knows of: another kernel, another database
    result = rerun("side.json")
    assert result.exit_code == 5
    assert "/numbers/0: 1.0 → 1.001" in result.output


def test_changed_code_is_said_before_anything_runs(folder):
    make_chain()
    with (folder / "tool.py").open("a") as file:
        file.write("# better now\n")
    result = rerun("side.json")
    assert result.exit_code == 5
    assert "tool.py: changed since" in result.output


def test_a_failing_run_is_told_with_its_reason(folder):
    make_chain()
    (folder / "full").touch()
    result = rerun("side.json")
    assert result.exit_code not in (0, 5, 6)
    assert "no more disk" in result.output


def test_the_document_and_the_script_run_elsewhere(folder):
    make_chain()
    assert rerun("sum.txt", "--from-roots", "--write", "again").exit_code == 0
    before = Path("sum.txt").read_text()
    script = (folder / "again" / "rerun.sh").absolute()
    document = json.loads((folder / "again" / "rerun.cwl").read_text())
    assert (document["class"], len(document["steps"])) == ("Workflow", 2)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dl1.json").symlink_to("out/dl1.json")
    subprocess.run([str(script)], check=True, cwd=elsewhere)
    assert (elsewhere / "sum.txt").read_text() == before


def test_an_input_that_nobody_made_and_an_activity_cannot_be_repeated(folder):
    make_chain()
    assert rerun("raw.txt").exit_code == 3
    assert rerun("nothing-of-this-name").exit_code == 3


def test_software_that_was_another_on_the_nodes_is_told_from_the_record(folder, client):
    """Two recorded runs of one step, of which the later has another package and interpreter."""

    def recorded(run: str, version: str, python: str, **more: object) -> None:
        told = {
            "schema": "provmanager/activity.v1", "id": run, "name": "fit", "status": "completed",
            "environment": {
                "python": {"version": python},
                "packages": [
                    {"name": "scipy", "version": version}, {"name": "six", "version": "1"},
                ],
            },
        }  # fmt: skip
        client.record(json.dumps(told | more).encode(), name="fit.json")

    then, step, tool = (str(uuid4()) for _ in range(3))
    recorded(then, "1.11", "3.11.7")
    bare = {"schema": "provmanager/activity.v1", "id": step, "name": "fit_1", "status": "completed"}
    client.record(json.dumps(bare).encode(), name="step.json")
    recorded(tool, "1.12", "3.12.1", parent=step)
    repeated = Step(then, "fit", None, ("fit",), (), (), ())
    run = RunStatus(
        id=step, name="rerun", engine="diracx", state="completed",
        steps=(StepStatus(name="fit_1", state="completed", activity=step),),
    )  # fmt: skip
    assert recorded_changes(Plan("", [repeated]), run, client) == [
        "fit: Python 3.11.7 then, 3.12.1 now; scipy 1.11 then, 1.12 now"
    ]
