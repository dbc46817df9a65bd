"""The interval and band in which a triggered burst stands out most, for its position (OTLOC)."""

from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity

from .background import Background, choose_background
from .burst import DetectorEvents
from .lightcurve import BoolArray, FloatArray, LightCurve, select_band, sliding_windows
from .trigger import Trigger, TriggerSettings


@dataclass(frozen=True, eq=False)
class Interval:
    """The interval and band that a position is made from.

    Attributes
    ----------
    start, stop : Quantity [s]
        Relative to the reference of the burst.
    band : Quantity [keV], shape (2,)
    snr : float
        Of its counts against the background frozen before the trigger.
    background, background_error : float
        Counts expected in it, and their standard deviation.
    """

    start: Quantity
    stop: Quantity
    band: Quantity
    snr: float
    background: float
    background_error: float


def elementary_bands(bands: Quantity) -> Quantity:
    """Bands without overlap of which all given ones are made, shape (n, 2) to (n_elementary, 2).

    Only those that lie in some given one are kept.
    """
    given = np.atleast_2d(bands.to_value(u.keV))
    edges = np.unique(given)
    pairs = np.stack([edges[:-1], edges[1:]], axis=1)
    held = [((given[:, 0] <= low) & (high <= given[:, 1])).any() for low, high in pairs]
    return Quantity(pairs[np.array(held)], u.keV)


def covering(detectors: Sequence[DetectorEvents], bands: Quantity) -> tuple[DetectorEvents, ...]:
    """Keep the detectors that have a channel in a band.

    Raises
    ------
    ValueError
        None has.
    """
    kept = tuple(one for one in detectors if any(channels_in(one, band).any() for band in bands))
    if not kept:
        names = ", ".join(one.name for one in detectors)
        raise ValueError(f"no detector of {names} has a channel in the bands {bands}")
    return kept


def channels_in(detector: DetectorEvents, band: Quantity) -> BoolArray:
    """Tell which channels have their middle in a band, as `select_band` does."""
    edges = detector.events.energy.to_value(u.keV)
    middle = np.where(np.isfinite(edges[:, 1]), edges.mean(axis=1), edges[:, 0])
    low, high = band.to_value(u.keV)
    return np.asarray((middle >= low) & (middle < high))


def pixel_counts(detector: DetectorEvents, interval: Interval, n_pixel: int) -> FloatArray:
    """Image of the events of an interval and its band, shape (n_pixel, n_pixel), by RAWY, RAWZ.

    Raises
    ------
    ValueError
        The detector has no pixels.
    """
    if detector.pixel is None:
        raise ValueError(f"{detector.name} has no pixels: no image can be made")
    time, channel = detector.events.time.to_value(u.s), detector.events.channel
    held = channels_in(detector, interval.band)
    on = (time >= interval.start.to_value(u.s)) & (time < interval.stop.to_value(u.s))
    on &= (channel >= 0) & (channel < held.size)
    on[on] = held[channel[on]]
    y, z = detector.pixel[on].T
    known = (y >= 0) & (y < n_pixel) & (z >= 0) & (z < n_pixel)
    flat = np.bincount(y[known] * n_pixel + z[known], minlength=n_pixel**2)
    return flat.reshape(n_pixel, n_pixel).astype(float)


def before_trigger(
    curve: LightCurve, trigger: Trigger, reach: Quantity, guard: Quantity
) -> BoolArray:
    """Bins of the stretch before a trigger's window, shape (n_time,)."""
    start, stop = curve.edges_s()
    end = float((trigger.start - guard).to_value(u.s))
    return np.asarray((stop <= end) & (start >= end - reach.to_value(u.s)), bool)


def predicted(curve: LightCurve, background: Background, use: BoolArray) -> tuple[float, float]:
    """Counts that a background predicts in some bins together, and their standard deviation."""
    design = background.design(curve)[use].sum(axis=0)
    variance = float(design @ background.covariance @ design)
    return float(design @ background.coefficients), float(np.sqrt(max(variance, 0.0)))


def brightest_interval(
    curve: LightCurve,
    trigger: Trigger,
    search: TriggerSettings,
    *,
    reach: Quantity,
    follow: Quantity,
) -> Interval | None:
    """Find the window that stands out most against the background before the trigger.

    The windows are those of the trigger, of all time scales and bands, from that of the trigger
    to some time after it. The background is a constant or, where that fits clearly better, a
    straight line, and does not move with the window.

    Parameters
    ----------
    curve : LightCurve
    trigger : Trigger
        Found in it.
    search : TriggerSettings
    reach, follow : Quantity [time]
        Stretch before the trigger that the background is fitted to; time after it that is
        searched.

    Returns
    -------
    Interval or None
        None where too few bins lie before the trigger.
    """
    use = before_trigger(curve, trigger, reach, search.guard)
    best: Interval | None = None
    for band in np.atleast_2d(search.bands):
        try:
            chosen = select_band(curve, *band)
            background = choose_background(chosen, use, max_order=1)
        except ValueError:
            continue
        for scale in search.time_scales:
            found = _best_window(chosen, background, trigger, scale, follow)
            if found is not None and (best is None or found[0] > best.snr):
                snr, first, last = found
                inside = np.zeros(curve.n_time, bool)
                inside[first : last + 1] = True
                counts, error = predicted(chosen, background, inside)
                best = Interval(
                    curve.start[first], curve.stop[last], band.to(u.keV), snr, counts, error
                )
    return best


def _best_window(
    curve: LightCurve,
    background: Background,
    trigger: Trigger,
    scale: Quantity,
    follow: Quantity,
) -> tuple[float, int, int] | None:
    """Ratio, first and last bin of the best window of one width."""
    first, last = sliding_windows(curve, scale)
    stop = curve.stop.to_value(u.s)
    end = float((trigger.stop + follow).to_value(u.s))
    near = (stop[last] > float(trigger.start.to_value(u.s))) & (stop[last] <= end)
    first, last = first[near], last[near]
    if first.size == 0:
        return None
    running = np.vstack([np.zeros(background.coefficients.size), background.design(curve)])
    design = np.cumsum(running, axis=0)
    window: FloatArray = design[last + 1] - design[first]
    counted = np.r_[0.0, np.cumsum(curve.total)]
    expected = np.maximum(window @ background.coefficients, 0.0)
    of_fit = np.einsum("ij,jk,ik->i", window, background.covariance, window)
    snr = (counted[last + 1] - counted[first] - expected) / np.sqrt(
        np.maximum(expected, 1.0) + np.maximum(of_fit, 0.0)
    )
    at = int(np.argmax(snr))
    return float(snr[at]), int(first[at]), int(last[at])
