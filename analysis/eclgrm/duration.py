"""Durations T90 and T50: the times in which the middle 90 and 50 % of the counts arrive."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity

from .background import Background, choose_background, excess_scatter, off_intervals
from .blocks import Burst, BurstSearch, find_burst
from .lightcurve import BoolArray, FloatArray, LightCurve, good_bins, select_band, select_bins

LEVELS = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True)
class DurationSettings:
    """Settings of `measure_durations`; the defaults are those of the documentation.

    Attributes
    ----------
    margin : Quantity [time]
        Stretch before and after the burst interval to which the background is fitted.
    max_order : int
        Highest degree of that background.
    min_gain : float
        What a coefficient more must gain in chi-square (`choose_background`). 2 is Akaike's
        criterion; 9, for which only a clear curvature is fitted, left a curvature just too small
        to be clear in the durations but not in their errors (docs, closed loop).
    min_side : Quantity [time]
        With less background than this on either side the polynomial is at most a straight line:
        a curve would run free there.
    plateau : float
        Length of the stretches that give the levels before and after the burst, in lengths of
        the burst interval; never longer than `margin`.
    guard : float
        Stretch before and after the burst interval that is neither background nor plateau, in
        lengths of the interval: room for tails too faint for a block of their own, which a
        background fitted right up to the interval takes away.
    max_guard : Quantity [time]
        Longest guard: in long bursts the interval says nothing of the length of the last tail.
    n_bootstrap : int
        Draws for the errors.
    scatter_cell : Quantity [time]
        Time in which the background's scatter beyond Poisson is taken as one fluctuation.
    """

    margin: Quantity = 100 * u.s
    max_order: int = 2
    min_gain: float = 2.0
    min_side: Quantity = 30 * u.s
    plateau: float = 1.0
    guard: float = 0.5
    max_guard: Quantity = 10 * u.s
    n_bootstrap: int = 400
    scatter_cell: Quantity = 16 * u.s


@dataclass(frozen=True, eq=False)
class Durations:
    """T90 and T50 of a burst (product QT90).

    Attributes
    ----------
    t90, t90_error, t90_start, t50, t50_error, t50_start : Quantity [s]
        Durations, their one-sigma errors, and when they begin, relative to the curve's time zero.
    net, net_error : float
        Counts of the burst above the background, all channels.
    gap : Quantity [s]
        Time inside the burst interval without good data: counts lost there are in no number.
    background : Background
        Fitted around the burst.
    """

    t90: Quantity
    t90_error: Quantity
    t90_start: Quantity
    t50: Quantity
    t50_error: Quantity
    t50_start: Quantity
    net: float
    net_error: float
    gap: Quantity
    background: Background


def measure_durations(
    curve: LightCurve,
    start: Quantity,
    stop: Quantity,
    *,
    rng: np.random.Generator,
    settings: DurationSettings | None = None,
) -> Durations:
    """Measure T90 and T50 from the cumulative net counts (Koshut et al. 1996, ApJ 463, 570).

    A polynomial background is fitted around the burst interval; the levels of 0 and 100 % are the
    means of the cumulative curve over a plateau before and after it, so tails too faint for the
    interval still count; the 5, 25, 75 and 95 % times are interpolated, each the crossing nearest
    the burst's middle (half of the counts). Errors: the bootstrap draws Poisson counts in each
    bin, the background from the covariance of its fit, and its scatter beyond Poisson.

    Parameters
    ----------
    curve : LightCurve
        Counts are summed over all its channels.
    start, stop : Quantity [time]
        The burst interval, as of `find_burst`.
    rng : numpy.random.Generator
        For the bootstrap.
    settings : DurationSettings, optional

    Raises
    ------
    ValueError
        No net counts in the interval, or too little background around it.
    """
    chosen = settings or DurationSettings()
    low, high = float(start.to_value(u.s)), float(stop.to_value(u.s))
    if not high > low:
        raise ValueError(f"the burst interval is {start} to {stop}; expected start < stop")
    bare = (low, high)
    guard = min(chosen.guard * (high - low), float(chosen.max_guard.to_value(u.s)))
    low, high = low - guard, high + guard
    near = _cut(curve, low, high, chosen)
    off = off_intervals(near, Quantity([[low, high]], u.s))
    background = choose_background(
        near, off, max_order=_highest_order(near, off, chosen), min_gain=chosen.min_gain
    )
    pad = min(chosen.plateau * (bare[1] - bare[0]), float(chosen.margin.to_value(u.s)))
    window = _Window(near, low, high, pad)
    net = near.total - background.expected(near)
    times, total = window.quantiles(net)
    if not np.isfinite(times).all():
        raise ValueError(
            f"{total:.1f} net counts from {low} to {high} s: no burst to take a duration of"
        )
    drawn = _bootstrap(near, off, background, rng, chosen)
    results = [window.quantiles(sample) for sample in drawn]
    spread = np.array([quantile for quantile, _ in results if np.isfinite(quantile).all()])
    t90_error, t50_error = np.std(spread[:, 3] - spread[:, 0]), np.std(spread[:, 2] - spread[:, 1])
    return Durations(
        t90=(times[3] - times[0]) * u.s,
        t90_error=float(t90_error) * u.s,
        t90_start=times[0] * u.s,
        t50=(times[2] - times[1]) * u.s,
        t50_error=float(t50_error) * u.s,
        t50_start=times[1] * u.s,
        net=total,
        net_error=float(np.std([sample_total for _, sample_total in results])),
        gap=_gap(near, *bare) * u.s,
        background=background,
    )


def measure_burst(
    curve: LightCurve,
    *,
    rng: np.random.Generator,
    band: tuple[Quantity, Quantity] = (50 * u.keV, 300 * u.keV),
    search: BurstSearch | None = None,
    settings: DurationSettings | None = None,
) -> tuple[Burst, Durations]:
    """Find the burst in a band, then measure its durations over all channels of the curve.

    The band of the search is that of the BATSE trigger, where bursts stand out most: softer
    sources and particle events reach the other channels first.

    Raises
    ------
    ValueError
        Nothing in the band exceeds the background.
    """
    burst = find_burst(select_band(curve, *band), search=search)
    if burst is None:
        raise ValueError(f"no burst above the background between {band[0]} and {band[1]}")
    return burst, measure_durations(curve, burst.start, burst.stop, rng=rng, settings=settings)


def _cut(curve: LightCurve, low: float, high: float, settings: DurationSettings) -> LightCurve:
    """Keep the good bins of the burst interval and of the margins."""
    margin = float(settings.margin.to_value(u.s))
    seen = good_bins(curve)
    start, stop = seen.edges_s()
    near = (stop > low - margin) & (start < high + margin)
    if not near.any():
        raise ValueError(f"no good data within {margin} s of the interval {low} to {high} s")
    return select_bins(seen, near)


def _highest_order(curve: LightCurve, off: BoolArray, settings: DurationSettings) -> int:
    """Degree that the background may have: a line where one side of the burst is short."""
    lived = np.where(off, curve.exposure_s(), 0.0)
    on = np.flatnonzero(~off)
    if on.size == 0:
        return settings.max_order
    shorter = min(lived[: on[0]].sum(), lived[on[-1] + 1 :].sum())
    if shorter >= float(settings.min_side.to_value(u.s)):
        return settings.max_order
    return min(1, settings.max_order)


def _gap(curve: LightCurve, low: float, high: float) -> float:
    start, stop = curve.edges_s()
    covered = np.clip(np.minimum(stop, high) - np.maximum(start, low), 0.0, None).sum()
    return max(0.0, float(high - low - covered))


def _bootstrap(
    curve: LightCurve,
    off: BoolArray,
    background: Background,
    rng: np.random.Generator,
    settings: DurationSettings,
) -> FloatArray:
    """Draw net counts, shape (n_bootstrap, n_time)."""
    n_draw = settings.n_bootstrap
    scatter = excess_scatter(curve, off, background, cell=settings.scatter_cell)
    start, stop = curve.edges_s()
    cell = np.floor(0.5 * (start + stop) / settings.scatter_cell.to_value(u.s)).astype(np.int64)
    cell -= cell.min()
    wobble = 1.0 + scatter * rng.standard_normal((n_draw, int(cell.max()) + 1))[:, cell]
    counts = rng.poisson(curve.total, size=(n_draw, curve.n_time))
    return np.asarray(counts - background.draw(curve, n_draw, rng) * wobble, float)


class _Window:
    """The burst interval and its plateaus on the bins of a curve."""

    def __init__(self, curve: LightCurve, low: float, high: float, pad: float) -> None:
        start, stop = curve.edges_s()
        self.inside = (stop > low - pad) & (start < high + pad)
        self.edges = np.stack([start, stop], axis=1)[self.inside]
        self.before = self._weights(low - pad, low)
        self.after = self._weights(high, high + pad)

    def _weights(self, low: float, high: float) -> FloatArray:
        """Time that each bin's middle stands for in the mean of a plateau."""
        start, stop = self.edges.T
        return np.asarray(np.clip(np.minimum(stop, high) - np.maximum(start, low), 0.0, None))

    def quantiles(self, net: FloatArray) -> tuple[FloatArray, float]:
        """Return the times of LEVELS, NaN where there is no burst, and the net counts."""
        inside = net[self.inside]
        ends = np.r_[0.0, np.cumsum(inside)]
        middles = ends[:-1] + 0.5 * inside
        zero = np.average(middles, weights=self.before) if self.before.any() else 0.0
        top = np.average(middles, weights=self.after) if self.after.any() else ends[-1]
        total = float(top - zero)
        if not total > 0:
            return np.full(len(LEVELS), np.nan), total
        grown = (ends - zero) / total
        half = int(np.argmax(grown >= 0.5))
        return np.array([self._crossing(grown, level, half) for level in LEVELS]), total

    def _crossing(self, grown: FloatArray, level: float, half: int) -> float:
        """Interpolate where the curve crosses a level nearest to its middle."""
        if level < 0.5:
            below = np.flatnonzero(grown[:half] < level)
            at = int(below[-1]) if below.size else 0
        else:
            at = half - 1 + int(np.argmax(grown[half:] >= level))
            if grown[at + 1] < level:
                at = grown.size - 2
        start, stop = self.edges[at]
        rise = grown[at + 1] - grown[at]
        part = (level - grown[at]) / rise if rise > 0 else 0.5
        return float(start + (stop - start) * min(max(part, 0.0), 1.0))
