"""Products: every one agrees with its card, whole, reproducible, and refused where it is not."""

import hashlib
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from eclgrm_products import CLASS, WHAT, every_product, making
from jsonschema import Draft202012Validator

import schemas
from analysis.eclgrm.cards import card_names, load_card
from analysis.eclgrm.io import InputFileError
from analysis.eclgrm.ogip import OgipError, read_response, read_responses
from analysis.eclgrm.product_io import file_name, read_product, write_product
from analysis.eclgrm.products import Product, from_mission_time, mission_time

BLOCK = 2880
POSITIONS = {"QPO_ECL", "QPO_GRM", "QCL_ECL", "QCL_GRM"}


@pytest.fixture(scope="module")
def products() -> dict[str, Product]:
    return {one.card: one for one in every_product()}


def test_every_card_is_as_the_schema_says():
    validator = Draft202012Validator(schemas.load("product-card.v1"))
    wrong = {
        name: [e.message for e in validator.iter_errors(load_card(name))] for name in card_names()
    }
    assert {name: errors for name, errors in wrong.items() if errors} == {}
    assert [name for name in card_names() if load_card(name)["card"] != name] == []


def test_all_cards_have_the_same_common_keywords():
    def common(name: str) -> list[dict]:
        rows = load_card(name)["keywords"]
        return [
            {key: value for key, value in row.items() if key != "ranges"}
            for row in rows[: 1 + [row["name"] for row in rows].index("INH001")]
        ]

    assert [name for name in card_names() if common(name) != common("CRCLASS")] == []


def test_an_unknown_card_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean QT90_GRM"):
        load_card("QT9_GRM")


def test_there_is_a_product_of_every_card(products: dict[str, Product]):
    assert set(card_names()) - POSITIONS == set(products)


def test_every_product_agrees_with_its_card_and_with_fits(
    products: dict[str, Product], tmp_path: Path
):
    for card, product in products.items():
        path = write_product(product, tmp_path, making())
        assert path.name == f"{card}_sb26112101.fits"
        found = read_product(path, card)
        assert (found.card, found.observed.detectors) == (card, WHAT.detectors)
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            assert all(hdu.verify_checksum() == hdu.verify_datasum() == 1 for hdu in hdus), card


def test_header_tells_run_configuration_and_inputs(products: dict[str, Product], tmp_path: Path):
    header = read_product(write_product(products["TT_GRM"], tmp_path, making())).header
    assert header is not None
    assert header["ACTID"] == making().activity_id
    assert header["CFGHASH"] == "ab" * 32
    assert header["INP001"] == "BURST_" + "x" * 80 + ".fits"
    assert (header["INH001"], header["INH002"]) == (f"{1:064x}", "cd" * 32)
    assert (header["MJDREFI"], header["TIMESYS"], header["DSTREAM"]) == (57754, "TT", "VHF")
    assert header["DATE-OBS"].startswith("2026-11-21T09:59:")


def test_two_runs_differ_in_the_primary_header_alone(products: dict[str, Product], tmp_path: Path):
    for product in products.values():
        path = write_product(product, tmp_path, making(1))
        first = path.read_bytes()
        write_product(product, tmp_path, making(2))
        second = path.read_bytes()
        with fits.open(path) as hdus:
            start = hdus[1].fileinfo()["hdrLoc"]
            assert hdus[0].header["DATAHASH"] == hashlib.sha256(second[start:]).hexdigest()
        assert first[:start] != second[:start]
        assert first[start:] == second[start:], product.card


def test_the_same_run_gives_the_same_bytes(products: dict[str, Product], tmp_path: Path):
    for product in products.values():
        first = write_product(product, tmp_path, making()).read_bytes()
        assert write_product(product, tmp_path, making()).read_bytes() == first, product.card


def test_mission_time_starts_with_2017_and_returns():
    assert mission_time(from_mission_time(0.0)) == 0.0
    assert from_mission_time(0.0).utc.isot == "2017-01-01T00:00:00.000"
    assert mission_time(WHAT.reference) == pytest.approx(
        (from_mission_time(mission_time(WHAT.reference)) - from_mission_time(0.0)).to_value(u.s)
    )


def test_numbers_survive_writing(products: dict[str, Product], tmp_path: Path):
    found = read_product(write_product(products["QLC_GRM"], tmp_path, making()))
    rate, error = found.column("QLC", "RATE"), found.column("QLC", "ERROR")
    good, counts = found.column("QLC", "GOOD"), found.column("QLC", "COUNTS").value
    assert rate.unit == u.ct / u.s
    np.testing.assert_array_equal(np.isnan(rate.value).all(axis=1), ~good)
    assert 0 < (~good).sum() < 40
    live = found.column("QLC", "EXPOSURE").value[:, None]
    expected = (counts - found.column("QLC", "BKG").value) / live
    np.testing.assert_allclose(rate.value[good], expected[good])
    # The error is that of the counts and a little more, from the background's fit.
    poisson = np.sqrt(np.maximum(counts, 1)) / live
    assert np.all(error.value[good] > poisson[good])
    assert np.all(error.value[good] < 1.1 * poisson[good])


