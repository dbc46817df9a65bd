"""Workflow Run RO-Crates of real runs: valid for roc-validator, read by runcrate and by us."""

import hashlib
import json
import shutil
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import Result
from data.crate_tools import CrateTools

from client_scripts import export, submit
from provmanager.client import ProvClient
from provmanager.formats import read

ROOT = Path(__file__).resolve().parents[2]
CWL = ROOT / "tests" / "data" / "cwl"
PRODUCT = "mu_applied.dl2.h5"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def counted(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a workflow of two steps made on the local engine, recorded."""
    folder = tmp_path_factory.mktemp("counted")
    (folder / "words.txt").write_text("one two\n")
    result = run(submit.main, CWL / "chain.cwl", "--set", f"text={folder}/words.txt",
                 "--run-dir", folder / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder / "run" / "products" / "count.txt"


@pytest.fixture(scope="module")
def chain(client: ProvClient) -> ProvClient:
    """The example chain, recorded."""
    for path in sorted((ROOT / "examples" / "chain").iterdir()):
        client.record(path)
    return client


def metadata_of(crate: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((crate / "ro-crate-metadata.json").read_text())
    return {item["@id"]: item for item in document["@graph"]}


def of_type(items: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        i
        for i in items.values()
        if kind in ([i["@type"]] if isinstance(i["@type"], str) else i["@type"])
    ]


def test_runs_without_a_workflow_are_a_process_run_crate(
    chain: ProvClient, run: Run, crate_tools: CrateTools, tmp_path: Path
):
    crate = tmp_path / "crate"
    assert run(export.main, PRODUCT, "--format", "ro-crate", "-o", f"{crate}/").exit_code == 0
    assert crate_tools.issues(crate, "process-run-crate") == []
    report = crate_tools.report(crate)
    lineage = chain.lineage(PRODUCT)
    assert report.count("action: ") == len(lineage["activities"])
    assert "instrument: #tool-ctapipe-merge-0.32.0-" in report
    items = metadata_of(crate)
    assert {i["@id"] for i in of_type(items, "File")} == {
        f"urn:uuid:{e['id']}" for e in lineage["entities"]
    }


def test_a_fault_in_a_crate_is_found(chain: ProvClient, crate_tools: CrateTools, tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(chain.export(PRODUCT, export_format="ro-crate"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        document = json.loads(archive.read("ro-crate-metadata.json"))
    for item in document["@graph"]:
        item.pop("instrument", None)
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(document))
    (issue,) = set(crate_tools.issues(tmp_path, "process-run-crate"))
    assert "instrument" in issue


def test_a_run_of_a_workflow_with_its_files_is_a_provenance_run_crate(
    counted: Path, run: Run, crate_tools: CrateTools, tmp_path: Path
):
    crate = tmp_path / "crate"
    result = run(export.main, counted, "--format", "ro-crate", "--files", "-o", f"{crate}/")
    assert result.exit_code == 0, result.output
    assert crate_tools.issues(crate, "provenance-run-crate") == []
    items = metadata_of(crate)
    main = items["./"]["mainEntity"]["@id"]
    report = crate_tools.report(crate)
    assert f"instrument: {main} (" in report
    assert len(of_type(items, "CreateAction")) == 3
    assert len(of_type(items, "ControlAction")) == len(of_type(items, "HowToStep")) == 2
    files = of_type(items, "File")
    assert {Path(i["@id"]).name for i in files} >= {"words.txt", "count.txt"}
    for item in files:
        content = (crate / item["@id"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
    assert json.loads((crate / main).read_text())["cwlVersion"]


def test_a_zip_holds_the_same_as_the_folder(counted: Path, run: Run, tmp_path: Path):
    folder, archive = tmp_path / "crate", tmp_path / "crate.zip"
    for target in (f"{folder}/", archive):
        result = run(export.main, counted, "--format", "ro-crate", "--files", "-o", target)
        assert result.exit_code == 0, result.output
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        held = {name: opened.read(name) for name in opened.namelist()}
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert held == found


def test_what_cannot_be_had_is_left_out_named_and_the_rest_is_valid(
    counted: Path, run: Run, crate_tools: CrateTools, tmp_path: Path
):
    words = counted.parents[2] / "words.txt"
    kept = words.read_bytes()
    crate = tmp_path / "crate"
    words.write_bytes(b"other words\n")
    try:
        result = run(export.main, counted, "--format", "ro-crate", "--files", "-o", f"{crate}/")
    finally:
        words.write_bytes(kept)
    assert result.exit_code == 6
    assert "left out: words.txt" in result.stderr
    assert f"recorded is {hashlib.sha256(kept).hexdigest()}" in result.stderr
    assert not list(crate.rglob("words.txt"))
    assert crate_tools.issues(crate, "provenance-run-crate") == []


def test_files_that_lie_elsewhere_are_found_by_map(counted: Path, run: Run, tmp_path: Path):
    moved = tmp_path / "moved"
    shutil.copytree(counted.parents[2], moved)
    original = counted.parents[2].rename(tmp_path / "away")
    crate = tmp_path / "crate.zip"
    arguments = (moved / "run" / "products" / "count.txt", "--format", "ro-crate", "--files")
    try:
        host = json.loads(run(export.main, *arguments[:1], "--format", "prov-json").stdout)
        listed = [e.get("prov:location", []) for e in host["entity"].values()]
        places = {p["$"] for x in listed for p in (x if isinstance(x, list) else [x])}
        prefix = next(p for p in places if p.endswith("/words.txt")).removesuffix("words.txt")
        missing = run(export.main, *arguments, "-o", crate)
        found = run(export.main, *arguments, "--map", f"{prefix}={moved}/", "-o", crate)
    finally:
        original.rename(counted.parents[2])
    assert missing.exit_code == 6
    assert found.exit_code == 0, found.output


def test_files_come_from_the_web_and_from_the_storage_of_the_grid(
    client: ProvClient, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    web, storage = tmp_path / "web", tmp_path / "storage"
    contents = {web / "a b.txt": b"web", web / "changed.txt": b"then", storage / "vo/c.txt": b"lfn"}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    digests = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in contents.values()]
    (web / "changed.txt").write_bytes(b"now")
    options = tmp_path / "grid.json"
    options.write_text(json.dumps({"storage": {"kind": "directory", "path": str(storage)}}))
    handler = partial(SimpleHTTPRequestHandler, directory=str(web))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        base = f"http://127.0.0.1:{server.server_port}"
        places = [f"{base}/a%20b.txt", f"{base}/changed.txt", "lfn:/vo/c.txt"]
        client.record(sum_of_files(places, digests), name="sum.provn")
        arguments = ("sum.txt", "--format", "ro-crate", "--files", "-o")
        try:
            without = run(export.main, *arguments, tmp_path / "without.zip")
            monkeypatch.setenv("PROV_GRID_OPTIONS", str(options))
            found = run(export.main, *arguments, f"{tmp_path}/crate/")
        finally:
            server.shutdown()
    assert (without.exit_code, "lfn:/vo/c.txt is no place" in without.stderr) == (6, True)
    assert found.exit_code == 6
    assert "left out: c.txt" not in found.stderr
    assert "changed.txt" in found.stderr
    held = {p.name: p.read_bytes() for p in (tmp_path / "crate" / "data").glob("*/*")}
    assert held == {"a b.txt": b"web", "c.txt": b"lfn"}


def sum_of_files(places: list[str], digests: list[str]) -> bytes:
    """A run that made ``sum.txt`` from files at these places, as PROV-N."""
    used = "\n".join(
        f'entity(ex:f{n}, [prov:label="{unquote(place).rpartition("/")[2]}", '
        f'prov:location="{place}", pm:digest="{digest}"])\nused(ex:sum, ex:f{n}, -)'
        for n, (place, digest) in enumerate(zip(places, digests, strict=True))
    )
    return f"""document
        prefix ex <https://example.org/sum/>
        prefix pm <urn:provmanager:terms#>
        activity(ex:sum, -, -)
        entity(ex:out, [prov:label="sum.txt"])
        wasGeneratedBy(ex:out, ex:sum, -)
        {used}
        endDocument""".encode()


def test_we_read_our_crate_as_what_was_recorded(chain: ProvClient, tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(chain.export(PRODUCT, export_format="ro-crate"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        found = read(archive.read("ro-crate-metadata.json"), name="ro-crate-metadata.json")
    lineage = chain.lineage(PRODUCT)
    assert {a.name for a in found.activities} == {a["name"] for a in lineage["activities"]}
    assert {str(a.uuid) for a in found.activities} == {a["id"] for a in lineage["activities"]}


def test_wrong_use_of_crates(counted: Path, run: Run, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    cases = [
        (("--format", "prov-json", "--files"), "--files goes with"),
        (("--format", "ro-crate", "--files"), "--files goes with"),
        (("--format", "ro-crate", "-o", tmp_path / "full"), "is not empty"),
        (("--format", "ro-crate", "-o", tmp_path / "no" / "x.zip"), "cannot be written"),
    ]
    for arguments, message in cases:
        result = run(export.main, counted, *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]
