"""`eclgrm qhr`: the hardness of the burst, by each instrument and by both."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.tools.process import ToolCommand

from .qspec import burst_interval, episodes_of, interval_settings
from .reading import (
    energy_ranges,
    file_option,
    kev,
    read_measured,
)
from .task import Task, TaskOptions, file_argument, open_task, seed_option, task_options

if TYPE_CHECKING:
    from astropy.units import Quantity

    from analysis.eclgrm.burst import BurstData
    from analysis.eclgrm.response import Response
    from analysis.eclgrm.spectral_products import BandCounts


@click.command("qhr", cls=ToolCommand)
@file_argument("burst")
@file_option("--durations", "QT90 of each instrument.", multiple=True, required=True)
@file_option("--response", "RSP of each instrument.", multiple=True, required=True)
@task_options
@seed_option("qhr")
def main(
    burst: Path, durations: tuple[Path, ...], response: tuple[Path, ...], options: TaskOptions
) -> None:
    """Measure the hardness of the burst in the file BURST.

    \b
    Example:
      eclgrm qhr BURST_sb26112101.fits --durations QT90_GRM_sb26112101.fits \\
          --response RSP_GRM_sb26112101.fits

    Writes QHR_ECL and QHR_GRM, for each instrument that has a response, and QHR_ECLGRM (soft band
    of ECLAIRs, hard band of GRM) where both have: counts in two bands over the burst interval,
    each weighed by the effective area there; and H32, the ratio of the fluences in 100-300 and
    50-100 keV of a cutoff power law fitted, which the classification takes.
    """
    with open_task("qhr", options) as task:
        _run(task, burst, durations, response)


def _run(task: Task, burst: Path, durations: tuple[Path, ...], responses: tuple[Path, ...]) -> None:
    """Read, measure, write."""
    from analysis.eclgrm.hardness import hardness_ratio
    from analysis.eclgrm.products import observed
    from analysis.eclgrm.spectral_products import hardness

    data, stored, matrices = read_measured(task, burst, durations, responses)
    interval, episodes = burst_interval(stored), episodes_of(stored)
    held = {one.instrument for one in data.detectors if one.name in matrices}
    for name in ("ECL", "GRM", "ECLGRM"):
        parts = {"ECL": ("ECL", "ECL"), "GRM": ("GRM", "GRM")}.get(name, ("ECL", "GRM"))
        if not held.issuperset(parts):
            continue
        task.say(f"hardness of {name}")
        setting = task.settings[name]
        soft, hard = (
            _band(task, data, matrices, part, kev(setting[key]), interval, episodes)
            for part, key in zip(parts, ("soft_kev", "hard_kev"), strict=True)
        )
        ratio = hardness_ratio(soft.band, hard.band)
        names = [one.name for one in data.detectors if one.instrument in parts]
        used = {one: matrices[one] for one in names if one in matrices}
        fluence_ratio, model = _fluence_ratio(task, data, used, interval, episodes)
        task.write(
            hardness(
                observed(data, list(used)),
                name,
                (soft, hard),
                ratio,
                interval=interval,
                fluence_ratio=fluence_ratio,
                model=model,
            )
        )
        task.value(f"{name} hardness", ratio.ratio)
        task.value(f"{name} H32", fluence_ratio[0])


def _band(
    task: Task,
    data: "BurstData",
    matrices: "dict[str, Response]",
    instrument: str,
    band: "Quantity",
    interval: "Quantity",
    episodes: "Quantity",
) -> "BandCounts":
    """Count a band in the detectors that reach over it."""
    import numpy as np

    from analysis.eclgrm.hardness import Band
    from analysis.eclgrm.interval import band_counts, interval_spectra, mean_area_cm2
    from analysis.eclgrm.spectral_products import BandCounts

    from .reading import covering

    detectors = [one for one in covering(data, instrument, band) if one.name in matrices]
    if not detectors:
        raise ValueError(
            f"no response of a detector of {instrument} that reaches over {band}; there are those "
            f"of {', '.join(matrices)}"
        )
    cut = interval_settings(task.settings)
    spectra = [interval_spectra(one, interval, episodes, cut) for one in detectors]
    used = [matrices[one.name] for one in detectors]
    counts, background, variance = band_counts(spectra, used, band)
    area = sum(mean_area_cm2(one, band) for one in used)
    return BandCounts(
        energy=band,
        detectors=tuple(one.name for one in detectors),
        band=Band(counts, background, float(np.sqrt(variance)), area),
    )


def _fluence_ratio(
    task: Task,
    data: "BurstData",
    matrices: "dict[str, Response]",
    interval: "Quantity",
    episodes: "Quantity",
) -> tuple[tuple[float, float, float], str]:
    """Fit a cutoff power law; NaN where the detectors do not reach over 50 to 300 keV."""
    import numpy as np

    from analysis.eclgrm.fitting import FitError, choose, fit
    from analysis.eclgrm.flux import fitted_hardness
    from analysis.eclgrm.interval import observe_interval
    from analysis.eclgrm.spectral_models import CUTOFF_POWER_LAW, POWER_LAW

    unknown = (float("nan"),) * 3
    highest = max(float(one.channel_high_kev.max()) for one in matrices.values())
    if highest < _H32_REACH_KEV:
        return unknown, ""
    detectors = [one for one in data.detectors if one.name in matrices]
    try:
        observations = observe_interval(
            detectors,
            matrices,
            interval,
            episodes=episodes,
            energy_ranges=energy_ranges(task.settings["energy_kev"]),
            settings=interval_settings(task.settings),
        )
        chosen = choose([fit(observations, model) for model in (POWER_LAW, CUTOFF_POWER_LAW)])
    except FitError as error:
        task.run.message(f"no ratio of fluences: {error}")
        return unknown, ""
    if not chosen.is_valid:
        task.run.message("no ratio of fluences: the fit is not valid")
        return unknown, ""
    rng = np.random.default_rng(task.settings["seed"])
    found = fitted_hardness(chosen, rng=rng)
    return (float(found.value), float(found.lower), float(found.upper)), chosen.model.name


_H32_REACH_KEV = 300.0
