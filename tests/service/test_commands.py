"""The commands against a real service, on the example chain and on real records."""

import csv
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import prov.model
import pytest
from click.testing import CliRunner, Result

from client_scripts import add_prov, init_prov, prod, search, trace
from provmanager import capture
from provmanager.client import ProvClient
from provmanager.formats.description_document import read_descriptions

ROOT = Path(__file__).resolve().parents[2]
CHAIN = ROOT / "examples" / "chain"
DESCRIPTIONS = ROOT / "examples" / "ctapipe-descriptions.yaml"
RUNS = "file://vm/data/shift/runs/chain"
DL2 = f"{RUNS}/mu_applied.dl2.h5"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def environment(
    app_url: str, token: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    state = tmp_path_factory.mktemp("state")
    return {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token, "PROV_STATE_DIR": str(state)}


@pytest.fixture(scope="module")
def run(environment: dict[str, str]) -> Run:
    def invoke(
        command: Any, *arguments: object, env: dict[str, str] | None = None, **options: Any
    ) -> Result:
        return CliRunner().invoke(
            command, [str(a) for a in arguments], env=environment | (env or {}), **options
        )

    return invoke


@pytest.fixture(scope="module")
def chain(run: Run) -> Result:
    """The example chain, recorded."""
    result = run(add_prov.main, CHAIN)
    assert result.exit_code == 0, result.output
    return result


def raw_runs() -> Iterator[dict[str, Any]]:
    for path in sorted(CHAIN.glob("*.log")):
        yield from json.loads(path.read_text())


def raw_ancestors(product: str) -> tuple[set[str], set[str]]:
    """Activities and files before a product, from the raw files, by networkx."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for raw in raw_runs():
        for used in raw["input"]:
            graph.add_edge(used["url"], raw["activity_uuid"])
        for made in raw["output"]:
            graph.add_edge(raw["activity_uuid"], made["url"])
    found = nx.ancestors(graph, product)
    activities = {raw["activity_uuid"] for raw in raw_runs()}
    return found & activities, found - activities


def outcomes(result: Result) -> list[str]:
    """The first word of each item's line; what belongs to an item is indented below it."""
    lines = result.stdout.splitlines()
    return [line.split()[0] for line in lines if not line.startswith("  ")]


def counts(client: ProvClient) -> tuple[int, int, int]:
    info = client.info()
    return info["documents"], info["activities"], info["entities"]


# --- prod-add-prov


def test_a_folder_is_recorded_one_line_a_document(chain: Result, client: ProvClient):
    lines = chain.stdout.splitlines()
    logs = sorted(CHAIN.glob("*.log"))
    recorded = [line for line in lines if line.startswith("recorded")]
    assert [line.split()[1] for line in recorded] == [str(log) for log in logs]
    assert all("ctapipe  1 activity (1 new)" in line for line in recorded)
    assert chain.stderr.strip() == f"{len(logs)} documents: {len(logs)} recorded"
    assert counts(client)[1] >= len(logs)


def test_recording_again_changes_nothing(chain: Result, run: Run, client: ProvClient):
    before = counts(client)
    result = run(add_prov.main, CHAIN / "01_process_muons.provenance.log", f"{CHAIN}/0[2-6]*")
    assert result.exit_code == 0
    assert outcomes(result) == ["unchanged"] * 6
    assert counts(client) == before


def test_a_dry_run_reads_and_sends_nothing(run: Run, client: ProvClient, tmp_path: Path):
    records = json.loads((CHAIN / "04_merge.provenance.log").read_text())
    records[0]["activity_uuid"] = "00000000-0000-4000-8000-000000000001"
    (tmp_path / "run.json").write_text(json.dumps(records))
    before = counts(client)
    result = run(
        add_prov.main,
        "--dry-run",
        "--json",
        tmp_path,
        env={"PROV_SERVER_URL": "http://127.0.0.1:9"},
    )
    assert result.exit_code == 0, result.output
    (item,) = map(json.loads, result.stdout.splitlines())
    assert item["outcome"] == "readable"
    assert item["would_send"]["format"] == "ctapipe"
    assert item["would_send"]["counts"] == {
        "activities": 1,
        "entities": 3,
        "used": 2,
        "generated": 1,
    }
    assert counts(client) == before


def test_standard_input_is_a_document(run: Run, chain: Result):
    data = (CHAIN / "04_merge.provenance.log").read_bytes()
    result = run(add_prov.main, "--json", "-", input=data)
    assert result.exit_code == 0
    item = json.loads(result.stdout)
    assert (item["name"], item["outcome"]) == ("(standard input)", "unchanged")


GARBAGE = {
    "cut.json": (b'[{"activity_name": "x", ', "json_syntax", 1),
    "deep.json": (b"[" * 10_000 + b"]" * 10_000, "document_too_deep", 1),
    "words.log": (b"some words, and no record\n", "unrecognised_format", 1),
    "fits.json": (
        b"".join([b"SIMPLE  =                    T".ljust(80), b"END".ljust(80)]).ljust(2880),
        "unrecognised_format",
        1,
    ),
    "other.json": (b'{"menu": {"id": "file"}}', "unrecognised_format", 1),
    "empty.json": (b"", "unrecognised_format", 1),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_record_is_refused_with_its_reason_and_changes_nothing(
    name: str, run: Run, client: ProvClient, tmp_path: Path
):
    data, code, exit_code = GARBAGE[name]
    (tmp_path / name).write_bytes(data)
    before = counts(client)
    result = run(add_prov.main, tmp_path / name)
    assert result.exit_code == exit_code
    (line,) = result.stdout.splitlines()
    assert line.startswith("refused")
    assert f"{code}: " in line
    assert result.stderr.startswith("add-prov: error: ") or "error: " in result.stderr
    assert counts(client) == before


def test_garbage_of_200_mb_is_not_even_read(run: Run, tmp_path: Path):
    path = tmp_path / "garbage.json"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    result = run(add_prov.main, path)
    assert result.exit_code == 1
    assert "document_too_large" in result.stdout
    assert "209715200 bytes" in result.stdout


def test_some_refused_is_partly_done_and_the_others_are_recorded(
    run: Run, chain: Result, tmp_path: Path
):
    (tmp_path / "cut.json").write_bytes(b"[{")
    shutil.copy(CHAIN / "04_merge.provenance.log", tmp_path / "run.log")
    result = run(add_prov.main, tmp_path, tmp_path / "absent.json")
    assert result.exit_code == 6
    assert outcomes(result) == ["refused", "unchanged", "refused"]
    assert "2 of 3 documents were refused" in result.stderr


def test_in_a_folder_what_is_no_provenance_is_skipped(run: Run, chain: Result, tmp_path: Path):
    (tmp_path / "package.json").write_text('{"name": "web", "version": "1"}')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.copy(CHAIN / "04_merge.provenance.log", tmp_path / "run.log")
    result = run(add_prov.main, "--json", tmp_path)
    assert result.exit_code == 0
    items = {
        Path(i["name"]).name: i["outcome"] for i in map(json.loads, result.stdout.splitlines())
    }
    assert items == {"package.json": "skipped", "run.log": "unchanged"}


@pytest.mark.parametrize("n", [1, 2])
def test_a_file_that_is_not_there_is_not_found(n: int, run: Run, tmp_path: Path):
    result = run(add_prov.main, *(tmp_path / f"absent{i}.json" for i in range(n)))
    assert result.exit_code == 3
    assert "there is no such file" in result.stdout


def test_a_run_of_the_same_id_that_is_another_run_collides(run: Run, chain: Result, tmp_path: Path):
    (record,) = json.loads((CHAIN / "04_merge.provenance.log").read_text())
    record["activity_name"] = "another-tool"
    record["start"]["time_utc"] = "2020-01-01T00:00:00.000"
    record["stop"]["time_utc"] = "2020-01-01T00:01:00.000"
    (tmp_path / "run.json").write_text(json.dumps([record]))
    result = run(add_prov.main, tmp_path / "run.json")
    assert result.exit_code == 5
    assert "activity_collision" in result.stdout


def test_an_unknown_token_is_told(run: Run):
    result = run(add_prov.main, CHAIN / "04_merge.provenance.log", env={"PROV_TOKEN": "prov_no"})
    assert result.exit_code == 4
    assert "token" in result.stderr


def test_a_reader_may_not_record(run: Run, make_token: Callable[..., str]):
    env = {"PROV_TOKEN": make_token("reader")}
    result = run(add_prov.main, CHAIN / "04_merge.provenance.log", env=env)
    assert result.exit_code == 4
    assert "recorder" in result.stderr


def test_without_a_server_documents_wait_on_disk_if_asked(run: Run, chain: Result, tmp_path: Path):
    away = {"PROV_SERVER_URL": "http://127.0.0.1:9", "PROV_SPOOL_DIR": str(tmp_path / "spool")}
    log = CHAIN / "04_merge.provenance.log"
    result = run(add_prov.main, log, env=away)
    assert result.exit_code == 75
    assert "cannot be reached" in result.stderr
    assert not (tmp_path / "spool").exists()
    result = run(add_prov.main, "--spool", log, CHAIN / "05_train_energy.provenance.log", env=away)
    assert result.exit_code == 75
    assert outcomes(result) == ["spooled"] * 2
    assert len(list((tmp_path / "spool").glob("*~*"))) == 2
    result = run(add_prov.main, "--spool", env={"PROV_SPOOL_DIR": str(tmp_path / "spool")})
    assert result.exit_code == 0
    assert "2 recorded" in result.stderr
    assert not list((tmp_path / "spool").glob("*~*"))


def test_nothing_to_record_is_wrong_use(run: Run):
    result = run(add_prov.main)
    assert result.exit_code == 2
    assert "--help" in result.stderr


# --- prod-trace


def test_the_trace_has_exactly_the_true_ancestors(run: Run, chain: Result):
    result = run(trace.main, DL2, "--json")
    assert result.exit_code == 0
    lineage = json.loads(result.stdout)
    activities, files = raw_ancestors("/data/shift/runs/chain/mu_applied.dl2.h5")
    assert {a["id"] for a in lineage["activities"]} == activities
    found = {e["location"].removeprefix("file://vm") for e in lineage["entities"]}
    assert found == files | {"/data/shift/runs/chain/mu_applied.dl2.h5"}


def test_the_tree_folds_repeated_steps_back_to_the_raw_file(run: Run, chain: Result):
    result = run(trace.main, DL2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "mu_applied.dl2.h5 came from 5 activities and 6 products; "
        "complete, back to 2 roots: lst_muons.simtel.zst, train.yaml"
    )
    assert any("2 × ctapipe-process 0.32.0  ✓ completed" in line for line in lines)
    assert any(line.endswith("lst_muons.simtel.zst [DL0/Event]  root") for line in lines)
    assert sum("mu_merged.dl1.h5" in line for line in lines) == 2
    assert sum("(see above)" in line for line in lines) == 1
    assert "found by its place" in result.stderr
    assert "warning" not in result.stderr


@pytest.mark.parametrize(
    ("reference", "how"),
    [
        ("mu_applied.dl2.h5", "base name"),
        ("/data/shift/runs/chain/mu_applied.dl2.h5", "place"),
        (DL2, "place"),
        ("9941956c-d5ee-4904-a578-1ea42ad0ff1e", "product id"),
    ],
)
def test_a_product_is_found_by(reference: str, how: str, run: Run, chain: Result):
    result = run(trace.main, reference, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["focus"]["location"] == DL2
    assert f"found by its {how}" in result.stderr


def test_an_activity_is_found_by_its_uuid(run: Run, chain: Result):
    result = run(trace.main, "13ef3385-f91d-4a05-9760-26c9c13fa329")
    assert result.exit_code == 0
    assert result.stdout.startswith("ctapipe-merge came from 2 activities and 3 products;")


@pytest.fixture
def measured(run: Run, tmp_path: Path) -> Path:
    """A file that a captured activity made, whose record has its digest."""
    raw, out = tmp_path / "raw.dat", tmp_path / "out.dat"
    raw.write_bytes(os.urandom(1000))
    with capture.activity("reduce", version="1", record=tmp_path / "run.json") as activity:
        activity.input(raw, role="raw")
        out.write_bytes(os.urandom(1000))
        activity.output(out, role="reduced")
    result = run(add_prov.main, tmp_path / "run.json")
    assert result.exit_code == 0, result.output
    return out


def test_a_file_that_was_moved_is_found_by_its_content(run: Run, measured: Path, tmp_path: Path):
    moved = measured.rename(tmp_path / "renamed.bin")
    result = run(trace.main, moved)
    assert result.exit_code == 0, result.stderr
    assert "found by its content" in result.stderr
    assert "raw.dat [raw]  root" in result.stdout


def test_another_file_at_a_recorded_place_is_warned_of(run: Run, measured: Path):
    measured.write_bytes(b"something else")
    result = run(trace.main, measured)
    assert result.exit_code == 0
    assert "found by its place" in result.stderr
    assert "warning: the file here is not the one that was recorded" in result.stderr
    result = run(trace.main, measured, "--no-digest")
    assert "warning" not in result.stderr


def test_what_is_unknown_is_not_found(run: Run, chain: Result):
    result = run(trace.main, "mu_appliedd.dl2.h5")
    assert result.exit_code == 3
    assert "nothing in the record is called 'mu_appliedd.dl2.h5'" in result.stderr
    assert result.stdout == ""


def test_an_ambiguous_name_lists_the_candidates(run: Run, client: ProvClient, prov_data: Path):
    folder = prov_data / "ctapipe-samples" / "generated"
    result = run(add_prov.main, folder / "c0320", folder / "c0280")
    assert result.exit_code in (0, 6), result.output
    names: dict[str, set[str]] = {}
    for item in client.search_products(limit=500)["items"]:
        names.setdefault(item["name"] or "", set()).add(item["location"] or "")
    name = next(n for n, places in sorted(names.items()) if len(places) > 1)
    result = run(trace.main, name)
    assert result.exit_code == 3
    assert f"products are called '{name}'" in result.stderr
    for place in sorted(names[name])[:5]:
        assert place in result.stderr


def test_failures_are_warned_of(run: Run, client: ProvClient, prov_data: Path):
    run(add_prov.main, prov_data / "ctapipe-samples" / "generated" / "c0320")
    failed = client.search_products(status="error", limit=1)["items"]
    assert failed
    result = run(trace.main, failed[0]["id"])
    assert result.exit_code == 0
    assert "warning: 1 failed activity: " in result.stderr
    assert "✗ error" in result.stdout


def test_contradictions_are_warned_of(run: Run, chain: Result, tmp_path: Path):
    (record,) = json.loads((CHAIN / "05_train_energy.provenance.log").read_text())
    record["status"], record["exit_code"] = "error", 1
    (tmp_path / "run.json").write_text(json.dumps([record]))
    result = run(add_prov.main, tmp_path / "run.json")
    assert "contradiction: " in result.stdout
    result = run(trace.main, f"{RUNS}/energy.pkl")
    assert "warning: 1 record with contradictions: ctapipe-train-energy-regressor" in result.stderr


def test_depth_cuts_and_says_so(run: Run, chain: Result):
    result = run(trace.main, DL2, "--depth", 1)
    assert "not complete (depth 1), 2 products with more before" in result.stdout
    assert "ctapipe-merge" not in result.stdout


def test_limit_cuts_and_says_so(run: Run, chain: Result):
    result = run(trace.main, DL2, "--limit", 2)
    assert "not complete, cut at the limit" in result.stdout
    assert "warning: the answer was cut at its limit" in result.stderr


def test_downstream_of_the_raw_file(run: Run, chain: Result):
    result = run(trace.main, "/data/shift/simtel/lst_muons.simtel.zst", "--down", "--json")
    found = {e["name"] for e in json.loads(result.stdout)["entities"]}
    assert {"mu.dl1.h5", "mu_merged.dl1.h5", "energy.pkl", "mu_applied.dl2.h5"} <= found


def test_levels_are_shown_apart(run: Run, tmp_path: Path):
    with capture.activity("the-job", record=tmp_path / "run.json"):
        out = tmp_path / "level.dat"
        with capture.activity("the-step") as step:
            out.write_bytes(os.urandom(100))
            step.output(out)
    assert run(add_prov.main, tmp_path / "run.json").exit_code == 0
    result = run(trace.main, out, "--levels")
    _, _, levels = result.stdout.partition("Levels: what ran inside what:\n")
    outer, inner = levels.splitlines()
    assert outer.startswith("the-job")
    assert inner.startswith("└─ the-step")
    assert "joined by no recorded product" not in result.stdout


def test_the_table_is_tab_separated_in_a_pipe_and_csv_on_request(run: Run, chain: Result):
    rows = [
        line.split("\t") for line in run(trace.main, DL2, "--format", "table").stdout.splitlines()
    ]
    assert len(rows) == 5 + 7
    assert {len(row) for row in rows} == {9}
    records = list(csv.DictReader(io.StringIO(run(trace.main, DL2, "--format", "csv").stdout)))
    merge = next(r for r in records if r["name"] == "ctapipe-merge")
    assert (merge["status"], merge["version"]) == ("completed", "0.32.0")
    assert float(merge["duration_s"]) == pytest.approx(1.985)


def test_exports_are_documents_of_their_formats(run: Run, chain: Result, tmp_path: Path):
    activities, files = raw_ancestors("/data/shift/runs/chain/mu_applied.dl2.h5")
    for form, reader in (("prov-json", "json"), ("prov-xml", "xml"), ("prov-n", "provn")):
        target = tmp_path / f"lineage.{form}"
        result = run(trace.main, DL2, "--format", form, "-o", target)
        assert result.exit_code == 0, result.output
        assert result.stdout == ""
        document = prov.model.ProvDocument.deserialize(str(target), format=reader)
        assert len(list(document.get_records(prov.model.ProvActivity))) == len(activities)
        entities = list(document.get_records(prov.model.ProvEntity))
        types = [{t.uri for t in e.get_asserted_types()} for e in entities]
        around = [t for t in types if any(u.startswith("urn:provmanager:terms#") for u in t)]
        assert len(entities) - len(around) == len(files) + 1
        assert len(around) == 2  # the software environment and the host, once each
    svg = run(trace.main, DL2, "--format", "svg").stdout
    texts = {t.text for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"ctapipe-apply-models", "mu_applied.dl2.h5"} <= texts


def test_wrong_use_of_trace(run: Run, chain: Result, tmp_path: Path):
    assert run(trace.main, DL2, "--format", "svg", "--limit", 3).exit_code == 2
    assert run(trace.main, DL2, "--depth", 0).exit_code == 2
    result = run(trace.main, DL2, "-o", tmp_path / "no" / "folder.txt")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_text_goes_to_a_file_whole(run: Run, chain: Result, tmp_path: Path):
    result = run(trace.main, DL2, "-o", tmp_path / "trace.txt")
    assert result.exit_code == 0
    assert (tmp_path / "trace.txt").read_text() == run(trace.main, DL2).stdout
    assert [p.name for p in tmp_path.iterdir()] == ["trace.txt"]


# --- prod-search


def test_products_are_found_by_what_made_them(run: Run, chain: Result):
    result = run(search.main, "--json", "--activity", "ctapipe-merge", "--version", "0.32.0",
                 "--package", "astropy==8.0.2", "--host", "vm", "--status", "completed",
                 "--after", "2026-11-21", "--before", "2026-11-22T00:00Z",
                 "--name", "mu_merged*")  # fmt: skip
    assert result.exit_code == 0, result.output
    (item,) = map(json.loads, result.stdout.splitlines())
    assert item["location"] == f"{RUNS}/mu_merged.dl1.h5"
    assert item["generated_by"] == "13ef3385-f91d-4a05-9760-26c9c13fa329"


def test_activities_are_found_by_a_setting(run: Run, chain: Result):
    wanted = "ProcessorTool.SimTelEventSource.override_obs_id=3"
    result = run(search.main, "activities", "--parameter", wanted, "--csv")
    (record,) = csv.DictReader(io.StringIO(result.stdout))
    assert record["id"] == "3e73ff94-472c-47df-87d9-758324797168"
    assert float(record["duration_s"]) == pytest.approx(3.23)


def test_search_pages_to_the_limit_and_says_how_many_there_are(
    run: Run, chain: Result, client: ProvClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "_PAGE_RECORDS", 2)
    total = client.search_activities(limit=1)["total"]
    everything = run(search.main, "activities", "--limit", 0, "--json").stdout.splitlines()
    assert len({json.loads(line)["id"] for line in everything}) == total
    result = run(search.main, "activities", "--limit", 3)
    assert len(result.stdout.splitlines()) == 3
    assert f"3 of {total}" in result.stderr


def test_nothing_found_is_an_exit_code(run: Run, chain: Result):
    result = run(search.main, "--name", "no-such-product.*")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "nothing found" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--after", "yesterday"],
        ["--json", "--csv"],
        ["activities", "--activity", "x"],
        ["--parameter", "no-equals-sign"],
        ["nonsense"],
    ],
)
def test_wrong_use_of_search(arguments: list[str], run: Run):
    assert run(search.main, *arguments).exit_code == 2


# --- prod-init-prov


def test_descriptions_are_new_then_unchanged_then_exported(run: Run, tmp_path: Path):
    result = run(init_prov.main, DESCRIPTIONS, "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stderr.strip() == "8 descriptions: 8 new (dry run)"
    result = run(init_prov.main, DESCRIPTIONS)
    assert result.stderr.strip() == "8 descriptions: 8 new"
    assert "new        ActivityDescription ctapipe-process 0.32.0" in result.stdout.splitlines()
    result = run(init_prov.main, DESCRIPTIONS)
    assert (result.stdout, result.stderr.strip()) == ("", "8 descriptions: 8 unchanged")

    exported = read_descriptions(run(init_prov.main, "--export").stdout_bytes)
    written = read_descriptions(DESCRIPTIONS.read_bytes())
    assert set(exported.entities) == set(written.entities)
    assert {(a.name, a.version) for a in exported.activities} == {
        (a.name, a.version) for a in written.activities
    }
    again = json.dumps(json.loads(run(init_prov.main, "--export", "--json").stdout))
    result = run(init_prov.main, "-", input=again)
    assert result.stderr.strip() == "8 descriptions: 8 unchanged"


def test_what_changed_is_told_and_a_dry_run_changes_nothing(run: Run, tmp_path: Path):
    run(init_prov.main, DESCRIPTIONS)
    changed = tmp_path / "changed.yaml"
    text = DESCRIPTIONS.read_text().replace("Merge the events", "Join the events")
    changed.write_text(text.replace("multiplicity: 1..*", "multiplicity: 2..*", 1))
    told = [
        "changed    ActivityDescription ctapipe-merge 0.32.0",
        "  description: Merge the events of several files into one -> "
        "Join the events of several files into one",
        "  usages data product to merge: multiplicity 1..* -> multiplicity 2..*",
    ]
    result = run(init_prov.main, changed, "--dry-run")
    assert result.stdout.splitlines() == told
    result = run(init_prov.main, changed, "--json")
    (item,) = [i for i in json.loads(result.stdout)["items"] if i["outcome"] == "changed"]
    assert (item["name"], len(item["changes"])) == ("ctapipe-merge", 2)
    assert run(init_prov.main, DESCRIPTIONS).exit_code == 0


def test_wrong_descriptions_are_refused_with_their_line(run: Run, tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("schema: descriptions.v1\nactivities:\n- name: a\n  usage: []\n")
    result = run(init_prov.main, wrong)
    assert result.exit_code == 1
    assert "wrong.yaml: line 4, /activities/0/usage: expected 'usages'" in result.stderr
    wrong.write_text(
        "schema: descriptions.v1\nactivities:\n- name: a\n  usages:\n"
        "  - {role: r, entity_description: nowhere}\n"
    )
    result = run(init_prov.main, wrong)
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


def test_wrong_use_of_init_prov(run: Run, tmp_path: Path, make_token: Callable[..., str]):
    assert run(init_prov.main).exit_code == 2
    assert run(init_prov.main, DESCRIPTIONS, "--export").exit_code == 2
    assert run(init_prov.main, tmp_path / "absent.yaml").exit_code == 3
    env = {"PROV_TOKEN": make_token("recorder")}
    result = run(init_prov.main, DESCRIPTIONS, env=env)
    assert result.exit_code == 4
    assert "curator" in result.stderr


# --- all of them


def test_prod_runs_every_command(run: Run, chain: Result):
    result = run(prod.main, "trace", DL2)
    assert result.exit_code == 0
    assert result.stdout == run(trace.main, DL2).stdout
    result = run(prod.main, "trace", "no-such-product")
    assert result.exit_code == 3


def test_a_reader_that_has_enough_is_no_error(environment: dict[str, str], chain: Result):
    script = f"{sys.executable} -m client_scripts.search activities --limit 0 | head -n 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.count("\n")) == (0, 1)
    assert "Traceback" not in result.stderr


def test_recording_one_file_takes_less_than_a_third_of_a_second(
    environment: dict[str, str], chain: Result
):
    """Processor time of the command, best of five: elapsed time depends on who else is here."""
    command = [
        sys.executable,
        "-m",
        "client_scripts.add_prov",
        str(CHAIN / "04_merge.provenance.log"),
    ]
    took_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took_s.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(took_s) < 0.3
