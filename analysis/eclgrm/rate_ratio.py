"""Position from the ratios of count rates in detectors that look in different directions.

The method of BATSE, GBM and GRM (Pendleton et al. 1999, ApJ 512, 362; Connaughton et al. 2015, ApJS
216, 32): for each direction the counts that a table of responses predicts, scaled to fit, are
compared with those measured above the background.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike
from scipy.stats import chi2

from .lightcurve import BoolArray, FloatArray
from .r90 import held_probability

N_REWEIGHTS = 8
MIN_COUNTS = 10.0
"""Least counts a cell: below, a Gaussian is no good likelihood."""
PEAK_RADIUS_DEG = 5.0
SOURCE_COUNT_SLOPE = -2.5
"""Of the number of bursts with their flux, in a space without curvature or evolution."""
FULL_SKY_DEG2 = float(4 * np.pi * np.degrees(1.0) ** 2)


class RateRatioError(ValueError):
    """The counts do not allow a position."""


@dataclass(frozen=True, eq=False)
class RateTable:
    """What the detectors count of a source in each direction, for each of some spectra.

    Attributes
    ----------
    directions : ndarray of float, shape (n_direction, 3)
        Unit vectors in the frame of the instrument, spread evenly over the whole sky
        (`even_directions`).
    rates : ndarray of float, shape (n_spectrum, n_direction, n_cell)
        Counts in any unit common to the cells. A cell is a detector, or a channel of one.
    detectors : tuple of str
        Name of each cell.
    spectra : tuple of str
        Name of each spectrum.
    """

    directions: FloatArray
    rates: FloatArray
    detectors: tuple[str, ...]
    spectra: tuple[str, ...]

    def __post_init__(self) -> None:
        expected = (len(self.spectra), len(self.directions), len(self.detectors))
        if self.rates.shape != expected or self.directions.shape != (expected[1], 3):
            raise ValueError(
                f"rates of shape {self.rates.shape} and directions of {self.directions.shape}; "
                f"expected {expected} and {(expected[1], 3)}"
            )
        if not np.isfinite(self.rates).all() or (self.rates < 0).any():
            raise ValueError("the table holds negative rates or not finite ones; expected >= 0")


@dataclass(frozen=True, eq=False)
class RateLocalisation:
    """Where the counts come from.

    Attributes
    ----------
    direction : ndarray of float, shape (3,)
        Most likely direction, the mean over its surroundings of 5 degrees; instrument's frame.
    directions : ndarray of float, shape (n_direction, 3)
    probability : ndarray of float, shape (n_direction,)
        Of each direction of the table, for a uniform prior over those that are visible; sums to 1.
    r90 : Quantity [deg]
        Radius about `direction` that holds 90 % of it.
    area_50, area_90 : Quantity [deg2]
        Of the smallest regions that hold as much.
    chi2 : float
        Of the best direction.
    n_dof : int
        Cells less direction and amplitude; no p-value where it is 0 (three detectors).
    amplitude : float
        Counts per unit of the table.
    spectrum : str
        Of the table's, the one that fits best.
    """

    direction: FloatArray
    directions: FloatArray
    probability: FloatArray
    r90: Quantity
    area_50: Quantity
    area_90: Quantity
    chi2: float
    n_dof: int
    amplitude: float
    spectrum: str

    @property
    def p_value(self) -> float:
        """Chance of a `chi2` at least this large; 1 where `n_dof` is 0."""
        return float(chi2.sf(self.chi2, self.n_dof)) if self.n_dof else 1.0


def cell_names(detectors: Sequence[str], bands: Quantity) -> list[str]:
    """Names of the cells of a table: detector by detector, and band by band in each."""
    spans = [f"{low:g}-{high:g} keV" for low, high in np.atleast_2d(bands.to_value(u.keV))]
    return [f"{name} {span}" for name in detectors for span in spans]


def select_cells(table: RateTable, names: Collection[str]) -> RateTable:
    """Keep the cells of some names, in the table's order."""
    kept = [at for at, name in enumerate(table.detectors) if name in names]
    return replace(
        table,
        rates=table.rates[:, :, kept],
        detectors=tuple(table.detectors[at] for at in kept),
    )


def even_directions(n_direction: int) -> FloatArray:
    """Spread directions evenly over the sphere on a Fibonacci spiral, shape (n_direction, 3).

    The distance of neighbours is about ``sqrt(41253 / n_direction)`` degrees.
    """
    index = np.arange(n_direction) + 0.5
    height = 1 - 2 * index / n_direction
    azimuth = np.pi * (1 + np.sqrt(5.0)) * index
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(azimuth), ring * np.sin(azimuth), height], axis=1)


