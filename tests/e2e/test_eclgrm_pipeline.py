"""The pipeline eclgrm: valid CWL, and run by plain cwltool on a simulated and on a real burst."""

import json
import os
import subprocess
import sys
from pathlib import Path

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord

from analysis.eclgrm.cards import card_names
from analysis.eclgrm.product_io import read_product
from analysis.tools.eclgrm.command import TASKS

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "jobs" / "pipelines" / "eclgrm"
TOOLS = sorted((PIPELINE / "tools").glob("*.cwl"))

pytestmark = pytest.mark.timeout(900)


def program(name: str, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment, as a user has it on the PATH."""
    scripts = Path(sys.prefix, "bin")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PROV_")}
    environment["PATH"] = f"{scripts}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.run(
        [str(scripts / name), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def cwltool(folder: Path, *arguments: str | Path) -> dict:
    """Run the workflow by plain cwltool, and return its outputs."""
    workflow = PIPELINE / "workflow.json"
    done = program("cwltool", "--outdir", "out", workflow, *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    found: dict = json.loads(done.stdout)
    return found


def names(files: list[dict]) -> set[str]:
    return {one["basename"] for one in files}


def test_every_task_has_a_tool():
    assert {path.stem for path in TOOLS} == set(TASKS) - {"config"}


@pytest.mark.parametrize("path", [PIPELINE / "workflow.json", *TOOLS], ids=lambda path: path.stem)
def test_documents_are_valid_cwl_without_a_warning(path: Path, tmp_path: Path):
    done = program("cwltool", "--validate", path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_a_simulated_burst_runs_in_plain_cwltool_and_keeps_its_records(tmp_path: Path):
    short = ("--set", "simulate.start_s=-70", "--set", "simulate.stop_s=70")
    done = program("eclgrm", "simulate", *short, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    burst = tmp_path / "BURST_sb26112101.fits"
    made = cwltool(tmp_path, "--burst", burst)
    products = {path.name for path in (tmp_path / "out").glob("*.fits")}
    assert products == {f"{card}_sb26112101.fits" for card in card_names()}
    assert len(made["pictures"]) == 6
    assert names(made["records"]) == {
        *(f"eclgrm-{task}-{instrument}.prov.json" for task in ("otloc", "rsp", "qtemp")
          for instrument in ("ECL", "GRM")),
        *(f"eclgrm-{task}.prov.json" for task in ("qspec", "qhr", "class")),
    }  # fmt: skip
    records = {
        path.name: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")
    }
    # What one tool wrote and another read is the same by its digest, wherever cwltool staged it.
    written = records["eclgrm-otloc-ECL.prov.json"]["outputs"]
    (trigger,) = (one for one in written if one.get("role") == "TT_ECL")
    used = records["eclgrm-qtemp-ECL.prov.json"]["inputs"]
    assert trigger["sha256"] in {one["sha256"] for one in used}


def test_a_real_burst_of_gbm_runs_through_the_same_workflow(test_data: Path, tmp_path: Path):
    data = test_data / "grb" / "gbm_bn080916009"
    if not data.is_dir():
        pytest.skip(f"no data of GRB 080916C at {data}")
    events = [data / f"glg_tte_{name}_bn080916009_v01.fit.gz" for name in ("n3", "b0")]
    done = program("eclgrm", "import-gbm", *events, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    inputs = json.loads((PIPELINE / "config-gbm.json").read_text())
    matrices = [data / f"glg_cspec_{name}_bn080916009_v00.rsp2" for name in ("n3", "b0")]
    inputs["burst"] = {"class": "File", "path": str(tmp_path / "BURST_bn080916009.fits")}
    inputs["matrices"] = [{"class": "File", "path": str(path)} for path in matrices]
    trigdat = data / "glg_trigdat_all_bn080916009_v02.fit"
    inputs["trigdat"] = {"class": "File", "path": str(trigdat)}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    cwltool(tmp_path, "inputs.json")

    def product(card: str):
        return read_product(tmp_path / "out" / f"{card}_bn080916009.fits", card)

    durations = product("QT90_GRM")
    # The catalogue's T90 (fermigbrst, GRB080916009) is 62.977 s; the issue asks for 5 %.
    assert durations.value("QT90", "T90").value == pytest.approx(62.977, rel=0.05)
    spectrum = product("QSP_GRM")
    chosen = spectrum.column("FIT", "CHOSEN").argmax()
    published = {"ALPHA": (-1.070, 0.014), "E_PEAK": (667.7, 41.7), "BETA": (-2.152, 0.076)}
    assert str(spectrum.column("FIT", "MODEL")[chosen]) == "band"
    for name, (value, error) in published.items():
        found, spread = (
            float(u.Quantity(spectrum.column("FIT", key)).value[chosen])
            for key in (name, f"{name}_ERR")
        )
        # Another interval and fewer detectors than the catalogue's: 3 sigma of both together.
        assert abs(found - value) < 3 * (spread**2 + error**2) ** 0.5, name
    assert product("CRCLASS").value("CLASS", "CLASS") == "long"
    position = product("QPO_GRM")
    assert position.observed.telescope == "FERMI"
    place = SkyCoord(position.value("QPO", "RA"), position.value("QPO", "DEC"))
    # The catalogue's position; the issue asks for 5 degrees.
    assert place.separation(SkyCoord(119.8 * u.deg, -56.6 * u.deg)) < 5 * u.deg
    assert product("RSP_GRM").observed.detectors == ("N3", "B0")
