"""`eclgrm otloc`: the trigger and the position."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand, WrongUseError

from .reading import covering, file_option, kev, read_burst, seconds
from .task import Task, TaskOptions, file_argument, open_task, task_options

if TYPE_CHECKING:
    from analysis.eclgrm.burst import BurstData
    from analysis.eclgrm.otloc import Localisation, OtlocSettings
    from analysis.eclgrm.products import Product


@click.command("otloc", cls=ToolCommand)
@file_argument("burst")
@click.option("--instrument", type=click.Choice(["ECL", "GRM"]), required=True, help="Whose data.")
@file_option("--trigdat", "Trigger data (TRIGDAT) of a burst of GBM, for its position.")
@task_options
def main(burst: Path, instrument: str, trigdat: Path | None, options: TaskOptions) -> None:
    """Find when the burst in the file BURST triggers one instrument, and where it is.

    \b
    Example:
      eclgrm otloc BURST_sb26112101.fits --instrument ECL

    Writes TT (the trigger), QCL (how sure it is) and QPO: by the coded mask of ECLAIRs, by the
    ratios of the rates of GRM's detectors; and a picture of the sky. Event files of GBM hold
    neither all detectors nor the attitude: its position is from --trigdat. A trigger without a
    position is a result: QPO then has no row, and its header says why. Without a trigger the task
    fails.
    """
    with open_task("otloc", options, part=instrument) as task:
        _run(task, burst, instrument, trigdat)


def _run(task: Task, burst: Path, instrument: Any, trigdat: Path | None) -> None:
    """Read, find, write. Any: ECL or GRM."""
    from dataclasses import replace

    from analysis.eclgrm import position_products, products
    from analysis.eclgrm.otloc import locate

    data = read_burst(task, burst)
    settings = _settings(task.settings[instrument])
    bands = kev(task.settings[instrument]["bands_kev"])
    detectors = covering(data, instrument, bands)
    names = [one.name for one in detectors]
    n_events = sum(one.events.time.size for one in detectors)
    if n_events == 0:
        raise ValueError(
            f"{burst}: no event in {', '.join(f'EVENTS_{name}' for name in names)}; expected the "
            "photons of a burst and of its background"
        )
    task.say(f"looking for the burst in {n_events} events")
    found = locate(replace(data, detectors=detectors), instrument, settings=settings)
    if found.trigger is None:
        raise ValueError(f"no trigger in {', '.join(names)} of {burst.name}: {found.reason}")
    what = products.observed(data, names)
    task.write(products.trigger_time(what, instrument, found.trigger))
    if found.confidence is not None:
        task.write(position_products.confidence_level(what, instrument, found.confidence))
    attitude = data.attitude
    if trigdat is not None:
        found, attitude, names = _from_trigdat(task, data, trigdat, found)
    product = position_products.quick_position(
        products.observed(data, names), found, attitude=attitude
    )
    task.write(product)
    task.value("T0", float(found.trigger.stop.value), "s")
    task.value("SNR", found.trigger.snr)
    if found.position is None:
        task.run.message(f"no position: {found.reason}", level="info")
        task.value("position", found.reason)
        return
    place = found.position.coordinates.icrs
    task.value("RA", float(place.ra.deg), "deg")
    task.value("DEC", float(place.dec.deg), "deg")
    task.value("R90", float(found.position.r90.value), "deg")
    _draw(task, product, attitude, found)


def _from_trigdat(
    task: Task, data: "BurstData", path: Path, found: "Localisation"
) -> tuple["Localisation", Any, list[str]]:
    """Take the position from the rates of all detectors of GBM. Any: ndarray, imported late."""
    from dataclasses import replace

    import numpy as np

    from analysis.eclgrm import io
    from analysis.eclgrm.gbm_table import NAI_NAMES
    from analysis.eclgrm.trigdat import locate_trigdat

    if data.telescope != "FERMI":
        raise WrongUseError(f"--trigdat is for bursts of FERMI; this one is of {data.telescope}")
    pointing = task.read(io.read_gbm_pointing, path, "trigger data")
    curves = {name: io.read_gbm_trigdat(path, [at]) for at, name in enumerate(NAI_NAMES)}
    _check_trigger(path, next(iter(curves.values())).reference, data.reference)
    nearest = int(np.argmin(np.abs(pointing["time"])))
    attitude = pointing["attitude"][nearest]
    task.say("comparing the rates of the detectors")
    place = locate_trigdat(
        curves,
        io.read_gbm_nai_rates(),
        attitude=attitude,
        position=pointing["position"][nearest],
    )
    kept = {"status": place.status, "reason": place.reason, "interval": place.interval}
    return (
        (
            replace(found, position=place.position, map=place.map, **kept)
            if place.trigger is not None
            else replace(found, reason=f"{path.name}: {place.reason}")
        ),
        attitude,
        list(curves),
    )


def _check_trigger(path: Path, found: Any, expected: Any) -> None:
    """Refuse trigger data of another burst. Any: Time, imported late."""
    from analysis.eclgrm.io import InputFileError

    if abs((found - expected).to_value("s")) > _SAME_TRIGGER_S:
        raise InputFileError(
            path,
            "extension PRIMARY, keyword TRIGTIME",
            found.utc.isot,
            f"{expected.utc.isot}, the trigger of the burst file",
        )


_SAME_TRIGGER_S = 1.0


def _settings(given: dict[str, Any]) -> "OtlocSettings":
    """Make the settings of `locate`. Any: JSON."""
    from analysis.eclgrm.otloc import OtlocSettings
    from analysis.eclgrm.trigger import TriggerSettings

    return OtlocSettings(
        trigger=TriggerSettings(
            time_scales=seconds(given["time_scales_s"]),
            bands=kev(given["bands_kev"]),
            threshold=given["threshold"],
            background=seconds(given["background_s"]),
            min_background=seconds(given["min_background_s"]),
            guard=seconds(given["guard_s"]),
        ),
        bin=seconds(given["bin_s"]),
        background=seconds(given["position_background_s"]),
        follow=seconds(given["follow_s"]),
    )


def _draw(task: Task, product: "Product", attitude: Any, found: "Localisation") -> None:
    """Draw the sky. Any: ndarray, imported late."""
    from .quicklook_sky import map_figure, sky_figure

    task.say("drawing")
    title = f"{product.card} {product.observed.burst_id}"
    if found.image is not None:
        task.picture(product, sky_figure(found, attitude, title=title))
    elif found.map is not None:
        task.picture(product, map_figure(found, attitude, title=title))
