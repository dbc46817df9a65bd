"""GBM: the table of its detectors, and a real burst from its trigger data."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from analysis.eclgrm import io
from analysis.eclgrm.attitude import to_sky
from analysis.eclgrm.gbm_table import NAI_NAMES, is_clear, nai_area, nai_normals, nai_rate_table
from analysis.eclgrm.trigdat import locate_trigdat

CATALOGUE = SkyCoord(119.8, -56.6, unit="deg")
"""GRB 080916C in the GBM catalogue."""


@pytest.fixture(scope="module")
def trigdat(test_data):
    return test_data / "grb" / "gbm_bn080916009" / "glg_trigdat_all_bn080916009_v02.fit"


@pytest.fixture(scope="module")
def curves(trigdat):
    return {name: io.read_gbm_trigdat(trigdat, [at]) for at, name in enumerate(NAI_NAMES)}


def pointing_at_trigger(path):
    pointing = io.read_gbm_pointing(path)
    at = int(np.argmin(np.abs(pointing["time"])))
    return {"attitude": pointing["attitude"][at], "position": pointing["position"][at]}


def test_pointing_is_that_of_the_header(trigdat):
    header = fits.getheader(trigdat)
    pointing = pointing_at_trigger(trigdat)
    earth = np.linalg.norm(pointing["position"].to_value(u.km))
    assert earth == pytest.approx(6378 + 555, abs=30)
    for axis, names in (([1, 0, 0], ("RA_SCX", "DEC_SCX")), ([0, 0, 1], ("RA_SCZ", "DEC_SCZ"))):
        there = to_sky(np.array(axis, float), pointing["attitude"])
        # Fermi turns by some hundredths of a degree within a bin.
        given = SkyCoord(header[names[0]], header[names[1]], unit="deg")
        assert there.separation(given) < 0.2 * u.deg


def test_a_real_burst_is_found_within_five_degrees_of_the_catalogue(trigdat, curves):
    found = locate_trigdat(curves, io.read_gbm_nai_rates(), **pointing_at_trigger(trigdat))

    assert found.status == "located"
    # On board the burst triggered at 0.
    assert abs(found.trigger.stop.to_value(u.s)) < 0.5
    assert found.confidence.level == 3
    separation = found.position.coordinates.separation(CATALOGUE)
    assert separation < 5 * u.deg
    assert separation < found.position.r90
    # The model is as good as it is said to be.
    assert found.map.n_dof == 9
    assert found.map.p_value > 0.01


def test_half_of_the_detectors_find_it_less_well(trigdat, curves):
    few = {name: curves[name] for name in NAI_NAMES[:9]}
    pointing = pointing_at_trigger(trigdat)
    rates = io.read_gbm_nai_rates()
    found = locate_trigdat(few, rates, **pointing)
    assert found.status == "located"
    assert found.position.coordinates.separation(CATALOGUE) < 1.5 * found.position.r90
    two = {name: curves[name] for name in NAI_NAMES[:2]}
    assert "at least three" in locate_trigdat(two, rates, **pointing).reason


def test_rates_that_no_direction_makes_are_no_position(trigdat, curves):
    # The detectors in another order: no direction lights them so.
    mixed = dict(zip(NAI_NAMES, [curves[name] for name in NAI_NAMES[::-1]], strict=True))
    found = locate_trigdat(mixed, io.read_gbm_nai_rates(), **pointing_at_trigger(trigdat))
    assert found.status == "not located"
    assert "no direction explains" in found.reason
    assert found.position is None


def test_the_spacecraft_hides_what_lies_behind_it():
    # N5 and NB sit on opposite sides and look away from each other.
    across = nai_normals()[[5, 11]]
    clear = is_clear(across)[:, [5, 11]]
    assert clear.tolist() == [[True, False], [False, True]]
    assert is_clear([[0.0, 0.0, -1.0]]).all()


def test_a_crystal_shows_its_face_and_its_rim():
    face, rim, back = nai_area(np.array([1.0, 0.0, -1.0]), np.array(100.0))
    assert face == pytest.approx(np.pi * 6.35**2)
    assert rim == pytest.approx(12.7 * 1.27)
    assert 0.2 < back / face < 0.6


def test_the_table_is_highest_where_detectors_look():
    table = nai_rate_table(io.read_gbm_nai_rates(), earth=[0.0, 0.0, -1.0], n_direction=3000)
    for at, normal in enumerate(nai_normals()):
        best = table.directions[int(np.argmax(table.rates[1, :, at]))]
        assert best @ normal > np.cos(np.radians(20))
    with pytest.raises(ValueError, match="direct rates"):
        nai_rate_table({}, earth=[0.0, 0.0, -1.0])


def test_quaternions_that_are_none_are_refused(trigdat, tmp_path):
    broken = tmp_path / "broken.fit"
    with fits.open(trigdat) as hdus:
        hdus["EVNTRATE"].data["SCATTITD"][3] = 0
        hdus.writeto(broken)
    with pytest.raises(io.InputFileError, match="row 4"):
        io.read_gbm_pointing(broken)
