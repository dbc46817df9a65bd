"""The static simulator: a reference burst as ECLAIRs and GRM would count it, photon by photon.

Static: the spacecraft does not move during the burst, nor do Earth and background sources. Counts
are Poisson draws of what the parametric responses predict. Left out: dead time and pile-up, so
very bright bursts are brighter than any detector would have them; occultation of the background by
the Earth, other sources in the field, trapped particles; shadows of one detector on another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from astropy.units import Quantity

from .attitude import to_instrument, to_tangent
from .burst import INSTRUMENTS, BurstData, DetectorEvents, Instrument
from .eclairs import CodedMask, coded_fraction, shadowgram, stand_in_mask
from .eclairs_response import ECL_CHANNEL_EDGES_KEV, eclairs_response
from .grm_response import GRD_NAMES, GRM_CHANNEL_EDGES_KEV, grm_response
from .io import EventList
from .lightcurve import FloatArray, IntArray
from .reference_burst import ReferenceBurst, peak_flux, timing
from .response import Response
from .sky_background import InternalBackground, eclairs_background, grd_background
from .spectral_models import bin_integrator


@dataclass(frozen=True, eq=False)
class Scene:
    """Where everything is, and when.

    Attributes
    ----------
    attitude : ndarray of float, shape (4,)
        Of the spacecraft (`attitude.pointing`).
    source : SkyCoord
        The burst.
    trigger : Time
        Time zero of the reference burst.
    earth : SkyCoord or None
        Direction of the Earth's centre; None: no light scattered by it.
    """

    attitude: FloatArray
    source: SkyCoord
    trigger: Time
    earth: SkyCoord | None = None


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of `simulate`.

    Attributes
    ----------
    start, stop : Quantity [time]
        What is recorded, relative to the trigger.
    internal : InternalBackground
    slope, curvature : float
        The background changes as ``1 + slope x + curvature x^2``, x the time in 100 s.
    """

    start: Quantity = -150 * u.s
    stop: Quantity = 200 * u.s
    internal: InternalBackground = field(default_factory=InternalBackground)
    slope: float = 0.03
    curvature: float = 0.01

    def __post_init__(self) -> None:
        low, high = (float(value.to_value(u.s)) for value in (self.start, self.stop))
        if not high > low:
            raise ValueError(f"the simulation runs from {self.start} to {self.stop}")
        if not self.drift(np.linspace(low, high, 1001)).min() > 0:
            raise ValueError(
                f"slope {self.slope} and curvature {self.curvature} make a negative background "
                f"between {self.start} and {self.stop}"
            )

    def drift(self, time_s: FloatArray) -> FloatArray:
        """Background relative to that at the trigger."""
        scaled = time_s / 100.0
        return np.asarray(1.0 + self.slope * scaled + self.curvature * scaled**2, float)


def responses(scene: Scene, *, mask: CodedMask | None = None) -> dict[str, Response]:
    """Parametric responses of the detectors that see the source, by name."""
    towards = to_instrument(scene.source, scene.attitude)
    earth = None if scene.earth is None else to_instrument(scene.earth, scene.attitude)
    coded = mask or stand_in_mask()
    found = {}
    if towards[0] > 0 and coded_fraction(coded, to_tangent(towards)) > 0:
        found["ECL"] = eclairs_response(towards, coded)
    for name in GRD_NAMES:
        found[name] = grm_response(name, towards, earth=earth)
    return found


def simulate(
    burst: ReferenceBurst,
    scene: Scene,
    *,
    rng: np.random.Generator,
    burst_id: str = "simulated",
    obs_id: str = "",
    settings: SimulationSettings | None = None,
    mask: CodedMask | None = None,
) -> BurstData:
    """Draw the photons that ECLAIRs and GRM count of a burst and of the background.

    Parameters
    ----------
    burst : ReferenceBurst
    scene : Scene
    rng : numpy.random.Generator
        The same state gives the same photons.
    burst_id, obs_id : str
        For the products.
    settings : SimulationSettings, optional
    mask : CodedMask, optional
        By default the stand-in.

    Returns
    -------
    BurstData
        Detectors ECL, GRD1, GRD2 and GRD3; `truth` tells what was put in (docs).

    Raises
    ------
    ValueError
        The Earth hides the source.
    """
    chosen, coded = settings or SimulationSettings(), mask or stand_in_mask()
    matrices = responses(scene, mask=coded)
    tangent = to_tangent(to_instrument(scene.source, scene.attitude))
    lit = shadowgram(coded, tangent) if "ECL" in matrices else None
    detectors = [_eclairs(burst, scene, coded, chosen, rng, response=matrices.get("ECL"), lit=lit)]
    rates = grd_background(chosen.internal)
    for name in GRD_NAMES:
        draw = _source(burst, matrices[name], chosen, rng)
        noise = _background(rates, chosen, rng)
        detectors.append(
            _detector(name, scene, chosen, [draw, noise], edges_kev=GRM_CHANNEL_EDGES_KEV)
        )
    coding = float(coded_fraction(coded, tangent)) if lit is not None else 0.0
    return BurstData(
        burst_id=burst_id,
        obs_id=obs_id,
        telescope="SVOM",
        detectors=tuple(detectors),
        attitude=scene.attitude,
        earth=scene.earth,
        source=scene.source,
        truth=_truth(burst, scene, matrices, coding),
    )


def expected_rates(burst: ReferenceBurst, response: Response) -> tuple[IntArray, FloatArray]:
    """Counts per photon of the profile.

    Returns
    -------
    which : ndarray of int, shape (n_bin,)
        Row of `rates` for each bin of the profile.
    rates : ndarray of float, shape (n_spectra, n_channel)
        Counts in each channel per photon per cm2 in `reference_burst.FLUX_BAND`.
    """
    which, rows = burst.spectra()
    integrator = bin_integrator(response.energy_true_edges_kev * u.keV)
    photons = np.array([integrator.photons(burst.model, row) for row in rows])
    return which, np.asarray(photons @ response.matrix_cm2, float)


