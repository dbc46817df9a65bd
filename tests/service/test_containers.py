"""Tools in container images: a real engine, real images made of programs of this machine."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from click.testing import CliRunner, Result
from service.images import Podman, import_image, make_tree, working_podman

import jobs
from client_scripts import _runs, diff, impact, rerun, submit
from jobs.engines import RunStatus, make_engine
from jobs.engines.containers import ENGINES, NO_ENGINE
from jobs.engines.diracx.container import NodeContainer
from jobs.engines.diracx.package import NodeSoftware, PackedWorkflow, make_package
from jobs.workflows import load_workflow, make_inputs
from provmanager.client import ProvClient

CWL = Path(__file__).parents[1] / "data" / "cwl"
IMAGE = "localhost/tools:1"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("image") / "tree")


@pytest.fixture(scope="module")
def podman(tree: Path) -> Iterator[Podman]:
    found, why = working_podman(tree.parent, tree)
    if found is None:
        pytest.skip(why)
    yield found
    if os.geteuid() != 0:
        found.run("system", "migrate")  # ends the process that holds its namespaces


@pytest.fixture(scope="module")
def image(podman: Podman, tree: Path) -> str:
    """The id of `IMAGE`, as podman tells it."""
    return import_image(podman, tree, IMAGE)


@pytest.fixture(scope="module")
def other(podman: Podman, tree: Path) -> str:
    """The id of another image."""
    return import_image(podman, tree, "localhost/other:1", "ENV VERSION=2")


@pytest.fixture(scope="module")
def at_server(
    podman: Podman, state_dir: Path, app_url: str, make_token: Callable[..., str]
) -> Iterator[Path]:
    """Commands record at the server of this module, and podman runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in podman.environ.items():
            patch.setenv(name, value)
        patch.setenv("PROV_STATE_DIR", str(state_dir))
        patch.setenv("PROV_SERVER_URL", app_url)
        patch.setenv("PROV_TOKEN", make_token("recorder"))
        yield state_dir


