"""Provenance that products carry inside."""

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from provmanager.errors import DocumentError, UnrecognisedFormatError
from provmanager.formats import extract, read
from provmanager.model import Status

PRODUCT = "7d127b8a-7001-4359-81cb-cee9b7c1292b"
ACTIVITY = "9ef37007-86fe-4eaf-bc07-b87a47e178a4"
ROOT = {"CTA PRODUCT ID": PRODUCT, "CTA ACTIVITY ID": ACTIVITY, "CTA PROCESS ID": 4}


def record(number: int) -> dict[str, object]:
    return {
        "activity_name": f"stage {number}",
        "activity_uuid": f"00000000-0000-4000-8000-{number:012}",
        "status": "running",
        "start": {"time_utc": "2026-11-21T01:19:42.187"},
        "stop": {},
        "system": {"ctapipe_version": "0.19.3"},
        "input": [],
        "output": [],
    }


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return tmp_path / "product"


def write_hdf5(path: Path, stages: dict[str, object], attributes: dict[str, object]) -> None:
    with h5py.File(path, "w") as file:
        for name, value in stages.items():
            file.create_dataset(name, data=value)
        file.attrs.update(attributes)


def test_records_of_all_stages_become_one_array(product):
    """As lstchain/io/provenance.py writes them, one dataset a stage."""
    stages = {f"provenance/{n}": json.dumps(record(n)) for n in (1, 2)}
    write_hdf5(product, stages, {})
    data = extract(product)
    assert data is not None
    assert json.loads(data) == [record(1), record(2)]
    document = read(data)
    assert [a.status for a in document.activities] == [Status.RUNNING] * 2
    assert {note.code for note in document.notes} == {"running-record"}


def test_records_in_groups_arrays_and_padded_strings_are_found(product):
    text = json.dumps(record(1)).encode()
    write_hdf5(
        product,
        {
            "provenance/dl1/first": np.array([text, json.dumps(record(2)).encode()]),
            "provenance/second": np.bytes_(json.dumps(record(3)).encode() + b"\0\0"),
            "provenance/number": 5,
        },
        {},
    )
    data = extract(product)
    assert data is not None
    assert [r["activity_name"] for r in json.loads(data)] == ["stage 1", "stage 2", "stage 3"]


def test_records_go_before_the_keys_of_the_root(product):
    write_hdf5(product, {"provenance/dl2": json.dumps(record(1))}, ROOT)
    data = extract(product)
    assert data is not None
    assert read(data).format == "ctapipe"


def test_keys_of_the_root_become_one_object(product):
    """PyTables stores text as bytes and an empty string as an empty dataspace."""
    attributes = {k: np.bytes_(v) if isinstance(v, str) else v for k, v in ROOT.items()}
    empty = {"CTA PROCESS SUBTYPE": h5py.Empty("S1"), "TITLE": np.bytes_(b"not ours")}
    write_hdf5(product, {"dl1/x": [1, 2]}, attributes | empty)
    data = extract(product)
    assert data is not None
    assert json.loads(data) == ROOT | {"CTA PROCESS SUBTYPE": ""}
    [entity] = read(data, name="g1.dl1.h5").entities
    assert entity.product_ids == (f"urn:uuid:{PRODUCT}",)


def test_an_hdf5_file_without_provenance_is_refused(product):
    write_hdf5(product, {"dl1/x": [1, 2]}, {})
    with pytest.raises(UnrecognisedFormatError) as caught:
        extract(product)
    assert "an HDF5 file without provenance" in caught.value.message
    assert caught.value.details["expected"] == "/provenance/<stage> or CTA PRODUCT ID"


def test_a_provenance_dataset_is_no_group(product):
    write_hdf5(product, {"provenance": [1]}, {})
    with pytest.raises(UnrecognisedFormatError):
        extract(product)


def test_an_hdf5_file_that_is_cut_off_is_refused(product):
    """A tool that was killed leaves 96 bytes."""
    write_hdf5(product, {"provenance/dl2": json.dumps(record(1))}, {})
    product.write_bytes(product.read_bytes()[:96])
    with pytest.raises(DocumentError, match="perhaps cut off"):
        extract(product)


def test_without_h5py_the_way_out_is_named(product, monkeypatch):
    write_hdf5(product, {}, ROOT)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UnrecognisedFormatError, match=r"pip install 'provmanager\[files\]'"):
        extract(product)


def fits_file(path: Path, *, in_extension: bool) -> None:
    """Write a file with CTAO's keywords by astropy, long values as it continues them."""
    described = fits.Header(
        [
            ("CTAOMETA", "2.1.0"),
            ("DATAID", PRODUCT),
            ("ACTID", ACTIVITY),
            ("ACTCONF", "https://example.org/" + "x" * 120),
            ("HIERARCH CTAO ACTIVITY INPUTS 0 URI", "lfn:/vo/a.h5"),
        ]
    )
    image = fits.PrimaryHDU(np.zeros((100, 37), dtype=np.float64))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.zeros(777))])
    (table if in_extension else image).header.update(described)
    fits.HDUList([image, fits.ImageHDU(np.ones(5)), table]).writeto(path)


@pytest.mark.parametrize("in_extension", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_header_with_the_metadata_is_taken_out(product, in_extension, compressed):
    fits_file(product, in_extension=in_extension)
    whole = product.read_bytes()
    if compressed:
        product.write_bytes(gzip.compress(whole))
    header = extract(product)
    assert header is not None
    assert header in whole
    assert len(header) % 2880 == 0
    assert len(header) < len(whole) / 2
    for data in (header, whole):
        document = read(data)
        assert document.entities[0].product_ids == (f"urn:uuid:{PRODUCT}",)
        assert document.entities[1].locations == ("lfn:/vo/a.h5",)
        assert document.activities[0].configuration == {
            "configuration_id": "https://example.org/" + "x" * 120
        }


def test_a_fits_file_without_metadata_is_refused(product):
    fits.PrimaryHDU(np.zeros(5)).writeto(product)
    with pytest.raises(UnrecognisedFormatError, match="a FITS file without CTAO product metadata"):
        extract(product)


def test_a_broken_gzip_file_is_refused(product):
    fits_file(product, in_extension=True)
    product.write_bytes(gzip.compress(product.read_bytes())[:200])
    with pytest.raises(DocumentError):
        extract(product)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"a": 1}', b"plain text", b"\x89PNG\r\n", gzip.compress(b"[]")]
)
def test_any_other_file_is_the_document_itself(product, data):
    product.write_bytes(data)
    assert extract(product) is None


def test_a_file_that_is_not_there_is_an_os_error(product):
    with pytest.raises(FileNotFoundError):
        extract(product)


def test_a_real_dl1_file_of_ctapipe(test_data):
    path = test_data / "calibration/upstream-outputs/products/lst_muons.dl1.h5"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with h5py.File(path) as file:
        expected = file.attrs["CTA PRODUCT ID"].decode()
    data = extract(path)
    assert data is not None
    [entity] = read(data, name=path.name).entities
    assert entity.product_ids == (f"urn:uuid:{expected}",)
    assert entity.name == "lst_muons.dl1.h5"