Draw = tuple[FloatArray, IntArray]
"""Times [s] and channels of events."""


def _choose(weights: FloatArray, number: int, rng: np.random.Generator) -> IntArray:
    """Draw indices with chances that go as the weights."""
    grown = np.cumsum(weights)
    return np.asarray(np.searchsorted(grown, rng.random(number) * grown[-1], "right"), np.int64)


def _source(
    burst: ReferenceBurst,
    response: Response,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> Draw:
    """Draw the photons of the burst: a time from the profile, a channel from its spectrum then."""
    which, rates = expected_rates(burst, response)
    edges = burst.profile.edges_s
    expected = burst.profile.photons * rates.sum(axis=1)[which]
    number = rng.poisson(expected.sum())
    at = np.sort(_choose(expected, number, rng))
    time = edges[at] + rng.random(number) * np.diff(edges)[at]
    channel = np.zeros(number, np.int64)
    for spectrum in np.unique(which):
        mine = np.flatnonzero(which[at] == spectrum)
        channel[mine] = _choose(rates[spectrum], mine.size, rng)
    low, high = settings.start.to_value(u.s), settings.stop.to_value(u.s)
    kept = (time >= low) & (time < high)
    return time[kept], channel[kept]


def _background(rates: FloatArray, settings: SimulationSettings, rng: np.random.Generator) -> Draw:
    """Draw the photons of the background: thinned from those of its highest rate."""
    low, high = float(settings.start.to_value(u.s)), float(settings.stop.to_value(u.s))
    most = 1.001 * float(settings.drift(np.linspace(low, high, 1001)).max())
    time = rng.uniform(low, high, rng.poisson(most * rates.sum() * (high - low)))
    time = time[rng.random(time.size) * most < settings.drift(time)]
    return time, _choose(rates, time.size, rng)


def _eclairs(
    burst: ReferenceBurst,
    scene: Scene,
    mask: CodedMask,
    settings: SimulationSettings,
    rng: np.random.Generator,
    *,
    response: Response | None,
    lit: FloatArray | None,
) -> DetectorEvents:
    sky, own, share = eclairs_background(mask, settings.internal)
    draws = [_background(sky, settings, rng), _background(own, settings, rng)]
    maps = [share, np.ones_like(share)]
    if response is not None and lit is not None:
        draws.append(_source(burst, response, settings, rng))
        maps.append(lit)
    pixels = [
        _choose(one.ravel(), draw[0].size, rng) for one, draw in zip(maps, draws, strict=True)
    ]
    return _detector(
        "ECL",
        scene,
        settings,
        draws,
        edges_kev=ECL_CHANNEL_EDGES_KEV,
        pixel=np.stack(np.divmod(np.concatenate(pixels), mask.n_pixel), axis=1),
    )


def _detector(
    name: str,
    scene: Scene,
    settings: SimulationSettings,
    draws: list[Draw],
    *,
    edges_kev: FloatArray,
    pixel: IntArray | None = None,
) -> DetectorEvents:
    time = np.concatenate([draw[0] for draw in draws])
    order = np.argsort(time, kind="stable")
    span = [settings.start.to_value(u.s), settings.stop.to_value(u.s)]
    return DetectorEvents(
        name=name,
        instrument="ECL" if name == "ECL" else "GRM",
        events=EventList(
            time=Quantity(time[order], u.s),
            channel=np.concatenate([draw[1] for draw in draws])[order],
            energy=Quantity(np.stack([edges_kev[:-1], edges_kev[1:]], axis=1), u.keV),
            good_intervals=Quantity([span], u.s),
            reference=scene.trigger,
        ),
        pixel=None if pixel is None else pixel[order],
    )


def _truth(
    burst: ReferenceBurst, scene: Scene, matrices: Mapping[str, Response], coding: float
) -> dict[str, Any]:
    """What a measurement should find; times in s relative to the trigger, energies in keV.

    Counts and timing are those of all channels of an instrument, its detectors together.
    """
    edges = burst.profile.edges_s
    peaks = {
        f"peak_flux_{width}": peak_flux(edges, burst.profile.photons, width / 1000.0)
        for width in (64, 256, 1024)
    }
    truth: dict[str, Any] = {
        "name": burst.name,
        "origin": burst.origin,
        "ra": float(scene.source.icrs.ra.deg),
        "dec": float(scene.source.icrs.dec.deg),
        "coded_fraction": coding,
        "model": burst.model.name,
        "hardness": burst.hardness,
        "fluence_10_1000": float(burst.fluence(10 * u.keV, 1000 * u.keV).value),
    }
    for name, value in list(zip(burst.model.parameters, burst.values, strict=True))[1:]:
        truth[name] = float(value)
    for name, (flux, end) in peaks.items():
        truth[name], truth[f"{name}_stop"] = flux, end
    counts = dict.fromkeys(INSTRUMENTS, np.zeros(burst.profile.flux.size))
    for name, response in matrices.items():
        which, rates = expected_rates(burst, response)
        instrument: Instrument = "ECL" if name == "ECL" else "GRM"
        counts[instrument] = counts[instrument] + burst.profile.photons * rates.sum(axis=1)[which]
    for instrument, expected in counts.items():
        truth[f"counts_{instrument}"] = float(expected.sum())
        if expected.any():
            truth[f"timing_{instrument}"] = vars(timing(edges, expected))
    return truth
