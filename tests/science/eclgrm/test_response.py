"""Folding, averaging and the checks that keep a response with its own spectrum."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.response import (
    Response,
    ResponseError,
    apply_effective_area,
    channel_mask,
    check_channels,
    combine_responses,
    fold,
    gaussian_response,
)
from analysis.eclgrm.spectrum import make_spectrum, observe

PER_AREA = 1 / (u.cm**2 * u.s)


def small() -> Response:
    return Response(
        name="small",
        energy_true_edges_kev=np.array([10.0, 20.0, 40.0]),
        channels=np.array([1, 2, 3]),
        channel_low_kev=np.array([10.0, 15.0, 25.0]),
        channel_high_kev=np.array([15.0, 25.0, 50.0]),
        matrix_cm2=np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 4.0]]),
    )


def test_fold_by_hand() -> None:
    rate = fold(small(), np.array([5.0, 7.0]) * PER_AREA)
    assert rate.unit == 1 / u.s
    assert rate.value == pytest.approx([10.0, 26.0, 28.0])
    assert small().effective_area_cm2 == pytest.approx([3.0, 7.0])


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.floats(0, 100))
@settings(max_examples=50)
def test_fold_is_linear(values: list[float], factor: float) -> None:
    first, second = np.array(values[:2]), np.array(values[2:])
    both = fold(small(), (first + factor * second) * PER_AREA).value
    apart = fold(small(), first * PER_AREA) + factor * fold(small(), second * PER_AREA)
    assert both == pytest.approx(apart.value, rel=1e-12, abs=1e-9)
    stacked = fold(small(), np.stack([first, second]) * PER_AREA)
    assert stacked.value[1] == pytest.approx(fold(small(), second * PER_AREA).value)


def test_fold_refuses_other_bins_and_units() -> None:
    with pytest.raises(ResponseError, match="3 bins does not fit a response of 2"):
        fold(small(), np.ones(3) * PER_AREA)
    with pytest.raises(u.UnitConversionError):
        fold(small(), np.ones(2) * u.s)


def test_the_input_is_not_modified() -> None:
    response, photons = small(), np.array([5.0, 7.0])
    fold(response, photons * PER_AREA)
    apply_effective_area(response, np.array([2.0, 0.0]) * u.cm**2)
    combine_responses([response, small()], np.array([1.0, 3.0]))
    assert np.array_equal(response.matrix_cm2, small().matrix_cm2)
    assert np.array_equal(photons, [5.0, 7.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix_cm2": np.ones((3, 3))}, r"shape \(3, 3\), expected \(2 energies, 3 channels\)"),
        ({"matrix_cm2": np.full((2, 3), np.nan)}, "negative or undefined"),
        ({"matrix_cm2": np.full((2, 3), -1.0)}, "negative or undefined"),
        ({"energy_true_edges_kev": np.array([10.0, 40.0, 20.0])}, "ascending"),
        ({"channel_low_kev": np.array([10.0, 15.0])}, "bounds for 3 channels"),
        ({"channel_high_kev": np.array([5.0, 25.0, 50.0])}, "ends below its start"),
    ],
)
def test_an_impossible_response_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ResponseError, match=message):
        replace(small(), **change)


def test_channels_lie_wholly_inside_the_ranges() -> None:
    assert channel_mask(small(), (10 * u.keV, 25 * u.keV)).tolist() == [True, True, False]
    both = channel_mask(small(), (0.01 * u.MeV, 0.015 * u.MeV), (25 * u.keV, 50 * u.keV))
    assert both.tolist() == [True, False, True]
    with pytest.raises(ResponseError, match="lower one first"):
        channel_mask(small(), (25 * u.keV, 10 * u.keV))


def test_other_channels_are_refused() -> None:
    response = small()
    low = response.channel_low_kev
    check_channels(response, np.array([0, 1, 2]), low)  # numbered from 0: the same channels
    check_channels(response, np.array([1, 2, 3]), low * 1.03)
    with pytest.raises(ResponseError, match="has 4 channels, the response small has 3"):
        check_channels(response, np.arange(4), name="spectrum")
    with pytest.raises(ResponseError, match="not consecutive"):
        check_channels(response, np.array([1, 2, 4]))
    with pytest.raises(ResponseError, match="starts at channel 9"):
        check_channels(response, np.array([9, 10, 11]))
    with pytest.raises(ResponseError, match="is at 25 keV, in the response small at 15 keV"):
        check_channels(response, np.array([1, 2, 3]), np.array([10.0, 25.0, 35.0]))


def test_an_average_is_weighted() -> None:
    first = replace(small(), start_s=0.0, stop_s=10.0)
    second = replace(small(), matrix_cm2=3 * small().matrix_cm2, start_s=10.0, stop_s=15.0)
    mean = combine_responses([first, second], np.array([10.0, 30.0]))
    assert mean.matrix_cm2 == pytest.approx(2.5 * first.matrix_cm2)
    assert (mean.start_s, mean.stop_s) == (0.0, 15.0)
    with pytest.raises(ResponseError, match="not all zero"):
        combine_responses([first, second], np.zeros(2))
    with pytest.raises(ResponseError, match="one weight for each"):
        combine_responses([first, second], np.ones(3))
    other = replace(small(), channels=np.array([0, 1, 2]))
    with pytest.raises(ResponseError, match="other energies or channels"):
        combine_responses([first, other], np.ones(2))


def test_a_gaussian_response_keeps_photons_and_their_mean_energy() -> None:
    true = np.geomspace(20, 500, 60) * u.keV
    edges = np.linspace(0.1, 2000, 4000) * u.keV
    area = np.full(59, 150.0) * u.cm**2
    response = gaussian_response(true, edges, area=area, resolution=np.full(59, 0.15))
    assert response.effective_area_cm2 == pytest.approx(150.0, rel=1e-6)
    centre = 0.5 * (response.channel_low_kev + response.channel_high_kev)
    mean = response.matrix_cm2 @ centre / response.effective_area_cm2
    middle = np.sqrt(true[:-1] * true[1:]).value
    assert mean == pytest.approx(middle, rel=1e-4)  # channels of 0.5 keV
    spread = np.sqrt(response.matrix_cm2 @ centre**2 / 150 - mean**2)
    assert spread == pytest.approx(0.15 * middle / 2.35482, rel=0.01)


def test_an_effective_area_multiplies_rows() -> None:
    full = apply_effective_area(small(), np.array([2.0, 0.5]) * u.cm**2)
    assert full.matrix_cm2 == pytest.approx(np.array([[4.0, 2.0, 0.0], [0.0, 1.5, 2.0]]))
    with pytest.raises(ResponseError, match="does not fit 2 bins"):
        apply_effective_area(small(), np.ones(3) * u.cm**2)


def test_an_observation_scales_its_background_and_drops_bad_channels() -> None:
    source = make_spectrum(np.array([10, 20, 30]), 10 * u.s, first_channel=1)
    source = replace(source, quality=np.array([0, 5, 0]), scale=np.full(3, 2.0))
    off = make_spectrum(np.array([4, 9, 16]), 40 * u.s, first_channel=1)
    found = observe(source, off, small())
    assert found.counts.tolist() == [10, 30]
    assert found.background == pytest.approx([2.0, 8.0])  # 10 s / 40 s * scale 2 / 1
    assert found.background_error == pytest.approx([1.0, 2.0])  # sqrt(4), sqrt(16), halved
    assert found.matrix_cm2 == pytest.approx(small().matrix_cm2[:, [0, 2]])
    assert (found.channel_low_kev.tolist(), found.channel_high_kev.tolist()) == (
        [10, 25],
        [15, 50],
    )


def test_groups_are_summed_with_their_responses() -> None:
    source = make_spectrum(np.array([10, 20, 30]), 10 * u.s, first_channel=1)
    source = replace(source, grouping=np.array([1, -1, 1]))
    off = make_spectrum(np.ones(3), 10 * u.s, counts_error=np.array([3.0, 4.0, 1.0]))
    found = observe(source, off, small(), use_grouping=True)
    assert found.counts.tolist() == [30, 30]
    assert found.background_error == pytest.approx([5.0, 1.0])
    assert found.matrix_cm2 == pytest.approx(np.array([[3.0, 0.0], [3.0, 4.0]]))
    assert found.channel_high_kev.tolist() == [25, 50]


def test_a_systematic_error_of_the_background_is_added_on_demand() -> None:
    off = make_spectrum(np.full(3, 100.0), 10 * u.s, counts_error=np.full(3, 3.0))
    off = replace(off, systematic=np.full(3, 0.04))
    source = make_spectrum(np.full(3, 100), 10 * u.s)
    assert observe(source, off, small()).background_error == pytest.approx(3.0)
    found = observe(source, off, small(), use_background_systematic=True)
    assert found.background_error == pytest.approx(5.0)


def test_unusable_spectra_are_refused() -> None:
    good = make_spectrum(np.ones(3), 10 * u.s)
    with pytest.raises(ResponseError, match="no good channel lies in the energy ranges"):
        observe(good, None, small(), energy_ranges=[(1 * u.MeV, 2 * u.MeV)])
    with pytest.raises(ResponseError, match="exposure is 0"):
        observe(make_spectrum(np.ones(3), 0 * u.s), None, small())
    with pytest.raises(ResponseError, match="negative counts are not Poisson"):
        observe(make_spectrum(np.array([1, -1, 0]), 10 * u.s), None, small())
    with pytest.raises(ResponseError, match="undefined"):
        observe(make_spectrum(np.array([1, np.nan, 0]), 10 * u.s), None, small())
    weighted = make_spectrum(np.ones(3), 10 * u.s, counts_error=np.ones(3))
    with pytest.raises(ResponseError, match="needs the Poisson counts"):
        observe(weighted, None, small())
    with pytest.raises(ResponseError, match="2 channels"):
        observe(good, make_spectrum(np.ones(2), 10 * u.s), small())
