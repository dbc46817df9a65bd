"""`eclgrm otloc`: the trigger and the position."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand

from .reading import covering, kev, read_burst, seconds
from .task import Task, TaskOptions, file_argument, open_task, task_options

if TYPE_CHECKING:
    from analysis.eclgrm.burst import BurstData
    from analysis.eclgrm.trigger import Trigger


@click.command("otloc", cls=ToolCommand)
@file_argument("burst")
@click.option("--instrument", type=click.Choice(["ECL", "GRM"]), required=True, help="Whose data.")
@task_options
def main(burst: Path, instrument: str, options: TaskOptions) -> None:
    """Find when the burst in the file BURST triggers one instrument, and where it is.

    \b
    Example:
      eclgrm otloc BURST_sb26112101.fits --instrument ECL

    Writes TT.
    """
    with open_task("otloc", options) as task:
        _run(task, burst, instrument)


def _run(task: Task, burst: Path, instrument: Any) -> None:
    from analysis.eclgrm import products

    data = read_burst(task, burst)
    trigger = _trigger(task, data, instrument)
    what = products.observed(data, [one.name for one in data.of_instrument(instrument)])
    task.write(products.trigger_time(what, instrument, trigger))
    task.value("T0", float(trigger.stop.value), "s")
    task.value("SNR", trigger.snr)


def _trigger(task: Task, data: "BurstData", instrument: Any) -> "Trigger":
    """Search the count rate. Any: ECL or GRM."""
    from analysis.eclgrm.burst import light_curve
    from analysis.eclgrm.trigger import TriggerSettings, find_trigger

    settings = task.settings[instrument]
    bands = kev(settings["bands_kev"])
    detectors = covering(data, instrument, bands)
    curve = light_curve(detectors, seconds(settings["bin_s"]))
    chosen = TriggerSettings(
        time_scales=seconds(settings["time_scales_s"]),
        bands=bands,
        threshold=settings["threshold"],
        background=seconds(settings["background_s"]),
        min_background=seconds(settings["min_background_s"]),
        guard=seconds(settings["guard_s"]),
    )
    found = find_trigger(curve, settings=chosen)
    if found is None:
        raise ValueError(
            f"no trigger: no window of {', '.join(one.name for one in detectors)} reaches a "
            f"signal-to-noise ratio of {chosen.threshold:g}"
        )
    return found
