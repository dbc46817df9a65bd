"""Where a file differs: exactly by a copy or its size, to the HDU by its own checksums."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provmanager.client.byte_ranges import tell_where


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    path = tmp_path / "product.fits"
    image = fits.PrimaryHDU(np.arange(2000, dtype="i2").reshape(40, 50))
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.ones(100))], name="T")
    fits.HDUList([image, table]).writeto(path, checksum=True)
    return path


def test_a_copy_tells_the_very_bytes(product, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(product.read_bytes())
    recorded = sha256(product)
    for place in (7, 5000, 5001, 9000):
        flip(product, place)

    def told() -> str:
        return tell_where(product, sha256=recorded, size_bytes=None, copies=[product, copy])

    assert told() == f"byte 7, bytes 5000 to 5001, byte 9000 (against the copy {copy})"
    product.write_bytes(product.read_bytes()[:-10])
    end = copy.stat().st_size
    assert f"bytes {end - 10} to {end - 1} " in told()


def test_the_size_tells_what_was_added_or_is_missing(product):
    recorded, size = sha256(product), product.stat().st_size
    data = product.read_bytes()
    product.write_bytes(data + b"more")
    told = tell_where(product, sha256=recorded, size_bytes=size)
    assert told == f"bytes {size} to {size + 3} were added"
    flip(product, 4)
    assert "others before them" in tell_where(product, sha256=recorded, size_bytes=size)
    product.write_bytes(data[:100])
    told = tell_where(product, sha256=recorded, size_bytes=size)
    assert told == f"the file ends at byte 100: bytes 100 to {size - 1} are missing"


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (2000, "bytes 0 to 2879 (header of HDU 0)"),
        (2880, "bytes 2880 to 8639 (data of HDU 0)"),
        (8640 + 2880 + 5, "bytes 11520 to 14399 (data of HDU 1)"),
    ],
)
def test_a_fits_file_says_itself_which_part_was_changed(product, place, where):
    recorded, size = sha256(product), product.stat().st_size
    flip(product, place)
    told = tell_where(product, sha256=recorded, size_bytes=size)
    assert told == f"its FITS checksums fail in {where}"


def test_nothing_is_told_where_nothing_tells(tmp_path):
    path = tmp_path / "text"
    path.write_text("abc")
    assert tell_where(path, sha256="0" * 64, size_bytes=3) == ""
    assert tell_where(path, sha256="0" * 64, size_bytes=None) == ""
