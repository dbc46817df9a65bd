"""Read and write product files: FITS with SVOM's keywords, checked against their cards.

Whatever differs between two runs of the same task on the same data (DATE, ACTID, and the digests
INHnnn of inputs that are products themselves) stands in the primary header alone: all bytes after
it are the same, and DATAHASH there is their SHA-256.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.units import Quantity

from .cards import compare, load_card
from .fits_write import to_bytes, write_bytes
from .io import InputFileError, open_fits
from .products import (
    MJDREFF,
    MJDREFI,
    Observed,
    Product,
    Value,
    from_mission_time,
    mission_time,
)

ORIGIN, CREATOR = "provmanager", "ECLGRM-VHF"
_FITS_BLOCK = 2880
_BURST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Making:
    """Which run makes a product, and of what: for its header.

    Attributes
    ----------
    activity_id : str
        UUID of the activity.
    configuration_sha256 : str
        Of the task's configuration in canonical JSON.
    task : str
        Name of the task.
    version : str
        Of the software.
    inputs : sequence of (str, str)
        Name and SHA-256 of each input file.
    made_at : datetime
        Aware; DATE of the header.
    """

    activity_id: str
    configuration_sha256: str
    task: str
    version: str
    inputs: Sequence[tuple[str, str]]
    made_at: datetime


def file_name(product: Product) -> str:
    """Name of a product's file: ``QT90_ECL_sb26112101.fits``."""
    return burst_file_name(product.card, product.observed.burst_id)


def burst_file_name(card: str, burst_id: str) -> str:
    """Name of a file of a burst.

    Raises
    ------
    ValueError
        The burst's name, which is from a file, cannot be part of a file's name.
    """
    if not _BURST_ID.fullmatch(burst_id):
        raise ValueError(
            f"BURST_ID {burst_id!r} cannot be part of a file name; expected letters, digits and "
            "any of . _ + -"
        )
    return f"{card}_{burst_id}.fits"


def write_product(product: Product, folder: Path | str, making: Making) -> Path:
    """Write a product; it appears whole or not at all, and replaces an older one.

    Parameters
    ----------
    product : Product
    folder : Path
        Where the file goes, under its own name (`file_name`).
    making : Making

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        The product does not agree with its card.
    """
    time_keywords = _time_keywords(product.observed)
    extensions = [hdu.copy() for hdu in product.extensions]
    for hdu in extensions:
        hdu.header.update(time_keywords)
        hdu.header.setdefault("TELESCOP", product.observed.telescope)
    rest = to_bytes([fits.PrimaryHDU(), *extensions])[_FITS_BLOCK:]
    primary = fits.PrimaryHDU()
    _fill_header(primary.header, product, making, hashlib.sha256(rest).hexdigest())
    wrong = compare(load_card(product.card), fits.HDUList([primary, *extensions]))
    if wrong:
        raise ValueError(
            f"{product.card}, {wrong.part}: {wrong.found}; its card wants {wrong.expected}"
        )
    path = Path(folder) / file_name(product)
    write_bytes(to_bytes([primary, *extensions]), path)
    return path


def _time_keywords(what: Observed) -> dict[str, Value]:
    return {
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
        "TIMEUNIT": "s",
        "MJDREFI": MJDREFI,
        "MJDREFF": MJDREFF,
        "TIMEZERO": mission_time(what.reference),
    }


def _fill_header(header: fits.Header, product: Product, making: Making, data_sha256: str) -> None:
    card = load_card(product.card)
    what = product.observed
    values: dict[str, Value] = {
        "ORIGIN": ORIGIN,
        "TELESCOP": what.telescope,
        "INSTRUME": card["instrument"],
        "DETNAM": " ".join(what.detectors),
        "CREATOR": CREATOR,
        "CARD": product.card,
        "PROGRAM": card["programs"][0],
        "PRDM_VER": card["prdm_ver"],
        "PROC_VER": making.version,
        "PIP_VER": f"{making.task} {making.version}",
        "DSTREAM": card["dstream"],
        "DATE": making.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        **_time_keywords(what),
        "OBS_ID": what.obs_id,
        "BURST_ID": what.burst_id,
        **product.keywords,
        "ACTID": making.activity_id,
        "CFGHASH": making.configuration_sha256,
        "DATAHASH": data_sha256,
    }
    for number, (name, sha256) in enumerate(making.inputs, start=1):
        values |= {f"INP{number:03d}": name, f"INH{number:03d}": sha256}
    rows = {row["name"]: row for row in card["keywords"] if row["extension"] == "PRIMARY"}
    for key, value in values.items():
        bare = fits.Card(key, value)
        comment = _comment(rows.get(key))
        # Where a comment has no room, the card tells: none is cut short.
        used = max(len(bare.image.rstrip()), 30)  # values are padded to column 30
        has_room = used + len(" / ") + len(comment) <= fits.Card.length
        header[key] = (value, comment) if has_room else value


