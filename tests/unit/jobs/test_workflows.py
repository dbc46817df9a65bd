"""Loading CWL documents and making inputs objects: what is taken, and what the errors say."""

import json
from pathlib import Path

import pytest

from jobs.pipelines import find_document, pipeline_names
from jobs.workflows import load_workflow, make_inputs, pack_workflow
from provmanager.errors import NotFoundError, UsageError

CWL = Path(__file__).parents[2] / "data" / "cwl"

TOOL = """\
cwlVersion: {version}
class: CommandLineTool
baseCommand: echo
inputs:
  flag: boolean?
  whole: {{type: int, doc: How many.}}
  real: double?
  text: string?
  either: [int, string, "null"]
  word: {{type: {{type: enum, symbols: [red, blue]}}, default: red}}
  file: File?
  files: File[]?
  numbers: int[]?
outputs: {{}}
"""


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    path = tmp_path / "tool.cwl"
    path.write_text(TOOL.format(version="v1.2"))
    return path


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v1.2"])
def test_every_version_in_yaml_and_json_is_loaded(tmp_path: Path, version: str) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text(TOOL.format(version=version))
    loaded = load_workflow(str(path))
    assert (loaded.name, loaded.cwl_version) == ("tool", version)
    packed = tmp_path / "packed.json"
    packed.write_text(json.dumps(pack_workflow(loaded)))
    again = load_workflow(str(packed))
    assert [port.name for port in again.inputs] == [port.name for port in loaded.inputs]


def test_steps_inputs_and_outputs_are_told() -> None:
    loaded = load_workflow(str(CWL / "chain.cwl"))
    assert [(step.name, step.after) for step in loaded.steps] == [
        ("shout", ()), ("count", ("shout",)),
    ]  # fmt: skip
    assert [(p.name, p.shown_type, p.is_required) for p in loaded.inputs] == [
        ("suffix", "string", False), ("text", "File", True),
    ]  # fmt: skip
    assert [p.name for p in loaded.outputs] == ["count"]
    scattered = load_workflow(str(CWL / "scatter.cwl"))
    assert [step.is_scattered for step in scattered.steps] == [True]
    assert scattered.inputs[0].shown_type == "string[]"


def test_one_process_of_several_is_named_by_a_fragment() -> None:
    assert load_workflow(f"{CWL / 'features.cwl'}#say").name == "say"
    assert load_workflow(str(CWL / "features.cwl")).name == "features"


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("cwlVersion: v1.2\nclass: Workflow\ninputs: {}\nsteps: {}\n"
         "outputs: {o: {type: File, outputSource: no/where}}\n", "no/where", 5),
        ("cwlVersion: v1.2\nclass: CommandLineTool\nbaseComand: x\ninputs: {}\noutputs: {}\n",
         "baseComand", 1),
        ("cwlVersion: v1.2\ninputs: [\n", "stream end", 3),
        ("cwlVersion: v9.9\nclass: CommandLineTool\ninputs: {}\noutputs: {}\n", "v1.2", None),
        ("class: CommandLineTool\ninputs: {}\noutputs: {}\n", "cwlVersion", None),
        ("[1, 2]\n", "expected an object", None),
        ("name: somebody\n", "expected cwlVersion and class", None),
        ("cwlVersion: v1.2\nclass: Operation\ninputs: {}\noutputs: {}\n", "abstract", None),
        ("cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\n"
         "steps: {a: {run: absent.cwl, in: {}, out: []}}\n", "absent.cwl", None),
        ("", "expected an object", None),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_run_is_refused_with_the_place(
    tmp_path: Path, text: str, said: str, line: int | None
) -> None:
    path = tmp_path / "bad.cwl"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_workflow(str(path))
    assert str(path) in caught.value.message
    assert said in caught.value.message
    if line is not None:
        assert caught.value.details["line"] == line


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("class: CommandLineTool\nrequirements: {DockerRequirement: {dockerPull: debian}}\n",
         "debian"),
        ("class: CommandLineTool\nhints: {DockerRequirement: {dockerPull: debian}}\n", None),
        ("class: Workflow\nsteps: {a: {run: {class: CommandLineTool, inputs: {}, outputs: {}}, "
         "in: {}, out: [], requirements: {DockerRequirement: {dockerImageId: tools}}}}\n",
         "tools"),
    ],
)  # fmt: skip
def test_it_is_told_which_container_is_required(
    tmp_path: Path, text: str, image: str | None
) -> None:
    path = tmp_path / "contained.cwl"
    path.write_text(f"cwlVersion: v1.2\n{text}inputs: {{}}\noutputs: {{}}\n")
    assert load_workflow(str(path)).required_image == image


