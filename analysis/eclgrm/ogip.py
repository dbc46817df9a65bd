"""Read spectra and responses in the OGIP formats: PHA I and II, background files, RMF, RSP, ARF.

This and `ogip_write` are the only modules of the spectral analysis that open files. References:
OGIP-92-007 (spectra), CAL/GEN/92-002 and 92-002a (responses).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from .response import Array, Response, ResponseError
from .spectrum import Spectrum


class OgipError(ValueError):
    """A file is not the OGIP file expected: the message names file, extension and expectation."""


def read_responses(path: Path | str) -> tuple[Response, ...]:
    """Read all matrices of a response file (RSP, RSP2 or RMF), in the order of the file.

    Matrices of several detectors have an EBOUNDS each, joined by EXTVER.

    Parameters
    ----------
    path : Path
        FITS file, also compressed.

    Returns
    -------
    tuple of Response
        One for each matrix extension; times are relative to TRIGTIME where the file has it.

    Raises
    ------
    OgipError
        The file is not a response, or it is damaged.
    """
    with _open(path) as hdus:
        bounds = _find(hdus, ("EBOUNDS",), ("EBOUNDS",))
        matrices = _find(hdus, ("SPECRESP MATRIX", "MATRIX"), ("RSP_MATRIX",))
        if not matrices:
            raise OgipError(
                f"{path}: no response matrix; expected an extension SPECRESP MATRIX or MATRIX, "
                f"found {_names(hdus)}"
            )
        if len(bounds) != 1 and [hdu.ver for hdu in bounds] != [hdu.ver for hdu in matrices]:
            raise OgipError(
                f"{path}: {len(bounds)} extensions EBOUNDS for {len(matrices)} matrices; expected "
                f"one, or one of the same EXTVER for each; found {_names(hdus)}"
            )
        pairs = zip(matrices, bounds * (len(matrices) if len(bounds) == 1 else 1), strict=True)
        return tuple(_read_matrix(hdu, ebounds, path) for hdu, ebounds in pairs)


def read_response(path: Path | str) -> Response:
    """Read a response file that holds exactly one matrix.

    Parameters
    ----------
    path : Path
        FITS file.

    Returns
    -------
    Response
        The response.

    Raises
    ------
    OgipError
        As `read_responses`; also for several matrices, from which the caller has to choose.
    """
    responses = read_responses(path)
    if len(responses) > 1:
        raise OgipError(
            f"{path}: {len(responses)} matrices where one was expected: choose or average them "
            "(read_responses, combine_responses)"
        )
    return responses[0]


def read_effective_area(path: Path | str) -> tuple[u.Quantity, u.Quantity]:
    """Read an effective area file (ARF).

    Parameters
    ----------
    path : Path
        FITS file.

    Returns
    -------
    edges : Quantity [keV], shape (n_true + 1,)
        Bins of photon energy.
    area : Quantity [cm2], shape (n_true,)
        Effective area.
    """
    with _open(path) as hdus:
        hdu = _only(hdus, path, "SPECRESP", ("SPECRESP",))
        edges = _true_edges(hdu, path)
        return edges * u.keV, _column(hdu, path, "SPECRESP").astype(np.float64) * u.cm**2


def read_spectra(path: Path | str) -> tuple[Spectrum, ...]:
    """Read the spectra of a PHA file of type I (one) or II (one a row), source or background.

    Parameters
    ----------
    path : Path
        FITS file, also compressed.

    Returns
    -------
    tuple of Spectrum
        Rates are multiplied with the exposure; energies come from EBOUNDS where the file has it.

    Raises
    ------
    OgipError
        The file is not a spectrum, or it is damaged.
    """
    with _open(path) as hdus:
        hdu = _only(hdus, path, "SPECTRUM", ("SPECTRUM",))
        bounds = _find(hdus, ("EBOUNDS",), ("EBOUNDS",))
        energies = _channel_energies(bounds[0], path)[1:] if bounds else (None, None)
        values = _column(hdu, path, "COUNTS" if "COUNTS" in hdu.columns.names else "RATE")
        is_type_2 = values.ndim == 2 or values.dtype == np.object_
        rows: list[Any] = list(range(len(hdu.data))) if is_type_2 else [slice(None)]
        return tuple(_read_row(hdu, path, row, energies) for row in rows)


def read_spectrum(path: Path | str) -> Spectrum:
    """Read a PHA file that holds exactly one spectrum.

    Parameters
    ----------
    path : Path
        FITS file.

    Returns
    -------
    Spectrum
        The spectrum.

    Raises
    ------
    OgipError
        As `read_spectra`; also for several spectra.
    """
    spectra = read_spectra(path)
    if len(spectra) != 1:
        raise OgipError(f"{path}[SPECTRUM]: {len(spectra)} spectra where one was expected")
    return spectra[0]


@contextmanager
def _open(path: Path | str) -> Iterator[fits.HDUList]:
    """Open a FITS file; what astropy finds wrong with it becomes an `OgipError`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
            # Our own file object: astropy leaves its own open where opening fails.
            with (
                Path(path).open("rb") as file,
                fits.open(file, memmap=False, lazy_load_hdus=False) as hdus,
            ):
                yield hdus
    except FileNotFoundError as error:
        raise OgipError(f"{path}: there is no such file") from error
    except (OSError, EOFError, TypeError, IndexError, AstropyUserWarning) as error:
        raise OgipError(f"{path}: damaged or not a FITS file ({error})") from error
    except ResponseError as error:
        raise OgipError(f"{path}: {error}") from error