def localise_rates(
    table: RateTable,
    counts: ArrayLike,
    background: ArrayLike,
    background_error: ArrayLike,
    *,
    is_visible: BoolArray | None = None,
    systematic: float = 0.05,
) -> RateLocalisation:
    """Find the direction whose predicted counts agree best with those measured.

    The likelihood is Gaussian, its variance that of the model: with the counts S, the background
    B with its error e and the prediction A m, it is ``B + A m + e^2 + (f A m)^2``. The posterior
    is summed over the spectra, and over the amplitude A by Laplace's approximation with the prior
    ``A^-2.5`` of sources spread evenly in space: directions that the detectors hardly see, from
    where only a burst brighter than any would do, count little.

    Parameters
    ----------
    table : RateTable
    counts, background, background_error : array of float, shape (n_cell,)
        Counts of the burst's interval; background expected in it and its standard deviation.
    is_visible : ndarray of bool, shape (n_direction,), optional
        False where the Earth hides the sky; everything is visible by default.
    systematic : float
        f, how far off the table may be, as a fraction of each predicted rate. It is what limits
        positions of bright bursts: some degrees.

    Raises
    ------
    RateRatioError
        Fewer than three cells, no excess, too few counts, or no visible direction.
    ValueError
        Shapes differ or numbers are impossible.
    """
    observed = _check_counts(table, counts, background, background_error)
    visible = np.ones(len(table.directions), bool) if is_visible is None else is_visible
    if visible.shape != (len(table.directions),):
        raise ValueError(f"is_visible has the shape {visible.shape}; expected one per direction")
    if not visible.any():
        raise RateRatioError("no direction of the table is visible")
    weight, squares, amplitude = _compare(table.rates[:, visible], *observed, systematic)
    if not np.isfinite(weight).any():
        raise RateRatioError("the counts exceed the background in no pattern that a source makes")
    weight = np.exp(weight - weight.max())
    probability = np.zeros(len(visible))
    probability[visible] = weight.sum(axis=0) / weight.sum()
    at = int(np.argmax(probability[visible]))
    spectrum = int(np.argmax(weight[:, at]))
    direction = _peak(table.directions, probability)
    order = np.sort(probability)[::-1].cumsum()
    cell = FULL_SKY_DEG2 / len(table.directions)
    # The region that just reaches the content, its last direction by parts.
    areas = [
        float(np.interp(part, np.r_[0.0, order], np.arange(order.size + 1))) for part in (0.5, 0.9)
    ]
    return RateLocalisation(
        direction=direction,
        directions=table.directions,
        probability=probability,
        r90=held_probability(_angles(table.directions, direction), probability, 0.9) * u.deg,
        area_50=areas[0] * cell * u.deg**2,
        area_90=areas[1] * cell * u.deg**2,
        chi2=float(squares[spectrum, at]),
        n_dof=max(len(table.detectors) - 3, 0),
        amplitude=float(amplitude[spectrum, at]),
        spectrum=table.spectra[spectrum],
    )


def _check_counts(
    table: RateTable, counts: ArrayLike, background: ArrayLike, background_error: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Check the counts against the table, and that there is something to localise."""
    named = {"counts": counts, "background": background, "background_error": background_error}
    n_cell = len(table.detectors)
    out = []
    for name, values in named.items():
        array = np.asarray(values, float)
        if array.shape != (n_cell,):
            raise ValueError(f"{name} has the shape {array.shape}; expected {(n_cell,)}")
        if not np.isfinite(array).all() or (array < 0).any():
            raise ValueError(f"{name} is {array.tolist()}; expected finite numbers >= 0")
        out.append(array)
    if n_cell < 3:
        raise RateRatioError(
            f"{n_cell} detectors ({', '.join(table.detectors)}) do not fix a direction; "
            "expected at least three"
        )
    few = np.maximum(out[0], out[1]) < MIN_COUNTS
    if few.any():
        raise RateRatioError(
            f"{table.detectors[int(np.argmax(few))]} has {out[0][few][0]:g} counts, expected at "
            f"least {MIN_COUNTS:g}: take a longer interval or a wider band"
        )
    if not out[0].sum() > out[1].sum():
        raise RateRatioError("the counts do not exceed the background: nothing to localise")
    return out[0], out[1], out[2]


def _compare(
    rates: FloatArray,
    counts: FloatArray,
    background: FloatArray,
    background_error: FloatArray,
    systematic: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log of the posterior, chi-square and amplitude, each (n_spectrum, n_direction)."""
    net = counts - background
    constant = np.maximum(background, 1.0) + background_error**2
    variance = np.broadcast_to(constant + np.maximum(net, 0), rates.shape)
    for _ in range(N_REWEIGHTS):
        power = np.maximum((rates**2 / variance).sum(axis=-1), 1e-300)
        amplitude = np.maximum((rates * net / variance).sum(axis=-1) / power, 0.0)
        source = amplitude[..., None] * rates
        variance = constant + source + (systematic * source) ** 2
    squares = ((net - source) ** 2 / variance).sum(axis=-1)
    likelihood = -0.5 * (squares + np.log(variance).sum(axis=-1))
    with np.errstate(divide="ignore"):
        prior = np.where(amplitude > 0, SOURCE_COUNT_SLOPE * np.log(amplitude), -np.inf)
    return likelihood + prior - 0.5 * np.log(power), squares, amplitude


def _angles(directions: FloatArray, centre: FloatArray) -> FloatArray:
    """Angles of unit vectors from one [deg]."""
    chord = np.linalg.norm(directions - centre, axis=-1)
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(0.5 * chord, 0, 1))), float)


def _peak(directions: FloatArray, probability: FloatArray) -> FloatArray:
    """Most probable direction, finer than the grid."""
    near = _angles(directions, directions[int(np.argmax(probability))]) < PEAK_RADIUS_DEG
    mean = probability[near] @ directions[near]
    return np.asarray(mean / np.linalg.norm(mean), float)
