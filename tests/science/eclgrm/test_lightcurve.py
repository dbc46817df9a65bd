from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_curves import BATSE_TRIGGERS, ONE_CHANNEL, batse_file, make_curve
from hypothesis import given
from hypothesis import strategies as st

from analysis.eclgrm import io
from analysis.eclgrm.background import choose_background
from analysis.eclgrm.blocks import find_burst
from analysis.eclgrm.lightcurve import (
    LightCurve,
    bin_events,
    find_peak,
    good_bins,
    rebin,
    select_band,
    sliding_windows,
    sum_curves,
)

# flux_1024_time of the 4B catalogue: the end of the window.
PEAK_1024 = {105: 4.16, 143: 2.88, 219: 115.328, 226: 47.232, 249: 22.08, 398: 1.216, 543: 1.28}
counts_lists = st.lists(st.integers(0, 50), min_size=5, max_size=80)


def test_events_fall_into_the_bin_whose_lower_edge_they_reach() -> None:
    curve = bin_events(
        [0.0, 0.5, 1.0, 2.9, 3.0, -0.1, 1.5] * u.s,
        [0, 0, 0, 0, 0, 0, 7],
        edges=[0, 1, 2, 3] * u.s,
        energy=ONE_CHANNEL,
        good_intervals=[[0.0, 2.5]] * u.s,
    )
    assert curve.counts[:, 0].tolist() == [2, 1, 1]
    assert curve.good.tolist() == [True, True, False]


@given(counts_lists, st.floats(0.01, 2.0), st.floats(-1, 1))
def test_rebinning_conserves_counts_and_time(counts: list, width: float, origin: float) -> None:
    curve = make_curve(counts)
    merged = rebin(curve, width * u.s, origin=origin * u.s)
    assert merged.total.sum() == sum(counts)
    assert merged.exposure_s().sum() == pytest.approx(0.064 * len(counts))
    start, stop = merged.edges_s()
    assert (stop - start).max() <= width + 0.064 + 1e-9


def test_rebinning_on_the_grid_gives_equal_bins() -> None:
    merged = rebin(make_curve(np.ones(64)), 1.024 * u.s)
    assert merged.total.tolist() == [16.0] * 4
    np.testing.assert_allclose(merged.stop.to_value(u.s), [1.024, 2.048, 3.072, 4.096])


def test_rebinning_keeps_gaps_apart() -> None:
    good = np.ones(32, bool)
    good[4:8] = False
    merged = rebin(make_curve(np.ones(32), is_good=good), 1.024 * u.s)
    assert merged.total.tolist() == [4, 4, 8, 16]
    assert merged.good.tolist() == [True, False, True, True]


@given(counts_lists, st.integers(1, 6), st.sets(st.integers(0, 79)))
def test_windows_are_those_of_an_exhaustive_search(counts: list, n_wide: int, bad: set) -> None:
    good = np.array([index not in bad for index in range(len(counts))])
    first, last = sliding_windows(make_curve(counts, is_good=good), n_wide * 0.064 * u.s)
    expected = [
        (index, index + n_wide - 1)
        for index in range(len(counts) - n_wide + 1)
        if good[index : index + n_wide].all()
    ]
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == expected


@given(counts_lists, st.floats(-1e3, 1e3), st.integers(2, 9))
def test_peak_moves_with_the_curve_and_grows_with_it(
    counts: list, shift: float, factor: int
) -> None:
    peak = find_peak(make_curve(counts), 0.256 * u.s)
    moved = find_peak(make_curve(factor * np.array(counts), start=shift), 0.256 * u.s)
    assert moved.stop.to_value(u.s) == pytest.approx(peak.stop.to_value(u.s) + shift, abs=1e-6)
    assert moved.net == factor * peak.net
    assert moved.rate.to_value(1 / u.s) == pytest.approx(factor * peak.net / 0.256)


def test_peak_never_bridges_a_gap() -> None:
    counts = np.ones(40)
    counts[[10, 12]] = 100
    good = np.ones(40, bool)
    good[11] = False
    peak = find_peak(make_curve(counts, is_good=good), 3 * 0.064 * u.s)
    assert peak.net == 102
    with pytest.raises(ValueError, match="no gap-free window"):
        find_peak(make_curve(np.ones(3)), 1 * u.s)


