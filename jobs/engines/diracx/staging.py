"""On the node: inputs are brought from the storage and products into it, and both recorded."""

import copy
import itertools
import json
import os
from pathlib import Path
from typing import Any

from jobs.storage import (
    ANY_OUTPUT,
    LfnTemplate,
    StorageElement,
    StorageOptions,
    StoredFile,
    is_lfn,
    stage_in,
    stage_out,
)
from provmanager.capture import Run
from provmanager.capture.files import files_under
from provmanager.errors import JSONDict

from ..local.directory import RunDirectory
from ..local.places import each_place, path_of
from .package import scalars

STAGED = "staged"
"""Folder below the job's for what comes from the storage."""


def bring_in(inputs: Any, folder: Path, storage: StorageElement | None, activity: Run) -> Any:
    """Copy the LFNs of an inputs object to this node; return it with their paths instead.

    Any: CWL's inputs object. They are inputs of the job's activity: each is one product with what
    has that LFN, and these bytes, elsewhere.

    Raises
    ------
    NotFoundError, DifferenceError
        One is not there, or has another digest than the record has.
    """
    found = copy.deepcopy(inputs)
    numbers = itertools.count()
    for name, value in found.items():
        places = list(each_place(value))
        beside = {id(s): p for p in places for s in each_place(p.get("secondaryFiles") or [])}
        folders: dict[int, Path] = {}
        for place in places:
            expected = place.pop("sha256", None)
            location = str(place.get("location") or "")
            if not is_lfn(location):
                continue
            assert storage is not None  # nothing is submitted without
            main = beside.get(id(place), place)
            if id(main) not in folders:
                folders[id(main)] = folder / STAGED / str(next(numbers))
            path = folders[id(main)] / Path(place.get("basename") or location).name
            stored = stage_in(storage, location, path, expected=expected)
            activity.input(path, role=name, lfn=stored.lfn, locations=[stored.url])
            place["location"] = path.as_uri()
    return found


def store_products(
    job: JSONDict, directory: RunDirectory, storage: StorageElement, activity: Run
) -> dict[str, StoredFile]:
    """Copy the products into the storage; return what stands there, by path on this node.

    They become outputs of the job's activity, with their LFNs, as soon as they are stored.

    Raises
    ------
    DifferenceError
        There is another file of that name.
    """
    options = StorageOptions.read(job["storage"], "storage")
    inputs = scalars(job["inputs"])
    templates = options.templates(inputs)
    fixed = {
        **inputs,
        "pipeline": job["name"],
        "run": job["id"],
        "job": os.environ.get("DIRACJOBID") or os.environ.get("JOBID") or "0",
        "owner": os.environ.get("PROV_AGENT") or "nobody",
    }
    stored: dict[str, StoredFile] = {}
    for name, path in _files(directory):
        template = templates.get(name, templates.get(ANY_OUTPUT))
        if template is None or path in stored:
            continue
        lfn = _lfn(template, path, directory, {**fixed, "output": name})
        stored[path] = stage_out(storage, Path(path), lfn)
        activity.output(path, role=name, lfn=lfn, locations=[stored[path].url])
    return stored


def _files(directory: RunDirectory) -> list[tuple[str, str]]:
    """Return (name of the output, path) of the files that the workflow gave."""
    outputs = json.loads(directory.outputs_file.read_text(encoding="utf-8"))
    found = []
    for name, value in outputs.items():
        for place in each_place(value):
            path = path_of(place)
            if path is not None:
                found += [(name, file) for file in files_under(path)] or [(name, path)]
    return [(name, path) for name, path in found if os.path.isfile(path)]


def _lfn(
    template: LfnTemplate, path: str, directory: RunDirectory, values: dict[str, Any]
) -> str:  # Any: texts and numbers
    return template.lfn(os.path.relpath(path, directory.products), **values)
