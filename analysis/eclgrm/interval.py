"""From the photons of a burst to what a fit needs of each detector in one interval of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.units import Quantity

from .blocks import find_burst
from .burst import DetectorEvents
from .extraction import extract_spectrum
from .lightcurve import FloatArray, LightCurve, bin_events
from .response import Array, Response, channel_mask, check_channels
from .spectrum import Observation, Spectrum, observe


@dataclass(frozen=True)
class IntervalSettings:
    """How spectrum and background of an interval are cut out.

    Attributes
    ----------
    bin_width : Quantity [time]
        Widest time bin; the interval is a whole number of bins.
    margin : Quantity [time]
        Stretch before and after the interval that the background is fitted to.
    gap : Quantity [time]
        Left out between interval, or another episode of the burst, and background.
    order : int
        Of each channel's polynomial.
    """

    bin_width: Quantity = 0.256 * u.s
    margin: Quantity = 100 * u.s
    gap: Quantity = 10 * u.s
    order: int = 1


def interval_curve(
    detector: DetectorEvents, interval: Quantity, settings: IntervalSettings
) -> LightCurve:
    """Count a detector's events in bins of which a whole number makes the interval.

    Parameters
    ----------
    detector : DetectorEvents
    interval : Quantity [time], shape (2,)
        Start and stop.
    settings : IntervalSettings
        The bins go on over the margins.
    """
    start, stop = (float(edge) for edge in interval.to_value(u.s))
    if not stop > start:
        raise ValueError(f"the interval is {start} to {stop} s; expected start < stop")
    n_inside = int(np.ceil((stop - start) / settings.bin_width.to_value(u.s) - 1e-9))
    width = (stop - start) / n_inside
    n_beside = int(np.ceil(settings.margin.to_value(u.s) / width))
    edges = start + width * np.arange(-n_beside, n_inside + n_beside + 1)
    events = detector.events
    return bin_events(
        events.time,
        events.channel,
        edges=edges * u.s,
        energy=events.energy,
        good_intervals=events.good_intervals,
        reference=events.reference,
    )


def background_intervals(
    interval: Quantity, episodes: Quantity, *, margin: Quantity, gap: Quantity
) -> Quantity:
    """Return what lies within a margin of an interval but not within a gap of any episode.

    Parameters
    ----------
    interval : Quantity [time], shape (2,)
    episodes : Quantity [time], shape (n, 2)
        Where the burst is, the interval apart.
    margin, gap : Quantity [time]

    Returns
    -------
    Quantity [s], shape (n, 2)

    Raises
    ------
    ValueError
        Nothing is left.
    """
    start, stop = interval.to_value(u.s)
    margin_s, gap_s = float(margin.to_value(u.s)), float(gap.to_value(u.s))
    low, high = start - margin_s, stop + margin_s
    taken = [(start, stop), *np.atleast_2d(episodes.to_value(u.s))]
    free: list[tuple[float, float]] = []
    for begin, end in sorted((a - gap_s, b + gap_s) for a, b in taken):
        if begin > low:
            free.append((low, min(begin, high)))
        low = max(low, end)
    if low < high:
        free.append((low, high))
    free = [(a, b) for a, b in free if b > a]
    if not free:
        raise ValueError(
            f"no background is left within {margin} of the interval {start} to {stop} s: the "
            "burst's episodes fill it; widen the margin"
        )
    return Quantity(free, u.s)


def interval_spectra(
    detector: DetectorEvents,
    interval: Quantity,
    episodes: Quantity,
    settings: IntervalSettings,
) -> tuple[Spectrum, Spectrum]:
    """Cut out the spectrum of an interval and predict its background; shapes as above."""
    off = background_intervals(interval, episodes, margin=settings.margin, gap=settings.gap)
    return extract_spectrum(
        interval_curve(detector, interval, settings),
        source=interval,
        background=off,
        order=settings.order,
        name=detector.name,
    )


def observe_interval(
    detectors: Sequence[DetectorEvents],
    responses: Mapping[str, Response],
    interval: Quantity,
    *,
    episodes: Quantity,
    energy_ranges: Mapping[str, Sequence[tuple[Quantity, Quantity]]],
    settings: IntervalSettings | None = None,
) -> list[Observation]:
    """Bring spectrum, background and response of each detector together.

    Parameters
    ----------
    detectors : sequence of DetectorEvents
    responses : mapping of str to Response
        By detector.
    interval : Quantity [time], shape (2,)
    episodes : Quantity [time], shape (n, 2)
    energy_ranges : mapping of str to ranges
        By detector, or by the beginning of its name; a detector without one is left out.
    settings : IntervalSettings, optional

    Raises
    ------
    ValueError
        A detector has no response, its channels are not those of its response (ResponseError), or
        no detector is left.
    """
    chosen = settings or IntervalSettings()
    found = []
    for detector in detectors:
        ranges = ranges_of(detector.name, energy_ranges)
        if not ranges:
            continue
        if detector.name not in responses:
            raise ValueError(
                f"no response of {detector.name}; there are those of {', '.join(responses)}"
            )
        source, background = interval_spectra(detector, interval, episodes, chosen)
        found.append(
            observe(source, background, responses[detector.name], energy_ranges=tuple(ranges))
        )
    if not found:
        names = ", ".join(one.name for one in detectors)
        raise ValueError(
            f"none of {names} has a range of energy: {', '.join(energy_ranges)} were given"
        )
    return found


def ranges_of(
    name: str, energy_ranges: Mapping[str, Sequence[tuple[Quantity, Quantity]]]
) -> Sequence[tuple[Quantity, Quantity]]:
    """Return the ranges of the longest key that a detector's name begins with; empty if none."""
    keys = [key for key in energy_ranges if name.startswith(key)]
    return energy_ranges[max(keys, key=len)] if keys else ()


