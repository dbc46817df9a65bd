"""The closed loop: simulate a burst, measure it as the pipeline does, keep both."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.time import Time

from analysis.eclgrm.attitude import direction, pointing, to_sky
from analysis.eclgrm.blocks import Burst
from analysis.eclgrm.burst import BurstData, light_curve
from analysis.eclgrm.duration import measure_burst
from analysis.eclgrm.eclairs import stand_in_mask
from analysis.eclgrm.extraction import extract_spectrum
from analysis.eclgrm.fitting import FitError, FitResult, fit
from analysis.eclgrm.flux import band_flux, fitted_fluence
from analysis.eclgrm.grb980329 import grb980329
from analysis.eclgrm.imaging import decode, find_peaks
from analysis.eclgrm.lightcurve import LightCurve, select_band
from analysis.eclgrm.peak import measure_peak
from analysis.eclgrm.reference_burst import FLUX_BAND, Profile, ReferenceBurst
from analysis.eclgrm.response import Response
from analysis.eclgrm.simulator import Scene, SimulationSettings, responses, simulate
from analysis.eclgrm.source_fit import fit_source, sky_position
from analysis.eclgrm.spectral_models import BAND, bin_integrator
from analysis.eclgrm.spectrum import Observation, observe

WIDTHS_MS = (64, 256, 1024)
SEARCH_KEV = {"ECL": (8.0, 50.0), "GRM": (50.0, 300.0)}
COUNT_KEV = {"ECL": (4.0, 120.0), "GRM": (15.0, 1000.0)}
FIT_KEV = {"ECL": (5.0, 120.0), "GRM": (20.0, 4000.0)}
SPECTRUM_BIN_S = 0.512
SETTINGS = SimulationSettings()


@dataclass(frozen=True)
class Measured:
    """One quantity of one simulated burst: what was put in, what came out, and its error."""

    truth: float
    value: float
    error: float

    @property
    def pull(self) -> float:
        """Deviation in errors."""
        return (self.value - self.truth) / self.error


@dataclass(frozen=True)
class Case:
    """A burst somewhere in the field of view."""

    name: str
    burst: ReferenceBurst
    off_axis_deg: float
    azimuth_deg: float = 35.0

    def scene(self) -> Scene:
        """SVOM, the Earth behind it."""
        attitude = pointing(100 * u.deg, 30 * u.deg, 10 * u.deg)
        return Scene(
            attitude,
            to_sky(direction(self.off_axis_deg * u.deg, self.azimuth_deg * u.deg), attitude),
            Time("2026-03-02T00:00:00"),
            earth=to_sky(direction(150 * u.deg, 0 * u.deg), attitude),
        )


def fainter(burst: ReferenceBurst, factor: float) -> ReferenceBurst:
    """The same burst at another brightness."""
    profile = Profile(burst.profile.edges_s, burst.profile.flux * factor)
    return replace(burst, profile=profile)


def cases() -> tuple[Case, ...]:
    """Bright and medium in the fully coded field, faint in the partially coded field."""
    return (
        Case("GRB 980329", grb980329(), 6.0),
        Case("GRB 980329 x 0.3", fainter(grb980329(), 0.3), 6.0),
        Case("GRB 980329 x 0.1", fainter(grb980329(), 0.1), 20.0),
    )


def run(case: Case, seed: int) -> dict[str, Measured]:
    """Simulate and measure one burst; the measurement sees nothing of the truth."""
    scene = case.scene()
    data = simulate(case.burst, scene, rng=np.random.default_rng(seed), settings=SETTINGS)
    rng = np.random.default_rng([seed, 1])
    found: dict[str, Measured] = {}
    bursts = {}
    for instrument in data.instruments:
        curve = curve_of(data, instrument)
        band = tuple(SEARCH_KEV[instrument] * u.keV)
        bursts[instrument], spans = measure_burst(curve, rng=rng, band=band)
        truth = data.truth[f"timing_{instrument}"]
        for name in ("t90", "t50"):
            found[f"{name}_{instrument}"] = Measured(
                truth[f"{name}_s"],
                float(getattr(spans, name).value),
                float(getattr(spans, f"{name}_error").value),
            )
    matrices = responses(scene)
    spectrum = fit(list(observations(data, matrices, bursts["GRM"])), BAND, minos=True)
    found |= spectral(case, spectrum, bursts["GRM"], rng)
    found |= peaks(data, matrices, spectrum, bursts["GRM"], rng)
    found |= position(data, scene, bursts["ECL"])
    return found


def curve_of(data: BurstData, instrument: str) -> LightCurve:
    """Light curve of one instrument in 64 ms, its detectors together."""
    curve = light_curve(data.of_instrument(instrument), 0.064 * u.s)
    return select_band(curve, *(COUNT_KEV[instrument] * u.keV))


def interval(burst: Burst) -> u.Quantity:
    """What the spectrum is taken from: the burst interval and a second more at both ends."""
    return u.Quantity([burst.start - 1 * u.s, burst.stop + 1 * u.s])


def observations(
    data: BurstData, matrices: dict[str, Response], burst: Burst
) -> Iterator[Observation]:
    """Spectra of all detectors over the burst."""
    on = interval(burst)
    low, high = on.to_value(u.s)
    off = [[low - 100, low - 10], [high + 15, high + 110]] * u.s
    for one in data.detectors:
        curve = light_curve([one], SPECTRUM_BIN_S * u.s)
        source, background = extract_spectrum(
            curve, source=on, background=off, order=2, name=one.name
        )
        yield observe(
            source,
            background,
            matrices[one.name],
            energy_ranges=[tuple(FIT_KEV[one.instrument] * u.keV)],
        )


def spectral(
    case: Case, result: FitResult, burst: Burst, rng: np.random.Generator
) -> dict[str, Measured]:
    """Parameters of the spectrum, and the fluence of the interval."""
    found = {}
    for name, value, truth in zip(BAND.parameters, result.values, case.burst.values, strict=True):
        if name == "amplitude":
            continue
        if not result.is_valid:
            raise FitError(f"the fit of the {result.model.name} has no valid minimum")
        lower, upper = result.minos[name]
        # The side of the interval that the truth lies on.
        found[name] = Measured(float(truth), float(value), upper if truth > value else -lower)
    # Bins that lie wholly inside.
    low, high = interval(burst).to_value(u.s) / SPECTRUM_BIN_S
    low, high = np.ceil(low) * SPECTRUM_BIN_S, np.floor(high) * SPECTRUM_BIN_S
    flux = fitted_fluence(result, 10 * u.keV, 1000 * u.keV, (high - low) * u.s, rng=rng)
    edges = case.burst.profile.edges_s
    grown = np.r_[0.0, np.cumsum(case.burst.profile.photons)]
    part = np.diff(np.interp([low, high], edges, grown))[0] / grown[-1]
    whole = case.burst.fluence(10 * u.keV, 1000 * u.keV)
    error = 0.5 * (flux.upper - flux.lower)
    found["fluence"] = Measured(
        float(whole.value * part), float(flux.value.value), float(error.value)
    )
    return found


def counts_per_photon(result: FitResult, matrices: dict[str, Response]) -> float:
    """Counts of GRM between 50 and 300 keV per photon per cm2 of the fitted spectrum there."""
    flux = band_flux(result.model, result.values, *FLUX_BAND, kind="photon").value
    counts = 0.0
    for name, response in matrices.items():
        if name == "ECL":
            continue
        integrator = bin_integrator(response.energy_true_edges_kev * u.keV)
        folded = integrator.photons(result.model, result.values) @ response.matrix_cm2
        middle = 0.5 * (response.channel_low_kev + response.channel_high_kev)
        counts += folded[(middle >= 50) & (middle < 300)].sum()
    return float(counts / flux)


def peaks(
    data: BurstData,
    matrices: dict[str, Response],
    result: FitResult,
    burst: Burst,
    rng: np.random.Generator,
) -> dict[str, Measured]:
    """Peak photon fluxes from 50 to 300 keV."""
    curve = light_curve(data.of_instrument("GRM"), 0.064 * u.s)
    band = select_band(curve, *FLUX_BAND)
    factor = counts_per_photon(result, matrices)
    found = {}
    for width in WIDTHS_MS:
        peak = measure_peak(
            band,
            width * u.ms,
            background=burst.background.expected(band),
            start=burst.start,
            stop=burst.stop,
            rng=rng,
        )
        rate = peak.rate.to_value(1 / u.s) / factor
        found[f"peak_flux_{width}"] = Measured(
            data.truth[f"peak_flux_{width}"], rate, rate * peak.net_error / peak.net
        )
    return found


def position(data: BurstData, scene: Scene, burst: Burst) -> dict[str, Measured]:
    """Offset of the position from the source, with the radius that should hold 90 %."""
    events = data.detector("ECL").events
    pixel = data.detector("ECL").pixel
    time = events.time.to_value(u.s)
    soft = events.energy[events.channel, 1] <= 80 * u.keV
    low, high = burst.start.to_value(u.s), burst.stop.to_value(u.s)
    on = soft & (time >= low) & (time < high)
    off = soft & (time < low - 10)
    images = np.zeros((2, 80, 80))
    for image, chosen in zip(images, (on, off), strict=True):
        np.add.at(image, tuple(pixel[chosen].T), 1.0)
    ratio = (high - low) / (low - 10 - events.good_intervals[0, 0].to_value(u.s))
    mask = stand_in_mask()
    best = find_peaks(decode(mask, images[0], background=images[1] * ratio))[0]
    fitted = fit_source(mask, images[0], best.tangent)
    place = sky_position(fitted, scene.attitude).coordinates
    offset = place.separation(scene.source).to_value(u.deg)
    return {"position": Measured(0.0, float(offset), float(fitted.r90.to_value(u.deg)))}
