"""`eclgrm simulate`: a burst as ECLAIRs and GRM would record it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand, WrongUseError

from .import_gbm import burst_header
from .reading import seconds
from .task import Task, TaskOptions, open_task, seed_option, task_options

if TYPE_CHECKING:
    from analysis.eclgrm.reference_burst import ReferenceBurst
    from analysis.eclgrm.simulator import Scene


@click.command("simulate", cls=ToolCommand)
@task_options
@seed_option("simulate")
@click.option(
    "--profile",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="BATSE 64-ms light curve (cat64ms.NNNNN) to take the profile from, without its noise.",
)
def main(profile: Path | None, options: TaskOptions) -> None:
    """Simulate a burst: its photons, and those of the background, in every detector.

    \b
    Examples:
      eclgrm simulate --seed 7
      eclgrm simulate --set simulate.off_axis_deg=20 --set simulate.burst_id=sb26112102
      eclgrm simulate --profile cat64ms.00143 --set simulate.peak_flux=30

    By default GRB 980329 as a parametric burst: made to have the durations, peak fluxes and
    fluences that BATSE published, not its real light curve. simulate.burst=pulses takes pulses and
    a Band function of the settings. The same settings give the same photons. Writes
    BURST_NAME.fits; what was put in stands in its extension TRUTH, which no other task reads.
    """
    with open_task("simulate", options, type="Simulation") as task:
        _run(task, profile)


def _run(task: Task, profile: Path | None) -> None:
    """Make the burst, draw, write."""
    import numpy as np

    from analysis.eclgrm.burst_io import write_burst
    from analysis.eclgrm.product_io import burst_file_name
    from analysis.eclgrm.simulator import SimulationSettings, simulate

    settings = task.settings
    burst = _burst(task, profile)
    task.say(f"drawing the photons of {burst.name}")
    drawn = simulate(
        burst,
        _scene(settings),
        rng=np.random.default_rng(settings["seed"]),
        burst_id=settings["burst_id"],
        obs_id=settings["obs_id"],
        settings=SimulationSettings(
            start=seconds(settings["start_s"]), stop=seconds(settings["stop_s"])
        ),
    )
    path = task.folder / burst_file_name("BURST", drawn.burst_id)
    task.say(f"writing {path.name}")
    write_burst(drawn, path, header=burst_header(task.making()))
    task.add(path, "burst")
    task.value("burst", f"{burst.name} ({burst.origin})" if burst.origin else burst.name)
    for one in drawn.detectors:
        task.value(f"{one.name} events", one.events.time.size)


def _burst(task: Task, profile: Path | None) -> "ReferenceBurst":
    import astropy.units as u
    import numpy as np

    from analysis.eclgrm.grb980329 import grb980329
    from analysis.eclgrm.io import read_batse_64ms
    from analysis.eclgrm.reference_burst import ReferenceBurst, observed_profile, pulses_profile
    from analysis.eclgrm.spectral_models import BAND

    settings = task.settings
    if profile is None and settings["burst"] == "GRB 980329":
        return grb980329()
    values = np.array([1.0, settings["alpha"], settings["e_peak_kev"], settings["beta"]])
    if not BAND.is_defined(values):
        raise WrongUseError(
            f"simulate: alpha {settings['alpha']} and beta {settings['beta']}; the Band function "
            "needs alpha > beta"
        )
    if profile is None:
        edges = np.arange(settings["start_s"], settings["stop_s"], 0.016)
        shape = pulses_profile(settings["pulses"], edges, peakedness=settings["peakedness"])
        name, origin = settings["name"], "parametric"
    else:
        curve = task.read(read_batse_64ms, profile, "light curve")
        shape = observed_profile(curve, settings["peak_flux"] / (u.cm**2 * u.s))
        name, origin = profile.name, "profile of a real light curve, without its noise"
    return ReferenceBurst(name, shape, BAND, values, hardness=settings["hardness"], origin=origin)


def _scene(settings: dict[str, Any]) -> "Scene":
    """Place spacecraft, burst and Earth. Any: JSON."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from astropy.time import Time

    from analysis.eclgrm.attitude import pointing
    from analysis.eclgrm.simulator import Scene

    source = SkyCoord(settings["ra_deg"] * u.deg, settings["dec_deg"] * u.deg, frame="icrs")
    axis = source.directional_offset_by(
        settings["offset_angle_deg"] * u.deg, settings["off_axis_deg"] * u.deg
    )
    earth = settings["earth_angle_deg"]
    return Scene(
        attitude=pointing(axis.ra, axis.dec, settings["roll_deg"] * u.deg),
        source=source,
        trigger=Time(settings["trigger"], scale="utc"),
        earth=None
        if earth is None
        else axis.directional_offset_by(settings["offset_angle_deg"] * u.deg, earth * u.deg),
    )
