"""Write FITS files whole or not at all, with checksums, the same bytes for the same contents."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from astropy.io import fits

CHECKSUM_COMMENT = "of this HDU"
"""By default astropy writes the time of day here, and no two files are the same."""


def to_bytes(hdus: Sequence[Any]) -> bytes:
    """Return the bytes of a FITS file with CHECKSUM and DATASUM in each HDU.

    Any: HDUs of any kind, the first a primary HDU.
    """
    plain = BytesIO()
    fits.HDUList(list(hdus)).writeto(plain, output_verify="exception")
    # Read back, because columns of variable length take their final form only when written.
    plain.seek(0)
    summed = BytesIO()
    with fits.open(plain, lazy_load_hdus=False) as held:
        for hdu in held:
            hdu.add_checksum(when=CHECKSUM_COMMENT)
        held.writeto(summed, output_verify="exception")
    return summed.getvalue()


def write_bytes(content: bytes, path: Path | str) -> None:
    """Write beside the target and move it there, so that no half file is ever seen.

    Parameters
    ----------
    content : bytes
    path : Path
        An older file there is replaced.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
