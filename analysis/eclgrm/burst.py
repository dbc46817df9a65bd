"""A burst as several detectors recorded it, photon by photon: the input of every ECLGRM task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from astropy.units import Quantity

from .io import EventList
from .lightcurve import FloatArray, IntArray, LightCurve, bin_events

Instrument = Literal["ECL", "GRM"]
INSTRUMENTS: tuple[Instrument, ...] = ("ECL", "GRM")

SAME_ENERGY = 0.01
"""Channels of two detectors are the same where their edges agree to this fraction."""


@dataclass(frozen=True, eq=False)
class DetectorEvents:
    """The photons of one detector.

    Attributes
    ----------
    name : str
        ECL, GRD1 to GRD3; data of other instruments keep the true name (N3, B0).
    instrument : {"ECL", "GRM"}
        The part that the detector plays in the pipeline.
    events : EventList
    pixel : ndarray of int, shape (n_event, 2), or None
        RAWY and RAWZ of each event, for a detector that has pixels.
    """

    name: str
    instrument: Instrument
    events: EventList
    pixel: IntArray | None = None

    def __post_init__(self) -> None:
        if self.instrument not in INSTRUMENTS:
            raise ValueError(f"instrument {self.instrument!r} of {self.name}; expected ECL or GRM")
        n_event = self.events.time.size
        if self.events.channel.shape != (n_event,):
            raise ValueError(
                f"{self.name}: {n_event} times and channels of shape {self.events.channel.shape}"
            )
        if self.pixel is not None and self.pixel.shape != (n_event, 2):
            raise ValueError(
                f"{self.name}: pixels have the shape {self.pixel.shape}; expected ({n_event}, 2)"
            )


@dataclass(frozen=True, eq=False)
class BurstData:
    """One burst: its detectors and where spacecraft, Earth and source were.

    Attributes
    ----------
    burst_id, obs_id : str
        BURST_ID and OBS_ID of the products.
    telescope : str
        SVOM, FERMI.
    detectors : tuple of DetectorEvents
        All with the same `reference`; names differ.
    attitude : ndarray of float, shape (4,), or None
        Unit quaternion (x, y, z, w) from the axes of the spacecraft to ICRS (`attitude`).
    earth : SkyCoord or None
        Direction of the Earth's centre.
    source : SkyCoord or None
        Where the burst is, if that is known from elsewhere; for a simulation see `truth` too.
    truth : mapping of str to JSON values
        What a simulation put in; empty for real data. No task may read it.
    """

    burst_id: str
    telescope: str
    detectors: tuple[DetectorEvents, ...]
    obs_id: str = ""
    attitude: FloatArray | None = None
    earth: SkyCoord | None = None
    source: SkyCoord | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [detector.name for detector in self.detectors]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"detectors {names}; expected at least one, and names that differ")
        first = self.reference
        for detector in self.detectors[1:]:
            offset = abs((detector.events.reference - first).to_value(u.s))
            if offset > 1e-6:
                raise ValueError(
                    f"{detector.name} counts its time from {detector.events.reference.isot}, "
                    f"{names[0]} from {first.isot}; expected one reference"
                )

    @property
    def reference(self) -> Time:
        """The instant of time zero."""
        return self.detectors[0].events.reference

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments that have a detector here."""
        held = {detector.instrument for detector in self.detectors}
        return tuple(one for one in INSTRUMENTS if one in held)

    def of_instrument(self, instrument: Instrument) -> tuple[DetectorEvents, ...]:
        """Detectors of one instrument.

        Raises
        ------
        ValueError
            The burst has none.
        """
        found = tuple(one for one in self.detectors if one.instrument == instrument)
        if not found:
            raise ValueError(
                f"burst {self.burst_id} has no detector of {instrument}; "
                f"it has {', '.join(f'{one.name} ({one.instrument})' for one in self.detectors)}"
            )
        return found

    def detector(self, name: str) -> DetectorEvents:
        """Return the detector of a name.

        Raises
        ------
        ValueError
            There is none.
        """
        for one in self.detectors:
            if one.name == name:
                return one
        held = ", ".join(one.name for one in self.detectors)
        raise ValueError(f"burst {self.burst_id} has no detector {name!r}; it has {held}")


