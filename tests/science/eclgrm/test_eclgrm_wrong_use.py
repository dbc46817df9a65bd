"""Wrong use of the eclgrm tasks: a clear line, the exit code, a record, nothing left behind."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_bursts import scene, two_pulses
from eclgrm_products import making
from eclgrm_tasks import Done, run

from analysis.eclgrm import products, spectral_products
from analysis.eclgrm.burst import BurstData, DetectorEvents
from analysis.eclgrm.burst_io import write_burst
from analysis.eclgrm.product_io import write_product
from analysis.eclgrm.response import gaussian_response
from analysis.eclgrm.simulator import SimulationSettings, simulate

NAME = "test"


@pytest.fixture(scope="module")
def burst() -> BurstData:
    """GRM only, 80 s."""
    drawn = simulate(
        two_pulses(),
        scene(),
        rng=np.random.default_rng(4),
        burst_id=NAME,
        settings=SimulationSettings(start=-40 * u.s, stop=50 * u.s),
    )
    return replace(drawn, detectors=drawn.of_instrument("GRM"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, burst: BurstData) -> Path:
    """A folder with the burst file and what OTLOC makes of it."""
    folder = tmp_path_factory.mktemp("made")
    write_burst(burst, folder / "b.fits")
    assert run(folder, "otloc", "b.fits", "--instrument", "GRM").exit_code == 0
    return folder


@pytest.fixture
def folder(tmp_path: Path, made: Path) -> Path:
    shutil.copy(made / "b.fits", tmp_path)
    return tmp_path


@pytest.fixture
def trigger(folder: Path, made: Path) -> str:
    name = f"TT_GRM_{NAME}.fits"
    shutil.copy(made / name, folder)
    return name


def with_events(burst: BurstData, change) -> BurstData:
    changed = []
    for one in burst.detectors:
        changed.append(DetectorEvents(one.name, one.instrument, change(one.events)))
    return replace(burst, detectors=tuple(changed))


def check_failed(folder: Path, done: Done, message: str, *, exit_code: int = 1) -> None:
    """One line that says what was wrong, the same in the record, and no product."""
    assert done.exit_code == exit_code
    assert done.stdout == ""
    assert re.search(message, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((folder / "out").glob("*"))
    assert done.record["status"] == "error"
    assert done.record["exit_code"] == exit_code
    assert "outputs" not in done.record
    assert any(re.search(message, one["text"]) for one in done.record["messages"])


def otloc(folder: Path, name: str = "b.fits", *more: str) -> Done:
    return run(folder, "otloc", name, "--instrument", "GRM", *more, into="out")


def qtemp(folder: Path, name: str, trigger: str, *more: str) -> Done:
    return run(
        folder, "qtemp", name, "--instrument", "GRM", "--trigger", trigger, *more, into="out"
    )


def test_a_truncated_burst_file(folder: Path):
    path = folder / "b.fits"
    path.write_bytes(path.read_bytes()[:100_000])
    check_failed(folder, otloc(folder), r"b\.fits, .*; expected a whole (FITS file|table)")


def test_a_file_that_is_not_there(folder: Path):
    done = otloc(folder, "absent.fits")
    check_failed(
        folder, done, r"absent\.fits: there is no such file; expected the burst", exit_code=3
    )


def test_an_empty_light_curve(folder: Path, burst: BurstData):
    none = with_events(burst, lambda e: replace(e, time=e.time[:0], channel=e.channel[:0]))
    write_burst(none, folder / "b.fits")
    check_failed(
        folder, otloc(folder), r"b\.fits: no event in EVENTS_GRD1, .*; expected the photons"
    )


def test_no_counts_in_the_band_that_is_asked_for(folder: Path, burst: BurstData, trigger: str):
    soft = with_events(burst, lambda e: replace(e, channel=np.zeros_like(e.channel)))
    write_burst(soft, folder / "soft.fits")
    done = qtemp(folder, "soft.fits", trigger)
    check_failed(folder, done, "no burst above the background between 50 and 300 keV in 0 counts")


def test_background_alone_has_no_trigger(folder: Path, burst: BurstData):
    quiet = with_events(
        burst,
        lambda e: replace(e, time=e.time[e.time < -2 * u.s], channel=e.channel[e.time < -2 * u.s]),
    )
    write_burst(quiet, folder / "b.fits")
    check_failed(folder, otloc(folder), r"no trigger in GRD1, GRD2, GRD3 of b\.fits: no window")


def test_a_gap_that_takes_most_of_the_burst(folder: Path, burst: BurstData, trigger: str):
    holed = with_events(burst, lambda e: replace(e, good_intervals=[[-40, 1.5], [11, 50]] * u.s))
    write_burst(holed, folder / "gap.fits")
    done = qtemp(folder, "gap.fits", trigger)
    check_failed(folder, done, r"gap\.fits, extensions GTI: no data for .* s of the burst interval")


def test_a_short_gap_is_told_and_counted_in_nothing(folder: Path, burst: BurstData, trigger: str):
    holed = with_events(burst, lambda e: replace(e, good_intervals=[[-40, 4], [5, 50]] * u.s))
    write_burst(holed, folder / "gap.fits")
    done = qtemp(folder, "gap.fits", trigger)
    assert done.exit_code == 0
    assert "gap: 1" in done.stdout
    assert any("no data for" in one["text"] for one in done.record["messages"])


def test_a_response_of_other_channels(folder: Path, burst: BurstData, trigger: str):
    assert qtemp(folder, "b.fits", trigger).exit_code == 0
    (folder / "out" / f"QT90_GRM_{NAME}.fits").rename(folder / "t90.fits")
    for path in (folder / "out").iterdir():
        path.unlink()
    wrong = gaussian_response(
        np.geomspace(10, 5000, 51) * u.keV,
        np.geomspace(15, 5000, 65) * u.keV,
        area=np.full(50, 200.0) * u.cm**2,
        resolution=np.full(50, 0.1),
    )
    names = [one.name for one in burst.detectors]
    product = spectral_products.responses(
        products.observed(burst, names), "GRM", dict.fromkeys(names, wrong), is_parametric=True
    )
    path = write_product(product, folder, making())
    arguments = ("--durations", "t90.fits", "--response", path)
    for task in ("qspec", "qhr"):
        done = run(folder, task, "b.fits", *arguments, into="out")
        check_failed(
            folder, done, rf"GRD1 has 128 channels, the response .*{path.name}\[.* has 64: use the"
        )


def test_a_product_where_another_is_expected(folder: Path, trigger: str):
    done = run(folder, "class", "--durations", trigger, into="out")
    check_failed(
        folder, done, rf"{trigger}, extension PRIMARY: CARD 'TT_GRM'; expected the card QT90"
    )


def test_a_product_of_another_burst(folder: Path, burst: BurstData, trigger: str):
    write_burst(replace(burst, burst_id="other"), folder / "other.fits")
    done = qtemp(folder, "other.fits", trigger)
    check_failed(folder, done, rf"{trigger}, .*BURST_ID: '{NAME}'; expected 'other'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("otloc.GRM.threshold=-3", "/otloc/GRM/threshold: -3 is less than"),
        ("otloc.GRM.thresh=7", "/otloc/GRM/thresh: .*did you mean threshold"),
    ],
)
def test_an_impossible_setting(folder: Path, change: str, message: str):
    done = otloc(folder, "b.fits", "--set", change)
    check_failed(folder, done, f"--set {re.escape(change)}: {message}", exit_code=2)


def test_bands_that_no_detector_has(folder: Path):
    done = otloc(folder, "b.fits", "--set", "otloc.GRM.bands_kev=[[9000,10000]]")
    check_failed(folder, done, "no detector of GRM reaches over .*GRD1 15 keV to 5000")


def test_trigger_data_of_gbm_for_a_burst_of_svom(folder: Path):
    done = otloc(folder, "b.fits", "--trigdat", "x.fit")
    check_failed(folder, done, "--trigdat is for bursts of FERMI; this one is of SVOM", exit_code=2)


def test_a_response_without_a_position_is_not_made_of_the_truth(folder: Path):
    done = run(folder, "rsp", "b.fits", "--instrument", "GRM", into="out")
    check_failed(folder, done, "a parametric response needs a position: a QPO", exit_code=2)
    told = ("--set", "rsp.use_known_position=true")
    assert run(folder, "rsp", "b.fits", "--instrument", "GRM", *told).exit_code == 0


def test_an_instrument_that_the_burst_lacks(folder: Path):
    done = run(folder, "otloc", "b.fits", "--instrument", "ECL", into="out")
    check_failed(folder, done, "burst test has no detector of ECL; it has GRD1")


def test_nothing_to_classify_by(folder: Path):
    done = run(folder, "class", into="out")
    check_failed(folder, done, "give --durations, --hardness or both", exit_code=2)


def test_an_older_product_survives_a_failure(folder: Path, trigger: str):
    older = folder / f"QT90_GRM_{NAME}.fits"
    older.write_bytes(b"older")
    done = run(folder, "qtemp", "b.fits", "--instrument", "GRM", "--trigger", trigger, "--set",
               "qtemp.GRM.block_threshold=1e9")  # fmt: skip
    assert done.exit_code == 1
    assert older.read_bytes() == b"older"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["b.fits", trigger, older.name, "records.jsonl"]
    )
