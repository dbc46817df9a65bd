"""A claimed group made into a run: its inputs object, with the places at which its files lie."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from jobs.engines import RunRequest
from jobs.workflows import Port, make_inputs
from provmanager.client import Group, GroupInput
from provmanager.client.verification import local_path
from provmanager.errors import DifferenceError, JSONDict, NotFoundError
from provmanager.model.productions import ProductionStep

from .document import LoadedProduction, kind_of, numbered, takes_many


def make_request(
    loaded: LoadedProduction,
    group: Group,
    *,
    moved: Sequence[tuple[str, str]] = (),
    reads_lfns: bool = False,
    **more: Any,  # Any: further fields of RunRequest
) -> RunRequest:
    """Return the run of a group, or of a number.

    Parameters
    ----------
    moved : sequence of (str, str)
        Prefixes of locations, and what stands for them on this machine.
    reads_lfns : bool
        Whether an input is taken by its LFN, if it has one: where the run reads the storage.
    more
        Further fields of the request.

    Raises
    ------
    NotFoundError
        An input lies nowhere from where it can be read.
    DifferenceError
        It has not the size that was recorded.
    UsageError
        The workflow does not take it.
    """
    step = loaded.production.step(group["step"])
    workflow = loaded.workflows[step.name]
    port = next(port for port in workflow.inputs if port.name == step.taking)
    taken: object
    if group["number"] is not None:
        taken = numbered(port, group["number"])
    else:
        files = [_file(port, given, moved, reads_lfns=reads_lfns) for given in group["inputs"]]
        taken = files if takes_many(port) else files[0]
    words = _words(loaded, step, group)
    inputs = make_inputs(
        workflow, given=({**_filled(step.inputs, words), step.taking: taken}, loaded.folder)
    )
    return RunRequest(
        workflow=workflow.location,
        name=f"{loaded.production.name}.{step.name}",
        inputs=inputs,
        steps=tuple(one.name for one in workflow.steps),
        run_id=group["run"],
        job=step.job,
        **more,
    )


def _file(
    port: Port, given: GroupInput, moved: Sequence[tuple[str, str]], *, reads_lfns: bool
) -> JSONDict:
    format_ = {"format": port.format} if port.format else {}
    location = _location(given, moved, reads_lfns=reads_lfns)
    return {"class": kind_of(port) or "File", **format_, "location": location}


def _location(given: GroupInput, moved: Sequence[tuple[str, str]], *, reads_lfns: bool) -> str:
    """Return where an input is read: its LFN, where it lies here, or its URL."""
    lfn = next((at for at in given["locations"] if at.startswith("lfn:")), None)
    if lfn is not None and reads_lfns:
        return f"LFN:{lfn.removeprefix('lfn:')}"
    for location in given["locations"]:
        path = local_path(location, moved)
        if path is not None and path.exists():
            _check_size(path, given)
            return path.as_uri()
    url = next((at for at in given["locations"] if at.startswith(("http://", "https://"))), None)
    if url is not None:
        return url
    where = ", ".join(given["locations"]) or "nowhere that is recorded"
    raise NotFoundError(
        f"the input {given['name'] or given['id']} lies not here ({where}): say where with "
        "--map FROM=TO, submit from where it lies, or for LFNs name a storage in the options of "
        "the grid"
    )


def _check_size(path: Path, given: GroupInput) -> None:
    recorded, found = given["size_bytes"], path.stat().st_size
    if recorded is not None and path.is_file() and recorded != found:
        raise DifferenceError(
            f"{path} has {found} bytes, and {recorded} when it was recorded: record what it is "
            "now, or bring back what it was",
            expected=recorded,
            found=found,
        )


def _words(loaded: LoadedProduction, step: ProductionStep, group: Group) -> dict[str, str]:
    name = (group["inputs"][0]["name"] or "") if group["inputs"] else ""
    return {
        **{name: str(value) for name, value in loaded.production.metadata.items()},
        "production": loaded.production.name,
        "step": step.name,
        "run": group["run"] or "",
        "key": group["key"] or "",
        "number": "" if group["number"] is None else str(group["number"]),
        "name": name,
        "stem": name.partition(".")[0],
    }


def _filled(value: Any, words: Mapping[str, str]) -> Any:  # Any: JSON
    """Return `value` with the words in its texts."""
    if isinstance(value, Mapping):
        return {name: _filled(item, words) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    return Template(value).substitute(words) if isinstance(value, str) else value
