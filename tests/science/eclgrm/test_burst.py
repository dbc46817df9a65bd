"""Burst data: light curves of several detectors, the burst file, GBM data as burst data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from eclgrm_curves import gbm_file

from analysis.eclgrm.attitude import pointing
from analysis.eclgrm.burst import BurstData, DetectorEvents, light_curve
from analysis.eclgrm.burst_io import import_gbm, read_burst, write_burst
from analysis.eclgrm.io import EventList, InputFileError

ZERO = Time("2026-03-02T01:02:03.456", scale="utc")
EDGES = [[10.0, 50.0], [50.0, 100.0], [100.0, 300.0]]


def detector(
    name: str = "GRD1",
    n_event: int = 200,
    *,
    instrument: str = "GRM",
    energy: list[list[float]] = EDGES,
    gti: tuple[tuple[float, float], ...] = ((-10.0, 20.0),),
    seed: int = 1,
) -> DetectorEvents:
    rng = np.random.default_rng(seed)
    return DetectorEvents(
        name,
        instrument,
        EventList(
            time=np.sort(rng.uniform(gti[0][0], gti[-1][1], n_event)) * u.s,
            channel=rng.integers(0, len(energy), n_event),
            energy=energy * u.keV,
            good_intervals=np.array(gti) * u.s,
            reference=ZERO,
        ),
        rng.integers(0, 80, (n_event, 2)) if instrument == "ECL" else None,
    )


def burst(*detectors: DetectorEvents) -> BurstData:
    return BurstData(
        "sb26030201",
        "SVOM",
        detectors or (detector("ECL", instrument="ECL"), detector("GRD1"), detector("GRD2")),
        obs_id="16777216",
        attitude=pointing(30 * u.deg, -40 * u.deg, 20 * u.deg),
        earth=SkyCoord(210 * u.deg, 40 * u.deg),
        source=SkyCoord(31 * u.deg, -45 * u.deg),
        truth={"alpha": -1.1, "pulses": [[1, 2.5]], "name": "parametric"},
    )


def test_file_holds_all_that_was_written(tmp_path: Path) -> None:
    data = burst()
    write_burst(data, tmp_path / "b.fits", header={"CREATOR": "test"})
    back = read_burst(tmp_path / "b.fits")
    assert [one.name for one in back.detectors] == ["ECL", "GRD1", "GRD2"]
    assert (back.burst_id, back.obs_id, back.telescope) == ("sb26030201", "16777216", "SVOM")
    assert back.instruments == ("ECL", "GRM")
    assert back.truth == data.truth
    assert abs((back.reference - data.reference).to_value(u.s)) < 1e-6
    np.testing.assert_allclose(back.attitude, data.attitude)
    for place in ("earth", "source"):
        assert getattr(back, place).separation(getattr(data, place)).arcsec < 1e-6
    for old, new in zip(data.detectors, back.detectors, strict=True):
        np.testing.assert_array_equal(new.events.time.value, old.events.time.value)
        np.testing.assert_array_equal(new.events.channel, old.events.channel)
        np.testing.assert_array_equal(new.events.energy.value, old.events.energy.value)
        np.testing.assert_array_equal(
            new.events.good_intervals.value, old.events.good_intervals.value
        )
    np.testing.assert_array_equal(back.detector("ECL").pixel, data.detector("ECL").pixel)
    assert back.detector("GRD1").pixel is None
    with fits.open(tmp_path / "b.fits", checksum=True) as hdus:
        assert hdus[0].header["CREATOR"] == "test"
        assert hdus[0].header["INSTRUME"] == "ECLGRM"
        zero = hdus["EVENTS_ECL"].header
        origin = Time(zero["MJDREFI"], zero["MJDREFF"], format="mjd", scale="tt")
        assert abs((origin + zero["TIMEZERO"] * u.s - ZERO).to_value(u.s)) < 1e-5
    assert list(tmp_path.iterdir()) == [tmp_path / "b.fits"]


def test_no_event_is_a_burst_file_too(tmp_path: Path) -> None:
    write_burst(burst(detector(n_event=0)), tmp_path / "b.fits")
    back = read_burst(tmp_path / "b.fits")
    assert back.detectors[0].events.time.size == 0
    curve = light_curve(back.detectors, 1 * u.s)
    assert curve.total.sum() == 0
    assert curve.good.all()


def test_gap_is_bad_bins_not_zeros(tmp_path: Path) -> None:
    write_burst(
        burst(detector("GRD1", gti=((-10, 3), (5, 20))), detector("GRD2")), tmp_path / "b.fits"
    )
    curve = light_curve(read_burst(tmp_path / "b.fits").detectors, 0.5 * u.s)
    start, stop = curve.edges_s()
    np.testing.assert_array_equal(curve.good, (stop <= 3) | (start >= 5))


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_file_names_file_and_fault(tmp_path: Path, part: float) -> None:
    write_burst(burst(), tmp_path / "whole.fits")
    whole = (tmp_path / "whole.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputFileError, match=r"(?s)cut\.fits.*expected"):
        read_burst(tmp_path / "cut.fits")


def cut_keyword(hdus: fits.HDUList) -> None:
    del hdus[0].header["TRIGTIME"]


def cut_extension(name: str) -> Callable[[fits.HDUList], None]:
    def cut(hdus: fits.HDUList) -> None:
        del hdus[name]

    return cut


def spoil(name: str, column: str, row: int, value: object) -> Callable[[fits.HDUList], None]:
    def put(hdus: fits.HDUList) -> None:
        hdus[name].data[column][row] = value

    return put


def set_keyword(name: str, key: str, value: object) -> Callable[[fits.HDUList], None]:
    def put(hdus: fits.HDUList) -> None:
        hdus[name].header[key] = value

    return put


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_keyword, "PRIMARY: no TRIGTIME"),
        (cut_extension("EVENTS_GRD2"), "file: detectors ECL,GRD1 *; expected ECL,GRD1,GRD2"),
        (cut_extension("EBOUNDS_GRD1"), "expected an extension EBOUNDS_GRD1"),
        (spoil("EVENTS_GRD1", "PI", 7, 3), "EVENTS_GRD1: PI 3 in row 7; expected channels 0 to 2"),
        (spoil("EVENTS_GRD1", "TIME", 7, np.nan), "EVENTS_GRD1: TIME nan in row 7"),
        (spoil("EVENTS_ECL", "RAWY", 7, 80), "EVENTS_ECL: pixels 0 to 80; expected RAWY and RAWZ"),
        (spoil("GTI_GRD1", "STOP", 0, -11.0), "GTI_GRD1"),
        (spoil("TRUTH", "VALUE", 0, "{"), "extension TRUTH"),
        (set_keyword("EVENTS_GRD1", "INSTRUME", "MXT"), "GRD1: INSTRUME 'MXT'; expected ECL or"),
        (set_keyword("PRIMARY", "QUAT1", 3.0), "unit quaternion"),
    ],
)
def test_damage_is_named(
    tmp_path: Path, damage: Callable[[fits.HDUList], None], message: str
) -> None:
    path = tmp_path / "bad.fits"
    write_burst(burst(), path)
    with fits.open(path, mode="update") as hdus:
        damage(hdus)
    with pytest.raises(InputFileError, match=message):
        read_burst(path)


def test_other_fits_is_refused(test_data: Path) -> None:
    with pytest.raises(InputFileError, match="no BURST_ID"):
        read_burst(gbm_file(test_data, "glg_tte_n3_bn080916009_v01.fit.gz"))


def test_failed_write_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "b.fits"
    write_burst(burst(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_burst(replace(burst(), truth={"x": float("nan")}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_light_curve_sums_detectors_and_bands() -> None:
    first, second = detector("GRD1", seed=1), detector("GRD2", seed=2)
    whole = light_curve((first, second), 0.25 * u.s)
    assert whole.counts.sum() == 400
    assert 0.0 in whole.edges_s()[0]
    bands = light_curve((first, second), 0.25 * u.s, bands=[[50, 300], [10, 50]] * u.keV)
    np.testing.assert_array_equal(bands.counts[:, 0], whole.counts[:, 1:].sum(axis=1))
    np.testing.assert_array_equal(bands.counts[:, 1], whole.counts[:, 0])
    cut = light_curve((first, second), 0.25 * u.s, start=0 * u.s, stop=5 * u.s)
    assert cut.counts.sum() == sum(
        ((one.events.time >= 0 * u.s) & (one.events.time < 5 * u.s)).sum()
        for one in (first, second)
    )


def test_light_curve_refuses_what_does_not_fit() -> None:
    one, other = detector("N3"), detector("B0", energy=[[200.0, 1000.0], [1000.0, 40000.0]])
    with pytest.raises(ValueError, match="B0 has other channels than N3: give bands"):
        light_curve((one, other), 1 * u.s)
    summed = light_curve((one, other), 1 * u.s, bands=[[100, 5000]] * u.keV)
    counted = (one.events.channel == 2).sum() + (other.events.channel == 0).sum()
    assert summed.counts.sum() == counted
    with pytest.raises(ValueError, match="overlap"):
        light_curve((one,), 1 * u.s, bands=[[10, 100], [50, 300]] * u.keV)
    with pytest.raises(ValueError, match="no channel of N3 lies between"):
        light_curve((one,), 1 * u.s, bands=[[1000, 3000]] * u.keV)
    with pytest.raises(ValueError, match=r"no bin of 1.0 s .* common to N3, GRD2"):
        light_curve((one, detector("GRD2", gti=((30, 40),))), 1 * u.s)


def test_burst_refuses_doubles_and_unknown_names() -> None:
    with pytest.raises(ValueError, match="names that differ"):
        burst(detector("GRD1"), detector("GRD1"))
    data = burst(detector("GRD1"))
    with pytest.raises(ValueError, match="no detector of ECL; it has GRD1"):
        data.of_instrument("ECL")
    with pytest.raises(ValueError, match="no detector 'GRD9'; it has GRD1"):
        data.detector("GRD9")
    later = detector("GRD2")
    later = replace(later, events=replace(later.events, reference=ZERO + 1 * u.s))
    with pytest.raises(ValueError, match="expected one reference"):
        burst(detector("GRD1"), later)


def test_gbm_events_become_burst_data(test_data: Path, tmp_path: Path) -> None:
    files = [gbm_file(test_data, f"glg_tte_{one}_bn080916009_v01.fit.gz") for one in ("n3", "b0")]
    data = import_gbm(files)
    assert [one.name for one in data.detectors] == ["N3", "B0"]
    assert (data.burst_id, data.telescope, data.instruments) == ("bn080916009", "FERMI", ("GRM",))
    write_burst(data, tmp_path / "b.fits")
    back = read_burst(tmp_path / "b.fits")
    with fits.open(files[0]) as hdus:
        raw = hdus["EVENTS"].data["TIME"] - hdus[0].header["TRIGTIME"]
    np.testing.assert_array_equal(back.detector("N3").events.time.value, np.sort(raw))
    assert abs((back.reference - data.reference).to_value(u.s)) < 1e-6
    with pytest.raises(InputFileError, match="DETNAM N3 again"):
        import_gbm([files[0], files[0]])
