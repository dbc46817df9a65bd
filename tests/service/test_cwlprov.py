"""``cwltool --provenance`` of a workflow is recorded by its folder or zip, and traced."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client_scripts.add_prov import main
from provmanager.client import ProvClient

pytest.importorskip("cwltool", reason="cwltool is not installed")

TOOL = {"class": "CommandLineTool", "inputs": {"text": "File"}, "stdin": "$(inputs.text.path)"}
INNER = {
    "class": "Workflow",
    "inputs": {"text": "File"},
    "outputs": {"out": {"type": "File", "outputSource": "upper/loud"}},
    "steps": {
        "upper": {
            "in": {"text": "text"},
            "out": ["loud"],
            "run": TOOL | {"baseCommand": ["tr", "a-z", "A-Z"], "stdout": "loud.txt",
                           "outputs": {"loud": "stdout"}},
        }
    },
}  # fmt: skip
WORKFLOW = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "requirements": {"SubworkflowFeatureRequirement": {}},
    "inputs": {"text": "File"},
    "outputs": {"result": {"type": "File", "outputSource": "sort/sorted"}},
    "steps": {
        "shout": {"in": {"text": "text"}, "out": ["out"], "run": INNER},
        "sort": {
            "in": {"text": "shout/out"},
            "out": ["sorted"],
            "run": TOOL | {"baseCommand": "sort", "stdout": "sorted.txt",
                           "outputs": {"sorted": "stdout"}},
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def research_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh run of a nested workflow leaves."""
    folder = tmp_path_factory.mktemp("cwl")
    (folder / "workflow.cwl").write_text(json.dumps(WORKFLOW))
    (folder / "in.txt").write_text("b\na\nc\n")
    done = subprocess.run(
        [sys.executable, "-m", "cwltool", "--no-container", "--quiet", "--provenance", "ro",
         "--outdir", "out", "workflow.cwl", "--text", "in.txt"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "ro"


@pytest.fixture
def add(app_url: str, token: str) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        env = {"PROV_SERVER_URL": app_url, "PROV_TOKEN": token}
        return CliRunner().invoke(main, [*arguments, "--json"], env=env)

    return run


def test_the_folder_is_recorded_and_traced_to_its_input(
    research_object: Path, add: Callable[..., Result], client: ProvClient
) -> None:
    result = add(str(research_object))
    assert result.exit_code == 0, result.output
    items = [json.loads(line) for line in result.stdout.splitlines()]
    assert [i["receipt"]["format"] for i in items] == ["prov-json"] * len(items)
    assert len(items) == 3  # the run, the nested workflow, the digests of the files
    output = (research_object.parent / "out" / "sorted.txt").read_bytes()
    given = (research_object.parent / "in.txt").read_bytes()
    product = f"sha256:{hashlib.sha256(output).hexdigest()}"  # the research object says SHA-1 only
    found = client.lineage(product, direction="up")
    names = [a["name"].rpartition("/")[2] for a in found["activities"]]
    assert "sort" in names
    assert "upper" in names
    roots = {e["digest"] for e in found["entities"] if e["is_root"]}
    assert f"sha256:{hashlib.sha256(given).hexdigest()}" in roots


def test_a_file_that_others_made_is_the_input_of_the_run(
    research_object: Path, add: Callable[..., Result], client: ProvClient
) -> None:
    add(str(research_object))
    given = (research_object.parent / "in.txt").read_bytes()
    run = {"schema": "provmanager/activity.v1", "id": "00000000-0000-4000-8000-0000000000ef",
           "name": "download", "started_at": "2020-01-01T00:00:00Z",
           "ended_at": "2020-01-01T00:01:00Z", "status": "completed",
           "outputs": [{"uri": "file://n1/data/in.txt",
                        "digests": {"sha256": hashlib.sha256(given).hexdigest()}}]}  # fmt: skip
    client.record(json.dumps(run).encode())
    output = (research_object.parent / "out" / "sorted.txt").read_bytes()
    found = client.lineage(f"sha256:{hashlib.sha256(output).hexdigest()}", direction="up")
    assert "download" in {a["name"] for a in found["activities"]}


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as held:
        for path in sorted(folder.rglob("*")):
            held.write(path, Path("run") / path.relative_to(folder))
    return target


def test_a_zip_of_it_holds_the_same_documents(
    research_object: Path, add: Callable[..., Result], tmp_path: Path
) -> None:
    add(str(research_object))
    result = add(str(zipped(research_object, tmp_path / "run.zip")))
    assert result.exit_code == 0, result.output
    items = [json.loads(line) for line in result.stdout.splitlines()]
    assert [i["outcome"] for i in items] == ["unchanged"] * 3


@pytest.mark.parametrize("part", ["data/*/*", "metadata/provenance/primary.cwlprov.json"])
def test_what_was_changed_in_it_is_found(
    research_object: Path, add: Callable[..., Result], tmp_path: Path, part: str
) -> None:
    import shutil

    copy = tmp_path / "ro"
    shutil.copytree(research_object, copy)
    victim = min(copy.glob(part))
    victim.write_bytes(victim.read_bytes() + b" ")
    result = add(str(copy))
    assert result.exit_code in (5, 6)
    (refused,) = [i for line in result.stdout.splitlines() if (i := json.loads(line))["error"]]
    assert f"{victim.relative_to(copy)} was changed" in refused["error"]["message"]


def test_a_zip_of_other_things_is_refused_with_what_to_do(
    add: Callable[..., Result], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as held:
        held.writestr("a.txt", "text")
    result = add(str(tmp_path / "x.zip"))
    assert result.exit_code == 1
    assert "unpack it and send what is in it" in result.stdout
