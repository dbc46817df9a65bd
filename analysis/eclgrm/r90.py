"""Error radii and quick confidence levels (OTLOC, QPO and QCL)."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from .lightcurve import FloatArray

SYSTEMATIC_R90 = 0.0333 * u.deg
"""Part of the radius that no photons reduce: 2 arcmin."""
STATISTICAL_R90 = 1.283 * u.deg
"""Part of the radius that falls with the signal-to-noise ratio: 77 arcmin at a ratio of 1."""


def law_r90(snr: ArrayLike) -> Quantity:
    """Radius that the ECLAIRs notices give for a signal-to-noise ratio.

    ``sqrt(0.0333^2 + (1.283 / SNR)^2)`` degrees. The law is inferred from the notices of 2025 and
    2026, which it reproduces to the last digit given; it is not published as a formula.

    Parameters
    ----------
    snr : float or array of float
        Signal-to-noise ratio of the source in the image, > 0.

    Returns
    -------
    Quantity [deg]
        Radius of the circle that holds the source with a probability of 90 %.

    Raises
    ------
    ValueError
        A ratio is not positive.
    """
    values = np.asarray(snr, float)
    if not (values > 0).all():
        raise ValueError(f"signal-to-noise ratio {values.min()}; expected > 0")
    return np.hypot(SYSTEMATIC_R90, STATISTICAL_R90 / values)


def gaussian_r90(covariance: ArrayLike) -> float:
    """Radius about the mean that holds 90 % of a Gaussian in two dimensions.

    Parameters
    ----------
    covariance : array of float, shape (2, 2)

    Returns
    -------
    float
        In the unit of the square root of the covariance; 2.146 sigma for a round one.
    """
    minor, major = np.linalg.eigvalsh(np.asarray(covariance, float))
    angle = (np.arange(256) + 0.5) * np.pi / 512
    # Where the Gaussian is round, angle and radius are independent: a point at the radius rho and
    # the angle phi there lies at rho * sqrt(spread) here.
    spread = major * np.cos(angle) ** 2 + max(minor, 0.0) * np.sin(angle) ** 2
    low, high = 0.0, 4.0 * np.sqrt(major)
    for _ in range(60):
        radius = 0.5 * (low + high)
        held = 1.0 - float(np.mean(np.exp(-0.5 * radius**2 / spread)))
        low, high = (radius, high) if held < 0.9 else (low, radius)
    return 0.5 * (low + high)


@dataclass(frozen=True)
class Confidence:
    """Quick confidence level of a trigger (product QCL).

    Attributes
    ----------
    snr : float
        Signal-to-noise ratio that it was made from.
    n_trial : float
        Independent looks that could have given as much.
    probability : float
        That none of them does by chance, in 0 ... 1.
    level : int
        0 below the alert threshold, 1 alert, 2 worth a slew, 3 beyond doubt.
    """

    snr: float
    n_trial: float
    probability: float
    level: int


@dataclass(frozen=True)
class ConfidenceSettings:
    """Thresholds of `confidence`.

    Attributes
    ----------
    alert, slew, certain : float
        Least signal-to-noise ratio of the levels 1, 2 and 3.
    """

    alert: float = 6.5
    slew: float = 8.0
    certain: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.alert <= self.slew <= self.certain:
            raise ValueError(
                f"thresholds {self.alert}, {self.slew}, {self.certain}; expected rising and > 0"
            )


def confidence(
    snr: float, *, n_trial: float = 1.0, settings: ConfidenceSettings | None = None
) -> Confidence:
    """Give the quick confidence level of a signal-to-noise ratio.

    The definition is ours: that of the mission is not public. The probability is that of
    `n_trial` independent Gaussian looks all staying below the ratio, ``Phi(snr)^n``; the level
    counts the thresholds that the ratio reaches.

    Parameters
    ----------
    snr : float
    n_trial : float
        Number of independent looks, >= 1: windows, time scales and bands, pixels of an image.
    settings : ConfidenceSettings, optional

    Raises
    ------
    ValueError
        `snr` is not finite or `n_trial` is below 1.
    """
    if not np.isfinite(snr) or not n_trial >= 1:
        raise ValueError(f"snr = {snr}, n_trial = {n_trial}; expected a finite ratio and >= 1")
    chosen = settings or ConfidenceSettings()
    steps = (chosen.alert, chosen.slew, chosen.certain)
    return Confidence(
        snr=float(snr),
        n_trial=float(n_trial),
        probability=float(np.exp(n_trial * log_ndtr(snr))),
        level=sum(snr >= step for step in steps),
    )


def held_probability(radius: FloatArray, probability: FloatArray, content: float) -> float:
    """Radius within which a map holds some of its probability.

    Parameters
    ----------
    radius : ndarray of float, shape (n,)
        Distance of each point from the position.
    probability : ndarray of float, shape (n,)
        Sums to 1.
    content : float
        In 0 ... 1.
    """
    order = np.argsort(radius)
    running = np.cumsum(probability[order]) - 0.5 * probability[order]
    return float(np.interp(content, running, radius[order]))
