"""From a light curve in channels to the spectrum of an interval and its background."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .background import fit_background
from .lightcurve import LightCurve
from .response import Array
from .spectrum import Spectrum, make_spectrum


def extract_spectrum(
    curve: LightCurve,
    *,
    source: u.Quantity,
    background: u.Quantity,
    order: int = 1,
    name: str = "spectrum",
) -> tuple[Spectrum, Spectrum]:
    """Sum the channels over an interval and predict their background there.

    Each channel has a polynomial of its own, fitted outside the burst (`background.fit_background`)
    and integrated over the bins of the source; its error is that of the fit.

    Parameters
    ----------
    curve : LightCurve
        Counts in time bins and channels.
    source : Quantity [time], shape (2,)
        Interval of the source; bins wholly inside count.
    background : Quantity [time], shape (n, 2)
        Intervals without source; bins wholly inside one count.
    order : int
        Order of the polynomial.
    name : str
        Name of the detector.

    Returns
    -------
    source, background : Spectrum
        Poisson counts, and the background expected in the same exposure with its errors. A
        channel whose polynomial falls below 0 has background 0 with the same error.

    Raises
    ------
    ValueError
        No good bin lies in the source interval, or too few in the background intervals.
    """
    on = _inside(curve, np.atleast_2d(source.to_value(u.s)))
    off = _inside(curve, np.atleast_2d(background.to_value(u.s)))
    if not on.any():
        raise ValueError(f"{name}: no good time bin lies wholly inside {source}")
    n_channels = curve.counts.shape[1]
    expected, error = np.zeros(n_channels), np.zeros(n_channels)
    for channel in range(n_channels):
        one = replace(
            curve,
            counts=curve.counts[:, [channel]],
            energy=curve.energy[[channel]],
        )
        polynomial = fit_background(one, off, order)
        design = polynomial.design(one)[on].sum(axis=0)
        expected[channel] = max(float(design @ polynomial.coefficients), 0.0)
        error[channel] = np.sqrt(design @ polynomial.covariance @ design)
    exposure = curve.exposure_s()[on].sum() * u.s
    energy_kev = curve.energy.to_value(u.keV)
    start, stop = curve.edges_s()

    def finish(spectrum: Spectrum) -> Spectrum:
        return replace(
            spectrum,
            channel_low_kev=energy_kev[:, 0],
            channel_high_kev=energy_kev[:, 1],
            start_s=float(start[on][0]),
            stop_s=float(stop[on][-1]),
        )

    counts: Array = curve.counts[on].sum(axis=0)
    predicted = make_spectrum(expected, exposure, name=f"{name} background", counts_error=error)
    return finish(make_spectrum(counts, exposure, name=name)), finish(predicted)


def _inside(curve: LightCurve, intervals_s: Array) -> NDArray[np.bool_]:
    start, stop = curve.edges_s()
    slack = 1e-6  # seconds: edges are rounded in files
    inside = np.zeros(curve.n_time, dtype=np.bool_)
    for low, high in intervals_s:
        inside |= (start >= low - slack) & (stop <= high + slack)
    return inside & curve.good
