import astropy.units as u
import numpy as np
import pytest
from eclgrm_curves import make_curve
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.background import (
    choose_background,
    excess_scatter,
    fit_background,
    off_intervals,
    robust_background,
)
from analysis.eclgrm.lightcurve import rebin

N_BIN, WIDTH = 1500, 0.064


def parabola(edges: np.ndarray) -> np.ndarray:
    """Integrate 800 + 2 t - 0.01 t2 over bins."""
    return np.diff(800 * edges + edges**2 - 0.01 * edges**3 / 3)


def drifting() -> np.ndarray:
    return parabola(WIDTH * np.arange(N_BIN + 1))


def everywhere(n_bin: int = N_BIN) -> np.ndarray:
    return np.ones(n_bin, bool)


def test_a_polynomial_is_recovered_exactly() -> None:
    curve = make_curve(drifting())
    for order in (2, 3):
        fit = fit_background(curve, everywhere(), order)
        np.testing.assert_allclose(fit.expected(curve), drifting(), rtol=1e-10)
        assert fit.chi2 < 1e-12


def test_integrals_are_exact_on_unequal_bins() -> None:
    curve = make_curve(drifting())
    fit = fit_background(curve, everywhere(), 2)
    coarse = rebin(curve, 7.3 * u.s)
    np.testing.assert_allclose(fit.expected(coarse), coarse.total, rtol=1e-10)
    np.testing.assert_allclose(
        fit_background(coarse, everywhere(coarse.n_time), 2).expected(curve), drifting(), rtol=1e-10
    )


def test_dead_time_lowers_the_expected_counts() -> None:
    live = WIDTH * np.where(np.arange(N_BIN) % 2, 1.0, 0.5)
    curve = make_curve(drifting() * live / WIDTH, exposure=live * u.s)
    fit = fit_background(curve, everywhere(), 2)
    np.testing.assert_allclose(fit.expected(curve), curve.total, rtol=1e-10)


@settings(max_examples=25)
@given(st.floats(0.1, 50), st.floats(-1e4, 1e4))
def test_fit_scales_with_the_counts_and_moves_with_time(factor: float, shift: float) -> None:
    counts = np.random.default_rng(1).poisson(drifting()).astype(float)
    fit = fit_background(make_curve(counts), everywhere(), 2)
    other = fit_background(make_curve(factor * counts, start=shift), everywhere(), 2)
    np.testing.assert_allclose(other.coefficients, factor * fit.coefficients, rtol=1e-6, atol=1e-6)
    assert other.chi2 == pytest.approx(factor * fit.chi2, rel=1e-6)


def test_errors_cover_and_the_fit_is_unbiased() -> None:
    rng = np.random.default_rng(2)
    use = off_intervals(make_curve(drifting()), [[30.0, 50.0]] * u.s)
    true = drifting()[~use].sum()
    pulls, p_values = [], []
    for _ in range(400):
        curve = make_curve(rng.poisson(drifting()))
        fit = fit_background(curve, use, 2)
        part = fit.design(curve)[~use].sum(axis=0)
        error = np.sqrt(part @ fit.covariance @ part)
        pulls.append((part @ fit.coefficients - true) / error)
        p_values.append(fit.p_value)
    # 400 pulls: the mean is known to 0.05, their spread to 0.035; three of each.
    assert abs(np.mean(pulls)) < 0.15
    assert np.std(pulls) == pytest.approx(1.0, abs=0.11)
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.045)


def test_fit_is_unbiased_at_a_count_in_three_bins() -> None:
    rng = np.random.default_rng(3)
    means = [
        fit_background(make_curve(rng.poisson(0.3, N_BIN)), everywhere(), 1)
        .expected(make_curve(np.zeros(N_BIN)))
        .mean()
        for _ in range(100)
    ]
    # Weights from the data would give 0 or be biased by tens of per cent; the mean of 100 fits of
    # 450 counts is known to 0.5 %.
    assert np.mean(means) == pytest.approx(0.3, rel=0.015)


def test_burst_and_bad_bins_are_left_out() -> None:
    counts, good = drifting(), everywhere()
    counts[400:500] += 1000.0
    counts[700:710], good[700:710] = np.nan, False
    curve = make_curve(counts, is_good=good)
    off = off_intervals(curve, [[400 * WIDTH, 500 * WIDTH]] * u.s)
    assert (~off).sum() == 100
    fit = fit_background(curve, off, 2)
    np.testing.assert_allclose(fit.expected(curve), drifting(), rtol=1e-9)


def test_order_is_as_high_as_needed() -> None:
    rng = np.random.default_rng(4)
    for truth, order in ((np.full(N_BIN, 50.0), 0), (20 * drifting(), 2)):
        chosen = [
            choose_background(make_curve(rng.poisson(truth)), everywhere()).coefficients.size - 1
            for _ in range(30)
        ]
        # A step up costs 9 in chi-square, which noise reaches once in some hundred.
        assert np.mean(np.array(chosen) == order) >= 0.85


def test_first_guess_ignores_a_burst() -> None:
    counts = drifting()
    counts[300:600] *= 10
    curve = make_curve(counts)
    guess = robust_background(curve, order=2).expected(curve)
    # A plain fit is off by a factor of about 3; the weights let a burst of a fifth of the curve
    # pull by a few per cent.
    assert np.abs(guess / drifting() - 1).max() < 0.1
    assert fit_background(curve, everywhere(), 2).expected(curve).mean() > 2 * drifting().mean()


def test_scatter_beyond_poisson_is_measured() -> None:
    rng = np.random.default_rng(5)
    n_bin, rate = 50_000, 200.0
    steady = make_curve(rng.poisson(rate, n_bin))
    wobble = np.repeat(1 + 0.02 * rng.standard_normal(200), 250)
    moving = make_curve(rng.poisson(rate * wobble), width=WIDTH)
    use = everywhere(n_bin)
    assert excess_scatter(steady, use, fit_background(steady, use, 0)) < 0.0025
    # 200 cells of 16 s (250 bins): 2 % is measured to a twentieth; Poisson is 0.4 %.
    measured = excess_scatter(moving, use, fit_background(moving, use, 0))
    assert measured == pytest.approx(0.02, rel=0.15)


def test_too_little_background_is_refused() -> None:
    curve = make_curve(np.ones(10))
    with pytest.raises(ValueError, match="2 bins are left"):
        fit_background(curve, np.arange(10) < 2, 1)


def test_draws_have_the_covariance_of_the_fit() -> None:
    curve = make_curve(np.random.default_rng(6).poisson(drifting()))
    fit = fit_background(curve, everywhere(), 2)
    drawn = fit.draw(curve, 4000, np.random.default_rng(7)).sum(axis=1)
    part = fit.design(curve).sum(axis=0)
    # 4000 draws: their spread to 1.1 %.
    assert drawn.std() == pytest.approx(np.sqrt(part @ fit.covariance @ part), rel=0.04)
