"""`prod-rerun` and plans of `prod-impact` on either engine: real commands, server and DiracX."""

import json
import random
from pathlib import Path
from uuid import uuid4

import networkx as nx
import pytest
from click.testing import CliRunner, Result
from service.captured import capture, work_at

from client_scripts import impact, rerun, submit
from jobs.engines import ENGINES
from jobs.workflows import PLAN_ID
from provmanager.ids import file_sha256

pytestmark = pytest.mark.grid_users

JOIN = 'cat "$1" "$2" > "$0"'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, testbed, app_url, make_token) -> Path:
    """A folder whose runs are recorded at the module's server, with credentials of the grid."""
    work = work_at(app_url, make_token("recorder"), tmp_path, monkeypatch)
    monkeypatch.setenv("DIRACX_URL", testbed.url)
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", testbed.credentials["user"])
    return work


def call(command, *arguments: str) -> Result:
    return CliRunner().invoke(command.main, list(arguments))


def make_graph(folder: Path, n_runs: int) -> tuple[nx.DiGraph, dict[str, tuple[str, str]]]:
    """Run commands that join files that were there before; return the graph and its recipes."""
    rng = random.Random(str(folder))
    graph, recipes = nx.DiGraph(), {}
    files = ["flat", "raw0", "raw1"]
    for name in files:
        Path(name).write_text(f"{name} of {folder}\n")
    for number in range(n_runs):
        first, second = rng.sample(files, 2)
        if number == 0:
            first, second = "flat", "raw0"
        made = f"f{number}"
        capture("sh", "-c", JOIN, made, first, second)
        graph.add_edges_from([(first, made), (second, made)])
        recipes[made] = (first, second)
        files.append(made)
    return graph, recipes


def contents(recipes: dict[str, tuple[str, str]], name: str, flat: str) -> str:
    """What a file holds if the flat field is this one, worked out without any engine."""
    if name == "flat":
        return flat
    if name not in recipes:
        return Path(name).read_text()
    return "".join(contents(recipes, part, flat) for part in recipes[name])


