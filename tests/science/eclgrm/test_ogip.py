"""OGIP files: real GBM files against their raw columns, round trips, and damaged files."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.ogip import (
    OgipError,
    read_effective_area,
    read_response,
    read_responses,
    read_spectra,
    read_spectrum,
)
from analysis.eclgrm.ogip_write import write_response, write_spectrum
from analysis.eclgrm.response import Response
from analysis.eclgrm.spectrum import make_spectrum


@pytest.fixture(scope="module")
def grb(test_data: Path) -> Path:
    folder = test_data / "grb"
    if not folder.is_dir():
        pytest.skip(f"no gamma-ray burst data at {folder}")
    return folder


def response(matrix: np.ndarray, first: int = 0) -> Response:
    n_true, n_channels = matrix.shape
    edges = np.geomspace(5, 500, n_channels + 1)
    return Response(
        "test",
        np.geomspace(4, 1000, n_true + 1),
        first + np.arange(n_channels),
        edges[:-1],
        edges[1:],
        matrix,
    )


def test_a_gbm_response_equals_its_raw_columns(grb: Path) -> None:
    path = grb / "gbm_bn090217206" / "bn090217206_n6_weightedrsp.rsp"
    found = read_response(path)
    with fits.open(path) as hdus:
        raw = hdus["SPECRESP MATRIX"].data
        assert np.array_equal(found.matrix_cm2, np.stack(raw["MATRIX"]).astype(float))
        assert found.energy_true_edges_kev[0] == raw["ENERG_LO"][0]
        assert np.array_equal(found.energy_true_edges_kev[1:], raw["ENERG_HI"].astype(float))
        assert np.array_equal(found.channel_low_kev, hdus["EBOUNDS"].data["E_MIN"].astype(float))
    assert found.matrix_cm2.shape == (140, 128)
    assert found.channels[0] == 1
    # A NaI crystal of 126 cm2 seen at an angle: a hundred cm2 around 100 keV.
    assert 50 < found.effective_area_cm2.max() < 150


def test_an_rsp2_gives_all_its_matrices_with_their_times(grb: Path) -> None:
    path = grb / "gbm_bn080916009" / "glg_cspec_n3_bn080916009_v00.rsp2"
    found = read_responses(path)
    assert len(found) == 3
    # TSTART 243216755.8614 and TSTOP 243216814.2301 less TRIGTIME 243216766.613542.
    assert found[0].start_s == pytest.approx(-10.752142, abs=1e-6)
    assert found[0].stop_s == pytest.approx(47.616558, abs=1e-6)
    assert found[1].start_s == found[0].stop_s
    with fits.open(path) as hdus:
        for one, hdu in zip(found, hdus[2:], strict=True):
            assert one.matrix_cm2.sum() == pytest.approx(
                sum(row.astype(float).sum() for row in hdu.data["MATRIX"]), rel=1e-12
            )
    with pytest.raises(OgipError, match="3 matrices where one was expected"):
        read_response(path)


def test_gbm_source_and_background_equal_their_raw_columns(grb: Path) -> None:
    folder = grb / "gbm_bn090217206"
    source = read_spectrum(folder / "bn090217206_b1_srcspectra.pha")
    with fits.open(folder / "bn090217206_b1_srcspectra.pha") as hdus:
        row = hdus["SPECTRUM"].data[0]
        assert np.array_equal(source.counts, row["COUNTS"].astype(float))
        assert source.exposure_s == row["EXPOSURE"]
    assert source.counts.sum() == 38026
    assert source.counts_error is None
    assert source.background_file.endswith("bn090217206_b1_bkgspectra.bak{1}")
    assert (source.start_s, source.stop_s) == pytest.approx((0.0, 20.0), abs=0.01)
    background = read_spectrum(folder / "bn090217206_b1_bkgspectra.bak")
    with fits.open(folder / "bn090217206_b1_bkgspectra.bak") as hdus:
        row = hdus["SPECTRUM"].data[0]
        assert background.counts == pytest.approx(row["RATE"] * 20.0, rel=1e-12)
        assert background.counts_error == pytest.approx(row["STAT_ERR"] * 20.0, rel=1e-12)
    assert background.systematic == pytest.approx(0.03)
    assert (source.channels[0], background.channels[0]) == (1, 0)


def test_a_cspec_file_of_type_ii_gives_a_spectrum_a_row(grb: Path) -> None:
    path = grb / "gbm_bn080916009" / "glg_cspec_n3_bn080916009_v01.pha"
    found = read_spectra(path)
    assert len(found) == 1859
    with fits.open(path) as hdus:
        data = hdus["SPECTRUM"].data
        assert sum(one.counts.sum() for one in found) == data["COUNTS"].astype(float).sum()
        assert sum(int(one.quality[0]) for one in found) == int(data["QUALITY"].sum())
        assert found[700].exposure_s == pytest.approx(float(data["EXPOSURE"][700]))
        start = float(data["TIME"][700]) - hdus["SPECTRUM"].header["TRIGTIME"]
    assert found[700].start_s == pytest.approx(start)
    with pytest.raises(OgipError, match="1859 spectra where one was expected"):
        read_spectrum(path)


@given(
    st.lists(
        st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), min_size=6, max_size=6),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 1),
)
@settings(max_examples=40)
def test_a_response_survives_writing_with_any_holes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]], first: int
) -> None:
    path = tmp_path_factory.mktemp("rsp") / "a.rsp"
    before = response(np.array(rows), first)
    write_response(before, path)
    after = read_response(path)
    assert np.array_equal(after.channels, before.channels)
    # The format is single precision: half a unit in the last place is 6e-8.
    assert after.matrix_cm2 == pytest.approx(before.matrix_cm2, rel=6e-8)
    assert np.array_equal(after.matrix_cm2 == 0, before.matrix_cm2 == 0)
    assert after.energy_true_edges_kev == pytest.approx(before.energy_true_edges_kev, rel=6e-8)
    assert after.channel_high_kev == pytest.approx(before.channel_high_kev, rel=6e-8)


def test_a_real_response_survives_writing(grb: Path, tmp_path: Path) -> None:
    before = read_response(grb / "gbm_bn090217206" / "bn090217206_b1_weightedrsp.rsp")
    write_response(before, tmp_path / "b1.rsp", header={"TELESCOP": "GLAST", "INSTRUME": "GBM"})
    after = read_response(tmp_path / "b1.rsp")
    assert np.array_equal(after.matrix_cm2, before.matrix_cm2)  # it is single precision already
    with fits.open(tmp_path / "b1.rsp", checksum=True) as hdus:
        assert hdus["SPECRESP MATRIX"].header["INSTRUME"] == "GBM"
        assert hdus["SPECRESP MATRIX"].header["HDUCLAS2"] == "RSP_MATRIX"


def test_eleven_channels_are_one_spectrum_and_eleven_columns_are_many(tmp_path: Path) -> None:
    write_spectrum(make_spectrum(np.arange(11.0), 1 * u.s), tmp_path / "one.pha")
    assert read_spectrum(tmp_path / "one.pha").counts.tolist() == list(range(11))
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("COUNTS", "11J", array=np.arange(22).reshape(2, 11)),
            fits.Column("EXPOSURE", "E", array=[1.0, 2.0]),
        ],
        name="SPECTRUM",
    )
    hdu.header["POISSERR"] = True
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "two.pha")
    found = read_spectra(tmp_path / "two.pha")
    assert [one.counts.sum() for one in found] == [55, 176]
    assert [one.exposure_s for one in found] == [1, 2]


@pytest.mark.parametrize("errors", [None, np.array([1.5, 0.5, 2.0])])
def test_a_spectrum_survives_writing(tmp_path: Path, errors: np.ndarray | None) -> None:
    before = make_spectrum(
        np.array([3.0, 0.0, 7.0]),
        12.5 * u.s,
        counts_error=errors,
        first_channel=1,
        channel_edges=np.array([8.0, 16.0, 32.0, 64.0]) * u.keV,
    )
    write_spectrum(before, tmp_path / "a.pha")
    after = read_spectrum(tmp_path / "a.pha")
    assert after.counts == pytest.approx(before.counts, rel=1e-15)
    assert after.exposure_s == 12.5
    assert np.array_equal(after.channels, [1, 2, 3])
    assert np.array_equal(after.channel_low_kev, [8, 16, 32])
    if errors is None:
        assert after.counts_error is None
    else:
        assert after.counts_error == pytest.approx(errors, rel=1e-15)


def test_compressed_groups_with_several_gaps_and_units_in_mev(tmp_path: Path) -> None:
    # Fixed-length columns, two groups, numbered from 0 as TLMIN says, energies in MeV.
    matrix = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "E", unit="MeV", array=[0.01, 0.02]),
            fits.Column("ENERG_HI", "E", unit="MeV", array=[0.02, 0.04]),
            fits.Column("N_GRP", "I", array=[2, 0]),
            fits.Column("F_CHAN", "2I", array=[[0, 3], [0, 0]]),
            fits.Column("N_CHAN", "2I", array=[[2, 1], [0, 0]]),
            fits.Column("MATRIX", "3E", array=[[1.0, 2.0, 3.0], [0, 0, 0]]),
        ],
        name="MATRIX",
    )
    matrix.header["TLMIN4"] = 0
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(4)),
            fits.Column("E_MIN", "E", array=[10.0, 20, 30, 40]),
            fits.Column("E_MAX", "E", array=[20.0, 30, 40, 50]),
        ],
        name="EBOUNDS",
    )
    fits.HDUList([fits.PrimaryHDU(), matrix, bounds]).writeto(tmp_path / "a.rmf")
    found = read_response(tmp_path / "a.rmf")
    assert found.matrix_cm2.tolist() == [[1, 2, 0, 3], [0, 0, 0, 0]]
    assert found.energy_true_edges_kev == pytest.approx([10, 20, 40])


def test_an_effective_area_file(tmp_path: Path) -> None:
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "E", unit="keV", array=[10.0, 20.0]),
            fits.Column("ENERG_HI", "E", unit="keV", array=[20.0, 40.0]),
            fits.Column("SPECRESP", "E", unit="cm**2", array=[100.0, 50.0]),
        ],
        name="SPECRESP",
    )
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.arf")
    edges, area = read_effective_area(tmp_path / "a.arf")
    assert edges.to_value(u.keV).tolist() == [10, 20, 40]
    assert area.to_value(u.cm**2).tolist() == [100, 50]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "whole.rsp"
    write_response(response(np.ones((40, 60))), path)
    cut = tmp_path / "cut.rsp"
    data = path.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    return cut


def test_damaged_and_missing_files_are_named(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(OgipError, match=r"cut\.rsp"):
        read_responses(damaged)
    with pytest.raises(OgipError, match=r"none\.rsp: there is no such file"):
        read_responses(tmp_path / "none.rsp")
    text = tmp_path / "text.pha"
    text.write_text("not FITS")
    with pytest.raises(OgipError, match=r"text\.pha: damaged or not a FITS file"):
        read_spectra(text)


def test_a_file_of_the_wrong_kind_says_what_it_has(grb: Path) -> None:
    folder = grb / "gbm_bn090217206"
    with pytest.raises(OgipError, match=r"no response matrix; expected .* found PRIMARY, SPECTRUM"):
        read_responses(folder / "bn090217206_n6_bkgspectra.bak")
    with pytest.raises(OgipError, match=r"0 extensions SPECTRUM, expected one; found PRIMARY, EBO"):
        read_spectra(folder / "bn090217206_n6_weightedrsp.rsp")


def edited(path: Path, extension: str, edit: dict[str, object]) -> Path:
    with fits.open(path) as hdus:
        for key, value in edit.items():
            hdus[extension].header[key] = value
        out = path.with_name(f"edited_{path.name}")
        hdus.writeto(out)
    return out


def test_contradictions_inside_a_file_are_named(tmp_path: Path) -> None:
    rsp, pha = tmp_path / "a.rsp", tmp_path / "a.pha"
    write_response(response(np.ones((2, 3))), rsp)
    write_spectrum(make_spectrum(np.ones(3), 1 * u.s), pha)
    with pytest.raises(OgipError, match=r"SPECRESP MATRIX,1\]: DETCHANS is 7, EBOUNDS has 3"):
        read_response(edited(rsp, "SPECRESP MATRIX", {"DETCHANS": 7}))
    with pytest.raises(OgipError, match=r"SPECTRUM\]: EXPOSURE is 0"):
        read_spectrum(edited(pha, "SPECTRUM", {"EXPOSURE": 0.0}))
    pha.with_name("edited_a.pha").unlink()
    with pytest.raises(OgipError, match="3 channels, expected DETCHANS = 5"):
        read_spectrum(edited(pha, "SPECTRUM", {"DETCHANS": 5}))
    pha.with_name("edited_a.pha").unlink()
    with pytest.raises(OgipError, match=r"neither Poisson counts .* nor a column STAT_ERR"):
        read_spectrum(edited(pha, "SPECTRUM", {"POISSERR": False}))
    rsp.with_name("edited_a.rsp").unlink()
    with pytest.raises(OgipError, match=r"fills channels 0 to 2 .* expected channels 1 to 3"):
        read_response(edited(rsp, "SPECRESP MATRIX", {"TLMIN4": 1}))
    rsp.with_name("edited_a.rsp").unlink()
    with pytest.raises(OgipError, match="unit 's' of ENERG_LO, expected one of energy"):
        read_response(edited(rsp, "SPECRESP MATRIX", {"TUNIT1": "s"}))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    before = make_spectrum(np.ones(3), 1 * u.s)
    with pytest.raises(ValueError, match="Illegal value"):
        write_spectrum(before, tmp_path / "a.pha", header={"BAD": object()})
    assert list(tmp_path.iterdir()) == []