def light_curve(
    detectors: Sequence[DetectorEvents],
    width: Quantity,
    *,
    bands: Quantity | None = None,
    start: Quantity | None = None,
    stop: Quantity | None = None,
) -> LightCurve:
    """Count the events of one or several detectors in equal bins, summed over the detectors.

    An edge lies at time zero. A bin is good where all detectors recorded throughout.

    Parameters
    ----------
    detectors : sequence of DetectorEvents
        As of `BurstData.of_instrument`.
    width : Quantity [time]
        Width of the bins.
    bands : Quantity [energy], shape (n_band, 2), optional
        Bands that become the channels; a channel belongs to the band that holds its middle, as in
        `select_band`, and bands must not overlap. By default the channels of the detectors, which
        must be the same.
    start, stop : Quantity [time], optional
        Ends of the curve; by default what the good intervals of all detectors span.

    Raises
    ------
    ValueError
        Channels that differ without `bands`, bands without a channel, or no time in common.
    """
    if not detectors:
        raise ValueError("no detector to make a light curve of")
    width_s = float(width.to_value(u.s))
    if not width_s > 0:
        raise ValueError(f"the width is {width}; expected a time > 0")
    edges = _edges(detectors, width_s, start, stop)
    if bands is None:
        energy = _common_energy(detectors)
        maps = [np.arange(len(energy))] * len(detectors)
    else:
        energy = np.atleast_2d(bands)
        maps = [_band_of(detector, energy) for detector in detectors]
        for index, (low, high) in enumerate(energy):
            if not any((band == index).any() for band in maps):
                names = ", ".join(one.name for one in detectors)
                raise ValueError(f"no channel of {names} lies between {low} and {high}")
    curves = [
        bin_events(
            one.events.time,
            _mapped(one.events.channel, band),
            edges=edges,
            energy=energy,
            good_intervals=one.events.good_intervals,
            reference=one.events.reference,
        )
        for one, band in zip(detectors, maps, strict=True)
    ]
    return LightCurve(
        start=edges[:-1],
        stop=edges[1:],
        counts=np.sum([curve.counts for curve in curves], axis=0),
        energy=energy,
        is_good=np.all([curve.good for curve in curves], axis=0),
        reference=detectors[0].events.reference,
    )


def _edges(
    detectors: Sequence[DetectorEvents],
    width_s: float,
    start: Quantity | None,
    stop: Quantity | None,
) -> Quantity:
    spans = [np.atleast_2d(one.events.good_intervals.to_value(u.s)) for one in detectors]
    low = max(span.min() for span in spans) if start is None else float(start.to_value(u.s))
    high = min(span.max() for span in spans) if stop is None else float(stop.to_value(u.s))
    slack = 1e-6  # of a bin: decimal fractions of a second are not exact
    first, last = np.ceil(low / width_s - slack), np.floor(high / width_s + slack)
    if not last > first:
        names = ", ".join(one.name for one in detectors)
        raise ValueError(f"no bin of {width_s} s from {low} to {high} s common to {names}")
    return Quantity(np.arange(first, last + 1) * width_s, u.s)


def _common_energy(detectors: Sequence[DetectorEvents]) -> Quantity:
    energy = detectors[0].events.energy
    for other in detectors[1:]:
        same = other.events.energy.shape == energy.shape and np.allclose(
            other.events.energy.to_value(u.keV), energy.to_value(u.keV), rtol=SAME_ENERGY
        )
        if not same:
            raise ValueError(
                f"{other.name} has other channels than {detectors[0].name}: give bands to sum them"
            )
    return energy


def _band_of(detector: DetectorEvents, bands: Quantity) -> IntArray:
    """Index of the band of each channel, -1 for none."""
    edges = detector.events.energy.to_value(u.keV)
    middle = np.where(np.isfinite(edges[:, 1]), edges.mean(axis=1), edges[:, 0])
    low, high = bands.to_value(u.keV).T
    inside = (middle[:, None] >= low) & (middle[:, None] < high)
    if (inside.sum(axis=1) > 1).any():
        raise ValueError(f"bands {bands} overlap; expected bands apart from each other")
    return np.where(inside.any(axis=1), inside.argmax(axis=1), -1)


def _mapped(channel: IntArray, band: IntArray) -> IntArray:
    known = (channel >= 0) & (channel < band.size)
    return np.where(known, band[np.where(known, channel, 0)], -1)