def _names(hdus: fits.HDUList) -> str:
    return ", ".join(hdu.name or "(unnamed)" for hdu in hdus)


def _find(
    hdus: fits.HDUList, names: tuple[str, ...], classes: tuple[str, ...]
) -> list[fits.BinTableHDU]:
    """Find tables by EXTNAME, else by HDUCLAS1 or HDUCLAS2."""
    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    named = [hdu for hdu in tables if hdu.name in names]
    return named or [
        hdu
        for hdu in tables
        if hdu.header.get("HDUCLAS2") in classes or hdu.header.get("HDUCLAS1") in classes
    ]


def _only(
    hdus: fits.HDUList, path: Path | str, name: str, classes: tuple[str, ...]
) -> fits.BinTableHDU:
    found = _find(hdus, (name,), classes)
    if len(found) != 1:
        raise OgipError(
            f"{path}: {len(found)} extensions {name}, expected one; found {_names(hdus)}"
        )
    if len(found[0].data) == 0:
        raise OgipError(f"{path}[{name}]: the table is empty")
    return found[0]


def _column(hdu: fits.BinTableHDU, path: Path | str, name: str) -> NDArray[Any]:
    if name not in hdu.columns.names:
        raise OgipError(
            f"{path}[{hdu.name}]: no column {name}; found {', '.join(hdu.columns.names)}"
        )
    return np.asarray(hdu.data[name])


def _kev(hdu: fits.BinTableHDU, path: Path | str, name: str) -> Array:
    """Read a column of energies in the unit that it states; keV where it states none."""
    values = _column(hdu, path, name).astype(np.float64)
    unit = hdu.columns[name].unit
    try:
        return np.asarray(u.Quantity(values, unit or "keV").to_value(u.keV))
    except (ValueError, u.UnitConversionError) as error:
        raise OgipError(
            f"{path}[{hdu.name}]: unit {unit!r} of {name}, expected one of energy"
        ) from error


def _channel_energies(
    hdu: fits.BinTableHDU, path: Path | str
) -> tuple[NDArray[np.int64], Array, Array]:
    channels = _column(hdu, path, "CHANNEL").astype(np.int64)
    if np.any(np.diff(channels) != 1):
        raise OgipError(f"{path}[{hdu.name}]: channel numbers are not consecutive")
    return channels, _kev(hdu, path, "E_MIN"), _kev(hdu, path, "E_MAX")


