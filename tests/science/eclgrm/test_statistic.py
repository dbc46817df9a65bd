"""The statistics against closed forms, brute force and their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from analysis.eclgrm.statistic import cash, pg, profile_background

COUNTS = st.integers(0, 5000)
LEVEL = st.floats(0.0, 5000.0)
ERROR = st.floats(0.0, 100.0)


def test_cash_is_minus_twice_the_log_likelihood_ratio_of_the_poisson_law() -> None:
    counts, expected = np.array([0.0, 1.0, 7.0, 250.0]), np.array([0.3, 2.0, 7.5, 230.0])
    saturated = poisson.logpmf(counts, np.maximum(counts, 1e-300))
    reference = 2 * (saturated - poisson.logpmf(counts, expected))
    assert cash(counts, expected) == pytest.approx(reference, rel=1e-10)


def test_pg_by_hand() -> None:
    # n = 10, m = 4, B = 5, s = 1: b^2 + (1 - 5 + 4) b + (4 - 10 - 20) = b^2 - 26 = 0.
    background = np.sqrt(26.0)
    by_hand = 2 * (4 + background - 10 + 10 * np.log(10 / (4 + background)))
    by_hand += (5 - background) ** 2
    values = [np.array([x]) for x in (10.0, 4.0, 5.0, 1.0)]
    assert profile_background(*values)[0] == pytest.approx(background, rel=1e-12)
    assert pg(*values)[0] == pytest.approx(by_hand, rel=1e-12)


def test_pg_without_counts_has_the_two_limits_of_the_xspec_manual() -> None:
    zero, source = np.zeros(1), np.array([3.0])
    # B > s^2: 2 m + 2 B - s^2; B < s^2: 2 m + (B / s)^2.
    assert pg(zero, source, np.array([6.0]), np.array([2.0]))[0] == pytest.approx(6 + 12 - 4)
    assert pg(zero, source, np.array([1.0]), np.array([2.0]))[0] == pytest.approx(6 + 0.25)


def test_pg_with_a_known_background_is_cash() -> None:
    counts, source = np.array([0.0, 3.0, 40.0]), np.array([1.0, 2.0, 30.0])
    background = np.array([0.5, 2.0, 12.0])
    assert pg(counts, source, background, np.zeros(3)) == pytest.approx(
        cash(counts, source + background)
    )
    nearly = pg(counts, source, background, np.full(3, 1e-6))
    assert nearly == pytest.approx(cash(counts, source + background), abs=1e-5)


@given(COUNTS, LEVEL, st.floats(-50.0, 5000.0), st.floats(0.01, 100.0))
@settings(max_examples=300)
def test_the_profiled_background_is_the_minimum_found_by_search(
    counts: int, source: float, level: float, error: float
) -> None:
    def cost(background: float) -> float:
        expected = np.array([source + background])
        with np.errstate(divide="ignore"):
            return (
                float(cash(np.array([float(counts)]), expected)[0])
                + ((level - background) / error) ** 2
            )

    arrays = [np.array([x]) for x in (float(counts), source, level, error)]
    ours = float(pg(*arrays)[0])
    found = minimize_scalar(cost, bounds=(0, level + counts + 200 + error**2), method="bounded")
    assert ours <= found.fun + 1e-6 * (1 + abs(found.fun))
    assert ours == pytest.approx(cost(float(profile_background(*arrays)[0])), rel=1e-9, abs=1e-6)


@given(COUNTS, LEVEL, LEVEL, ERROR)
@settings(max_examples=300)
def test_pg_is_never_negative(counts: int, source: float, level: float, error: float) -> None:
    value = pg(*(np.array([float(x)]) for x in (counts, source, level, error)))[0]
    assert value >= -1e-9 * (1 + counts)  # rounding of n ln n - n


def test_pg_is_zero_for_a_perfect_model() -> None:
    counts = np.array([12.0, 500.0])
    assert pg(counts, counts - 5, np.array([5.0, 5.0]), np.array([2.0, 2.0])) == pytest.approx(
        0, abs=1e-9
    )


def test_what_cannot_be_costs_infinity() -> None:
    assert np.isinf(cash(np.array([1.0]), np.array([0.0]))[0])
    assert np.isinf(pg(*(np.array([x]) for x in (1.0, 0.0, 0.0, 0.0)))[0])


def test_regression_value() -> None:
    # Made of seeded draws; the tolerance is that of float64 sums over 50 channels.
    rng = np.random.default_rng(7)
    background = rng.uniform(0, 20, 50)
    error = rng.uniform(0.1, 3, 50)
    source = rng.uniform(0, 30, 50)
    counts = rng.poisson(source + background).astype(float)
    assert pg(counts, source, background, error).sum() == pytest.approx(REGRESSION, rel=1e-9)


# The same sum by the formula as the XSPEC manual prints it, with f >= 0, computed apart from this
# code; without that condition two channels with a negative background make it 47.970090.
REGRESSION = 47.975476438548
