"""Forward folding: real bursts against published fits, and simulated ones against the truth."""

import time
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_spectra import EXPOSURE, asimov, pulls, responses, simulated, template_flux
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.extraction import extract_spectrum
from analysis.eclgrm.fitting import FitError, FitResult, choose, fit
from analysis.eclgrm.flux import fitted_flux, fitted_hardness
from analysis.eclgrm.io import read_gbm_tte
from analysis.eclgrm.lightcurve import LightCurve, bin_events
from analysis.eclgrm.ogip import read_response, read_responses, read_spectrum
from analysis.eclgrm.response import Response, combine_responses
from analysis.eclgrm.spectral_models import BAND, CUTOFF_POWER_LAW, POWER_LAW
from analysis.eclgrm.spectrum import Observation, make_spectrum, observe

NAI = [(8 * u.keV, 900 * u.keV)]
BGO = [(250 * u.keV, 38 * u.MeV)]

# The row of each burst in the GBM catalogue (HEASARC fermigbrst): value and error.
CATALOGUE_080916C = {
    "alpha": (-1.070381, 0.0144937),
    "e_peak": (667.6653, 41.6875),
    "beta": (-2.152307, 0.07648563),
}


@pytest.fixture(scope="module")
def grb_090217(test_data: Path) -> list[Observation]:
    folder = test_data / "grb" / "gbm_bn090217206"
    if not folder.is_dir():
        pytest.skip(f"no data of GRB 090217A at {folder}")
    return [
        observe(
            read_spectrum(folder / f"bn090217206_{detector}_srcspectra.pha"),
            read_spectrum(folder / f"bn090217206_{detector}_bkgspectra.bak"),
            read_response(folder / f"bn090217206_{detector}_weightedrsp.rsp"),
            energy_ranges=ranges,
        )
        for detector, ranges in (("n6", NAI), ("n9", NAI), ("b1", BGO))
    ]


@pytest.fixture(scope="module")
def grb_080916(test_data: Path) -> dict[str, tuple[LightCurve, tuple[Response, ...]]]:
    folder = test_data / "grb" / "gbm_bn080916009"
    if not folder.is_dir():
        pytest.skip(f"no data of GRB 080916C at {folder}")
    data = {}
    for detector in ("n3", "b0"):
        events = read_gbm_tte(folder / f"glg_tte_{detector}_bn080916009_v01.fit.gz")
        curve = bin_events(
            events.time,
            events.channel,
            edges=np.arange(-25.6, 300, 0.512) * u.s,
            energy=events.energy,
            good_intervals=events.good_intervals,
        )
        responses = read_responses(folder / f"glg_cspec_{detector}_bn080916009_v00.rsp2")
        data[detector] = (curve, responses)
    return data


def observations_080916(
    data: dict[str, tuple[LightCurve, tuple[Response, ...]]],
    source: list[float],
    background: list[list[float]],
    order: int = 1,
) -> list[Observation]:
    out = []
    for detector, ranges in (("n3", NAI), ("b0", BGO)):
        curve, responses = data[detector]
        spectra = extract_spectrum(
            curve, source=source * u.s, background=background * u.s, order=order, name=detector
        )
        out.append(observe(*spectra, responses[0], energy_ranges=ranges))
    return out


def test_grb_090217a_is_the_cutoff_power_law_of_the_reference(
    grb_090217: list[Observation],
) -> None:
    found = fit(grb_090217, CUTOFF_POWER_LAW, minos=True)
    # An independent PG-statistic code gave -0.846 +- 0.026, 627 +- 34 keV, 412.8 / 356 for the
    # same channels: agreement is asked to the last digit printed there.
    assert found.is_valid
    assert found.parameter("alpha").value == pytest.approx(-0.846, abs=6e-4)
    assert found.error("alpha").value == pytest.approx(0.026, abs=6e-4)
    assert found.parameter("e_peak").to_value(u.keV) == pytest.approx(627, abs=0.6)
    assert found.error("e_peak").to_value(u.keV) == pytest.approx(34, abs=0.6)
    assert found.statistic == pytest.approx(412.8, abs=0.1)
    assert found.dof == 356
    # MINOS: the peak's upper error is the larger one, as the counts fall with energy.
    lower, upper = found.minos["e_peak"]
    assert -35 < lower < -30
    assert 33 < upper < 40
    # The catalogue fits 73.7 s of it: 672 +- 41 keV; within 2 sigma jointly.
    assert abs(627 - 672.277) < 2 * np.hypot(34, 41.026)


