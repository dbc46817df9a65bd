"""Every product of the pipeline eclgrm is made again, alone and in the whole chain."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from service.captured import work_at

from analysis.eclgrm.cards import card_names
from client_scripts import rerun, submit
from provmanager.client import ProvClient

SHORT = ("--set", "simulate.start_s=-70", "--set", "simulate.stop_s=70")
BURST = "BURST_sb26112101.fits"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def call(command, *arguments: str) -> Result:
    return CliRunner().invoke(command.main, list(arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, app_url, make_token):
    """A folder with a burst, its settings, and what the pipeline made of them, all recorded."""
    with pytest.MonkeyPatch.context() as patch:
        work = work_at(app_url, make_token("recorder"), tmp_path_factory.mktemp("eclgrm"), patch)
        patch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
        (work / "records").mkdir()
        environ = {**os.environ, "PROV_RUN_FILE": str(work / "records")}
        subprocess.run(["eclgrm", "simulate", *SHORT], check=True, env=environ)
        fast = ("--set", "qtemp.ECL.n_bootstrap=40", "--set", "qtemp.GRM.n_bootstrap=40")
        settings = subprocess.run(
            ["eclgrm", "config", *fast], check=True, capture_output=True
        ).stdout
        (work / "settings.json").write_bytes(settings)
        with ProvClient.connect() as client:
            for path in (work / "records").iterdir():
                client.record(path)
        ran = call(
            submit, "eclgrm", "--set", f"burst={BURST}", "--set", "configuration=settings.json",
            "--run-dir", "run",
        )  # fmt: skip
        assert ran.exit_code == 0, ran.output
        yield work


def made_by_runs(folder: Path) -> dict[str, set[str]]:
    """Return the products of each recorded run, as the record has them."""
    found: dict[str, set[str]] = {}
    with ProvClient.connect() as client:
        for path in (folder / "run" / "products").iterdir():
            if path.suffix in (".fits", ".png"):
                entity = client.entity(client.resolve(str(path))["id"])
                found.setdefault(entity["produced_by"]["activity"], set()).add(path.name)
    return found


def test_each_product_alone_and_all_in_one_chain_are_made_again(folder):
    runs = made_by_runs(folder)
    names = set().union(*runs.values())
    assert {name for name in names if name.endswith(".fits")} == {
        f"{card}_sb26112101.fits" for card in card_names()
    }
    compared = {}
    for products in runs.values():  # one run made them, and makes them again
        done = call(rerun, min(products), "--json")
        assert done.exit_code == 0, (min(products), done.output)
        answer = json.loads(done.stdout)
        assert {p["name"] for p in answer["products"]} == products
        compared |= {p["name"]: p for p in answer["products"]}
    assert compared.keys() == names
    for name, product in compared.items():
        if name.endswith(".png"):
            assert product["outcome"] == "same-bytes", product
        else:  # it says why not: its own id and time
            assert product["outcome"] == "same-values", product
            assert "ACTID, CHECKSUM, DATE differ, as in every run" in product["message"]

    chain = call(rerun, "CRCLASS_sb26112101.fits", "--from-roots", "--json")
    assert chain.exit_code == 0, chain.output
    answer = json.loads(chain.stdout)
    outcomes = {p["name"]: p["outcome"] for p in answer["products"]}
    needed = {name for step in answer["steps"] for name in (o["name"] for o in step["outputs"])}
    assert outcomes.keys() == needed
    assert {BURST, "TT_ECL_sb26112101.fits", "QHR_ECL_sb26112101.fits"} <= needed
    assert set(outcomes.values()) == {"same-bytes", "same-values"}


def test_a_changed_configuration_file_is_said_before_anything_runs(folder):
    path = folder / "settings.json"
    before = path.read_text()
    settings = json.loads(before)
    settings["qtemp"]["GRM"]["bin_s"] = 0.5
    path.write_text(json.dumps(settings))
    try:
        for product in ("QT90_GRM_sb26112101.fits", "CRCLASS_sb26112101.fits"):
            done = call(rerun, product)
            assert done.exit_code == 5
            assert f"{path}: changed since: it has the SHA-256" in done.stderr
            assert "run " not in done.stderr.replace("repeats", "")
            assert done.stdout == ""
    finally:
        path.write_text(before)
