"""The background: a polynomial through what lies outside the burst, with its errors."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.polynomial import legendre
from numpy.typing import ArrayLike
from scipy.stats import chi2

from .lightcurve import BoolArray, FloatArray, LightCurve, rebin

N_REWEIGHTS = 4


@dataclass(frozen=True, eq=False)
class Background:
    """A polynomial rate b(t) = sum_k c_k P_k(x), x = (t - centre) / half_span, P_k Legendre's.

    Attributes
    ----------
    coefficients : ndarray of float, shape (order + 1,)
        c_k in counts per second of live time.
    covariance : ndarray of float, shape (order + 1, order + 1)
        Of the coefficients, from Poisson errors; scaled by `chi2` / `n_dof` where that exceeds 1.
    centre_s, half_span_s : float
        The scale of x, which is -1 ... 1 over the curve fitted.
    chi2 : float
        Pearson's chi-square of the bins fitted.
    n_dof : int
        Bins fitted less coefficients.
    """

    coefficients: FloatArray
    covariance: FloatArray
    centre_s: float
    half_span_s: float
    chi2: float
    n_dof: int

    @property
    def p_value(self) -> float:
        """Chance of a `chi2` at least this large were the polynomial true."""
        return float(chi2.sf(self.chi2, self.n_dof))

    def design(self, curve: LightCurve) -> FloatArray:
        """Integrals of P_k over each bin times live fraction, shape (n_time, order + 1); seconds.

        The expected counts are ``design @ coefficients``.
        """
        start, stop = curve.edges_s()
        live = curve.exposure_s() / (stop - start)
        return live[:, None] * _basis_integrals(
            start, stop, self.centre_s, self.half_span_s, self.coefficients.size
        )

    def expected(self, curve: LightCurve) -> FloatArray:
        """Expected background counts of each bin, shape (n_time,)."""
        return np.asarray(self.design(curve) @ self.coefficients, float)

    def draw(self, curve: LightCurve, n_draw: int, rng: np.random.Generator) -> FloatArray:
        """Draw expected counts from the error of the fit, shape (n_draw, n_time)."""
        drawn = rng.multivariate_normal(
            self.coefficients, self.covariance, size=n_draw, method="eigh"
        )
        return np.asarray(drawn @ self.design(curve).T, float)


def _basis_integrals(
    start: FloatArray, stop: FloatArray, centre: float, half_span: float, n_term: int
) -> FloatArray:
    """Integrate P_k over the bins: (2k + 1) int P_k dx = P_{k+1} - P_{k-1}."""
    low, high = (start - centre) / half_span, (stop - centre) / half_span
    top, bottom = (legendre.legvander(x, n_term) for x in (high, low))
    change = top - bottom
    out = np.empty((start.size, n_term))
    out[:, 0] = change[:, 1]
    for k in range(1, n_term):
        out[:, k] = (change[:, k + 1] - change[:, k - 1]) / (2 * k + 1)
    return half_span * out


def fit_background(curve: LightCurve, use: ArrayLike, order: int) -> Background:
    """Fit one polynomial to the counts summed over the channels.

    Weighted least squares; the weights are 1 / (fitted counts), refined a few times, so that the
    estimate is unbiased at low counts, which weights from the data are not (Wheaton et al. 1995,
    ApJ 438, 322).

    Parameters
    ----------
    curve : LightCurve
    use : array of bool, shape (n_time,)
        Bins outside the burst; bad bins are never used.
    order : int
        Degree, >= 0.

    Raises
    ------
    ValueError
        Fewer bins than coefficients.
    """
    use_bins = np.asarray(use, bool) & curve.good
    n_term = order + 1
    if use_bins.sum() <= n_term:
        raise ValueError(
            f"{int(use_bins.sum())} bins are left to fit a background of order {order}; "
            f"expected more than {n_term}: give a longer curve or a lower order"
        )
    start, stop = curve.edges_s()
    centre, half_span = 0.5 * (start[0] + stop[-1]), 0.5 * (stop[-1] - start[0])
    live = curve.exposure_s() / (stop - start)
    design = (live[:, None] * _basis_integrals(start, stop, centre, half_span, n_term))[use_bins]
    counts = curve.total[use_bins]
    flat = np.full(counts.size, max(counts.sum(), 1.0)) * design[:, 0] / design[:, 0].sum()
    fitted = flat
    for _ in range(N_REWEIGHTS):
        weight = 1.0 / np.maximum(fitted, 0.1 * flat)
        normal = design.T @ (weight[:, None] * design)
        coefficients = np.linalg.solve(normal, design.T @ (weight * counts))
        fitted = design @ coefficients
    statistic = float(np.sum((counts - fitted) ** 2 * weight))
    n_dof = int(counts.size - n_term)
    return Background(
        coefficients=coefficients,
        covariance=np.linalg.inv(normal) * max(1.0, statistic / n_dof),
        centre_s=float(centre),
        half_span_s=float(half_span),
        chi2=statistic,
        n_dof=n_dof,
    )


def choose_background(
    curve: LightCurve, use: ArrayLike, *, max_order: int = 4, min_gain: float = 9.0
) -> Background:
    """Fit the polynomial of the lowest order that no higher one betters clearly.

    Raising the order must lower chi-square, in units of chi-square per degree of freedom of the
    highest order, by `min_gain` for each coefficient more: 3 sigma for one.
    """
    fits = [fit_background(curve, use, order) for order in range(max_order + 1)]
    unit = max(1.0, fits[-1].chi2 / fits[-1].n_dof)
    cost = [fit.chi2 / unit + min_gain * order for order, fit in enumerate(fits)]
    return fits[int(np.argmin(cost))]


def off_intervals(curve: LightCurve, intervals: Quantity) -> BoolArray:
    """Tell which bins touch none of some intervals, shape (n_time,); intervals : (n, 2) [time]."""
    start, stop = curve.edges_s()
    off = np.ones(curve.n_time, bool)
    for low, high in np.atleast_2d(intervals.to_value(u.s)):
        off &= (stop <= low) | (start >= high)
    return off


def robust_background(
    curve: LightCurve, *, order: int = 1, cell: Quantity = 4 * u.s, n_iteration: int = 30
) -> Background:
    """Fit a polynomial that a burst pulls little, as a first guess before the burst is known.

    Least absolute deviations by reweighting (weights 1 / |pull| beyond one sigma) on cells of some
    seconds, from the median rate. Works while the burst covers less than half of the curve.
    """
    coarse = rebin(curve, cell)
    use = coarse.good
    start, stop = curve.edges_s()
    centre, half_span = 0.5 * (start[0] + stop[-1]), 0.5 * (stop[-1] - start[0])
    low, high = coarse.edges_s()
    live = coarse.exposure_s() / (high - low)
    design = live[:, None] * _basis_integrals(low, high, centre, half_span, order + 1)
    counts, design = coarse.total[use], design[use]
    if counts.size <= order + 1:
        raise ValueError(f"{counts.size} cells of {cell} for a background of order {order}")
    coefficients = np.zeros(order + 1)
    coefficients[0] = max(float(np.median(counts / design[:, 0])), 1.0 / design[:, 0].sum())
    error = np.sqrt(np.maximum(coefficients[0] * design[:, 0], 1.0))
    for _ in range(n_iteration):
        pull = (counts - design @ coefficients) / error
        weight = 1.0 / np.maximum(np.abs(pull), 1.0) / error**2
        normal = design.T @ (weight[:, None] * design)
        coefficients = np.linalg.solve(normal, design.T @ (weight * counts))
    return Background(
        coefficients=coefficients,
        covariance=np.linalg.inv(normal),
        centre_s=float(centre),
        half_span_s=float(half_span),
        chi2=float(np.sum(pull**2)),
        n_dof=int(counts.size - order - 1),
    )


def excess_scatter(
    curve: LightCurve, use: ArrayLike, background: Background, *, cell: Quantity = 16 * u.s
) -> float:
    """Measure how much more the background varies, cell by cell, than Poisson allows.

    Returns
    -------
    float
        Root mean square of the residuals relative to the background, Poisson variance taken off;
        0 where there is no excess. Cells less than 80 % exposed are left out.
    """
    cell_s = float(cell.to_value(u.s))
    use_bins = np.asarray(use, bool) & curve.good
    start, stop = curve.edges_s()
    index = np.floor(0.5 * (start + stop) / cell_s).astype(np.int64)[use_bins]
    if index.size == 0:
        return 0.0
    index -= index.min()
    live = np.bincount(index, curve.exposure_s()[use_bins])
    full = live > 0.8 * cell_s
    if not full.any():
        return 0.0
    counts = np.bincount(index, curve.total[use_bins])[full]
    expected = np.bincount(index, background.expected(curve)[use_bins])[full]
    excess = float(np.mean(((counts - expected) ** 2 - expected) / expected**2))
    return float(np.sqrt(max(0.0, excess)))
