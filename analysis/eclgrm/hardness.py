"""Hardness ratios of counts in two bands, with errors that hold at few counts.

Park et al. 2006 (ApJ 652, 610): the counts of each band are Poisson, the intensities of the source
have a prior ``p(s) ~ s^(phi - 1)``, and the ratio is read from their joint posterior. There the
background is measured by Poisson counts beside the source; here it is the Gaussian estimate that a
polynomial gives, cut off at 0, and it is integrated out numerically rather than by Monte Carlo, so
that the result is deterministic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

_N_INTENSITY = 2000
_N_BACKGROUND = 41
_N_QUANTILES = 600


@dataclass(frozen=True)
class Band:
    """Counts of one band of energy.

    Attributes
    ----------
    counts : float
        Counts on source, background included.
    background, background_error : float
        Background expected in the same exposure and its standard deviation.
    area : float
        What a net count is worth: effective area times exposure, or 1 for a ratio of counts.
    """

    counts: float
    background: float
    background_error: float = 0.0
    area: float = 1.0

    def __post_init__(self) -> None:
        if not (self.counts >= 0 and self.counts == int(self.counts)):
            raise ValueError(f"counts must be a whole number of at least 0, found {self.counts}")
        if not (np.isfinite(self.background) and self.background_error >= 0):
            raise ValueError(
                f"background must be finite with an error of at least 0, found {self.background} "
                f"+- {self.background_error}"
            )
        if not self.area > 0:
            raise ValueError(f"area must be above 0, found {self.area}")


@dataclass(frozen=True)
class Hardness:
    """Posterior of the hardness of a source; ``h`` and ``s`` are the intensities of the bands.

    Attributes
    ----------
    ratio, ratio_lower, ratio_upper : float
        Median of ``h / s`` and bounds of the central credible interval.
    color, color_lower, color_upper : float
        The same of ``log10(h / s)``; Park et al. use the opposite sign.
    difference, difference_lower, difference_upper : float
        The same of ``(h - s) / (h + s)``, between -1 and 1.
    level : float
        Probability of the intervals.
    """

    ratio: float
    ratio_lower: float
    ratio_upper: float
    color: float
    color_lower: float
    color_upper: float
    difference: float
    difference_lower: float
    difference_upper: float
    level: float


def hardness_ratio(
    soft: Band, hard: Band, *, prior_index: float = 0.5, level: float = 0.6826894921370859
) -> Hardness:
    """Compare the intensities of two bands.

    Parameters
    ----------
    soft, hard : Band
        Counts of the two bands.
    prior_index : float
        ``phi`` of the prior ``s^(phi - 1)``: 0.5 is Jeffreys' and has the best coverage, 1 is flat
        (Park et al. 2006, section 3.3).
    level : float
        Probability of the intervals, between 0 and 1.

    Returns
    -------
    Hardness
        Medians and central intervals. They exist even without a single net count.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, found {level}")
    if not prior_index > 0:
        raise ValueError(f"prior_index must be above 0, found {prior_index}")
    low, high = (
        _posterior_quantiles(band, prior_index=prior_index) / band.area for band in (soft, hard)
    )
    # Both sets are equally probable values, so all pairs are an equally weighted sample of the
    # joint posterior; sorting the log of their ratio serves all three definitions.
    color = np.sort((np.log10(high)[:, None] - np.log10(low)[None, :]).ravel())
    points = np.array([0.5, 0.5 * (1 - level), 0.5 * (1 + level)])
    colors = np.interp(points * len(color) - 0.5, np.arange(len(color)), color)
    ratios = 10**colors
    differences = (ratios - 1) / (ratios + 1)
    names = [
        name + suffix
        for name in ("ratio", "color", "difference")
        for suffix in ("", "_lower", "_upper")
    ]
    numbers = (float(value) for value in (*ratios, *colors, *differences))
    return Hardness(level=level, **dict(zip(names, numbers, strict=True)))


def _posterior_quantiles(band: Band, *, prior_index: float) -> Array:
    """Give equally probable values of a band's source counts, shape (_N_QUANTILES,)."""
    background = _background_nodes(band)
    counts = band.counts
    top = max(counts - background.min(), 0.0) + 8 * np.sqrt(counts + 1) + 12
    # In x = sqrt(s) the prior is x^(2 phi - 1) dx: no singularity at 0 for phi >= 1/2.
    bottom = max(counts - background.max() - 8 * np.sqrt(counts + 1) - 12, 0.0)
    x = np.linspace(np.sqrt(bottom), np.sqrt(top), _N_INTENSITY + 1)
    middle = 0.5 * (x[1:] + x[:-1])
    expected = middle[:, None] ** 2 + background[None, :]
    log_likelihood = counts * np.log(expected) - expected
    log_likelihood -= log_likelihood.max()
    density = np.exp(log_likelihood).sum(axis=1) * middle ** (2 * prior_index - 1)
    cumulative = np.concatenate([[0.0], np.cumsum(density)])
    levels = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES
    return np.asarray(np.interp(levels, cumulative / cumulative[-1], x) ** 2)


def _background_nodes(band: Band) -> Array:
    """Give equally probable values of the background, a normal cut off at 0."""
    if band.background_error == 0:
        return np.array([max(band.background, 0.0)])
    levels = (np.arange(_N_BACKGROUND) + 0.5) / _N_BACKGROUND
    # By the upper tail, which keeps its digits when nearly all of the normal lies below 0.
    kept = ndtr(band.background / band.background_error)
    pull = -ndtri(kept * levels)
    return np.asarray(np.maximum(band.background + band.background_error * pull, 0.0))
