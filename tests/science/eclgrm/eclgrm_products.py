"""Products of made-up results, one of every card (for tests)."""

from datetime import UTC, datetime

import astropy.units as u
import numpy as np
from astropy.time import Time
from eclgrm_spectra import simulated

from analysis.eclgrm import products, spectral_products
from analysis.eclgrm.background import choose_background, off_intervals
from analysis.eclgrm.blocks import find_burst
from analysis.eclgrm.classification import classify
from analysis.eclgrm.duration import measure_durations
from analysis.eclgrm.fitting import choose, fit
from analysis.eclgrm.flux import fitted_fluence, fitted_flux
from analysis.eclgrm.hardness import Band, hardness_ratio
from analysis.eclgrm.lightcurve import LightCurve
from analysis.eclgrm.peak_flux import measure_peaks
from analysis.eclgrm.product_io import Making
from analysis.eclgrm.products import Observed, Product
from analysis.eclgrm.response import gaussian_response
from analysis.eclgrm.spectral_models import CUTOFF_POWER_LAW, POWER_LAW
from analysis.eclgrm.spectral_products import BandCounts, BandFlux, FittedSpectrum
from analysis.eclgrm.trigger import find_trigger

WHAT = Observed(
    "sb26112101", "1140850001", "SVOM", Time("2026-11-21T10:00:00", scale="utc"), ("GRD1", "GRD2")
)


def making(number: int = 1) -> Making:
    """A run; another number is another run at another time."""
    return Making(
        activity_id=f"0f8fad5b-d9cb-469f-a165-7086772895{number:02d}",
        configuration_sha256="ab" * 32,
        task="test",
        version="0.1.0",
        inputs=[("BURST_" + "x" * 80 + ".fits", f"{number:064x}"), ("b.fits", "cd" * 32)],
        made_at=datetime(2026, 11, 21, 12, 0, number, tzinfo=UTC),
    )


def curve(*, gap: bool = False) -> LightCurve:
    """100 s before and after a pulse of 5 s in two bands; with a gap of 2 s in it."""
    rng = np.random.default_rng(7)
    start = np.arange(-100, 100, 0.064)
    pulse = 60 * np.exp(-0.5 * ((start - 3) / 5) ** 2)
    counts = rng.poisson(np.stack([20 + pulse, 10 + 0.5 * pulse], axis=1))
    return LightCurve(
        start=start * u.s,
        stop=(start + 0.064) * u.s,
        counts=counts,
        energy=[[50, 100], [100, 300]] * u.keV,
        is_good=~((start > 4) & (start < 6)) if gap else None,
        reference=WHAT.reference,
    )


def every_product() -> list[Product]:
    """One product of each card but those of positions."""
    made = [CLASS, *_spectral("ECL"), *_spectral("GRM"), _hardness("ECLGRM"), _spectrum()]
    for instrument in ("ECL", "GRM"):
        made += _temporal(instrument)
    return made


def _temporal(instrument: str) -> list[Product]:
    light = curve(gap=True)
    trigger, burst = find_trigger(light), find_burst(light)
    assert trigger is not None
    assert burst is not None
    measured = measure_durations(light, burst.start, burst.stop, rng=np.random.default_rng(1))
    off = off_intervals(light, burst.episodes)
    level = choose_background(light, off)
    peaks = measure_peaks(
        light,
        level.expected(light),
        [0.064, 0.256, 1.024] * u.s,
        interval=u.Quantity([burst.start, burst.stop]),
        rng=np.random.default_rng(1),
    )
    band = [50, 300] * u.keV
    return [
        products.trigger_time(WHAT, instrument, trigger),
        products.onboard_light_curve(WHAT, instrument, light),
        products.quick_light_curve(WHAT, instrument, light, [level, level]),
        products.peak_fluxes(WHAT, instrument, peaks, band),
        products.durations(WHAT, instrument, burst, measured, band),
    ]


def _spectral(instrument: str) -> list[Product]:
    first, second = (
        gaussian_response(
            np.geomspace(10, 2000, 21) * u.keV,
            np.geomspace(low, 1000, 17) * u.keV,
            area=np.full(20, 200.0) * u.cm**2,
            resolution=np.full(20, 0.1),
        )
        for low in (15, 20)
    )
    response = spectral_products.responses(
        WHAT, instrument, {"GRD1": first, "GRD2": second}, is_parametric=True,
        position=[105.58, 39.44] * u.deg,
    )  # fmt: skip
    return [response, _hardness(instrument)]


def _hardness(instrument: str) -> Product:
    soft, hard = (
        BandCounts([low, 2 * low] * u.keV, ("GRD1",), Band(100, 30.0, 2.0, 200.0))
        for low in (50, 100)
    )
    return spectral_products.hardness(
        WHAT,
        instrument,
        (soft, hard),
        hardness_ratio(soft.band, hard.band),
        interval=[-1, 7] * u.s,
        fluence_ratio=(2.5, 2.2, 2.9),
        model="cutoff power law",
    )


def _spectrum() -> Product:
    observations = simulated(CUTOFF_POWER_LAW, np.array([0.05, -0.9, 300.0]), seed=3)
    fits = [fit(observations, model) for model in (POWER_LAW, CUTOFF_POWER_LAW)]
    chosen = choose(fits)
    rng = np.random.default_rng(1)
    band = [50, 300] * u.keV
    flux = BandFlux(
        band,
        fitted_flux(chosen, *band, rng=rng, kind="photon"),
        fitted_flux(chosen, *band, rng=rng),
        fitted_fluence(chosen, *band, 20 * u.s, rng=rng),
    )
    found = FittedSpectrum(observations, ["GRM", "GRM"], fits, chosen, [flux], [0, 20] * u.s)
    return spectral_products.spectrum(WHAT, found)


CLASS = spectral_products.burst_class(
    WHAT,
    classify([20.0] * u.s, np.array([2.5])),
    duration=(20 * u.s, 0.5 * u.s),
    fluence_ratio=(2.5, 0.3),
    sources=("QT90_GRM", "QHR_GRM"),
)
