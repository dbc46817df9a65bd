"""A parametric response of GRM, the gamma-ray monitor of SVOM.

No response file of GRM is public. This one follows from a model that is written out here: three
detectors (GRDs) of 200 cm2 of NaI, 15 mm thick, inclined by 30 deg to the payload's axis at
azimuths 120 deg apart. It is not the response of the instrument, and its name says so. Three
components can be had one by one:

- ``direct``: light that falls on the front of a crystal through its window; nothing comes through
  the back or the rim.
- ``atmosphere``: light that the Earth scatters once into the crystal: Compton scattering in a
  plane-parallel atmosphere at each point of the disc (Chandrasekhar 1960, Radiative Transfer,
  eq. III 3 for single scattering, with the energy lost), seen directly. Multiple scattering, which
  adds to it at 50 to 150 keV, is left out.
- ``spacecraft``: light that the spacecraft scatters: a fixed fraction of what falls on a crystal
  face-on, Compton scattered by 90 deg in aluminium and absorbed there at low energies; from
  everywhere alike, as nothing is known of the spacecraft.

What is not known and chosen: window (1.5 mm of beryllium, 6 mm of plastic), energy resolution,
`SPACECRAFT_FRACTION`. Directions are unit vectors in the payload's axes (`attitude`).
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Literal

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from .attitude import direction as unit_vector
from .cross_sections import (
    AIR,
    ALUMINIUM,
    AVOGADRO,
    BERYLLIUM,
    NAI,
    POLYSTYRENE,
    klein_nishina_cm2,
    klein_nishina_per_sr_cm2,
    scattered_kev,
)
from .crystal import Crystal, redistribute
from .lightcurve import FloatArray, IntArray
from .response import Response

Component = Literal["direct", "atmosphere", "spacecraft"]
COMPONENTS: tuple[Component, ...] = ("direct", "atmosphere", "spacecraft")

GRD_NAMES = ("GRD1", "GRD2", "GRD3")
GRD_AREA_CM2 = 200.0
GRD_TILT_DEG = 30.0
GRD_AZIMUTH_DEG = (0.0, 120.0, 240.0)
GRD_CRYSTAL = Crystal(
    material=NAI,
    thickness_cm=1.5,
    edges_kev=(33.17,),
    fluorescence_kev=(29.2,),
    escape_yield=(0.73,),
    fwhm_at_60=0.16,
    fwhm_floor=0.06,
)
WINDOW_BERYLLIUM_CM = 0.15
WINDOW_PLASTIC_CM = 0.6
SPACECRAFT_FRACTION = 0.1
"""Photons scattered to a crystal at low energy per photon that meets it face-on, no absorption."""
ALTITUDE_KM = 625.0
EARTH_RADIUS_KM = 6378.0

GRM_CHANNEL_EDGES_KEV: FloatArray = np.geomspace(15.0, 5000.0, 129)
GRM_TRUE_EDGES_KEV: FloatArray = np.geomspace(10.0, 12000.0, 161)
_COSINES: FloatArray = np.linspace(0.05, 1.0, 13)
_RINGS, _SECTORS = 14, 24


def grd_normals() -> FloatArray:
    """Normals of the three detectors, shape (3, 3)."""
    return unit_vector(np.full(3, GRD_TILT_DEG) * u.deg, np.array(GRD_AZIMUTH_DEG) * u.deg)


def grm_response(
    detector: str,
    source: ArrayLike,
    *,
    earth: ArrayLike | None = None,
    components: Collection[Component] = COMPONENTS,
) -> Response:
    """Make the parametric response of one GRD.

    Parameters
    ----------
    detector : str
        GRD1, GRD2 or GRD3.
    source : array of float, shape (3,)
        Unit vector to the burst.
    earth : array of float, shape (3,), optional
        Unit vector to the Earth's centre; without it there is no ``atmosphere``.
    components : collection of str
        What to include.

    Returns
    -------
    Response
        128 channels from 15 to 5000 keV.

    Raises
    ------
    ValueError
        There is no such detector or component, a vector is not of length 1, or the Earth hides
        the source.
    """
    if detector not in GRD_NAMES:
        raise ValueError(f"detector {detector!r}; expected one of {', '.join(GRD_NAMES)}")
    unknown = set(components) - set(COMPONENTS)
    if unknown:
        raise ValueError(f"components {sorted(unknown)}; expected some of {COMPONENTS}")
    normal = grd_normals()[GRD_NAMES.index(detector)]
    to_source = _unit(source, "source")
    matrix = np.zeros((GRM_TRUE_EDGES_KEV.size - 1, GRM_CHANNEL_EDGES_KEV.size - 1))
    if "direct" in components:
        matrix += _direct(float(normal @ to_source))
    if "spacecraft" in components:
        matrix += _spacecraft()
    if earth is not None:
        to_earth = _unit(earth, "earth")
        if float(to_earth @ to_source) > np.cos(earth_radius_rad()):
            raise ValueError("the Earth hides the source: the directions are too close")
        if "atmosphere" in components:
            matrix += _atmosphere(normal, to_source, to_earth)
    return Response(
        name=f"{detector} (parametric)",
        energy_true_edges_kev=GRM_TRUE_EDGES_KEV,
        channels=np.arange(GRM_CHANNEL_EDGES_KEV.size - 1),
        channel_low_kev=GRM_CHANNEL_EDGES_KEV[:-1],
        channel_high_kev=GRM_CHANNEL_EDGES_KEV[1:],
        matrix_cm2=matrix,
    )


def earth_radius_rad(altitude_km: float = ALTITUDE_KM) -> float:
    """Angular radius of the Earth from an orbit."""
    return float(np.arcsin(EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km)))


def _unit(vector: ArrayLike, name: str) -> FloatArray:
    values = np.asarray(vector, float)
    if values.shape != (3,) or not abs(float(np.linalg.norm(values)) - 1.0) < 1e-3:
        raise ValueError(f"{name} is {values.tolist()}; expected a unit vector of three numbers")
    return values


def _true_kev() -> FloatArray:
    return np.asarray(np.sqrt(GRM_TRUE_EDGES_KEV[:-1] * GRM_TRUE_EDGES_KEV[1:]), float)


@lru_cache(maxsize=1)
def _face_matrices() -> FloatArray:
    """Area times redistribution for light at each of _COSINES, shape (n_cosine, n_true, n_ch)."""
    energy = _true_kev()
    depth = WINDOW_BERYLLIUM_CM * BERYLLIUM.photoelectric_cm(energy)
    depth += WINDOW_PLASTIC_CM * POLYSTYRENE.photoelectric_cm(energy)
    matrices = []
    for cosine in _COSINES:
        area = GRD_AREA_CM2 * cosine * np.exp(-depth / cosine)
        seen = redistribute(GRD_CRYSTAL, energy, GRM_CHANNEL_EDGES_KEV, cosine=float(cosine))
        matrices.append(area[:, None] * seen)
    return np.array(matrices)


def hemisphere_cm2_sr() -> FloatArray:
    """Direct light from the whole hemisphere before a crystal: the response over solid angle.

    Returns
    -------
    ndarray of float, shape (n_true, n_channel)
        [cm2 sr]; the light of a hemisphere of even brightness is that brightness times this.
    """
    faces = np.concatenate([np.zeros_like(_face_matrices()[:1]), _face_matrices()])
    return np.asarray(2 * np.pi * trapezoid(faces, np.r_[0.0, _COSINES], axis=0), float)


def _direct(cosine: float) -> FloatArray:
    """Interpolate between _COSINES; linear to 0 at grazing incidence."""
    faces = _face_matrices()
    if cosine <= 0:
        return np.zeros_like(faces[0])
    if cosine < _COSINES[0]:
        return np.asarray(faces[0] * (cosine / _COSINES[0]), float)
    at = min(int(np.searchsorted(_COSINES, cosine, side="right")) - 1, _COSINES.size - 2)
    part = (cosine - _COSINES[at]) / (_COSINES[at + 1] - _COSINES[at])
    return np.asarray((1 - part) * faces[at] + part * faces[at + 1], float)


@lru_cache(maxsize=1)
def _spacecraft() -> FloatArray:
    energy = _true_kev()
    albedo = ALUMINIUM.compton_cm(energy) / ALUMINIUM.total_cm(energy)
    fraction = (
        SPACECRAFT_FRACTION * albedo * klein_nishina_cm2(energy) / klein_nishina_cm2(np.array(1.0))
    )
    weights = np.zeros((1, energy.size, energy.size))
    rows = np.arange(energy.size)
    target = _bin_of(scattered_kev(energy, np.array(0.0)))
    known = target >= 0
    weights[0, rows[known], target[known]] = fraction[known]
    return np.asarray(np.tensordot(weights, _face_matrices()[-1:], axes=([0, 2], [0, 1])), float)


def _bin_of(energy_kev: FloatArray) -> IntArray:
    """Bin of true energy, -1 below the first."""
    found = np.searchsorted(GRM_TRUE_EDGES_KEV, energy_kev, side="right") - 1
    return np.asarray(np.minimum(found, GRM_TRUE_EDGES_KEV.size - 2), np.int64)


def earth_disc(
    to_earth: FloatArray, altitude_km: float = ALTITUDE_KM
) -> tuple[FloatArray, FloatArray, float]:
    """Directions over the Earth's disc, each of the same solid angle.

    Parameters
    ----------
    to_earth : ndarray of float, shape (3,)
        Unit vector to the Earth's centre.
    altitude_km : float

    Returns
    -------
    rays, vertical : ndarray of float, shape (n_ray, 3)
        Unit vectors from the spacecraft, and the vertical where each meets the ground.
    each_sr : float
        Solid angle of one.
    """
    steps = (np.arange(_RINGS) + 0.5) / _RINGS
    rim = np.cos(earth_radius_rad(altitude_km))
    cosine = 1.0 - steps * (1.0 - rim)
    azimuth = 2 * np.pi * np.arange(_SECTORS) / _SECTORS
    helper = np.array([1.0, 0, 0]) if abs(to_earth[0]) < 0.9 else np.array([0, 1.0, 0])
    side = np.cross(to_earth, helper)
    side /= np.linalg.norm(side)
    other = np.cross(to_earth, side)
    round_ = np.cos(azimuth)[:, None] * side + np.sin(azimuth)[:, None] * other
    sine = np.sqrt(1.0 - cosine**2)
    rays = cosine[:, None, None] * to_earth + sine[:, None, None] * round_
    orbit = EARTH_RADIUS_KM + altitude_km
    length = orbit * cosine - np.sqrt(EARTH_RADIUS_KM**2 - (orbit * sine) ** 2)
    vertical = (-orbit * to_earth + length[:, None, None] * rays) / EARTH_RADIUS_KM
    each_sr = 2 * np.pi * (1.0 - rim) / (_RINGS * _SECTORS)
    return rays.reshape(-1, 3), vertical.reshape(-1, 3), float(each_sr)


def single_scattering(
    energy_kev: FloatArray, angle: FloatArray, entry: FloatArray, leave: FloatArray
) -> FloatArray:
    """Light that the atmosphere scatters once, per light that falls on it.

    ``dsigma/dOmega mu0 / (mu sigma(E) + mu0 sigma(E'))``, Chandrasekhar 1960 with sigma the
    coefficients before and after.

    Parameters
    ----------
    energy_kev : ndarray of float
        Of the incident photons.
    angle, entry, leave : ndarray of float
        Cosines: of the angle scattered by; mu0 and mu, of incident and of scattered light to the
        vertical. All broadcast.

    Returns
    -------
    ndarray of float
        Photons per cm2, s and sr from one photon per cm2 (across the beam) and s.
    """
    after = scattered_kev(energy_kev, angle)
    per_gram = AVOGADRO * AIR.electrons * klein_nishina_per_sr_cm2(energy_kev, angle)
    depth = leave * AIR.total_cm(energy_kev) + entry * AIR.total_cm(after)
    return np.asarray(per_gram * entry / depth, float)


def _atmosphere(normal: FloatArray, source: FloatArray, to_earth: FloatArray) -> FloatArray:
    """Sum the light scattered towards the crystal over the Earth's disc."""
    rays, vertical, each_sr = earth_disc(to_earth)
    entry, leave = vertical @ source, -np.sum(vertical * rays, axis=1)
    face = rays @ normal
    lit = (entry > 0) & (face > 0)
    rays, entry, leave, face = rays[lit], entry[lit], leave[lit], face[lit]
    energy, angle = _true_kev()[:, None], rays @ source
    target = _bin_of(scattered_kev(energy, angle))
    nearest = np.abs(_COSINES[None, :] - face[:, None]).argmin(axis=1)
    share = single_scattering(energy, angle, entry, leave) * each_sr * (face / _COSINES[nearest])
    n_true = energy.size
    weights = np.zeros((_COSINES.size, n_true, n_true))
    row = np.broadcast_to(np.arange(n_true)[:, None], target.shape)
    column = np.broadcast_to(nearest, target.shape)
    known = target >= 0
    np.add.at(weights, (column[known], row[known], target[known]), share[known])
    return np.asarray(np.tensordot(weights, _face_matrices(), axes=([0, 2], [0, 1])), float)
