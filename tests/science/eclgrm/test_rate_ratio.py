"""Localisation by the ratios of rates."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.eclgrm.rate_ratio import (
    RateRatioError,
    RateTable,
    cell_names,
    even_directions,
    localise_rates,
)

DIRECTIONS = even_directions(6000)
# Six detectors along the axes, both ways: each sees the cosine.
NORMALS = np.vstack([np.eye(3), -np.eye(3)])
NAMES = ("+x", "+y", "+z", "-x", "-y", "-z")
COSINE = RateTable(DIRECTIONS, np.maximum(DIRECTIONS @ NORMALS.T, 0)[None] + 0.02, NAMES, ("any",))
BACKGROUND = np.full(6, 2000.0)
SPACING_DEG = np.sqrt(41253 / 6000)


def angle_deg(one, other):
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


def predicted(direction, amplitude):
    return BACKGROUND + amplitude * (np.maximum(NORMALS @ direction, 0) + 0.02)


def test_directions_are_spread_evenly():
    # The mean of n even directions vanishes, and each half of the sphere holds half of them.
    assert np.linalg.norm(DIRECTIONS.mean(axis=0)) < 1e-3
    assert np.linalg.norm(DIRECTIONS, axis=1) == pytest.approx(np.ones(6000))
    for axis in np.eye(3):
        assert (DIRECTIONS @ axis > 0).mean() == pytest.approx(0.5, abs=0.005)
        assert ((DIRECTIONS @ axis) ** 2).mean() == pytest.approx(1 / 3, abs=0.001)


@settings(max_examples=20)
@given(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.05, 1), st.floats(1e3, 1e6))
def test_counts_without_noise_give_the_direction_back(x, y, z, amplitude):
    true = np.array([x, y, -z]) / np.linalg.norm([x, y, z])

    found = localise_rates(COSINE, predicted(true, amplitude), BACKGROUND, np.zeros(6))

    assert angle_deg(found.direction, true) < 2 * SPACING_DEG
    assert found.amplitude == pytest.approx(amplitude, rel=0.1)
    assert found.probability.sum() == pytest.approx(1)
    assert found.area_50 < found.area_90


@pytest.mark.parametrize("systematic", [0.0, 0.1])
def test_the_radius_holds_the_truth_nine_times_in_ten(systematic):
    rng = np.random.default_rng(6)
    n_seed, inside = 100, 0
    for _ in range(n_seed):
        true = rng.normal(size=3)
        true /= np.linalg.norm(true)
        source = predicted(true, 3000.0) - BACKGROUND
        # The table is wrong by as much as it is said to be.
        source *= np.maximum(rng.normal(1, systematic, 6), 0.1)
        counts = rng.poisson(BACKGROUND + source)
        background = rng.normal(BACKGROUND, 20)
        found = localise_rates(COSINE, counts, background, np.full(6, 20.0), systematic=systematic)
        inside += angle_deg(found.direction, true) < found.r90.to_value(u.deg)
    assert binom.ppf(1e-3, n_seed, 0.9) <= inside


def test_a_larger_background_error_gives_a_larger_region():
    counts = predicted(np.array([0.6, 0.64, 0.48]), 2000.0)
    sure, unsure = (
        localise_rates(COSINE, counts, BACKGROUND, np.full(6, error)) for error in (0, 200)
    )
    assert unsure.area_90 > 1.5 * sure.area_90


def test_the_hidden_part_of_the_sky_holds_nothing():
    true = np.array([0.6, 0.64, 0.48])
    visible = DIRECTIONS @ true < 0.95
    found = localise_rates(
        COSINE, predicted(true, 5000.0), BACKGROUND, np.zeros(6), is_visible=visible
    )
    assert found.probability[~visible].sum() == 0
    # Half of the region is cut off: the position lies at its rim.
    assert angle_deg(found.direction, true) == pytest.approx(
        np.degrees(np.arccos(0.95)), abs=2 * SPACING_DEG
    )


def test_the_spectrum_that_fits_is_chosen_and_named():
    shapes = np.array([[1.0, 0.3], [0.3, 1.0]])
    seen = np.maximum(DIRECTIONS @ NORMALS.T, 0) + 0.02
    rates = np.array([np.repeat(seen, 2, axis=1) * np.tile(shape, 6) for shape in shapes])
    bands = [[15, 50], [50, 300]] * u.keV
    table = RateTable(DIRECTIONS, rates, tuple(cell_names(NAMES, bands)), ("soft", "hard"))
    assert table.detectors[:2] == ("+x 15-50 keV", "+x 50-300 keV")
    true = np.array([0.6, 0.64, 0.48])
    source = np.repeat(np.maximum(NORMALS @ true, 0) + 0.02, 2) * np.tile(shapes[1], 6)

    found = localise_rates(table, 1000 + 3000 * source, np.full(12, 1000.0), np.zeros(12))

    assert found.spectrum == "hard"
    assert found.n_dof == 9
    assert angle_deg(found.direction, true) < SPACING_DEG


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (np.zeros(6), "do not exceed"),
        (BACKGROUND - 100, "do not exceed"),
    ],
)
def test_what_is_no_burst_is_refused(counts, words):
    with pytest.raises(RateRatioError, match=words):
        localise_rates(COSINE, counts, BACKGROUND, np.zeros(6))


def test_too_little_is_refused():
    with pytest.raises(RateRatioError, match="longer interval"):
        localise_rates(COSINE, np.full(6, 5.0), np.full(6, 2.0), np.zeros(6))
    with pytest.raises(RateRatioError, match="no direction"):
        localise_rates(
            COSINE, BACKGROUND + 100, BACKGROUND, np.zeros(6), is_visible=np.zeros(6000, bool)
        )
    two = RateTable(DIRECTIONS, COSINE.rates[:, :, :2], NAMES[:2], ("any",))
    with pytest.raises(RateRatioError, match="at least three"):
        localise_rates(two, [100, 100], [50, 50], [0, 0])


def test_wrong_shapes_and_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="counts has the shape"):
        localise_rates(COSINE, np.ones(5), BACKGROUND, np.zeros(6))
    with pytest.raises(ValueError, match="finite"):
        localise_rates(COSINE, np.full(6, np.nan), BACKGROUND, np.zeros(6))
    with pytest.raises(ValueError, match="one per direction"):
        localise_rates(COSINE, BACKGROUND + 9, BACKGROUND, np.zeros(6), is_visible=np.ones(3, bool))
    with pytest.raises(ValueError, match="rates of shape"):
        RateTable(DIRECTIONS, COSINE.rates[0], NAMES, ("any",))
    with pytest.raises(ValueError, match="negative rates"):
        RateTable(DIRECTIONS, -COSINE.rates, NAMES, ("any",))
