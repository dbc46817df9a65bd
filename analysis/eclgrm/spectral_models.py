"""Photon spectra of gamma-ray bursts and their integrals over bins of energy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PIVOT_KEV = 100.0
"""Energy at which the amplitude is meant [keV] (Band et al. 1993)."""

PHOTON_DENSITY = 1 / (u.cm**2 * u.s * u.keV)
"""Unit of a photon spectrum and of all amplitudes."""

_N_NODES = 4  # Gauss-Legendre nodes a panel
_MAX_PANEL = 0.25  # widest panel in ln(energy): relative error < 1e-8 below 20 times the peak


@dataclass(frozen=True)
class SpectralModel:
    """A photon spectrum as a function of energy and a few parameters.

    Attributes
    ----------
    name : str
        Name of the model.
    parameters : tuple of str
        Names in the order of `density`; ``amplitude`` comes first and is a factor.
    units : tuple of Unit
        Unit of each parameter.
    limits : tuple of (float, float)
        Range of each parameter in which a fit may look.
    density : callable
        ``density(energy_kev, *values)``: photon spectrum [1 / (cm2 s keV)] of plain numbers.
    """

    name: str
    parameters: tuple[str, ...]
    units: tuple[u.UnitBase, ...]
    limits: tuple[tuple[float, float], ...]
    density: Callable[..., Array]

    def is_defined(self, values: Array) -> bool:
        """Tell whether the parameters make a spectrum: the Band function needs alpha > beta."""
        if not np.all(np.isfinite(values)):
            return False
        if "beta" not in self.parameters:
            return True
        return bool(values[self.parameters.index("alpha")] > values[self.parameters.index("beta")])


def _power_law(energy_kev: Array, amplitude: float, index: float) -> Array:
    return np.asarray(amplitude * (energy_kev / PIVOT_KEV) ** index)


def _cutoff_power_law(
    energy_kev: Array, amplitude: float, alpha: float, e_peak_kev: float
) -> Array:
    exponent = alpha * np.log(energy_kev / PIVOT_KEV) - (2 + alpha) * energy_kev / e_peak_kev
    return np.asarray(amplitude * np.exp(exponent))


def _band(
    energy_kev: Array, amplitude: float, alpha: float, e_peak_kev: float, beta: float
) -> Array:
    if not alpha > beta:
        return np.full(np.shape(energy_kev), np.nan)
    e_fold_kev = e_peak_kev / (2 + alpha)
    e_break_kev = (alpha - beta) * e_fold_kev
    log_energy = np.log(energy_kev / PIVOT_KEV)
    low = alpha * log_energy - energy_kev / e_fold_kev
    high = (alpha - beta) * (np.log(e_break_kev / PIVOT_KEV) - 1) + beta * log_energy
    return np.asarray(amplitude * np.exp(np.where(energy_kev < e_break_kev, low, high)))


POWER_LAW = SpectralModel(
    "power law",
    ("amplitude", "index"),
    (PHOTON_DENSITY, u.dimensionless_unscaled),
    ((1e-9, 1e3), (-6.0, 3.0)),
    _power_law,
)
CUTOFF_POWER_LAW = SpectralModel(
    "cutoff power law",
    ("amplitude", "alpha", "e_peak"),
    (PHOTON_DENSITY, u.dimensionless_unscaled, u.keV),
    ((1e-9, 1e4), (-1.98, 4.0), (2.0, 3e4)),
    _cutoff_power_law,
)
BAND = SpectralModel(
    "band",
    ("amplitude", "alpha", "e_peak", "beta"),
    (PHOTON_DENSITY, u.dimensionless_unscaled, u.keV, u.dimensionless_unscaled),
    ((1e-9, 1e4), (-1.98, 4.0), (2.0, 3e4), (-8.0, -1.2)),
    _band,
)


def power_law(energy: u.Quantity, amplitude: u.Quantity, index: float) -> u.Quantity:
    """Evaluate a power law ``A (E / 100 keV)^index``.

    Parameters
    ----------
    energy : Quantity [keV]
        Photon energy, any shape.
    amplitude : Quantity [1 / (cm2 s keV)]
        Spectrum at 100 keV.
    index : float
        Photon index, negative for a falling spectrum.

    Returns
    -------
    Quantity [1 / (cm2 s keV)]
        Photon spectrum.
    """
    values = _power_law(energy.to_value(u.keV), amplitude.to_value(PHOTON_DENSITY), index)
    return values * PHOTON_DENSITY


def cutoff_power_law(
    energy: u.Quantity, amplitude: u.Quantity, alpha: float, e_peak: u.Quantity
) -> u.Quantity:
    """Evaluate ``A (E / 100 keV)^alpha exp(-(2 + alpha) E / e_peak)``: the GBM "Comptonized" form.

    Parameters
    ----------
    energy : Quantity [keV]
        Photon energy, any shape.
    amplitude : Quantity [1 / (cm2 s keV)]
        Factor of the spectrum.
    alpha : float
        Photon index below the cutoff.
    e_peak : Quantity [keV]
        Peak of ``E^2 N(E)``; a peak only for ``alpha > -2`` (Gruber et al. 2014, equation 2).

    Returns
    -------
    Quantity [1 / (cm2 s keV)]
        Photon spectrum.
    """
    values = _cutoff_power_law(
        energy.to_value(u.keV),
        amplitude.to_value(PHOTON_DENSITY),
        alpha,
        e_peak.to_value(u.keV),
    )
    return values * PHOTON_DENSITY


def band(
    energy: u.Quantity, amplitude: u.Quantity, alpha: float, e_peak: u.Quantity, beta: float
) -> u.Quantity:
    """Evaluate the GRB function of Band et al. 1993 (ApJ 413, 281), equation 1.

    With ``E0 = e_peak / (2 + alpha)``: ``A (E / 100)^alpha exp(-E / E0)`` below
    ``(alpha - beta) E0``, above it ``A ((alpha - beta) E0 / 100)^(alpha - beta)
    exp(beta - alpha) (E / 100)^beta``: value and slope are continuous.

    Parameters
    ----------
    energy : Quantity [keV]
        Photon energy, any shape.
    amplitude : Quantity [1 / (cm2 s keV)]
        Factor of the spectrum.
    alpha, beta : float
        Photon indices below and above the break, ``alpha > beta``.
    e_peak : Quantity [keV]
        Peak of ``E^2 N(E)``, a peak only for ``alpha > -2 > beta``.

    Returns
    -------
    Quantity [1 / (cm2 s keV)]
        Photon spectrum; NaN throughout for ``alpha <= beta``, where the function is undefined.
    """
    values = _band(
        energy.to_value(u.keV),
        amplitude.to_value(PHOTON_DENSITY),
        alpha,
        e_peak.to_value(u.keV),
        beta,
    )
    return values * PHOTON_DENSITY


@dataclass(frozen=True, eq=False)
class BinIntegrator:
    """Integrates spectra over fixed bins by Gauss-Legendre quadrature in ln(energy).

    Attributes
    ----------
    nodes_kev : ndarray of float, shape (n_nodes,)
        Energies at which the spectrum is taken [keV].
    weights_kev : ndarray of float, shape (n_nodes,)
        Weights [keV].
    starts : ndarray of int, shape (n_bins,)
        First node of each bin.
    """

    nodes_kev: Array
    weights_kev: Array
    starts: NDArray[np.int64]

    def photons(self, model: SpectralModel, values: Array) -> Array:
        """Photon flux in each bin, shape (n_bins,) [1 / (cm2 s)]."""
        density = model.density(self.nodes_kev, *values)
        return np.asarray(np.add.reduceat(density * self.weights_kev, self.starts))

    def energy(self, model: SpectralModel, values: Array) -> Array:
        """Energy flux in each bin, shape (n_bins,) [keV / (cm2 s)]."""
        density = model.density(self.nodes_kev, *values) * self.nodes_kev
        return np.asarray(np.add.reduceat(density * self.weights_kev, self.starts))


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
    return nodes, weights


def bin_integrator(edges: u.Quantity) -> BinIntegrator:
    """Prepare the integration over bins of energy.

    Parameters
    ----------
    edges : Quantity [keV], shape (n_bins + 1,)
        Positive and ascending. Bins wider than a factor 1.28 are divided into panels.

    Returns
    -------
    BinIntegrator
        Exact to 1e-7 for the models of this module, below some 20 times the cutoff energy.
    """
    values = edges.to_value(u.keV)
    if values.ndim != 1 or len(values) < 2 or values[0] <= 0 or np.any(np.diff(values) <= 0):
        raise ValueError("energy edges must be positive and ascending: at least two of them")
    log_edges = np.log(values)
    n_panels = np.maximum(1, np.ceil(np.diff(log_edges) / _MAX_PANEL)).astype(np.int64)
    panel_edges = np.concatenate(
        [
            np.linspace(low, high, n + 1)[:-1]
            for low, high, n in zip(log_edges[:-1], log_edges[1:], n_panels, strict=True)
        ]
        + [log_edges[-1:]]
    )
    nodes, weights = _legendre()
    centre = 0.5 * (panel_edges[:-1] + panel_edges[1:])
    half = 0.5 * np.diff(panel_edges)
    energy_kev = np.exp(centre[:, None] + half[:, None] * nodes[None, :])
    weights_kev = half[:, None] * weights[None, :] * energy_kev  # dE = E d(ln E)
    starts = _N_NODES * np.concatenate([[0], np.cumsum(n_panels)[:-1]])
    return BinIntegrator(energy_kev.ravel(), weights_kev.ravel(), starts)


def integrate_photons(model: SpectralModel, values: Array, edges: u.Quantity) -> u.Quantity:
    """Integrate a photon spectrum over bins.

    Parameters
    ----------
    model : SpectralModel
        The model.
    values : ndarray of float, shape (n_parameters,)
        Parameters in the units of the model.
    edges : Quantity [keV], shape (n_bins + 1,)
        Edges of the bins.

    Returns
    -------
    Quantity [1 / (cm2 s)], shape (n_bins,)
        Photon flux in each bin.
    """
    return bin_integrator(edges).photons(model, np.asarray(values)) / (u.cm**2 * u.s)
