"""Fluxes and fluences of a fitted spectrum in bands of energy, with errors.

The error follows from spectra drawn from the covariance of the fit, so that it knows the
correlation of the parameters and the flux's non-linearity in them.
"""

from dataclasses import dataclass
from typing import Literal

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .fitting import FitResult
from .response import Array
from .spectral_models import SpectralModel, bin_integrator

Kind = Literal["photon", "energy"]

_UNITS = {"photon": 1 / (u.cm**2 * u.s), "energy": u.erg / (u.cm**2 * u.s)}


@dataclass(frozen=True)
class Measured:
    """A quantity with the bounds of its central 68.27 % interval.

    Attributes
    ----------
    value : Quantity
        Value at the best fit.
    lower, upper : Quantity
        Bounds of the interval.
    """

    value: u.Quantity
    lower: u.Quantity
    upper: u.Quantity

    @property
    def error(self) -> u.Quantity:
        """Half the width of the interval."""
        return 0.5 * (self.upper - self.lower)


def band_flux(
    model: SpectralModel,
    values: Array,
    low: u.Quantity,
    high: u.Quantity,
    *,
    kind: Kind = "energy",
) -> u.Quantity:
    """Integrate a spectrum over a band.

    Parameters
    ----------
    model : SpectralModel
        The model.
    values : ndarray of float, shape (n_parameters,) or (n_samples, n_parameters)
        Parameters in the model's units.
    low, high : Quantity [keV]
        The band.
    kind : {"photon", "energy"}
        Photon flux or energy flux.

    Returns
    -------
    Quantity [1 / (cm2 s)] or [erg / (cm2 s)], shape () or (n_samples,)
        The flux.
    """
    integrator = bin_integrator(u.Quantity([low.to(u.keV), high.to(u.keV)]))
    integrate = integrator.photons if kind == "photon" else integrator.energy
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    flux = np.array([integrate(model, row)[0] for row in rows])
    result = flux if kind == "photon" else (flux * u.keV).to_value(u.erg)
    return (result[0] if np.ndim(values) == 1 else result) * _UNITS[kind]


def draw_parameters(result: FitResult, n_samples: int, *, rng: np.random.Generator) -> Array:
    """Draw parameter sets from the covariance of a fit.

    Parameters
    ----------
    result : FitResult
        A valid fit.
    n_samples : int
        Sets to draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float, shape (n_samples, n_parameters)
        The amplitude is log-normal, the others normal; sets outside the limits or where the model
        is undefined are drawn again.

    Raises
    ------
    ValueError
        The fit is not valid, or hardly any draw is inside the limits.
    """
    if not result.is_valid:
        raise ValueError(f"the fit of the {result.model.name} is not valid: it has no covariance")
    scale = np.ones(len(result.values))
    scale[0] = 1 / result.values[0]
    covariance = result.covariance * np.outer(scale, scale)
    low, high = np.array(result.model.limits).T
    kept: list[Array] = []
    n_kept = 0
    for _ in range(50):
        steps = rng.multivariate_normal(
            np.zeros(len(scale)), covariance, size=n_samples, method="eigh"
        )
        draws = result.values + steps
        draws[:, 0] = result.values[0] * np.exp(steps[:, 0])
        inside = np.all((draws >= low) & (draws <= high), axis=1)
        inside &= np.array([result.model.is_defined(row) for row in draws], dtype=np.bool_)
        kept.append(draws[inside])
        n_kept += int(inside.sum())
        if n_kept >= n_samples:
            return np.concatenate(kept)[:n_samples]
    raise ValueError(
        f"the covariance of the {result.model.name} reaches far beyond its limits: choose a "
        "simpler model"
    )


def fitted_flux(
    result: FitResult,
    low: u.Quantity,
    high: u.Quantity,
    *,
    rng: np.random.Generator,
    kind: Kind = "energy",
    n_samples: int = 1000,
) -> Measured:
    """Give the flux of a fit in a band with its error.

    Parameters
    ----------
    result : FitResult
        A valid fit.
    low, high : Quantity [keV]
        The band.
    rng : numpy.random.Generator
        Source of randomness.
    kind : {"photon", "energy"}
        Photon flux or energy flux.
    n_samples : int
        Spectra to draw; 1000 give the error to 3 %.

    Returns
    -------
    Measured [1 / (cm2 s)] or [erg / (cm2 s)]
        Flux and interval.
    """
    samples = band_flux(
        result.model, draw_parameters(result, n_samples, rng=rng), low, high, kind=kind
    )
    return _measured(band_flux(result.model, result.values, low, high, kind=kind), samples)


def fitted_fluence(
    result: FitResult,
    low: u.Quantity,
    high: u.Quantity,
    duration: u.Quantity,
    *,
    rng: np.random.Generator,
    kind: Kind = "energy",
    n_samples: int = 1000,
) -> Measured:
    """Give the fluence in a band: the mean flux of the fit times the length of its interval.

    Parameters
    ----------
    result : FitResult
        A valid fit.
    low, high : Quantity [keV]
        The band.
    duration : Quantity [s]
        Length of the interval fitted (real time, not live time).
    rng : numpy.random.Generator
        Source of randomness.
    kind : {"photon", "energy"}
        Photons or energy.
    n_samples : int
        Spectra to draw.

    Returns
    -------
    Measured [1 / cm2] or [erg / cm2]
        Fluence and interval.
    """
    flux = fitted_flux(result, low, high, rng=rng, kind=kind, n_samples=n_samples)
    unit = _UNITS[kind] * u.s
    return Measured(*((one * duration).to(unit) for one in (flux.value, flux.lower, flux.upper)))


def fitted_hardness(
    result: FitResult,
    *,
    rng: np.random.Generator,
    soft: tuple[u.Quantity, u.Quantity] = (50 * u.keV, 100 * u.keV),
    hard: tuple[u.Quantity, u.Quantity] = (100 * u.keV, 300 * u.keV),
    n_samples: int = 1000,
) -> Measured:
    """Give the ratio of the energy fluxes of two bands: what `classification` takes.

    Parameters
    ----------
    result : FitResult
        A valid fit.
    rng : numpy.random.Generator
        Source of randomness.
    soft, hard : (Quantity, Quantity) [keV]
        The bands; by default those of the BATSE catalogue's fluence_2 and fluence_3.
    n_samples : int
        Spectra to draw.

    Returns
    -------
    Measured [dimensionless]
        Ratio hard / soft and interval.
    """
    draws = draw_parameters(result, n_samples, rng=rng)
    ratio, samples = (
        band_flux(result.model, rows, *hard) / band_flux(result.model, rows, *soft)
        for rows in (result.values, draws)
    )
    return _measured(ratio.to(u.dimensionless_unscaled), samples.to(u.dimensionless_unscaled))


_CENTRAL: NDArray[np.float64] = np.array([15.865525393145708, 84.13447460685429])


def _measured(value: u.Quantity, samples: u.Quantity) -> Measured:
    lower, upper = np.percentile(samples.value, _CENTRAL) * samples.unit
    return Measured(value, lower, upper)