def test_grb_090217a_needs_a_cutoff_but_no_second_power_law(
    grb_090217: list[Observation],
) -> None:
    fits = [fit(grb_090217, model) for model in (BAND, POWER_LAW, CUTOFF_POWER_LAW)]
    assert choose(fits).model is CUTOFF_POWER_LAW  # the catalogue's best model: flnc_comp
    assert fits[1].statistic - fits[2].statistic > 1000
    assert fits[2].statistic - fits[0].statistic < 1


@pytest.mark.parametrize(
    ("background", "order"),
    [([[-25, -5], [100, 190]], 1), ([[-25, -5], [150, 299]], 1), ([[-25, -5], [100, 299]], 2)],
)
def test_grb_080916c_band_within_two_sigma_of_the_catalogue(
    grb_080916: dict[str, tuple[LightCurve, tuple[Response, ...]]],
    background: list[list[float]],
    order: int,
) -> None:
    observations = observations_080916(grb_080916, [-4.096, 87.04], background, order)
    found = fit(observations, BAND)
    assert found.is_valid
    assert found.at_limit == ()
    assert found.dof == 236
    assert found.statistic / found.dof < 1.2
    for name, (value, error) in CATALOGUE_080916C.items():
        ours, our_error = found.parameter(name).value, found.error(name).value
        assert abs(ours - value) < 2 * np.hypot(error, our_error), name


def test_grb_080916c_band_fit_takes_less_than_200_ms(
    grb_080916: dict[str, tuple[LightCurve, tuple[Response, ...]]],
) -> None:
    observations = observations_080916(grb_080916, [-4.096, 87.04], [[-25, -5], [100, 190]])
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        fit(observations, BAND)
        best = min(best, time.process_time() - begin)
    assert best < 0.2


def test_grb_080916c_peak_flux_within_ten_percent_of_the_catalogue(
    test_data: Path, grb_080916: dict[str, tuple[LightCurve, tuple[Response, ...]]]
) -> None:
    # flux_1024 is 13.6635 +- 0.2933 ph / (cm2 s) in 10-1000 keV, window from 2.368 s.
    folder = test_data / "grb" / "gbm_bn080916009"
    observations = []
    for detector, ranges in (("n3", NAI), ("b0", BGO)):
        events = read_gbm_tte(folder / f"glg_tte_{detector}_bn080916009_v01.fit.gz")
        curve = bin_events(
            events.time,
            events.channel,
            edges=(2.368 + 1.024 * np.arange(-26, 180)) * u.s,
            energy=events.energy,
        )
        spectra = extract_spectrum(
            curve,
            source=[2.368, 3.392] * u.s,
            background=[[-25, -5], [100, 190]] * u.s,
            name=detector,
        )
        response = grb_080916[detector][1][0]
        observations.append(observe(*spectra, response, energy_ranges=ranges))
    found = fit(observations, CUTOFF_POWER_LAW)
    flux = fitted_flux(found, 10 * u.keV, 1 * u.MeV, rng=np.random.default_rng(1), kind="photon")
    assert flux.value.value == pytest.approx(13.6635, rel=0.10)
    assert flux.lower < flux.value < flux.upper


def test_factors_of_the_areas_absorb_a_detector_that_is_too_bright(
    grb_080916: dict[str, tuple[LightCurve, tuple[Response, ...]]],
) -> None:
    observations = simulated(BAND, np.array([0.05, -1.0, 300.0, -2.3]), seed=3, factor=1.25)
    found = fit(observations, BAND, free_areas=True)
    assert found.area_factors[0] == 1
    assert found.area_errors[0] == 0
    assert abs(found.area_factors[1] - 1.25) < 3 * found.area_errors[1]
    assert found.n_free == 5
    held = fit(observations, BAND)
    assert held.statistic - found.statistic > 25


N_SEEDS = 200


@pytest.fixture(scope="module")
def closed_loop() -> tuple[np.ndarray, list[FitResult]]:
    truth = np.array([0.03, -0.9, 300.0])
    fits = [
        fit(simulated(CUTOFF_POWER_LAW, truth, seed=seed), CUTOFF_POWER_LAW, minos=True)
        for seed in range(N_SEEDS)
    ]
    return truth, fits


def test_simulated_spectra_are_recovered_without_bias(
    closed_loop: tuple[np.ndarray, list[FitResult]],
) -> None:
    truth, fits = closed_loop
    assert all(one.is_valid and not one.at_limit for one in fits)
    deviation = pulls(fits, truth)
    # The mean of 200 unit pulls has an error of 0.071: 3.5 of them.
    assert np.abs(deviation.mean(axis=0)) == pytest.approx(0.0, abs=0.25)
    # Their standard deviation has one of 0.05.
    assert deviation.std(axis=0) == pytest.approx(1.0, abs=0.18)


