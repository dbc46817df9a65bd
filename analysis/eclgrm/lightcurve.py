"""Light curves: counts per time bin and energy channel, their rebinning and their peaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import astropy.units as u
import numpy as np
from astropy.time import Time
from astropy.units import Quantity
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

# Edges that agree to this fraction of a bin's width are the same edge: the times of real files are
# rounded to single precision or to microseconds.
EDGE_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class LightCurve:
    """Counts in consecutive time bins, which need be neither equal nor contiguous.

    Attributes
    ----------
    start, stop : Quantity [time], shape (n_time,)
        Edges of the bins, relative to `reference`; increasing, never overlapping.
    counts : ndarray of float, shape (n_time, n_channel)
        Counts as recorded, background included, not corrected for dead time.
    energy : Quantity [energy], shape (n_channel, 2)
        Lower and upper edge of each channel; the last may be open (inf).
    is_good : ndarray of bool, shape (n_time,)
        False where nothing was recorded: the counts there mean nothing. All, by default.
    exposure : Quantity [time], shape (n_time,)
        Live time of each bin; the whole bin, by default.
    reference : Time or None
        The instant of time zero (the trigger, as a rule), where it is known.

    Raises
    ------
    ValueError
        The shapes do not fit, bins overlap or run backwards, or good bins hold counts that are
        negative or not finite.
    """

    start: Quantity
    stop: Quantity
    counts: FloatArray
    energy: Quantity
    is_good: BoolArray | None = None
    exposure: Quantity | None = None
    reference: Time | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        start, stop = (np.array(edge.to_value(u.s), float) for edge in (self.start, self.stop))
        if start.ndim != 1 or start.size == 0 or stop.shape != start.shape:
            raise ValueError(
                f"start and stop have the shapes {start.shape} and {stop.shape}; "
                "expected one shape (n_time,) with n_time > 0"
            )
        counts = np.array(self.counts, float)
        good = np.ones(start.shape, bool) if self.is_good is None else np.array(self.is_good, bool)
        live = stop - start if self.exposure is None else np.array(self.exposure.to_value(u.s))
        energy = np.array(self.energy.to_value(u.keV), float)
        _check(start, stop, counts, good, live, energy)
        for array in (start, stop, counts, good, live, energy):
            array.flags.writeable = False
        values = {
            "start": Quantity(start, u.s, copy=False),
            "stop": Quantity(stop, u.s, copy=False),
            "counts": counts,
            "is_good": good,
            "exposure": Quantity(live, u.s, copy=False),
            "energy": Quantity(energy, u.keV, copy=False),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def n_time(self) -> int:
        """Number of time bins, bad ones included."""
        return int(self.counts.shape[0])

    @property
    def total(self) -> FloatArray:
        """Counts summed over the channels, shape (n_time,)."""
        return np.asarray(self.counts.sum(axis=1), float)

    @property
    def good(self) -> BoolArray:
        """`is_good`, never None."""
        assert self.is_good is not None
        return self.is_good

    def edges_s(self) -> tuple[FloatArray, FloatArray]:
        """Start and stop in seconds as plain arrays."""
        return self.start.to_value(u.s), self.stop.to_value(u.s)

    def exposure_s(self) -> FloatArray:
        """Live time in seconds as a plain array."""
        assert self.exposure is not None
        return np.asarray(self.exposure.to_value(u.s), float)


@dataclass(frozen=True)
class Peak:
    """The window of one width that holds most counts above the background.

    Attributes
    ----------
    start, stop : Quantity [s]
        Edges of the window. BATSE's catalogue quotes `stop`.
    net, net_error : float
        Counts above the background, and their error from the counts alone.
    rate : Quantity [1 / s]
        `net` per live time.
    """

    start: Quantity
    stop: Quantity
    net: float
    net_error: float
    rate: Quantity


def _check(
    start: FloatArray,
    stop: FloatArray,
    counts: FloatArray,
    good: BoolArray,
    live: FloatArray,
    energy: FloatArray,
) -> None:
    n_time = start.size
    for name, array in (("is_good", good), ("exposure", live)):
        if array.shape != (n_time,):
            raise ValueError(f"{name} has the shape {array.shape}; expected {(n_time,)}, as start")
    if counts.ndim != 2 or counts.shape[0] != n_time:
        raise ValueError(f"counts has the shape {counts.shape}; expected ({n_time}, n_channel)")
    if energy.shape != (counts.shape[1], 2):
        raise ValueError(f"energy has the shape {energy.shape}; expected {(counts.shape[1], 2)}")
    width = stop - start
    if not (width > 0).all():
        at = int(np.argmax(~(width > 0)))
        raise ValueError(f"bin {at} is {width[at]} s wide; expected stop > start")
    overlap = stop[:-1] - start[1:] > EDGE_TOLERANCE * np.minimum(width[:-1], width[1:])
    if overlap.any():
        at = int(np.argmax(overlap))
        raise ValueError(f"bin {at + 1} begins at {start[at + 1]} s, before bin {at} ends")
    bad = good & ~(np.isfinite(counts) & (counts >= 0)).all(axis=1)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"bin {at} holds {counts[at]}; expected finite counts >= 0, or a bad bin")


def bin_events(
    time: Quantity,
    channel: ArrayLike,
    *,
    edges: Quantity,
    energy: Quantity,
    good_intervals: Quantity | None = None,
    reference: Time | None = None,
) -> LightCurve:
    """Count events in time bins and channels.

    Parameters
    ----------
    time : Quantity [time], shape (n_event,)
        Arrival times, in any order.
    channel : array of int, shape (n_event,)
        Channel of each event; events outside ``0 <= channel < n_channel`` are left out.
    edges : Quantity [time], shape (n_time + 1,)
        Increasing edges; a bin includes its lower edge.
    energy : Quantity [energy], shape (n_channel, 2)
        Edges of the channels.
    good_intervals : Quantity [time], shape (n_interval, 2), optional
        Where the instrument recorded; bins not wholly inside one interval are bad.
    reference : Time, optional
        The instant of time zero.
    """
    edges_s = np.asarray(edges.to_value(u.s), float)
    time_s = np.asarray(time.to_value(u.s), float)
    channels = np.asarray(channel, dtype=np.int64)
    n_time, n_channel = edges_s.size - 1, energy.shape[0]
    row = np.searchsorted(edges_s, time_s, side="right") - 1
    inside = (row >= 0) & (row < n_time) & (channels >= 0) & (channels < n_channel)
    flat = np.bincount(row[inside] * n_channel + channels[inside], minlength=n_time * n_channel)
    good = np.ones(n_time, bool)
    if good_intervals is not None:
        spans = np.atleast_2d(good_intervals.to_value(u.s))
        good = np.zeros(n_time, bool)
        for low, high in spans:
            good |= (edges_s[:-1] >= low) & (edges_s[1:] <= high)
    return LightCurve(
        start=edges_s[:-1] * u.s,
        stop=edges_s[1:] * u.s,
        counts=flat.reshape(n_time, n_channel).astype(float),
        energy=energy,
        is_good=good,
        reference=reference,
    )


def select_band(curve: LightCurve, low: Quantity, high: Quantity) -> LightCurve:
    """Keep the channels whose middle lies in a band; an open channel counts by its lower edge.

    Raises
    ------
    ValueError
        No channel lies there.
    """
    edges = curve.energy.to_value(u.keV)
    middle = np.where(np.isfinite(edges[:, 1]), edges.mean(axis=1), edges[:, 0])
    keep = (middle >= low.to_value(u.keV)) & (middle < high.to_value(u.keV))
    if not keep.any():
        raise ValueError(f"no channel between {low} and {high}; the curve has {edges.tolist()} keV")
    return replace(curve, counts=curve.counts[:, keep], energy=curve.energy[keep])


def good_bins(curve: LightCurve) -> LightCurve:
    """Leave out the bad bins; holes take their place.

    Raises
    ------
    ValueError
        All bins are bad.
    """
    if not curve.good.any():
        raise ValueError(f"all {curve.n_time} bins of the light curve are bad; expected some good")
    return select_bins(curve, curve.good)


def select_bins(curve: LightCurve, keep: ArrayLike) -> LightCurve:
    """Keep some bins; keep : array of bool, shape (n_time,)."""
    kept = np.asarray(keep, bool)
    return LightCurve(
        start=curve.start[kept],
        stop=curve.stop[kept],
        counts=curve.counts[kept],
        energy=curve.energy,
        is_good=curve.good[kept],
        exposure=curve.exposure_s()[kept] * u.s,
        reference=curve.reference,
    )


def sum_curves(curves: Mapping[str, LightCurve]) -> LightCurve:
    """Sum light curves of the same bins and channels; a bin is good where it is in all.

    Raises
    ------
    ValueError
        There is none, or bins or channels differ.
    """
    if not curves:
        raise ValueError("no light curve; expected one for each detector")
    first = next(iter(curves.values()))
    for name, curve in curves.items():
        if curve.counts.shape != first.counts.shape or (curve.start != first.start).any():
            raise ValueError(f"the bins of {name} differ from those of {next(iter(curves))}")
    return replace(
        first,
        counts=np.sum([curve.counts for curve in curves.values()], axis=0),
        is_good=np.all([curve.good for curve in curves.values()], axis=0),
    )


def rebin(curve: LightCurve, width: Quantity, *, origin: Quantity = 0 * u.s) -> LightCurve:
    """Merge bins onto a grid of equal width; counts are conserved, never split.

    A bin goes whole to the grid cell that holds its middle, so bins coarser than the grid stay as
    they are, and the edges of a new bin are those of its members. Bad bins are kept apart: a new
    bin is good when its members are good and contiguous, and a hole ends it.

    Parameters
    ----------
    curve : LightCurve
    width : Quantity [time]
        Width of the cells, > 0.
    origin : Quantity [time]
        An edge of the grid.
    """
    width_s, origin_s = float(width.to_value(u.s)), float(origin.to_value(u.s))
    if not width_s > 0:
        raise ValueError(f"the width is {width}; expected a time > 0")
    start, stop = curve.edges_s()
    cell = np.floor((0.5 * (start + stop) - origin_s) / width_s)
    hole = start[1:] - stop[:-1] > EDGE_TOLERANCE * (stop - start)[1:]
    new = np.r_[True, (np.diff(cell) != 0) | hole | (np.diff(curve.good.astype(int)) != 0)]
    first = np.flatnonzero(new)
    last = np.r_[first[1:], start.size] - 1
    return LightCurve(
        start=start[first] * u.s,
        stop=stop[last] * u.s,
        counts=np.add.reduceat(curve.counts, first, axis=0),
        energy=curve.energy,
        is_good=curve.good[first],
        exposure=np.add.reduceat(curve.exposure_s(), first) * u.s,
        reference=curve.reference,
    )


def sliding_windows(curve: LightCurve, width: Quantity) -> tuple[IntArray, IntArray]:
    """Every run of contiguous good bins that spans exactly a width.

    Returns
    -------
    first, last : ndarray of int, shape (n_window,)
        First and last bin of each window, by increasing `last`. Empty where the bins are too
        coarse.
    """
    width_s = float(width.to_value(u.s))
    start, stop = curve.edges_s()
    wide = stop - start
    last = np.arange(start.size)
    slack = EDGE_TOLERANCE * np.minimum(wide, width_s)
    first = np.searchsorted(start, stop - width_s - slack)
    known = first <= last
    first, last, slack = first[known], last[known], slack[known]
    fits = np.abs(stop[last] - start[first] - width_s) <= slack
    broken = np.r_[
        0, np.cumsum((start[1:] - stop[:-1] > EDGE_TOLERANCE * wide[1:]) | ~curve.good[1:])
    ]
    whole = (broken[last] == broken[first]) & curve.good[first]
    return first[fits & whole], last[fits & whole]


def find_peak(curve: LightCurve, width: Quantity, *, background: ArrayLike | None = None) -> Peak:
    """Find the window with the largest net counts, summed over the channels (QPF).

    The window slides by single bins. Of equal windows the first counts.

    Parameters
    ----------
    curve : LightCurve
        Restrict it to a band first (`select_band`): the catalogues use 50 to 300 keV.
    width : Quantity [time]
        Width of the window: 64, 256, 1024 ms.
    background : array of float, shape (n_time,), optional
        Expected background counts of each bin; none is subtracted by default.

    Raises
    ------
    ValueError
        No window of this width is free of gaps.
    """
    first, last = sliding_windows(curve, width)
    if first.size == 0:
        raise ValueError(f"no gap-free window of {width} in {curve.n_time} bins")
    level = np.zeros(curve.n_time) if background is None else np.asarray(background, float)
    counts = np.where(curve.good, curve.total, 0.0)
    gross = _window_sums(counts, first, last)
    net = gross - _window_sums(np.where(curve.good, level, 0.0), first, last)
    best = int(np.argmax(net))
    live = _window_sums(curve.exposure_s(), first, last)[best]
    return Peak(
        start=curve.start[first[best]],
        stop=curve.stop[last[best]],
        net=float(net[best]),
        net_error=float(np.sqrt(max(gross[best], 1.0))),
        rate=float(net[best]) / live / u.s,
    )


def _window_sums(values: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    running = np.r_[0.0, np.cumsum(values)]
    return np.asarray(running[last + 1] - running[first], float)
