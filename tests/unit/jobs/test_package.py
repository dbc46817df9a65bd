"""What goes to a node is whole: the workflow, the inputs, and the files beside them."""

import json
from pathlib import Path

import pytest

from jobs.engines.diracx.package import (
    NodeSoftware,
    PackedWorkflow,
    carries_files,
    make_package,
    placed,
)
from jobs.workflows import load_workflow, make_inputs
from provmanager.errors import UsageError

CWL = Path(__file__).parents[2] / "data" / "cwl"


def package(folder, document, inputs):
    make_package(
        folder,
        PackedWorkflow.of(str(document)),
        inputs,
        {"name": "x"},
        software=NodeSoftware(python="/opt/it's/python"),
    )
    return json.loads((folder / "job.json").read_text())


def test_files_go_with_those_that_belong_beside_them(tmp_path):
    document = CWL / "features.cwl"
    inputs = make_inputs(load_workflow(str(document)), CWL / "features.yml")
    job = package(tmp_path / "package", document, inputs)
    text = job["inputs"]["text"]
    assert text["location"] == "inputs/0/features.txt"
    assert [one["location"] for one in text["secondaryFiles"]] == ["inputs/0/features.txt.idx"]
    for name in ("features.txt", "features.txt.idx"):
        assert (tmp_path / "package/inputs/0" / name).read_bytes() == (CWL / name).read_bytes()
    assert inputs["text"]["location"].startswith("file:///")  # ours stays as it was
    there = placed(job["inputs"], Path("/node/1.0"))
    assert there["text"]["location"] == "file:///node/1.0/inputs/0/features.txt"
    assert job["inputs"]["numbers"] == [1, 2, 3]


def test_files_of_one_name_do_not_meet(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text(folder)
    document = tmp_path / "two.cwl"
    document.write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: cat\n"
        "inputs: {files: {type: 'File[]', inputBinding: {}}}\noutputs: {}\n"
    )
    files = [f"files={tmp_path / folder / 'same.txt'}" for folder in "ab"]
    inputs = make_inputs(load_workflow(str(document)), None, files)
    job = package(tmp_path / "package", document, inputs)
    locations = [one["location"] for one in job["inputs"]["files"]]
    assert [(tmp_path / "package" / place).read_text() for place in locations] == ["a", "b"]


def test_jobs_without_files_share_all_but_what_tells_them_apart(tmp_path):
    shared = tmp_path / "package"
    workflow = PackedWorkflow.of(str(CWL / "shell.cwl"))
    for job_file, script in (("job.json", "exit 3"), ("1.job.json", "exit 4")):
        inputs = {"script": script}
        assert not carries_files(inputs)
        make_package(
            shared, workflow, inputs, {}, software=NodeSoftware(python="p"), job_file=job_file
        )
        assert json.loads((shared / job_file).read_text())["inputs"] == inputs
    assert sorted(path.name for path in shared.iterdir()) == [
        "1.job.json", "job.json", "run.sh", "shell.cwl",
    ]  # fmt: skip
    assert carries_files({"texts": [{"class": "File", "location": "file:///words.txt"}]})
    assert not carries_files({"text": {"class": "File", "location": "LFN:/ctao/words.txt"}})


def test_the_packed_workflow_is_the_same_workflow(tmp_path):
    document = CWL / "chain.cwl"
    inputs = make_inputs(load_workflow(str(document)), None, [f"text={CWL / 'features.txt'}"])
    job = package(tmp_path / "package", document, inputs)
    there = load_workflow(str(tmp_path / "package" / job["workflow"]))
    here = load_workflow(str(document))
    assert (there.name, there.steps) == (here.name, here.steps)


def test_an_input_from_elsewhere_is_refused(tmp_path):
    inputs = {"text": {"class": "File", "location": "https://example.org/words.txt"}}
    with pytest.raises(UsageError, match="nor an LFN"):
        package(tmp_path / "package", CWL / "chain.cwl", inputs)
