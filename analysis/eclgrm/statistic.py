"""Likelihood statistics of binned counts: all are -2 ln L up to a constant, and 0 at best.

The formulas are those of the XSPEC manual, appendix B (Arnaud, Dorman & Gordon), written with
the background scaled to the exposure of the source: ``background = B t_s / t_b``.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

Array = NDArray[np.float64]


def cash(counts: Array, expected: Array) -> Array:
    """Give the C-statistic of each bin: Poisson data against an exact expectation.

    Parameters
    ----------
    counts : ndarray of float, shape (..., n)
        Counts observed.
    expected : ndarray of float, shape (..., n)
        Counts expected, source and background together; not negative.

    Returns
    -------
    ndarray of float, shape (..., n)
        ``2 [m - n + n ln(n / m)]`` (Cash 1979; XSPEC appendix B, "cstat"); infinite where
        something was seen that cannot be.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counts > 0, xlogy(counts, counts) - xlogy(counts, expected), 0.0)
    return np.asarray(2 * (expected - counts + logs))


def profile_background(
    counts: Array, source: Array, background: Array, background_error: Array
) -> Array:
    """Give the background that fits best, for a given source: the nuisance of `pg`.

    It is the non-negative root of ``b^2 + (s2 - B + m) b + s2 (m - n) - B m = 0`` (XSPEC
    appendix B, "pgstat", with ``s2`` the variance of ``B``). Without counts the likelihood is
    linear in ``b`` and the optimum is ``B - s2``. In both cases a negative result becomes 0: the
    formula as printed in the manual would let a background be negative where counts fall short.

    Parameters
    ----------
    counts : ndarray of float, shape (..., n)
        Counts observed on source.
    source : ndarray of float, shape (..., n)
        Counts expected from the source alone; not negative.
    background, background_error : ndarray of float, shape (..., n)
        Estimate of the background in the exposure of the source and its standard deviation.

    Returns
    -------
    ndarray of float, shape (..., n)
        Expected background counts.
    """
    variance = background_error * background_error
    # Half of the linear coefficient; the discriminant as a sum of squares and a positive term,
    # which rounding cannot make negative: (s2 - B - m)^2 + 4 s2 n, halved twice.
    half = 0.5 * (variance - background + source)
    root = np.sqrt(0.25 * (variance - background - source) ** 2 + variance * counts)
    # The larger root, in whichever form does not cancel.
    constant = variance * (source - counts) - background * source
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(half > 0, -constant / (half + root), root - half)
    best = np.where(counts > 0, best, background - variance)
    return np.asarray(np.maximum(best, 0.0))


def pg(counts: Array, source: Array, background: Array, background_error: Array) -> Array:
    """Give the PG-statistic of each bin: Poisson data, Gaussian estimate of the background.

    Parameters
    ----------
    counts : ndarray of float, shape (..., n)
        Counts observed on source.
    source : ndarray of float, shape (..., n)
        Counts expected from the source alone; not negative.
    background, background_error : ndarray of float, shape (..., n)
        Estimate of the background in the exposure of the source and its standard deviation. An
        error of 0 means that the background is known: the C-statistic.

    Returns
    -------
    ndarray of float, shape (..., n)
        ``2 [m + b - n + n ln(n / (m + b)) + (B - b)^2 / (2 s2)]`` at the best ``b`` (XSPEC
        appendix B, "pgstat"). Never negative.
    """
    best = profile_background(counts, source, background, background_error)
    known = np.maximum(background, 0.0)
    best = np.where(background_error > 0, best, known)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # At a root (B - b) / s = s (1 - n / (m + b)), which no rounding of b spoils for small s.
        inside = background_error * (1 - counts / (source + best))
        pull = np.where(best > 0, inside, background / background_error)
    pull = np.where(background_error > 0, pull, 0.0)
    return np.asarray(cash(counts, source + best) + pull * pull)
