"""Quick-look pictures of positions: the sky image of ECLAIRs, the map of GRM."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from analysis.eclgrm.attitude import to_instrument, to_sky, to_tangent
from analysis.eclgrm.otloc import Localisation, QuickPosition

from .quicklook import BLUE, DPI, INK, RED


def sky_figure(found: Localisation, attitude: ArrayLike, *, title: str) -> Figure:
    """Draw the signal-to-noise ratio over the field of ECLAIRs, and about the source."""
    assert found.image is not None
    assert found.position is not None
    figure = Figure(figsize=(10.5, 5), dpi=DPI, layout="constrained")
    whole, near = figure.subplots(1, 2)
    snr = found.image.snr
    degrees = np.degrees(found.image.tangent)
    half = 0.5 * float(degrees[1] - degrees[0])
    extent = (degrees[0] - half, degrees[-1] + half, degrees[0] - half, degrees[-1] + half)
    top = float(np.nanmax(snr))
    for panel in (whole, near):
        drawn = panel.imshow(
            snr, origin="lower", extent=extent, cmap="viridis", vmin=-3, vmax=max(top, 6.0),
            interpolation="nearest",
        )  # fmt: skip
        panel.set_xlabel("z / x (57.3° × tangent)")
    whole.set_ylabel("y / x (57.3° × tangent)")
    figure.colorbar(drawn, ax=near, label="signal-to-noise ratio")
    place = np.degrees(to_tangent(to_instrument(found.position.coordinates, attitude)))
    whole.plot(place[1], place[0], "s", mfc="none", mec=RED, ms=14, mew=1.5)
    whole.set_title("the whole field; white: not seen", fontsize=9, color=INK)
    _zoom(near, found.position, attitude, place)
    figure.suptitle(f"{title}\n{_told(found.position)}", fontsize=10, color=INK)
    return figure


def _zoom(panel: Axes, position: QuickPosition, attitude: ArrayLike, place: ArrayLike) -> None:
    y, z = np.asarray(place, float)
    angle = np.linspace(0, 360, 100) * u.deg
    ring = position.coordinates.icrs.directional_offset_by(angle, position.r90)
    line = np.degrees(to_tangent(to_instrument(ring, attitude)))
    panel.plot(line[:, 1], line[:, 0], color=RED, lw=1.5, label="R90")
    panel.plot(z, y, "+", color=RED, ms=10, mew=1.2)
    reach = max(4.0, 6 * float(position.r90.to_value(u.deg)))
    panel.set_xlim(z - reach, z + reach)
    panel.set_ylim(y - reach, y + reach)
    panel.set_title("about the source", fontsize=9, color=INK)
    panel.legend(fontsize=8, loc="upper right")


def map_figure(found: Localisation, attitude: ArrayLike, *, title: str) -> Figure:
    """Draw the probability of each direction that GRM gives, over the sky."""
    assert found.map is not None
    assert found.position is not None
    figure = Figure(figsize=(9.5, 5.2), dpi=DPI, layout="constrained")
    panel = figure.add_subplot(projection="mollweide")
    order = np.argsort(found.map.probability)[::-1]
    running = np.cumsum(found.map.probability[order])
    places = to_sky(found.map.directions[order], attitude).icrs
    for low, high, colour, name in (
        (0.0, 0.5, BLUE, "50 %"), (0.5, 0.9, "#90b4dc", "90 %"), (0.9, 0.99, "#d6e4f3", "99 %"),
    ):  # fmt: skip
        held = (running > low) & (running <= high) | (running == running[0]) & (low == 0.0)
        lon, lat = _wrapped(places[held])
        panel.scatter(lon, lat, s=9, color=colour, label=name, lw=0)
    lon, lat = _wrapped(found.position.coordinates.icrs)
    panel.plot(lon, lat, "+", color=RED, ms=12, mew=1.8, label="most likely")
    hours = [f"{degree}°" for degree in (150, 120, 90, 60, 30, 0, 330, 300, 270, 240, 210)]
    panel.set_xticks(np.radians(np.arange(-150, 151, 30)), hours)
    panel.grid(color="#cbd2d9", lw=0.5)
    panel.tick_params(labelsize=7)
    panel.legend(fontsize=8, loc="lower right", title="holds the burst", title_fontsize=8)
    figure.suptitle(f"{title}\n{_told(found.position)}; ICRS", fontsize=10, color=INK)
    return figure


def _wrapped(places: SkyCoord) -> tuple[ArrayLike, ArrayLike]:
    """Longitude to the left, between -pi and pi."""
    return -places.ra.wrap_at(180 * u.deg).rad, places.dec.rad


def _told(position: QuickPosition) -> str:
    place = position.coordinates.icrs
    return (
        f"RA {place.ra.deg:.3f}°, Dec {place.dec.deg:+.3f}°, "
        f"R90 {position.r90.to_value(u.deg):.3g}°, SNR {position.snr:.1f}"
    )
