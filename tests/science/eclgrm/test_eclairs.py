"""Geometry of the coded mask."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.eclgrm.eclairs import (
    N_PIXEL,
    PITCH_MM,
    CodedMask,
    coded_fraction,
    lit_area_cm2,
    shadowgram,
    stand_in_mask,
)

MASK = stand_in_mask()
OPEN = CodedMask(np.ones((46, 46), bool))
TANGENTS = st.floats(-1.2, 1.2)


def test_the_stand_in_has_forty_per_cent_of_its_cells_open_and_is_the_same_every_time():
    assert MASK.is_open.sum() == 846
    assert (stand_in_mask().is_open == MASK.is_open).all()
    # It must stay the same, or the files made with it lose their meaning.
    packed = np.packbits(MASK.is_open).tobytes()
    assert hashlib.sha256(packed).hexdigest().startswith("cffa78c793c49416")
    assert (stand_in_mask(1).is_open != MASK.is_open).any()


def test_the_fields_have_the_published_sizes():
    # Godet et al. 2014: about 22 x 22 degrees fully coded, 89 x 89 degrees in all, 1024 cm2.
    assert 2 * np.degrees(np.arctan(MASK.fully_coded)) == pytest.approx(22, abs=2)
    assert 2 * np.degrees(np.arctan(MASK.edge)) == pytest.approx(89, abs=2)
    assert lit_area_cm2(OPEN, [0, 0]) == pytest.approx(1024)


def test_an_open_mask_lights_all_pixels_of_the_fully_coded_field():
    assert shadowgram(OPEN, [0.17, -0.17]) == pytest.approx(np.ones((80, 80)))


def test_a_single_open_cell_lights_its_own_area_moved_against_the_source():
    cells = np.zeros((46, 46), bool)
    cells[23, 23] = True
    solid = CodedMask(cells, pixel_mm=PITCH_MM)

    lit = shadowgram(solid, [0.1, 0.0])

    assert lit.sum() * PITCH_MM**2 == pytest.approx(11.4**2)
    middle = (np.arange(N_PIXEL) - 39.5) * PITCH_MM
    assert lit.sum(axis=1) @ middle / lit.sum() == pytest.approx(5.7 - 45.8, abs=0.5)
    assert lit.sum(axis=0) @ middle / lit.sum() == pytest.approx(5.7, abs=0.5)


@given(TANGENTS, TANGENTS)
def test_lit_fractions_stay_within_what_the_mask_covers(tangent_y, tangent_z):
    lit = shadowgram(MASK, [tangent_y, tangent_z])

    assert (lit >= 0).all()
    assert (lit <= shadowgram(OPEN, [tangent_y, tangent_z]) + 1e-12).all()
    assert 0 <= coded_fraction(MASK, [tangent_y, tangent_z]) <= 1 + 1e-12


def test_nothing_is_lit_outside_the_field():
    assert coded_fraction(MASK, [[0.0, 0.0], [0.5, 0.0], [0.97, 0.0]]) == pytest.approx(
        [1.0, 0.5 + (MASK.mask_mm / 2 - 229) / 360, 0.0], abs=0.01
    )
    assert not shadowgram(MASK, [0.97, 0.0]).any()


@given(st.integers(-10, 10))
def test_a_source_that_moves_by_one_pixel_moves_the_shadow_by_one_pixel(n_step):
    step = PITCH_MM / MASK.distance_mm
    here, there = shadowgram(MASK, [0, 0]), shadowgram(MASK, [n_step * step, 0])

    low, high = max(0, -n_step), min(80, 80 - n_step)
    assert there[low:high] == pytest.approx(here[low + n_step : high + n_step])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="n_cell, n_cell"):
        CodedMask(np.ones((4, 3), bool))
    with pytest.raises(ValueError, match="pitch"):
        CodedMask(np.ones((4, 4), bool), pixel_mm=5.0)
    with pytest.raises(ValueError, match="two finite"):
        shadowgram(MASK, [0.1, np.nan])
