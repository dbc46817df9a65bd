"""Counts of the twelve sodium-iodide detectors of GBM for a burst in any direction (`rate_ratio`).

Two parts:

- light straight from the burst, weakened and scattered by the spacecraft: the tables of GBM's own
  localisation, from the package astro-gdt-fermi (`tables`), for 50-300 keV and three spectra;
- light from the Earth's atmosphere: scattered once, as for GRM (`grm_response.single_scattering`),
  into crystals 12.7 cm wide and 1.27 cm thick (Meegan et al. 2009, ApJ 702, 791) whose view two
  opaque boxes, bus and LAT, limit. Their sizes and what weakens light from behind a crystal, 2.2 cm
  of aluminium, were fitted to the tables of the first part. No burst was used for anything.
"""

from collections.abc import Mapping

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike

from .cross_sections import ALUMINIUM, NAI, scattered_kev
from .crystal import Crystal, redistribute
from .grm_response import earth_disc, single_scattering
from .grm_table import N_COARSE, TEMPLATES, interpolate, is_visible, template_photons
from .lightcurve import BoolArray, FloatArray
from .rate_ratio import RateTable, cell_names, even_directions

NAI_NAMES = ("N0", "N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", "N9", "NA", "NB")
# Azimuth and zenith angle of the normals [deg] (Meegan et al. 2009, table 1), and places [cm].
_AZIMUTH_DEG = (
    45.89,
    45.11,
    58.44,
    314.87,
    303.15,
    3.35,
    224.93,
    224.62,
    236.61,
    135.19,
    123.73,
    183.74,
)
_ZENITH_DEG = (20.58, 45.31, 90.21, 45.24, 90.27, 89.79, 20.43, 46.18, 89.97, 45.55, 90.42, 90.32)
_PLACE_CM = np.array(
    [
        [96.1, 80.4, 107.6],
        [101.1, 72.8, 72.1],
        [109.0, 58.1, 99.0],
        [97.7, -76.3, 102.5],
        [109.0, -57.5, 83.6],
        [99.6, -49.7, 100.1],
        [-95.8, -80.3, 107.1],
        [-100.6, -72.5, 71.6],
        [-108.4, -57.2, 99.0],
        [-97.5, 76.5, 102.5],
        [-108.7, 57.7, 83.7],
        [-99.3, 50.0, 100.2],
    ]
)
# Lower and upper corners [cm]: LAT, bus between its radiators.
_BOXES_CM = (
    ((-87.0, -87.0, 126.0), (87.0, 87.0, 231.0)),
    ((-80.0, -75.0, 9.0), (80.0, 75.0, 126.0)),
)
NAI_CRYSTAL = Crystal(
    material=NAI,
    thickness_cm=1.27,
    edges_kev=(33.17,),
    fluorescence_kev=(29.2,),
    escape_yield=(0.73,),
    fwhm_at_60=0.15,
    fwhm_floor=0.06,
)
RADIUS_CM = 6.35
BAND_KEV = (50.0, 300.0)
BACK_ALUMINIUM_CM = 2.2
ALTITUDE_KM = 555.0
N_DIRECTION = 20000
_TRUE_EDGES_KEV: FloatArray = np.geomspace(40.0, 4000.0, 49)
_COSINES: FloatArray = np.linspace(-1.0, 1.0, 81)


def nai_normals() -> FloatArray:
    """Normals of the detectors in the spacecraft's axes, z along that of the LAT, shape (12, 3)."""
    azimuth, zenith = np.radians(_AZIMUTH_DEG), np.radians(_ZENITH_DEG)
    return np.stack(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)],
        axis=1,
    )


def is_clear(directions: ArrayLike) -> BoolArray:
    """Tell which detectors see a direction past the spacecraft, shape (n_direction, 12)."""
    vectors = np.asarray(directions, float)[:, None, :]
    with np.errstate(divide="ignore"):
        inverse = 1.0 / np.where(vectors == 0, 1e-12, vectors)
    clear = np.ones((len(vectors), len(NAI_NAMES)), bool)
    for low, high in _BOXES_CM:
        one, other = ((np.array(corner) - _PLACE_CM) * inverse for corner in (low, high))
        enter = np.minimum(one, other).max(axis=-1)
        leave = np.maximum(one, other).min(axis=-1)
        clear &= leave < np.maximum(enter, 0.0)
    return clear


