"""Product cards: what a product must hold, and whether a file does."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits

import schemas

Card = dict[str, Any]  # Any: JSON that schemas/product-card.v1.json describes

_KINDS = {
    "string": (str,),
    "int": (int, np.integer),
    "float": (float, int, np.floating, np.integer),
    "bool": (bool, np.bool_),
}
_FORMAT_CODES = {"string": "A", "int": "BIJK", "float": "DE", "bool": "L"}


@dataclass(frozen=True)
class Disagreement:
    """Where a file is not what its card says.

    Attributes
    ----------
    part : str
        Extension, and keyword or column.
    found, expected : str
    """

    part: str
    found: str
    expected: str


def card_names() -> tuple[str, ...]:
    """Names of all cards."""
    held = (files(schemas) / "cards").iterdir()
    return tuple(sorted(one.name.removesuffix(".json") for one in held if one.name != "__init__"))


@lru_cache
def load_card(name: str) -> Card:
    """Return a card.

    Raises
    ------
    KeyError
        There is none of that name.
    """
    if name not in card_names():
        near = get_close_matches(name, card_names(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise KeyError(f"no product card {name!r}{hint}")
    return schemas.load(f"cards/{name}")


def compare(card: Card, hdus: fits.HDUList) -> Disagreement | None:
    """Return the first point in which a file differs from a card, None where it agrees.

    Keywords and columns beyond the card are no disagreement.
    """
    for extension in card["extensions"]:
        found = [hdu for hdu in hdus[1:] if hdu.name == extension["name"]]
        if not found and not extension.get("optional"):
            held = ", ".join(hdu.name for hdu in hdus)
            return Disagreement("file", f"extensions {held}", f"an extension {extension['name']}")
        if len(found) > 1 and not extension.get("repeated"):
            return Disagreement("file", f"{len(found)} extensions {extension['name']}", "one")
        for hdu in found:
            wrong = _compare_extension(extension, hdu)
            if wrong:
                return wrong
    for row in card["keywords"]:
        for hdu in hdus:
            wrong = _compare_keyword(row, hdu) if hdu.name == row["extension"] else None
            if wrong:
                return wrong
    return None


def _compare_keyword(row: Card, hdu: Any) -> Disagreement | None:
    part = f"extension {hdu.name}, keyword {row['name']}"
    if row["name"] not in hdu.header:
        return None if row.get("optional") else Disagreement(part, "none", row["description"])
    value = hdu.header[row["name"]]
    kinds = _KINDS[row["data_type"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return Disagreement(part, repr(value), f"a value of type {row['data_type']}")
    if "ranges" in row and value not in row["ranges"]:
        allowed = " or ".join(repr(one) for one in row["ranges"])
        return Disagreement(part, repr(value), allowed)
    return None


def _compare_extension(extension: Card, hdu: Any) -> Disagreement | None:
    part = f"extension {hdu.name}"
    is_table = isinstance(hdu, fits.BinTableHDU)
    if is_table != (extension["kind"] == "table"):
        return Disagreement(part, type(hdu).__name__, f"a FITS {extension['kind']}")
    if not is_table:
        return _compare_unit(part, hdu.header.get("BUNIT"), extension.get("unit"))
    n_rows = extension.get("n_rows", hdu.header["NAXIS2"])
    if hdu.header["NAXIS2"] != n_rows:
        return Disagreement(part, f"{hdu.header['NAXIS2']} rows", f"{n_rows} rows")
    for wanted in extension["columns"]:
        wrong = _compare_column(part, wanted, hdu)
        if wrong:
            return wrong
    return None


def _compare_column(part: str, wanted: Card, hdu: fits.BinTableHDU) -> Disagreement | None:
    if wanted["name"] not in hdu.columns.names:
        return Disagreement(
            part, f"columns {', '.join(hdu.columns.names)}", f"a column {wanted['name']}"
        )
    column = hdu.columns[wanted["name"]]
    part = f"{part}, column {column.name}"
    code = column.format.lstrip("0123456789PQ")[:1]
    if code not in _FORMAT_CODES[wanted["data_type"]]:
        return Disagreement(part, f"the format {column.format}", f"type {wanted['data_type']}")
    lengths = [n for n in wanted.get("shape", []) if isinstance(n, int)]
    if lengths and hdu.data[column.name].shape[1:] != tuple(lengths):
        return Disagreement(part, f"cells {hdu.data[column.name].shape[1:]}", f"{tuple(lengths)}")
    return _compare_unit(part, column.unit, wanted.get("unit"))


def _compare_unit(part: str, found: str | None, expected: str | None) -> Disagreement | None:
    try:
        same = u.Unit(found or "") == u.Unit(expected or "")
    except ValueError:
        same = False
    return None if same else Disagreement(part, f"the unit {found!r}", f"the unit {expected!r}")
