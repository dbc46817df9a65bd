"""Counts per channel, and what a fit needs of one detector."""

from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from .response import Array, Response, ResponseError, channel_mask, check_channels


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Counts in the channels of one detector over one interval (OGIP-92-007).

    Attributes
    ----------
    name : str
        The detector, or the file and row: it stands in error messages.
    channels : ndarray of int, shape (n_channels,)
        Channel numbers.
    counts : ndarray of float, shape (n_channels,)
        Counts; rate times exposure where the file holds rates.
    counts_error : ndarray of float, shape (n_channels,), or None
        Standard deviation of the counts; None: they are Poisson.
    exposure_s : float
        Live time [s].
    systematic : ndarray of float, shape (n_channels,)
        Fractional systematic error.
    quality : ndarray of int, shape (n_channels,)
        0 for a good channel.
    grouping : ndarray of int, shape (n_channels,)
        1 opens a group, -1 continues it, 0 leaves a channel alone.
    scale : ndarray of float, shape (n_channels,)
        AREASCAL times BACKSCAL: a background is multiplied with the ratio of the two scales.
    channel_low_kev, channel_high_kev : ndarray of float, shape (n_channels,), or None
        Energies of the channels [keV], where the file gives them.
    start_s, stop_s : float
        Interval relative to the trigger [s]; NaN where unknown.
    response_file, background_file : str
        Names that the file gives; empty for none.
    """

    name: str
    channels: NDArray[np.int64]
    counts: Array
    counts_error: Array | None
    exposure_s: float
    systematic: Array
    quality: NDArray[np.int64]
    grouping: NDArray[np.int64]
    scale: Array
    channel_low_kev: Array | None = None
    channel_high_kev: Array | None = None
    start_s: float = float("nan")
    stop_s: float = float("nan")
    response_file: str = ""
    background_file: str = ""


def make_spectrum(
    counts: Array,
    exposure: u.Quantity,
    *,
    name: str = "spectrum",
    counts_error: Array | None = None,
    first_channel: int = 0,
    channel_edges: u.Quantity | None = None,
) -> Spectrum:
    """Make a spectrum of counts at hand: all channels good, none grouped.

    Parameters
    ----------
    counts : ndarray, shape (n_channels,)
        Counts.
    exposure : Quantity [s]
        Live time.
    name : str
        Name for messages.
    counts_error : ndarray of float, shape (n_channels,), optional
        Standard deviation, for a background from a fit; without it the counts are Poisson.
    first_channel : int
        Number of the first channel.
    channel_edges : Quantity [keV], shape (n_channels + 1,), optional
        Energies of the channels.

    Returns
    -------
    Spectrum
        The spectrum.
    """
    values = np.array(counts, dtype=np.float64)
    n_channels = len(values)
    edges = None if channel_edges is None else channel_edges.to_value(u.keV).astype(np.float64)
    return Spectrum(
        name=name,
        channels=first_channel + np.arange(n_channels),
        counts=values,
        counts_error=None if counts_error is None else np.array(counts_error, dtype=np.float64),
        exposure_s=float(exposure.to_value(u.s)),
        systematic=np.zeros(n_channels),
        quality=np.zeros(n_channels, dtype=np.int64),
        grouping=np.zeros(n_channels, dtype=np.int64),
        scale=np.ones(n_channels),
        channel_low_kev=None if edges is None else edges[:-1],
        channel_high_kev=None if edges is None else edges[1:],
    )


@dataclass(frozen=True, eq=False)
class Observation:
    """One detector, ready for a fit: only the channels that take part, grouped.

    Attributes
    ----------
    name : str
        The detector.
    counts : ndarray of float, shape (n_groups,)
        Counts on source.
    background, background_error : ndarray of float, shape (n_groups,)
        Background expected in the exposure of the source, and its standard deviation.
    exposure_s : float
        Live time [s].
    energy_true_edges_kev : ndarray of float, shape (n_true + 1,)
        Bins of photon energy [keV].
    matrix_cm2 : ndarray of float, shape (n_true, n_groups)
        Response [cm2].
    channel_low_kev, channel_high_kev : ndarray of float, shape (n_groups,)
        Nominal energies [keV].
    """

    name: str
    counts: Array
    background: Array
    background_error: Array
    exposure_s: float
    energy_true_edges_kev: Array
    matrix_cm2: Array
    channel_low_kev: Array
    channel_high_kev: Array


def observe(
    source: Spectrum,
    background: Spectrum | None,
    response: Response,
    *,
    energy_ranges: Sequence[tuple[u.Quantity, u.Quantity]] = (),
    use_grouping: bool = False,
    use_background_systematic: bool = False,
) -> Observation:
    """Bring a spectrum, its background and its response together.

    Parameters
    ----------
    source : Spectrum
        Counts on source: Poisson counts, not net rates.
    background : Spectrum or None
        Its background of any exposure; None: there is none.
    response : Response
        Response of the same channels.
    energy_ranges : sequence of (Quantity, Quantity) [keV]
        Ranges to keep; none: all channels. Channels of bad quality are never kept.
    use_grouping : bool
        Sum the groups that the source's GROUPING tells.
    use_background_systematic : bool
        Add the background's SYS_ERR to its error in quadrature.

    Returns
    -------
    Observation
        What `fitting.fit` takes.

    Raises
    ------
    ResponseError
        The three do not belong together, or nothing is left to fit.
    """
    for spectrum in (source, background):
        if spectrum is not None:
            check_channels(
                response,
                spectrum.channels,
                spectrum.channel_low_kev,
                name=spectrum.name,
            )
            _check_values(spectrum)
    if source.counts_error is not None:
        raise ResponseError(
            f"{source.name}: its counts have errors of their own (STAT_ERR), as rates or mask-"
            "weighted counts have; the statistic needs the Poisson counts (POISSERR = T)"
        )
    mask = source.quality == 0
    if background is not None:
        mask &= background.quality == 0
    if energy_ranges:
        mask &= channel_mask(response, *energy_ranges)
    if not mask.any():
        raise ResponseError(f"{source.name}: no good channel lies in the energy ranges asked for")
    level, variance = _scaled_background(
        source, background, use_systematic=use_background_systematic
    )
    starts = _group_starts(source.grouping, mask) if use_grouping else np.arange(mask.sum())
    ends = np.append(starts[1:], mask.sum()) - 1
    return Observation(
        name=source.name,
        counts=np.add.reduceat(source.counts[mask], starts),
        background=np.add.reduceat(level[mask], starts),
        background_error=np.sqrt(np.add.reduceat(variance[mask], starts)),
        exposure_s=source.exposure_s,
        energy_true_edges_kev=response.energy_true_edges_kev,
        matrix_cm2=np.ascontiguousarray(
            np.add.reduceat(response.matrix_cm2[:, mask], starts, axis=1)
        ),
        channel_low_kev=response.channel_low_kev[mask][starts],
        channel_high_kev=response.channel_high_kev[mask][ends],
    )


def _check_values(spectrum: Spectrum) -> None:
    if not spectrum.exposure_s > 0:
        raise ResponseError(
            f"{spectrum.name}: the exposure is {spectrum.exposure_s} s, expected more than 0"
        )
    if not np.all(np.isfinite(spectrum.counts)):
        raise ResponseError(f"{spectrum.name}: some counts are undefined")
    if spectrum.counts_error is None and np.any(spectrum.counts < 0):
        raise ResponseError(
            f"{spectrum.name}: negative counts are not Poisson counts: give the total and its "
            "background apart, not the difference"
        )


def _scaled_background(
    source: Spectrum, background: Spectrum | None, *, use_systematic: bool
) -> tuple[Array, Array]:
    """Give the background in the exposure of the source and its variance."""
    if background is None:
        return np.zeros_like(source.counts), np.zeros_like(source.counts)
    factor = source.exposure_s / background.exposure_s * source.scale / background.scale
    variance = background.counts if background.counts_error is None else background.counts_error**2
    if use_systematic:
        variance = variance + (background.systematic * background.counts) ** 2
    return background.counts * factor, variance * factor**2


def _group_starts(grouping: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the first kept channel of each group, as positions among the kept channels."""
    group = np.cumsum(grouping != -1)[mask]
    return np.flatnonzero(np.diff(group, prepend=group[0] - 1) != 0)
