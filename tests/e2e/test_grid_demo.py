"""The demonstration on the grid as a new user runs it: token, submit, follow, trace; again."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cwltool
import pytest

from analysis.eclgrm.cards import card_names

ROOT = Path(__file__).resolve().parents[2]
OTHERS = Path(cwltool.__path__[0]) / "tests" / "wf"

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(dirac_venv: Path) -> Iterator[tuple[Path, str, str]]:
    """The folder of the demonstration, and what it said the first and the second time."""
    if not (OTHERS / "revsort.cwl").is_file():
        pytest.skip("this cwltool comes without its tests")
    # Not one of pytest's folders: the account that runs PostgreSQL for root cannot enter those.
    folder = Path(tempfile.mkdtemp(prefix="prov-grid-demo-"))
    folder.chmod(0o711)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PROV_", "DIRACX_"))}
    environment = {
        **clean, "GRID_DEMO_DIR": str(folder), "VENV": sys.prefix, "TESTBED_VENV": str(dirac_venv),
    }  # fmt: skip
    said = []
    try:
        for _ in range(2):
            done = subprocess.run(
                ["sh", str(ROOT / "examples" / "grid_demo.sh")], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=1000,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
            said.append(done.stdout)
        yield folder, said[0], said[1]
    finally:
        end = f". '{folder}/env'; prod-testbed down; prod-server stop"
        subprocess.run(["sh", "-c", end], env=clean, check=False, capture_output=True)
        shutil.rmtree(folder)


def tree_of(said: str, product: str) -> str:
    return said.partition(f"\n{product}\n")[2].partition("\n$ ")[0]


def test_the_pipeline_runs_as_a_grid_job_and_all_its_products_come_home(demo) -> None:
    folder, said, _ = demo
    products = {path.name for path in (folder / "eclgrm" / "products").glob("*.fits")}
    assert products == {f"{name}_sb26112101.fits" for name in card_names()}
    assert "eclgrm  home: completed" in said


@pytest.mark.parametrize(
    ("product", "steps", "run"),
    [
        ("QT90_ECL_sb26112101.fits", ("simulate", "otloc", "rsp", "qtemp"), "eclgrm"),
        ("output.txt", ("rev", "sorted", "whale.txt"), "revsort"),
    ],
)
def test_a_product_is_traced_through_tool_and_job_to_who_submitted_it(
    demo, product: str, steps: tuple[str, ...], run: str
) -> None:
    tree = tree_of(demo[1], product)
    for step in steps:
        assert step in tree
    levels = tree.partition("Levels:")[2]
    assert f"{run} job  ✓ completed" in levels
    job = levels.partition("Jobs:\n")[2].splitlines()[0]
    assert job.startswith(f"{run} job  DIRAC ")
    assert "at DIRAC.Testbed.local on " in job
    assert job.endswith(" of production")


def test_a_workflow_of_somebody_else_gives_what_it_gives_elsewhere(demo) -> None:
    lines = (OTHERS / "whale.txt").read_text().splitlines()
    made = (demo[0] / "revsort" / "products" / "output.txt").read_text().splitlines()
    assert made == sorted((line[::-1] for line in lines), reverse=True)


def test_the_second_time_changes_nothing(demo) -> None:
    _, first, second = demo
    assert "6 descriptions: 6 unchanged" in second
    assert "prod-submit" not in second
    assert "nothing to bring home" in second
    for product in ("QT90_ECL_sb26112101.fits", "output.txt"):
        assert tree_of(second, product) == tree_of(first, product) != ""
