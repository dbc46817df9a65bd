"""Error radii against the notices in flight, and confidence levels."""

import astropy.units as u
import numpy as np
import pytest
import voeventparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from analysis.eclgrm.r90 import (
    ConfidenceSettings,
    confidence,
    gaussian_r90,
    held_probability,
    law_r90,
)


def test_the_law_gives_the_radius_of_every_real_eclairs_notice(test_data):
    paths = sorted((test_data / "gcn" / "svom" / "eclairs").glob("*.xml"))
    assert len(paths) >= 10, f"few ECLAIRs notices in {test_data}"
    for path in paths:
        with path.open("rb") as file:
            notice = voeventparse.load(file)
        snr = voeventparse.get_grouped_params(notice)["Detection_Info"]["SNR"]["value"]
        radius = voeventparse.get_event_position(notice).err
        # Notices round the radius to 0.0001 degrees and the ratio to 0.01.
        assert law_r90(float(snr)).to_value(u.deg) == pytest.approx(radius, abs=0.0002), path.name


def test_the_law_has_a_floor_and_falls_with_the_ratio():
    assert law_r90(1e9).to_value(u.arcmin) == pytest.approx(2.0, abs=0.01)
    assert (np.diff(law_r90([5, 6, 10, 50])) < 0).all()


@pytest.mark.parametrize("snr", [0, -3, np.nan])
def test_the_law_refuses_ratios_that_mean_nothing(snr):
    with pytest.raises(ValueError, match="signal-to-noise"):
        law_r90(snr)


def test_the_radius_of_a_round_gaussian_is_that_of_the_rayleigh_distribution():
    assert gaussian_r90(np.diag([4.0, 4.0])) == pytest.approx(2 * np.sqrt(2 * np.log(10)))


def test_the_radius_of_a_thin_gaussian_is_that_of_one_dimension():
    assert gaussian_r90(np.diag([1.0, 1e-6])) == pytest.approx(norm.isf(0.05), rel=0.01)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-0.9, 0.9))
def test_the_radius_holds_nine_tenths_of_the_draws(sigma_y, sigma_z, correlation):
    both = correlation * sigma_y * sigma_z
    covariance = np.array([[sigma_y**2, both], [both, sigma_z**2]])
    drawn = np.random.default_rng(1).multivariate_normal([0, 0], covariance, size=4000)

    inside = np.hypot(*drawn.T) < gaussian_r90(covariance)

    # Four binomial standard deviations of 4000 draws.
    assert inside.mean() == pytest.approx(0.9, abs=0.019)


def test_confidence_is_the_chance_that_no_look_fluctuates_as_far():
    assert confidence(3.0, n_trial=100).probability == pytest.approx(norm.cdf(3.0) ** 100)
    assert confidence(40.0, n_trial=1e9).probability == 1.0


@given(st.floats(0, 60), st.floats(0, 60))
def test_more_signal_never_means_less_confidence(one, other):
    low, high = (confidence(snr, n_trial=1e5) for snr in sorted((one, other)))
    assert low.level <= high.level
    assert low.probability <= high.probability


@pytest.mark.parametrize(("snr", "level"), [(6.49, 0), (6.5, 1), (8, 2), (14.9, 2), (15, 3)])
def test_levels_begin_at_their_thresholds(snr, level):
    assert confidence(snr).level == level


def test_impossible_confidence_settings_are_refused():
    with pytest.raises(ValueError, match="rising"):
        ConfidenceSettings(alert=9, slew=8)
    with pytest.raises(ValueError, match="n_trial"):
        confidence(9, n_trial=0)
    with pytest.raises(ValueError, match="finite"):
        confidence(np.nan)


def test_a_radius_holds_its_part_of_a_map():
    assert held_probability(np.array([2.0, 0.0, 1.0]), np.full(3, 1 / 3), 0.5) == pytest.approx(1)
