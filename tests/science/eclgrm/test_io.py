import gzip
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from eclgrm_curves import BATSE_TRIGGERS, batse_file, batse_rows, gbm_file

from analysis.eclgrm import io
from analysis.eclgrm.lightcurve import select_band

TTE = "glg_tte_n3_bn080916009_v01.fit.gz"
CSPEC = "glg_cspec_n3_bn080916009_v01.pha"
TRIGDAT = "glg_trigdat_all_bn080916009_v02.fit"


@pytest.mark.parametrize("trigger", BATSE_TRIGGERS)
def test_batse_counts_are_those_of_the_file(test_data: Path, trigger: int) -> None:
    curve = io.read_batse_64ms(batse_file(test_data, trigger))
    rows = batse_rows(test_data, trigger)
    start, stop = curve.edges_s()
    n_row = round((stop[-1] - start[0]) / 0.064)

    assert n_row == len(rows)
    assert np.abs(start[1:] - stop[:-1]).max() < 1e-9
    # At most the last, cut 1.024-s count is unusable.
    assert curve.good[:-1].all()
    whole = n_row - round((stop[-1] - start[-1]) / 0.064) * (not curve.good[-1])
    np.testing.assert_allclose(curve.counts[curve.good].sum(axis=0), rows[:whole].sum(axis=0))
    assert (curve.counts == np.round(curve.counts)).all()


def test_batse_coarse_counts_are_merged_and_fine_ones_kept(test_data: Path) -> None:
    curve = io.read_batse_64ms(batse_file(test_data, 143))
    rows = batse_rows(test_data, 143)
    start, stop = curve.edges_s()
    width = np.round((stop - start) / 0.064).astype(int)

    # nlasc = 1848 = 115 * 16 + 8: the last coarse count is what the burst memory does not hold.
    assert (width[:116] == [16] * 115 + [8]).all()
    np.testing.assert_allclose(curve.counts[0], 16 * rows[0])
    np.testing.assert_allclose(curve.counts[115], 8 * rows[1847])
    trigger = int(np.argmin(np.abs(start)))
    assert trigger == 116 + 32
    np.testing.assert_array_equal(curve.counts[trigger : trigger + 3000], rows[1880:4880])
    assert (width[trigger : trigger + 3000] == 1).all()


def test_batse_count_that_is_cut_is_a_bad_bin(test_data: Path) -> None:
    curve = io.read_batse_64ms(batse_file(test_data, 219))
    assert not curve.good[-1]
    assert curve.good[:-1].all()


def write_batse(path: Path, rows: np.ndarray, n_coarse: int) -> Path:
    lines = [" ".join(f"{value:.8E}" for value in row) for row in rows]
    path.write_text(f" trig# npts nlasc 1preb\n 1 {len(rows)} {n_coarse} 0\n" + "\n".join(lines))
    return path


def test_batse_rows_without_counts_are_a_gap(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).poisson(100, (300, 4)).astype(float)
    rows[100:150] = 0.0
    curve = io.read_batse_64ms(write_batse(tmp_path / "cat64ms.1", rows, 0))
    assert (~curve.good).sum() == 50
    assert not curve.good[100:150].any()


def test_batse_gap_among_coarse_rows_keeps_their_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    fine = rng.poisson(100, (200, 4)).astype(float)
    coarse = np.repeat(rng.poisson(1600, (20, 4)) / 16, 16, axis=0)
    coarse[64:96] = 0.0
    rows = np.concatenate([coarse[:160], fine, coarse])
    curve = io.read_batse_64ms(write_batse(tmp_path / "cat64ms.1", rows, 160))
    assert curve.n_time == 10 + 200 + 20
    assert np.flatnonzero(~curve.good).tolist() == [4, 5, 214, 215]
    np.testing.assert_allclose(curve.counts[210], 16 * coarse[0])


def test_batse_file_cut_short_says_so(tmp_path: Path, test_data: Path) -> None:
    text = batse_file(test_data, 543).read_text()
    path = tmp_path / "cat64ms.00543"
    path.write_text(text[: len(text) // 2])
    with pytest.raises(io.InputFileError, match=r"00543, .*truncated.*expected 7504 rows"):
        io.read_batse_64ms(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "four integers"),
        ("one line", "four integers"),
        ("h\n 1 2 x 0\n1 2 3 4", "four integers"),
        ("h\n 1 33 0 0\n" + "1 2 3 x\n" * 33, "numbers, four a row"),
        ("h\n 1 33 40 0\n" + "1 2 3 4\n" * 33, "nlasc = 40"),
        ("h\n 1 33 0 0\n" + "1 2 3 -4\n" * 33, "counts >= 0"),
        ("h\n 1 33 0 0\n" + "1 2 3 nan\n" * 33, "counts >= 0"),
        ("h\n 1 33 0 0\n" + "1 2 3 4.5\n6 7 8 9\n" * 16 + "1 2 3 4\n", "whole counts"),
    ],
)
def test_batse_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cat64ms.bad"
    path.write_text(text)
    with pytest.raises(io.InputFileError, match=message) as caught:
        io.read_batse_64ms(path)
    assert caught.value.path == path


def test_batse_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cat64ms.bin"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(io.InputFileError, match="not ASCII"):
        io.read_batse_64ms(path)


