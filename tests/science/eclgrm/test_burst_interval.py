"""The interval a position is made from."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from eclgrm_curves import make_curve

from analysis.eclgrm.burst_interval import brightest_interval, elementary_bands
from analysis.eclgrm.trigger import TriggerSettings, find_trigger

WIDTH = 0.064
SEARCH = TriggerSettings(time_scales=[0.256, 1.024, 4.096] * u.s, bands=[[50, 300]] * u.keV)


def burst(height: float, seconds: float, *, slope: float = 0.0) -> np.ndarray:
    counts = 100.0 + slope * np.arange(3000)
    counts[2000 : 2000 + round(seconds / WIDTH)] += height
    return counts


@pytest.mark.parametrize(("seconds", "scale"), [(0.256, 0.256), (1.024, 1.024), (30.0, 4.096)])
def test_the_window_fits_the_burst(seconds, scale):
    curve = make_curve(burst(200.0, seconds, slope=0.01))
    trigger = find_trigger(curve, settings=SEARCH)

    found = brightest_interval(curve, trigger, SEARCH, reach=100 * u.s, follow=40 * u.s)

    assert (found.stop - found.start).to_value(u.s) == pytest.approx(scale)
    assert found.start.to_value(u.s) >= 2000 * WIDTH - 1e-6
    n_bin = round(scale / WIDTH)
    first = round(found.start.to_value(u.s) / WIDTH)
    drift = sum(100 + 0.01 * at for at in range(first, first + n_bin))
    assert found.background == pytest.approx(drift, rel=1e-3)
    noise = np.hypot(np.sqrt(drift), found.background_error)
    assert found.snr == pytest.approx(200 * n_bin / noise, rel=0.01)


def test_no_background_before_the_trigger_is_no_interval():
    curve = make_curve(burst(200.0, 2.0))
    trigger = find_trigger(curve, settings=SEARCH)
    early = replace(trigger, start=curve.start[1])
    assert brightest_interval(curve, early, SEARCH, reach=9 * u.s, follow=9 * u.s) is None


def test_bands_are_cut_into_those_that_do_not_overlap():
    cut = elementary_bands([[5, 8], [5, 20], [8, 50], [100, 120]] * u.keV)
    assert cut.value.tolist() == [[5, 8], [8, 20], [20, 50], [100, 120]]
