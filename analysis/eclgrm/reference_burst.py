"""Bursts to simulate: how bright and how hard at each instant, without noise."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike

from .blocks import bayesian_blocks, find_burst
from .flux import band_flux
from .lightcurve import FloatArray, IntArray, LightCurve, good_bins, select_band, select_bins
from .spectral_models import SpectralModel

FLUX_BAND = (50 * u.keV, 300 * u.keV)
"""Band of the photon flux that a profile gives: that of the BATSE catalogue's peak fluxes."""

N_HARDNESS = 24
"""Spectra of different hardness that stand for a burst whose hardness changes."""


@dataclass(frozen=True, eq=False)
class Profile:
    """A light curve without noise, constant within each bin and 0 outside them.

    Attributes
    ----------
    edges_s : ndarray of float, shape (n_bin + 1,)
        Increasing, relative to the trigger.
    flux : ndarray of float, shape (n_bin,)
        Photon flux in `FLUX_BAND` [1 / (cm2 s)], >= 0, not 0 everywhere.

    Raises
    ------
    ValueError
        Shapes or values are not so.
    """

    edges_s: FloatArray
    flux: FloatArray

    def __post_init__(self) -> None:
        if self.flux.ndim != 1 or self.edges_s.shape != (self.flux.size + 1,):
            raise ValueError(f"{self.edges_s.shape} edges for {self.flux.shape} bins of a profile")
        if not (np.diff(self.edges_s) > 0).all():
            raise ValueError("the edges of a profile must increase")
        if not np.isfinite(self.flux).all() or (self.flux < 0).any() or not self.flux.any():
            raise ValueError("the flux of a profile must be finite, >= 0 and somewhere > 0")

    @property
    def photons(self) -> FloatArray:
        """Photons of each bin in the band [1 / cm2]."""
        return self.flux * np.diff(self.edges_s)


@dataclass(frozen=True, eq=False)
class ReferenceBurst:
    """A burst as the sky sends it.

    Attributes
    ----------
    name : str
    profile : Profile
    model : SpectralModel
    values : ndarray of float, shape (n_parameters,)
        Spectrum at the brightest moment; the amplitude is not used, the profile gives it.
    hardness : float
        h of ``E_peak = E_peak,max (F / F_max)^h`` (hardness-intensity correlation, Golenetskii et
        al. 1983, Nature 306, 451); 0: the spectrum is the same at all times.
    origin : str
        What the burst is made from, and that it is parametric where it is.
    """

    name: str
    profile: Profile
    model: SpectralModel
    values: FloatArray
    hardness: float = 0.0
    origin: str = field(default="", repr=False)

    def spectra(self) -> tuple[IntArray, FloatArray]:
        """Spectrum of each bin of the profile.

        Returns
        -------
        which : ndarray of int, shape (n_bin,)
            Row of `values` for each bin.
        values : ndarray of float, shape (n_spectra, n_parameters)
            Parameters of spectra of photon flux 1 / (cm2 s) in `FLUX_BAND`.
        """
        level = self.profile.flux / self.profile.flux.max()
        if self.hardness == 0 or "e_peak" not in self.model.parameters:
            which, peaks = np.zeros(level.size, np.int64), np.ones(1)
        else:
            # Below a hundredth of the maximum the spectrum no longer softens.
            log = self.hardness * np.log(np.maximum(level, 0.01))
            steps = np.linspace(log.min(), log.max() + 1e-12, N_HARDNESS)
            which = np.abs(log[:, None] - steps[None, :]).argmin(axis=1)
            peaks = np.exp(steps)
        rows = np.tile(np.asarray(self.values, float), (peaks.size, 1))
        rows[:, 0] = 1.0
        if "e_peak" in self.model.parameters:
            rows[:, self.model.parameters.index("e_peak")] *= peaks
        flux = band_flux(self.model, rows, *FLUX_BAND, kind="photon")
        rows[:, 0] = 1.0 / flux.to_value(1 / (u.cm**2 * u.s))
        return which, rows

    def photons(self, low: Quantity, high: Quantity) -> FloatArray:
        """Photons of each bin in a band [1 / cm2], shape (n_bin,)."""
        which, rows = self.spectra()
        flux = band_flux(self.model, rows, low, high, kind="photon")
        return np.asarray(flux.value[which] * self.profile.photons, float)

    def fluence(self, low: Quantity, high: Quantity) -> Quantity:
        """Energy in a band [erg / cm2]."""
        which, rows = self.spectra()
        flux = band_flux(self.model, rows, low, high)
        return float(flux.value[which] @ self.profile.photons) * u.erg / u.cm**2