def test_hesse_and_minos_errors_cover_at_the_stated_rate(
    closed_loop: tuple[np.ndarray, list[FitResult]],
) -> None:
    truth, fits = closed_loop
    deviation = np.abs(pulls(fits, truth))
    # Binomial errors of 200 trials: 3.3 % at 68.27 %, 1.5 % at 95.45 %; three of them.
    assert np.mean(deviation < 1, axis=0) == pytest.approx(0.6827, abs=0.10)
    assert np.mean(deviation < 2, axis=0) == pytest.approx(0.9545, abs=0.045)
    for index, name in enumerate(CUTOFF_POWER_LAW.parameters):
        inside = [
            one.minos[name][0] <= truth[index] - one.values[index] <= one.minos[name][1]
            for one in fits
        ]
        assert np.mean(inside) == pytest.approx(0.6827, abs=0.10), name


def test_the_statistic_of_a_true_model_is_about_its_degrees_of_freedom(
    closed_loop: tuple[np.ndarray, list[FitResult]],
) -> None:
    _, fits = closed_loop
    mean = np.mean([one.statistic for one in fits])
    # 200 fits of 117 degrees: error of the mean sqrt(2 * 117 / 200) = 1.1; the statistic exceeds
    # chi-square by some per cent where channels hold a few counts only.
    assert mean / fits[0].dof == pytest.approx(1.0, abs=0.1)


def test_fluxes_and_hardness_cover_at_the_stated_rate(
    closed_loop: tuple[np.ndarray, list[FitResult]],
) -> None:
    truth, fits = closed_loop
    rng = np.random.default_rng(5)
    exact = template_flux(truth)
    hits = {"flux": 0, "hardness": 0}
    for one in fits:
        flux = fitted_flux(one, 50 * u.keV, 300 * u.keV, rng=rng, n_samples=200)
        hits["flux"] += bool(flux.lower <= exact[0] <= flux.upper)
        hardness = fitted_hardness(one, rng=rng, n_samples=200)
        hits["hardness"] += bool(hardness.lower <= exact[1] <= hardness.upper)
    assert hits["flux"] / N_SEEDS == pytest.approx(0.6827, abs=0.10)
    assert hits["hardness"] / N_SEEDS == pytest.approx(0.6827, abs=0.10)


def test_band_is_recovered_without_bias_from_a_bright_burst() -> None:
    truth = np.array([0.2, -1.0, 300.0, -2.3])
    fits = [fit(simulated(BAND, truth, seed=1000 + seed), BAND) for seed in range(100)]
    assert all(one.is_valid and not one.at_limit for one in fits)
    deviation = pulls(fits, truth)
    assert np.abs(deviation.mean(axis=0)) == pytest.approx(0.0, abs=0.35)  # 3.5 / sqrt(100)
    assert np.mean(np.abs(deviation) < 1, axis=0) == pytest.approx(0.6827, abs=0.14)


@given(st.floats(-1.5, -0.4), st.floats(80.0, 800.0), st.floats(-3.0, -2.1), st.floats(0.02, 1.0))
@settings(max_examples=25)
def test_a_spectrum_without_noise_gives_back_its_parameters(
    alpha: float, e_peak: float, beta: float, amplitude: float
) -> None:
    truth = np.array([amplitude, alpha, e_peak, beta])
    found = fit(asimov(BAND, truth), BAND)
    # MIGRAD stops at an estimated distance of 2e-4 in the statistic: 1.4 % of an error.
    assert np.abs((found.values - truth) / found.errors) == pytest.approx(0, abs=0.05)
    assert found.statistic < 0.01


@given(st.floats(0.2, 5.0))
@settings(max_examples=10)
def test_twice_the_area_is_half_the_amplitude(factor: float) -> None:
    truth = np.array([0.05, -1.0, 300.0])
    plain = asimov(CUTOFF_POWER_LAW, truth)
    larger = [Observation(**{**vars(one), "matrix_cm2": factor * one.matrix_cm2}) for one in plain]
    found = fit(larger, CUTOFF_POWER_LAW)
    assert found.values[0] == pytest.approx(0.05 / factor, rel=1e-3)
    assert found.values[1:] == pytest.approx(truth[1:], rel=1e-3)


