"""Bursts to simulate, for tests."""

import astropy.units as u
import numpy as np
from astropy.time import Time

from analysis.eclgrm.attitude import direction, pointing, to_sky
from analysis.eclgrm.reference_burst import Profile, ReferenceBurst, pulses_profile
from analysis.eclgrm.simulator import Scene
from analysis.eclgrm.spectral_models import BAND

BAND_VALUES = np.array([1.0, -0.9, 270.0, -2.4])
FINE = np.arange(-10.0, 80.0, 0.016)


def scene(off_axis_deg: float = 5.0, azimuth_deg: float = 30.0, *, earth: bool = True) -> Scene:
    attitude = pointing(100 * u.deg, 30 * u.deg, 10 * u.deg)
    return Scene(
        attitude,
        to_sky(direction(off_axis_deg * u.deg, azimuth_deg * u.deg), attitude),
        Time("2026-03-02T00:00:00"),
        earth=to_sky(direction(150 * u.deg, 30 * u.deg), attitude) if earth else None,
    )


def two_pulses(*, hardness: float = 0.0, flux: float = 1.0) -> ReferenceBurst:
    profile = pulses_profile([(5 * flux, 2, 1, 4), (8 * flux, 8, 1, 5)], FINE)
    return ReferenceBurst("two pulses", profile, BAND, BAND_VALUES, hardness=hardness)


def box(flux: float, start: float, stop: float) -> ReferenceBurst:
    profile = Profile(np.array([start, stop]), np.array([flux]))
    return ReferenceBurst("box", profile, BAND, BAND_VALUES)
