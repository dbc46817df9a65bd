"""Forward folding: find the photon spectrum whose folded counts are most likely.

The model is integrated over the bins of photon energy, folded through the response of each
detector, and compared with the counts by the PG-statistic (`statistic.pg`), which profiles the
background out of every channel. Minimisation by MIGRAD, errors by HESSE and MINOS (James & Roos
1975; iminuit).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import astropy.units as u
import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from .response import Array
from .spectral_models import BinIntegrator, SpectralModel, bin_integrator
from .spectrum import Observation
from .statistic import pg

_FORBIDDEN = 1e12
"""Value of the statistic where the model is undefined: a wall that no fit climbs."""


class FitError(ValueError):
    """A fit cannot be made of these data."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """The best model of one or several spectra.

    Attributes
    ----------
    model : SpectralModel
        The model fitted.
    values, errors : ndarray of float, shape (n_parameters,)
        Parameters of the model and their standard deviations (HESSE), in the model's units;
        0 for a parameter that was held.
    minos : Mapping of str to (float, float)
        Lower (negative) and upper error where the statistic rises by 1; NaN for a side on which
        it does not within the limits. Empty unless asked for.
    covariance : ndarray of float, shape (n_parameters, n_parameters)
        Covariance of the parameters.
    area_factors, area_errors : ndarray of float, shape (n_detectors,)
        Factor of each detector's effective area; 1 with error 0 for those held.
    statistic : float
        PG-statistic at the minimum.
    statistic_by_detector : ndarray of float, shape (n_detectors,)
        Its parts.
    n_channels, n_free : int
        Channels and free parameters of all detectors.
    is_valid : bool
        The minimum is a minimum and its covariance is usable.
    at_limit : tuple of str
        Parameters that ran to a limit, also beta to alpha: their errors mean nothing.
    """

    model: SpectralModel
    values: Array
    errors: Array
    minos: Mapping[str, tuple[float, float]]
    covariance: Array
    area_factors: Array
    area_errors: Array
    statistic: float
    statistic_by_detector: Array
    n_channels: int
    n_free: int
    is_valid: bool
    at_limit: tuple[str, ...]

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.n_channels - self.n_free

    def parameter(self, name: str) -> u.Quantity:
        """Give a parameter with its unit."""
        index = self.model.parameters.index(name)
        return self.values[index] * self.model.units[index]

    def error(self, name: str) -> u.Quantity:
        """Give the standard deviation of a parameter with its unit."""
        index = self.model.parameters.index(name)
        return self.errors[index] * self.model.units[index]


def predict(
    observation: Observation, model: SpectralModel, values: Array, *, area_factor: float = 1.0
) -> Array:
    """Give the counts that a detector expects of a source, without background.

    Parameters
    ----------
    observation : Observation
        The detector; its counts are not looked at.
    model : SpectralModel
        The model.
    values : ndarray of float, shape (n_parameters,)
        Parameters in the model's units.
    area_factor : float
        Factor of the effective area.

    Returns
    -------
    ndarray of float, shape (n_groups,)
        Expected counts.
    """
    integrator = bin_integrator(observation.energy_true_edges_kev * u.keV)
    photons = integrator.photons(model, np.asarray(values, dtype=np.float64))
    scale = area_factor * observation.exposure_s
    return np.asarray(scale * (photons @ observation.matrix_cm2))


class _Likelihood:
    """The PG-statistic of all detectors as a function of ln(amplitude), the rest and factors."""

    def __init__(self, observations: Sequence[Observation], model: SpectralModel) -> None:
        self.model = model
        self.n_model = len(model.parameters)
        self.counts = np.concatenate([one.counts for one in observations])
        self.background = np.concatenate([one.background for one in observations])
        self.background_error = np.concatenate([one.background_error for one in observations])
        self.bounds = np.cumsum([0] + [len(one.counts) for one in observations])
        self.detector = np.repeat(np.arange(len(observations)), np.diff(self.bounds))
        # Detectors with the same bins of photon energy share one integration.
        grids: list[tuple[Array, list[int]]] = []
        for index, one in enumerate(observations):
            for edges, members in grids:
                if np.array_equal(edges, one.energy_true_edges_kev):
                    members.append(index)
                    break
            else:
                grids.append((one.energy_true_edges_kev, [index]))
        self.parts: list[tuple[BinIntegrator, Array, NDArray[np.int64]]] = []
        for edges, members in grids:
            matrix = np.concatenate(
                [observations[i].matrix_cm2 * observations[i].exposure_s for i in members], axis=1
            )
            where = np.concatenate([np.arange(self.bounds[i], self.bounds[i + 1]) for i in members])
            self.parts.append((bin_integrator(edges * u.keV), matrix, where))

    def fold(self, values: Array) -> Array:
        """Expected source counts of all channels, factors of the areas left at 1."""
        folded = np.empty_like(self.counts)
        for integrator, matrix, where in self.parts:
            folded[where] = integrator.photons(self.model, values) @ matrix
        return folded

    def physical(self, free: Array) -> Array:
        """Parameters of the model from those of the fit."""
        values = np.array(free[: self.n_model])
        values[0] = np.exp(values[0])
        return values

    def channels(self, free: Array) -> Array:
        """Statistic of every channel."""
        source = self.fold(self.physical(free)) * free[self.n_model :][self.detector]
        return pg(self.counts, source, self.background, self.background_error)

    def __call__(self, free: Array) -> float:
        values = self.physical(free)
        if not self.model.is_defined(values):
            return _FORBIDDEN
        total = float(self.channels(free).sum())
        return total if np.isfinite(total) else _FORBIDDEN


def fit(
    observations: Sequence[Observation],
    model: SpectralModel,
    *,
    start: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    free_areas: bool = False,
    minos: bool = False,
) -> FitResult:
    """Fit a model to the spectra of one or several detectors together.

    Parameters
    ----------
    observations : sequence of Observation
        The detectors, the reference for `free_areas` first.
    model : SpectralModel
        The model.
    start : mapping of str to float, optional
        Values to start from, in the model's units; the others come from a coarse grid.
    fixed : mapping of str to float, optional
        Parameters to hold.
    free_areas : bool
        Fit a factor of the effective area of each detector but the first (0.5 to 2).
    minos : bool
        Also compute the asymmetric errors.

    Returns
    -------
    FitResult
        The best fit. Look at ``is_valid`` and ``at_limit`` before using its errors.

    Raises
    ------
    FitError
        Nothing to fit: no counts, or fewer channels than parameters; or an unknown parameter.
    """
    fixed = dict(fixed or {})
    for name in {*fixed, *(start or {})} - set(model.parameters):
        raise FitError(
            f"{model.name} has no parameter {name!r}; expected one of {', '.join(model.parameters)}"
        )
    if not observations:
        raise FitError("no spectrum to fit")
    likelihood = _Likelihood(observations, model)
    n_free = len(model.parameters) - len(fixed) + (len(observations) - 1) * free_areas
    if len(likelihood.counts) <= n_free:
        raise FitError(
            f"{len(likelihood.counts)} channels do not determine {n_free} parameters of the "
            f"{model.name}: widen the energy range"
        )
    if not likelihood.counts.sum() > 0:
        names = ", ".join(one.name for one in observations)
        raise FitError(f"no counts in the channels chosen of {names}: nothing to fit")
    points = _starting_points(likelihood, {**(start or {}), **fixed})
    minuit = _search(
        _minuit(likelihood, observations, point, tuple(fixed), free_areas) for point in points
    )
    minuit.strategy = 1
    minuit.migrad()
    if not minuit.valid:
        minuit.simplex().migrad()
    minuit.hesse()
    if not minuit.valid:
        # The covariance of HESSE may show that a flat minimum (a steep beta) was not reached.
        minuit.strategy = 2
        minuit.migrad()
    if minos and minuit.valid:
        minuit.minos()
    return _result(minuit, likelihood, n_free)


def _minuit(
    likelihood: _Likelihood,
    observations: Sequence[Observation],
    values: Array,
    fixed: tuple[str, ...],
    free_areas: bool,
) -> Minuit:
    model = likelihood.model
    areas = [f"area_{index}" for index in range(len(observations))]
    names = ["ln_amplitude", *model.parameters[1:], *areas]
    minuit = Minuit(likelihood, np.concatenate([values, np.ones(len(areas))]), name=names)
    minuit.errordef = Minuit.LEAST_SQUARES  # the statistic is -2 ln L
    minuit.strategy = 0
    for name, fit_name, limits in zip(model.parameters, names, model.limits, strict=False):
        minuit.limits[fit_name] = tuple(np.log(limits)) if name == "amplitude" else limits
        minuit.errors[fit_name] = 0.1 * minuit.values[fit_name] if name == "e_peak" else 0.05
        minuit.fixed[fit_name] = name in fixed
    for index, name in enumerate(areas):
        minuit.limits[name] = (0.5, 2.0)
        minuit.errors[name] = 0.05
        minuit.fixed[name] = index == 0 or not free_areas
    return minuit


def _search(tries: Iterable[Minuit]) -> Minuit:
    """Minimise from one start after the other, until two agree on a minimum inside the limits."""
    best: Minuit | None = None
    for one in tries:
        one.migrad()
        if best is None:
            best = one
            continue
        agree = abs(float(one.fval) - float(best.fval)) < 0.05 and one.valid and best.valid
        best = one if one.fval < best.fval else best
        if agree and not _at_limit(best):
            break
    assert best is not None
    return best


_GRID: Mapping[str, tuple[float, ...]] = {
    "index": (-1.0, -1.5, -2.0, -2.5),
    "alpha": (-0.3, -1.0, -1.6),
    "e_peak": (20.0, 60.0, 150.0, 400.0, 1000.0, 3000.0),
    "beta": (-2.0, -2.8),
}

_N_STARTS = 6
"""The Band function has local minima, most of them where alpha and beta meet."""


def _starting_points(likelihood: _Likelihood, given: Mapping[str, float]) -> list[Array]:
    """Pick the best points of a coarse grid, each scaled to the net counts.

    For the Band function they differ in the peak or in beta, the best alpha for each pair.
    """
    net = max(float((likelihood.counts - likelihood.background).sum()), 1.0)
    names = likelihood.model.parameters
    axes = [(given[name],) if name in given else _GRID[name] for name in names[1:]]
    points: list[tuple[float, Array]] = []
    for shape in product(*axes):
        values = np.array([1.0, *shape])
        if not likelihood.model.is_defined(values):
            continue
        source = likelihood.fold(values)
        amplitude = given.get("amplitude", net / max(float(source.sum()), 1e-300))
        total = float(
            pg(
                likelihood.counts,
                source * amplitude,
                likelihood.background,
                likelihood.background_error,
            ).sum()
        )
        points.append((total, np.array([np.log(amplitude), *shape])))
    if not points:
        raise FitError(f"{likelihood.model.name}: the starting values {dict(given)} are undefined")
    points.sort(key=lambda point: point[0])
    if "beta" not in names:
        return [points[0][1]]
    pair = [names.index("e_peak"), names.index("beta")]
    distinct: dict[tuple[float, ...], Array] = {}
    for _, values in points:
        distinct.setdefault(tuple(values[pair]), values)
    return list(distinct.values())[:_N_STARTS]


def _result(minuit: Minuit, likelihood: _Likelihood, n_free: int) -> FitResult:
    model, n_model = likelihood.model, likelihood.n_model
    free = np.array(minuit.values)
    values = likelihood.physical(free)
    scale = np.ones(n_model)
    scale[0] = values[0]  # d amplitude = amplitude d ln(amplitude)
    raw = np.zeros((len(free), len(free)))
    if minuit.covariance is not None:
        raw = np.array(minuit.covariance)
    covariance = raw[:n_model, :n_model] * np.outer(scale, scale)
    by_channel = likelihood.channels(free)
    minos = {}
    for name, fit_name in zip(model.parameters, minuit.parameters, strict=False):
        if fit_name in minuit.merrors:
            error = minuit.merrors[fit_name]
            lower = error.lower if error.lower_valid else np.nan
            upper = error.upper if error.upper_valid else np.nan
            if name == "amplitude":
                lower, upper = values[0] * np.expm1(lower), values[0] * np.expm1(upper)
            minos[name] = (float(lower), float(upper))
    return FitResult(
        model=model,
        values=values,
        errors=np.sqrt(np.clip(np.diag(covariance), 0.0, None)),
        minos=minos,
        covariance=covariance,
        area_factors=free[n_model:],
        area_errors=np.sqrt(np.clip(np.diag(raw)[n_model:], 0.0, None)),
        statistic=float(by_channel.sum()),
        statistic_by_detector=np.add.reduceat(by_channel, likelihood.bounds[:-1]),
        n_channels=len(likelihood.counts),
        n_free=n_free,
        is_valid=bool(minuit.valid and minuit.covariance is not None),
        at_limit=_at_limit(minuit),
    )


def _at_limit(minuit: Minuit) -> tuple[str, ...]:
    found = []
    for parameter in minuit.params:
        if parameter.is_fixed or not parameter.has_limits:
            continue
        low, high = parameter.lower_limit, parameter.upper_limit
        if min(parameter.value - low, high - parameter.value) < 1e-3 * (high - low):
            found.append(parameter.name.removeprefix("ln_"))
    # Where alpha and beta meet it is a power law in disguise: nothing tells its break.
    values = dict(zip(minuit.parameters, minuit.values, strict=True))
    meets = "beta" in values and values["alpha"] - values["beta"] < 0.05
    if meets and "beta" not in found:
        found.append("beta")
    return tuple(found)


def choose(results: Sequence[FitResult], *, threshold: float = 9.0) -> FitResult:
    """Choose the simplest model that no richer one beats clearly.

    Parameters
    ----------
    results : sequence of FitResult
        Fits of the same data.
    threshold : float
        By how much a further parameter must lower the statistic. 9 means 3 sigma for a nested
        model and one parameter (Wilks 1938); the GBM catalogue uses 8.58 and 11.83 (Gruber et
        al. 2014), found by simulation.

    Returns
    -------
    FitResult
        A fit that is valid and at no limit, if there is one; else the simplest.

    Raises
    ------
    FitError
        No fit at all, or fits of different data.
    """
    if not results:
        raise FitError("no fit to choose from")
    if len({result.n_channels for result in results}) > 1:
        raise FitError("the fits are of different channels: their statistics do not compare")
    ordered = sorted(results, key=lambda result: (result.n_free, result.statistic))
    usable = [one for one in ordered if one.is_valid and not one.at_limit] or ordered[:1]
    best = usable[0]
    for other in usable[1:]:
        if best.statistic - other.statistic > threshold * (other.n_free - best.n_free):
            best = other
    return best
