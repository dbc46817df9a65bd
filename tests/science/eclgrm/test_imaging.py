"""Decoding of the coded mask."""

import numpy as np
import pytest
from eclgrm_images import MASK, draw_image, uneven_background
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eclgrm.eclairs import coded_fraction, shadowgram
from analysis.eclgrm.imaging import background_image, decode, find_peaks, working_pixels

GRID = decode(MASK, np.ones((80, 80))).tangent


@pytest.mark.parametrize("at", [(98, 98), (110, 85), (60, 140), (30, 98)])
def test_a_source_without_noise_has_its_own_flux_at_its_own_place(at):
    tangent = GRID[list(at)]

    image = decode(MASK, 100 * shadowgram(MASK, tangent) + 7)

    # The flux is that of a pixel lit wholly; the flat background drops out.
    assert image.flux[at] == pytest.approx(100, rel=1e-6)
    assert find_peaks(image)[0].tangent == pytest.approx(tuple(tangent))


def test_the_fast_way_gives_what_the_definition_gives():
    rng = np.random.default_rng(1)
    counts = rng.poisson(3.0, (80, 80))
    works = rng.uniform(0.5, 1, (80, 80)) * (rng.uniform(size=(80, 80)) > 0.1)
    at = (120, 150)
    lit = shadowgram(MASK, GRID[list(at)])
    seen = shadowgram(type(MASK)(np.ones((46, 46), bool)), GRID[list(at)])
    kernel = lit - (works * lit).sum() / (works * seen).sum() * seen
    norm = (works * kernel * lit).sum()

    image = decode(MASK, counts, efficiency=works)

    on = works > 0
    assert image.flux[at] == pytest.approx((kernel * counts)[on].sum() / norm)
    assert image.variance[at] == pytest.approx((kernel**2 * counts)[on].sum() / norm**2)
    assert image.coded_fraction[at] == pytest.approx((works * seen).sum() / works.sum())


def test_noise_has_unit_width_in_the_whole_field():
    rng = np.random.default_rng(2)
    images = [decode(MASK, rng.poisson(12.0, (80, 80))) for _ in range(12)]
    snr = np.array([image.snr for image in images])
    coded = images[0].coded_fraction

    for low, high in ((0.999, 2), (0.4, 0.999), (0.1, 0.4)):
        inside = (coded >= low) & (coded < high)
        # A dozen images of thousands of directions, correlated over some six of them.
        assert snr[:, inside].std() == pytest.approx(1.0, abs=0.05)
        assert snr[:, inside].mean() == pytest.approx(0.0, abs=0.05)


def test_an_uneven_background_gives_no_source_once_its_shape_is_known():
    rng = np.random.default_rng(3)
    before = rng.poisson(400 * uneven_background(1.0))
    counts = rng.poisson(uneven_background(60.0))

    raw = decode(MASK, counts)
    flat = decode(MASK, counts, background=background_image(before) * 60 / 400)

    assert np.nanstd(flat.snr) == pytest.approx(1.0, abs=0.1)
    assert np.nanstd(raw.snr) > 1.2
    assert find_peaks(flat)[0].snr < 6


def test_directions_that_no_pixel_sees_have_no_value():
    image = decode(MASK, np.ones((80, 80)))
    assert np.isnan(image.snr[0, 0])
    assert image.coded_fraction[98, 98] == 1
    assert np.isfinite(image.flux[98, 98])


@settings(max_examples=10)
@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.integers(0, 99))
def test_the_peak_of_a_bright_source_lies_next_to_it(tangent_y, tangent_z, seed):
    rng = np.random.default_rng(seed)
    counts, background = draw_image([tangent_y, tangent_z], 8000, rng)

    first, second = find_peaks(decode(MASK, counts, background=background))[:2]

    step = GRID[1] - GRID[0]
    assert np.abs(np.array(first.tangent) - [tangent_y, tangent_z]).max() < 1.5 * step
    assert first.snr > 10
    assert second.snr < 0.5 * first.snr
    assert first.coded_fraction == pytest.approx(coded_fraction(MASK, first.tangent))


def test_scaling_all_counts_scales_the_flux_and_the_root_of_the_ratio():
    counts, _ = draw_image([0.05, -0.1], 3000, np.random.default_rng(5))
    one, four = decode(MASK, counts), decode(MASK, 4 * counts)
    at = (98, 98)
    assert four.flux[at] == pytest.approx(4 * one.flux[at])
    assert four.snr[at] == pytest.approx(2 * one.snr[at])


def test_the_background_surface_is_the_one_that_was_there():
    fitted = background_image(uneven_background(50.0))
    assert fitted == pytest.approx(uneven_background(50.0), rel=1e-6)


def test_pixels_that_are_off_do_not_pull_the_background():
    works = np.ones((80, 80))
    works[20:40] = 0
    fitted = background_image(uneven_background(50.0) * works, efficiency=works)
    assert (fitted[works > 0]) == pytest.approx(uneven_background(50.0)[works > 0], rel=1e-6)


def test_dead_and_noisy_pixels_are_told_from_the_others():
    rng = np.random.default_rng(9)
    counts = rng.poisson(uneven_background(60.0))
    counts[10, 20] = 0
    counts[30:33, 40] = 5000
    works = working_pixels(counts)
    assert works[10, 20] == 0
    assert (works[30:33, 40] == 0).all()
    # One of the others in 10^5 deviates as far.
    assert (works == 0).sum() <= 6


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (np.ones((80, 79)), "RAWY, RAWZ"),
        (-np.ones((80, 80)), "negative"),
        (np.full((80, 80), np.nan), "finite"),
    ],
)
def test_impossible_images_are_refused(counts, words):
    with pytest.raises(ValueError, match=words):
        decode(MASK, counts)


def test_a_detector_that_is_off_is_refused():
    with pytest.raises(ValueError, match="no pixel works"):
        decode(MASK, np.ones((80, 80)), efficiency=np.zeros((80, 80)))
    with pytest.raises(ValueError, match="no counts"):
        background_image(np.zeros((80, 80)))
    with pytest.raises(ValueError, match="background has the shape"):
        decode(MASK, np.ones((80, 80)), background=np.ones(3))


def test_an_empty_image_has_no_peaks():
    assert find_peaks(decode(MASK, np.zeros((80, 80)))) == ()
