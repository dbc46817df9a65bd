"""Sky images of the coded mask: what the counts of the pixels say of each direction.

The decoding is balanced cross-correlation, as in Goldwurm & Gros (arXiv:2305.10130, section 3) and
Gros et al. 2003 (A&A 411, L179), normalised direction by direction over what of the mask each
pixel sees, so that it holds in the partially coded field as well.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft2, next_fast_len, rfft2

from .eclairs import CodedMask
from .lightcurve import FloatArray

MIN_CODED = 0.05
"""Least coded fraction of a direction in the image: a 20th of the pixels, some 320."""
N_REWEIGHTS = 5


@dataclass(frozen=True, eq=False)
class SkyImage:
    """Flux and its error for each direction of a grid in the tangent plane.

    Neighbouring directions are correlated: the step is one pixel of the detector seen from the
    mask, 0.56 degrees, and an image of a source about a cell of the mask, 1.4 degrees, wide.

    Attributes
    ----------
    tangent : ndarray of float, shape (n_sky,)
        Grid of y / x, and of z / x.
    flux : ndarray of float, shape (n_sky, n_sky)
        Counts that a source in this direction gives a pixel that is lit wholly; by y, then z.
        NaN where less than `MIN_CODED` of the pixels look at the mask.
    variance : ndarray of float, shape (n_sky, n_sky)
        Of the flux, from the counts themselves.
    coded_fraction : ndarray of float, shape (n_sky, n_sky)
        Part of the working pixels that look at the mask.
    """

    tangent: FloatArray
    flux: FloatArray
    variance: FloatArray
    coded_fraction: FloatArray

    @property
    def snr(self) -> FloatArray:
        """Signal-to-noise ratio, shape (n_sky, n_sky); NaN where the flux is."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.flux / np.sqrt(self.variance), float)


@dataclass(frozen=True)
class Peak:
    """A local maximum of a sky image.

    Attributes
    ----------
    tangent : tuple of float
        (y / x, z / x) of the grid point.
    snr, flux, coded_fraction : float
        There.
    """

    tangent: tuple[float, float]
    snr: float
    flux: float
    coded_fraction: float


