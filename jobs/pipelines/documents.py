"""Which pipelines there are by name, and where their documents lie."""

import difflib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from provmanager.errors import NotFoundError, UsageError

_SUFFIXES = (".cwl", ".json", ".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a workflow lies.

    Attributes
    ----------
    name : str
        Name of the pipeline, else the file's name without its ending.
    location : str
        Path or URL; a fragment (``#main``) names one process of several in it.
    defaults : Path or None
        The pipeline's own inputs object, which what the user gives comes on top of.
    """

    name: str
    location: str
    defaults: Path | None = None


def pipeline_names() -> list[str]:
    """Return the names of the pipelines that are installed."""
    folder = files("jobs.pipelines")
    return sorted(f.name for f in folder.iterdir() if (f / "workflow.json").is_file())


def find_document(source: str) -> Found:
    """Return the document that `source` names: a pipeline, a file (perhaps with ``#name``), a URL.

    Raises
    ------
    NotFoundError
        There is neither such a pipeline nor such a file.
    UsageError
        `source` is a folder.
    """
    if source.startswith(("http://", "https://", "file://")):
        return Found(_stem(source), source)
    path, hash_, fragment = source.partition("#")
    if source in pipeline_names():
        folder = Path(str(files("jobs.pipelines") / source))
        defaults = folder / "config.json"
        found = defaults if defaults.is_file() else None
        return Found(source, str(folder / "workflow.json"), found)
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; name the CWL file in it")
    if Path(path).is_file():
        place = Path(path).absolute()
        return Found(_stem(source), f"{place.as_uri()}#{fragment}" if hash_ else str(place))
    if path.endswith(_SUFFIXES) or "/" in path:
        raise NotFoundError(f"there is no file {path}")
    names = pipeline_names()
    raise NotFoundError(
        f"there is no pipeline {source!r}, and no file of that name; pipelines are: "
        f"{', '.join(names) or 'none'}",
        suggestions=difflib.get_close_matches(source, names) or None,
    )


def _stem(source: str) -> str:
    path, _, fragment = source.partition("#")
    if fragment and fragment != "main":
        return fragment
    place = Path(path.rpartition("://")[2])
    return place.parent.name if place.stem == "workflow" and place.parent.name else place.stem
