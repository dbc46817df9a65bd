"""Photon spectra against their definitions and closed integrals."""

from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gamma, gammaincc

from analysis.eclgrm.spectral_models import (
    BAND,
    CUTOFF_POWER_LAW,
    PHOTON_DENSITY,
    POWER_LAW,
    band,
    bin_integrator,
    cutoff_power_law,
    integrate_photons,
    power_law,
)

A = 0.02 * PHOTON_DENSITY
ALPHA = st.floats(-1.8, 1.0)
DROP = st.floats(0.05, 3.0)
E_PEAK = st.floats(10.0, 3000.0)


@given(ALPHA, DROP, E_PEAK)
@settings(max_examples=100)
def test_band_is_continuous_with_its_slope(alpha: float, drop: float, e_peak: float) -> None:
    beta = alpha - drop
    e_break = drop * e_peak / (2 + alpha)
    step = 1e-6
    below, at, above = (
        band(e_break * (1 + x) * u.keV, A, alpha, e_peak * u.keV, beta).value
        for x in (-step, 0.0, step)
    )
    assert above / below == pytest.approx(1 + 2 * beta * step, rel=1e-8)
    slope_below = np.log(at / below) / -np.log1p(-step)
    slope_above = np.log(above / at) / np.log1p(step)
    assert slope_below == pytest.approx(beta, abs=1e-4)
    assert slope_above == pytest.approx(beta, abs=1e-4)


@given(st.floats(-1.8, 0.5), st.floats(-4.0, -2.05), E_PEAK)
@settings(max_examples=100)
def test_e_peak_is_the_peak_of_the_energy_spectrum(
    alpha: float, beta: float, e_peak: float
) -> None:
    energy = e_peak * np.array([0.99, 1.0, 1.01]) * u.keV
    for values in (
        band(energy, A, alpha, e_peak * u.keV, beta),
        cutoff_power_law(energy, A, alpha, e_peak * u.keV),
    ):
        power = (energy**2 * values).value
        assert power[1] > power[0]
        assert power[1] > power[2]


def test_band_tends_to_the_cutoff_power_law_and_to_a_power_law() -> None:
    energy = np.geomspace(5, 3000, 50) * u.keV
    steep = band(energy, A, -0.8, 200 * u.keV, -60.0)
    assert steep.value == pytest.approx(cutoff_power_law(energy, A, -0.8, 200 * u.keV).value)
    flat = band(energy, A, -1.5, 200 * u.keV, -1.5 - 1e-9)
    assert flat.value == pytest.approx(power_law(energy, A, -1.5).value, rel=1e-6)


def test_band_published_form_at_two_energies() -> None:
    # Band et al. 1993, equation 1, by hand: E0 = 300 / 1 = 300, break 1.2 * 300 = 360 keV.
    low, high = band(np.array([100.0, 1000.0]) * u.keV, A, -1.0, 300 * u.keV, -2.2).value
    assert low == pytest.approx(0.02 * np.exp(-1 / 3), rel=1e-12)
    assert high == pytest.approx(0.02 * 3.6**1.2 * np.exp(-1.2) * 10**-2.2, rel=1e-12)


def test_band_is_undefined_where_beta_is_not_below_alpha() -> None:
    assert np.isnan(band(100 * u.keV, A, -2.0, 300 * u.keV, -1.0).value)
    assert not BAND.is_defined(np.array([1.0, -2.0, 300.0, -1.0]))
    assert BAND.is_defined(np.array([1.0, -1.0, 300.0, -2.0]))
    assert not CUTOFF_POWER_LAW.is_defined(np.array([1.0, np.nan, 300.0]))


def test_energies_may_come_in_any_unit() -> None:
    in_mev = band(0.25 * u.MeV, A, -1.0, 0.3 * u.MeV, -2.2)
    assert in_mev.value == pytest.approx(band(250 * u.keV, A, -1.0, 300 * u.keV, -2.2).value)
    with pytest.raises(u.UnitConversionError):
        band(1 * u.s, A, -1.0, 300 * u.keV, -2.2)


@given(st.floats(-3.0, 1.0), st.floats(5.0, 500.0), st.floats(1.01, 100.0))
@settings(max_examples=100)
def test_bins_of_a_power_law_have_its_closed_integral(
    index: float, low: float, factor: float
) -> None:
    high = low * factor
    found = integrate_photons(
        POWER_LAW, np.array([1.0, index]), np.array([low, high]) * u.keV
    ).value[0]
    n = index + 1
    ratio = np.log(high / low) if abs(n) < 1e-9 else (high**n - low**n) / n
    exact = ratio * 100.0**-index if abs(n) >= 1e-9 else ratio * 100.0
    # 4 nodes on panels of 0.25 in ln E leave ~ (0.125 * 4)^8 / 8! / 9 of relative error.
    assert found == pytest.approx(exact, rel=1e-7)


@given(st.floats(-0.9, 1.0), st.floats(50.0, 2000.0))
@settings(max_examples=100)
def test_bins_of_a_cutoff_power_law_have_their_incomplete_gamma(
    alpha: float, e_peak: float
) -> None:
    edges = np.array([8.0, 20.0, 900.0])
    found = integrate_photons(CUTOFF_POWER_LAW, np.array([1.0, alpha, e_peak]), edges * u.keV).value
    e_fold = e_peak / (2 + alpha)
    tail = gammaincc(alpha + 1, edges / e_fold) * gamma(alpha + 1)
    exact = (tail[:-1] - tail[1:]) * e_fold * (e_fold / 100) ** alpha
    assert found == pytest.approx(exact, rel=2e-6)  # at 54 e-foldings for e_peak = 50 keV


def test_band_bins_across_the_break_agree_with_adaptive_quadrature() -> None:
    values = np.array([0.02, -1.0, 300.0, -2.2])
    edges = np.geomspace(5, 5e4, 141)
    found = integrate_photons(BAND, values, edges * u.keV).value
    exact = [
        quad(
            lambda e: float(BAND.density(np.array([e]), *values)[0]),
            low,
            high,
            points=[360.0] if low < 360 < high else None,
            epsabs=0,
            epsrel=1e-11,
        )[0]
        for low, high in pairwise(edges)
    ]
    # The second derivative jumps at the break, which costs the one bin that holds it 1e-5.
    assert found == pytest.approx(exact, rel=1e-5)


def test_the_energy_flux_of_narrow_bins_is_energy_times_photons() -> None:
    edges = np.geomspace(10, 1000, 2001)
    integrator = bin_integrator(edges * u.keV)
    values = np.array([0.02, -1.0, 300.0, -2.2])
    mean = integrator.energy(BAND, values) / integrator.photons(BAND, values)
    assert np.all((mean > edges[:-1]) & (mean < edges[1:]))


@given(st.floats(1e-4, 10.0))
@settings(max_examples=20)
def test_fluxes_scale_with_the_amplitude(factor: float) -> None:
    edges = np.geomspace(10, 1000, 20) * u.keV
    one = integrate_photons(BAND, np.array([1.0, -1.0, 300.0, -2.2]), edges).value
    many = integrate_photons(BAND, np.array([factor, -1.0, 300.0, -2.2]), edges).value
    assert many == pytest.approx(factor * one, rel=1e-12)


@pytest.mark.parametrize("edges", [[10.0], [0.0, 10.0], [20.0, 10.0], [10.0, 10.0]])
def test_bad_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="positive and ascending"):
        bin_integrator(edges * u.keV)
