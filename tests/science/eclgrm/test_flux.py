"""Fluxes of fits: closed integrals, scaling, and errors from a known covariance."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.fitting import FitResult
from analysis.eclgrm.flux import (
    band_flux,
    draw_parameters,
    fitted_fluence,
    fitted_flux,
    fitted_hardness,
)
from analysis.eclgrm.spectral_models import BAND, CUTOFF_POWER_LAW, POWER_LAW, SpectralModel

KEV = u.keV
# 1 keV in erg, exact by the definition of the SI.
ERG_PER_KEV = 1.602176634e-9


def result(model: SpectralModel, values: list[float], covariance: np.ndarray) -> FitResult:
    """A fit as if it had been made."""
    return FitResult(
        model=model,
        values=np.array(values),
        errors=np.sqrt(np.diag(covariance)),
        minos={},
        covariance=covariance,
        area_factors=np.ones(1),
        area_errors=np.zeros(1),
        statistic=100.0,
        statistic_by_detector=np.array([100.0]),
        n_channels=100,
        n_free=len(values),
        is_valid=True,
        at_limit=(),
    )


def test_a_power_law_of_index_minus_two_has_a_logarithmic_energy_flux() -> None:
    values = np.array([0.01, -2.0])
    energy = band_flux(POWER_LAW, values, 10 * KEV, 1000 * KEV)
    assert energy.to_value(u.erg / u.cm**2 / u.s) == pytest.approx(
        0.01 * 1e4 * np.log(100) * ERG_PER_KEV, rel=1e-7
    )
    photons = band_flux(POWER_LAW, values, 10 * KEV, 1000 * KEV, kind="photon")
    assert photons.to_value(1 / u.cm**2 / u.s) == pytest.approx(
        0.01 * 1e4 * (1 / 10 - 1 / 1000), rel=1e-7
    )


def test_the_catalogue_flux_of_grb_080916c() -> None:
    # The Band row of the GBM catalogue over 91.136 s gives 1.01e-4 erg / cm2 in 10-1000 keV.
    values = np.array([0.01402122, -1.070381, 667.6653, -2.152307])
    flux = band_flux(BAND, values, 10 * KEV, 1000 * KEV)
    fluence = (flux * 91.136 * u.s).to_value(u.erg / u.cm**2)
    # 1.01e-4 is printed with three digits.
    assert fluence == pytest.approx(1.01e-4, abs=0.005e-4)


@given(st.floats(12.0, 900.0))
@settings(max_examples=30)
def test_bands_add_up(middle: float) -> None:
    values = np.array([0.02, -1.0, 300.0, -2.3])
    whole = band_flux(BAND, values, 10 * KEV, 1 * u.MeV)
    parts = band_flux(BAND, values, 10 * KEV, middle * KEV) + band_flux(
        BAND, values, middle * KEV, 1 * u.MeV
    )
    # The panels divide the band anew, the break falls elsewhere in one of them.
    assert parts.value == pytest.approx(whole.value, rel=2e-5)


def test_rows_of_parameters_give_rows_of_fluxes() -> None:
    rows = np.array([[0.01, -2.0], [0.03, -2.0]])
    found = band_flux(POWER_LAW, rows, 10 * KEV, 100 * KEV)
    assert found.shape == (2,)
    assert (found[1] / found[0]).value == pytest.approx(3.0)


def test_the_error_of_a_free_amplitude_is_that_of_the_flux() -> None:
    covariance = np.diag([(0.05 * 0.01) ** 2, 1e-20])
    fit = result(POWER_LAW, [0.01, -2.0], covariance)
    flux = fitted_flux(fit, 10 * KEV, 100 * KEV, rng=np.random.default_rng(1), n_samples=20000)
    # 20000 draws give a percentile to 1 %; the log-normal differs from the normal by 0.1 %.
    assert (flux.error / flux.value).value == pytest.approx(0.05, rel=0.03)
    assert flux.upper - flux.value > flux.value - flux.lower


def test_correlated_parameters_narrow_the_flux() -> None:
    # Pivot of a power law: index and amplitude anticorrelate above 100 keV.
    spread = np.array([[(1e-3) ** 2, -0.98e-3 * 0.1], [-0.98e-3 * 0.1, 0.1**2]])
    tied = fitted_flux(
        result(POWER_LAW, [0.01, -2.0], spread),
        250 * KEV,
        350 * KEV,
        rng=np.random.default_rng(2),
    )
    loose = fitted_flux(
        result(POWER_LAW, [0.01, -2.0], np.diag(np.diag(spread))),
        250 * KEV,
        350 * KEV,
        rng=np.random.default_rng(2),
    )
    assert tied.error < 0.5 * loose.error


def test_the_same_generator_gives_the_same_interval() -> None:
    fit = result(CUTOFF_POWER_LAW, [0.02, -1.0, 300.0], np.diag([1e-6, 1e-3, 400.0]))
    one, other = (
        fitted_flux(fit, 10 * KEV, 1 * u.MeV, rng=np.random.default_rng(4)) for _ in range(2)
    )
    assert one == other


def test_fluence_is_flux_times_duration() -> None:
    fit = result(CUTOFF_POWER_LAW, [0.02, -1.0, 300.0], np.diag([1e-6, 1e-3, 400.0]))
    flux = fitted_flux(fit, 10 * KEV, 1 * u.MeV, rng=np.random.default_rng(4))
    fluence = fitted_fluence(fit, 10 * KEV, 1 * u.MeV, 0.5 * u.min, rng=np.random.default_rng(4))
    assert fluence.value.unit == u.erg / u.cm**2
    assert fluence.value.value == pytest.approx(30 * flux.value.value)
    assert fluence.upper.value == pytest.approx(30 * flux.upper.value)


def test_a_harder_spectrum_has_a_higher_hardness() -> None:
    covariance = np.diag([1e-6, 1e-4, 100.0])
    values = [
        fitted_hardness(
            result(CUTOFF_POWER_LAW, [0.02, -1.0, peak], covariance),
            rng=np.random.default_rng(1),
        ).value.value
        for peak in (60.0, 200.0, 800.0)
    ]
    assert values[0] < values[1] < values[2]
    # E N(E) = const for alpha -1 and no cutoff: the ratio of the widths, 200 / 50.
    flat = result(POWER_LAW, [0.02, -1.0], np.diag([1e-8, 1e-8]))
    found = fitted_hardness(flat, rng=np.random.default_rng(1))
    assert found.value.value == pytest.approx(4.0)


def test_draws_stay_inside_what_is_defined() -> None:
    wide = np.diag([1e-5, 0.3**2, 100.0**2, 0.8**2])
    draws = draw_parameters(
        result(BAND, [0.02, -1.5, 150.0, -2.0], wide), 2000, rng=np.random.default_rng(3)
    )
    assert draws.shape == (2000, 4)
    assert np.all(draws[:, 1] > draws[:, 3])
    assert np.all(draws[:, 0] > 0)
    assert np.all(draws[:, 2] > 2)


def test_a_fit_without_covariance_has_no_error() -> None:
    fit = result(POWER_LAW, [0.01, -2.0], np.eye(2))
    bad = FitResult(**{**vars(fit), "is_valid": False})
    with pytest.raises(ValueError, match="not valid"):
        fitted_flux(bad, 10 * KEV, 100 * KEV, rng=np.random.default_rng(1))
    # A peak 1000 times its limit away.
    far = result(CUTOFF_POWER_LAW, [0.02, 50.0, 300.0], np.diag([1e-8, 1e-8, 1.0]))
    with pytest.raises(ValueError, match="far beyond its limits"):
        draw_parameters(far, 100, rng=np.random.default_rng(1))
