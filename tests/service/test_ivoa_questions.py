"""The five questions of the IVOA recommendation, each by one command or call, on all real logs.

The answers are compared with what the raw JSON files say, read without our code
(tests/data/raw_ctapipe.py). docs/ivoa-questions.md shows the same commands on the example chain.
"""

import csv
import io
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import prov.model
import pytest
from click.testing import CliRunner
from data.raw_ctapipe import Node, Truth, logs, read_truth
from data.snapshots import RENEW

from client_scripts import add_prov, search, trace
from provmanager.client import ProvClient

CHAIN = "/data/shift/runs/chain"

Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def run(app_url: str, token: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command; return what it wrote to standard output and to standard error."""
    state = str(tmp_path_factory.mktemp("state"))
    environment = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token, "PROV_STATE_DIR": state}

    def invoke(command: Any, *arguments: object) -> tuple[str, str]:
        result = CliRunner().invoke(command, [str(a) for a in arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.stdout, result.stderr

    return invoke


@pytest.fixture(scope="module")
def truth(run: Run, prov_data: Path) -> Truth:
    """All real ctapipe logs, recorded by prod-add-prov."""
    folder = prov_data / "ctapipe-samples"
    paths = logs(folder)
    run(add_prov.main, *paths, "--quiet")
    return read_truth(paths)


def names(truth: Truth, nodes: set[Node]) -> set[str]:
    """Return the base names of the files among `nodes`."""
    return {place[-1].rpartition("/")[2] for n in nodes for place in truth.places.get(n, ())}


def node_at(truth: Truth, path: str) -> Node:
    (node,) = (n for n, places in truth.places.items() if any(p[1] == path for p in places))
    return node


def rows(said: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(said)))


# --- A: traceability ------------------------------------------------------------------------------


def test_a_which_raw_data_and_steps_led_to_this_product(run: Run, truth: Truth) -> None:
    said, _ = run(trace.main, f"{CHAIN}/mu_applied.dl2.h5", "--json")
    answer = json.loads(said)
    before = networkx.ancestors(truth.graph, node_at(truth, f"{CHAIN}/mu_applied.dl2.h5"))
    assert {a["id"] for a in answer["activities"]} == {n[1] for n in before if n[0] == "run"}
    assert len(answer["activities"]) == 5
    raw = {n for n in before if n[0] != "run" and not truth.graph.pred[n]}
    roots = {e["name"] for e in answer["entities"] if e["is_root"]}
    assert roots == names(truth, raw) == {"lst_muons.simtel.zst", "train.yaml"}


def test_a_has_this_step_been_applied(run: Run, truth: Truth) -> None:
    """As a table, a line for each activity and product."""
    said, _ = run(trace.main, f"{CHAIN}/mu_applied.dl2.h5", "--format", "csv")
    steps = [row for row in rows(said) if row["kind"] == "activity"]
    assert sum(row["name"] == "ctapipe-merge" for row in steps) == 1
    assert not any(row["name"] == "ctapipe-reconstruct-muons" for row in steps)


# --- B: people ------------------------------------------------------------------------------------


def test_b_who_was_involved_and_whom_do_i_ask(run: Run, truth: Truth) -> None:
    """In the W3C PROV form of the lineage, agents stand with what they had to do with it."""
    asked = 0
    for uuid, node, _ in truth.generated:
        user = (truth.runs[uuid]["system"].get("environment") or {}).get("USER")
        if user is None:
            continue
        said, _ = run(trace.main, f"file://{node[-2]}{node[-1]}", "--format", "prov-json")
        document = prov.model.ProvDocument.deserialize(content=said)
        agents = {a.identifier: a for a in document.get_records(prov.model.ProvAgent)}
        links = {str(x.args[0]): x for x in document.get_records(prov.model.ProvAssociation)}
        link = links[f"uuid:{uuid}"]
        agent = link.args[1]
        assert agents[agent].get_attribute("prov:label") == {user}
        assert agents[agent].get_asserted_types() == {prov.model.PROV["Person"]}
        assert link.get_attribute("prov:role") == {"Operator"}
        asked += 1
    assert asked == 3


def test_b_what_did_this_person_run(run: Run, truth: Truth) -> None:
    said, _ = run(search.main, "activities", "--person", "runner", "--limit", 0, "--csv")
    expected = {
        uuid
        for uuid, record in truth.runs.items()
        if "runner" in (record["system"].get("environment", {}).get("USER") or "")
    }
    assert {row["id"] for row in rows(said)} == expected
    assert 0 < len(expected) < len(truth.runs)


# --- C: quality -----------------------------------------------------------------------------------


def test_c_was_everything_in_order_when_it_was_made(run: Run, truth: Truth) -> None:
    """Every product that a failed or interrupted run made warns of it; sound ones do not."""
    n_warned = 0
    makers = {node: uuid for uuid, node, _ in truth.generated}
    for node in truth.files:
        if node not in makers or truth.runs[makers[node]]["system"]["ctapipe_version"] < "0.28":
            continue
        ref = node[1] if node[0] == "product" else f"file://{node[2]}{node[3]}"
        before = networkx.ancestors(truth.graph, node)
        bad = [
            truth.runs[n[1]]["activity_name"]
            for n in before
            if n[0] == "run" and truth.runs[n[1]].get("status") in ("error", "interrupted")
        ]
        if node[0] != "product" and len(_versions(truth, node)) > 1:
            continue  # a path names its newest version
        _, warnings = run(trace.main, ref, "--quiet", "--no-digest")
        assert ("warning: " in warnings) == bool(bad), (ref, bad, warnings)
        for name in set(bad):
            assert name in warnings
        n_warned += bool(bad)
    assert n_warned >= 3


def _versions(truth: Truth, node: Node) -> list[Node]:
    return [n for n, places in truth.places.items() if ("vm", node[3]) in places]


def test_c_which_runs_went_wrong(run: Run, truth: Truth) -> None:
    said, _ = run(search.main, "activities", "--status", "error", "--limit", 0, "--csv")
    expected = {uuid for uuid, record in truth.runs.items() if record.get("status") == "error"}
    assert {row["id"] for row in rows(said)} == expected
    assert len(expected) == 21


# --- D: the place of an error ---------------------------------------------------------------------


def test_d_with_which_version_system_packages_and_parameters(
    run: Run, truth: Truth, client: ProvClient
) -> None:
    """One call for everything of one run."""
    said, _ = run(trace.main, f"{CHAIN}/mu2.dl1.h5", "--depth", 1, "--format", "csv")
    (step,) = (row for row in rows(said) if row["kind"] == "activity")
    found = client.activity(step["id"])
    raw = truth.runs[step["id"]]
    system = raw["system"]
    assert found["version"] == system["ctapipe_version"] == "0.32.0"
    assert found["environment"]["packages"] == system["python"]["packages"]
    assert found["host"]["name"] == system["platform"]["node"]
    assert found["host"]["release"] == system["platform"]["release"]
    assert found["command"]["arguments"] == system["arguments"]
    cleaning = {
        name.rpartition(".")[2]: value
        for name, value in found["configuration"].items()
        if ".TailcutsImageCleaner." in name
    }
    image_processor = raw["config"]["ProcessorTool"]["ImageProcessor"]
    assert cleaning == image_processor["TailcutsImageCleaner"]
    assert cleaning["picture_threshold_pe"] == [["type", "*", 10.0]]


# --- E: forward -----------------------------------------------------------------------------------


def test_e_all_files_that_used_a_wrong_file_to_mark_for_reprocessing(
    run: Run, truth: Truth
) -> None:
    """And the runs to repeat: what came of it, in the order in which it flowed."""
    wrong = f"{CHAIN}/mu3.dl1.h5"
    said, _ = run(trace.main, wrong, "--down", "--format", "csv")
    found = rows(said)
    after = networkx.descendants(truth.graph, node_at(truth, wrong))
    assert {r["id"] for r in found if r["kind"] == "activity"} == {
        n[1] for n in after if n[0] == "run"
    }
    products = {r["name"] for r in found if r["kind"] == "product"} - {"mu3.dl1.h5"}
    assert products == names(truth, {n for n in after if n[0] != "run"})
    assert products == {"mu_merged.dl1.h5", "energy.pkl", "mu_applied.dl2.h5"}


def test_e_more_produced_with_the_same_version(run: Run, truth: Truth) -> None:
    said, _ = run(search.main, "--version", "0.28.0", "--limit", 0, "--csv")
    expected = {
        (uuid, node)
        for uuid, node, _ in truth.generated
        if truth.runs[uuid]["system"]["ctapipe_version"] == "0.28.0"
    }
    found = rows(said)
    assert len(found) == len(expected) > 0
    assert {row["name"] for row in found} == names(truth, {node for _, node in expected})


def test_e_all_made_by_one_algorithm_with_one_configuration(run: Run, truth: Truth) -> None:
    options = ("--activity", "ctapipe-process", "--package", "numpy==2.5.5")
    parameter = ("--parameter", 'TailcutsImageCleaner.boundary_threshold_pe=[["type","*",5.0]]')
    said, _ = run(search.main, *options, *parameter, "--limit", 0, "--csv")
    made = {
        node
        for uuid, node, _ in truth.generated
        for record in [truth.runs[uuid]]
        if record["activity_name"] == "ctapipe-process"
        and {"numpy==2.5.5"} & _packages(record)
        and '"boundary_threshold_pe": [["type", "*", 5.0]]' in json.dumps(record.get("config"))
    }
    assert len(rows(said)) == len(made) > 0


def _packages(record: dict[str, Any]) -> set[str]:
    found = record["system"]["python"].get("packages", ())
    return {f"{p['name']}=={p['version']}" for p in found}


def test_e_all_reduced_with_the_same_calibration(run: Run, truth: Truth) -> None:
    """What directly came of one file: here, the models that a run applied."""
    model = f"{CHAIN}/energy.pkl"
    said, _ = run(trace.main, model, "--down", "--depth", 1, "--format", "csv")
    users = {("run", uuid) for uuid, node, _ in truth.used if node == node_at(truth, model)}
    made = {n for u in users for n in truth.graph.successors(u)}
    found = {row["name"] for row in rows(said) if row["kind"] == "product"} - {"energy.pkl"}
    assert found == names(truth, made) == {"mu_applied.dl2.h5"}


# --- the page -------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ivoa-questions.md"
_TEXT = re.compile(r"(?<=^```text\n)\$ (prod-\w+) ([^\n]*)\n(.*?)(?=^```$)", re.M | re.DOTALL)
_PYTHON = re.compile(r"(?<=^```python\n)(.*?)(^```\n\n```text\n)(.*?)(?=^```$)", re.M | re.DOTALL)


def test_the_page_shows_what_the_commands_answer(
    truth: Truth,
    app_url: str,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its ``text`` blocks, on this record; tests/e2e/test_demo.py checks the ``console`` ones."""
    environment = {
        "PROV_SERVER_URL": app_url, "PROV_TOKEN": token, "PROV_STATE_DIR": str(tmp_path),
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def answered(block: re.Match[str]) -> str:
        main = {"prod-trace": trace.main, "prod-search": search.main}[block[1]]
        command, _, wanted = block[2].partition(" | grep -E ")
        said = CliRunner().invoke(main, shlex.split(command)).output.splitlines()
        pattern = shlex.split(wanted)[0] if wanted else ""
        lines = "".join(f"{line}\n" for line in said if re.search(pattern, line))
        return f"$ {block[1]} {block[2]}\n{lines}"

    def printed(block: re.Match[str]) -> str:
        capsys.readouterr()
        exec(block[1], {})
        return f"{block[1]}{block[2]}{capsys.readouterr().out}"

    page = PAGE.read_text()
    now = _PYTHON.sub(printed, _TEXT.sub(answered, page))
    if os.environ.get(RENEW):
        PAGE.write_text(now)
    assert now == PAGE.read_text(), f"run: {RENEW}=1 pytest {__file__}"
    assert len(_TEXT.findall(page)) == 4
    assert len(_PYTHON.findall(page)) == 1
