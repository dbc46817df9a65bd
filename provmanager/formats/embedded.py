"""Provenance inside products: taken out on the node, so that no 2 GB file need be sent.

lstchain stores ctapipe's record of each stage in the HDF5 dataset ``/provenance/<stage>``;
ctapipe's HDF5 files carry the ``CTA …`` keys as attributes of their root; FITS products carry
CTAO's keywords in a header.
"""

import gzip
import json
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DocumentError, UnrecognisedFormatError
from .cta_reference import PRODUCT_ID
from .ctao_keywords import marker_of
from .fits_header import iter_headers, parse_header

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
FITS_SIGNATURE = b"SIMPLE  ="
GZIP_SIGNATURE = b"\x1f\x8b"

_GROUP = "provenance"
_ROOT_PREFIXES = ("CTA ", "CTAO ")


def extract(path: Path) -> bytes | None:
    """Return the provenance that the product at `path` holds, as a document to send.

    An HDF5 file gives the JSON array of its ``/provenance`` datasets, or else the JSON object of
    the CTA keys of its root; a FITS file (also gzip-compressed) gives the header that has the
    product's metadata. Any other file gives None: it is a document itself, to be sent as it is.

    Raises
    ------
    UnrecognisedFormatError
        The product holds no provenance, or it is HDF5 and h5py is not installed.
    DocumentError
        The product cannot be read, because it is cut off, say.
    OSError
        The file cannot be opened.
    """
    with path.open("rb") as stream:
        start = stream.read(len(FITS_SIGNATURE))
        stream.seek(0)
        if start.startswith(HDF5_SIGNATURE):
            return _from_hdf5(path)
        if start == FITS_SIGNATURE:
            return _from_fits(stream, path)
        if start.startswith(GZIP_SIGNATURE):
            return _from_gzip(stream, path)
    return None


def _from_gzip(compressed: BinaryIO, path: Path) -> bytes | None:
    with gzip.open(compressed) as stream:
        try:
            start = stream.read(len(FITS_SIGNATURE))
            stream.seek(0)
            return _from_fits(stream, path) if start == FITS_SIGNATURE else None
        except (OSError, EOFError) as error:
            raise DocumentError(f"{path.name}: a broken gzip file: {error}") from error


def _from_fits(stream: BinaryIO | gzip.GzipFile, path: Path) -> bytes:
    for header in iter_headers(stream):  # type: ignore[arg-type]  # GzipFile reads and seeks
        if marker_of(parse_header(header)):
            return header
    raise UnrecognisedFormatError(
        f"{path.name}: a FITS file without CTAO product metadata (no CTAOMETA, DATAID or CTA "
        "PRODUCT ID in any header); send the record of the run that wrote it instead",
        found="FITS",
        expected="CTAOMETA, DATAID or CTA PRODUCT ID in a header",
    )


def _from_hdf5(path: Path) -> bytes:
    try:
        import h5py  # heavy, and only for HDF5
    except ImportError as error:
        raise UnrecognisedFormatError(
            f"{path.name}: an HDF5 file, and h5py is not installed here; "
            "install it with: pip install 'provmanager[files]'",
            found="HDF5",
        ) from error
    try:
        with h5py.File(path, "r") as file:
            records: list[str] = []
            if isinstance(file.get(_GROUP), h5py.Group):
                file[_GROUP].visititems(lambda _, node: _collect(node, h5py.Dataset, records))
            if records:
                return ("[" + ",\n".join(records) + "]").encode()
            root = {
                key: _plain(value, h5py.Empty)
                for key, value in file.attrs.items()
                if key.startswith(_ROOT_PREFIXES)
            }
    except OSError as error:
        raise DocumentError(
            f"{path.name}: an HDF5 file that cannot be read, perhaps cut off: {error}"
        ) from error
    if PRODUCT_ID in root:
        return json.dumps(root).encode()
    raise UnrecognisedFormatError(
        f"{path.name}: an HDF5 file without provenance (no /{_GROUP} datasets, no {PRODUCT_ID} "
        "at its root); send the record of the run that wrote it instead",
        found="HDF5",
        expected=f"/{_GROUP}/<stage> or {PRODUCT_ID}",
    )


def _collect(node: Any, dataset: type, records: list[str]) -> None:  # Any: an h5py node
    """Add the text of `node` to `records`; a dataset holds one string, or several."""
    if not isinstance(node, dataset):
        return
    value = node[()]  # type: ignore[index]
    items = value if hasattr(value, "shape") and value.shape else [value]
    for item in items:
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else item
        if isinstance(text, str) and text.strip("\0 \n"):
            records.append(text.strip("\0 \n"))


def _plain(value: Any, empty: type) -> Any:  # Any: what HDF5 attributes hold
    """Return an attribute as JSON: PyTables writes an empty string as an empty dataspace."""
    if isinstance(value, empty):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.tolist() if hasattr(value, "tolist") else value