@pytest.mark.parametrize("trigger", BATSE_TRIGGERS)
def test_batse_peak_second_ends_when_the_catalogue_says(test_data: Path, trigger: int) -> None:
    curve = select_band(io.read_batse_64ms(batse_file(test_data, trigger)), 50 * u.keV, 300 * u.keV)
    burst = find_burst(curve)
    assert burst is not None
    level = burst.background.expected(curve)
    peak = find_peak(curve, 1.024 * u.s, background=level)
    # Half of a bin of 64 ms: the same window.
    assert peak.stop.to_value(u.s) == pytest.approx(PEAK_1024[trigger], abs=0.032)


# flux_64, flux_256, flux_1024 of the 4B catalogue, photons / (cm2 s), 50-300 keV.
PEAK_FLUX = {143: 37.634 / 52.008, 249: 31.660 / 35.696, 543: 9.145 / 11.158}


@pytest.mark.parametrize("trigger", PEAK_FLUX)
def test_batse_peak_rates_stand_as_the_catalogue_fluxes(test_data: Path, trigger: int) -> None:
    curve = select_band(io.read_batse_64ms(batse_file(test_data, trigger)), 50 * u.keV, 300 * u.keV)
    start, stop = curve.edges_s()
    level = choose_background(curve, (stop < -5) | (start > 150)).expected(curve)
    fine, coarse = (find_peak(curve, width, background=level) for width in [64, 1024] * u.ms)
    # 7 %: counts follow fluxes through one effective area only while the spectrum stays the same.
    assert float(coarse.rate / fine.rate) == pytest.approx(PEAK_FLUX[trigger], rel=0.07)


def test_band_takes_channels_by_their_middle(test_data: Path) -> None:
    curve = io.read_batse_64ms(batse_file(test_data, 143))
    assert select_band(curve, 50 * u.keV, 300 * u.keV).energy.to_value(u.keV).tolist() == [
        [50, 100],
        [100, 300],
    ]
    assert select_band(curve, 300 * u.keV, np.inf * u.keV).counts.shape[1] == 1
    with pytest.raises(ValueError, match="no channel between"):
        select_band(curve, 1 * u.keV, 2 * u.keV)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"counts": [[1.0], [-1.0]]}, "bin 1 holds"),
        ({"counts": [[1.0], [np.nan]]}, "bin 1 holds"),
        ({"counts": [1.0, 2.0]}, r"expected \(2, n_channel\)"),
        ({"counts": [[1.0, 2.0], [1.0, 2.0]]}, r"energy has the shape"),
        ({"stop": [1.0, 1.0] * u.s}, "bin 1 is"),
        ({"stop": [1.5, 2.0] * u.s}, "before bin 0 ends"),
        ({"is_good": [True]}, "is_good has the shape"),
        ({"start": [] * u.s}, "n_time > 0"),
    ],
)
def test_impossible_curves_are_refused(fields: dict, message: str) -> None:
    whole = {
        "start": [0.0, 1.0] * u.s,
        "stop": [1.0, 2.0] * u.s,
        "counts": [[1.0], [2.0]],
        "energy": ONE_CHANNEL,
    }
    with pytest.raises(ValueError, match=message):
        LightCurve(**{**whole, **fields})


def test_curves_cannot_be_changed_and_do_not_follow_their_input() -> None:
    counts = np.ones((4, 1))
    curve = make_curve(counts)
    counts[:] = 7
    assert curve.total.sum() == 4
    with pytest.raises(ValueError, match="read-only"):
        curve.counts[0] = 1


def test_bad_bins_leave_a_hole_and_may_hold_anything() -> None:
    curve = make_curve([1, np.nan, 3], is_good=np.array([True, False, True]))
    assert good_bins(curve).total.tolist() == [1, 3]
    with pytest.raises(ValueError, match="all 2 bins"):
        good_bins(make_curve([1, 2], is_good=np.zeros(2, bool)))


def test_curves_of_detectors_add_up_where_all_are_good() -> None:
    one, other = make_curve(np.arange(5.0)), make_curve(np.full(5, 10.0))
    bad = replace(other, is_good=np.array([True, True, False, True, True]))
    both = sum_curves({"N0": one, "N1": bad})
    assert both.total.tolist() == [10, 11, 12, 13, 14]
    assert both.good.tolist() == bad.good.tolist()
    with pytest.raises(ValueError, match="no light curve"):
        sum_curves({})
    with pytest.raises(ValueError, match="bins of N1 differ"):
        sum_curves({"N0": one, "N1": make_curve(np.arange(4.0))})