def test_responses_of_several_detectors_are_joined_by_number(
    products: dict[str, Product], tmp_path: Path
):
    path = write_product(products["RSP_GRM"], tmp_path, making())
    first, second = read_responses(path)
    assert first.channel_low_kev[0] == pytest.approx(15)
    assert second.channel_low_kev[0] == pytest.approx(20)
    with pytest.raises(OgipError, match="2 matrices where one was expected"):
        read_response(path)


def test_several_bounds_that_do_not_belong_are_refused(
    products: dict[str, Product], tmp_path: Path
):
    path = write_product(products["RSP_GRM"], tmp_path, making())
    with fits.open(path) as hdus:
        hdus[4].header["EXTVER"] = 7
        hdus.writeto(tmp_path / "wrong.fits")
    with pytest.raises(OgipError, match="2 extensions EBOUNDS for 2 matrices"):
        read_responses(tmp_path / "wrong.fits")


def test_a_truncated_product_is_refused(tmp_path: Path):
    path = write_product(CLASS, tmp_path, making())
    whole = path.read_bytes()
    for size in (len(whole) - BLOCK, len(whole) - 1, BLOCK + 100, 100, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(InputFileError) as caught:
            read_product(path, "CRCLASS")
        assert str(path) in str(caught.value)
        assert "expected" in str(caught.value)


def test_a_changed_byte_is_found(tmp_path: Path):
    path = write_product(CLASS, tmp_path, making())
    content = bytearray(path.read_bytes())
    content[-BLOCK] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputFileError, match="DATAHASH"):
        read_product(path)


def test_another_card_than_expected_is_refused(tmp_path: Path):
    path = write_product(CLASS, tmp_path, making())
    with pytest.raises(InputFileError, match=r"PRIMARY: CARD 'CRCLASS'; expected the card QT90"):
        read_product(path, "QT90_ECL", "QT90_GRM")


def test_a_file_that_is_no_product_is_refused(tmp_path: Path):
    path = tmp_path / "x.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(InputFileError, match="CARD ''; expected the card a product"):
        read_product(path)


def remade(path: Path, change) -> Path:
    """A product with something changed and a digest that fits again."""
    with fits.open(path) as hdus:
        change(hdus)
        hdus.writeto(path, overwrite=True)
    with fits.open(path) as hdus:
        start = hdus[1].fileinfo()["hdrLoc"]
        primary = hdus[0].header.copy()
    content = path.read_bytes()
    primary["DATAHASH"] = hashlib.sha256(content[start:]).hexdigest()
    path.write_bytes(primary.tostring().encode() + content[start:])
    return path


def _rename(hdus: fits.HDUList) -> None:
    hdus[1].columns["T90"].name = "T9O"


def _unit(hdus: fits.HDUList) -> None:
    hdus[1].columns["T90"].unit = "keV"


def _telescope(hdus: fits.HDUList) -> None:
    hdus[0].header["TELESCOP"] = "HUBBLE"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename, "extension CLASS: columns .*; expected a column T90 "),
        (_unit, "extension CLASS, column T90: the unit 'keV'; expected the unit 's'"),
        (_telescope, "keyword TELESCOP: 'HUBBLE'; expected 'SVOM' or 'FERMI'"),
    ],
)
def test_what_does_not_agree_with_the_card_is_named(tmp_path: Path, change, message: str):
    path = remade(write_product(CLASS, tmp_path, making()), change)
    with pytest.raises(InputFileError, match=message):
        read_product(path)


@pytest.mark.parametrize("burst_id", ["../../etc/x", "a/b", "", ".hidden", "a b"])
def test_a_burst_whose_name_leads_elsewhere_is_refused(tmp_path: Path, burst_id: str):
    wrong = replace(CLASS, observed=replace(WHAT, burst_id=burst_id))
    with pytest.raises(ValueError, match="cannot be part of a file name"):
        write_product(wrong, tmp_path, making())
    assert list(tmp_path.iterdir()) == []


def test_a_product_that_does_not_agree_is_not_written(tmp_path: Path):
    wrong = replace(CLASS, card="TT_GRM")
    with pytest.raises(ValueError, match=r"TT_GRM, file: .* wants an extension TT"):
        write_product(wrong, tmp_path, making())
    assert list(tmp_path.iterdir()) == []
    assert file_name(wrong) == "TT_GRM_sb26112101.fits"
