"""The main job as a new user runs it: the demo, twice; and what the pages show of it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import httpx
import pytest

from analysis.eclgrm.cards import card_names
from provmanager.client import ProvClient
from provmanager.config import Connection

ROOT = Path(__file__).resolve().parents[2]
CHAIN = sorted((ROOT / "examples" / "chain").iterdir())
PRODUCT = "mu_applied.dl2.h5"
DURATION = "QT90_ECL_sb26112101.fits"

pytestmark = pytest.mark.timeout(1200)  # the demo runs inside of the first test


@dataclass(frozen=True)
class Demo:
    """A folder in which the demo ran twice, what it said, and what was recorded after each."""

    folder: Path
    said: tuple[str, str]
    held: tuple[dict, dict]
    environment: dict[str, str]

    def get(self, path: str) -> httpx.Response:
        """Return a page of its server."""
        said = json.loads((Path(self.environment["PROV_STATE_DIR"]) / "server.json").read_text())
        token = Path(said["token_file"]).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(said["url"] + path, headers=headers).raise_for_status()


def environment_of(folder: Path) -> dict[str, str]:
    """The environment that the demo tells its user to go on with."""
    script = f". '{folder}/env' && env -0"
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()
    return dict(line.partition("=")[::2] for line in said.split("\0") if line)


def held_by(environment: dict[str, str]) -> dict:
    """All that a client can be told of the demo's record."""
    said = json.loads((Path(environment["PROV_STATE_DIR"]) / "server.json").read_text())
    token = Path(said["token_file"]).read_text().strip()
    with ProvClient.connect(Connection(said["url"], "the demo", token, "the demo")) as client:
        lineage = client.lineage(PRODUCT)
        return {
            "info": client.info(),
            "lineage": lineage,
            "activities": [client.activity(a["id"]) for a in lineage["activities"]],
            "entities": [client.entity(e["id"]) for e in lineage["entities"]],
            "all": client.search_activities(limit=100),
            "descriptions": client.descriptions(),
        }


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    # Not one of pytest's folders: the account that runs PostgreSQL for root cannot enter those.
    folder = Path(tempfile.mkdtemp(prefix="prov-demo-"))
    folder.chmod(0o711)
    environment = {**os.environ, "DEMO_DIR": str(folder), "VENV": sys.prefix}
    said, held = [], []
    try:
        for _ in range(2):
            done = subprocess.run(
                ["sh", str(ROOT / "examples" / "demo.sh")],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=900,
            )
            assert done.returncode == 0, done.stdout
            said.append(done.stdout)
            held.append(held_by(environment_of(folder)))
        yield Demo(folder, (said[0], said[1]), (held[0], held[1]), environment_of(folder))
    finally:
        stop = ["prod-server", "stop", "--state-dir", str(folder / "state")]
        subprocess.run([str(Path(sys.prefix, "bin", stop[0])), *stop[1:]], check=True)
        shutil.rmtree(folder)


def true_ancestors() -> tuple[set[str], list[str]]:
    """Files and tools before `PRODUCT`, by a walk over the raw records alone."""
    runs = [run for path in CHAIN for run in json.loads(path.read_text())]
    makers = {Path(o["url"]).name: run for run in runs for o in run["output"]}
    files: set[str] = set()
    tools: dict[str, str] = {}
    queue = [PRODUCT]
    while queue:
        run = makers.get(queue.pop())
        if run is not None and run["activity_uuid"] not in tools:
            tools[run["activity_uuid"]] = run["activity_name"]
            names = {Path(i["url"]).name for i in run["input"]}
            queue += names - files
            files |= names
    return files, sorted(tools.values())


def test_the_first_run_records_every_file_of_the_chain(demo: Demo):
    assert [demo.said[0].count(f"recorded   examples/chain/{p.name}") for p in CHAIN] == [1] * 6
    names = [one["name"] for one in demo.held[0]["all"]["items"]]
    assert sum(name.startswith("ctapipe-") for name in names) == 6


