"""`eclgrm otloc`: the trigger and the position."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand

from .reading import covering, kev, read_burst, seconds
from .task import Task, TaskOptions, file_argument, open_task, task_options

if TYPE_CHECKING:
    from analysis.eclgrm.burst import BurstData
    from analysis.eclgrm.otloc import Localisation, OtlocSettings
    from analysis.eclgrm.products import Product


@click.command("otloc", cls=ToolCommand)
@file_argument("burst")
@click.option("--instrument", type=click.Choice(["ECL", "GRM"]), required=True, help="Whose data.")
@task_options
def main(burst: Path, instrument: str, options: TaskOptions) -> None:
    """Find when the burst in the file BURST triggers one instrument, and where it is.

    \b
    Example:
      eclgrm otloc BURST_sb26112101.fits --instrument ECL

    Writes TT (the trigger), QCL (how sure it is) and QPO: by the coded mask of ECLAIRs, by the
    ratios of the rates of GRM's detectors; and a picture of the sky. A trigger without a position
    is a result: QPO then has no row, and its header says why. Without a trigger the task fails.
    """
    with open_task("otloc", options, part=instrument) as task:
        _run(task, burst, instrument)


def _run(task: Task, burst: Path, instrument: Any) -> None:
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
    product = position_products.quick_position(what, found, attitude=data.attitude)
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
    _draw(task, product, data, found)


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


def _draw(task: Task, product: "Product", data: "BurstData", found: "Localisation") -> None:
    """Draw the sky."""
    from .quicklook_sky import map_figure, sky_figure

    task.say("drawing")
    title = f"{product.card} {product.observed.burst_id}"
    if found.image is not None:
        task.picture(product, sky_figure(found, data.attitude, title=title))
    elif found.map is not None:
        task.picture(product, map_figure(found, data.attitude, title=title))
