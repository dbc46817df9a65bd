"""`eclgrm rsp`: the responses of one instrument to the burst."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.tools.process import ToolCommand, WrongUseError

from .reading import covering, file_option, kev, read_burst, read_card, same_burst, seconds
from .task import Task, TaskOptions, file_argument, open_task, task_options

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from analysis.eclgrm.burst import BurstData, DetectorEvents
    from analysis.eclgrm.product_io import StoredProduct
    from analysis.eclgrm.response import Response


@click.command("rsp", cls=ToolCommand)
@file_argument("burst")
@click.option("--instrument", type=click.Choice(["ECL", "GRM"]), required=True, help="Whose.")
@file_option(
    "--position",
    "Where the burst is: QPO. Of several, the one of the smallest R90.",
    into="positions",
    multiple=True,
)
@file_option(
    "--matrix",
    "Calibrated response of the mission (RSP, RSP2), instead of a model.",
    into="matrices",
    multiple=True,
)
@task_options
def main(
    burst: Path,
    instrument: str,
    positions: tuple[Path, ...],
    matrices: tuple[Path, ...],
    options: TaskOptions,
) -> None:
    """Make the responses of one instrument to the burst in the file BURST.

    \b
    Examples:
      eclgrm rsp BURST_sb26112101.fits --instrument GRM --position QPO_ECL_sb26112101.fits
      eclgrm rsp BURST_bn080916009.fits --instrument GRM \\
          --matrix glg_cspec_n3_bn080916009_v00.rsp2 --matrix glg_cspec_b0_bn080916009_v00.rsp2

    No calibrated response of SVOM is public: without --matrix, RSP is a parametric model and its
    header says so (RSPKIND). Of a file with matrices for several intervals of time the mean is
    taken, weighed by the counts of the burst in each.
    """
    with open_task("rsp", options, type="Calibration", part=instrument) as task:
        _run(task, burst, instrument, positions, matrices)


def _run(
    task: Task,
    burst: Path,
    instrument: Any,
    positions: tuple[Path, ...],
    matrices: tuple[Path, ...],
) -> None:
    """Read, make, write. Any: ECL or GRM."""
    import astropy.units as u

    from analysis.eclgrm.products import observed
    from analysis.eclgrm.spectral_products import responses

    data = read_burst(task, burst)
    stored = [read_card(task, path, "position", "QPO_ECL", "QPO_GRM") for path in positions]
    same_burst(data, *stored)
    place = _place(task, data, stored)
    task.say("making responses")
    if matrices:
        found = _calibrated(task, data, instrument, matrices)
    elif data.telescope == "SVOM":
        found = _parametric(data, data.of_instrument(instrument), place)
    else:
        raise WrongUseError(
            f"the detectors of {data.telescope} have no model of their response here: give the "
            "files of the mission with --matrix"
        )
    what = observed(data, list(found))
    position = None if place is None else u.Quantity([place.ra.to(u.deg), place.dec.to(u.deg)])
    product = responses(what, instrument, found, is_parametric=not matrices, position=position)
    task.write(product)
    for name, response in found.items():
        task.value(f"{name} largest effective area", response.effective_area_cm2.max(), "cm2")


def _place(task: Task, data: "BurstData", stored: "list[StoredProduct]") -> "SkyCoord | None":
    """Return the position of the smallest error; without one, that of the burst file if asked."""
    from astropy.coordinates import SkyCoord

    located = [one for one in stored if one.header["QPSTATUS"] == "located"]
    if not located:
        is_known = data.source is not None and task.settings["use_known_position"]
        return data.source.icrs if is_known else None
    best = min(located, key=lambda one: float(one.value("QPO", "R90").value))
    return SkyCoord(best.value("QPO", "RA"), best.value("QPO", "DEC"), frame="icrs")


def _parametric(
    data: "BurstData", detectors: "tuple[DetectorEvents, ...]", place: "SkyCoord | None"
) -> "dict[str, Response]":
    from analysis.eclgrm.attitude import to_instrument
    from analysis.eclgrm.eclairs import stand_in_mask
    from analysis.eclgrm.eclairs_response import eclairs_response
    from analysis.eclgrm.grm_response import grm_response

    if place is None or data.attitude is None:
        missing = (
            "a position: a QPO that has one (--position), or the setting use_known_position"
            if place is None
            else "the attitude in the burst file"
        )
        raise WrongUseError(f"a parametric response needs {missing}")
    towards = to_instrument(place, data.attitude)
    earth = None if data.earth is None else to_instrument(data.earth, data.attitude)
    return {
        one.name: (
            eclairs_response(towards, stand_in_mask())
            if one.instrument == "ECL"
            else grm_response(one.name, towards, earth=earth)
        )
        for one in detectors
    }


def _calibrated(
    task: Task, data: "BurstData", instrument: Any, paths: tuple[Path, ...]
) -> "dict[str, Response]":
    """Find the file of each detector by its DETNAM, and average what it holds. Any: ECL or GRM."""
    import astropy.units as u
    import numpy as np

    from analysis.eclgrm.burst_io import gbm_detector
    from analysis.eclgrm.io import InputFileError
    from analysis.eclgrm.ogip import read_responses
    from analysis.eclgrm.response import check_channels

    detectors = data.of_instrument(instrument)
    bright = covering(data, instrument, kev(task.settings["search_kev"]))
    found: dict[str, Response] = {}
    by_name = {one.name: one for one in detectors}
    for path in paths:
        matrices = task.read(read_responses, path, "response matrix")
        name = gbm_detector(path)
        if name not in by_name:
            raise InputFileError(
                path, "extension PRIMARY", f"detector {name}", f"one of {', '.join(by_name)}"
            )
        response = _averaged(task, bright, matrices)
        energy = by_name[name].events.energy
        check_channels(
            response,
            np.arange(len(energy)),
            energy[:, 0].to_value(u.keV),
            name=f"burst {data.burst_id}[EVENTS_{name}]",
        )
        found[name] = response
    missing = [name for name in by_name if name not in found]
    if missing:
        raise WrongUseError(f"no --matrix of {', '.join(missing)}; each detector needs its own")
    return {name: found[name] for name in by_name}


def _averaged(
    task: Task,
    detectors: "tuple[DetectorEvents, ...]",
    matrices: "tuple[Response, ...]",
) -> "Response":
    """Weigh the matrices of a file by the counts of the burst while each holds."""
    from analysis.eclgrm.burst import light_curve
    from analysis.eclgrm.interval import burst_weights
    from analysis.eclgrm.response import combine_responses

    if len(matrices) == 1:
        return matrices[0]
    curve = light_curve(detectors, seconds(1.024), bands=kev([task.settings["search_kev"]]))
    return combine_responses(matrices, burst_weights(curve, matrices))
