"""What ECLAIRs and GRM count without a burst: the cosmic X-ray background, and a part of their own.

The cosmic background is that of Gruber et al. 1999 (ApJ 520, 124), folded through the parametric
responses from the whole field of view, without the Earth in it. The internal part is a power law
in the channels of a rate that is chosen, to bring the whole near what is quoted of such detectors:
it is parametric.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .eclairs import CodedMask
from .eclairs_response import ECL_CHANNEL_EDGES_KEV, ECL_TRUE_EDGES_KEV, pixel_redistribution
from .grm_response import GRM_CHANNEL_EDGES_KEV, GRM_TRUE_EDGES_KEV, hemisphere_cm2_sr
from .lightcurve import FloatArray

_N_FINE = 8


@dataclass(frozen=True)
class InternalBackground:
    """Counts that no photon from the sky makes.

    Attributes
    ----------
    ecl_rate : float
        Of the whole plane of ECLAIRs [1 / s].
    ecl_index : float
        Of the power law in energy of those counts.
    grd_rate, grd_index : float
        The same of each detector of GRM.
    """

    ecl_rate: float = 300.0
    ecl_index: float = 0.0
    grd_rate: float = 500.0
    grd_index: float = -1.2


def cosmic_intensity(energy_kev: FloatArray) -> FloatArray:
    """Cosmic X-ray background [1 / (cm2 s sr keV)] (Gruber et al. 1999, eq. 2 and 3)."""
    energy = np.asarray(energy_kev, float)
    low = 7.877 * energy**-0.29 * np.exp(-energy / 41.13)
    scaled = energy / 60.0
    high = 0.0259 * scaled**-5.5 + 0.504 * scaled**-1.58 + 0.0288 * scaled**-1.05
    return np.asarray(np.where(energy < 60.0, low, high) / energy, float)


def _photons(edges_kev: FloatArray) -> FloatArray:
    """Integrate the intensity over bins: the mean over fine steps in ln(energy)."""
    parts = (np.arange(_N_FINE) + 0.5) / _N_FINE
    log = np.log(edges_kev)
    energy = np.exp(log[:-1, None] + np.diff(log)[:, None] * parts)
    return np.asarray((cosmic_intensity(energy) * energy).mean(axis=1) * np.diff(log), float)


def _internal(edges_kev: FloatArray, rate: float, index: float) -> FloatArray:
    power = index + 1.0
    part = np.diff(np.log(edges_kev) if abs(power) < 1e-9 else edges_kev**power / power)
    return np.asarray(rate * part / part.sum(), float)


def grd_background(internal: InternalBackground) -> FloatArray:
    """Rate in each channel of one detector of GRM [1 / s]."""
    sky = _photons(GRM_TRUE_EDGES_KEV) @ hemisphere_cm2_sr()
    return np.asarray(
        sky + _internal(GRM_CHANNEL_EDGES_KEV, internal.grd_rate, internal.grd_index), float
    )


def eclairs_background(
    mask: CodedMask, internal: InternalBackground
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Background of ECLAIRs.

    Returns
    -------
    sky, own : ndarray of float, shape (n_channel,)
        Rates in each channel of the whole plane, cosmic and internal [1 / s].
    sky_share : ndarray of float, shape (n_pixel, n_pixel)
        Part of the cosmic background that each pixel counts; sums to 1. The internal one is even.
    """
    sky_cm2_sr = cosmic_grasp_cm2_sr(mask)
    photons = _photons(ECL_TRUE_EDGES_KEV)
    # The mean angle of the light is 25 deg.
    sky = sky_cm2_sr.sum() * (photons @ pixel_redistribution(0.9))
    own = _internal(ECL_CHANNEL_EDGES_KEV, internal.ecl_rate, internal.ecl_index)
    return sky, own, sky_cm2_sr / sky_cm2_sr.sum()


@lru_cache(maxsize=4)
def cosmic_grasp_cm2_sr(mask: CodedMask) -> FloatArray:
    """Area times solid angle of each pixel through the open cells, shape (n_pixel, n_pixel).

    ``A_pixel sum_cells a_cell cos^4 / distance^2``, light of all directions alike.
    """
    n_cell = mask.is_open.shape[0]
    pixel = (np.arange(mask.n_pixel) - 0.5 * (mask.n_pixel - 1)) * mask.pitch_mm
    cell = (np.arange(n_cell) + 0.5 - 0.5 * n_cell) * mask.cell_mm
    offset2 = (cell[None, :] - pixel[:, None]) ** 2
    grasp = np.zeros((mask.n_pixel, mask.n_pixel))
    for row in range(n_cell):
        open_cells = np.flatnonzero(mask.is_open[row])
        far2 = offset2[:, row, None, None] + offset2[None, :, open_cells]
        grasp += ((1.0 + far2 / mask.distance_mm**2) ** -2).sum(axis=2)
    scale = (mask.pixel_mm / 10.0) ** 2 * (mask.cell_mm / mask.distance_mm) ** 2
    out = np.asarray(grasp * scale, float)
    out.flags.writeable = False
    return out
