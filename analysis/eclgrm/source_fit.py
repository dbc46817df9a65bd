"""Fit of a point source to the counts of the pixels under a coded mask: position and errors."""

from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .attitude import from_tangent, to_sky
from .eclairs import CodedMask, coded_fraction, overlap, shadowgram
from .imaging import background_basis, check_image, fit_linear
from .lightcurve import FloatArray
from .r90 import gaussian_r90, held_probability
from .statistic import cash

# The first search takes in the cell of the sky image and its neighbours: the peak of the image may
# lie next to the source. Tangents; the image of a source is 0.025 wide.
SEARCH_STEP = 0.004
N_SEARCH = 3
N_ZOOM = 2
N_MAP = 5
MAP_STEP_SIGMA = 0.75
MAX_MAPS = 6
SIGMA_AT_1 = 0.01
"""Standard deviation of a tangent at a signal-to-noise ratio of 1, where the search begins."""
ELLIPSE_90 = float(np.sqrt(2 * np.log(10)))
"""Semi-axes of the ellipse that holds 90 % of a Gaussian, in standard deviations."""


class SourceFitError(ValueError):
    """The counts do not fix a source."""


@dataclass(frozen=True, eq=False)
class SourceFit:
    """A point source in the frame of the instrument.

    Attributes
    ----------
    tangent : ndarray of float, shape (2,)
        (y / x, z / x), mean of the posterior of a flat prior.
    covariance : ndarray of float, shape (2, 2)
        Of the tangents, from the posterior.
    r90 : Quantity [deg]
        Radius on the sky that holds 90 % of the posterior; from the counts alone.
    counts, counts_error : float
        Of the source on the whole detector.
    snr : float
        `counts` / `counts_error`.
    test_statistic : float
        Twice the gain in log-likelihood over no source.
    coded_fraction : float
        Part of the pixels' area that looks at the mask from there.
    """

    tangent: FloatArray
    covariance: FloatArray
    r90: Quantity
    counts: float
    counts_error: float
    snr: float
    test_statistic: float
    coded_fraction: float


@dataclass(frozen=True)
class SkyPosition:
    """A position on the sky with its error.

    Attributes
    ----------
    coordinates : SkyCoord
        ICRS.
    semi_major, semi_minor : Quantity [deg]
        Of the ellipse that holds 90 %.
    position_angle : Quantity [deg]
        Of the major axis, from north through east, 0 ... 180.
    """

    coordinates: SkyCoord
    semi_major: Quantity
    semi_minor: Quantity
    position_angle: Quantity


class _Map(NamedTuple):
    """Likelihood about a place.

    points, shape (n, 2), are tangents; values, shape (n,), are -2 ln L up to a constant, infinite
    where the flux would be negative.
    """

    points: FloatArray
    values: FloatArray

    @property
    def best(self) -> FloatArray:
        return np.asarray(self.points[int(np.argmin(self.values))], float)