def decode(
    mask: CodedMask,
    counts: ArrayLike,
    *,
    background: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
) -> SkyImage:
    """Decode the counts of the pixels into a sky image.

    With G the lit fraction of a pixel for a direction, C the fraction that looks at the mask, E
    its efficiency and m = sum(E G) / sum(E C), the flux is the sum of (G - m C) (D - B) divided
    by the sum of E (G - m C) G: an unknown flat background drops out, direction by direction.

    Parameters
    ----------
    mask : CodedMask
    counts : array of float, shape (n_pixel, n_pixel)
        D, by RAWY, then RAWZ.
    background : array of float, shape (n_pixel, n_pixel), optional
        B, expected counts of what is not flat (`background_image`); 0 by default.
    efficiency : array of float, shape (n_pixel, n_pixel), optional
        E, relative; 0 for pixels that are switched off, whose counts are left out. 1 by default.

    Raises
    ------
    ValueError
        Shapes differ, counts are negative or not finite, or no pixel works.
    """
    data, works = check_image(mask, counts, efficiency)
    data = np.where(works > 0, data, 0.0)
    expected = np.zeros_like(data) if background is None else np.asarray(background, float)
    if expected.shape != data.shape:
        raise ValueError(f"background has the shape {expected.shape}; expected {data.shape}")
    lit, seen, n_grid = _mask_plane(mask)
    n_fast = next_fast_len(n_grid + mask.n_pixel - 1, real=True)
    planes = {"g": lit, "c": seen, "gg": lit**2, "gc": lit * seen, "cc": seen**2}
    masks = {name: rfft2(plane, (n_fast, n_fast)) for name, plane in planes.items()}

    def correlate(image: FloatArray, *names: str) -> list[FloatArray]:
        turned = rfft2(image[::-1, ::-1], (n_fast, n_fast))
        n_sky = n_grid + mask.n_pixel - 1
        return [irfft2(masks[name] * turned, (n_fast, n_fast))[:n_sky, :n_sky] for name in names]

    signal_g, signal_c = correlate(np.where(works > 0, data - expected, 0.0), "g", "c")
    exposed_g, exposed_c, exposed_gg, exposed_gc = correlate(works, "g", "c", "gg", "gc")
    noise_gg, noise_gc, noise_cc = correlate(data, "gg", "gc", "cc")
    coded = np.clip(exposed_c / works.sum(), 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = exposed_g / exposed_c
        norm = exposed_gg - mean * exposed_gc
        kept = (coded >= MIN_CODED) & (norm > 0)
        flux = np.where(kept, (signal_g - mean * signal_c) / norm, np.nan)
        noise = noise_gg - 2 * mean * noise_gc + mean**2 * noise_cc
        variance = np.where(kept & (noise > 0), noise / norm**2, np.nan)
    step = mask.pitch_mm / mask.distance_mm
    half = 0.5 * (flux.shape[0] - 1)
    return SkyImage(step * (np.arange(flux.shape[0]) - half), flux, variance, coded)


def find_peaks(image: SkyImage, *, n_peak: int = 5, apart: float = 0.05) -> tuple[Peak, ...]:
    """Find the highest points of the signal-to-noise ratio, highest first.

    Parameters
    ----------
    image : SkyImage
    n_peak : int
        At most as many.
    apart : float
        Least distance of two peaks along either axis, in tangents: about 3 degrees.
    """
    snr = np.where(np.isfinite(image.snr), image.snr, -np.inf)
    reach = round(apart / (image.tangent[1] - image.tangent[0]))
    peaks: list[Peak] = []
    for _ in range(n_peak):
        row, column = np.unravel_index(int(np.argmax(snr)), snr.shape)
        if not np.isfinite(snr[row, column]):
            break
        peaks.append(
            Peak(
                tangent=(float(image.tangent[row]), float(image.tangent[column])),
                snr=float(snr[row, column]),
                flux=float(image.flux[row, column]),
                coded_fraction=float(image.coded_fraction[row, column]),
            )
        )
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
        snr[rows, columns] = -np.inf
    return tuple(peaks)


def background_basis(n_pixel: int, order: int) -> FloatArray:
    """Polynomials in y and z up to a total degree, shape (n_pixel ** 2, n_term)."""
    along = np.linspace(-1, 1, n_pixel)
    y, z = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    return np.stack([y**i * z**j for i, j in powers], axis=1)


def background_image(
    counts: ArrayLike, *, order: int = 2, efficiency: ArrayLike | None = None
) -> FloatArray:
    """Fit a smooth surface to an image taken before the burst (Antier et al. 2016).

    Of ECLAIRs the cosmic X-ray background, seen through a wide field and partly hidden by the
    Earth, is what changes over the detector; a quadratic follows it.

    Parameters
    ----------
    counts : array of float, shape (n_pixel, n_pixel)
    order : int
        Total degree of the polynomial.
    efficiency : array of float, shape (n_pixel, n_pixel), optional

    Returns
    -------
    ndarray of float, shape (n_pixel, n_pixel)
        Expected counts; scale them to the exposure of the burst's image. Never negative.

    Raises
    ------
    ValueError
        There are no counts.
    """
    data = np.asarray(counts, float)
    works = np.ones_like(data) if efficiency is None else np.asarray(efficiency, float)
    on = (works > 0).ravel()
    if not data.ravel()[on].sum() > 0:
        raise ValueError("the background image holds no counts; expected those before the burst")
    basis = background_basis(data.shape[0], order)
    design = basis * works.ravel()[:, None]
    _, fitted = fit_linear(design[on], data.ravel()[on])
    out = np.zeros(data.size)
    out[on] = fitted
    return out.reshape(data.shape)


def working_pixels(counts: ArrayLike, *, n_sigma: float = 6.0) -> FloatArray:
    """Tell which pixels count as their neighbourhood does: neither dead nor noisy.

    Parameters
    ----------
    counts : array of float, shape (n_pixel, n_pixel)
        Taken before the burst, over as long as can be: few counts show no dead pixels.
    n_sigma : float
        Deviation from the smooth surface (`background_image`) that makes a pixel a bad one.

    Returns
    -------
    ndarray of float, shape (n_pixel, n_pixel)
        1 or 0: the efficiency that `decode` and `source_fit.fit_source` take.
    """
    data = np.asarray(counts, float)
    works = np.ones_like(data)
    # Bad pixels pull the first surface; the second is free of those that it showed.
    for _ in range(2):
        basis = background_basis(data.shape[0], 2)
        on = (works > 0).ravel()
        coefficients, _ = fit_linear(basis[on], data.ravel()[on])
        expected = np.maximum((basis @ coefficients).reshape(data.shape), 0.0)
        works = (np.abs(data - expected) < n_sigma * np.sqrt(np.maximum(expected, 1.0))) * 1.0
    return works


def fit_linear(
    design: FloatArray, counts: FloatArray, *, start: FloatArray | None = None, n_step: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Fit a linear model to Poisson counts by maximum likelihood (Fisher scoring).

    Parameters
    ----------
    design : ndarray of float, shape (n, n_term)
    counts : ndarray of float, shape (n,)
    start : ndarray of float, shape (n_term,), optional
        Coefficients to begin at; a flat model by default.
    n_step : int
        Steps; `N_REWEIGHTS` by default.

    Returns
    -------
    coefficients : ndarray of float, shape (n_term,)
    expected : ndarray of float, shape (n,)
        Never below a thousandth of the mean count, where the model is negative.
    """
    floor = 1e-3 * max(float(counts.mean()), 1e-6)
    expected = np.full(counts.size, max(float(counts.mean()), floor))
    if start is not None:
        expected = np.maximum(design @ start, floor)
    coefficients = np.zeros(design.shape[1])
    for _ in range(n_step or N_REWEIGHTS):
        weighted = design / expected[:, None]
        coefficients = np.linalg.solve(weighted.T @ design, weighted.T @ counts)
        expected = np.maximum(design @ coefficients, floor)
    return coefficients, expected


def check_image(
    mask: CodedMask, counts: ArrayLike, efficiency: ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Check an image of the detector and the efficiency of its pixels; both as float arrays."""
    data = np.asarray(counts, float)
    shape = (mask.n_pixel, mask.n_pixel)
    works = np.ones(shape) if efficiency is None else np.asarray(efficiency, float)
    for name, array in (("counts", data), ("efficiency", works)):
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}; expected {shape}: RAWY, RAWZ")
        if not np.isfinite(array).all() or (array < 0).any():
            raise ValueError(f"{name} holds negative values or not finite ones; expected >= 0")
    if not works.any():
        raise ValueError("no pixel works: the efficiency is 0 everywhere")
    return data, works


def _mask_plane(mask: CodedMask) -> tuple[FloatArray, FloatArray, int]:
    """What a pixel sees of mask and open cells, at every distance of whole pixels.

    Returns
    -------
    lit, seen : ndarray of float, shape (n_grid, n_grid)
        Open fraction, and fraction covered by the mask, of the square that the pixel looks at.
    n_grid : int
        As even or odd as the number of pixels is, so that the grids fit each other.
    """
    n_grid = int((mask.mask_mm + mask.pixel_mm) / mask.pitch_mm) + 1
    n_grid += (n_grid - mask.n_pixel) % 2
    middle = (np.arange(n_grid) - 0.5 * (n_grid - 1)) * mask.pitch_mm
    n_cell = mask.is_open.shape[0]
    edges = (np.arange(n_cell + 1) - 0.5 * n_cell) * mask.cell_mm
    low = middle - 0.5 * mask.pixel_mm
    inside = np.clip(edges[None, :] - low[:, None], 0.0, mask.pixel_mm)
    part = np.diff(inside, axis=1) / mask.pixel_mm
    covered = part.sum(axis=1)
    return part @ mask.is_open @ part.T, np.outer(covered, covered), n_grid