def _true_edges(hdu: fits.BinTableHDU, path: Path | str) -> Array:
    low, high = _kev(hdu, path, "ENERG_LO"), _kev(hdu, path, "ENERG_HI")
    if not np.allclose(low[1:], high[:-1], rtol=1e-5):
        raise OgipError(f"{path}[{hdu.name}]: the bins ENERG_LO, ENERG_HI leave gaps or overlap")
    # Some files start at 0, where a power law has no value: a thousandth of the first bin does.
    first = low[0] if low[0] > 0 else 1e-3 * high[0]
    return np.concatenate([[first], high])


def _read_matrix(hdu: fits.BinTableHDU, bounds: fits.BinTableHDU, path: Path | str) -> Response:
    where = f"{path}[{hdu.name},{hdu.header.get('EXTVER', 1)}]"
    channels, low_kev, high_kev = _channel_energies(bounds, path)
    n_channels = len(channels)
    declared = int(hdu.header.get("DETCHANS", n_channels))
    if declared != n_channels:
        raise OgipError(f"{where}: DETCHANS is {declared}, EBOUNDS has {n_channels} channels")
    groups = _column(hdu, path, "N_GRP").astype(np.int64)
    f_chan, n_chan, packed = (_column(hdu, path, name) for name in ("F_CHAN", "N_CHAN", "MATRIX"))
    column = hdu.columns.names.index("F_CHAN") + 1
    lowest = min(
        (int(np.atleast_1d(f)[:n].min()) for f, n in zip(f_chan, groups, strict=True) if n),
        default=1,
    )
    # CAL/GEN/92-002: without TLMIN the numbering starts at 1; a 0 shows that it does not.
    first = int(hdu.header.get(f"TLMIN{column}", min(lowest, 1)))
    matrix = np.zeros((len(groups), n_channels))
    for row, n_groups in enumerate(groups):
        values = np.atleast_1d(packed[row]).astype(np.float64)
        used = 0
        for start, length in zip(
            np.atleast_1d(f_chan[row])[:n_groups],
            np.atleast_1d(n_chan[row])[:n_groups],
            strict=True,
        ):
            begin, end = int(start) - first, int(start) - first + int(length)
            if begin < 0 or end > n_channels or used + int(length) > len(values):
                raise OgipError(
                    f"{where}: row {row + 1} fills channels {start} to {start + length - 1} with "
                    f"{len(values)} values, expected channels {first} to {first + n_channels - 1}"
                )
            matrix[row, begin:end] = values[used : used + int(length)]
            used += int(length)
    origin = float(hdu.header.get("TRIGTIME", 0.0))
    start_s, stop_s = (
        float(hdu.header[key]) - origin if key in hdu.header else float("nan")
        for key in ("TSTART", "TSTOP")
    )
    edges = _true_edges(hdu, path)
    return Response(where, edges, channels, low_kev, high_kev, matrix, start_s, stop_s)


