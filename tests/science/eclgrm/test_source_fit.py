"""Fit of a source under the coded mask."""

import astropy.units as u
import numpy as np
import pytest
from eclgrm_images import MASK, draw_image, offset_deg, uneven_background
from scipy.stats import binom

from analysis.eclgrm.attitude import from_tangent, pointing, to_sky
from analysis.eclgrm.eclairs import shadowgram
from analysis.eclgrm.imaging import decode, find_peaks
from analysis.eclgrm.r90 import SYSTEMATIC_R90, law_r90
from analysis.eclgrm.source_fit import SourceFitError, fit_source, sky_position


def localised(tangent, n_source, rng):
    counts, background = draw_image(tangent, n_source, rng)
    peak = find_peaks(decode(MASK, counts, background=background))[0]
    return fit_source(MASK, counts, peak.tangent, background=background)


def test_a_source_without_noise_is_found_where_it_is():
    tangent = np.array([0.0713, -0.1017])
    lit = shadowgram(MASK, tangent)
    expected = uneven_background() + 20000 * lit / lit.sum()

    fit = fit_source(MASK, expected, [0.07, -0.1], background=uneven_background())

    assert offset_deg(fit.tangent, tangent) < 0.003
    assert fit.counts == pytest.approx(20000, rel=0.01)
    assert fit.coded_fraction == 1


def test_without_a_background_image_a_surface_is_fitted_with_the_source():
    tangent = np.array([-0.12, 0.04])
    lit = shadowgram(MASK, tangent)
    expected = uneven_background() + 20000 * lit / lit.sum()

    fit = fit_source(MASK, expected, tangent + 0.005)

    assert offset_deg(fit.tangent, tangent) < 0.003
    assert fit.counts == pytest.approx(20000, rel=0.01)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.18), (0.3, 0.7)])
def test_positions_lie_within_the_radius_nine_times_in_ten(low, high):
    rng = np.random.default_rng(11)
    n_seed, inside, ratio = 40, 0, []
    for _ in range(n_seed):
        tangent = rng.uniform(low, high) * np.array([1, rng.uniform(-1, 1)])
        fit = localised(tangent, 3500, rng)
        inside += offset_deg(fit.tangent, tangent) < fit.r90.to_value(u.deg)
        ratio.append(float(fit.r90.to_value(u.deg) * fit.snr))
    # 36 expected; outside of this once in 10 000 if the radii are right.
    assert binom.ppf(1e-4, n_seed, 0.9) <= inside
    # The in-flight law without its systematic part: 1.283 deg / SNR.
    assert np.median(ratio) == pytest.approx(1.283, rel=0.15)


def test_the_radius_falls_with_the_signal_as_the_law_does():
    rng = np.random.default_rng(3)
    faint, bright = (localised([0.03, 0.02], n_source, rng) for n_source in (3000, 30000))
    assert bright.snr > 5 * faint.snr
    for fit in (faint, bright):
        # The law without the 2 arcmin that a perfectly known mask does not have.
        statistical = np.sqrt(law_r90(fit.snr) ** 2 - SYSTEMATIC_R90**2)
        assert 0.7 < fit.r90 / statistical < 1.3


def test_the_sky_position_turns_with_the_instrument():
    fit = localised([0.1, -0.05], 6000, np.random.default_rng(4))
    attitude = pointing(200 * u.deg, 50 * u.deg, 20 * u.deg)

    here = sky_position(fit, attitude)
    rolled = sky_position(fit, pointing(200 * u.deg, 50 * u.deg, 50 * u.deg))

    expected = to_sky(from_tangent(fit.tangent), attitude)
    assert here.coordinates.separation(expected) < 1e-9 * u.deg
    assert here.semi_major >= here.semi_minor > 0 * u.deg
    assert rolled.semi_major.value == pytest.approx(here.semi_major.value, rel=1e-3)
    # A source off the axis sees north turn by a little more or less than the roll.
    turned = (rolled.position_angle - here.position_angle).to_value(u.deg) % 180
    assert turned == pytest.approx(30, abs=10)
    # The circle of 90 % lies between the ellipse's axes.
    assert here.semi_minor.value * 0.95 < fit.r90.value < here.semi_major.value * 1.05


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_fixes_no_place(seed):
    counts = np.random.default_rng(seed).poisson(uneven_background())
    peak = find_peaks(decode(MASK, counts, background=uneven_background()))[0]
    with pytest.raises(SourceFitError, match="too faint"):
        fit_source(MASK, counts, peak.tangent, background=uneven_background())


def test_wrong_starts_and_empty_images_are_refused():
    with pytest.raises(SourceFitError, match="outside the field"):
        fit_source(MASK, np.ones((80, 80)), [2.0, 0.0])
    with pytest.raises(SourceFitError, match="no counts"):
        fit_source(MASK, np.zeros((80, 80)), [0.0, 0.0])
    with pytest.raises(SourceFitError, match="background image is 0"):
        fit_source(MASK, np.ones((80, 80)), [0.0, 0.0], background=np.zeros((80, 80)))
    hole = uneven_background(50.0) - 20 * shadowgram(MASK, [0.0, 0.0])
    with pytest.raises(SourceFitError, match="no source"):
        fit_source(MASK, hole, [0.0, 0.0], background=uneven_background(50.0))
