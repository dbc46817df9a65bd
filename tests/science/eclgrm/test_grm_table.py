"""The table of counts of the three GRDs."""

import astropy.units as u
import numpy as np
import pytest

from analysis.eclgrm.grm_response import GRD_NAMES, grd_normals, grm_response
from analysis.eclgrm.grm_table import fold_spectra, grd_rate_table, in_field, is_visible

BANDS = [[15, 50], [50, 300]] * u.keV
EARTH = np.array([-0.8, 0.6, 0.0])


@pytest.fixture(scope="module")
def table():
    return grd_rate_table(BANDS, earth=EARTH, n_direction=400)


def test_the_table_is_the_response_folded_direction_by_direction(table):
    seen = is_visible(table.directions, EARTH) & (table.directions @ EARTH < 0.3)
    for at in np.flatnonzero(seen)[::40]:
        for index, name in enumerate(GRD_NAMES):
            response = grm_response(name, table.directions[at], earth=EARTH)
            cells = table.rates[:, at, 2 * index : 2 * index + 2]
            # 3 %: light from the atmosphere is interpolated between 150 directions.
            assert cells == pytest.approx(fold_spectra(response, BANDS), rel=0.03)


def test_without_the_earth_the_detectors_differ_by_symmetry_only():
    table = grd_rate_table(BANDS, n_direction=200)
    normals = grd_normals()
    assert table.detectors[0] == "GRD1 15-50 keV"
    for at in range(0, 200, 20):
        cosines = normals @ table.directions[at]
        order = np.argsort(cosines)
        assert (np.diff(table.rates[1, at, ::2][order]) >= -1e-9).all()


def test_harder_spectra_have_harder_counts(table):
    softness = dict(zip(table.spectra, table.rates[:, :, 0] / table.rates[:, :, 1], strict=True))
    soft, normal, hard = (softness[f"alpha -1, Epeak {peak} keV"] for peak in (60, 250, 1000))
    assert (soft > normal).all()
    assert (normal > hard).all()


def test_what_the_earth_hides_is_not_visible():
    directions = np.array([EARTH, -EARTH, [0.0, 0.0, 1.0]])
    assert is_visible(directions, EARTH).tolist() == [False, True, True]
    assert is_visible(directions, None).all()
    assert in_field([[1.0, 0, 0], [-1.0, 0, 0], [-0.1, 0, 0.995]]).tolist() == [True, False, False]