def mean_area_cm2(response: Response, band: Quantity) -> float:
    """Mean effective area in a band, of a spectrum that falls as 1 / energy.

    Parameters
    ----------
    response : Response
    band : Quantity [energy], shape (2,)

    Raises
    ------
    ValueError
        The response has no photon energies there.
    """
    low, high = band.to_value(u.keV)
    edges = response.energy_true_edges_kev
    overlap = np.clip(np.minimum(edges[1:], high), edges[:-1], None) - np.clip(
        np.maximum(edges[:-1], low), None, edges[1:]
    )
    weight: FloatArray = np.clip(overlap, 0.0, None) / np.sqrt(edges[1:] * edges[:-1])
    if not weight.sum() > 0:
        raise ValueError(f"{response.name}: no photon energies between {low} and {high} keV")
    return float(weight @ response.effective_area_cm2 / weight.sum())


def band_counts(
    spectra: Sequence[tuple[Spectrum, Spectrum]],
    responses: Sequence[Response],
    band: Quantity,
) -> tuple[float, float, float]:
    """Sum counts, background and its variance over detectors in the channels of a band.

    Parameters
    ----------
    spectra : sequence of (Spectrum, Spectrum)
        Source and background of each detector (`interval_spectra`).
    responses : sequence of Response
        Of each detector, for the energies of its channels.
    band : Quantity [energy], shape (2,)

    Returns
    -------
    counts, background, variance : float

    Raises
    ------
    ResponseError
        The channels of a spectrum are not those of its response.
    """
    total = np.zeros(3)
    for (source, background), response in zip(spectra, responses, strict=True):
        check_channels(response, source.channels, source.channel_low_kev, name=source.name)
        inside = channel_mask(response, (band[0], band[1]))
        error: Array = np.zeros(inside.sum())
        if background.counts_error is not None:
            error = background.counts_error[inside]
        total += source.counts[inside].sum(), background.counts[inside].sum(), (error**2).sum()
    return float(total[0]), float(total[1]), float(total[2])


def burst_weights(curve: LightCurve, responses: Sequence[Response]) -> FloatArray:
    """Give the net counts of the burst while each of several responses holds.

    Parameters
    ----------
    curve : LightCurve
        In the band where the burst is clearest.
    responses : sequence of Response
        With their validity.

    Returns
    -------
    ndarray of float, shape (n_responses,)
        At least 0.

    Raises
    ------
    ValueError
        No burst, or none while any response holds.
    """
    found = find_burst(curve)
    if found is None:
        raise ValueError("no burst above the background: nothing tells which response holds")
    start, stop = curve.edges_s()
    middle = 0.5 * (start + stop)
    inside = curve.good & (start >= found.start.value) & (stop <= found.stop.value)
    net = np.where(inside, curve.total - found.background.expected(curve), 0.0)
    weights = np.array(
        [net[(middle >= one.start_s) & (middle < one.stop_s)].sum() for one in responses]
    )
    weights = np.maximum(weights, 0.0)
    if not weights.sum() > 0:
        held = ", ".join(f"{one.start_s:.1f} to {one.stop_s:.1f}" for one in responses)
        raise ValueError(
            f"no response holds in the burst interval {found.start:.1f} to {found.stop:.1f}: "
            f"they hold from {held} s"
        )
    return np.asarray(weights, float)