def test_binary_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.cwl"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match=r"image\.cwl"):
        load_workflow(str(path))


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        find_document(str(tmp_path / "absent.cwl"))
    with pytest.raises(NotFoundError, match="no pipeline 'eclgmr'"):
        find_document("eclgmr")
    with pytest.raises(UsageError, match="is a folder"):
        find_document(str(tmp_path))


def test_every_pipeline_has_a_document_that_loads() -> None:
    for name in pipeline_names():
        assert load_workflow(name).name == name


def test_settings_are_typed_by_the_workflow(
    tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.txt").write_text("x")
    inputs = make_inputs(
        load_workflow(str(tool)),
        None,
        ["flag=true", "whole=3", "real=2", "text=7", "either=7", "word=blue", "file=a b.txt",
         "files=a b.txt", "files=a b.txt", "numbers=[1, 2]", "numbers=3"],
    )  # fmt: skip
    place = {"class": "File", "location": f"file://{tmp_path}/a%20b.txt"}
    assert inputs == {
        "flag": True, "whole": 3, "real": 2.0, "text": "7", "either": 7, "word": "blue",
        "file": place, "files": [place, place], "numbers": [1, 2, 3],
    }  # fmt: skip


def test_settings_win_over_the_file_whose_paths_are_its_own(tool: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "data.txt").write_text("x")
    config = folder / "inputs.yml"
    config.write_text("whole: 1\ntext: kept\nfile: {class: File, path: data.txt}\n")
    inputs = make_inputs(load_workflow(str(tool)), config, ["whole=2"])
    assert (inputs["whole"], inputs["text"]) == (2, "kept")
    assert inputs["file"]["location"] == f"file://{folder}/data.txt"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["whole=x"], "expected int"),
        (["whole=1", "word=green"], "expected one of red, blue"),
        (["whole=1", "flag=maybe"], "expected boolean"),
        (["whole=1", "numbers=[1, x]"], "expected int"),
        (["hole=1"], "no input 'hole'"),
        (["whole"], "expected NAME=VALUE"),
        (["text=x"], "whole: int  (How many.)"),
    ],
)
def test_settings_that_cannot_be_are_refused(tool: Path, settings: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_inputs(load_workflow(str(tool)), None, settings)
    assert said in caught.value.message


def test_an_unknown_input_names_the_near_miss(tool: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_inputs(load_workflow(str(tool)), None, ["hole=1"])
    assert caught.value.details["suggestions"] == ["whole"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"whole": "three"}', "whole: expected int, found a text"),
        ('{"whole": 1, "files": 7}', "files: expected File[]?, found a whole number"),
        ('{"whole": 1,}', "no JSON"),
        ("[1]", "expected an object"),
        ('{"whole": 1, "taxt": 1}', "no input 'taxt'"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    tool: Path, tmp_path: Path, text: str, said: str
) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)
    with pytest.raises(UsageError) as caught:
        make_inputs(load_workflow(str(tool)), config)
    assert said in caught.value.message


def test_a_file_that_is_not_there_is_named_before_anything_runs(tool: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"/file: there is no File .*absent.fits"):
        make_inputs(load_workflow(str(tool)), None, ["whole=1", "file=absent.fits"])
    with pytest.raises(NotFoundError, match=r"no file .*absent.json"):
        make_inputs(load_workflow(str(tool)), tmp_path / "absent.json")


def test_a_tool_that_is_used_twice_by_an_alias_is_refused_and_not_packed_wrongly(
    tmp_path: Path,
) -> None:
    document = tmp_path / "twice.cwl"
    document.write_text("""\
cwlVersion: v1.2
class: Workflow
inputs: {text: string}
outputs: {}
steps:
  before:
    run: &tool
      class: CommandLineTool
      baseCommand: echo
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {}
    in: {text: text}
    out: []
  after:
    run: *tool
    in: {text: text}
    out: []
""")
    with pytest.raises(UsageError, match="YAML alias"):
        pack_workflow(load_workflow(str(document)))
