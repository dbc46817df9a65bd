"""Read the files of real bursts: BATSE 64-ms curves and tables, GBM TTE, CSPEC and TRIGDAT.

The one module of this package that opens files.
"""

import gzip
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.units import Quantity
from astropy.utils.exceptions import AstropyUserWarning

from .lightcurve import EDGE_TOLERANCE, BoolArray, FloatArray, IntArray, LightCurve

# The catalogue's nominal channels (Fishman et al. 1994, ApJS 92, 229): 20-50, 50-100, 100-300 and
# above 300 keV.
BATSE_ENERGY_KEV = np.array([[20.0, 50.0], [50.0, 100.0], [100.0, 300.0], [300.0, np.inf]])
BATSE_BIN_S = 0.064
BATSE_COARSE = 16
"""A DISCLA bin lasts 1.024 s: 16 of the 64-ms rows, each holding a sixteenth of its counts."""
BATSE_PREBURST = 32
"""The PREB data begin 2.048 s before the trigger."""
WHOLE_COUNT = 0.05
"""Sums of sixteenths written with nine digits come this near to whole counts."""

# Edges of the eight channels, sodium-iodide detectors, rounded: the file does not hold them. They
# make the counts of a channel those of the 128-channel spectra of the same detector and time.
TRIGDAT_ENERGY_KEV = np.array([4.0, 12.0, 27.0, 50.0, 100.0, 300.0, 540.0, 980.0, 2000.0])
TRIGDAT_N_DETECTOR, TRIGDAT_N_CHANNEL = 14, 8


class InputFileError(ValueError):
    """A file cannot be used: says which, which part of it, and what was expected there.

    Attributes
    ----------
    path : Path
    part : str
        FITS extension, or line, at fault.
    """

    def __init__(self, path: Path, part: str, found: str, expected: str) -> None:
        super().__init__(f"{path}, {part}: {found}; expected {expected}")
        self.path = path
        self.part = part


@dataclass(frozen=True, eq=False)
class EventList:
    """Single photons.

    Attributes
    ----------
    time : Quantity [s], shape (n_event,)
        Relative to `reference`, increasing.
    channel : ndarray of int, shape (n_event,)
    energy : Quantity [keV], shape (n_channel, 2)
    good_intervals : Quantity [s], shape (n_interval, 2)
        Relative to `reference`.
    reference : Time
        The trigger.
    """

    time: Quantity
    channel: IntArray
    energy: Quantity
    good_intervals: Quantity
    reference: Time = field(repr=False)


def read_batse_64ms(path: Path, *, reference: Time | None = None) -> LightCurve:
    """Read a concatenated BATSE 64-ms light curve (``cat64ms.NNNNN``) in its true resolution.

    The file writes 1.024-s (DISCLA) counts as 16 equal rows before and after the burst memory, and
    64-ms counts (PREB, DISCSC) in between. The rows of one DISCLA count are merged again here, as
    they are not independent; of the last before the burst memory the file holds what PREB does
    not. Bad bins are: gaps, that is rows without a count in any channel, and 1.024-s counts of
    which the file holds only a part that is not whole (the last may be cut).

    Parameters
    ----------
    path : Path
    reference : Time, optional
        The trigger (`trigger_time`), which is time zero.

    Raises
    ------
    InputFileError
        The header or the number of rows is not as the format says.
    """
    rows, n_coarse = _read_batse_rows(path)
    edges = _batse_edges(rows, n_coarse)
    first, last = edges[:-1], edges[1:]
    zero = n_coarse + BATSE_PREBURST
    counts = np.add.reduceat(rows, first, axis=0)
    whole = np.abs(counts - np.round(counts)).max(axis=1) < WHOLE_COUNT
    broken = ~whole & (last - first == 1)
    if broken.any():
        row = int(first[np.argmax(broken)])
        raise InputFileError(
            path, f"row {row + 1}", f"{rows[row].tolist()} counts in 64 ms", "whole counts"
        )
    return LightCurve(
        start=(first - zero) * BATSE_BIN_S * u.s,
        stop=(last - zero) * BATSE_BIN_S * u.s,
        counts=np.round(counts).astype(np.float64),
        energy=BATSE_ENERGY_KEV * u.keV,
        is_good=whole & (counts.sum(axis=1) > 0),
        reference=reference,
    )


