"""Write spectra and responses in the OGIP formats: PHA type I and RSP. See `ogip` for reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from .fits_write import to_bytes, write_bytes
from .response import Array, Response
from .spectrum import Spectrum


def write_response(
    response: Response, path: Path | str, *, header: Mapping[str, Any] | None = None
) -> None:
    """Write a response as an RSP file.

    Parameters
    ----------
    response : Response
        The response.
    path : Path
        Target; it appears whole or not at all, and replaces an older one.
    header : mapping, optional
        Further keywords of the primary header.

    Notes
    -----
    The format prescribes single precision: energies and areas are rounded to 6e-8.
    """
    _write(list(response_hdus(response)), path, response.name, header)


def response_hdus(response: Response) -> tuple[fits.BinTableHDU, fits.BinTableHDU]:
    """Make the extensions SPECRESP MATRIX, zeros left out by groups, and EBOUNDS."""
    n_channels, first = response.n_channels, int(response.channels[0])
    starts, lengths, values = [], [], []
    for row in response.matrix_cm2:
        filled = np.concatenate([[0], (row > 0).astype(np.int8), [0]])
        change = np.diff(filled)
        begin, end = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
        starts.append((begin + first).astype(np.int16))
        lengths.append((end - begin).astype(np.int16))
        values.append(row[row > 0].astype(np.float32))
    edges = response.energy_true_edges_kev
    matrix = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "E", unit="keV", array=edges[:-1]),
            fits.Column("ENERG_HI", "E", unit="keV", array=edges[1:]),
            fits.Column("N_GRP", "I", array=[len(row) for row in starts]),
            fits.Column("F_CHAN", "PI()", array=_ragged(starts)),
            fits.Column("N_CHAN", "PI()", array=_ragged(lengths)),
            fits.Column("MATRIX", "PE()", unit="cm**2", array=_ragged(values)),
        ],
        name="SPECRESP MATRIX",
    )
    matrix.header.update(
        _ogip_cards("RESPONSE", "RSP_MATRIX", n_channels, HDUCLAS3="FULL", HDUVERS="1.3.0")
    )
    matrix.header["RMFVERSN"] = "1992a"
    matrix.header["TLMIN4"] = (first, "first channel number")
    matrix.header["TLMAX4"] = first + n_channels - 1
    matrix.header["NUMGRP"] = sum(map(len, starts))
    matrix.header["NUMELT"] = sum(map(len, values))
    matrix.header["LO_THRES"] = (0.0, "values above this are kept")
    for key, value in (("TSTART", response.start_s), ("TSTOP", response.stop_s)):
        if np.isfinite(value):
            matrix.header[key] = (value, "[s] relative to the trigger")
    bounds = _bounds_hdu(
        response.channels, response.channel_low_kev, response.channel_high_kev, first
    )
    return matrix, bounds


def write_spectrum(
    spectrum: Spectrum,
    path: Path | str,
    *,
    is_background: bool = False,
    header: Mapping[str, Any] | None = None,
) -> None:
    """Write a spectrum as a PHA file of type I.

    Parameters
    ----------
    spectrum : Spectrum
        The spectrum; one with errors is written as a rate, as the format wants it.
    path : Path
        Target; it appears whole or not at all, and replaces an older one.
    is_background : bool
        Mark it as a background.
    header : mapping, optional
        Further keywords of the primary header.
    """
    columns = [fits.Column("CHANNEL", "J", array=spectrum.channels)]
    poisson = spectrum.counts_error is None
    if spectrum.counts_error is None:
        columns.append(fits.Column("COUNTS", "D", unit="count", array=spectrum.counts))
    else:
        rate = spectrum.counts / spectrum.exposure_s
        error = spectrum.counts_error / spectrum.exposure_s
        columns.append(fits.Column("RATE", "D", unit="count/s", array=rate))
        columns.append(fits.Column("STAT_ERR", "D", unit="count/s", array=error))
    columns += [
        fits.Column("SYS_ERR", "D", array=spectrum.systematic),
        fits.Column("QUALITY", "I", array=spectrum.quality),
        fits.Column("GROUPING", "I", array=spectrum.grouping),
        fits.Column("BACKSCAL", "D", array=spectrum.scale),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    first, n_channels = int(spectrum.channels[0]), len(spectrum.channels)
    hdu.header.update(
        _ogip_cards(
            "SPECTRUM",
            "BKG" if is_background else "TOTAL",
            n_channels,
            HDUCLAS3="COUNT" if poisson else "RATE",
            HDUCLAS4="TYPE:I",
            HDUVERS="1.2.1",
        )
    )
    hdu.header.update(
        TLMIN1=first,
        TLMAX1=first + n_channels - 1,
        EXPOSURE=spectrum.exposure_s,
        AREASCAL=1.0,
        CORRSCAL=0.0,
        POISSERR=poisson,
        RESPFILE=spectrum.response_file or "none",
        BACKFILE=spectrum.background_file or "none",
        ANCRFILE="none",
        CORRFILE="none",
    )
    for key, value in (("TSTART", spectrum.start_s), ("TSTOP", spectrum.stop_s)):
        if np.isfinite(value):
            hdu.header[key] = (value, "[s] relative to the trigger")
    hdus = [hdu]
    if spectrum.channel_low_kev is not None and spectrum.channel_high_kev is not None:
        hdus.append(
            _bounds_hdu(
                spectrum.channels, spectrum.channel_low_kev, spectrum.channel_high_kev, first
            )
        )
    _write(hdus, path, spectrum.name, header)


def _ogip_cards(kind: str, sub_kind: str, n_channels: int, **further: str) -> list[tuple[str, Any]]:
    return [
        ("HDUCLASS", "OGIP"),
        ("HDUCLAS1", kind),
        ("HDUCLAS2", sub_kind),
        *further.items(),
        ("TELESCOP", "unknown"),
        ("INSTRUME", "unknown"),
        ("FILTER", "none"),
        ("CHANTYPE", "PHA"),
        ("DETCHANS", n_channels),
    ]


def _bounds_hdu(
    channels: NDArray[np.int64], low_kev: Array, high_kev: Array, first: int
) -> fits.BinTableHDU:
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=channels),
            fits.Column("E_MIN", "E", unit="keV", array=low_kev),
            fits.Column("E_MAX", "E", unit="keV", array=high_kev),
        ],
        name="EBOUNDS",
    )
    hdu.header.update(_ogip_cards("RESPONSE", "EBOUNDS", len(channels), HDUVERS="1.2.0"))
    hdu.header["TLMIN1"] = first
    hdu.header["TLMAX1"] = first + len(channels) - 1
    return hdu


def _ragged(rows: list[NDArray[Any]]) -> NDArray[np.object_]:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


def _write(
    tables: list[fits.BinTableHDU],
    path: Path | str,
    name: str,
    header: Mapping[str, Any] | None,
) -> None:
    """Write beside the target and move it there, so that no half file is ever seen."""
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"] = name[-60:]
    for key, value in (header or {}).items():
        primary.header[key] = value
    for table in tables:
        for key in ("TELESCOP", "INSTRUME"):
            if header and key in header:
                table.header[key] = header[key]
    write_bytes(to_bytes([primary, *tables]), path)
