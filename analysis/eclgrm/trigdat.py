"""Position of a GBM burst from the rates of its trigger data (TRIGDAT), as OTLOC of GRM does it."""

from collections.abc import Mapping
from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .attitude import to_instrument
from .gbm_table import ALTITUDE_KM, BAND_KEV, nai_rate_table
from .grm_table import is_visible
from .lightcurve import FloatArray, LightCurve, select_band
from .otloc import Localisation, OtlocSettings, locate_rates
from .trigger import TriggerSettings

GBM_SETTINGS = OtlocSettings(
    trigger=TriggerSettings(
        time_scales=[0.064, 0.256, 1.024, 4.096] * u.s, bands=[BAND_KEV] * u.keV, threshold=6.5
    ),
    background=130 * u.s,
    rate_systematic=0.10,
)
"""The band of the table; its error of 10 % makes the radius of a bright burst some degrees, as the
systematic error of GBM's own positions is (Connaughton et al. 2015: 3.7 degrees for most)."""


def locate_trigdat(
    curves: Mapping[str, LightCurve],
    direct: Mapping[str, ArrayLike],
    *,
    attitude: FloatArray,
    position: Quantity,
    settings: OtlocSettings = GBM_SETTINGS,
) -> Localisation:
    """Find trigger, confidence and position in the curves of GBM's sodium-iodide detectors.

    Parameters
    ----------
    curves : mapping of str to LightCurve
        ``N0`` to ``NB``, at least three of them: `io.read_gbm_trigdat`, one detector each.
    direct : mapping of str to array of float
        `io.read_gbm_nai_rates`.
    attitude : ndarray of float, shape (4,)
    position : Quantity [length], shape (3,)
        Of the spacecraft from the Earth's centre, ICRS: both of `io.read_gbm_pointing`, at the
        trigger.
    settings : OtlocSettings, optional
        Its bands must be that of the table, 50 to 300 keV.

    Raises
    ------
    ValueError
        A curve has no channel in the band, or bins differ.
    """
    centre = SkyCoord(*(-position), representation_type="cartesian", frame="icrs")
    earth = to_instrument(centre, attitude)
    table = nai_rate_table(direct, earth=earth)
    return locate_rates(
        {name: _in_band(curve) for name, curve in curves.items()},
        table,
        attitude=np.asarray(attitude, float),
        visible=is_visible(table.directions, earth, ALTITUDE_KM),
        settings=settings,
    )


def _in_band(curve: LightCurve) -> LightCurve:
    low, high = BAND_KEV
    held = select_band(curve, low * u.keV, high * u.keV)
    return replace(held, counts=held.total[:, None], energy=[BAND_KEV] * u.keV)
