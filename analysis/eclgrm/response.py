"""Detector responses: what a photon spectrum becomes in the channels of a detector.

A response is the product of the effective area and the redistribution of energy, as in the OGIP
memo CAL/GEN/92-002 (George et al. 1992): the expected count rate of channel ``j`` is
``sum_i photons_i * matrix[i, j]``, with ``photons_i`` the photon flux integrated over the
``i``-th bin of true energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[np.float64]


_ENERGY_TOLERANCE = 0.05


class ResponseError(ValueError):
    """A response is not usable, or does not belong to the spectrum it is applied to."""


@dataclass(frozen=True, eq=False)
class Response:
    """The response of one detector to a source at one place.

    Attributes
    ----------
    name : str
        The detector, or the file and extension: it stands in error messages.
    energy_true_edges_kev : ndarray of float, shape (n_true + 1,)
        Edges of the bins of photon energy [keV], ascending.
    channels : ndarray of int, shape (n_channels,)
        Channel numbers, consecutive.
    channel_low_kev, channel_high_kev : ndarray of float, shape (n_channels,)
        Nominal energies of each channel (EBOUNDS) [keV].
    matrix_cm2 : ndarray of float, shape (n_true, n_channels)
        Effective area times redistribution [cm2].
    start_s, stop_s : float
        Validity relative to the trigger [s]; NaN where the file does not say.
    """

    name: str
    energy_true_edges_kev: Array
    channels: NDArray[np.int64]
    channel_low_kev: Array
    channel_high_kev: Array
    matrix_cm2: Array
    start_s: float = float("nan")
    stop_s: float = float("nan")

    def __post_init__(self) -> None:
        edges, n_channels = self.energy_true_edges_kev, len(self.channels)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0) or edges[0] < 0:
            raise ResponseError(
                f"{self.name}: the bins of photon energy must be contiguous and ascending"
            )
        if self.matrix_cm2.shape != (len(edges) - 1, n_channels):
            raise ResponseError(
                f"{self.name}: the matrix has shape {self.matrix_cm2.shape}, expected "
                f"({len(edges) - 1} energies, {n_channels} channels)"
            )
        if not np.all(np.isfinite(self.matrix_cm2)) or np.any(self.matrix_cm2 < 0):
            raise ResponseError(f"{self.name}: the matrix holds negative or undefined values")
        if len(self.channel_low_kev) != n_channels or len(self.channel_high_kev) != n_channels:
            raise ResponseError(f"{self.name}: expected energy bounds for {n_channels} channels")
        if np.any(self.channel_high_kev <= self.channel_low_kev):
            raise ResponseError(f"{self.name}: a channel ends below its start in energy")

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.channels)

    @property
    def effective_area_cm2(self) -> Array:
        """Effective area summed over the channels, shape (n_true,) [cm2]."""
        return np.asarray(self.matrix_cm2.sum(axis=1), dtype=np.float64)


def fold(response: Response, photons: u.Quantity) -> u.Quantity:
    """Fold a photon spectrum through a response.

    Parameters
    ----------
    response : Response
        Response of the detector.
    photons : Quantity [1 / (cm2 s)], shape (n_true,) or (n_spectra, n_true)
        Photon flux integrated over each bin of true energy.

    Returns
    -------
    Quantity [1 / s], shape (n_channels,) or (n_spectra, n_channels)
        Expected count rate of each channel (CAL/GEN/92-002, equation 1).
    """
    values = photons.to_value(1 / (u.cm**2 * u.s))
    n_true = len(response.energy_true_edges_kev) - 1
    if values.shape[-1] != n_true:
        raise ResponseError(
            f"{response.name}: a spectrum of {values.shape[-1]} bins does not fit a response of "
            f"{n_true}: integrate it over energy_true_edges_kev"
        )
    return (values @ response.matrix_cm2) / u.s


def channel_mask(
    response: Response, *energy_ranges: tuple[u.Quantity, u.Quantity]
) -> NDArray[np.bool_]:
    """Tell which channels lie wholly inside at least one range of energy.

    Parameters
    ----------
    response : Response
        Response of the detector.
    *energy_ranges : (Quantity, Quantity) [keV]
        Lower and upper bound.

    Returns
    -------
    ndarray of bool, shape (n_channels,)
        True for channels inside.
    """
    mask = np.zeros(response.n_channels, dtype=np.bool_)
    for low, high in energy_ranges:
        low_kev, high_kev = low.to_value(u.keV), high.to_value(u.keV)
        if not high_kev > low_kev:
            raise ResponseError(f"energy range {low} to {high} is empty: give the lower one first")
        mask |= (response.channel_low_kev >= low_kev) & (response.channel_high_kev <= high_kev)
    return mask


def check_channels(
    response: Response,
    channels: NDArray[np.integer[Any]],
    channel_low_kev: Array | None = None,
    *,
    name: str = "spectrum",
) -> None:
    """Refuse a spectrum whose channels are not those of the response.

    Numbering from 0 and from 1 are both in use, often within one delivery (the GBM files of GRB
    090217A number the source from 1 and its background from 0), so full sets of channels are
    compared by position. A boundary that is off by more than half a channel and by more than 5 %
    is refused. Smaller differences are real: in the GBM delivery of GRB 090217A the spectrum's
    energies differ from those of its own response by up to 3.5 %.

    Parameters
    ----------
    response : Response
        Response of the detector.
    channels : ndarray of int, shape (n_channels,)
        Channel numbers of the spectrum.
    channel_low_kev : ndarray of float, shape (n_channels,), optional
        Lower energies of the channels as the spectrum's file gives them [keV].
    name : str
        The spectrum, for the message.

    Raises
    ------
    ResponseError
        The channels differ in number, in numbering or in energy.
    """
    if len(channels) != response.n_channels:
        raise ResponseError(
            f"{name} has {len(channels)} channels, the response {response.name} has "
            f"{response.n_channels}: use the response made for this spectrum"
        )
    if np.any(np.diff(channels) != 1):
        raise ResponseError(f"{name}: channel numbers are not consecutive")
    offset = int(channels[0]) - int(response.channels[0])
    if abs(offset) > 1:
        raise ResponseError(
            f"{name} starts at channel {channels[0]}, the response {response.name} at "
            f"{response.channels[0]}: expected the same numbering, from 0 or from 1"
        )
    if channel_low_kev is None:
        return
    # The outermost bounds are often open or clipped, so only the inner boundaries count.
    found, expected = channel_low_kev[1:], response.channel_low_kev[1:]
    width = np.minimum(
        (response.channel_high_kev - response.channel_low_kev)[1:],
        (response.channel_high_kev - response.channel_low_kev)[:-1],
    )
    excess = np.abs(found - expected) - np.maximum(0.5 * width, _ENERGY_TOLERANCE * expected)
    if excess.size and excess.max() > 0:
        worst = int(np.argmax(excess))
        raise ResponseError(
            f"{name}: the boundary between channels {channels[worst]} and {channels[worst + 1]} "
            f"is at {found[worst]:.4g} keV, in the response {response.name} at "
            f"{expected[worst]:.4g} keV: use the response made for this spectrum"
        )


def combine_responses(responses: Sequence[Response], weights: Array) -> Response:
    """Average the responses of consecutive intervals of one detector.

    Parameters
    ----------
    responses : sequence of Response
        The same energies and channels throughout.
    weights : ndarray of float, shape (n_responses,)
        Source counts (best) or exposure of each interval; any scale.

    Returns
    -------
    Response
        The weighted mean, valid over the joint interval.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not responses or weights.shape != (len(responses),):
        raise ResponseError(f"expected one weight for each of {len(responses)} responses")
    if np.any(weights < 0) or not weights.sum() > 0:
        raise ResponseError(f"weights must be non-negative and not all zero, found {weights}")
    first = responses[0]
    for other in responses[1:]:
        if not np.array_equal(
            first.energy_true_edges_kev, other.energy_true_edges_kev
        ) or not np.array_equal(first.channels, other.channels):
            raise ResponseError(f"{other.name} has other energies or channels than {first.name}")
    stack = np.stack([response.matrix_cm2 for response in responses])
    return replace(
        first,
        matrix_cm2=np.tensordot(weights / weights.sum(), stack, axes=1),
        start_s=min(response.start_s for response in responses),
        stop_s=max(response.stop_s for response in responses),
    )


