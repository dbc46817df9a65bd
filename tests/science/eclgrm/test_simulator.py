"""The simulator: reference bursts, their noise-free truth, and draws of them."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from eclgrm_bursts import BAND_VALUES, box, scene, two_pulses
from eclgrm_curves import batse_file

from analysis.eclgrm.attitude import to_instrument, to_tangent
from analysis.eclgrm.burst import light_curve
from analysis.eclgrm.burst_io import read_burst, write_burst
from analysis.eclgrm.duration import measure_durations
from analysis.eclgrm.eclairs import shadowgram, stand_in_mask
from analysis.eclgrm.io import read_batse_64ms
from analysis.eclgrm.lightcurve import select_band
from analysis.eclgrm.reference_burst import (
    FLUX_BAND,
    Profile,
    ReferenceBurst,
    observed_profile,
    peak_flux,
    pulses_profile,
    timing,
)
from analysis.eclgrm.simulator import SimulationSettings, expected_rates, responses, simulate
from analysis.eclgrm.sky_background import (
    InternalBackground,
    cosmic_grasp_cm2_sr,
    cosmic_intensity,
    eclairs_background,
    grd_background,
)
from analysis.eclgrm.spectral_models import BAND

SHORT = SimulationSettings(start=-20 * u.s, stop=40 * u.s)


def test_box_has_the_durations_and_peaks_of_a_box() -> None:
    found = timing(np.array([0.0, 2.0, 12.0, 20.0]), np.array([0.0, 50.0, 0.0]))
    assert found.t90_s == pytest.approx(9.0)
    assert found.t50_s == pytest.approx(5.0)
    assert found.t90_start_s == pytest.approx(2.5)
    flux, end = peak_flux(np.array([0.0, 1.0, 1.5, 3.0]), np.array([1.0, 4.0, 1.0]), 1.0)
    # Half a second of 8 / s, and half of the brighter neighbour's.
    assert flux == pytest.approx(4.0 + 0.5)
    assert end == pytest.approx(1.5)
    with pytest.raises(ValueError, match="somewhere > 0"):
        Profile(np.array([0.0, 1.0]), np.array([0.0]))


def test_gap_in_the_light_does_not_move_a_level() -> None:
    apart = timing(np.array([0.0, 1.0, 9.0, 10.0]), np.array([30.0, 0.0, 70.0]))
    assert apart.t50_start_s == pytest.approx(25 / 30)
    assert apart.t50_s == pytest.approx(9 + 45 / 70 - 25 / 30)


def test_pulse_is_exponential_on_both_sides() -> None:
    profile = pulses_profile([(2.0, 0.0, 1.0, 4.0)], np.arange(-50, 100, 0.01))
    # The integral of A exp(-|t| / s): A (rise + decay).
    assert profile.photons.sum() == pytest.approx(10.0, rel=1e-4)
    assert profile.flux.max() == pytest.approx(2.0, rel=0.01)


def test_spectra_have_the_flux_of_the_profile_and_soften_with_it() -> None:
    burst = two_pulses(hardness=0.5)
    np.testing.assert_allclose(burst.photons(*FLUX_BAND), burst.profile.photons, rtol=1e-6)
    which, rows = burst.spectra()
    level = burst.profile.flux / burst.profile.flux.max()
    bright = level > 0.05
    expected = BAND_VALUES[2] * level[bright] ** 0.5
    # Within half a step of 24 over a factor of ten.
    np.testing.assert_allclose(rows[which[bright], 2], expected, rtol=0.06)
    steady = two_pulses()
    assert steady.spectra()[1].shape == (1, 4)
    assert burst.fluence(10 * u.keV, 1000 * u.keV) < steady.fluence(10 * u.keV, 1000 * u.keV)


def test_draws_have_the_counts_of_the_responses() -> None:
    burst, place = box(20.0, 0.0, 10.0), scene()
    quiet = SimulationSettings(
        start=-20 * u.s, stop=40 * u.s, internal=InternalBackground(0, 0, 0, -1.2)
    )
    data = simulate(burst, place, rng=np.random.default_rng(3), settings=quiet)
    for name, response in responses(place).items():
        one = data.detector(name).events
        time, channel = one.time.to_value(u.s), one.channel
        on = (time >= 0) & (time < 10)
        source = burst.profile.photons.sum() * expected_rates(burst, response)[1][0]
        # The background from 30 s without burst.
        off = (time < 0) | (time >= 20)
        level = np.bincount(channel[off], minlength=source.size) / 40.0 * 10.0
        counted = np.bincount(channel[on], minlength=source.size)
        error = np.sqrt(np.maximum(counted + level / 4, 1))
        pull = (counted - level - source) / error
        # Drift of the background within the 60 s: 0.2 %, below the noise of a channel.
        assert np.abs(pull).max() < 5
        assert np.std(pull) == pytest.approx(1.0, abs=0.25)


def test_number_of_photons_is_poisson() -> None:
    burst, place = box(2.0, 0.0, 8.0), scene()
    numbers = []
    settings = SimulationSettings(
        start=-2 * u.s, stop=10 * u.s, internal=InternalBackground(0.0, 0.0, 0.0, -1.2)
    )
    expected = float(
        expected_rates(burst, responses(place)["GRD2"])[1].sum() * burst.profile.photons.sum()
        + grd_background(settings.internal).sum()
        * np.mean(settings.drift(np.linspace(-2, 10, 999)))
        * 12
    )
    for seed in range(20):
        data = simulate(burst, place, rng=np.random.default_rng(seed), settings=settings)
        numbers.append(data.detector("GRD2").events.time.size)
    assert np.mean(numbers) == pytest.approx(expected, abs=4 * np.sqrt(expected / 20))
    # Chi-square of 19 degrees of freedom: 4.9 to 43.8 holds 99.9 % of draws.
    assert 4.9 < 19 * np.var(numbers, ddof=1) / expected < 43.8


def test_same_seed_same_photons_other_seed_other_photons() -> None:
    burst, place = two_pulses(), scene()
    first, again, other = (
        simulate(burst, place, rng=np.random.default_rng(seed), settings=SHORT).detector("ECL")
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.events.time.value, again.events.time.value)
    np.testing.assert_array_equal(first.pixel, again.pixel)
    assert first.events.time.size != other.events.time.size or (
        first.events.time[0] != other.events.time[0]
    )


@pytest.mark.parametrize("off_axis", [5.0, 28.0])
def test_photons_of_the_burst_fall_through_the_mask(off_axis: float) -> None:
    burst, place = box(200.0, 0.0, 10.0), scene(off_axis)
    data = simulate(burst, place, rng=np.random.default_rng(4), settings=SHORT)
    one = data.detector("ECL")
    time = one.events.time.to_value(u.s)
    on = (time >= 0) & (time < 10)
    image = np.zeros((80, 80))
    np.add.at(image, tuple(one.pixel[on].T), 1.0)
    np.add.at(image, tuple(one.pixel[time < 0].T), -0.5)
    lit = shadowgram(stand_in_mask(), to_tangent(to_instrument(place.source, place.attitude)))
    dark = lit == 0
    error = np.sqrt(on.sum())
    assert abs(image[dark].sum()) < 4 * error
    net = image.sum()
    assert image[lit == 1].sum() == pytest.approx(
        net * lit[lit == 1].sum() / lit.sum(), abs=4 * error
    )
    assert data.truth["coded_fraction"] == pytest.approx(1.0 if off_axis < 10 else 0.5, abs=0.2)


def test_burst_outside_the_field_is_seen_by_grm_only() -> None:
    data = simulate(two_pulses(), scene(60.0), rng=np.random.default_rng(5), settings=SHORT)
    assert data.truth["counts_ECL"] == 0
    assert "timing_ECL" not in data.truth
    assert data.truth["counts_GRM"] > 1000
    assert data.detector("ECL").events.time.size > 1000


def test_earth_before_the_source_and_senseless_settings_are_refused() -> None:
    place = scene()
    hidden = type(place)(place.attitude, place.source, place.trigger, earth=place.source)
    with pytest.raises(ValueError, match="the Earth hides the source"):
        simulate(two_pulses(), hidden, rng=np.random.default_rng(0), settings=SHORT)
    with pytest.raises(ValueError, match="negative background"):
        SimulationSettings(slope=-0.9)
    with pytest.raises(ValueError, match="runs from"):
        SimulationSettings(start=5 * u.s, stop=5 * u.s)


def test_simulation_is_a_burst_file(tmp_path: Path) -> None:
    data = simulate(two_pulses(), scene(), rng=np.random.default_rng(6), settings=SHORT)
    write_burst(data, tmp_path / "b.fits")
    back = read_burst(tmp_path / "b.fits")
    assert back.truth["timing_GRM"]["t90_s"] == data.truth["timing_GRM"]["t90_s"]
    assert [one.name for one in back.detectors] == ["ECL", "GRD1", "GRD2", "GRD3"]
    curve = light_curve(back.of_instrument("GRM"), 0.064 * u.s)
    assert curve.counts.sum() == pytest.approx(
        sum(one.events.time.size for one in data.of_instrument("GRM")), abs=500
    )


def test_cosmic_background_joins_at_60_kev_and_rates_are_plausible() -> None:
    below, above = cosmic_intensity(np.array([59.999, 60.001]))
    assert below == pytest.approx(above, rel=2e-3)
    sky, own, share = eclairs_background(stand_in_mask(), InternalBackground())
    # Of the order of 3000 counts/s is quoted of ECLAIRs, most of it from the sky.
    assert 2000 < sky.sum() + own.sum() < 4000
    assert share.sum() == pytest.approx(1.0)
    assert share[40, 40] > share[0, 0] > 0
    assert 1000 < grd_background(InternalBackground()).sum() < 2500
    # Far mask: solid angle of the open cells times the area. Here cos^4 lowers it.
    flat = 1024.0 * 846 * (11.4 / 458.0) ** 2
    assert 0.3 * flat < cosmic_grasp_cm2_sr(stand_in_mask()).sum() < flat


@pytest.mark.parametrize("trigger", [143, 249, 543])
def test_real_profiles_keep_durations_and_peak(test_data: Path, trigger: int) -> None:
    curve = read_batse_64ms(batse_file(test_data, trigger))
    peak = 10.0 / (u.cm**2 * u.s)
    profile = observed_profile(curve, peak)
    flux, end = peak_flux(profile.edges_s, profile.photons, 1.024)
    assert flux == pytest.approx(10.0)
    found = timing(profile.edges_s, profile.photons)
    band = select_band(curve, *FLUX_BAND)
    first, last = profile.edges_s[[0, -1]] * u.s
    measured = measure_durations(band, first, last, rng=np.random.default_rng(0))
    # The faintest tails are lost with the noise.
    assert found.t90_s == pytest.approx(measured.t90.value, rel=0.08)
    assert found.t50_s == pytest.approx(measured.t50.value, rel=0.05)
    # When the catalogue has the brightest second end.
    assert end == pytest.approx({143: 2.88, 249: 22.08, 543: 1.28}[trigger], abs=0.3)
    burst = ReferenceBurst(f"BATSE {trigger}", profile, BAND, BAND_VALUES)
    data = simulate(burst, scene(), rng=np.random.default_rng(trigger), settings=SHORT)
    assert data.truth["counts_GRM"] > 1000


def test_no_burst_no_profile() -> None:
    data = simulate(
        box(1e-6, 0.0, 1.0),
        scene(),
        rng=np.random.default_rng(1),
        settings=SimulationSettings(start=-100 * u.s, stop=100 * u.s),
    )
    curve = light_curve(data.of_instrument("GRM"), 0.256 * u.s)
    with pytest.raises(ValueError, match="no burst above the background"):
        observed_profile(curve, 1 / (u.cm**2 * u.s))
