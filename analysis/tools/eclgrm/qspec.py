"""`eclgrm qspec`: the spectrum of the burst, all detectors together."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand

from .reading import (
    energy_ranges,
    file_option,
    kev,
    read_measured,
    seconds,
)
from .task import Task, TaskOptions, file_argument, open_task, seed_option, task_options

if TYPE_CHECKING:
    from astropy.units import Quantity

    from analysis.eclgrm.burst import BurstData
    from analysis.eclgrm.fitting import FitResult
    from analysis.eclgrm.interval import IntervalSettings
    from analysis.eclgrm.product_io import StoredProduct
    from analysis.eclgrm.response import Response
    from analysis.eclgrm.spectral_products import BandFlux, FittedSpectrum


@click.command("qspec", cls=ToolCommand)
@file_argument("burst")
@file_option("--durations", "QT90 of each instrument.", multiple=True, required=True)
@file_option("--response", "RSP of each instrument.", multiple=True, required=True)
@task_options
@seed_option("qspec")
def main(
    burst: Path, durations: tuple[Path, ...], response: tuple[Path, ...], options: TaskOptions
) -> None:
    """Fit the spectrum of the burst in the file BURST, of all detectors that have a response.

    \b
    Example:
      eclgrm qspec BURST_bn080916009.fits --durations QT90_GRM_bn080916009.fits \\
          --response RSP_GRM_bn080916009.fits --set 'qspec.interval_s=[-4.096,87.04]'

    The interval is the burst interval of QT90 (of GRM, where there are two), unless the setting
    interval_s gives one. Writes QSP: all models fitted, the one chosen, its flux and fluence in
    bands, counts and model of every channel; and a picture with residuals.
    """
    with open_task("qspec", options) as task:
        _run(task, burst, durations, response)


def _run(task: Task, burst: Path, durations: tuple[Path, ...], responses: tuple[Path, ...]) -> None:
    """Read, fit, write."""
    from analysis.eclgrm.products import observed
    from analysis.eclgrm.spectral_products import spectrum

    data, stored, matrices = read_measured(task, burst, durations, responses)
    given = task.settings["interval_s"]
    interval = burst_interval(stored) if given is None else seconds(given)
    found = _fit(task, data, interval, episodes_of(stored), matrices)
    what = observed(data, [one.name for one in found.observations])
    product = spectrum(what, found)
    task.write(product)
    _draw(task, product, found)
    chosen = found.chosen
    task.value("model", chosen.model.name)
    for name, value, error in zip(
        chosen.model.parameters, chosen.values, chosen.errors, strict=True
    ):
        task.value(name, float(value))
        task.value(f"{name} error", float(error))
    task.value("PG-statistic", chosen.statistic)
    task.value("degrees of freedom", chosen.dof)
    if not chosen.is_valid or chosen.at_limit:
        limits = f" ({', '.join(chosen.at_limit)} at a limit)" if chosen.at_limit else ""
        task.run.message(f"no model has a usable minimum{limits}: fluxes are left out")


def burst_interval(stored: "list[StoredProduct]") -> "Quantity":
    """Return the burst interval of QT90, of GRM where there is one: it sees the whole spectrum."""
    import astropy.units as u

    best = max(stored, key=lambda one: one.card == "QT90_GRM")
    return u.Quantity([best.value("QT90", "START"), best.value("QT90", "STOP")])


def episodes_of(stored: "list[StoredProduct]") -> "Quantity":
    """Return the episodes that any instrument saw, shape (n, 2)."""
    import astropy.units as u
    import numpy as np

    pairs = [
        np.stack([one.column("EPISODES", name).to_value(u.s) for name in ("START", "STOP")], axis=1)
        for one in stored
    ]
    return u.Quantity(np.concatenate(pairs), u.s)


def interval_settings(settings: dict[str, Any]) -> "IntervalSettings":
    """Make the settings of spectra. Any: JSON."""
    from analysis.eclgrm.interval import IntervalSettings

    return IntervalSettings(
        bin_width=seconds(settings["bin_s"]),
        margin=seconds(settings["background_margin_s"]),
        gap=seconds(settings["background_gap_s"]),
        order=settings["background_order"],
    )


def _fit(
    task: Task,
    data: "BurstData",
    interval: "Quantity",
    episodes: "Quantity",
    matrices: "dict[str, Response]",
) -> "FittedSpectrum":
    from analysis.eclgrm.fitting import choose, fit
    from analysis.eclgrm.interval import observe_interval
    from analysis.eclgrm.spectral_models import BAND, CUTOFF_POWER_LAW, POWER_LAW
    from analysis.eclgrm.spectral_products import FittedSpectrum

    settings = task.settings
    models = {one.name: one for one in (POWER_LAW, CUTOFF_POWER_LAW, BAND)}
    detectors = [one for one in data.detectors if one.name in matrices]
    task.say("cutting out the spectra")
    observations = observe_interval(
        detectors,
        matrices,
        interval,
        episodes=episodes,
        energy_ranges=energy_ranges(settings["energy_kev"]),
        settings=interval_settings(settings),
    )
    fits = []
    for name in settings["models"]:
        task.say(f"fitting the {name}")
        fits.append(fit(observations, models[name], free_areas=settings["free_areas"]))
    chosen = choose(fits, threshold=settings["choice_threshold"])
    instruments = {one.name: one.instrument for one in detectors}
    return FittedSpectrum(
        observations=observations,
        instruments=[instruments[one.name] for one in observations],
        fits=fits,
        chosen=chosen,
        fluxes=_fluxes(task, chosen, interval),
        interval=interval,
    )


def _fluxes(task: Task, chosen: "FitResult", interval: "Quantity") -> "list[BandFlux]":
    import numpy as np

    from analysis.eclgrm.flux import fitted_fluence, fitted_flux
    from analysis.eclgrm.spectral_products import BandFlux

    if not chosen.is_valid or chosen.at_limit:
        return []
    rng = np.random.default_rng(task.settings["seed"])
    length = interval[1] - interval[0]
    task.say("fluxes in bands")
    return [
        BandFlux(
            energy=band,
            photon_flux=fitted_flux(chosen, *band, rng=rng, kind="photon"),
            energy_flux=fitted_flux(chosen, *band, rng=rng),
            fluence=fitted_fluence(chosen, *band, length, rng=rng),
        )
        for band in (kev(one) for one in task.settings["bands_kev"])
    ]


def _draw(task: Task, product: Any, found: "FittedSpectrum") -> None:
    """Draw the spectrum. Any: a Product, imported late."""
    from .quicklook import spectrum_figure

    task.say("drawing")
    start, stop = found.interval.value
    title = f"{product.card} {product.observed.burst_id}  {start:.3f} to {stop:.3f} s"
    task.picture(product, spectrum_figure(found, title=title))
