"""Photon cross-sections of the materials of the parametric responses.

Photoelectric: mass coefficients tabulated with xraydb 4.5.8 (Elam, Ravel & Sieber 2002, Radiat.
Phys. Chem. 63, 121), interpolated as power laws, right to 3 % above 5.5 keV, and extrapolated above
800 keV, where it hardly matters. Below 5 keV the L edges of iodine and tellurium fall between two
points; a crystal is opaque there, with or without them. Compton: Klein & Nishina on free electrons,
5 % (300 keV) to 20 % (60 keV) from the tabulated incoherent coefficient of NaI. Coherent
scattering and pair production are left out: above 3 MeV crystals are more opaque than said here.
"""

from dataclasses import dataclass

import numpy as np

from .lightcurve import FloatArray

ELECTRON_KEV = 510.99895
_ELECTRON_RADIUS_CM = 2.8179403e-13
AVOGADRO = 6.02214076e23

# fmt: off
_ENERGY_KEV = (
    3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 26.7, 26.72, 31.8, 31.82,
    33.16, 33.18, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0, 500.0, 800.0)
# fmt: on


@dataclass(frozen=True)
class Material:
    """A material as photons see it.

    Attributes
    ----------
    density : float
        g / cm3; 1 for one that is only ever used by mass.
    electrons : float
        Z / A, electrons per nucleon.
    photoelectric : tuple of float
        Mass coefficient at the energies of the table [cm2 / g].
    """

    density: float
    electrons: float
    photoelectric: tuple[float, ...]

    def photoelectric_cm(self, energy_kev: FloatArray) -> FloatArray:
        """Linear photoelectric coefficient [1 / cm]."""
        known, table = np.log(_ENERGY_KEV), np.log(self.photoelectric)
        wanted = np.log(energy_kev)
        inside = np.interp(wanted, known, table)
        slope = (table[-1] - table[-2]) / (known[-1] - known[-2])
        beyond = np.maximum(wanted - known[-1], 0.0)
        return np.asarray(self.density * np.exp(inside + slope * beyond), float)

    def compton_cm(self, energy_kev: FloatArray) -> FloatArray:
        """Linear Compton coefficient [1 / cm]."""
        per_gram = AVOGADRO * self.electrons * klein_nishina_cm2(energy_kev)
        return np.asarray(self.density * per_gram, float)

    def total_cm(self, energy_kev: FloatArray) -> FloatArray:
        """Sum of the two [1 / cm]."""
        return self.photoelectric_cm(energy_kev) + self.compton_cm(energy_kev)


def klein_nishina_cm2(energy_kev: FloatArray) -> FloatArray:
    """Total Compton cross-section of an electron [cm2] (Klein & Nishina 1929)."""
    k = np.asarray(energy_kev, float) / ELECTRON_KEV
    log = np.log1p(2 * k)
    first = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k)
    total = first + log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return np.asarray(2 * np.pi * _ELECTRON_RADIUS_CM**2 * total, float)


def klein_nishina_per_sr_cm2(energy_kev: FloatArray, cosine: FloatArray) -> FloatArray:
    """Differential Compton cross-section [cm2 / sr] for the cosine of the angle scattered by."""
    ratio = scattered_kev(energy_kev, cosine) / np.asarray(energy_kev, float)
    sine2 = 1.0 - np.asarray(cosine, float) ** 2
    shape = ratio**2 * (ratio + 1.0 / ratio - sine2)
    return np.asarray(0.5 * _ELECTRON_RADIUS_CM**2 * shape, float)


def scattered_kev(energy_kev: FloatArray, cosine: FloatArray) -> FloatArray:
    """Energy of a photon after Compton scattering [keV]."""
    energy = np.asarray(energy_kev, float)
    return np.asarray(energy / (1 + energy / ELECTRON_KEV * (1 - np.asarray(cosine, float))), float)


# fmt: off
NAI = Material(3.67, 64 / 149.894, (
    700.3, 335.1, 529.7, 248.9, 137.5, 45.7, 20.62, 9.164, 9.145, 5.602, 5.592,
    4.976, 29.73, 18.24, 6.111, 2.746, 1.462, 0.4592, 0.2019, 0.0648, 0.01684, 0.005588))
CDTE = Material(5.85, 100 / 240.01, (
    608.5, 717.6, 524.4, 245.9, 135.4, 44.76, 20.14, 8.934, 28.49, 18.03, 34.19,
    30.71, 30.67, 18.75, 6.195, 2.763, 1.463, 0.456, 0.1994, 0.06352, 0.01641, 0.005425))
BERYLLIUM = Material(1.85, 4 / 9.0122, (
    20.9, 8.366, 2.259, 0.8821, 0.4229, 0.1101, 0.04207, 0.01594, 0.0159, 0.008848, 0.008829,
    0.007683, 0.007667, 0.00408, 0.001039, 3.937e-4, 1.859e-4, 4.818e-5, 1.881e-5, 5.234e-6,
    1.194e-6, 3.736e-7))
POLYSTYRENE = Material(1.03, 56 / 104.15, (
    82.72, 34.36, 9.729, 3.913, 1.915, 0.5154, 0.2008, 0.07745, 0.07726, 0.0434, 0.04331,
    0.03776, 0.03768, 0.02023, 0.005232, 0.002002, 9.515e-4, 2.497e-4, 9.813e-5, 2.749e-5,
    6.31e-6, 1.979e-6))
ALUMINIUM = Material(2.70, 13 / 26.982, (
    786.5, 359.1, 114.3, 49.51, 25.56, 7.515, 3.1, 1.259, 1.256, 0.7257, 0.7243,
    0.6357, 0.6345, 0.3504, 0.09564, 0.03783, 0.0184, 0.004993, 0.002002, 5.742e-4, 1.344e-4,
    4.252e-5))
AIR = Material(1.0, 0.4992, (
    161.6, 77.81, 23.11, 9.61, 4.823, 1.353, 0.5424, 0.2147, 0.2141, 0.122, 0.1218,
    0.1066, 0.1064, 0.05796, 0.01543, 0.006018, 0.002898, 7.747e-4, 3.085e-4, 8.774e-5, 2.039e-5,
    6.426e-6))
# fmt: on