def counts(client) -> tuple[int, int]:
    info = client.info()
    return info["activities"], info["entities"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plan_repeats_what_a_bad_file_touched_exactly_once(client, folder, engine) -> None:
    graph, recipes = make_graph(folder, 7)
    Path("flat.better").write_text(f"better flat of {folder}\n")
    done = call(impact, "flat", "--plan", "again.cwl", "--replace-by", "flat.better", "--json")
    assert done.exit_code == 0, done.output
    touched = nx.descendants(graph, "flat")
    makers = {
        client.entity(client.resolve(str(folder / name))["id"])["produced_by"]["activity"]
        for name in touched
    }
    assert set(json.loads(done.stdout)["planned"]) == makers
    assert len(touched) > 0

    first = call(submit, "again.cwl", "--engine", engine, "--json")
    assert first.exit_code == 0, first.output
    run = json.loads(first.stdout)
    document = json.loads(Path("again.cwl").read_text())
    labels = [document["steps"][step["name"]]["run"]["label"] for step in run["steps"]]
    assert sorted(label.split()[-1] for label in labels) == sorted(makers)
    made = {Path(p["path"]).name: Path(p["path"]).read_text() for p in run["products"]}
    better = Path("flat.better").read_text()
    assert made == {name: contents(recipes, name, better) for name in touched}
    parts = client.activity(run["id"])["parts"]
    assert len(parts) == len(touched)
    assert {part["status"] for part in parts} == {"completed"}

    before = counts(client)
    for other in ENGINES:  # whichever engine ran it
        second = call(submit, "again.cwl", "--engine", other)
        assert second.exit_code == 0, second.output
        assert "did this plan already: nothing is run" in second.stderr
        assert {Path(line).name for line in second.stdout.split()} == touched
    assert counts(client) == before
    anew = call(impact, "flat", "--plan", "anew.cwl", "--replace-by", "flat.better")
    assert anew.exit_code == 0, anew.output
    assert "did this plan already" in call(submit, "anew.cwl", "--engine", engine).stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plan_that_failed_runs_only_what_is_missing(client, folder, engine) -> None:
    Path("flat").write_text(f"flat of {folder}\n")
    Path("flat.better").write_text(f"better flat of {folder}\n")
    full = folder / "full"
    capture("sort", "-o", "sorted", "flat")
    capture("sh", "-c", f'test ! -e {full} && cat "$1" "$1" > "$0"', "twice", "sorted")
    made = call(impact, "flat", "--plan", "again.cwl", "--replace-by", "flat.better")
    assert made.exit_code == 0, made.output
    full.touch()
    assert call(submit, "again.cwl", "--engine", engine).exit_code == 6
    full.unlink()
    second = call(submit, "again.cwl", "--engine", engine, "--json")
    assert second.exit_code == 0, second.output
    run = json.loads(second.stdout)
    assert [step["is_reused"] for step in run["steps"]] == [True, False]
    assert "what it made is taken over" in second.stderr
    third = call(submit, "again.cwl", "--engine", engine, "--json")
    assert json.loads(third.stdout)["id"] == run["id"]
    again = call(submit, "again.cwl", "--engine", engine, "--again", "--json")
    assert json.loads(again.stdout)["id"] != run["id"]


def test_a_plan_whose_files_are_others_now_is_refused(folder) -> None:
    Path("flat").write_text(f"flat of {folder}\n")
    capture("sort", "-o", "sorted", "flat")
    assert call(impact, "flat", "--plan", "again.cwl").exit_code == 0
    plan = json.loads(Path("again.cwl").read_text())["inputs"][PLAN_ID]["default"]
    Path("flat").write_text("changed\n")
    refused = call(submit, "again.cwl")
    assert refused.exit_code == 5
    assert "/flat has the SHA-256" in refused.stderr
    made = call(impact, str(folder / "sorted"), "--plan", "none.cwl")
    assert made.exit_code == 0, made.output  # nothing came of it
    assert json.loads(Path("none.cwl").read_text())["inputs"][PLAN_ID]["default"] != plan


def test_a_product_is_made_again_on_the_grid(client, folder) -> None:
    make_graph(folder, 3)
    assert call(rerun, "f2", "--engine", "diracx", "--dry-run").exit_code == 0
    single = call(rerun, "f2", "--engine", "diracx", "--json")
    assert single.exit_code == 0, single.output
    answer = json.loads(single.stdout)
    assert [(p["name"], p["outcome"]) for p in answer["products"]] == [("f2", "same-bytes")]
    assert "the software of the nodes cannot be seen from here" in single.stderr
    job = client.activity(answer["run"])["part_of"][0]["activity"]
    assert client.activity(job)["job"]["site"] == "DIRAC.Testbed.local"
    Path("raw0").write_text("changed\n")
    Path("raw1").write_text("changed\n")
    Path("flat").write_text("changed\n")
    refused = call(rerun, "f0", "--engine", "diracx")
    assert refused.exit_code == 5
    assert "changed since" in refused.stderr
    assert "run " not in refused.stdout


def test_an_input_that_lies_in_the_storage_only_is_read_there_and_its_bytes_checked(
    client, folder, monkeypatch
) -> None:
    Path("raw").write_text(f"raw of {folder}\nand more\n")
    capture("sort", "-o", "sorted", "raw")
    place = {"url": str(folder / "raw"), "lfn": f"lfn:/vo{folder}/raw", "role": "stored"}
    stored = folder / "storage" / f"vo{folder}" / "raw"
    stored.parent.mkdir(parents=True)
    told = {
        "schema": "provmanager/activity.v1",
        "id": str(uuid4()),
        "name": "archive",
        "status": "completed",
        "inputs": [place | {"sha256": file_sha256(folder / "raw")}],
    }
    client.record(json.dumps(told).encode(), name="archive.json")
    Path("raw").rename(stored)
    assert call(rerun, str(folder / "sorted"), "--engine", "diracx").exit_code == 5
    options = {"storage": {"kind": "directory", "path": str(folder / "storage")}}
    Path("grid.json").write_text(json.dumps(options))
    monkeypatch.setenv("PROV_GRID_OPTIONS", str(folder / "grid.json"))
    assert call(rerun, str(folder / "sorted")).exit_code == 5  # only the grid reads it
    done = call(rerun, str(folder / "sorted"), "--engine", "diracx")
    assert done.exit_code == 0, done.output
    assert "same bytes" in done.stdout
    stored.write_text("other\n")
    done = call(rerun, str(folder / "sorted"), "--engine", "diracx")
    assert done.exit_code == 5, done.output
    assert "is not the file that it should be" in done.stderr