def test_the_order_of_detectors_does_not_matter() -> None:
    observations = simulated(BAND, np.array([0.05, -1.0, 300.0, -2.3]), seed=9)
    one, other = fit(observations, BAND), fit(observations[::-1], BAND)
    assert one.values == pytest.approx(other.values, rel=1e-3)
    assert one.statistic == pytest.approx(other.statistic, abs=1e-3)
    assert one.statistic_by_detector == pytest.approx(other.statistic_by_detector[::-1], abs=0.02)
    assert one.statistic_by_detector.sum() == pytest.approx(one.statistic)


def test_parameters_can_be_held_and_started() -> None:
    observations = simulated(BAND, np.array([0.05, -1.0, 300.0, -2.3]), seed=9)
    held = fit(observations, BAND, fixed={"beta": -2.3}, start={"e_peak": 250.0})
    assert held.parameter("beta") == -2.3
    assert held.error("beta") == 0
    assert held.n_free == 3
    with pytest.raises(FitError, match="band has no parameter 'gamma'; expected one of amplitude"):
        fit(observations, BAND, fixed={"gamma": 1.0})


def test_a_soft_short_interval_never_runs_into_the_undefined() -> None:
    # Few counts, where a naive Band fit walks to alpha < beta and returns a negative statistic.
    for seed in range(20):
        found = fit(simulated(BAND, np.array([0.002, -1.4, 40.0, -2.2]), seed=seed), BAND)
        assert found.statistic > 0
        assert found.parameter("alpha") > found.parameter("beta")


def test_the_minimum_is_the_lowest_whatever_the_burst() -> None:
    """Starting blindly is as good as starting from the truth: weak, bright, soft, hard bursts."""
    rng = np.random.default_rng(42)
    for seed in range(80):
        alpha, beta = rng.uniform(-1.8, 0.8), rng.uniform(-3.5, -2.1)
        truth = np.array([10 ** rng.uniform(-3, 0), alpha, 10 ** rng.uniform(1.3, 3.5), beta])
        observations = simulated(BAND, truth, seed=seed)
        blind = fit(observations, BAND)
        told = fit(observations, BAND, start=dict(zip(BAND.parameters, truth, strict=True)))
        # One weak burst of 80 ends 1.5 higher at the limit of e_peak, and says so.
        assert blind.statistic < told.statistic + 0.1 or blind.at_limit, truth
        assert np.isfinite(blind.errors).all()


def test_a_power_law_in_disguise_is_at_its_limit() -> None:
    found = fit(simulated(POWER_LAW, np.array([0.05, -1.7]), seed=4), BAND)
    assert found.at_limit


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(FitError, match="no spectrum"):
        fit([], BAND)
    response = responses()[0]
    empty = observe(make_spectrum(np.zeros(60), EXPOSURE, name="GRD1"), None, response)
    with pytest.raises(FitError, match="no counts in the channels chosen of GRD1"):
        fit([empty], CUTOFF_POWER_LAW)
    few = observe(
        make_spectrum(np.ones(60), EXPOSURE),
        None,
        response,
        energy_ranges=[(10 * u.keV, 13 * u.keV)],
    )
    with pytest.raises(FitError, match="channels do not determine 4 parameters of the band"):
        fit([few], BAND)


def test_the_choice_keeps_to_fits_that_are_usable_and_of_the_same_data() -> None:
    observations = simulated(POWER_LAW, np.array([0.05, -1.8]), seed=2)
    fits = [fit(observations, model) for model in (POWER_LAW, CUTOFF_POWER_LAW, BAND)]
    assert choose(fits).model is POWER_LAW
    other = fit(observations[:1], POWER_LAW)
    with pytest.raises(FitError, match="different channels"):
        choose([fits[0], other])
    with pytest.raises(FitError, match="no fit"):
        choose([])


def test_an_average_response_moves_the_fit_little(
    grb_080916: dict[str, tuple[LightCurve, tuple[Response, ...]]],
) -> None:
    found = []
    for weights in ([1.0, 0.0, 0.0], [0.7, 0.3, 0.0]):
        observations = []
        for detector, ranges in (("n3", NAI), ("b0", BGO)):
            curve, matrices = grb_080916[detector]
            spectra = extract_spectrum(
                curve, source=[-4.096, 87.04] * u.s, background=[[-25, -5], [100, 190]] * u.s
            )
            response = combine_responses(matrices, np.array(weights))
            observations.append(observe(*spectra, response, energy_ranges=ranges))
        found.append(fit(observations, BAND))
    shift = np.abs(found[1].values - found[0].values) / found[0].errors
    assert shift == pytest.approx(0, abs=0.2)
