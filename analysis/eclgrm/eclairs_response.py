"""A parametric response of ECLAIRs: its detector plane under the coded mask.

No response file of ECLAIRs is public. This one follows from the geometry in `eclairs` and from
crystals of CdTe, 1 mm thick. Counts of the whole plane are meant, background not taken off by the
mask: the area is that of the crystals lit through the mask towards the source (`lit_area_cm2`),
which falls off in the partially coded field. Not known and chosen: energy resolution, the rise of
the efficiency at 4 keV; left out: what the mask's cells let through above 100 keV, charge lost in
the crystals, light scattered by spacecraft and Earth.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from .attitude import to_tangent
from .cross_sections import CDTE
from .crystal import Crystal, redistribute
from .eclairs import CodedMask, lit_area_cm2
from .lightcurve import FloatArray
from .response import Response

ECL_CRYSTAL = Crystal(
    material=CDTE,
    thickness_cm=0.1,
    edges_kev=(26.71, 31.82),
    fluorescence_kev=(23.6, 27.9),
    escape_yield=(0.33, 0.38),
    fwhm_at_60=0.023,
    fwhm_floor=0.01,
    fwhm_noise_kev=0.9,
)
ECL_THRESHOLD_KEV = 4.0
"""Half of the photons of this energy are recorded."""
ECL_THRESHOLD_WIDTH_KEV = 0.5

ECL_CHANNEL_EDGES_KEV: FloatArray = np.concatenate(
    [np.arange(4.0, 20.0, 0.5), np.arange(20.0, 60.0, 1.0), np.arange(60.0, 151.0, 2.0)]
)
ECL_TRUE_EDGES_KEV: FloatArray = np.geomspace(3.0, 400.0, 161)


def eclairs_response(source: ArrayLike, mask: CodedMask) -> Response:
    """Make the parametric response of the whole plane of pixels to a source.

    Parameters
    ----------
    source : array of float, shape (3,)
        Unit vector to the burst in the payload's axes.
    mask : CodedMask

    Returns
    -------
    Response
        117 channels from 4 to 150 keV.

    Raises
    ------
    ValueError
        The source is outside the field of view.
    """
    towards = np.asarray(source, float)
    tangent = to_tangent(towards)
    area = lit_area_cm2(mask, tangent) if towards[0] > 0 else 0.0
    if not area > 0:
        angle = np.degrees(np.arccos(np.clip(towards[0], -1, 1)))
        raise ValueError(
            f"the source is {angle:.1f} deg off the axis of ECLAIRs, outside its field of view: "
            "there is no response"
        )
    return Response(
        name="ECL (parametric)",
        energy_true_edges_kev=ECL_TRUE_EDGES_KEV,
        channels=np.arange(ECL_CHANNEL_EDGES_KEV.size - 1),
        channel_low_kev=ECL_CHANNEL_EDGES_KEV[:-1],
        channel_high_kev=ECL_CHANNEL_EDGES_KEV[1:],
        matrix_cm2=area * pixel_redistribution(round(float(towards[0]), 2)),
    )


@lru_cache(maxsize=64)
def pixel_redistribution(cosine: float) -> FloatArray:
    """Chance that a photon that meets a crystal is recorded in each channel.

    Parameters
    ----------
    cosine : float
        Of the angle of incidence.

    Returns
    -------
    ndarray of float, shape (n_true, n_channel)
        By the bins of `ECL_TRUE_EDGES_KEV`; not to be written to.
    """
    energy = np.sqrt(ECL_TRUE_EDGES_KEV[:-1] * ECL_TRUE_EDGES_KEV[1:])
    edges = ECL_CHANNEL_EDGES_KEV
    middle = 0.5 * (edges[:-1] + edges[1:])
    scaled = (middle - ECL_THRESHOLD_KEV) / (np.sqrt(2.0) * ECL_THRESHOLD_WIDTH_KEV)
    seen = redistribute(ECL_CRYSTAL, energy, edges, cosine=cosine)
    out = np.asarray(seen * 0.5 * (1.0 + erf(scaled)), float)
    out.flags.writeable = False
    return out
