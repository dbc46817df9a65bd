from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_curves import BATSE_TRIGGERS, batse_file, gbm_file, make_curve
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm import io
from analysis.eclgrm.lightcurve import bin_events
from analysis.eclgrm.trigger import TriggerSettings, find_trigger

WIDTH = 0.064
ONE_SCALE = TriggerSettings(time_scales=[1.024] * u.s, bands=[[50, 300]] * u.keV)


def step(level: float, height: float, at: int = 1000, n_bin: int = 2000) -> np.ndarray:
    counts = np.full(n_bin, level)
    counts[at:] += height
    return counts


def test_signal_to_noise_is_that_of_the_formula() -> None:
    # 100 a bin, 1600 in 1.024 s; the line is fitted to 30 s (468 or 469 bins), and its middle
    # lies 15 + 2 + 0.5 s before the window's: var B is known in closed form.
    found = find_trigger(make_curve(step(100.0, 50.0)), settings=ONE_SCALE)
    assert found is not None
    n_new = round((found.stop.to_value(u.s) - 1000 * WIDTH) / WIDTH)
    reach, lead = 30.0, 15 + 2 + 0.512
    var_b = (1.024 * 100 / WIDTH) ** 2 / (100 / WIDTH) * (1 / reach + 12 * lead**2 / reach**3)
    # 1 %: the stretch is a whole number of bins.
    assert found.snr == pytest.approx(50 * n_new / np.sqrt(1600 + var_b), rel=0.01)
    assert found.snr >= 6.5 > 50 * (n_new - 1) / np.sqrt(1600 + var_b)
    assert found.background_rate.to_value(1 / u.s) == pytest.approx(100 / WIDTH, rel=1e-6)


def test_a_steady_drift_is_no_trigger_and_known_exactly() -> None:
    drift = 100 + 0.05 * np.arange(3000)
    assert find_trigger(make_curve(drift)) is None
    drift[2500:] += 100
    found = find_trigger(make_curve(drift), settings=ONE_SCALE)
    assert found is not None
    assert found.background_slope.to_value(u.s**-2) == pytest.approx(0.05 / WIDTH**2, rel=1e-6)


def test_background_is_frozen_at_the_trigger() -> None:
    counts = step(100.0, 0.0, n_bin=4000)
    counts[1000:3000] += np.linspace(20, 400, 2000)
    found = find_trigger(make_curve(counts), settings=ONE_SCALE)
    assert found is not None
    # The window best against what was before the burst is its last second; a background that
    # slid on would have swallowed the rise.
    assert found.peak_stop.to_value(u.s) == pytest.approx(3000 * WIDTH, abs=WIDTH)
    assert found.peak_snr > 100


@settings(max_examples=20)
@given(st.floats(-1e4, 1e4), st.integers(1, 9))
def test_trigger_moves_with_the_curve_and_never_comes_later_with_more_counts(
    shift: float, factor: int
) -> None:
    counts = np.random.default_rng(0).poisson(step(40.0, 25.0))
    first = find_trigger(make_curve(counts))
    moved = find_trigger(make_curve(counts, start=shift))
    brighter = find_trigger(make_curve(factor * counts), settings=replace(TriggerSettings()))
    assert first is not None
    assert moved is not None
    assert brighter is not None
    assert moved.stop.to_value(u.s) == pytest.approx(first.stop.to_value(u.s) + shift, abs=1e-6)
    assert moved.snr == pytest.approx(first.snr, rel=1e-6)
    # Noise grows with the root of the factor only, so the same shape stands out sooner.
    assert brighter.stop <= first.stop


def test_noise_does_not_trigger() -> None:
    rng = np.random.default_rng(1)
    # 25 x 5 minutes, 3 scales: some 1e5 independent windows at 6.5 sigma; a Gaussian gives 1e-5,
    # the Poisson tail at 60 counts a bin some 1e-4.
    assert all(find_trigger(make_curve(rng.poisson(60.0, 4700))) is None for _ in range(25))


def test_a_gap_is_no_trigger_and_no_window_bridges_it() -> None:
    counts = step(100.0, 0.0)
    good = np.ones(2000, bool)
    good[900:1100] = False
    counts[~good] = np.nan
    assert find_trigger(make_curve(counts, is_good=good)) is None


def test_too_little_background_before_cannot_trigger() -> None:
    counts = step(100.0, 500.0, at=150)
    assert find_trigger(make_curve(counts[:200])) is None
    assert find_trigger(make_curve(np.r_[np.full(100, 100.0), counts])) is not None


def test_no_counts_no_channel_no_fine_bins_are_no_trigger() -> None:
    assert find_trigger(make_curve(np.zeros(2000))) is None
    counts = make_curve(step(100.0, 500.0))
    assert find_trigger(counts, settings=replace(ONE_SCALE, bands=[[1, 2]] * u.keV)) is None
    assert find_trigger(counts, settings=replace(ONE_SCALE, time_scales=[1] * u.ms)) is None


@pytest.mark.parametrize("trigger", BATSE_TRIGGERS)
def test_batse_trigger_is_found_when_the_instrument_found_it(test_data: Path, trigger: int) -> None:
    basic = io.read_batse_basic(test_data / "grb" / "batse" / "basic_table.txt")
    zero = io.trigger_time(basic, trigger)
    found = find_trigger(io.read_batse_64ms(batse_file(test_data, trigger), reference=zero))
    assert found is not None
    # Not before the burst, which rises up to 4 s ahead of time zero (GRB 910525, 910620), and no
    # later than one 64-ms window after it. Nothing in the 100 s before triggers.
    assert -4.0 < found.stop.to_value(u.s) < 0.1
    assert found.time is not None
    assert (found.time - zero).to_value(u.s) == pytest.approx(found.stop.to_value(u.s), abs=1e-6)


def test_main_episode_is_found_after_the_precursor(test_data: Path) -> None:
    curve = io.read_batse_64ms(batse_file(test_data, 219))
    found = find_trigger(curve, after=50 * u.s)
    assert found is not None
    # Catalogue: "Main event starts at T+105 s".
    assert found.stop.to_value(u.s) == pytest.approx(106, abs=2)


def test_grb_080916c_is_found_in_single_photons(test_data: Path) -> None:
    events = io.read_gbm_tte(gbm_file(test_data, "glg_tte_n3_bn080916009_v01.fit.gz"))
    curve = bin_events(
        events.time,
        events.channel,
        edges=np.arange(-25.92, 300.6, WIDTH) * u.s,
        energy=events.energy,
        good_intervals=events.good_intervals,
        reference=events.reference,
    )
    found = find_trigger(curve)
    assert found is not None
    assert found.stop.to_value(u.s) == pytest.approx(0.0, abs=0.3)
