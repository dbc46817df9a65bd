from itertools import combinations, pairwise

import astropy.units as u
import numpy as np
import pytest
from astropy.stats import bayesian_blocks as astropy_blocks
from eclgrm_curves import make_curve
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.blocks import (
    BurstSearch,
    bayesian_blocks,
    bayesian_blocks_events,
    block_prior,
    find_burst,
)

cells = st.lists(st.tuples(st.integers(0, 30), st.floats(0.1, 3.0)), min_size=1, max_size=9).map(
    lambda rows: (np.array([r[0] for r in rows], float), np.array([r[1] for r in rows]))
)


def score(counts: np.ndarray, exposure: np.ndarray, edges: list, price: float) -> float:
    total = 0.0
    for first, after in pairwise(edges):
        number, width = counts[first:after].sum(), exposure[first:after].sum()
        total += (number * np.log(number / width) if number else 0.0) - price
    return total


@given(cells, st.sampled_from([0.01, 0.3, 0.9]))
def test_partition_is_the_best_of_all(data: tuple, false_alarm: float) -> None:
    counts, exposure = data
    price = block_prior(counts.size, false_alarm)
    found = bayesian_blocks(counts, exposure, false_alarm=false_alarm)
    inner = range(1, counts.size)
    best = max(
        score(counts, exposure, [0, *cut, counts.size], price)
        for n_cut in range(counts.size)
        for cut in combinations(inner, n_cut)
    )
    assert score(counts, exposure, found.tolist(), price) == pytest.approx(best, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=120), st.floats(1e-3, 1e3))
def test_blocks_do_not_depend_on_the_unit_of_exposure_nor_on_its_direction(
    counts: list, factor: float
) -> None:
    number, exposure = np.array(counts, float), np.ones(len(counts))
    price = block_prior(len(counts), 0.01)
    found = bayesian_blocks(number, exposure)
    scaled = bayesian_blocks(number, factor * exposure)
    mirrored = len(counts) - bayesian_blocks(number[::-1], exposure)[::-1]
    best = score(number, exposure, found.tolist(), price)
    assert score(number, exposure, scaled.tolist(), price) == pytest.approx(best, abs=1e-6)
    assert score(number, exposure, mirrored.tolist(), price) == pytest.approx(best, abs=1e-6)


def test_a_step_is_found_where_it_is() -> None:
    counts = np.r_[np.full(300, 20.0), np.full(41, 60.0), np.full(200, 20.0)]
    assert bayesian_blocks(counts, np.ones(counts.size)).tolist() == [0, 300, 341, 541]


def test_a_drift_known_as_exposure_makes_no_blocks() -> None:
    drift = np.linspace(100.0, 300.0, 600)
    assert bayesian_blocks(drift, drift).tolist() == [0, 600]
    assert bayesian_blocks(drift, np.ones(600)).size > 3


def test_false_change_points_are_as_rare_as_asked() -> None:
    rng = np.random.default_rng(0)
    n_split = sum(
        bayesian_blocks(rng.poisson(30, 1000), np.ones(1000), false_alarm=0.05).size > 2
        for _ in range(100)
    )
    # 0.05 of 100, calibrated by Scargle et al. for events: no more than 3 sigma above.
    assert n_split <= 5 + 3 * np.sqrt(5)


def test_events_agree_with_astropy() -> None:
    rng = np.random.default_rng(1)
    times = np.sort(np.r_[rng.uniform(0, 100, 300), rng.normal(60, 1, 150)])
    ours = bayesian_blocks_events(times * u.s, times[0] * u.s, times[-1] * u.s)
    theirs = astropy_blocks(times, fitness="events", p0=0.01)
    np.testing.assert_allclose(ours.to_value(u.s), theirs)


def test_events_outside_or_at_one_time_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 0\.0 to 1\.0"):
        bayesian_blocks_events([2.0] * u.s, 0 * u.s, 1 * u.s)
    with pytest.raises(ValueError, match="distinct"):
        bayesian_blocks_events([0.5, 0.5] * u.s, 0 * u.s, 1 * u.s)
    empty = bayesian_blocks_events([] * u.s, 0 * u.s, 1 * u.s)
    assert empty.to_value(u.s).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("counts", "exposure", "false_alarm"),
    [([1, 2], [1], 0.01), ([-1], [1], 0.01), ([1], [0], 0.01), ([], [], 0.01), ([1], [1], 2.0)],
)
def test_impossible_values_are_refused(counts: list, exposure: list, false_alarm: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        bayesian_blocks(counts, exposure, false_alarm=false_alarm)


def noisy(seed: int, *pulses: tuple) -> np.ndarray:
    """5 minutes of a background that drifts by 20 %, and boxes (from s, to s, counts per bin)."""
    middle = 0.064 * (np.arange(4700) + 0.5)
    rate = 60 * (1 + 0.2 * np.sin(middle / 150))
    for low, high, height in pulses:
        rate = rate + height * ((middle > low) & (middle < high))
    return np.random.default_rng(seed).poisson(rate)


def test_a_drifting_background_alone_is_no_burst() -> None:
    found = [find_burst(make_curve(noisy(seed))) for seed in range(25)]
    # 1 of the first 100 seeds, where the first guess of the background takes a slow wave for one.
    assert sum(burst is not None for burst in found) == 0


@settings(max_examples=10)
@given(st.floats(-1e4, 1e4))
def test_burst_interval_is_that_of_the_pulse_wherever_time_begins(shift: float) -> None:
    counts = noisy(3, (120.0, 128.0, 40))
    burst = find_burst(make_curve(counts, start=shift))
    assert burst is not None
    # The edges of a step of 5 sigma per bin are found to a few bins.
    assert burst.start.to_value(u.s) - shift == pytest.approx(120.0, abs=0.2)
    assert burst.stop.to_value(u.s) - shift == pytest.approx(128.0, abs=0.2)
    assert burst.significance > 30


def test_far_faint_episodes_are_told_but_not_counted() -> None:
    curve = make_curve(noisy(4, (100, 108, 300), (200, 206, 15)))
    burst = find_burst(curve)
    assert burst is not None
    assert len(burst.episodes) == 2
    assert burst.stop.to_value(u.s) == pytest.approx(108, abs=0.2)
    kept = find_burst(curve, search=BurstSearch(min_fraction=0.01))
    assert kept is not None
    assert kept.stop.to_value(u.s) == pytest.approx(206, abs=1)


def test_far_bright_episodes_count() -> None:
    burst = find_burst(make_curve(noisy(5, (60, 64, 60), (200, 206, 60))))
    assert burst is not None
    assert burst.start.to_value(u.s) == pytest.approx(60, abs=0.2)
    assert burst.stop.to_value(u.s) == pytest.approx(206, abs=0.2)


def test_bad_bins_change_nothing_outside_the_burst() -> None:
    counts = noisy(6, (120.0, 128.0, 40)).astype(float)
    good = np.ones(counts.size, bool)
    good[500:700] = False
    counts[~good] = np.nan
    burst = find_burst(make_curve(counts, is_good=good))
    assert burst is not None
    assert burst.start.to_value(u.s) == pytest.approx(120.0, abs=0.2)


def test_no_counts_are_no_burst() -> None:
    assert find_burst(make_curve(np.zeros(2000))) is None
