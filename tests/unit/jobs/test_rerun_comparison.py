"""Products that were made again: same bytes, same values, or what differs."""

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from jobs.rerun import compare_files


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_fits(path: Path, *, rate: float = 3.0, date: str = "2026-01-01", **cards) -> None:
    header = fits.Header({"CARD": "QT90_ECL", "DATE": date, "ACTID": date} | cards)
    columns = [
        fits.Column("TIME", "D", unit="s", array=np.array([0.0, 1.0, np.nan])),
        fits.Column("RATE", "E", array=np.array([1.0, 2.0, rate], np.float32)),
        fits.Column("NAME", "5A", array=np.array(["a", "b", "c"])),
        fits.Column("BLOCKS", "PD()", array=np.array([[1.0], [1.0, rate], []], dtype=object)),
    ]
    fits.HDUList(
        [fits.PrimaryHDU(header=header), fits.BinTableHDU.from_columns(columns, name="LC")]
    ).writeto(path, checksum=True, overwrite=True)


def write_hdf5(path: Path, *, rate: float = 3.0, date: str = "2026-01-01") -> None:
    with h5py.File(path, "w") as file:
        file.attrs["CTA PRODUCT CREATION TIME"] = date
        file.create_dataset("a/rate", data=np.array([1.0, np.nan, rate]))
        file.create_dataset("a/t", data=np.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")]))


def write_ecsv(path: Path, *, rate: float = 3.0, date: str = "2026-01-01") -> None:
    table = Table({"rate": [1.0, rate]}, meta={"DATE": date})
    table.write(path, format="ascii.ecsv", overwrite=True)


def write_json(path: Path, *, rate: float = 3.0, date: str = "2026-01-01") -> None:
    path.write_text(json.dumps({"rates": [1, rate], "DATE": date}))


WRITERS = {".fits": write_fits, ".h5": write_hdf5, ".ecsv": write_ecsv, ".json": write_json}


@pytest.fixture(params=WRITERS)
def ending(request) -> str:
    return request.param


@pytest.fixture
def pair(tmp_path, ending) -> tuple[Path, Path]:
    before, after = tmp_path / f"before{ending}", tmp_path / f"after{ending}"
    WRITERS[ending](before)
    return before, after


def test_the_same_bytes_need_not_be_read(pair):
    before, after = pair
    after.write_bytes(before.read_bytes())
    assert compare_files(None, after, sha256=sha256(before)).outcome == "same-bytes"
    assert compare_files(before, after, sha256=None).outcome == "same-bytes"


def test_when_it_was_made_is_no_difference(pair, ending):
    before, after = pair
    WRITERS[ending](after, date="2027-12-31")
    found = compare_files(before, after, sha256=sha256(before))
    assert found.outcome == "same-values"
    assert "differ, as in every run" in found.message


def test_a_value_that_changed_is_named(pair, ending):
    before, after = pair
    WRITERS[ending](after, rate=3.001)
    found = compare_files(before, after, sha256=sha256(before))
    assert found.outcome == "differs"
    assert "rate" in found.message.lower()
    assert compare_files(before, after, sha256=None, rtol=1e-2).outcome == "same-values"


def test_without_the_former_file_only_bytes_can_be_compared(pair, ending):
    before, after = pair
    WRITERS[ending](after, date="2027-12-31")
    recorded = sha256(before)
    assert compare_files(None, after, sha256=recorded).outcome == "unknown"
    before.write_bytes(b"changed since")
    found = compare_files(before, after, sha256=recorded)
    assert found.outcome == "unknown"
    assert "not the recorded one any more" in found.message


def test_what_cannot_be_read_differs(pair, ending):
    before, after = pair
    after.write_bytes(before.read_bytes()[: before.stat().st_size // 2])
    found = compare_files(before, after, sha256=None)
    assert found.outcome == "differs"
    assert "cannot be read" in found.message


def test_keywords_rows_and_kinds_count(tmp_path):
    before, after = tmp_path / "a.fits", tmp_path / "b.fits"
    write_fits(before)
    write_fits(after, CARD="QT90_GRM")
    assert "CARD: QT90_ECL → QT90_GRM" in compare_files(before, after, sha256=None).message
    one, two = tmp_path / "a.json", tmp_path / "b.json"
    for former, now in (([1], [1, 2]), ({"a": 1}, {"a": "1"}), ({"a": True}, {"a": 1}), ([], {})):
        one.write_text(json.dumps({"x": former}))
        two.write_text(json.dumps({"x": now}))
        expected = "same-values" if (former, now) == ([], {}) else "differs"
        if expected == "differs":
            assert compare_files(one, two, sha256=None).outcome == expected, (former, now)
    for former, now, is_same in (([7], [7.0], True), ([10**15], [10**15 + 1], False)):
        one.write_text(json.dumps({"x": former}))
        two.write_text(json.dumps({"x": now}))
        assert (compare_files(one, two, sha256=None).outcome == "same-values") is is_same
    binary, other = tmp_path / "a.bin", tmp_path / "b.bin"
    binary.write_bytes(b"1")
    other.write_bytes(b"2")
    assert "are not compared" in compare_files(binary, other, sha256=None).message


def test_units_and_masks_of_tables_count(tmp_path):
    before, after = tmp_path / "a.ecsv", tmp_path / "b.ecsv"
    for unit, mask, where in (("km", [False, False], "rate@unit"), ("m", [False, True], "mask")):
        for path, its_unit, its_mask in ((before, "m", [False, False]), (after, unit, mask)):
            table = Table({"rate": MaskedColumn([1.0, 2.0], unit=its_unit, mask=its_mask)})
            table["other"] = MaskedColumn([1, 2], mask=[True, False])
            table.write(path, format="ascii.ecsv", overwrite=True)
        found = compare_files(before, after, sha256=None)
        assert found.outcome == "differs"
        assert where in found.message or "rate" in found.message


def test_a_real_product_of_ctapipe_is_compared_by_its_values(test_data, tmp_path):
    """DL1 of ctapipe: PyTables, compressed with blosc, as the chain of the demo makes it."""
    former = test_data / "calibration" / "upstream-outputs" / "products" / "lst_muons.dl1.h5"
    if not former.is_file():
        pytest.skip(f"there is no {former}")
    pytest.importorskip("hdf5plugin", reason="blosc needs hdf5plugin")
    now = tmp_path / "again.h5"
    shutil.copy(former, now)
    now.chmod(0o644)
    with h5py.File(now, "r+") as file:
        file.attrs["CTA PRODUCT CREATION TIME"] = "2027-01-01 00:00:00"
        file.attrs["CTA ACTIVITY ID"] = "another"
    found = compare_files(former, now, sha256=sha256(former))
    assert found.outcome == "same-values", found
    assert "CTA PRODUCT CREATION TIME differ, as in every run" in found.message.replace("@", "")
    table = "dl1/event/telescope/muon/tel_001"
    with h5py.File(now, "r+") as file:
        events = file[table][()]
        events["muonring_radius"][3] *= 1 + 1e-12
        file[table][...] = events
    assert compare_files(former, now, sha256=None).outcome == "same-values"
    with h5py.File(now, "r+") as file:
        events["muonring_radius"][3] *= 1.01
        file[table][...] = events
    found = compare_files(former, now, sha256=None)
    assert (found.outcome, "muonring_radius" in found.message) == ("differs", True)
    assert compare_files(former, now, sha256=None, rtol=0.1).outcome == "same-values"


def test_a_real_table_of_an_atmosphere_is_compared_by_its_values(test_data, tmp_path):
    """Column density profiles of calibpipe, in ECSV with units."""
    products = test_data / "calibration" / "upstream-outputs" / "products"
    former = products / "contemporary_atmospheric_profile.ascii.ecsv"
    if not former.is_file():
        pytest.skip(f"there is no {former}")
    table = Table.read(former, format="ascii.ecsv")
    now = tmp_path / "again.ecsv"
    name = table.colnames[1]
    for factor, outcome in ((1 + 1e-13, "same-values"), (1 + 1e-6, "differs")):
        table[name][2] *= factor
        table.meta["DATE"] = "2027-01-01"
        table.write(now, format="ascii.ecsv", overwrite=True)
        found = compare_files(former, now, sha256=sha256(former))
        assert found.outcome == outcome, found
    assert name in found.message
