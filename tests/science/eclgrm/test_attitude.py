"""Directions: instrument frame, tangent plane, sky."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from analysis.eclgrm import attitude


def test_the_x_axis_points_where_the_instrument_looks():
    looking = attitude.pointing(106 * u.deg, 39 * u.deg, 25 * u.deg)

    there = attitude.to_sky([1.0, 0.0, 0.0], looking)

    assert there.separation(SkyCoord(106 * u.deg, 39 * u.deg)) < 1e-9 * u.deg


@pytest.mark.parametrize("roll", [0, 30, 215])
def test_roll_is_the_position_angle_of_the_z_axis(roll):
    looking = attitude.pointing(10 * u.deg, -40 * u.deg, roll * u.deg)
    centre = attitude.to_sky([1.0, 0.0, 0.0], looking)

    near = attitude.to_sky(attitude.from_tangent([0.0, 1e-4]), looking)

    turned = centre.position_angle(near).deg - roll
    assert (turned + 180) % 360 - 180 == pytest.approx(0, abs=0.02)


@given(
    st.floats(0, 360), st.floats(-90, 90), st.floats(0, 360), st.floats(0, 80), st.floats(0, 360)
)
def test_directions_survive_the_way_to_the_sky_and_back(ra, dec, roll, theta, phi):
    looking = attitude.pointing(ra * u.deg, dec * u.deg, roll * u.deg)
    vector = attitude.direction(theta * u.deg, phi * u.deg)

    back = attitude.to_instrument(attitude.to_sky(vector, looking), looking)

    assert back == pytest.approx(vector, abs=1e-12)
    assert attitude.from_tangent(attitude.to_tangent(vector)) == pytest.approx(vector, abs=1e-12)


def test_the_tangent_of_a_direction_behind_is_not_a_number():
    assert np.isnan(attitude.to_tangent([-1.0, 0.1, 0.0])).all()


@pytest.mark.parametrize("bad", [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [np.nan] * 4])
def test_an_attitude_that_is_no_unit_quaternion_is_refused(bad):
    with pytest.raises(ValueError, match="scalar last"):
        attitude.to_sky([1.0, 0.0, 0.0], bad)