def _read_batse_rows(path: Path) -> tuple[FloatArray, int]:
    try:
        lines = path.read_text(encoding="ascii").split("\n", 2)
    except UnicodeDecodeError as error:
        raise InputFileError(path, "text", "not ASCII", "a cat64ms file") from error
    try:
        _, n_row, n_coarse, _ = (int(word) for word in lines[1].split())
    except (IndexError, ValueError) as error:
        raise InputFileError(
            path, "line 2", repr("".join(lines[1:2])), "four integers: trig#, npts, nlasc, 1preb"
        ) from error
    try:
        values = np.array((lines[2] if len(lines) > 2 else "").split(), float)
    except ValueError as error:
        raise InputFileError(path, "data", str(error), "numbers, four a row") from error
    if values.size != 4 * n_row:
        raise InputFileError(
            path, "data", f"{values.size / 4:g} rows of four counts (truncated?)", f"{n_row} rows"
        )
    if not 0 <= n_coarse <= n_row - BATSE_PREBURST:
        raise InputFileError(
            path, "line 2", f"nlasc = {n_coarse}", f"0 to {n_row - BATSE_PREBURST}: npts less PREB"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputFileError(path, "data", "a negative or non-finite count", "counts >= 0")
    return values.reshape(n_row, 4), n_coarse


def _batse_edges(rows: FloatArray, n_coarse: int) -> IntArray:
    """Index of the first row of each native bin, then the number of rows."""
    repeats = np.r_[False, (rows[1:] == rows[:-1]).all(axis=1)]
    repeats[n_coarse] = False
    begins = np.flatnonzero(~repeats)
    length = np.diff(np.r_[begins, len(rows)])
    single = begins[(length == 1) & (begins >= n_coarse)]
    tail = int(single[-1]) + 1 if single.size else n_coarse
    edges = list(range(0, n_coarse, BATSE_COARSE)) + list(range(n_coarse, tail))
    for begin, n_same in zip(begins, length, strict=True):
        if begin >= tail:
            edges += range(int(begin), int(begin + n_same), BATSE_COARSE)
    return np.array([*edges, len(rows)], np.int64)


def read_batse_basic(path: Path) -> Table:
    """Read the BATSE basic table: trigger, name, TJD, seconds of day [s], positions [deg]."""
    rows = _read_words(path, minimum=12)
    return Table(
        {
            "trigger": [int(words[0]) for words in rows],
            "name": [" ".join(words[1:-10]) for words in rows],
            "tjd": [int(words[-10]) for words in rows],
            "seconds": Quantity([float(words[-9]) for words in rows], u.s),
            "ra": Quantity([float(words[-8]) for words in rows], u.deg),
            "dec": Quantity([float(words[-7]) for words in rows], u.deg),
            "error_radius": Quantity([float(words[-4]) for words in rows], u.deg),
        }
    )


def read_batse_durations(path: Path) -> Table:
    """Read the BATSE duration table: trigger, then t50, t90, their errors and starts [s]."""
    rows = _read_words(path, minimum=7)
    names = ("t50", "t50_error", "t50_start", "t90", "t90_error", "t90_start")
    table = Table({"trigger": [int(words[0]) for words in rows]})
    for column, name in enumerate(names, start=1):
        table[name] = Quantity([float(words[column]) for words in rows], u.s)
    return table


def _read_words(path: Path, *, minimum: int) -> list[list[str]]:
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    rows = [words for words in rows if words]
    for number, words in enumerate(rows, start=1):
        if len(words) < minimum or not words[0].isdigit():
            raise InputFileError(
                path, f"line {number}", repr(" ".join(words)), f"a trigger and {minimum} words"
            )
    return rows


def trigger_time(basic: Table, trigger: int) -> Time:
    """Look up the instant of a trigger in the basic table: truncated Julian day and seconds, UTC.

    Raises
    ------
    KeyError
        The table does not hold the trigger.
    """
    found = np.flatnonzero(basic["trigger"] == trigger)
    if found.size == 0:
        raise KeyError(f"trigger {trigger} is not in the table of {len(basic)} bursts")
    row = basic[found[0]]
    day = Time(float(row["tjd"]) + 40000.0, format="mjd", scale="utc")
    return day + float(row["seconds"]) * u.s


@contextmanager
def open_fits(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file; whatever is wrong with its bytes becomes an InputFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyUserWarning)
            # Our own file object: astropy leaves its own open where opening fails.
            with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
                yield hdus
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile, AstropyUserWarning) as error:
        raise InputFileError(path, "file", f"{error}", "a whole FITS file") from error


