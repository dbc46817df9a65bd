"""On the node: what goes home in the output sandbox."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs.storage import StoredFile

from ..local.directory import RunDirectory, write_json
from ..local.places import each_place, path_of
from .former import link, made_files

LARGEST_BYTES = 90_000_000
"""Most bytes of products that go home in the sandbox, of which DiracX takes 100 MB."""

_SMALL = ("state.jsonl", "provenance.jsonl", "outputs.json", "run.log")


def gather(
    directory: RunDirectory, result: Path, stored: Mapping[str, StoredFile], *, with_products: bool
) -> None:
    """Bring together what goes home: state, records, logs, products, and what steps made.

    Products stay behind if they are larger than a sandbox may be, or, of those that are `stored`,
    without `with_products`; what steps made, for a run that resumes this one, if there is no room.
    """
    made = set(made_files(directory))
    products = {path for path in made if path.is_relative_to(directory.products)}
    if stored and not with_products:
        made -= {path for path in made if path not in products}
        products = {path for path in products if str(path) not in stored}
    if _size_bytes(products) > LARGEST_BYTES:
        where = "in the storage" if stored else "on the node"
        text = (
            f"the products ({_size_bytes(products)} bytes) are larger than a sandbox may be: they "
            f"are {where}"
        )
        directory.append("note", text=text)
        products = set()
    if stored:
        _tell_places(directory, stored, {str(path) for path in products})
    for name in _SMALL:
        if (directory.path / name).exists():
            shutil.copy2(directory.path / name, result / name)
    made = {path for path in made if not path.is_relative_to(directory.products)}
    if _size_bytes(products | made) > LARGEST_BYTES:
        made = set()
    logs = {*directory.steps.glob("*/tool.prov.json"), *directory.steps.glob("*/std*.log")}
    for path in sorted(logs | products | made):
        target = result / path.relative_to(directory.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        link(path, target)


def _size_bytes(paths: Iterable[Path]) -> int:
    """Return how many bytes files have, those with several names once."""
    found = {(status.st_dev, status.st_ino): status.st_size for status in map(os.stat, paths)}
    return sum(found.values())


def _tell_places(
    directory: RunDirectory, stored: Mapping[str, StoredFile], going: set[str]
) -> None:
    """Say in the state and the outputs where the products lie, now that they are stored."""
    ended: Any = None  # Any: JSON
    for event in directory.events():
        if event["event"] == "ended":
            ended = event
    for product in ended["products"] if ended else ():
        found = stored.get(product["path"])
        if found is not None:
            product["lfn"] = f"LFN:{found.lfn}"
            if product["path"] not in going:
                product["path"] = product["lfn"]
    if ended:
        told = {k: v for k, v in ended.items() if k not in ("event", "at")}
        directory.append("ended", **told)
    outputs = json.loads(directory.outputs_file.read_text(encoding="utf-8"))
    for place in each_place(outputs):
        path = path_of(place)
        if path is not None and path in stored and path not in going:
            place["location"] = f"LFN:{stored[path].lfn}"
            place.pop("path", None)
    write_json(directory.outputs_file, outputs)