def nai_area(cosine: FloatArray, energy_kev: FloatArray) -> FloatArray:
    """Area of a crystal that light meets, weakened by what lies before it [cm2].

    Parameters
    ----------
    cosine : ndarray of float
        Of the angle to the normal, -1 ... 1.
    energy_kev : ndarray of float
        Broadcasts with it.
    """
    face = np.pi * RADIUS_CM**2 * np.abs(cosine)
    rim = 2 * RADIUS_CM * NAI_CRYSTAL.thickness_cm * np.sqrt(1 - np.minimum(cosine**2, 1.0))
    back = np.exp(-ALUMINIUM.total_cm(energy_kev) * BACK_ALUMINIUM_CM)
    return np.asarray(face * np.where(cosine < 0, back, 1.0) + rim, float)


def nai_rate_table(
    direct: Mapping[str, ArrayLike], *, earth: ArrayLike, n_direction: int = N_DIRECTION
) -> RateTable:
    """Predict the counts of the twelve detectors in 50-300 keV (`BAND_KEV`).

    Parameters
    ----------
    direct : mapping of str to array of float, shape (n_known, 12)
        Relative counts of light straight from the burst for each of the `TEMPLATES`, at
        `even_directions`: what `io.read_gbm_nai_rates` returns.
    earth : array of float, shape (3,)
        Unit vector to the Earth's centre, in the spacecraft's axes.
    n_direction : int
        Directions over the whole sky.

    Raises
    ------
    ValueError
        A template is missing, or the shapes are not as said.
    """
    known = {name: np.asarray(direct.get(name, ()), float) for name in TEMPLATES}
    shapes = {values.shape for values in known.values()}
    if len(shapes) != 1 or next(iter(shapes))[1:] != (len(NAI_NAMES),):
        raise ValueError(
            f"direct rates of {sorted(direct)} with the shapes {shapes}; expected "
            f"{sorted(TEMPLATES)}, each (n_direction, {len(NAI_NAMES)})"
        )
    directions, to_earth = even_directions(n_direction), np.asarray(earth, float)
    areas, photons = _band_areas(), template_photons(TEMPLATES, _TRUE_EDGES_KEV)
    # The tables are relative: the highest rate is that of a crystal lit face-on.
    face_on = areas[-1] @ photons.T
    straight = np.array([known[name] / known[name].max() for name in TEMPLATES])
    straight *= face_on[:, None, None]
    coarse = even_directions(N_COARSE)
    coarse = coarse[is_visible(coarse, to_earth, ALTITUDE_KM)]
    scattered = _atmosphere(coarse, to_earth, areas, photons)
    return RateTable(
        directions=directions,
        rates=interpolate(even_directions(straight.shape[1]), straight, directions)
        + interpolate(coarse, scattered, directions),
        detectors=tuple(cell_names(NAI_NAMES, [BAND_KEV] * u.keV)),
        spectra=tuple(TEMPLATES),
    )


def _true_kev() -> FloatArray:
    return np.asarray(np.sqrt(_TRUE_EDGES_KEV[:-1] * _TRUE_EDGES_KEV[1:]), float)


def _band_areas() -> FloatArray:
    """Effective area into the band at each of _COSINES: (n_cosine, n_true) [cm2]."""
    energy, face = _true_kev(), np.pi * RADIUS_CM**2
    out = []
    for cosine in _COSINES:
        # The path through the crystal is its volume over the area that light meets.
        slant = max(float(nai_area(np.array(abs(cosine)), energy)[0]) / face, 0.05)
        seen = redistribute(NAI_CRYSTAL, energy, np.array(BAND_KEV), cosine=slant)[:, 0]
        out.append(seen * nai_area(np.array(cosine), energy))
    return np.array(out)


def _atmosphere(
    sources: FloatArray, to_earth: FloatArray, areas: FloatArray, photons: FloatArray
) -> FloatArray:
    """Counts from light that the Earth scatters: (n_spectrum, n_source, 12)."""
    rays, vertical, each_sr = earth_disc(to_earth, ALTITUDE_KM)
    at = (np.clip(rays @ nai_normals().T, -1, 1) + 1) / 2 * (_COSINES.size - 1)
    seen = areas[np.rint(at).astype(int)] * is_clear(rays)[..., None]
    leave = -np.sum(vertical * rays, axis=1)
    energy = _true_kev()
    out = []
    for source in sources:
        entry = vertical @ source
        lit = entry > 0
        angle = (rays[lit] @ source)[:, None]
        share = each_sr * single_scattering(energy, angle, entry[lit, None], leave[lit, None])
        after = scattered_kev(energy, angle)
        target = np.searchsorted(_TRUE_EDGES_KEV, after, side="right") - 1
        area = np.take_along_axis(seen[lit], np.maximum(target, 0)[:, None, :], axis=2)
        out.append(np.einsum("re,rje,se->sj", share * (target >= 0), area, photons))
    return np.moveaxis(np.array(out), 1, 0)
