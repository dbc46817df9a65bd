"""What several tasks read: the burst, its responses, and settings as quantities."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .task import Function, Task

if TYPE_CHECKING:
    from astropy.units import Quantity

    from analysis.eclgrm.burst import BurstData, DetectorEvents, Instrument
    from analysis.eclgrm.product_io import StoredProduct
    from analysis.eclgrm.response import Response


def file_option(
    name: str, told: str, *, into: str | None = None, **options: Any
) -> "Callable[[Function], Function]":
    """Add an option that names a file, given as `into`. Any: what click takes."""
    shown = f"{told} Repeatable." if options.get("multiple") else told
    kind = click.Path(path_type=Path)
    names = [name] if into is None else [name, into]
    return click.option(*names, metavar="FILE", type=kind, help=shown, **options)


def read_burst(task: Task, path: Path) -> "BurstData":
    """Read the burst file."""
    from analysis.eclgrm import burst_io

    task.say(f"reading {path.name}")
    return task.read(burst_io.read_burst, path, "burst")


def read_card(task: Task, path: Path, role: str, *cards: str) -> "StoredProduct":
    """Read a product that has one of some cards; `role` is what it is to the task."""
    from analysis.eclgrm.product_io import read_product

    return task.read(lambda found: read_product(found, *cards), path, role)


def read_responses(
    task: Task, paths: Sequence[Path]
) -> "tuple[dict[str, Response], list[StoredProduct]]":
    """Read the responses of all detectors from RSP products."""
    from analysis.eclgrm import ogip

    found: dict[str, Response] = {}
    products = []
    for path in paths:
        product = read_card(task, path, "response", "RSP_ECL", "RSP_GRM")
        found |= dict(zip(product.observed.detectors, ogip.read_responses(path), strict=True))
        products.append(product)
    return found, products


def read_measured(
    task: Task, burst: Path, durations: Sequence[Path], responses: Sequence[Path]
) -> "tuple[BurstData, list[StoredProduct], dict[str, Response]]":
    """Read a burst with its QT90 and its responses: what spectra are made from."""
    data = read_burst(task, burst)
    stored = [read_card(task, path, "durations", "QT90_ECL", "QT90_GRM") for path in durations]
    matrices, response_products = read_responses(task, responses)
    same_burst(data, *stored, *response_products)
    return data, stored, matrices


def same_burst(data: "BurstData", *products: "StoredProduct") -> None:
    """Refuse products of another burst.

    Raises
    ------
    InputFileError
        BURST_ID differs.
    """
    from analysis.eclgrm.io import InputFileError

    for product in products:
        if product.observed.burst_id != data.burst_id:
            raise InputFileError(
                product.path,
                "extension PRIMARY, keyword BURST_ID",
                repr(product.observed.burst_id),
                f"{data.burst_id!r}, the burst of the photons",
            )


def covering(
    data: "BurstData", instrument: "Instrument", *bands: "Quantity"
) -> "tuple[DetectorEvents, ...]":
    """Return the detectors of an instrument whose channels reach over all bands.

    Raises
    ------
    ValueError
        None does.
    """
    import astropy.units as u

    detectors = data.of_instrument(instrument)
    low = min(band.min() for band in bands)
    high = max(band.max() for band in bands)
    found = tuple(
        one
        for one in detectors
        if one.events.energy[:, 0].min() <= low and one.events.energy[:, 1].max() >= high
    )
    if not found:
        held = ", ".join(
            f"{one.name} {one.events.energy.min():.4g} to {one.events.energy.max():.4g}"
            for one in detectors
        )
        raise ValueError(
            f"no detector of {instrument} reaches over {low.to(u.keV):.4g} to {high.to(u.keV):.4g}:"
            f" there are {held}; change the bands of the configuration"
        )
    return found


def kev(values: Any) -> "Quantity":
    """Make energies of a setting. Any: numbers, or lists of them."""
    import astropy.units as u

    return u.Quantity(values, u.keV, dtype=float)


def seconds(values: Any) -> "Quantity":
    """Make times of a setting. Any: numbers, or lists of them."""
    import astropy.units as u

    return u.Quantity(values, u.s, dtype=float)


def energy_ranges(setting: dict[str, Any]) -> "dict[str, list[tuple[Quantity, Quantity]]]":
    """Make the ranges of a setting that has a list of ranges for each detector. Any: JSON."""
    return {
        name: [(kev(low), kev(high)) for low, high in ranges] for name, ranges in setting.items()
    }
