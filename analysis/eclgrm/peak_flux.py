"""Peak fluxes: the counts of the peaks as photon fluxes, through the response (QPF)."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.units import Quantity

from .burst import DetectorEvents
from .fitting import FitError, FitResult, choose, fit
from .flux import band_flux, draw_parameters
from .interval import IntervalSettings, observe_interval
from .lightcurve import FloatArray, LightCurve, Peak
from .peak import measure_peak
from .products import PHOTON_FLUX, PeakFlux
from .response import Response
from .spectral_models import CUTOFF_POWER_LAW, POWER_LAW, bin_integrator

_N_DRAWS = 200


def measure_peaks(
    curve: LightCurve,
    background: FloatArray,
    widths: Quantity,
    *,
    interval: Quantity,
    rng: np.random.Generator,
) -> list[PeakFlux]:
    """Measure the peaks of several widths, in counts (`peak.measure_peak`).

    Parameters
    ----------
    curve : LightCurve
        In one band.
    background : ndarray of float, shape (n_time,)
        Counts expected in each bin.
    widths : Quantity [time], shape (n,)
        Those finer than the bins, or without a window free of gaps, are left out.
    interval : Quantity [time], shape (2,)
        Of the burst.
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        None is left.
    """
    found = []
    for width in widths:
        try:
            peak = measure_peak(
                curve, width, background=background, start=interval[0], stop=interval[1], rng=rng
            )
            found.append(PeakFlux(width, peak))
        except ValueError as error:
            last = error
    if not found:
        raise ValueError(f"no peak of any width: {last}") from last
    return found


def photons_per_count(
    detectors: Sequence[DetectorEvents],
    responses: Mapping[str, Response],
    peak: Peak,
    *,
    band: Quantity,
    episodes: Quantity,
    energy_ranges: Mapping[str, Sequence[tuple[Quantity, Quantity]]],
    rng: np.random.Generator,
) -> tuple[float, float] | None:
    """Fit the spectrum of a peak and compare photons with counts in a band.

    The simpler of power law and cutoff power law that describes the peak; with the Band function
    intervals as short are degenerate.

    Parameters
    ----------
    detectors : sequence of DetectorEvents
        Whose counts are summed.
    responses : mapping of str to Response
    peak : Peak
    band : Quantity [energy], shape (2,)
    episodes : Quantity [time], shape (n, 2)
        Of the burst, to keep the background free of it.
    energy_ranges : mapping of str to ranges
        To fit, by detector.
    rng : numpy.random.Generator
        For the error.

    Returns
    -------
    (float, float) or None
        Photons / cm2 for each count, and the standard deviation; None where no fit is valid.
    """
    try:
        observations = observe_interval(
            detectors,
            responses,
            Quantity([peak.start, peak.stop]),
            episodes=episodes,
            energy_ranges=energy_ranges,
            settings=IntervalSettings(bin_width=1.024 * u.s),
        )
        chosen = choose([fit(observations, model) for model in (POWER_LAW, CUTOFF_POWER_LAW)])
        if not chosen.is_valid:
            return None
        draws = draw_parameters(chosen, _N_DRAWS, rng=rng)
    except FitError:
        return None
    matrices = [responses[one.name] for one in detectors]
    ratio = _photons_per_count(chosen, chosen.values, matrices, band)
    spread = [_photons_per_count(chosen, values, matrices, band) for values in draws]
    return ratio, float(np.std(spread))


def _photons_per_count(
    found: FitResult, values: FloatArray, matrices: Sequence[Response], band: Quantity
) -> float:
    low, high = band.to_value(u.keV)
    counts = 0.0
    for response in matrices:
        middle = 0.5 * (response.channel_low_kev + response.channel_high_kev)
        inside = (middle >= low) & (middle < high)
        photons = bin_integrator(response.energy_true_edges_kev * u.keV).photons(
            found.model, values
        )
        counts += float((photons @ response.matrix_cm2[:, inside]).sum())
    flux = band_flux(found.model, values, band[0], band[1], kind="photon")
    return float(flux.to_value(1 / (u.cm**2 * u.s))) / counts


def with_fluxes(peaks: Sequence[PeakFlux], factor: tuple[float, float] | None) -> list[PeakFlux]:
    """Turn the net rates into fluxes.

    Parameters
    ----------
    peaks : sequence of PeakFlux
    factor : (float, float) or None
        As of `photons_per_count`; None leaves the fluxes NaN.
    """
    if factor is None:
        return list(peaks)
    done = []
    for one in peaks:
        rate = float(one.peak.rate.to_value(1 / u.s))
        relative = np.hypot(one.peak.net_error / one.peak.net, factor[1] / factor[0])
        flux = rate * factor[0]
        done.append(
            PeakFlux(one.width, one.peak, flux * PHOTON_FLUX, abs(flux) * relative * PHOTON_FLUX)
        )
    return done
