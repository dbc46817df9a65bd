"""A run that is resumed on the grid: what it made goes to the node, and is found there.

Where a run was made, and where its directory lies now, are told by ``node.json`` in it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from provmanager.capture.files import files_under
from provmanager.errors import JSONDict, NotFoundError, UsageError
from provmanager.model import attempt_of

from ..local.directory import PLACE_FILE, RunDirectory, read_lines, write_json
from ..local.places import each_place, path_of
from .names import JOB_RECORD

FORMER = "former"
"""Folder of the package and of the job for the runs that it resumes, the latest first."""

ATTEMPTS = "attempts"
"""Folder for former attempts, each by its number: of a run's directory, or of a job on a node."""


def pack_formers(directory: RunDirectory, package: Path) -> list[str]:
    """Put a former run, and those that it resumed itself, into a package.

    Returns their directories here, in that order.

    Raises
    ------
    UsageError
        It has no record.
    """
    homes: list[str] = []
    at: RunDirectory | None = directory
    while at is not None and str(at.path) not in homes:
        _pack(at, package / FORMER / str(len(homes)))
        homes.append(str(at.path))
        before = at.info().get("resumes")
        at = RunDirectory(Path(before)) if before else None
        if at is not None and not at.run_file.is_file():
            at = None
    return homes


def _pack(directory: RunDirectory, target: Path) -> None:
    if not directory.record_file.is_file():
        raise UsageError(
            f"run {directory.info()['id']} left no record: it cannot be resumed; submit it anew"
        )
    target.mkdir(parents=True)
    for path in (directory.run_file, directory.record_file):
        shutil.copy2(path, target / path.name)
    write_json(target / PLACE_FILE, {"directory": directory.origin})
    for path in made_files(directory):
        copy = target / path.relative_to(directory.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        link(path, copy)


def made_files(directory: RunDirectory) -> Iterator[Path]:
    """Yield the products of a run and what its completed steps made, as far as they are here."""
    found: dict[str, None] = dict.fromkeys(files_under(str(directory.products)))
    for record in directory.moved_records():
        if record.get("status") == "completed":
            for place in each_place(record.get("attributes", {}).get("cwl", {}).get("outputs")):
                place_path = path_of(place)
                if place_path is not None:
                    found.update(dict.fromkeys([place_path, *files_under(place_path)]))
    for name in found:
        path = Path(name)
        if path.is_relative_to(directory.path) and path.is_file():
            yield path


def link(path: Path, target: Path) -> None:
    """Give a file another name: a sandbox holds what has several names once."""
    try:
        os.link(os.path.realpath(path), target)
    except OSError:  # another file system, or one without links
        shutil.copy2(path, target)


def place_formers(folder: Path, homes: list[str]) -> dict[str, str]:
    """On the node: have the former runs name each other; return their places here and at home."""
    places = [folder / FORMER / str(number) for number in range(len(homes))]
    for number, place in enumerate(places):
        before = places[number + 1] if number + 1 < len(places) else None
        directory = RunDirectory(place)
        info: JSONDict = directory.info()
        write_json(directory.run_file, info | {"resumes": str(before) if before else None})
    return dict(zip(map(str, places), homes, strict=True))


def attempt_in(result: Path) -> int | None:
    """Return which attempt of its job left a result; None if it does not say."""
    for record in read_lines(result / JOB_RECORD):
        found = attempt_of(record.get("job"))
        if found is not None:
            return found.number
    return None


def place_attempts(info: JSONDict, results: list[Path], resumes: str | None) -> dict[str, str]:
    """On the node: make what former attempts left, the last one first, directories of this run.

    Returns their places here, and below the run's directory at home.
    """
    usable = [path for path in results if RunDirectory(path).record_file.is_file()]
    before = resumes
    for path in reversed(usable):
        write_json(RunDirectory(path).run_file, info | {"resumes": before})
        before = str(path)
    return {str(path): f"{ATTEMPTS}/{path.name}" for path in usable}


def places_at_home(result: Path, home: Path) -> dict[str, str]:
    """Return which path of the node is which one here, of a result that came home."""
    try:
        told = json.loads((result / PLACE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    formers = {there: str(home / place) for there, place in told.get("formers", {}).items()}
    return {told["directory"]: str(home), **formers}


def find_former(name: str, *folders: Path) -> RunDirectory:
    """Return the directory of a run of any engine, by its id or path.

    Raises
    ------
    NotFoundError, AmbiguousError
        There is none, or several begin so.
    """
    from ..local import LocalEngine

    for folder in folders[:-1]:
        try:
            return LocalEngine(folder).find(name)
        except NotFoundError:
            continue
    return LocalEngine(folders[-1]).find(name)
