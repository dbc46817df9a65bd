"""`prod-impact`: exactly what came of something, and a plan that repeats exactly that."""

import hashlib
import json
import random
from pathlib import Path
from uuid import uuid4

import networkx as nx
import pytest
from click.testing import CliRunner
from service.captured import capture, work_at

from client_scripts import impact, submit
from provmanager.client import ProvClient


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_url, make_token) -> Path:
    return work_at(app_url, make_token("recorder"), tmp_path, monkeypatch)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(impact.main, list(arguments))
    return result.exit_code, result.stdout


def record_graph(client: ProvClient, world: str, n_runs: int) -> nx.DiGraph:
    """Record runs that each read some files that were there before; return the true graph."""
    rng = random.Random(world)
    graph = nx.DiGraph()
    files = [f"{world}/raw{n}" for n in range(3)]
    for number in range(n_runs):
        inputs = rng.sample(files, rng.randint(1, 3))
        outputs = [f"{world}/f{number}.{k}" for k in range(rng.randint(1, 2))]
        run_id = str(uuid4())
        graph.add_edges_from((name, run_id) for name in inputs)
        graph.add_edges_from((run_id, name) for name in outputs)
        graph.nodes[run_id]["setting"] = rng.randint(0, 5)

        def told(names: list[str]) -> list[dict[str, str]]:
            digests = [hashlib.sha256(n.encode()).hexdigest() for n in names]
            return [{"url": f"/d/{n}", "sha256": d} for n, d in zip(names, digests, strict=True)]

        record = {
            "schema": "provmanager/activity.v1",
            "id": run_id,
            "name": f"step{number % 4}",
            "status": "error" if number % 9 == 0 else "completed",
            "started_at": f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z",
            "ended_at": f"2026-01-01T{number // 60:02d}:{number % 60:02d}:30Z",
            "host": {"name": "node"},
            "configuration": {"cut": f"{world}-{graph.nodes[run_id]['setting']}"},
            "inputs": told(inputs),
            "outputs": told(outputs),
        }
        client.record(json.dumps(record).encode(), name="run.json")
        files += outputs
    return graph


@pytest.mark.parametrize("world", ["one", "two"])
def test_what_a_file_or_a_setting_touched_agrees_with_networkx(client, folder, world):
    graph = record_graph(client, world, 60)
    runs = {node for node in graph if "setting" in graph.nodes[node]}
    for name in (f"{world}/raw0", f"{world}/f7.0", f"{world}/f59.0"):
        code, output = run(f"file://node/d/{name}", "--json")
        answer = json.loads(output)
        below = nx.descendants(graph, name)
        assert code == 0
        assert set(answer["activities"]) == below & runs
        assert len(answer["products"]) == len(below - runs)
        assert sum(sum(s["runs"].values()) for s in answer["steps"]) == len(below & runs)
        assert (answer["n_runs"], answer["n_products"]) == (len(below & runs), len(below - runs))
        assert sum(s["n_products"] for s in answer["steps"]) == len(below - runs)
    some = {node for node in runs if graph.nodes[node]["setting"] == 3}
    below = set().union(some, *(nx.descendants(graph, node) for node in some))
    answer = json.loads(run("--parameter", f"cut={world}-3", "--json")[1])
    assert set(answer["activities"]) == below & runs
    assert len(answer["products"]) == len(below - runs)


def test_of_very_many_runs_all_are_counted_and_only_listed_when_asked_for(
    client, folder, monkeypatch
):
    record_graph(client, "many", 20)
    listed = json.loads(run("file://node/d/many/raw0", "--json")[1])
    monkeypatch.setattr(impact, "_MOST_LISTED", 3)
    counted = json.loads(run("file://node/d/many/raw0", "--json")[1])
    assert counted == listed | {"activities": None, "products": None}
    assert json.loads(run("file://node/d/many/raw0", "--json", "--products")[1]) == listed
    monkeypatch.setattr(impact, "_MOST_ASKED", 3)
    assert run("file://node/d/many/raw0", "--products")[0] == 2
    assert run("file://node/d/many/raw0")[0] == 0


def test_a_plan_repeats_exactly_the_affected_runs_with_the_better_file(folder):
    Path("flat").write_text("2\n")
    Path("flat.better").write_text("3\n")
    for n in (1, 2, 3):
        Path(f"raw{n}").write_text(f"{n}0\n")
        source = "flat" if n < 3 else "other"
        Path("other").write_text("1\n")
        capture("sh", "-c", "cat $0 $1 > $2", f"raw{n}", source, f"cal{n}")
        capture("sort", "-o", f"sorted{n}", f"cal{n}")
    code, output = run("flat", "--plan", "again.cwl", "--replace-by", "flat.better", "--json")
    answer = json.loads(output)
    assert code == 0
    assert len(answer["planned"]) == 4
    assert set(answer["planned"]) == set(answer["activities"])
    result = CliRunner().invoke(submit.main, ["again.cwl"])
    assert result.exit_code == 0, result.output
    made = {Path(line).name: Path(line).read_text() for line in result.stdout.split()}
    assert made == {
        "cal1": "10\n3\n",
        "cal2": "20\n3\n",
        "sorted1": "10\n3\n",
        "sorted2": "20\n3\n",
    }
    Path("raw1").unlink()
    code, output = run("flat", "--plan", "third.cwl", "--json")
    assert code == 5
    assert "raw1: not here" in json.loads(output)["missing"][0]
    assert not Path("third.cwl").exists()


def test_wrong_use_and_nothing_found(folder):
    assert run()[0] == 2
    assert run("x", "--software", "scipy")[0] == 2
    assert run("--software", "scipy", "--replace-by", __file__)[0] == 2
    assert run("--software", "nothing-like-it==0")[0] == 3
    assert run("nothing-like-it")[0] == 3


def test_a_whole_summary_is_the_one_of_its_records(client, folder):
    """Walked by the database in one statement, or level by level and handed back to it."""
    graph = record_graph(client, "whole", 40)
    client.record(
        b"""document
          prefix ex <http://example.org/>
          entity(ex:a) entity(ex:b) entity(ex:c) entity(ex:all)
          activity(ex:one, -, -) activity(ex:two, -, -)
          used(ex:one, ex:a, -) wasGeneratedBy(ex:b, ex:one, -) wasDerivedFrom(ex:c, ex:b)
          hadMember(ex:all, ex:c) used(ex:two, ex:all, -)
        endDocument""",
        name="derived.provn",
    )
    files = [f"file://node/d/{n}" for n in ("whole/raw0", "whole/f3.0", "whole/f39.0")]
    runs = [node for node in graph if "setting" in graph.nodes[node]][:2]
    for ref in (*files, *runs, *(f"http://example.org/{n}" for n in ("a", "b", "c", "all"))):
        for direction in ("up", "down"):
            whole = client.lineage_summary(ref, direction=direction)
            by_level = client.lineage_summary(ref, direction=direction, depth=1000)
            assert whole == by_level | {"depth": None}