def test_the_trace_reaches_exactly_the_true_ancestors(demo: Demo):
    files, tools = true_ancestors()
    assert len(files) == 6
    lineage = demo.held[0]["lineage"]
    assert {e["name"] for e in lineage["entities"]} == files | {PRODUCT}
    assert sorted(a["name"] for a in lineage["activities"]) == tools


def test_the_tree_that_is_printed_names_every_ancestor(demo: Demo):
    files, tools = true_ancestors()
    tree = demo.said[0].partition(f"\n{PRODUCT}\n")[2].partition("\n\n")[0]
    assert [name for name in sorted({*files, *tools}) if name not in tree] == []
    assert "mu.dl1.h5" not in tree.replace("mu_merged.dl1.h5", "")  # no ancestor, a run beside


def test_the_second_run_changes_nothing(demo: Demo):
    assert demo.held[1] == demo.held[0]
    assert [demo.said[1].count(f"unchanged  examples/chain/{p.name}") for p in CHAIN] == [1] * 6
    assert "8 descriptions: 8 unchanged" in demo.said[1]
    assert "recorded   " not in demo.said[1]


def test_the_duration_of_the_burst_is_traced_to_its_photons(demo: Demo):
    tree = demo.said[0].partition(f"\n{DURATION}\n")[2].partition("\n\n")[0]
    for task in ("simulate", "otloc", "rsp", "qtemp"):
        assert f"eclgrm-{task}" in tree
    for name in ("BURST", "TT_ECL", "QPO_ECL", "RSP_ECL"):
        assert f"{name}_sb26112101.fits" in tree


def test_the_pipeline_leaves_every_product_and_runs_once(demo: Demo):
    products = demo.folder / "burst" / "run" / "products"
    made = {path.name.removesuffix("_sb26112101.fits") for path in products.glob("*.fits")}
    assert made == set(card_names())
    assert len(list(products.glob("*.png"))) == 6
    assert "prod-submit eclgrm" in demo.said[0]
    assert "prod-submit eclgrm" not in demo.said[1]


def test_what_was_measured_and_its_picture_can_be_seen(demo: Demo):
    def answer(*command: str) -> str:
        return subprocess.run(
            command, env=demo.environment, capture_output=True, text=True, check=True
        ).stdout

    found = answer("prod-search", "--name", "T90 *", "--activity", "eclgrm-qtemp", "--json")
    (ecl, grm) = (json.loads(line) for line in found.splitlines())
    assert {ecl["kind"], grm["kind"]} == {"value"}
    assert all(1 < float(item["value"]) < 100 for item in (ecl, grm))
    assert ecl["value"] in answer("prod-search", "--name", "T90 *")

    uuid = json.loads(answer("prod-trace", DURATION, "--json"))["focus"]["id"]
    page = demo.get(f"/product/{uuid}.json").json()
    assert [(p["name"], p["is_shown"]) for p in page["pictures"]] == [
        ("QLC_ECL_sb26112101.png", True)
    ]
    picture = demo.get(f"/picture/{page['pictures'][0]['id']}")
    assert picture.headers["content-type"] == "image/png"


def test_the_picture_is_there_and_names_the_tools(demo: Demo):
    path = demo.folder / "lineage.svg"
    assert str(path) in demo.said[0]
    text = "".join(ElementTree.parse(path).getroot().itertext())
    assert [tool for tool in true_ancestors()[1] if tool not in text] == []


def test_the_user_can_go_on_as_the_demo_says(demo: Demo):
    for command in (
        "prod-trace lst_muons.simtel.zst --down",
        "prod-search activities --package scikit-learn",
        "prod-server status",
    ):
        assert command in demo.said[0] or command.endswith("status")
        done = subprocess.run(
            command.split(), env=demo.environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr


def load_transcripts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("transcripts", ROOT / "docs" / "transcripts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["README.md", "docs/auditors.md", "docs/ivoa-questions.md"])
def test_pages_show_what_the_commands_write(demo: Demo, name: str):
    transcripts = load_transcripts()
    page = (ROOT / name).read_text("utf-8")
    assert name in transcripts.PAGES
    assert transcripts.commands(page)
    remedy = "run: make demo && . .demo/env && python docs/transcripts.py"
    assert transcripts.render(page, demo.environment) == page, remedy
