"""GRB 980329 (BATSE trigger 6665) as a parametric burst, tuned to what is published of it.

Its light curve was not at hand. Pulses and spectrum below are the output of
``python docs/tune_grb980329.py``; they reproduce the durations, peak fluxes and fluences of the
BATSE catalogue as far as `docs/science-eclgrm-simulator.md` tells, and nothing else of the burst:
its real light curve has other pulses.
"""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from .lightcurve import FloatArray
from .reference_burst import ReferenceBurst, peak_flux, pulses_profile, timing
from .spectral_models import BAND

ORIGIN = "parametric: pulses and a Band function tuned to the BATSE catalogue, trigger 6665"
POSITION = SkyCoord(105.58 * u.deg, 39.44 * u.deg, frame="icrs")
EDGES_S: FloatArray = -5.0 + 0.016 * np.arange(4001)

FLUENCE_BANDS_KEV = ((20.0, 50.0), (50.0, 100.0), (100.0, 300.0), (300.0, 2000.0))
"""The catalogue's fourth channel is open; 2 MeV is where the detector ends."""


@dataclass(frozen=True)
class Published:
    """A number of the catalogue and its error."""

    value: float
    error: float


# HEASARC table batsegrb, trigger 6665. Times of peaks are those at which the window ends. The
# table gives starts and times of peaks without an error: that of the 64-ms bins is meant.
PUBLISHED = {
    "t50_s": Published(5.760, 0.091),
    "t50_start_s": Published(4.672, 0.064),
    "t90_s": Published(18.560, 0.264),
    "t90_start_s": Published(-0.448, 0.064),
    "peak_flux_64": Published(13.8489, 0.4206),
    "peak_flux_64_stop": Published(6.976, 0.064),
    "peak_flux_256": Published(13.2777, 0.2074),
    "peak_flux_256_stop": Published(7.168, 0.064),
    "peak_flux_1024": Published(12.3657, 0.1008),
    "peak_flux_1024_stop": Published(7.360, 0.064),
    "fluence_1": Published(5.0588e-6, 2.8298e-8),
    "fluence_2": Published(6.6495e-6, 3.2794e-8),
    "fluence_3": Published(2.5560e-5, 9.5696e-8),
    "fluence_4": Published(4.5303e-5, 8.3705e-7),
}
"""Times in s, fluxes in 1 / (cm2 s) from 50 to 300 keV, fluences in erg / cm2."""

# Amplitude [1 / (cm2 s)], time, rise, decay [s].
PULSES: tuple[tuple[float, float, float, float], ...] = (
    (5.001, -1.0, 0.944, 1.024),
    (5.331, 6.26, 3.52, 7.3),
    (1.527, 6.956, 0.033, 0.135),
    (6.997, 7.143, 5.53, 5.888),
    (1.354, 19.999, 2.628, 3.792),
)
PEAKEDNESS = 3.999
ALPHA, E_PEAK_KEV, BETA = -1.02, 500.501, -2.8


def grb980329() -> ReferenceBurst:
    """Give the tuned burst; time zero is the BATSE trigger."""
    return from_parameters(PULSES, PEAKEDNESS, (ALPHA, E_PEAK_KEV, BETA))


def from_parameters(
    pulses: tuple[tuple[float, float, float, float], ...],
    peakedness: float,
    shape: tuple[float, float, float],
) -> ReferenceBurst:
    """Make a burst of pulses and the shape of a Band function (alpha, E_peak [keV], beta)."""
    return ReferenceBurst(
        name="GRB 980329",
        profile=pulses_profile(pulses, EDGES_S, peakedness=peakedness),
        model=BAND,
        values=np.array([1.0, *shape]),
        origin=ORIGIN,
    )


def catalogue_numbers(burst: ReferenceBurst) -> dict[str, float]:
    """Compute what the catalogue publishes (`PUBLISHED`) of a burst without noise."""
    edges, photons = burst.profile.edges_s, burst.profile.photons
    found = dict(vars(timing(edges, photons)))
    for width in (64, 256, 1024):
        flux, end = peak_flux(edges, photons, width / 1000.0)
        found[f"peak_flux_{width}"], found[f"peak_flux_{width}_stop"] = flux, end
    for number, (low, high) in enumerate(FLUENCE_BANDS_KEV, start=1):
        found[f"fluence_{number}"] = float(burst.fluence(low * u.keV, high * u.keV).value)
    return {name: found[name] for name in PUBLISHED}