def test_missing_files_stay_missing_files(tmp_path: Path) -> None:
    for reader in (io.read_batse_64ms, io.read_gbm_tte, io.read_batse_basic):
        with pytest.raises(FileNotFoundError):
            reader(tmp_path / "none")


def test_batse_tables(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "grb" / "batse"
    durations = io.read_batse_durations(folder / "duration_table.txt")
    row = durations[durations["trigger"] == 249][0]
    assert (row["t50"], row["t90"], row["t90_start"]) == (6.656, 28.544, 11.712)
    basic = io.read_batse_basic(folder / "basic_table.txt")
    row = basic[basic["trigger"] == 543][0]
    assert (row["name"], row["ra"], row["error_radius"]) == ("4B 910717-", 249.84, 1.01)
    # GRB 910503, TJD 8379, 25452.6514 s.
    assert io.trigger_time(basic, 143).utc.iso == "1991-05-03 07:04:12.651"
    with pytest.raises(KeyError, match="trigger 1 "):
        io.trigger_time(basic, 1)
    bad = tmp_path / "t.txt"
    bad.write_text("  105  1.0 2.0\n")
    with pytest.raises(io.InputFileError, match="line 1"):
        io.read_batse_durations(bad)


def test_tte_events_are_those_of_the_file(test_data: Path) -> None:
    path = gbm_file(test_data, TTE)
    events = io.read_gbm_tte(path)
    with fits.open(path) as hdus:
        times = np.sort(hdus["EVENTS"].data["TIME"]) - hdus[0].header["TRIGTIME"]
        channels = np.bincount(hdus["EVENTS"].data["PHA"], minlength=128)
    np.testing.assert_allclose(events.time.to_value(u.s), times, atol=1e-6)
    np.testing.assert_array_equal(np.bincount(events.channel, minlength=128), channels)
    assert events.energy.shape == (128, 2)
    # Published trigger of GRB 080916C: 2008-09-16 00:12:45.6135 UT (Abdo et al. 2009).
    assert events.reference.utc.iso == "2008-09-16 00:12:45.614"


def test_truncated_tte_names_file_and_fault(test_data: Path, tmp_path: Path) -> None:
    packed = gbm_file(test_data, TTE).read_bytes()
    plain = gzip.decompress(packed)
    for name, content in (
        ("cut.fit.gz", packed[: len(packed) // 2]),
        ("cut.fit", plain[: len(plain) // 2]),
        ("empty.fit", b""),
        ("text.fit", b"no FITS at all" * 300),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(io.InputFileError, match=name.replace(".", r"\.")):
            io.read_gbm_tte(path)


def test_wrong_kind_of_fits_names_the_extension(test_data: Path, tmp_path: Path) -> None:
    with pytest.raises(io.InputFileError, match="expected an extension EVENTS"):
        io.read_gbm_tte(gbm_file(test_data, CSPEC))
    with pytest.raises(io.InputFileError, match="expected an extension EVNTRATE"):
        io.read_gbm_trigdat(gbm_file(test_data, CSPEC), [3])
    with fits.open(gbm_file(test_data, CSPEC)) as hdus:
        del hdus[0].header["TRIGTIME"]
        hdus.writeto(tmp_path / "no_time.pha")
    with pytest.raises(io.InputFileError, match="PRIMARY: no TRIGTIME"):
        io.read_gbm_cspec(tmp_path / "no_time.pha")


def test_cspec_counts_and_quality(test_data: Path) -> None:
    path = gbm_file(test_data, CSPEC)
    curve = io.read_gbm_cspec(path)
    with fits.open(path) as hdus:
        raw = hdus["SPECTRUM"].data
        assert curve.counts.sum() == raw["COUNTS"].sum(dtype=float)
        assert (~curve.good).sum() == (raw["QUALITY"] != 0).sum() == 2
        np.testing.assert_allclose(curve.exposure_s(), raw["EXPOSURE"])


def test_trigdat_agrees_with_the_spectra_of_the_same_detector(test_data: Path) -> None:
    cspec = io.read_gbm_cspec(gbm_file(test_data, CSPEC))
    trigdat = io.read_gbm_trigdat(gbm_file(test_data, TRIGDAT), [3])
    rates = []
    for curve in (cspec, trigdat):
        start, stop = curve.edges_s()
        quiet = (start > -110) & (stop < -20)
        bands = [select_band(curve, low, high) for low, high in trigdat.energy[1:7]]
        rates.append([band.total[quiet].sum() / (stop - start)[quiet].sum() for band in bands])
    # 8 %: the 128 channels have no edges at just these energies. Read along
    # TDIM, the axes scrambled, the rates are those of other detectors and channels, off by far.
    np.testing.assert_allclose(rates[1], rates[0], rtol=0.08)


def test_trigdat_bins_never_overlap(test_data: Path) -> None:
    curve = io.read_gbm_trigdat(gbm_file(test_data, TRIGDAT), [3, 4])
    start, stop = curve.edges_s()
    assert (stop[:-1] - start[1:]).max() < 1e-3
    assert (stop - start).min() == pytest.approx(0.064, rel=1e-3)
    with pytest.raises(ValueError, match="0 to 13"):
        io.read_gbm_trigdat(gbm_file(test_data, TRIGDAT), [14])