class _Model:
    """Likelihood of a source at any place, its flux and the background fitted each time."""

    def __init__(
        self, mask: CodedMask, counts: FloatArray, works: FloatArray, background: FloatArray | None
    ) -> None:
        self.mask = mask
        self.on = (works > 0).ravel()
        self.counts, self.works = counts.ravel()[self.on], works.ravel()[self.on]
        terms = background_basis(mask.n_pixel, 2)[self.on] * self.works[:, None]
        if background is not None:
            terms = background.ravel()[self.on][:, None]
        if not terms.any():
            raise SourceFitError("the background image is 0 everywhere; expected counts")
        self.terms = terms
        coefficients, expected = fit_linear(terms, self.counts)
        self.start = np.r_[0.0, coefficients]
        self.without = float(cash(self.counts, expected).sum())

    def lit(self, tangent: FloatArray) -> FloatArray:
        return np.asarray(shadowgram(self.mask, tangent).ravel()[self.on] * self.works, float)

    def fit(self, tangent: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """C-statistic, coefficients (the flux first) and their design matrix."""
        design = np.column_stack([self.lit(tangent), self.terms])
        found, expected = fit_linear(design, self.counts, start=self.start)
        if found[0] < 0:
            return self.without, np.r_[0.0, self.start[1:]], design
        return float(cash(self.counts, expected).sum()), found, design

    def map(self, centre: FloatArray, step: FloatArray, n_half: int, n_step: int) -> _Map:
        """Statistic on a square grid; each value after some steps from the last best fit."""
        along = np.arange(-n_half, n_half + 1)
        y, z = centre[0] + along * step[0], centre[1] + along * step[1]
        is_open = self.mask.is_open.astype(float)
        columns = [is_open @ overlap(self.mask, float(value)).T for value in z]
        design = np.column_stack([np.zeros(self.counts.size), self.terms])
        values = []
        for one in y:
            rows = overlap(self.mask, float(one))
            for column in columns:
                design[:, 0] = (rows @ column).ravel()[self.on] * self.works
                if not design[:, 0].any():
                    values.append(np.inf)
                    continue
                found, expected = fit_linear(design, self.counts, start=self.start, n_step=n_step)
                gain = 2 * float(expected.sum() - self.counts @ np.log(expected))
                values.append(gain if found[0] > 0 else np.inf)
        points = np.stack([axis.ravel() for axis in np.meshgrid(y, z, indexing="ij")], axis=1)
        return _Map(points, np.array(values))


def fit_source(
    mask: CodedMask,
    counts: ArrayLike,
    start: ArrayLike,
    *,
    background: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
) -> SourceFit:
    """Fit position and flux of one source by the shadow that its mask throws.

    The likelihood of the pixels' counts is Poisson's; flux and background are fitted anew at each
    place, and the place is the mean of the likelihood over a grid fine enough to resolve it.

    Parameters
    ----------
    mask : CodedMask
    counts : array of float, shape (n_pixel, n_pixel)
        By RAWY, then RAWZ.
    start : array of float, shape (2,)
        Peak of the sky image (`imaging.find_peaks`), in tangents.
    background : array of float, shape (n_pixel, n_pixel), optional
        Shape of the background; its level is fitted. By default a quadratic is fitted as well.
    efficiency : array of float, shape (n_pixel, n_pixel), optional
        Relative; 0 for pixels that are switched off.

    Raises
    ------
    SourceFitError
        There are no counts, the start lies outside the field, or no source is there.
    """
    data, works = check_image(mask, counts, efficiency)
    centre = np.asarray(start, float)
    if not data.sum() > 0:
        raise SourceFitError("the image holds no counts; expected those of the burst")
    if not coded_fraction(mask, centre) > 0:
        raise SourceFitError(f"the start {centre.tolist()} lies outside the field of view")
    shape = None if background is None else np.asarray(background, float)
    model = _Model(mask, data, works, shape)
    best = _search(model, centre)
    points, weight = _resolve(model, best)
    mean = weight @ points
    covariance = (points - mean).T @ ((points - mean) * weight[:, None])
    separation = _separation(points, mean)
    return _result(model, mean, covariance, held_probability(separation, weight, 0.9))


def _search(model: _Model, centre: FloatArray) -> FloatArray:
    """Find the most likely place by finer and finer grids; leaves the model at its best fit."""
    step = np.full(2, SEARCH_STEP)
    best = model.map(centre, step, N_SEARCH, 2).best
    while True:
        statistic, found, _ = model.fit(best)
        if not statistic < model.without:
            raise SourceFitError(
                f"no source near the tangents {centre.tolist()}: the flux is not > 0"
            )
        model.start = found
        gain = max(model.without - statistic, 1.0)
        if step[0] <= SIGMA_AT_1 / np.sqrt(gain):
            return best
        step = step / 2.5
        best = model.map(best, step, N_ZOOM, 1).best


def _resolve(model: _Model, best: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Map the likelihood about its best point on a grid fitted to its width.

    Returns
    -------
    points, shape (n, 2), and their weights, which sum to 1.

    Raises
    ------
    SourceFitError
        The likelihood has no bounded peak.
    """
    statistic = model.fit(best)[0]
    sigma = np.full(2, SIGMA_AT_1 / np.sqrt(max(model.without - statistic, 1.0)))
    for _ in range(MAX_MAPS):
        points, values = model.map(best, MAP_STEP_SIGMA * sigma, N_MAP, 1)
        if not np.isfinite(values).any():
            break
        weight = np.exp(-0.5 * (values - values.min()))
        weight /= weight.sum()
        square = weight.reshape(2 * N_MAP + 1, -1)
        rim = 1.0 - float(square[1:-1, 1:-1].sum())
        mean = weight @ points
        width = np.sqrt(weight @ (points - mean) ** 2)
        is_narrow = bool((width < 0.5 * sigma).any())
        if rim < 2e-3 and not is_narrow:
            return points, weight
        best = mean
        sigma = np.maximum(width, 0.3 * sigma) * (1.0 if is_narrow else 1.4)
    raise SourceFitError(
        f"the counts do not fix a place near the tangents {best.tolist()}: "
        "the source is too faint; take a longer interval or another band"
    )


def _separation(points: FloatArray, centre: FloatArray) -> FloatArray:
    """Angles on the sky from one direction, all as tangents [deg]."""
    chord = np.linalg.norm(from_tangent(points) - from_tangent(centre), axis=-1)
    return np.asarray(np.degrees(2 * np.arcsin(0.5 * chord)), float)


def _result(model: _Model, mean: FloatArray, covariance: FloatArray, r90_grid: float) -> SourceFit:
    statistic, found, design = model.fit(mean)
    expected = np.maximum(design @ found, 1e-3 * model.counts.mean())
    information = design.T @ (design / expected[:, None])
    lit = float(design[:, 0].sum())
    counts, error = found[0] * lit, lit * float(np.sqrt(np.linalg.pinv(information)[0, 0]))
    jacobian = _jacobian(mean)
    gaussian = np.degrees(gaussian_r90(jacobian @ covariance @ jacobian.T))
    return SourceFit(
        tangent=mean,
        covariance=covariance,
        # The grid is coarse for the quantile where the likelihood is narrow; take the wider.
        r90=max(r90_grid, gaussian) * u.deg,
        counts=float(counts),
        counts_error=error,
        snr=float(counts / error),
        test_statistic=max(model.without - statistic, 0.0),
        coded_fraction=float(coded_fraction(model.mask, mean)),
    )


def _unit_jacobian(tangent: FloatArray) -> FloatArray:
    """Derivative of the unit vector with the tangents, shape (3, 2)."""
    raw = np.r_[1.0, tangent]
    norm = np.linalg.norm(raw)
    return np.asarray((np.eye(3) - np.outer(raw, raw) / norm**2)[:, 1:] / norm, float)


def _jacobian(tangent: FloatArray) -> FloatArray:
    """Derivative of two angles on the sky with the tangents, in some orthogonal axes: (2, 2)."""
    return np.asarray(np.linalg.qr(_unit_jacobian(tangent))[1], float)


def sky_position(fit: SourceFit, attitude: ArrayLike) -> SkyPosition:
    """Turn a fitted source into a position on the sky and its 90 % ellipse.

    Parameters
    ----------
    fit : SourceFit
    attitude : array of float, shape (4,)
        Quaternion from the instrument's frame to ICRS (`attitude`).
    """
    coordinates = to_sky(from_tangent(fit.tangent), attitude)
    step = 1e-5
    shifted = [to_sky(from_tangent(fit.tangent + step * unit), attitude) for unit in np.eye(2)]
    offsets = [coordinates.spherical_offsets_to(one) for one in shifted]
    east_north = np.array([[o[0].to_value(u.deg), o[1].to_value(u.deg)] for o in offsets]).T / step
    values, axes = np.linalg.eigh(east_north @ fit.covariance @ east_north.T)
    minor, major = ELLIPSE_90 * np.sqrt(np.maximum(values, 0.0))
    angle = np.degrees(np.arctan2(axes[0, 1], axes[1, 1])) % 180.0
    return SkyPosition(coordinates, major * u.deg, minor * u.deg, angle * u.deg)