def _comment(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    unit = f"[{row['unit']}] " if "unit" in row else ""
    text = unit + str(row["description"])
    return text if text.isascii() else ""


@dataclass(frozen=True, eq=False)
class StoredProduct(Product):
    """A product as read from a file.

    Attributes
    ----------
    path : Path
        The file.
    header : Header
        Its primary header.
    """

    path: Path = Path()
    header: fits.Header | None = None

    def column(self, extension: str, name: str) -> Any:
        """Return a column: a Quantity where it has a unit, else an array.

        Any: what the card says.
        """
        hdu = next(one for one in self.extensions if one.name == extension)
        unit = hdu.columns[name].unit
        values = np.asarray(hdu.data[name])
        if values.dtype.kind in "fiu":
            values = values.astype(values.dtype.newbyteorder("="))
        return values if unit is None else Quantity(values, u.Unit(unit))

    def value(self, extension: str, name: str) -> Any:
        """Return a column of a table of one row as a scalar. Any: what the card says."""
        found = self.column(extension, name)[0]
        return str(found) if isinstance(found, np.str_) else found


def read_product(path: Path | str, *cards: str) -> StoredProduct:
    """Read a product and check it against its card.

    Parameters
    ----------
    path : Path
    *cards : str
        Cards that are expected; none: any of ours.

    Raises
    ------
    InputFileError
        The file is truncated or changed (its checksums do not fit), it has another card than is
        expected, or it does not agree with its card; the message names file, extension and what
        was expected.
    """
    file = Path(path)
    with open_fits(file) as hdus:
        header = hdus[0].header
        found = str(header.get("CARD", ""))
        expected = " or ".join(cards) or "a product of the pipeline"
        try:
            card = load_card(found)
        except KeyError as error:
            raise InputFileError(
                file, "extension PRIMARY", f"CARD {found!r}", f"the card {expected}"
            ) from error
        if cards and found not in cards:
            raise InputFileError(
                file, "extension PRIMARY", f"CARD {found!r}", f"the card {expected}"
            )
        _check_whole(file, hdus)
        wrong = compare(card, hdus)
        if wrong:
            raise InputFileError(file, wrong.part, wrong.found, f"{wrong.expected} (card {found})")
        extensions = tuple(hdus[1:])
        for hdu in extensions:
            _ = hdu.data  # now, while the file is open
        what = Observed(
            burst_id=str(header["BURST_ID"]),
            obs_id=str(header["OBS_ID"]),
            telescope=str(header["TELESCOP"]),
            reference=from_mission_time(float(header["TIMEZERO"])),
            detectors=tuple(str(header["DETNAM"]).split()),
        )
        return StoredProduct(
            card=found,
            observed=what,
            extensions=extensions,
            keywords=dict(header),
            path=file,
            header=header.copy(),
        )


def _check_whole(path: Path, hdus: fits.HDUList) -> None:
    """Refuse a file whose bytes are not those that were written."""
    first = hdus[0].fileinfo()
    written = hashlib.sha256(path.read_bytes()[first["datLoc"] + first["datSpan"] :]).hexdigest()
    recorded = hdus[0].header.get("DATAHASH")
    if written != recorded:
        raise InputFileError(
            path,
            "extension PRIMARY, keyword DATAHASH",
            f"{recorded!r}, and the bytes after it give {written}",
            "the digest of those bytes: the file was changed or cut; make the product again",
        )
