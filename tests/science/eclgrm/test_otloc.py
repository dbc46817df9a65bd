"""OTLOC on simulated bursts: trigger, confidence, position, and what has none."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from eclgrm_bursts import box, scene, two_pulses

from analysis.eclgrm.attitude import to_instrument, to_tangent
from analysis.eclgrm.burst_io import import_gbm
from analysis.eclgrm.eclairs import coded_fraction, stand_in_mask
from analysis.eclgrm.otloc import GRM_TRIGGER, OtlocSettings, locate
from analysis.eclgrm.simulator import SimulationSettings, simulate

RECORDED = SimulationSettings(start=-70 * u.s, stop=30 * u.s)


def simulated(burst, where, seed=1):
    return simulate(burst, where, rng=np.random.default_rng(seed), settings=RECORDED)


@pytest.fixture(scope="module")
def near_axis():
    where = scene(5.0, 30.0)
    return where, simulated(two_pulses(flux=0.3), where)


def test_eclairs_finds_a_burst_in_the_fully_coded_field(near_axis):
    where, data = near_axis
    found = locate(data, "ECL")
    assert found.status == "located"
    assert found.reason == ""
    # The pulses rise from about the reference on.
    assert -3 < found.trigger.stop.to_value(u.s) < 5
    assert found.confidence.level == 3
    position = found.position
    assert position.coordinates.separation(where.source) < 2 * position.r90
    assert position.coded_fraction == 1
    assert position.off_axis.to_value(u.deg) == pytest.approx(5, abs=0.1)
    # Statistical part of the law: what this mask gives is near it.
    assert float(position.r90 / position.r90_law) == pytest.approx(1, abs=0.25)
    assert found.image is not None


def test_eclairs_finds_a_burst_in_the_partially_coded_field():
    where = scene(30.0, 200.0)
    found = locate(simulated(two_pulses(flux=0.6), where), "ECL")
    tangent = to_tangent(to_instrument(where.source, where.attitude))
    assert found.status == "located"
    assert found.position.coordinates.separation(where.source) < 2 * found.position.r90
    assert found.position.coded_fraction == pytest.approx(
        float(coded_fraction(stand_in_mask(), tangent)), abs=0.01
    )
    assert 0.1 < found.position.coded_fraction < 0.95


def test_noisy_pixels_do_not_move_the_position(near_axis):
    where, data = near_axis
    (detector,) = data.of_instrument("ECL")
    rng = np.random.default_rng(5)
    n_more = 40000
    more = rng.uniform(-70, 30, n_more)
    time = np.r_[detector.events.time.to_value(u.s), more]
    order = np.argsort(time, kind="stable")
    channel = np.r_[detector.events.channel, rng.choice(detector.events.channel, n_more)]
    events = replace(detector.events, time=time[order] * u.s, channel=channel[order])
    # Four pixels with a hundred times the rate of the others.
    noisy = np.array([[3, 7], [40, 41], [70, 12], [77, 77]])[rng.integers(0, 4, n_more)]
    pixel = np.r_[detector.pixel, noisy][order]

    found = locate(replace(data, detectors=(replace(detector, events=events, pixel=pixel),)), "ECL")

    assert found.status == "located"
    assert found.position.coordinates.separation(where.source) < 2 * found.position.r90
    clean = locate(data, "ECL")
    assert float(found.position.snr / clean.position.snr) == pytest.approx(1, abs=0.05)


def test_grm_finds_the_same_burst_within_its_larger_radius(near_axis):
    where, data = near_axis
    found = locate(data, "GRM")
    assert found.status == "located"
    assert found.position.method == "rate ratio"
    assert found.position.coordinates.separation(where.source) < 1.5 * found.position.r90
    assert 0 < found.position.area_50.value < found.position.area_90.value
    assert found.position.r90_law is None


def test_a_burst_outside_the_field_has_no_position_but_a_reason():
    # At 60 degrees ECLAIRs counts background only.
    data = simulated(two_pulses(flux=0.6), scene(60.0, 30.0))
    nothing = locate(data, "ECL")
    assert nothing.status == "no trigger"
    assert nothing.position is None
    assert nothing.confidence is None
    assert "signal-to-noise" in nothing.reason
    assert locate(data, "GRM").status == "located"


def test_a_rise_of_the_whole_background_triggers_but_is_no_source(near_axis):
    # Twice the events of some seconds, on random pixels: particles, not a burst.
    _, data = near_axis
    (detector,) = data.of_instrument("ECL")
    rng = np.random.default_rng(4)
    time = detector.events.time.to_value(u.s)
    quiet = time < -20
    early = time[quiet]
    n_more = int((early > -28).sum()) // 4
    more = np.sort(rng.uniform(-28, -20, n_more))
    order = np.argsort(np.r_[early, more], kind="stable")
    channel = np.r_[detector.events.channel[quiet], rng.choice(detector.events.channel, n_more)]
    events = replace(
        detector.events,
        time=np.r_[early, more][order] * u.s,
        channel=channel[order],
        good_intervals=[[-70, -20]] * u.s,
    )
    pixel = np.r_[detector.pixel[quiet], rng.integers(0, 80, (n_more, 2))][order]
    flood = replace(data, detectors=(replace(detector, events=events, pixel=pixel),))

    found = locate(flood, "ECL")

    assert found.trigger is not None
    assert found.status == "not located"
    assert "no source in the sky image" in found.reason
    assert found.position is None


def test_no_attitude_is_no_position(near_axis):
    _, data = near_axis
    blind = replace(data, attitude=None)
    for instrument in ("ECL", "GRM"):
        found = locate(blind, instrument)
        assert found.status == "not located"
        assert "attitude" in found.reason
        assert found.trigger is not None


def test_a_detector_without_pixels_is_no_image(near_axis):
    _, data = near_axis
    flat = tuple(replace(one, pixel=None) for one in data.detectors)
    assert "no pixels" in locate(replace(data, detectors=flat), "ECL").reason


def test_too_few_detectors_are_no_position(near_axis):
    _, data = near_axis
    two = replace(data, detectors=data.of_instrument("GRM")[:2])
    found = locate(two, "GRM")
    assert found.status == "not located"
    assert "GRD1, GRD2" in found.reason
    with pytest.raises(ValueError, match="no detector of ECL"):
        locate(two, "ECL")


def test_a_real_gbm_burst_of_two_detectors_triggers_but_has_no_position(test_data):
    folder = test_data / "grb" / "gbm_bn080916009"
    paths = [folder / f"glg_tte_{name}_bn080916009_v01.fit.gz" for name in ("n3", "b0")]
    data = replace(import_gbm(paths, burst_id="bn080916009"), attitude=np.array([0, 0, 0, 1.0]))

    found = locate(data, "GRM")

    # B0 has no channel below 100 keV: it counts for the trigger only.
    assert -1 < found.trigger.stop.to_value(u.s) < 3
    assert found.confidence.level == 3
    assert found.status == "not located"
    assert "at least three detectors" in found.reason


def test_bands_without_a_channel_are_refused(near_axis):
    _, data = near_axis
    far = replace(GRM_TRIGGER, bands=[[9e3, 1e4]] * u.keV)
    with pytest.raises(ValueError, match="channel in the bands"):
        locate(data, "GRM", settings=OtlocSettings(trigger=far))


def test_a_faint_burst_is_no_trigger():
    data = simulated(box(0.01, 0.0, 1.0), scene(5.0, 30.0))
    assert locate(data, "GRM").status == "no trigger"
