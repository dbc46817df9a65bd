"""`eclgrm class`: short, long or soft."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.tools.process import ToolCommand, WrongUseError

from .reading import file_option, read_card
from .task import Task, TaskOptions, open_task, task_options

if TYPE_CHECKING:
    from analysis.eclgrm.product_io import StoredProduct

DURATIONS = ("QT90_GRM", "QT90_ECL")
HARDNESSES = ("QHR_ECLGRM", "QHR_GRM", "QHR_ECL")
"""Cards in the order in which they are taken: the classes were trained on 20 to 300 keV."""


@click.command("class", cls=ToolCommand)
@file_option("--durations", "QT90; of several, that of GRM counts.", multiple=True)
@file_option("--hardness", "QHR; of several, that with H32.", multiple=True)
@task_options
def main(durations: tuple[Path, ...], hardness: tuple[Path, ...], options: TaskOptions) -> None:
    """Classify a burst as short, long or soft from T90 and the ratio of its fluences, H32.

    \b
    Example:
      eclgrm class --durations QT90_GRM_sb26112101.fits --hardness QHR_ECLGRM_sb26112101.fits

    The classes are those of the BATSE catalogue. Where T90 or H32 is not known the other alone
    decides. Writes CRCLASS, and a picture of the burst among the classes.
    """
    with open_task("class", options) as task:
        _run(task, durations, hardness)


def _run(task: Task, durations: tuple[Path, ...], hardness: tuple[Path, ...]) -> None:
    """Read, classify, write."""
    import astropy.units as u
    import numpy as np

    from analysis.eclgrm.classification import batse_mixture, classify
    from analysis.eclgrm.spectral_products import burst_class

    if not durations and not hardness:
        raise WrongUseError("nothing to classify by: give --durations, --hardness or both")
    timed = [read_card(task, path, "durations", *DURATIONS) for path in durations]
    hard = [read_card(task, path, "hardness", *HARDNESSES) for path in hardness]
    _same(timed + hard)
    t90, t90_error, t90_card = _duration(task, timed)
    h32, h32_error, h32_card = _hardness(task, hard)
    if not (np.isfinite(t90) or np.isfinite(h32)):
        raise ValueError("neither T90 nor H32 is known: the burst cannot be classified")
    mixture = batse_mixture()
    result = classify(
        np.array([t90]) * u.s,
        np.array([h32]),
        duration_error=np.array([t90_error]) * u.s,
        hardness_error=np.array([h32_error]),
        mixture=mixture,
    )
    product = burst_class(
        (timed + hard)[0].observed,
        result,
        duration=(t90 * u.s, t90_error * u.s),
        fluence_ratio=(h32, h32_error),
        sources=(t90_card, h32_card),
    )
    task.write(product)
    shares = dict(zip(("short", "long", "soft"), result.probabilities[0], strict=True))
    label = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    from .quicklook import class_figure

    figure = class_figure(
        mixture,
        (t90, t90_error),
        (h32, h32_error),
        label=f"{result.labels[0]} ({label})",
        title=f"CRCLASS {product.observed.burst_id}",
    )
    task.picture(product, figure)
    task.value("class", str(result.labels[0]))
    for name, share in shares.items():
        task.value(f"P({name})", float(share))


def _same(stored: "list[StoredProduct]") -> None:
    from analysis.eclgrm.io import InputFileError

    first = stored[0].observed.burst_id
    for one in stored[1:]:
        if one.observed.burst_id != first:
            raise InputFileError(
                one.path,
                "extension PRIMARY, keyword BURST_ID",
                repr(one.observed.burst_id),
                f"{first!r}, the burst of {stored[0].path.name}",
            )


def _duration(task: Task, stored: "list[StoredProduct]") -> tuple[float, float, str]:
    if not stored or not task.settings["use_duration"]:
        return float("nan"), 0.0, ""
    best = min(stored, key=lambda one: DURATIONS.index(one.card))
    return (
        float(best.value("QT90", "T90").value),
        float(best.value("QT90", "T90_ERR").value),
        best.card,
    )


def _hardness(task: Task, stored: "list[StoredProduct]") -> tuple[float, float, str]:
    import numpy as np

    if task.settings["use_hardness"]:
        for one in sorted(stored, key=lambda one: HARDNESSES.index(one.card)):
            value, low, high = (
                float(one.value("FLUENCE_RATIO", name)) for name in ("H32", "H32_LO", "H32_HI")
            )
            if np.isfinite(value):
                return value, 0.5 * (high - low), one.card
    return float("nan"), 0.0, ""
