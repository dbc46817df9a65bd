"""The files and folders in CWL's input and output objects: where they lie, and what is in them."""

import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jobs.storage import is_lfn
from provmanager.capture.files import DigestMemory, digest_file, files_under
from provmanager.errors import UsageError

_PLACES = frozenset({"File", "Directory"})
_GENERATION = "http://commonwl.org/cwltool#generation"  # cwltool notes it in the object


def each_place(value: Any) -> Iterator[Any]:  # Any: JSON; File and Directory objects
    """Yield the File and Directory objects in `value`, and the secondary files after each."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from each_place(item)
    elif isinstance(value, dict):
        if value.get("class") in _PLACES:
            yield value
            yield from each_place(value.get("secondaryFiles") or [])
        else:
            for item in value.values():
                yield from each_place(item)


def path_of(place: Any) -> str | None:  # Any: a File or Directory object
    """Return the path of a File or Directory, or None where it is a literal or not of here."""
    location = str(place.get("location") or "")
    if location.startswith("file://"):
        return unquote(urlsplit(location).path)
    if location.startswith("/"):
        return location
    return None


def check_no_lfns(inputs: Any) -> None:  # Any: CWL's inputs object
    """Refuse inputs that lie in a storage element, which the nodes of the grid read.

    Raises
    ------
    UsageError
        One is an LFN.
    """
    for place in each_place(inputs):
        if is_lfn(str(place.get("location") or "")):
            raise UsageError(
                f"the input {place['location']} lies in a storage element: run it on the grid "
                "(--engine diracx), or name a copy on this machine"
            )


def sha256_of(path: str, memory: DigestMemory) -> str | None:
    """Return the digest of the file at `path`, read only if it changed since; None if not there."""
    try:
        status = os.stat(path)
        known = memory.get(status)
        if known is None:
            known, _ = digest_file(path)
            if known is not None:
                memory.put(status, known)
    except OSError:
        return None
    return known


def without_places(value: Any) -> Any:  # Any: JSON
    """Return the parameters of an inputs object: its files are recorded as inputs instead."""
    if isinstance(value, list | tuple):
        return [without_places(item) for item in value if not _is_place(item)]
    if isinstance(value, dict):
        return {k: without_places(v) for k, v in value.items() if not _is_place(v)}
    return value


def _is_place(value: Any) -> bool:  # Any: JSON
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_place(item) for item in value)
    return isinstance(value, dict) and value.get("class") in _PLACES


def by_content(value: Any, memory: DigestMemory) -> Any:  # Any: JSON
    """Return an inputs object in which contents stand for places: equal ones mean equal inputs."""
    if isinstance(value, list | tuple):
        return [by_content(item, memory) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class")
    if kind not in _PLACES:
        return {str(k): by_content(v, memory) for k, v in value.items()}
    found: dict[str, Any] = {"class": kind, "basename": value.get("basename")}
    path = path_of(value)
    if path is None:
        found |= {"location": value.get("location"), "contents": value.get("contents"),
                  "listing": by_content(value.get("listing") or [], memory)}  # fmt: skip
    elif kind == "File":
        found["sha256"] = sha256_of(path, memory)
    else:
        found["members"] = {
            os.path.relpath(name, path): sha256_of(name, memory) for name in files_under(path)
        }
    found["secondaryFiles"] = by_content(value.get("secondaryFiles") or [], memory)
    return found


def collect_products(
    outputs: Any, folder: Path, own: Path
) -> tuple[Any, dict[str, str]]:  # Any: CWL's output object
    """Bring the files of `outputs` into `folder`.

    Returns the object with their new places, and for each of these where it came from. Files below
    `own`, the directory of the run, are linked, others are copied: writing to a product must not
    change the input that was handed through. Names are made unique as cwltool makes them.
    """
    # Here, because all else that is asked of places needs no cwltool, which takes long to import.
    from cwltool.pathmapper import PathMapper
    from cwltool.process import stage_files
    from cwltool.stdfsaccess import StdFsAccess
    from cwltool.utils import adjustDirObjs, get_listing, normalizeFilesDirs
    from schema_salad.ref_resolver import file_uri

    made = copy.deepcopy(outputs)
    access = StdFsAccess("")
    adjustDirObjs(made, lambda d: get_listing(access, d, recursive=True))
    places = [place for place in each_place(made) if path_of(place) is not None]
    top = [p for p in _outermost(made) if path_of(p) is not None]
    for place in places:
        place["location"] = file_uri(os.path.realpath(str(path_of(place))))
    folder.mkdir(exist_ok=True)
    mapper = PathMapper(top, "", str(folder), separateDirs=False)
    root = os.path.realpath(own) + os.sep

    def bring(source: str, target: str) -> None:
        _bring(source, target, may_link=os.path.realpath(source).startswith(root))

    stage_files(mapper, stage_func=bring, symlink=False, fix_conflicts=True)
    origins: dict[str, str] = {}
    for place in places:
        if place["location"] in mapper:
            origins[mapper.mapper(place["location"]).target] = str(path_of(place))
            place["location"] = file_uri(mapper.mapper(place["location"]).target)
            place["path"] = path = path_of(place)
            if place["class"] == "File" and path is not None:
                place["size"] = os.path.getsize(path)
        for hidden in ("listing", "contents", _GENERATION):
            place.pop(hidden, None)
    normalizeFilesDirs(made)
    return made, origins


def _outermost(value: Any) -> Iterator[Any]:  # Any: JSON
    if isinstance(value, list):
        for item in value:
            yield from _outermost(item)
    elif isinstance(value, dict):
        if value.get("class") in _PLACES:
            yield value
        else:
            for item in value.values():
                yield from _outermost(item)


def _bring(source: str, target: str, *, may_link: bool) -> None:
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True,
                        copy_function=lambda s, t: _bring(s, t, may_link=may_link))  # fmt: skip
        return
    if may_link:
        try:
            os.link(os.path.realpath(source), target)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    shutil.copy2(source, target)
