"""`eclgrm import-gbm`: a burst file of GBM event files."""

from pathlib import Path
from typing import Any

import click

from analysis.tools.process import ToolCommand

from .task import TaskOptions, file_argument, open_task, task_options


@click.command("import-gbm", cls=ToolCommand)
@file_argument("events", nargs=-1, required=True)
@click.option("--burst-id", help="Name of the burst; from the files, such as bn080916009.")
@task_options
def main(events: tuple[Path, ...], burst_id: str | None, options: TaskOptions) -> None:
    """Make one burst file of the event files (TTE) of Fermi GBM, one EVENTS file a detector.

    \b
    Example:
      eclgrm import-gbm glg_tte_n3_bn080916009_v01.fit.gz glg_tte_b0_bn080916009_v01.fit.gz

    The detectors play the part of GRM and keep their names (N3, B0). Writes
    BURST_NAME.fits, which every other task reads.
    """
    with open_task("import-gbm", options, type="Reduction") as task:
        from analysis.eclgrm.burst_io import import_gbm, write_burst
        from analysis.eclgrm.product_io import burst_file_name

        for path in events:
            task.read(lambda found: found, path, role="events")
        task.say("reading events")
        burst = import_gbm(events, burst_id=burst_id)
        path = task.folder / burst_file_name("BURST", burst.burst_id)
        write_burst(burst, path, header=burst_header(task.making()))
        task.add(path, "burst")
        task.value("n_events", sum(one.events.time.size for one in burst.detectors))


def burst_header(making: Any) -> dict[str, str]:
    """Say in the header of a burst file what made it. Any: a Making, imported late."""
    return {
        "ACTID": making.activity_id,
        "CFGHASH": making.configuration_sha256,
        **{f"INP{n:03d}": name for n, (name, _) in enumerate(making.inputs, start=1)},
        **{f"INH{n:03d}": sha256 for n, (_, sha256) in enumerate(making.inputs, start=1)},
    }