def _read_row(
    hdu: fits.BinTableHDU,
    path: Path | str,
    row: Any,  # Any: an index, or a slice for type I
    energies: tuple[Array | None, Array | None],
) -> Spectrum:
    header, names, data = hdu.header, hdu.columns.names, hdu.data
    where = f"{path}[{hdu.name}]" + ("" if isinstance(row, slice) else f" row {row + 1}")

    def field(name: str, default: float) -> NDArray[Any]:
        value = data[name][row] if name in names else header.get(name, default)
        return np.array(np.broadcast_to(value, (n_channels,)))

    is_rate = "COUNTS" not in names
    raw = np.atleast_1d(_column(hdu, path, "RATE" if is_rate else "COUNTS")[row])
    n_channels = len(raw)
    declared = int(header.get("DETCHANS", n_channels))
    if declared != n_channels:
        raise OgipError(
            f"{where}: {n_channels} channels, expected DETCHANS = {declared}: spectra of a part of "
            "the channels are not supported"
        )
    exposure_s = float(field("EXPOSURE", np.nan)[0])
    quality = field("QUALITY", 0).astype(np.int64)
    # GBM marks spectra around its trigger as bad and gives some of them no time at all.
    if not exposure_s > 0 and np.any(quality == 0):
        raise OgipError(f"{where}: EXPOSURE is {exposure_s}, expected seconds above 0")
    factor = exposure_s if is_rate else 1.0
    poisson = bool(header.get("POISSERR", "STAT_ERR" not in names)) and not is_rate
    if not poisson and "STAT_ERR" not in names:
        raise OgipError(f"{where}: neither Poisson counts (POISSERR = T) nor a column STAT_ERR")
    start_s, stop_s = _interval(hdu, row)
    low_kev, high_kev = energies
    if low_kev is not None and len(low_kev) != n_channels:
        raise OgipError(f"{where}: {n_channels} channels, but {len(low_kev)} in EBOUNDS")
    scale = field("AREASCAL", 1.0) * field("BACKSCAL", 1.0)
    if not np.all(scale > 0):
        raise OgipError(f"{where}: AREASCAL and BACKSCAL must be above 0")
    return Spectrum(
        name=where,
        channels=_channel_numbers(hdu, row, n_channels, 1 if low_kev is None else 0),
        counts=raw.astype(np.float64) * factor,
        counts_error=None if poisson else field("STAT_ERR", 0.0).astype(np.float64) * factor,
        exposure_s=exposure_s,
        systematic=field("SYS_ERR", 0.0).astype(np.float64),
        quality=quality,
        grouping=field("GROUPING", 0).astype(np.int64),
        scale=scale.astype(np.float64),
        channel_low_kev=low_kev,
        channel_high_kev=high_kev,
        start_s=start_s,
        stop_s=stop_s,
        response_file=_file_name(hdu, "RESPFILE", row),
        background_file=_file_name(hdu, "BACKFILE", row),
    )


def _channel_numbers(
    hdu: fits.BinTableHDU,
    row: Any,  # Any: as in _read_row
    n_channels: int,
    default: int,
) -> NDArray[np.int64]:
    """Give the numbers of the channels; files of type II often leave them out."""
    if "CHANNEL" in hdu.columns.names:
        return np.atleast_1d(hdu.data["CHANNEL"][row]).astype(np.int64)
    return np.arange(n_channels) + int(hdu.header.get("TLMIN1", default))


def _interval(hdu: fits.BinTableHDU, row: Any) -> tuple[float, float]:
    """Give start and stop relative to the trigger: columns of type II, else the header."""
    names, origin = hdu.columns.names, float(hdu.header.get("TRIGTIME", 0.0))
    if isinstance(row, slice):
        start, stop = hdu.header.get("TSTART", np.nan), hdu.header.get("TSTOP", np.nan)
        return float(start) - origin, float(stop) - origin
    if "TIME" in names and "ENDTIME" in names:
        return float(hdu.data["TIME"][row]) - origin, float(hdu.data["ENDTIME"][row]) - origin
    if "TSTART" in names and "TELAPSE" in names:
        start = float(hdu.data["TSTART"][row])
        # GBM writes mission time in CSPEC and seconds from the trigger in extracted spectra.
        start -= origin if start > 0.5 * origin else 0.0
        return start, start + float(hdu.data["TELAPSE"][row])
    return float("nan"), float("nan")


def _file_name(hdu: fits.BinTableHDU, key: str, row: Any) -> str:
    value = hdu.header.get(key, "")
    if key in hdu.columns.names and not isinstance(row, slice):
        value = hdu.data[key][row]
    text = str(value).strip()
    return "" if text.lower() in ("none", "") else text
