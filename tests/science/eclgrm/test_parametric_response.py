"""The parametric responses of GRM and ECLAIRs against cross-sections, geometry and limits."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from scipy.integrate import quad

from analysis.eclgrm import grm_response as grm_module
from analysis.eclgrm.attitude import direction
from analysis.eclgrm.cross_sections import (
    AIR,
    AVOGADRO,
    CDTE,
    NAI,
    klein_nishina_cm2,
    klein_nishina_per_sr_cm2,
    scattered_kev,
)
from analysis.eclgrm.crystal import redistribute
from analysis.eclgrm.eclairs import lit_area_cm2, stand_in_mask
from analysis.eclgrm.eclairs_response import ECL_CRYSTAL, eclairs_response
from analysis.eclgrm.grm_response import (
    COMPONENTS,
    GRD_AREA_CM2,
    GRD_CRYSTAL,
    GRD_NAMES,
    GRM_CHANNEL_EDGES_KEV,
    earth_radius_rad,
    grd_normals,
    grm_response,
    single_scattering,
)
from analysis.eclgrm.ogip import read_response
from analysis.eclgrm.ogip_write import write_response

AHEAD = np.array([1.0, 0.0, 0.0])
MASK = stand_in_mask()


def area_at(response, energy_kev: float) -> float:
    edges = response.energy_true_edges_kev
    return float(response.effective_area_cm2[np.searchsorted(edges, energy_kev) - 1])


def test_compton_total_is_the_integral_and_thomson_at_low_energy() -> None:
    for energy in (30.0, 511.0, 3000.0):
        total = quad(
            lambda cosine, at=energy: (
                2 * np.pi * float(klein_nishina_per_sr_cm2(np.array(at), np.array(cosine)))
            ),
            -1,
            1,
        )[0]
        assert float(klein_nishina_cm2(np.array(energy))) == pytest.approx(total, rel=1e-6)
    # Thomson: 0.66525 barn.
    assert float(klein_nishina_cm2(np.array(0.1))) == pytest.approx(6.6525e-25, rel=1e-3)
    assert float(scattered_kev(np.array(511.0), np.array(-1.0))) == pytest.approx(511 / 3, rel=1e-5)


def test_interaction_agrees_with_full_cross_sections() -> None:
    # xraydb 4.5.8 with coherent scattering: 15 mm NaI, 1 mm CdTe. What is left out here (coherent)
    # and free electrons make 4 % of NaI, 8 % of the thin CdTe at 150 keV.
    energy = np.array([200.0, 300.0, 500.0, 800.0])
    np.testing.assert_allclose(
        GRD_CRYSTAL.interaction(energy), [0.836, 0.599, 0.407, 0.311], rtol=0.045
    )
    energy = np.array([50.0, 100.0, 150.0])
    np.testing.assert_allclose(ECL_CRYSTAL.interaction(energy), [0.998, 0.624, 0.299], rtol=0.08)


@pytest.mark.parametrize("crystal", [GRD_CRYSTAL, ECL_CRYSTAL])
def test_redistribution_loses_no_photon_within_the_channels(crystal) -> None:
    energy = np.array([20.0, 29.0, 60.0, 150.0, 662.0])
    wide = np.linspace(-200, 1500, 1701)
    seen = redistribute(crystal, energy, wide)
    np.testing.assert_allclose(seen.sum(axis=1), crystal.interaction(energy), rtol=2e-3)


def test_photopeak_escape_and_compton_edge_stand_where_they_should() -> None:
    edges = np.arange(0.0, 800.0, 1.0)
    middle = 0.5 * (edges[:-1] + edges[1:])
    seen = redistribute(GRD_CRYSTAL, np.array([60.0, 662.0]), edges)
    assert middle[seen[0].argmax()] == pytest.approx(60, abs=1)
    escape = seen[0][(middle > 20) & (middle < 40)]
    assert escape.sum() / seen[0].sum() == pytest.approx(0.10, abs=0.04)
    # Compton edge of 662 keV: 477 keV. The continuum drops across it.
    below, above = (seen[1][(middle > low) & (middle < low + 40)].mean() for low in (400, 530))
    assert below > 3 * above
    # Width of the peak: that stated.
    half = middle[seen[1] > 0.5 * seen[1].max()]
    assert np.ptp(half) == pytest.approx(2.3548 * GRD_CRYSTAL.sigma_kev(np.array(662.0)), rel=0.1)


def test_k_edge_lets_fewer_photons_keep_their_energy() -> None:
    assert NAI.photoelectric_cm(np.array(33.2)) > 5 * NAI.photoelectric_cm(np.array(33.1))
    assert CDTE.photoelectric_cm(np.array(26.8)) > 3 * CDTE.photoelectric_cm(np.array(26.6))
    below, above = (sum(GRD_CRYSTAL.escape(np.array([one]))) for one in (33.0, 34.0))
    assert below == 0
    assert 0.2 < float(above[0]) < 0.5


def test_grds_see_by_the_cosine_and_nothing_from_behind() -> None:
    normals = grd_normals()
    np.testing.assert_allclose(normals @ AHEAD, np.cos(np.radians(30)))
    between = np.degrees(np.arccos(normals[0] @ normals[1]))
    assert between == pytest.approx(51.3, abs=0.1)
    for name, normal in zip(GRD_NAMES, normals, strict=True):
        face_on = grm_response(name, normal, components=["direct"])
        # Opaque at 100 keV but for a few per mille, behind a thin window.
        assert area_at(face_on, 100.0) == pytest.approx(GRD_AREA_CM2, rel=0.01)
        behind = grm_response(name, -normal, components=["direct"])
        assert behind.matrix_cm2.max() == 0
    tilted = direction(90 * u.deg, 0 * u.deg)
    seen = grm_response("GRD1", tilted, components=["direct"])
    assert area_at(seen, 80.0) == pytest.approx(0.5 * GRD_AREA_CM2, rel=0.02)


def test_components_add_up_and_the_named_ones_are_minor() -> None:
    earth = direction(100 * u.deg, 0 * u.deg)
    parts = {
        one: grm_response("GRD1", AHEAD, earth=earth, components=[one]).matrix_cm2
        for one in COMPONENTS
    }
    whole = grm_response("GRD1", AHEAD, earth=earth)
    np.testing.assert_allclose(whole.matrix_cm2, sum(parts.values()))
    at_100 = np.searchsorted(whole.energy_true_edges_kev, 100.0) - 1
    direct, sky, craft = (parts[one][at_100].sum() for one in COMPONENTS)
    assert 0.02 < sky / direct < 0.4
    assert 0.01 < craft / direct < 0.15
    # Scattered light has lost energy.
    channels = 0.5 * (GRM_CHANNEL_EDGES_KEV[1:] + GRM_CHANNEL_EDGES_KEV[:-1])
    means = [parts[one][at_100] @ channels / parts[one][at_100].sum() for one in COMPONENTS]
    assert means[0] > means[1]
    assert means[0] > means[2]


@pytest.mark.parametrize(("energy", "entry"), [(40.0, 1.0), (100.0, 0.5), (500.0, 0.7)])
def test_single_scattering_agrees_with_single_photons(energy: float, entry: float) -> None:
    # Photons fall on the top of an atmosphere, scatter at an exponential depth, and leave or not.
    rng = np.random.default_rng(5)
    n_photon = 200_000
    up, azimuth = rng.uniform(0, 1, n_photon), rng.uniform(0, 2 * np.pi, n_photon)
    angle = -entry * up + np.sqrt(1 - entry**2) * np.sqrt(1 - up**2) * np.cos(azimuth)
    at = np.full(n_photon, energy)
    depth = rng.exponential(size=n_photon) * entry / AIR.total_cm(at)
    out = np.exp(-depth / up * AIR.total_cm(scattered_kev(at, angle)))
    chance = AVOGADRO * AIR.electrons * klein_nishina_per_sr_cm2(at, angle) / AIR.total_cm(at)
    counted = 2 * np.pi * chance * out
    # The same by the formula: flux through the top over the flux that falls on it.
    formula = 2 * np.pi * single_scattering(at, angle, np.full(n_photon, entry), up) * up / entry
    error = np.std(counted - formula) / np.sqrt(n_photon)
    assert counted.mean() == pytest.approx(formula.mean(), abs=4 * error)
    assert 0.005 < formula.mean() < 0.5


def test_atmosphere_does_not_depend_on_the_steps_over_the_disc(monkeypatch) -> None:
    earth = direction(110 * u.deg, 40 * u.deg)
    coarse = grm_response("GRD2", AHEAD, earth=earth, components=["atmosphere"])
    monkeypatch.setattr(grm_module, "_RINGS", 45)
    monkeypatch.setattr(grm_module, "_SECTORS", 80)
    fine = grm_response("GRD2", AHEAD, earth=earth, components=["atmosphere"])
    # 4 %: of a component that is 2 to 10 % of the whole.
    used = fine.effective_area_cm2 > 0.05 * fine.effective_area_cm2.max()
    np.testing.assert_allclose(
        coarse.effective_area_cm2[used], fine.effective_area_cm2[used], rtol=0.04
    )
    # A crystal that looks away from the Earth sees none of it.
    up = grm_response("GRD1", AHEAD, earth=-grd_normals()[0], components=["atmosphere"])
    assert up.matrix_cm2.max() == 0


def test_hidden_source_and_wrong_input_are_refused() -> None:
    low = direction(u.Quantity(earth_radius_rad() - 0.05, u.rad), 0 * u.deg)
    with pytest.raises(ValueError, match="the Earth hides the source"):
        grm_response("GRD1", AHEAD, earth=low)
    with pytest.raises(ValueError, match="GRD9"):
        grm_response("GRD9", AHEAD)
    with pytest.raises(ValueError, match="unit vector"):
        grm_response("GRD1", [2.0, 0, 0])
    with pytest.raises(ValueError, match="albedo"):
        grm_response("GRD1", AHEAD, components=["albedo"])


def test_eclairs_area_is_that_of_the_lit_crystals() -> None:
    on_axis = eclairs_response(AHEAD, MASK)
    assert area_at(on_axis, 20.0) == pytest.approx(lit_area_cm2(MASK, [0.0, 0.0]), rel=0.01)
    partly = direction(30 * u.deg, 45 * u.deg)
    assert 0 < area_at(eclairs_response(partly, MASK), 20.0) < area_at(on_axis, 20.0)
    for towards in (direction(60 * u.deg, 0 * u.deg), -AHEAD):
        with pytest.raises(ValueError, match="outside its field of view"):
            eclairs_response(towards, MASK)


def test_responses_are_ogip_files(tmp_path: Path) -> None:
    for made in (eclairs_response(AHEAD, MASK), grm_response("GRD2", AHEAD)):
        write_response(made, tmp_path / "r.rsp", header={"TELESCOP": "SVOM"})
        back = read_response(tmp_path / "r.rsp")
        assert "parametric" in made.name
        np.testing.assert_allclose(back.matrix_cm2, made.matrix_cm2, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(back.channels, made.channels)