@dataclass(frozen=True)
class Timing:
    """Durations and their beginnings, without noise [s]."""

    t90_s: float
    t90_start_s: float
    t50_s: float
    t50_start_s: float


def timing(edges_s: FloatArray, photons: FloatArray) -> Timing:
    """Durations of a light curve without noise or background.

    Parameters
    ----------
    edges_s : ndarray of float, shape (n_bin + 1,)
    photons : ndarray of float, shape (n_bin,)
        Photons or counts of each bin, spread evenly over it.
    """
    grown = np.r_[0.0, np.cumsum(photons)]
    times = np.interp(np.array([0.05, 0.25, 0.75, 0.95]) * grown[-1], grown, edges_s)
    return Timing(
        t90_s=float(times[3] - times[0]),
        t90_start_s=float(times[0]),
        t50_s=float(times[2] - times[1]),
        t50_start_s=float(times[1]),
    )


def peak_flux(edges_s: FloatArray, photons: FloatArray, width_s: float) -> tuple[float, float]:
    """Largest mean over a window of some width, and when that window ends [s].

    The window moves by the edges of the bins, with its end and with its beginning on one.
    """
    grown = np.r_[0.0, np.cumsum(photons)]
    ends = np.unique(np.r_[edges_s, edges_s + width_s])
    inside = np.interp(ends, edges_s, grown) - np.interp(ends - width_s, edges_s, grown)
    best = int(np.argmax(inside))
    return float(inside[best] / width_s), float(ends[best])


def pulses_profile(
    pulses: Sequence[Sequence[float]], edges_s: ArrayLike, *, peakedness: float = 1.0
) -> Profile:
    """Sum pulses of fast rise and slow decay.

    ``A exp(-(|t - t_max| / sigma)^nu)`` with sigma the rise before and the decay after the
    maximum (Norris et al. 1996, ApJ 459, 393, eq. 1).

    Parameters
    ----------
    pulses : sequence of (amplitude, time, rise, decay)
        Photon flux in `FLUX_BAND` at the maximum [1 / (cm2 s)]; when it is, and the times [s].
    edges_s : array of float, shape (n_bin + 1,)
        The bins; the flux is that of the middle of each.
    peakedness : float
        nu, of all pulses.
    """
    edges = np.asarray(edges_s, float)
    middle = 0.5 * (edges[:-1] + edges[1:])
    flux = np.zeros(middle.size)
    for amplitude, at, rise, decay in pulses:
        scale = np.where(middle < at, rise, decay)
        flux += amplitude * np.exp(-((np.abs(middle - at) / scale) ** peakedness))
    return Profile(edges, flux)


def observed_profile(
    curve: LightCurve,
    peak: Quantity,
    *,
    band: tuple[Quantity, Quantity] = FLUX_BAND,
    false_alarm: float = 1e-3,
) -> Profile:
    """Take the noise off an observed burst: its Bayesian blocks above the background.

    Only blocks of the burst interval count; a block below the background is 0. Structure too short
    or too faint for a block is lost.

    Parameters
    ----------
    curve : LightCurve
        As observed, background included, as of `io.read_batse_64ms`.
    peak : Quantity [1 / (cm2 s)]
        Photon flux in `FLUX_BAND` of the brightest 1.024 s: the profile is scaled to it.
    band : (Quantity, Quantity) [keV]
        Channels that make the profile.
    false_alarm : float
        Of `bayesian_blocks`.

    Raises
    ------
    ValueError
        There is no burst in the curve.
    """
    seen = good_bins(select_band(curve, *band))
    burst = find_burst(seen)
    if burst is None:
        raise ValueError(f"no burst above the background between {band[0]} and {band[1]}")
    start, stop = seen.edges_s()
    low, high = burst.start.to_value(u.s), burst.stop.to_value(u.s)
    inside = select_bins(seen, (start >= low) & (stop <= high))
    expected = burst.background.expected(inside)
    split = bayesian_blocks(inside.total, expected, false_alarm=false_alarm)
    start, stop = inside.edges_s()
    net = np.add.reduceat(inside.total - expected, split[:-1])
    lived = np.add.reduceat(inside.exposure_s(), split[:-1])
    rate = np.repeat(np.maximum(net / lived, 0.0), np.diff(split))
    # A gap in the data is a gap in the profile, of flux 0.
    edges, flux = [start[0]], []
    for begin, end, value in zip(start, stop, rate, strict=True):
        if begin > edges[-1] + 1e-6:
            edges.append(begin)
            flux.append(0.0)
        edges.append(end)
        flux.append(value)
    steps, level = np.array(edges), np.array(flux)
    brightest, _ = peak_flux(steps, level * np.diff(steps), 1.024)
    return Profile(steps, level * peak.to_value(1 / (u.cm**2 * u.s)) / brightest)
