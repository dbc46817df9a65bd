"""What a photon leaves in a crystal: photopeak, escape peak and Compton continuum, parametric."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from .cross_sections import (
    Material,
    klein_nishina_cm2,
    klein_nishina_per_sr_cm2,
    scattered_kev,
)
from .lightcurve import FloatArray

_N_ANGLE = 48
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class Crystal:
    """A slab of a detecting material.

    Attributes
    ----------
    material : Material
    thickness_cm : float
    edges_kev, fluorescence_kev, escape_yield : tuple of float
        K edges, mean energies of the K photons they give, and the chance that an absorption above
        the edge gives one (K fraction times fluorescence yield).
    fwhm_at_60, fwhm_floor : float
        Full width at half maximum over energy at 60 keV, and the part of it that does not fall
        with energy: ``fwhm(E)^2 = floor^2 + (at_60^2 - floor^2) 60 keV / E``.
    fwhm_noise_kev : float
        Electronic noise, added in quadrature.
    """

    material: Material
    thickness_cm: float
    edges_kev: tuple[float, ...]
    fluorescence_kev: tuple[float, ...]
    escape_yield: tuple[float, ...]
    fwhm_at_60: float
    fwhm_floor: float = 0.0
    fwhm_noise_kev: float = 0.0

    def sigma_kev(self, energy_kev: FloatArray) -> FloatArray:
        """Standard deviation of the measured energy [keV]."""
        statistical = (self.fwhm_at_60**2 - self.fwhm_floor**2) * 60.0 / energy_kev
        wide2 = (self.fwhm_floor**2 + statistical) * energy_kev**2 + self.fwhm_noise_kev**2
        return np.asarray(np.sqrt(wide2) / _FWHM, float)

    def interaction(self, energy_kev: FloatArray, cosine: float = 1.0) -> FloatArray:
        """Chance of an interaction along a straight path, at an angle to the crystal's normal."""
        path = self.thickness_cm / cosine
        return np.asarray(-np.expm1(-self.material.total_cm(energy_kev) * path), float)

    def escape(self, energy_kev: FloatArray, cosine: float = 1.0) -> list[FloatArray]:
        """Chance, for each edge, that an absorbed photon's K photon leaves by the front.

        A half-space lit by parallel light (Axel 1953, BNL 271):
        ``y / 2 [1 - a ln(1 + 1 / a)]`` with a the ratio of the coefficients of K photon and
        incident light, the latter divided by the cosine.
        """
        incident = self.material.total_cm(energy_kev) / cosine
        chances = []
        for edge, line, share in zip(
            self.edges_kev, self.fluorescence_kev, self.escape_yield, strict=True
        ):
            ratio = self.material.total_cm(np.array(line)) / incident
            chance = 0.5 * share * (1.0 - ratio * np.log1p(1.0 / ratio))
            chances.append(np.where(energy_kev > edge, chance, 0.0))
        return chances


def redistribute(
    crystal: Crystal, energy_kev: FloatArray, channel_edges_kev: FloatArray, *, cosine: float = 1.0
) -> FloatArray:
    """Chance that a photon that meets the crystal is measured in each channel.

    Absorption gives the full energy or, with the K photon lost, the escape peak. After Compton
    scattering the photon leaves, with the recoil measured, or is absorbed, with the full energy:
    the chance of the latter is that of a path as long as the crystal is thick. All are blurred by
    the energy resolution.

    Parameters
    ----------
    crystal : Crystal
    energy_kev : ndarray of float, shape (n_energy,)
    channel_edges_kev : ndarray of float, shape (n_channel + 1,)
    cosine : float
        Of the angle of incidence, > 0.

    Returns
    -------
    ndarray of float, shape (n_energy, n_channel)
        Rows sum to at most the chance of an interaction: what is measured beyond the outermost
        channels is lost.
    """
    energy = np.asarray(energy_kev, float)
    edges = np.asarray(channel_edges_kev, float)
    material = crystal.material
    hit = crystal.interaction(energy, cosine)
    absorbed = hit * material.photoelectric_cm(energy) / material.total_cm(energy)
    full = absorbed.copy()
    out = np.zeros((energy.size, edges.size - 1))
    escapes = crystal.escape(energy, cosine)
    for line, chance in zip(crystal.fluorescence_kev, escapes, strict=True):
        left = np.where(chance > 0, energy - line, 1.0)
        out += _blurred(crystal, left, edges) * (absorbed * chance)[:, None]
        full -= absorbed * chance
    # Recoil by the cosine of the angle scattered by: Gauss-Legendre nodes.
    nodes, weights = np.polynomial.legendre.leggauss(_N_ANGLE)
    after = scattered_kev(energy[:, None], nodes[None, :])
    part = 2 * np.pi * klein_nishina_per_sr_cm2(energy[:, None], nodes[None, :]) * weights
    part *= ((hit - absorbed) / klein_nishina_cm2(energy))[:, None]
    kept = -np.expm1(-material.total_cm(after) * crystal.thickness_cm)
    full += (part * kept).sum(axis=1)
    recoil = np.maximum(energy[:, None] - after, 1e-3)
    for one in range(_N_ANGLE):
        lost = part[:, one] * (1.0 - kept[:, one])
        out += _blurred(crystal, recoil[:, one], edges) * lost[:, None]
    return np.asarray(out + _blurred(crystal, energy, edges) * full[:, None], float)


def _blurred(crystal: Crystal, deposit_kev: FloatArray, edges_kev: FloatArray) -> FloatArray:
    scaled = (edges_kev[None, :] - deposit_kev[:, None]) / (
        np.sqrt(2.0) * crystal.sigma_kev(deposit_kev)[:, None]
    )
    return np.asarray(0.5 * np.diff(erf(scaled), axis=1), float)