def apply_effective_area(response: Response, area: u.Quantity) -> Response:
    """Multiply a redistribution matrix (RMF) with an effective area (ARF).

    Parameters
    ----------
    response : Response
        Redistribution: each row of the matrix sums to at most 1.
    area : Quantity [cm2], shape (n_true,)
        Effective area in the same bins of true energy.

    Returns
    -------
    Response
        The full response.
    """
    values = area.to_value(u.cm**2)
    if values.shape != (len(response.matrix_cm2),):
        raise ResponseError(
            f"{response.name}: an area of {values.shape} bins does not fit "
            f"{len(response.matrix_cm2)} bins of energy"
        )
    return replace(response, matrix_cm2=response.matrix_cm2 * values[:, None])


def gaussian_response(
    energy_true_edges: u.Quantity,
    channel_edges: u.Quantity,
    *,
    area: u.Quantity,
    resolution: Array,
    name: str = "parametric",
) -> Response:
    """Make a parametric response: every photon is seen with a Gaussian error of its energy.

    It knows no escape peak, no Compton tail and no scattering by the Earth or the spacecraft: it
    serves simulations and instruments without a public response, and is named accordingly.

    Parameters
    ----------
    energy_true_edges : Quantity [keV], shape (n_true + 1,)
        Edges of the bins of photon energy.
    channel_edges : Quantity [keV], shape (n_channels + 1,)
        Edges of the channels.
    area : Quantity [cm2], shape (n_true,)
        Effective area.
    resolution : ndarray of float, shape (n_true,)
        Full width at half maximum over energy.
    name : str
        Name of the response.

    Returns
    -------
    Response
        Channels are numbered from 0; energies outside them are lost.
    """
    true_kev = energy_true_edges.to_value(u.keV)
    edges_kev = channel_edges.to_value(u.keV)
    centre = np.sqrt(true_kev[:-1] * true_kev[1:])
    sigma = np.broadcast_to(resolution, centre.shape) * centre / (2 * np.sqrt(2 * np.log(2)))
    scaled = (edges_kev[None, :] - centre[:, None]) / (np.sqrt(2) * sigma[:, None])
    redistribution = np.diff(erf(scaled), axis=1) / 2
    return Response(
        name=name,
        energy_true_edges_kev=np.array(true_kev, dtype=np.float64),
        channels=np.arange(len(edges_kev) - 1),
        channel_low_kev=np.array(edges_kev[:-1], dtype=np.float64),
        channel_high_kev=np.array(edges_kev[1:], dtype=np.float64),
        matrix_cm2=redistribution * np.broadcast_to(area.to_value(u.cm**2), centre.shape)[:, None],
    )
