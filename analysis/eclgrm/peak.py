"""Peak fluxes freed from the luck of the draw (QPF)."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .blocks import bayesian_blocks
from .lightcurve import (
    FloatArray,
    LightCurve,
    Peak,
    find_peak,
    good_bins,
    select_bins,
    sliding_windows,
)

FALSE_ALARM = 1e-3


def measure_peak(
    curve: LightCurve,
    width: Quantity,
    *,
    background: ArrayLike,
    start: Quantity,
    stop: Quantity,
    rng: np.random.Generator,
    n_draw: int = 200,
) -> Peak:
    """Find the brightest window of a burst and what it would hold without noise.

    The brightest of many windows is one that the noise favoured, the more so the shorter and the
    fainter: `find_peak` takes it as it is, and so do the catalogues. How much, b, depends on how
    many windows are nearly as bright in truth. Drawing the burst again and again from its Bayesian
    blocks (parametric bootstrap, Efron & Tibshirani 1993, chapter 10) gives the most that it can
    be: mean brightest window of the draws, less that of the blocks, which are flat where the burst
    may have a narrow peak that the noise hides. So b lies between 0 and that most; its half is
    subtracted, and the standard deviation of an even distribution over the range is part of the
    error.

    Parameters
    ----------
    curve : LightCurve
        Restricted to a band.
    width : Quantity [time]
    background : array of float, shape (n_time,)
        Expected background counts of each bin.
    start, stop : Quantity [time]
        The burst interval: only windows inside count.
    rng : numpy.random.Generator
    n_draw : int
        Draws; 200 give b to 7 % of the scatter of the draws.

    Returns
    -------
    Peak
        Window of `find_peak`; net counts, their error and rate as told.

    Raises
    ------
    ValueError
        No window of this width inside is free of gaps.
    """
    level = np.asarray(background, float)[curve.good]
    seen = good_bins(curve)
    low, high = float(start.to_value(u.s)), float(stop.to_value(u.s))
    begin, end = seen.edges_s()
    slack = 1e-6
    inside = (begin >= low - slack) & (end <= high + slack)
    if not inside.any():
        raise ValueError(f"no good bin between {start} and {stop}")
    seen = select_bins(seen, inside)
    level = level[inside]
    peak = find_peak(seen, width, background=level)
    first, last = sliding_windows(seen, width)
    split = bayesian_blocks(seen.total, np.maximum(level, 1e-9), false_alarm=FALSE_ALARM)
    smooth = _block_means(seen.total, level, split)

    def brightest(counts: FloatArray) -> FloatArray:
        grown = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts - level, axis=1)], 1)
        return np.asarray((grown[:, last + 1] - grown[:, first]).max(axis=1), float)

    drawn = brightest(rng.poisson(smooth, size=(n_draw, smooth.size)).astype(float))
    most = max(float(drawn.mean() - brightest(smooth[None, :])[0]), 0.0)
    net = peak.net - 0.5 * most
    return replace(
        peak,
        net=net,
        net_error=float(np.hypot(peak.net_error, most / np.sqrt(12.0))),
        rate=peak.rate * (net / peak.net),
    )


def _block_means(counts: FloatArray, level: FloatArray, split: ArrayLike) -> FloatArray:
    """Spread the counts of each block over its bins as the background is spread."""
    edges = np.asarray(split, np.int64)
    ratio = np.add.reduceat(counts, edges[:-1]) / np.add.reduceat(level, edges[:-1])
    return np.asarray(np.repeat(ratio, np.diff(edges)) * level, float)