@pytest.fixture
def here(at_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some text, which commands are started in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text(f"to be or not {os.getpid()} {tmp_path}\n")
    return tmp_path


@pytest.fixture(scope="module")
def ran(at_server: Path, image: str, tmp_path_factory: pytest.TempPathFactory) -> RunStatus:
    """A run of ``contained.cwl`` that was completed."""
    text = tmp_path_factory.mktemp("inputs") / "words.txt"
    text.write_text(f"to be or not {os.getpid()} {text}\n")
    done = run("contained.cwl", text=text)
    assert done.exit_code == 0, done.stderr
    return newest()


def run(document: Path | str, *arguments: object, text: Path | str = "words.txt") -> Result:
    command = [str(CWL / document), "--set", f"text={text}", "--quiet"]
    return CliRunner().invoke(submit.main, [*command, *map(str, arguments)])


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def newest() -> RunStatus:
    engine = make_engine("local")
    return engine.status(engine.runs()[0].id)


def activities(client: ProvClient, status: RunStatus) -> dict[str, dict[str, Any]]:
    return {step.name: client.activity(str(step.activity)) for step in status.steps}


def tool(image: str, *command: str, kind: str = "requirements") -> dict[str, Any]:
    return {
        "cwlVersion": "v1.2", "class": "CommandLineTool", "inputs": {"text": "File"},
        "outputs": {"o": "stdout"}, "baseCommand": list(command),
        kind: {"DockerRequirement": {"dockerPull": image}},
    }  # fmt: skip


def test_tools_run_in_their_image_and_the_record_says_in_which(
    ran: RunStatus, image: str, client: ProvClient
) -> None:
    assert Path(ran.products[0].path).read_text().split()[0] == "6"
    assert ran.notes == ()
    steps = activities(client, ran)
    (part,) = steps["fit"]["parts"]
    inner = client.activity(part["activity"])
    for one in (*steps.values(), inner):
        assert one["status"] == "completed"
        assert (one["container"]["runtime"], one["container"]["image"]) == ("podman", IMAGE)
        assert one["container"]["digest"] == f"sha256:{image}"
        (used,) = [used for used in one["used"] if used["role"] == "container image"]
        assert (used["name"], used["sha256"]) == (IMAGE, image)

    assert steps["count"]["environment"] == {"software": {"name": "wc"}}  # nothing of our machine
    assert inner["environment"]["python"]["version"]
    assert inner["host"]["name"] == steps["fit"]["host"]["name"]
    (product,) = inner["generated"]  # under the path that it has outside
    assert Path(product["location"].partition(steps["fit"]["host"]["name"])[2]).is_file()
    assert {u["sha256"] for u in inner["used"]} == {u["sha256"] for u in steps["fit"]["used"]}
    assert [agent["name"] for agent in inner["agents"]] == [
        agent["name"] for agent in steps["fit"]["agents"]
    ]


def test_a_resumed_run_takes_over_what_the_same_image_made_and_no_other(
    here: Path, ran: RunStatus, image: str, other: str, podman: Podman, client: ProvClient
) -> None:
    text = make_engine("local").request(ran.id).inputs["text"]["location"]
    path = text.removeprefix("file://")
    assert run("contained.cwl", "--resume", ran.id, text=path).exit_code == 0
    assert all(step.is_reused for step in newest().steps)

    podman("tag", other, IMAGE)
    assert run("contained.cwl", "--resume", ran.id, text=path).exit_code == 0
    podman("tag", image, IMAGE)
    now = newest()
    assert not any(step.is_reused for step in now.steps)

    counts = [str(one.steps[0].activity) for one in (ran, now)]
    differs = CliRunner().invoke(diff.main, counts)
    assert differs.exit_code == 5, differs.output
    assert f"sha256:{image}" in differs.stdout
    assert f"sha256:{other}" in differs.stdout
    touched = CliRunner().invoke(impact.main, [f"sha256:{other}", "--json"])
    assert touched.exit_code == 0, touched.stderr
    assert counts[1] in touched.stdout
    assert counts[0] not in touched.stdout
    by_name = CliRunner().invoke(impact.main, [IMAGE])  # nobody says which of the two
    assert by_name.exit_code != 0
    assert f"2 products are called '{IMAGE}' (by image)" in by_name.stderr


def test_a_product_is_made_again_in_the_same_image_or_it_is_said_that_it_is_gone(
    here: Path, ran: RunStatus, image: str, other: str, podman: Podman, client: ProvClient
) -> None:
    (product,) = client.activity(str(ran.steps[0].activity))["generated"]
    podman("tag", other, IMAGE)
    again = CliRunner().invoke(rerun.main, [product["entity"]])
    assert again.exit_code == 0, again.output
    assert "same bytes" in again.stdout
    assert f"in the container image {IMAGE} sha256:{image}" in again.stderr
    (step,) = activities(client, newest()).values()
    assert step["container"]["digest"] == f"sha256:{image}"

    podman("tag", image, "localhost/kept:1")
    podman("save", "--quiet", "--output", here / "kept.tar", "localhost/kept:1")
    podman("rmi", "--force", image)
    gone = CliRunner().invoke(rerun.main, [product["entity"], "--dry-run"])
    podman("load", "--quiet", "--input", here / "kept.tar")
    podman("tag", image, IMAGE)
    assert gone.exit_code == 5
    assert f"podman has no image sha256:{image} ({IMAGE})" in gone.stderr


def test_what_goes_wrong_in_a_container_is_told_as_without(
    here: Path, image: str, client: ProvClient
) -> None:
    steps = {
        "bad": tool(IMAGE, "sh", "-c", "echo broken >&2; exit 3"),
        "absent": tool("localhost/absent:1", "true"),
    }
    workflow = {
        "cwlVersion": "v1.2", "class": "Workflow", "inputs": {"text": "File"}, "outputs": {},
        "steps": {name: {"run": one, "in": {"text": "text"}, "out": []}
                  for name, one in steps.items()},
    }  # fmt: skip
    (here / "wrong.cwl").write_text(json.dumps(workflow))
    failed = run(here / "wrong.cwl")
    assert failed.exit_code == 1
    assert "exit code 3" in failed.stderr
    assert "broken" in failed.stderr
    assert "podman has no image localhost/absent:1, and it cannot be pulled" in failed.stderr
    absent = activities(client, newest())["absent"]
    assert (absent["status"], absent["container"]["image"]) == ("error", "localhost/absent:1")


def test_a_hint_is_followed_where_an_engine_is_named(
    here: Path, image: str, client: ProvClient
) -> None:
    path = here / "hint.cwl"
    path.write_text(json.dumps(tool(IMAGE, "sh", "-c", "echo $PYTHONPATH", kind="hints")))
    done = run(path, "--container", "podman")
    assert done.exit_code == 0, done.stderr
    assert Path(done.stdout.strip()).read_text() == "/opt\n"  # as the image has it
    assert run(path).exit_code == 0
    (step,) = activities(client, newest()).values()
    assert not any(used["role"] == "container image" for used in step["used"])
    assert f"run without the container that is a hint: {IMAGE}" in str(step)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_container_ends_with_its_run_and_with_the_command_that_started_it(
    here: Path, image: str, podman: Podman, is_killed: bool
) -> None:
    path = here / "long.cwl"
    path.write_text(json.dumps(tool(IMAGE, "sh", "-c", "sleep 600")))
    assert run(path, "--detach").exit_code == 0
    wait_for(lambda: podman("ps", "--quiet"))
    started = newest()
    if not is_killed:
        make_engine("local").cancel(started.id)
        wait_for(lambda: newest().is_final)
        assert newest().state == "interrupted"
        assert [step.state for step in newest().steps] == ["interrupted"]
        assert podman("ps", "--quiet") == ""
        return
    (client,) = [
        process
        for process in psutil.Process(json.loads(run_file(started))["starting_pid"]).children()
        if process.name() == "podman"
    ]
    client.kill()
    wait_for(lambda: newest().is_final)
    assert newest().state == "error"
    assert podman("ps", "--quiet") == ""


def run_file(status: RunStatus) -> str:
    return (Path(str(status.directory)) / "run.json").read_text()


def start_node(folder: Path, container: NodeContainer, **environ: str) -> "subprocess.Popen[str]":
    """Start a job's script as a pilot does, in a folder of its own."""
    workflow = load_workflow(str(CWL / "shell.cwl"))
    job = {
        "id": str(uuid4()), "name": "shell", "steps": ["shell"], "command": ["prod-submit"],
        "max_parallel": None, "job_activity": str(uuid4()), "submitted_at": "2026-01-01T00:00:00Z",
        "server": None, "agent": "Ada", "formers": [], "bring_products": True,
    }  # fmt: skip
    make_package(
        folder, PackedWorkflow.of(workflow.location),
        make_inputs(workflow, None, ["script=pwd; echo $PYTHONPATH"]), job,
        software=NodeSoftware(python=sys.executable, container=container),
    )  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PROV_", "DIRAC"))}
    return subprocess.Popen(
        ["/bin/sh", "run.sh"], cwd=folder, env={**kept, "DIRACSITE": "A.Site.org", **environ},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_whole_job_runs_in_an_image_with_the_software_of_the_node(
    podman: Podman, image: str, tmp_path: Path
) -> None:
    software = {str(Path(name).resolve()) for name in ("/usr", "/lib", "/lib64", sys.base_prefix)}
    ours = {sys.prefix, str(Path(jobs.__file__).parents[1])}
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "token.json").write_text("{}")
    node = start_node(
        tmp_path / "job",
        NodeContainer(image=IMAGE, engine="podman", binds=sorted(software | ours)),
        DIRACX_CREDENTIALS_PATH=str(tmp_path / "tokens" / "token.json"), **podman.environ,
    )  # fmt: skip
    _, said = node.communicate(timeout=120)
    assert node.returncode == 0, said
    result = tmp_path / "job" / "result"
    texts = [path.read_text() for path in (result / "job.prov.jsonl", result / "provenance.jsonl")]
    records = [json.loads(line) for text in texts for line in text.splitlines()]
    assert {record["name"] for record in records} == {"shell job", "shell"}
    for record in records:
        assert record["container"] == {
            "runtime": "podman", "image": IMAGE, "digest": f"sha256:{image}",
        }  # fmt: skip
        used = {item["role"]: item for item in record["inputs"]}["container image"]
        assert (used["name"], used["sha256"]) == (IMAGE, image)
        assert record["host"]["name"] == socket.gethostname()
        assert record["job"]["site"] == "A.Site.org"
        assert record["agent"]["name"] == "Ada"
    assert podman("ps", "--quiet") == ""


STAND_IN = """\
#!/bin/sh
# Takes Apptainer's place: the options of a job's script, without a container.
echo "$@" >> "$LISTED"
[ "$1" = exec ] && shift
while :; do
    case $1 in
    --pwd) cd "$2" || exit 1; shift 2 ;;
    --bind) [ -d "$2" ] || exit 1; shift 2 ;;
    *) break ;;
    esac
done
export APPTAINER_CONTAINER="$1"
shift
exec "$@"
"""


def test_apptainer_is_given_the_image_the_folders_and_the_script(tmp_path: Path) -> None:
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    image, listed = tmp_path / "tools.sif", tmp_path / "listed"
    image.write_bytes(b"image")
    (tmp_path / "latest.sif").symlink_to(image)
    container = NodeContainer(image=str(tmp_path / "latest.sif"), binds=("/usr", "/usr"))
    node = start_node(
        tmp_path / "job", container, LISTED=str(listed),
        X509_USER_PROXY=str(tmp_path / "proxy"), PATH=f"{stand_in.parent}:{os.environ['PATH']}",
    )  # fmt: skip
    _, said = node.communicate(timeout=120)
    assert node.returncode == 0, said
    assert listed.read_text().split() == [
        "exec", "--pwd", str(tmp_path / "job"), "--bind", "/usr", "--bind", str(tmp_path),
        "--bind", str(tmp_path / "job"), str(image), "/bin/sh", "run.sh",
    ]  # fmt: skip
    record = (tmp_path / "job" / "result" / "job.prov.jsonl").read_text().splitlines()[-1]
    digest = f"sha256:{hashlib.sha256(b'image').hexdigest()}"
    assert json.loads(record)["container"] == {
        "runtime": "apptainer", "image": str(image), "digest": digest,
    }  # fmt: skip


def test_a_node_without_an_engine_or_the_image_says_so(
    podman: Podman, image: str, tmp_path: Path
) -> None:
    node = start_node(tmp_path / "none", NodeContainer(image=IMAGE), PATH="/nowhere")
    assert f"in the container image {IMAGE}, and there is no apptainer, singular" in told(node)
    absent = NodeContainer(image="localhost/absent:1", engine="podman")
    node = start_node(tmp_path / "absent", absent, **podman.environ)
    assert "has no container image localhost/absent:1, and cannot pull it" in told(node)
    bare = NodeContainer(image=IMAGE, engine="podman")
    node = start_node(tmp_path / "bare", bare, **podman.environ)
    assert f"there is no {sys.executable} on {socket.gethostname()} in {IMAGE}:" in told(node)


def told(node: "subprocess.Popen[str]") -> str:
    _, said = node.communicate(timeout=120)
    assert node.returncode == 127
    return said


def test_without_an_engine_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROV_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path))
    none = run("contained.cwl")
    assert none.exit_code == 2
    assert "requires a container (DockerRequirement: localhost/tools:1)" in none.stderr
    assert "none of apptainer, podman, docker" in none.stderr
    named = run("contained.cwl", "--container", "podman")
    assert named.exit_code == 2
    assert "the container engine podman is not here: no podman on the PATH" in named.stderr
    refused = run("contained.cwl", "--container", "none")
    assert refused.exit_code == 2
    assert "--container none was said" in refused.stderr
    assert not list(tmp_path.glob("state/runs/*"))


def test_the_command_offers_the_engines_that_there_are() -> None:
    assert _runs.CONTAINER_ENGINES == (*ENGINES, NO_ENGINE)  # noqa: SIM300
