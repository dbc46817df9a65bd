"""Simulated spectra: two crystals, a burst that is known, draws of it (for tests and figures)."""

import astropy.units as u
import numpy as np

from analysis.eclgrm.fitting import FitResult, predict
from analysis.eclgrm.response import Response, gaussian_response
from analysis.eclgrm.spectral_models import CUTOFF_POWER_LAW, SpectralModel
from analysis.eclgrm.spectrum import Observation, make_spectrum, observe


def responses() -> tuple[Response, Response]:
    """Two crystals: one low in energy, one high, with real sizes and resolutions."""
    low_true, high_true = np.geomspace(5, 5000, 81), np.geomspace(80, 50000, 81)

    def make(true: np.ndarray, edges: np.ndarray, fall_kev: float) -> Response:
        middle = np.sqrt(true[:-1] * true[1:])
        area = 110.0 / (1 + (middle / fall_kev) ** 0.8)
        resolution = 0.15 * np.sqrt(100 / middle)
        return gaussian_response(
            true * u.keV, edges * u.keV, area=area * u.cm**2, resolution=resolution
        )

    return (
        make(low_true, np.geomspace(10, 900, 61), 400.0),
        make(high_true, np.geomspace(250, 30000, 61), 9000.0),
    )


EXPOSURE = 20 * u.s


def template(
    model: SpectralModel, values: np.ndarray, factor: float = 1.0
) -> list[tuple[Response, np.ndarray, np.ndarray]]:
    """Expected source and background counts of both detectors."""
    out = []
    for index, response in enumerate(responses()):
        width = np.diff(np.append(response.channel_low_kev, response.channel_high_kev[-1]))
        background = 1.5 * EXPOSURE.value * width / response.channel_low_kev * 4
        blank = make_spectrum(np.zeros(response.n_channels), EXPOSURE)
        source = predict(observe(blank, None, response), model, values)
        out.append((response, source * (factor if index else 1.0), background))
    return out


def simulated(
    model: SpectralModel, values: np.ndarray, *, seed: int, factor: float = 1.0
) -> list[Observation]:
    """Draw counts and the estimate of a background that has 8 % of error a channel."""
    rng = np.random.default_rng(seed)
    observations = []
    for response, source, background in template(model, values, factor):
        counts = rng.poisson(source + background)
        error = 0.08 * background
        estimate = rng.normal(background, error)
        observations.append(
            observe(
                make_spectrum(counts, EXPOSURE),
                make_spectrum(estimate, EXPOSURE, counts_error=error),
                response,
            )
        )
    return observations


def pulls(results: list[FitResult], truth: np.ndarray) -> np.ndarray:
    return np.array([(one.values - truth) / one.errors for one in results])


def template_flux(truth: np.ndarray) -> tuple[u.Quantity, float]:
    """The true energy flux in 50-300 keV and the true hardness, by a fine sum."""
    edges = np.geomspace(50, 300, 200001)
    middle = np.sqrt(edges[:-1] * edges[1:])
    power = CUTOFF_POWER_LAW.density(middle, *truth) * middle * np.diff(edges)
    flux = power.sum() * u.keV / (u.cm**2 * u.s)
    return flux, float(power[middle > 100].sum() / power[middle < 100].sum())


def asimov(model: SpectralModel, values: np.ndarray) -> list[Observation]:
    """Spectra that are exactly as expected."""
    return [
        observe(
            make_spectrum(source + background, EXPOSURE),
            make_spectrum(background, EXPOSURE, counts_error=0.05 * background),
            response,
        )
        for response, source, background in template(model, values)
    ]
