"""Counts of the three detectors of GRM for a burst in any direction: the table of `rate_ratio`."""

from collections.abc import Mapping
from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from .grm_response import (
    ALTITUDE_KM,
    GRD_NAMES,
    Component,
    earth_radius_rad,
    grd_normals,
    grm_response,
)
from .lightcurve import BoolArray, FloatArray
from .rate_ratio import RateTable, cell_names, even_directions
from .response import Response
from .spectral_models import BAND, bin_integrator

TEMPLATES = {
    "soft": (-1.9, 70.0, -3.7),
    "normal": (-1.0, 230.0, -2.3),
    "hard": (0.0, 1000.0, -1.5),
}
"""alpha, Epeak [keV] and beta of Band spectra: those that GBM localises with (Connaughton et al.
2015, section 2)."""
SPECTRA = {
    f"alpha {alpha:g}, Epeak {peak:g} keV": (alpha, float(peak), -2.4)
    for alpha in (-1.5, -1.0, -0.5)
    for peak in (30, 60, 120, 250, 500, 1000)
}
"""alpha, Epeak [keV] and beta: what bursts have, in steps that the two or three bands of GRM cannot
tell apart. With few spectra the ratio of the bands, not that of the detectors, fixes the direction,
as scattered light is soft."""
N_DIRECTION = 10000
N_COARSE = 150
N_NEAR = 4
_COSINES: FloatArray = np.linspace(0.0, 1.0, 81)


def is_visible(
    directions: ArrayLike, earth: ArrayLike | None, altitude_km: float = ALTITUDE_KM
) -> BoolArray:
    """Tell which directions the Earth does not hide from an orbit, shape (n_direction,).

    Parameters
    ----------
    directions : array of float, shape (n_direction, 3)
    earth : array of float, shape (3,), or None
        Unit vector to the Earth's centre; without it all are visible.
    altitude_km : float
        That of SVOM by default.
    """
    vectors = np.asarray(directions, float)
    if earth is None:
        return np.ones(len(vectors), bool)
    return np.asarray(
        vectors @ np.asarray(earth, float) <= np.cos(earth_radius_rad(altitude_km)), bool
    )


def in_field(directions: ArrayLike) -> BoolArray:
    """Tell which directions lie before the payload and light a GRD directly, (n_direction,).

    Behind the payload is the satellite, which the parametric response does not have.
    """
    vectors = np.asarray(directions, float)
    return np.asarray((vectors @ grd_normals().T > 0).any(axis=1) & (vectors[:, 0] > 0))


def grd_rate_table(
    bands: Quantity, *, earth: ArrayLike | None = None, n_direction: int = N_DIRECTION
) -> RateTable:
    """Predict the counts of GRD1 to GRD3 with the parametric response (`grm_response`).

    Direct light depends on the angle of incidence alone, that of the spacecraft on nothing; light
    from the atmosphere is worked out for 150 directions and interpolated between them.

    Parameters
    ----------
    bands : Quantity [energy], shape (n_band, 2)
        Cells are detector by detector, and band by band in each.
    earth : array of float, shape (3,), optional
        Unit vector to the Earth's centre, in the instrument's frame.
    n_direction : int
        Directions over the whole sky.
    """
    directions = even_directions(n_direction)
    first = grd_normals()[0]
    side = np.cross(first, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    direct = np.array(
        [_folded("GRD1", c * first + np.sqrt(1 - c**2) * side, bands, "direct") for c in _COSINES]
    )
    constant = _folded("GRD1", first, bands, "spacecraft")
    rates = []
    for name, normal in zip(GRD_NAMES, grd_normals(), strict=True):
        at = np.clip(directions @ normal, 0.0, 1.0) * (_COSINES.size - 1)
        low = np.minimum(at.astype(int), _COSINES.size - 2)
        part = (at - low)[:, None, None]
        seen = (1 - part) * direct[low] + part * direct[low + 1] + constant
        rates.append(seen + _from_atmosphere(name, directions, bands, earth))
    stacked = np.concatenate(rates, axis=2)
    return RateTable(
        directions=directions,
        rates=np.moveaxis(stacked, 1, 0),
        detectors=tuple(cell_names(GRD_NAMES, bands)),
        spectra=tuple(SPECTRA),
    )


def _from_atmosphere(
    name: str, directions: FloatArray, bands: Quantity, earth: ArrayLike | None
) -> FloatArray:
    """Counts from light that the Earth scatters, (n_direction, n_spectrum, n_band)."""
    if earth is None:
        return np.zeros((len(directions), len(SPECTRA), len(bands)))
    coarse = even_directions(N_COARSE)
    coarse = coarse[is_visible(coarse, earth)]
    known = np.array([_folded(name, one, bands, "atmosphere", earth) for one in coarse])
    return np.moveaxis(interpolate(coarse, np.moveaxis(known, 0, 1), directions), 0, 1)


def interpolate(known: FloatArray, values: FloatArray, wanted: FloatArray) -> FloatArray:
    """Interpolate between directions, by the inverse square of the distance of the nearest four.

    Parameters
    ----------
    known : ndarray of float, shape (n_known, 3)
    values : ndarray of float, shape (n, n_known, m)
    wanted : ndarray of float, shape (n_wanted, 3)

    Returns
    -------
    ndarray of float, shape (n, n_wanted, m)
    """
    distance, near = cKDTree(known).query(wanted, N_NEAR)
    weight = 1.0 / np.maximum(distance, 1e-6) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("dk,ndkm->ndm", weight, values[:, near]), float)


def _folded(
    name: str,
    source: FloatArray,
    bands: Quantity,
    component: Component,
    earth: ArrayLike | None = None,
) -> FloatArray:
    """Counts of the spectra in the bands, (n_spectrum, n_band)."""
    response = grm_response(name, source, earth=earth, components=[component])
    return fold_spectra(response, bands)


def fold_spectra(response: Response, bands: Quantity) -> FloatArray:
    """Counts per second of the `SPECTRA` in each band, (n_spectrum, n_band).

    All have one photon per cm2 and s in 50-300 keV, so that the amplitude is a flux.
    """
    photons = template_photons(SPECTRA, response.energy_true_edges_kev)
    middle = 0.5 * (response.channel_low_kev + response.channel_high_kev)
    low, high = bands.to_value(u.keV).T
    inside = (middle[:, None] >= low) & (middle[:, None] < high)
    return np.asarray(photons @ (response.matrix_cm2 @ inside), float)


def template_photons(
    templates: Mapping[str, tuple[float, float, float]], edges_kev: FloatArray
) -> FloatArray:
    """Photons of Band spectra in bins of energy, one per cm2 and s in 50-300 keV.

    Parameters
    ----------
    templates : mapping of str to (alpha, Epeak [keV], beta)
    edges_kev : ndarray of float, shape (n_bin + 1,)

    Returns
    -------
    ndarray of float, shape (n_template, n_bin)
    """
    return _template_photons(tuple(templates.values()), tuple(edges_kev))


@lru_cache(maxsize=4)
def _template_photons(
    shapes: tuple[tuple[float, float, float], ...], edges_kev: tuple[float, ...]
) -> FloatArray:
    integrator = bin_integrator(Quantity(edges_kev, u.keV))
    reference = bin_integrator(Quantity([50.0, 300.0], u.keV))
    rows = []
    for shape in shapes:
        values = np.array([1.0, *shape])
        rows.append(integrator.photons(BAND, values) / reference.photons(BAND, values).sum())
    return np.array(rows)
