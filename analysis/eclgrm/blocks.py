"""Bayesian blocks, the best piecewise-constant rate, and the burst interval found with them."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .background import Background, choose_background, excess_scatter, robust_background
from .lightcurve import BoolArray, FloatArray, IntArray, LightCurve, good_bins


def block_prior(n_cell: int, false_alarm: float) -> float:
    """Price of one more block for a chance of a false change point.

    The calibration of Scargle et al. 2013 (ApJ 764, 167), eq. 21, for events:
    ``4 - ln(73.53 p0 N**-0.478)``.
    """
    if not 0 < false_alarm < 1:
        raise ValueError(f"the false-alarm probability is {false_alarm}; expected 0 < p < 1")
    return float(4.0 - np.log(73.53 * false_alarm * n_cell**-0.478))


def bayesian_blocks(
    counts: ArrayLike, exposure: ArrayLike, *, false_alarm: float = 0.01
) -> IntArray:
    """Find the optimal partition of cells into blocks of constant counts per exposure.

    Dynamic programming of Jackson et al. 2005 with the fitness N ln(N / E) of Scargle et al.
    2013, eq. 19. A cell that can no longer begin the last block is dropped (Killick et al. 2012:
    splitting a block never lowers the sum of fitnesses), which changes no result.

    Parameters
    ----------
    counts : array of float, shape (n_cell,)
        Counts of each cell, >= 0.
    exposure : array of float, shape (n_cell,)
        Width of each cell, > 0: its live time, or the expected background counts, in which case
        blocks are constant in units of the background however it drifts (Scargle et al. 2013,
        section 3.3: variable exposure).
    false_alarm : float
        Chance p0 of a false change point.

    Returns
    -------
    ndarray of int, shape (n_block + 1,)
        Index of the first cell of each block, then n_cell.

    Raises
    ------
    ValueError
        Shapes differ, or a value is out of range.
    """
    number, width = np.asarray(counts, float), np.asarray(exposure, float)
    if number.ndim != 1 or number.shape != width.shape or number.size == 0:
        raise ValueError(f"counts {number.shape} and exposure {width.shape}; expected one shape")
    if not (number >= 0).all() or not (width > 0).all():
        raise ValueError("expected counts >= 0 and exposure > 0 in every cell")
    price = block_prior(number.size, false_alarm)
    sum_n, sum_e = np.r_[0.0, np.cumsum(number)], np.r_[0.0, np.cumsum(width)]
    best = np.zeros(number.size + 1)
    origin = np.zeros(number.size, np.int64)
    alive = np.empty(number.size, np.int64)
    n_alive = 0
    for end in range(1, number.size + 1):
        alive[n_alive] = end - 1
        first = alive[: n_alive + 1]
        value = best[first] + _fitness(sum_n[end] - sum_n[first], sum_e[end] - sum_e[first])
        at = int(np.argmax(value))
        best[end], origin[end - 1] = value[at] - price, first[at]
        keep = first[value >= best[end]]
        n_alive = keep.size
        alive[:n_alive] = keep
    return _trace(origin)


def bayesian_blocks_events(
    time: Quantity, start: Quantity, stop: Quantity, *, false_alarm: float = 0.01
) -> Quantity:
    """Find the blocks of single events in an interval of observation.

    The cell of an event reaches half way to its neighbours (Scargle et al. 2013, section 2.2).
    For more than some ten thousand events, bin them first: the work grows up to quadratically.

    Parameters
    ----------
    time : Quantity [time], shape (n_event,)
        Distinct times inside the interval, in any order.
    start, stop : Quantity [time]
        The interval.

    Returns
    -------
    Quantity [s], shape (n_block + 1,)
        Edges of the blocks; the first is `start`, the last `stop`.
    """
    event = np.sort(np.asarray(time.to_value(u.s), float))
    low, high = float(start.to_value(u.s)), float(stop.to_value(u.s))
    if event.size == 0:
        return Quantity([low, high], u.s)
    if event[0] < low or event[-1] > high:
        raise ValueError(f"events from {event[0]} to {event[-1]} s; expected {low} to {high} s")
    if (np.diff(event) <= 0).any():
        raise ValueError("two events share one time; expected distinct times: bin them instead")
    edges = np.r_[low, 0.5 * (event[1:] + event[:-1]), high]
    split = bayesian_blocks(np.ones(event.size), np.diff(edges), false_alarm=false_alarm)
    return Quantity(edges[split], u.s)


def _fitness(number: FloatArray, width: FloatArray) -> FloatArray:
    ratio = np.where(number > 0, number, 1.0) / width
    return np.asarray(number * np.log(ratio), float)


def _trace(origin: IntArray) -> IntArray:
    edges = [origin.size]
    while edges[-1] > 0:
        edges.append(int(origin[edges[-1] - 1]))
    return np.array(edges[::-1], np.int64)


@dataclass(frozen=True)
class BurstSearch:
    """Settings of `find_burst`; the defaults are those of every number in the documentation.

    Attributes
    ----------
    false_alarm : float
        Of `bayesian_blocks`.
    threshold : float
        Significance at which a block is part of the burst, in sigma.
    max_order : int
        Highest degree of the background over the whole curve.
    min_fraction : float
        An episode further from the rest than the rest lasts belongs to the burst only if it, with
        all beyond it, holds this fraction of the rest's net counts: less cannot move the 5 % and
        95 % levels by itself, and the catalogues leave it out.
    max_iteration : int
        Of background and blocks in turn.
    """

    false_alarm: float = 1e-3
    threshold: float = 5.0
    max_order: int = 4
    min_fraction: float = 0.05
    max_iteration: int = 12


@dataclass(frozen=True, eq=False)
class Burst:
    """Where a light curve rises above its background.

    Attributes
    ----------
    start, stop : Quantity [s]
        The burst interval.
    episodes : Quantity [s], shape (n_episode, 2)
        Every significant stretch of blocks, also those that are not part of the burst.
    significance : float
        Of the interval as a whole, in sigma, with the error and the scatter of the background.
    background : Background
        Over the whole curve, fitted outside all episodes.
    scatter : float
        Of the background beyond Poisson, relative (`excess_scatter`).
    """

    start: Quantity
    stop: Quantity
    episodes: Quantity
    significance: float
    background: Background
    scatter: float


def find_burst(curve: LightCurve, *, search: BurstSearch | None = None) -> Burst | None:
    """Find the burst interval: background and Bayesian blocks in turn until neither changes.

    The blocks are constant in units of the background. A block belongs to the burst where
    ``(N - B) / sqrt(B + var B + (f B)**2)`` exceeds the threshold; N counts, B background with its
    variance from the fit, f its scatter beyond Poisson. The background is refitted outside those
    blocks. Bad bins are skipped.

    Parameters
    ----------
    curve : LightCurve
        Restrict it to the band where the burst is clearest first (`select_band`).
    search : BurstSearch, optional

    Returns
    -------
    Burst or None
        None where nothing exceeds the threshold.
    """
    chosen = search or BurstSearch()
    seen = good_bins(curve)
    background, scatter = robust_background(seen), 0.0
    on = np.zeros(seen.n_time, bool)
    for _ in range(chosen.max_iteration):
        new = _significant_bins(seen, background, scatter, chosen)
        if not new.any():
            return None
        if (new == on).all():
            break
        on = new
        background = choose_background(seen, ~on, max_order=chosen.max_order)
        scatter = excess_scatter(seen, ~on, background)
    first, last = _runs(on)
    begin, end = _main_run(seen, background, first, last, chosen.min_fraction)
    inside = np.zeros(seen.n_time, bool)
    inside[first[begin] : last[end] + 1] = True
    return Burst(
        start=seen.start[first[begin]],
        stop=seen.stop[last[end]],
        episodes=Quantity(np.stack([seen.start[first], seen.stop[last]], axis=1)),
        significance=_significance(
            seen, background, scatter, np.array([np.argmax(inside)]), np.array([last[end] + 1])
        )[0],
        background=background,
        scatter=scatter,
    )


def _significance(
    curve: LightCurve,
    background: Background,
    scatter: float,
    first: IntArray,
    after: IntArray,
) -> FloatArray:
    """Significance of stretches of bins; `after` is one past the last."""
    design = background.design(curve)
    sums = np.concatenate([np.zeros((1, design.shape[1])), np.cumsum(design, axis=0)])
    part = sums[after] - sums[first]
    expected = part @ background.coefficients
    counted = np.r_[0.0, np.cumsum(curve.total)]
    net = counted[after] - counted[first] - expected
    from_fit = np.einsum("ij,jk,ik->i", part, background.covariance, part)
    variance = np.maximum(expected, 1.0) + from_fit + (scatter * expected) ** 2
    return np.asarray(net / np.sqrt(variance), float)


def _significant_bins(
    curve: LightCurve, background: Background, scatter: float, search: BurstSearch
) -> BoolArray:
    expected = background.expected(curve)
    floor = 1e-3 * expected.max(initial=1e-9) * curve.exposure_s() / curve.exposure_s().max()
    edges = bayesian_blocks(
        curve.total, np.maximum(expected, floor), false_alarm=search.false_alarm
    )
    sigma = _significance(curve, background, scatter, edges[:-1], edges[1:])
    return np.repeat(sigma > search.threshold, np.diff(edges))


def _runs(on: BoolArray) -> tuple[IntArray, IntArray]:
    step = np.diff(np.r_[0, on.astype(np.int64), 0])
    return np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1


def _main_run(
    curve: LightCurve,
    background: Background,
    first: IntArray,
    last: IntArray,
    min_fraction: float,
) -> tuple[int, int]:
    """Grow from the run of most counts to its neighbours; return the first and the last run."""
    start, stop = curve.edges_s()
    running = np.r_[0.0, np.cumsum(curve.total - background.expected(curve))]
    net = running[last + 1] - running[first]
    begin = end = int(np.argmax(net))
    while True:
        reach = stop[last[end]] - start[first[begin]]
        need = min_fraction * net[begin : end + 1].sum()
        sides = []
        if begin > 0:
            gap = start[first[begin]] - stop[last[begin - 1]]
            sides.append((gap, net[:begin].sum(), begin - 1))
        if end < net.size - 1:
            gap = start[first[end + 1]] - stop[last[end]]
            sides.append((gap, net[end + 1 :].sum(), end + 1))
        joined = [run for gap, beyond, run in sorted(sides) if gap <= reach or beyond >= need]
        if not joined:
            return begin, end
        begin, end = min(begin, joined[0]), max(end, joined[0])