def read_table(path: Path, hdus: fits.HDUList, name: str, columns: Sequence[str]) -> fits.FITS_rec:
    """Return the rows of an extension that has some columns."""
    if name not in hdus:
        held = ", ".join(hdu.name for hdu in hdus)
        raise InputFileError(path, "file", f"extensions {held}", f"an extension {name}")
    try:
        data = hdus[name].data
        held_columns = [] if data is None else list(data.names)
    except (OSError, TypeError, ValueError, IndexError) as error:
        raise InputFileError(path, f"extension {name}", f"{error}", "a whole table") from error
    missing = [column for column in columns if column not in held_columns]
    if missing:
        raise InputFileError(
            path, f"extension {name}", f"columns {held_columns}", f"columns {list(columns)}"
        )
    n_row = int(hdus[name].header["NAXIS2"])
    if len(data) != n_row:
        raise InputFileError(path, f"extension {name}", f"{len(data)} rows", f"{n_row} rows")
    return data


def _zero(path: Path, hdus: fits.HDUList) -> tuple[float, Time]:
    """Trigger in mission seconds, and as an instant."""
    header = hdus[0].header
    missing = [key for key in ("TRIGTIME", "MJDREFI", "MJDREFF") if key not in header]
    if missing:
        raise InputFileError(path, "extension PRIMARY", f"no {', '.join(missing)}", "the keywords")
    trigger = float(header["TRIGTIME"])
    day = Time(int(header["MJDREFI"]), float(header["MJDREFF"]), format="mjd", scale="tt")
    return trigger, day + trigger * u.s


def _energy(path: Path, hdus: fits.HDUList) -> Quantity:
    bounds = read_table(path, hdus, "EBOUNDS", ("E_MIN", "E_MAX"))
    return Quantity(np.stack([bounds["E_MIN"], bounds["E_MAX"]], axis=1).astype(float), u.keV)


def _good_intervals(path: Path, hdus: fits.HDUList, zero: float) -> Quantity:
    table = read_table(path, hdus, "GTI", ("START", "STOP"))
    return Quantity(np.stack([table["START"], table["STOP"]], axis=1).astype(float) - zero, u.s)


def read_gbm_tte(path: Path) -> EventList:
    """Read a GBM time-tagged event file, gzipped or not.

    Raises
    ------
    InputFileError
        The file is truncated or lacks EVENTS, EBOUNDS, GTI or the trigger's time.
    """
    with open_fits(path) as hdus:
        zero, reference = _zero(path, hdus)
        events = read_table(path, hdus, "EVENTS", ("TIME", "PHA"))
        time = np.asarray(events["TIME"], float) - zero
        order = np.argsort(time, kind="stable")
        return EventList(
            time=Quantity(time[order], u.s),
            channel=np.asarray(events["PHA"], np.int64)[order],
            energy=_energy(path, hdus),
            good_intervals=_good_intervals(path, hdus, zero),
            reference=reference,
        )


def read_gbm_cspec(path: Path) -> LightCurve:
    """Read a GBM CSPEC or CTIME file; spectra of bad quality become bad bins.

    Raises
    ------
    InputFileError
        The file is truncated or lacks SPECTRUM, EBOUNDS or the trigger's time.
    """
    with open_fits(path) as hdus:
        zero, reference = _zero(path, hdus)
        names = ("COUNTS", "EXPOSURE", "QUALITY", "TIME", "ENDTIME")
        table = read_table(path, hdus, "SPECTRUM", names)
        return LightCurve(
            start=Quantity(np.asarray(table["TIME"], float) - zero, u.s),
            stop=Quantity(np.asarray(table["ENDTIME"], float) - zero, u.s),
            counts=np.asarray(table["COUNTS"], float),
            energy=_energy(path, hdus),
            is_good=np.asarray(table["QUALITY"]) == 0,
            exposure=Quantity(np.asarray(table["EXPOSURE"], float), u.s),
            reference=reference,
        )


