"""Quick-look pictures of the products: the same bytes for the same data, no display needed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.eclgrm.background import Background
from analysis.eclgrm.blocks import Burst
from analysis.eclgrm.classification import CLASSES, Mixture
from analysis.eclgrm.duration import Durations
from analysis.eclgrm.lightcurve import FloatArray, LightCurve, rebin
from analysis.eclgrm.spectral_products import FittedSpectrum

INK, GREY, RED, BLUE, ORANGE = "#1f2933", "#7b8794", "#b3261e", "#2b6cb0", "#c05621"
COLOURS = (BLUE, ORANGE, "#2f855a", "#6b46c1", RED, GREY)
_MAX_BINS = 600
DPI = 110


class Timing(Protocol):
    """What `light_curve_figure` marks."""

    @property
    def burst(self) -> Burst:
        """The burst interval and episodes."""

    @property
    def durations(self) -> Durations:
        """T90 and T50."""


def light_curve_figure(
    curve: LightCurve, backgrounds: Sequence[Background], timing: Timing, *, title: str
) -> Figure:
    """Draw the rates of each band with the background, T90, T50 and the blocks of the burst."""
    n_band = curve.energy.shape[0]
    figure = Figure(figsize=(9, 1.3 + 1.7 * n_band), dpi=DPI, layout="constrained")
    panels = np.atleast_1d(figure.subplots(n_band, 1, sharex=True))
    times = timing.durations
    start, stop = (float(edge.to_value(u.s)) for edge in (timing.burst.start, timing.burst.stop))
    beside = max(10.0, 0.6 * (stop - start))
    low, high = start - beside, stop + beside
    shown = _coarse(curve, low, high)
    for index, panel in enumerate(panels):
        _draw_band(panel, shown, backgrounds[index], index, (low, high))
        for begin, length, shade in (
            (times.t90_start, times.t90, 0.10),
            (times.t50_start, times.t50, 0.16),
        ):
            first = float(begin.to_value(u.s))
            panel.axvspan(first, first + float(length.to_value(u.s)), color=BLUE, alpha=shade, lw=0)
        _draw_episodes(panel, timing.burst.episodes)
    panels[0].set_xlim(low, high)
    panels[-1].set_xlabel("time from the burst file's zero (s)")
    figure.suptitle(
        f"{title}\nT90 = {times.t90.value:.3g} ± {times.t90_error.value:.2g} s (light), "
        f"T50 = {times.t50.value:.3g} ± {times.t50_error.value:.2g} s (dark); "
        "bars on top: Bayesian blocks above the background",
        fontsize=10,
        color=INK,
    )
    return figure


def _coarse(curve: LightCurve, low: float, high: float) -> LightCurve:
    """Merge bins where more lie in the range than a picture shows."""
    start, stop = curve.edges_s()
    inside = (stop > low) & (start < high)
    width = float(np.median(stop - start))
    factor = int(np.ceil(inside.sum() / _MAX_BINS))
    return curve if factor <= 1 else rebin(curve, factor * width * u.s)


def _draw_band(
    panel: Axes,
    curve: LightCurve,
    background: Background,
    index: int,
    limits: tuple[float, float],
) -> None:
    start, stop = curve.edges_s()
    live = curve.exposure_s()
    seen = curve.good & (stop > limits[0]) & (start < limits[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(seen, curve.counts[:, index] / live, np.nan)
        level = np.where(seen, background.expected(curve) / live, np.nan)
    for values, colour, width, name in (
        (rate, INK, 0.7, None),
        (level, RED, 1.2, "background"),
    ):
        panel.stairs(values[:-1], start, color=colour, lw=width, label=name, baseline=None)
    low, high = curve.energy[index].to_value(u.keV)
    panel.set_ylabel("counts / s")
    panel.text(
        0.99, 0.88, f"{low:g}–{high:g} keV", transform=panel.transAxes, ha="right", va="top",
        color=INK, fontsize=9,
    )  # fmt: skip
    if seen.any():
        top, bottom = np.nanmax(rate), np.nanmin(rate)
        panel.set_ylim(max(0.0, bottom - 0.1 * (top - bottom)), top + 0.18 * (top - bottom) + 1e-9)
    if index == 0:
        panel.legend(loc="upper left", fontsize=8, frameon=False)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_episodes(panel: Axes, episodes: Quantity) -> None:
    for begin, end in np.atleast_2d(episodes.to_value(u.s)):
        panel.plot(
            [begin, end], [0.985, 0.985], transform=panel.get_xaxis_transform(), color=ORANGE,
            lw=3, solid_capstyle="butt",
        )  # fmt: skip


def spectrum_figure(found: FittedSpectrum, *, title: str) -> Figure:
    """Draw counts less background and the folded model of each detector, residuals below."""
    from analysis.eclgrm.fitting import predict

    figure = Figure(figsize=(8, 6), dpi=DPI, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    chosen = found.chosen
    for index, (one, factor) in enumerate(
        zip(found.observations, chosen.area_factors, strict=True)
    ):
        model = predict(one, chosen.model, chosen.values, area_factor=float(factor))
        low, high, net, error, folded = _grouped(one, model)
        scale = one.exposure_s * (high - low)
        colour, middle = COLOURS[index % len(COLOURS)], np.sqrt(low * high)
        spread = [middle - low, high - middle]
        top.errorbar(
            middle, net / scale, yerr=error / scale, xerr=spread, fmt="none", ecolor=colour, lw=0.9,
            label=one.name,
        )  # fmt: skip
        for piece in _pieces(low, high):
            edges = np.append(low[piece], high[piece][-1])
            top.stairs((folded / scale)[piece], edges, color=INK, lw=1.1, baseline=None)
        below.errorbar(
            middle, (net - folded) / error, yerr=1.0, xerr=spread, fmt="none", ecolor=colour, lw=0.9
        )
        positive = folded / scale
        top.set_ylim(bottom=min(top.get_ylim()[0], 0.3 * positive[positive > 0].min()))
    top.set_xscale("log")
    top.set_yscale("log", nonpositive="mask")
    _limit_spectrum(top, found)
    top.set_ylabel("net counts / (s keV)")
    top.legend(fontsize=8, frameon=False)
    below.axhline(0.0, color=INK, lw=0.8)
    below.set_ylabel("residual (σ)")
    below.set_xlabel("energy (keV)")
    below.set_ylim(-5, 5)
    for panel in (top, below):
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\n{_model_text(found)}", fontsize=10, color=INK)
    return figure


_GROUP_SIGMA = 3.0
_GROUP_WIDTH = 1.7


def _grouped(one: Any, model: FloatArray) -> tuple[FloatArray, ...]:
    """Join neighbouring channels until a point stands out, or is wide. Any: Observation."""
    starts, counts, level = [0], 0.0, 0.0
    for index in range(one.counts.size - 1):
        counts += one.counts[index]
        level += one.background[index]
        apart = one.channel_low_kev[index + 1] > 1.001 * one.channel_high_kev[index]
        is_clear = counts - level > _GROUP_SIGMA * np.sqrt(max(counts, 1.0))
        is_wide = one.channel_high_kev[index] > _GROUP_WIDTH * one.channel_low_kev[starts[-1]]
        if is_clear or is_wide or apart:
            starts.append(index + 1)
            counts = level = 0.0
    first = np.array(starts)
    last = np.append(first[1:], one.counts.size) - 1
    total = np.add.reduceat(one.counts, first)
    net = total - np.add.reduceat(one.background, first)
    variance = np.maximum(total, 1.0) + np.add.reduceat(one.background_error**2, first)
    folded = np.add.reduceat(model, first)
    return (
        one.channel_low_kev[first], one.channel_high_kev[last], net, np.sqrt(variance), folded
    )  # fmt: skip


def _pieces(low: FloatArray, high: FloatArray) -> list[slice]:
    """Stretches of channels without a hole between them."""
    breaks = np.flatnonzero(low[1:] > 1.001 * high[:-1]) + 1
    edges = [0, *breaks, low.size]
    return [slice(a, b) for a, b in pairwise(edges)]


def _limit_spectrum(panel: Axes, found: FittedSpectrum) -> None:
    """Show what is measured: three decades below the highest point at most four."""
    highest, lowest = 0.0, np.inf
    for one in found.observations:
        model_scale = one.exposure_s * (one.channel_high_kev - one.channel_low_kev)
        net = (one.counts - one.background) / model_scale
        highest = max(highest, float(net.max()))
        positive = net[net > 0]
        lowest = min(lowest, float(np.percentile(positive, 5)) if positive.size else lowest)
    if highest > 0:
        panel.set_ylim(max(0.3 * lowest, 1e-6 * highest), 3 * highest)


def _model_text(found: FittedSpectrum) -> str:
    chosen = found.chosen
    said = [
        f"{name.replace('e_peak', 'Epeak')} = {value:.4g} ± {error:.2g}"
        + (" keV" if name == "e_peak" else "")
        for name, value, error in zip(
            chosen.model.parameters, chosen.values, chosen.errors, strict=True
        )
        if name != "amplitude"
    ]
    return f"{chosen.model.name}: {', '.join(said)}; PG/dof = {chosen.statistic:.1f}/{chosen.dof}"


def class_figure(
    mixture: Mixture,
    duration: tuple[float, float],
    hardness: tuple[float, float],
    *,
    label: str,
    title: str,
) -> Figure:
    """Draw the burst among the classes of the BATSE catalogue: T90 (s) and H32 with errors."""
    figure = Figure(figsize=(7, 5.5), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for index, name in enumerate(CLASSES):
        axes = np.linalg.cholesky(mixture.covariances[index])
        for radius in (1.0, 2.0):
            line = mixture.means[index][:, None] + radius * axes @ circle
            panel.plot(
                *10**line, color=COLOURS[index], lw=1.3 if radius == 1 else 0.7,
                label=f"{name} ({100 * mixture.weights[index]:.0f} %)" if radius == 1 else None,
            )  # fmt: skip
    known = [np.isfinite(value) for value, _ in (duration, hardness)]
    if all(known):
        panel.errorbar(
            duration[0], hardness[0], xerr=_log_error(duration), yerr=_log_error(hardness),
            fmt="o", ms=7, color=INK, capsize=3, label="this burst",
        )  # fmt: skip
    elif known[0]:
        panel.axvline(duration[0], color=INK, lw=2, label="this burst: no hardness")
    elif known[1]:
        panel.axhline(hardness[0], color=INK, lw=2, label="this burst: no duration")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("T90 (s)")
    panel.set_ylabel("fluence 100–300 keV / 50–100 keV")
    panel.legend(fontsize=8, frameon=False, title="BATSE classes, 1 and 2 σ", title_fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\n{label}", fontsize=10, color=INK)
    return figure


def _log_error(value: tuple[float, float]) -> list[list[float]]:
    """Errors that stay on a logarithmic axis."""
    return [[min(value[1], 0.95 * value[0])], [value[1]]]
