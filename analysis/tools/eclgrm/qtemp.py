"""`eclgrm qtemp`: light curves, durations and peak fluxes of one instrument."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand

from .reading import (
    covering,
    energy_ranges,
    file_option,
    kev,
    read_burst,
    read_card,
    read_responses,
    same_burst,
    seconds,
)
from .task import Task, TaskOptions, file_argument, open_task, seed_option, task_options

if TYPE_CHECKING:
    from astropy.units import Quantity

    from analysis.eclgrm.blocks import Burst
    from analysis.eclgrm.burst import DetectorEvents
    from analysis.eclgrm.duration import Durations
    from analysis.eclgrm.lightcurve import LightCurve
    from analysis.eclgrm.products import Observed, PeakFlux
    from analysis.eclgrm.response import Response


@click.command("qtemp", cls=ToolCommand)
@file_argument("burst")
@click.option("--instrument", type=click.Choice(["ECL", "GRM"]), required=True, help="Whose data.")
@file_option("--trigger", "The trigger: TT of the same instrument.", required=True)
@file_option(
    "--response",
    "RSP of the same instrument, for the peak fluxes; without it they are counts only.",
    into="responses",
    multiple=True,
)
@task_options
@seed_option("qtemp")
def main(
    burst: Path, instrument: str, trigger: Path, responses: tuple[Path, ...], options: TaskOptions
) -> None:
    """Measure light curves, T90, T50 and peak fluxes of the burst in the file BURST.

    \b
    Example:
      eclgrm qtemp BURST_sb26112101.fits --instrument ECL \\
          --trigger TT_ECL_sb26112101.fits --response RSP_ECL_sb26112101.fits

    Writes OBLC (counts as on board), QLC (ground: net rates), QT90 (T90 and T50) and QPF (peaks
    of 64, 256 and 1024 ms), and a picture of the light curves.
    """
    with open_task("qtemp", options, part=instrument) as task:
        _run(task, burst, instrument, trigger, responses)


def _check_gap(task: Task, path: Path, found: "_Found", largest: float) -> None:
    """Refuse durations of a burst of which too much was not recorded; warn of less."""
    gap = float(found.durations.gap.value)
    start, stop = (float(edge.value) for edge in (found.burst.start, found.burst.stop))
    said = (
        f"{path.name}, extensions GTI: no data for {gap:.3g} s of the burst interval, "
        f"{start:.3f} to {stop:.3f} s"
    )
    if gap > largest * (stop - start):
        raise ValueError(
            f"{said}; expected at most {100 * largest:g} % of it (setting max_gap): T90 cannot be "
            "measured"
        )
    if gap > 1e-6:
        task.run.message(f"{said}; the counts lost there are in no number")
        task.value("gap", gap, "s")


@dataclass(frozen=True, eq=False)
class _Found:
    """The results of the task."""

    burst: "Burst"
    durations: "Durations"
    onboard: "LightCurve"
    curve: "LightCurve"
    backgrounds: list[Any]  # Any: Background, imported late
    peaks: "list[PeakFlux]"


def _run(
    task: Task, burst: Path, instrument: Any, trigger: Path, responses: tuple[Path, ...]
) -> None:
    """Read, measure, write. Any: ECL or GRM."""
    import numpy as np

    from analysis.eclgrm import products

    data = read_burst(task, burst)
    triggered = read_card(task, trigger, "trigger", f"TT_{instrument}")
    matrices, stored = read_responses(task, responses)
    same_burst(data, triggered, *stored)
    settings = task.settings[instrument]
    energy, search, peak = (kev(settings[key]) for key in ("energy_kev", "search_kev", "peak_kev"))
    detectors = covering(data, instrument, energy, search, peak)
    zero = triggered.value("TT", "TIME")
    rng = np.random.default_rng(task.settings["seed"])
    found = _measure(task, detectors, settings, zero, matrices, rng)
    _check_gap(task, burst, found, settings["max_gap"])
    what = products.observed(data, [one.name for one in detectors])
    task.write(products.onboard_light_curve(what, instrument, found.onboard))
    light = products.quick_light_curve(what, instrument, found.curve, found.backgrounds)
    task.write(light)
    task.write(products.peak_fluxes(what, instrument, found.peaks, peak))
    task.write(products.durations(what, instrument, found.burst, found.durations, energy))
    _draw(task, what, light, found)
    _tell(task, found)


def _measure(
    task: Task,
    detectors: "tuple[DetectorEvents, ...]",
    settings: dict[str, Any],
    zero: "Quantity",
    matrices: "dict[str, Response]",
    rng: Any,
) -> _Found:
    """Call the pure functions one after the other. Any: JSON, numpy.random.Generator."""
    from analysis.eclgrm.background import choose_background, off_intervals
    from analysis.eclgrm.blocks import BurstSearch, find_burst
    from analysis.eclgrm.burst import light_curve
    from analysis.eclgrm.duration import DurationSettings, measure_durations
    from analysis.eclgrm.lightcurve import select_bins
    from analysis.eclgrm.peak_flux import measure_peaks

    width = seconds(settings["bin_s"])
    before, after = seconds(task.settings["before_s"]), seconds(task.settings["after_s"])
    span = {"start": _whole(zero - before, detectors), "stop": _whole(zero + after, detectors)}

    def count(bands: Any, bin_width: "Quantity" = width) -> "LightCurve":  # Any: lists of numbers
        return light_curve(detectors, bin_width, bands=kev(bands), **span)

    task.say("finding the burst")
    search = BurstSearch(false_alarm=settings["false_alarm"], threshold=settings["block_threshold"])
    searched = count([settings["search_kev"]])
    found = find_burst(searched, search=search)
    if found is None:
        low, high = settings["search_kev"]
        raise ValueError(
            f"no burst above the background between {low} and {high} keV in "
            f"{searched.total.sum():.0f} counts of {', '.join(one.name for one in detectors)}"
        )
    task.say("measuring T90 and T50")
    measured = measure_durations(
        count([settings["energy_kev"]]),
        found.start,
        found.stop,
        rng=rng,
        settings=DurationSettings(
            margin=seconds(settings["margin_s"]), n_bootstrap=settings["n_bootstrap"]
        ),
    )
    curve = count(settings["bands_kev"])
    off = off_intervals(curve, found.episodes)
    backgrounds = [
        choose_background(_band(curve, index), off) for index in range(curve.energy.shape[0])
    ]
    in_peak = count([settings["peak_kev"]])
    near = select_bins(in_peak, in_peak.good)
    level = choose_background(near, off_intervals(near, found.episodes)).expected(in_peak)
    peaks = measure_peaks(
        in_peak,
        level,
        seconds(settings["peak_windows_s"]),
        interval=seconds([found.start.value, found.stop.value]),
        rng=rng,
    )
    if matrices:
        task.say("fitting the peak's spectrum")
        peaks = _with_fluxes(task, detectors, settings, matrices, peaks, found.episodes, rng)
    onboard = count(settings["onboard_bands_kev"], seconds(settings["onboard_bin_s"]))
    return _Found(found, measured, onboard, curve, backgrounds, peaks)


def _whole(edge: "Quantity", detectors: "tuple[DetectorEvents, ...]") -> "Quantity":
    """Keep an edge inside what all detectors recorded."""
    import astropy.units as u
    import numpy as np

    low = max(one.events.good_intervals.min() for one in detectors)
    high = min(one.events.good_intervals.max() for one in detectors)
    return u.Quantity(np.clip(edge.to_value(u.s), low.to_value(u.s), high.to_value(u.s)), u.s)


def _band(curve: "LightCurve", index: int) -> "LightCurve":
    from dataclasses import replace

    return replace(curve, counts=curve.counts[:, [index]], energy=curve.energy[[index]])


def _with_fluxes(
    task: Task,
    detectors: "tuple[DetectorEvents, ...]",
    settings: dict[str, Any],
    matrices: "dict[str, Response]",
    peaks: "list[PeakFlux]",
    episodes: "Quantity",
    rng: Any,
) -> "list[PeakFlux]":
    """Turn the peaks into photon fluxes by the spectrum of the widest. Any: JSON, a Generator."""
    from analysis.eclgrm.peak_flux import photons_per_count, with_fluxes

    factor = photons_per_count(
        detectors,
        matrices,
        max(peaks, key=lambda one: one.width).peak,
        band=kev(settings["peak_kev"]),
        episodes=episodes,
        energy_ranges=energy_ranges(settings["peak_fit_kev"]),
        rng=rng,
    )
    if factor is None:
        task.run.message("no spectrum of the peak could be fitted: peak fluxes are counts only")
    return with_fluxes(peaks, factor)


def _draw(task: Task, what: "Observed", light: Any, found: _Found) -> None:
    """Draw the light curves. Any: a Product, imported late."""
    from .quicklook import light_curve_figure

    task.say("drawing")
    title = f"{light.card} {what.burst_id}  {what.telescope} {' '.join(what.detectors)}"
    task.picture(light, light_curve_figure(found.curve, found.backgrounds, found, title=title))


def _tell(task: Task, found: _Found) -> None:
    times = found.durations
    for name in ("t90", "t90_error", "t90_start", "t50", "t50_error"):
        task.value(name.upper(), float(getattr(times, name).value), "s")
    for one in found.peaks:
        label = f"peak {one.width.value * 1000:.0f} ms"
        task.value(label, float(one.peak.rate.value), "ct / s")
        task.value(f"{label} flux", float(one.flux.value), "ph / (cm2 s)")