def read_gbm_trigdat(path: Path, detectors: Sequence[int]) -> LightCurve:
    """Read the rates of a GBM TRIGDAT file, summed over detectors, as counts.

    Bins of 64 ms to 8.192 s overlap in the file; the finest is kept wherever it covers a bin
    whole, and a coarser one that is partly covered is left out: a gap rather than counts taken
    twice. RATE is stored detector after channel: TDIM says (14, 8), 14 running fastest.

    Parameters
    ----------
    path : Path
    detectors : sequence of int
        0 to 11 sodium iodide, 12 and 13 bismuth germanate.

    Raises
    ------
    InputFileError
        The file is truncated or lacks EVNTRATE or the trigger's time.
    """
    chosen = list(detectors)
    if not chosen or not all(0 <= detector < TRIGDAT_N_DETECTOR for detector in chosen):
        raise ValueError(f"detectors {chosen}; expected some of 0 to {TRIGDAT_N_DETECTOR - 1}")
    with open_fits(path) as hdus:
        zero, reference = _zero(path, hdus)
        table = read_table(path, hdus, "EVNTRATE", ("TIME", "ENDTIME", "RATE"))
        start = np.asarray(table["TIME"], float) - zero
        stop = np.asarray(table["ENDTIME"], float) - zero
        rate = np.asarray(table["RATE"], float).reshape(
            len(table), TRIGDAT_N_DETECTOR, TRIGDAT_N_CHANNEL
        )
    kept = _finest(start, stop)
    start, stop = start[kept], stop[kept]
    summed = rate[kept][:, chosen].sum(axis=1)
    edges = TRIGDAT_ENERGY_KEV
    return LightCurve(
        start=Quantity(start, u.s),
        stop=Quantity(stop, u.s),
        counts=np.round(summed * (stop - start)[:, None]),
        energy=Quantity(np.stack([edges[:-1], edges[1:]], axis=1), u.keV),
        reference=reference,
    )


def _finest(start: FloatArray, stop: FloatArray) -> IntArray:
    """Indices of bins without overlap, finest first, in order of time."""
    kept: list[int] = []
    for index in np.argsort(stop - start, kind="stable"):
        slack = EDGE_TOLERANCE * (stop[index] - start[index])
        free: BoolArray = (stop[kept] <= start[index] + slack) | (
            start[kept] >= stop[index] - slack
        )
        if free.all():
            kept.append(int(index))
    return np.array(sorted(kept, key=lambda index: start[index]), np.int64)


def read_gbm_pointing(path: Path) -> QTable:
    """Read where Fermi was and how it stood from a TRIGDAT file.

    Returns
    -------
    QTable
        ``time`` [s] relative to the trigger, the middle of each bin; ``attitude``, unit quaternion
        from the spacecraft's axes to ICRS, scalar last; ``position`` [km] from the Earth's centre.

    Raises
    ------
    InputFileError
        The file is truncated or lacks EVNTRATE, the trigger's time, or a quaternion of norm 1.
    """
    with open_fits(path) as hdus:
        zero, _ = _zero(path, hdus)
        rows = read_table(path, hdus, "EVNTRATE", ("TIME", "ENDTIME", "SCATTITD", "EIC"))
        middle = 0.5 * (np.asarray(rows["TIME"], float) + np.asarray(rows["ENDTIME"], float))
        attitude = np.asarray(rows["SCATTITD"], float)
        position = np.asarray(rows["EIC"], float)
    norm = np.linalg.norm(attitude, axis=1)
    wrong = ~(np.abs(norm - 1.0) < 1e-3)
    if wrong.any():
        raise InputFileError(
            path,
            "extension EVNTRATE",
            f"SCATTITD of norm {norm[wrong][0]:g} in row {int(np.argmax(wrong)) + 1}",
            "unit quaternions",
        )
    order = np.argsort(middle, kind="stable")
    return QTable(
        {
            "time": Quantity(middle[order] - zero, u.s),
            "attitude": attitude[order] / norm[order, None],
            "position": Quantity(position[order], u.km),
        }
    )


def read_gbm_nai_rates() -> dict[str, FloatArray]:
    """Read the relative rates of GBM's sodium-iodide detectors that come with this package.

    Returns
    -------
    dict of str to ndarray of float, shape (6000, 12)
        For each spectrum of `grm_table.TEMPLATES`, at `rate_ratio.even_directions`; 50-300 keV.
        Derived from astro-gdt-fermi (``tables/NOTICE``).
    """
    held = resources.files("analysis.eclgrm") / "tables" / "gbm_nai_rates.npz"
    with held.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(float) for name in arrays.files}
