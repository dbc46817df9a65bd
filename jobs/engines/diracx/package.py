"""What goes to the node: a script, the packed workflow, the inputs object and its files."""

import copy
import itertools
import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobs.storage import ANY_OUTPUT, StorageOptions, is_lfn, normal_lfn
from provmanager.errors import JSONDict, UsageError

from .container import NodeContainer
from .install import COMPLETE

INPUTS = "inputs"
JOB_FILE = "job.json"
SCRIPT = "run.sh"

_SCRIPT = """\
#!/bin/sh
{enter}python={python}
if ! [ -x "$python" ]; then
    where=${{PROV_NODE_WITHIN:+$PROV_NODE_WITHIN in $PROV_CONTAINER_IMAGE}}
    echo "there is no $python on ${{where:-$(uname -n)}}:" \
        "the option python of the grid names one" >&2
    exit 127
fi
{prepare}exec "$python" -m jobs.engines.diracx.node "${{1:-{job}}}"
"""

_PREPARE = """\
area={area}
environment=${{area:-$PWD}}/{digest}
if ! [ -e "$environment/{complete}" ]; then
    "$python" install.py wheels "$environment" || exit 127
fi
python=$environment/bin/python
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeSoftware:
    """What runs on a node.

    Attributes
    ----------
    python : str
        Path of a Python there; with provmanager, unless `wheels` go along.
    wheels : str, optional
        Digest of the wheels in the job's other sandbox.
    area : str
        Folder there for environments of wheels, which jobs share; by default the job's own.
    container : NodeContainer, optional
        The image in which all this is, and the job runs.
    """

    python: str
    wheels: str | None = None
    area: str = ""
    container: NodeContainer | None = None

    def script(self) -> str:
        """Return the shell script that the job starts with."""
        prepare = ""
        within = self.container
        if self.wheels:
            prepare = _PREPARE.format(
                area=shlex.quote(self.area),
                digest=f"{self.wheels}-{within.tag}" if within else self.wheels,
                complete=COMPLETE,
            )
        return _SCRIPT.format(
            enter=within.enter(SCRIPT) if within else "",
            python=shlex.quote(self.python),
            prepare=prepare,
            job=JOB_FILE,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedWorkflow:
    """A workflow as it goes to nodes: packed once for all jobs that run it.

    Attributes
    ----------
    document : str
        The packed document.
    patterns : mapping
        Patterns of secondary files, by input.
    outputs : tuple of str
        Names of its outputs.
    """

    name: str
    document: str
    patterns: Mapping[str, Sequence[str]]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, workflow: str) -> Self:
        """Load and pack a workflow.

        Raises
        ------
        UsageError
            It cannot be packed.
        """
        from jobs.workflows import load_workflow, pack_workflow

        loaded = load_workflow(workflow)
        return cls(
            name=loaded.name,
            document=json.dumps(pack_workflow(loaded), indent=1, ensure_ascii=False) + "\n",
            patterns=_patterns(loaded.process),
            outputs=tuple(port.name for port in loaded.outputs),
        )


def make_package(
    folder: Path,
    workflow: PackedWorkflow,
    inputs: JSONDict,
    job: JSONDict,
    *,
    software: NodeSoftware,
    storage: StorageOptions | None = None,
    job_file: str = JOB_FILE,
) -> None:
    """Write the input sandbox into `folder`.

    Files and folders of the inputs object are copied, and named relative to the folder; LFNs stay
    as they are. Jobs of one workflow that carry none may share a folder: each has its `job_file`.

    Raises
    ------
    UsageError
        An input is neither of this machine nor in a storage, or products cannot be named as the
        storage's templates have it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document, script = folder / f"{workflow.name}.cwl", folder / SCRIPT
    if not script.exists():  # else it is another job's too
        document.write_text(workflow.document, encoding="utf-8")
        script.write_text(software.script())
        script.chmod(0o755)
    carried = _carried(inputs, workflow.patterns, folder)
    _check_storage(storage, carried, workflow.outputs)
    told = {
        **job,
        "workflow": document.name,
        "inputs": carried,
        "storage": storage.dump() if storage else None,
    }
    (folder / job_file).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def carries_files(inputs: JSONDict) -> bool:
    """Whether an inputs object names what travels in the sandbox: anything but LFNs."""
    from ..local.places import each_place

    return any(not is_lfn(str(place.get("location") or "")) for place in each_place(inputs))


def _carried(inputs: JSONDict, patterns: Mapping[str, Sequence[str]], folder: Path) -> JSONDict:
    """Copy what the inputs object names; return it with relative locations."""
    from ..local.places import each_place

    carried = copy.deepcopy(inputs)
    numbers = itertools.count()
    for name, value in carried.items():
        places = list(each_place(value))
        secondary = {id(s) for p in places for s in each_place(p.get("secondaryFiles") or [])}
        for place in places:
            if id(place) not in secondary:
                _add_secondary(place, patterns.get(name, ()))
                _carry(place, folder / INPUTS / str(next(numbers)), folder)
    return carried


def _carry(place: Any, target: Path, folder: Path) -> None:  # Any: a File or Directory object
    """Copy a file or folder, and its secondary files beside it, into `target`."""
    from ..local.places import each_place, path_of

    for one in each_place(place):
        location = one.get("location")
        if location is None:
            continue  # a literal
        if is_lfn(location):
            one["location"] = f"LFN:{normal_lfn(location)}"
            continue
        path = path_of(one)
        if path is None:
            raise UsageError(
                f"the input {location} is neither a file of this machine, which travels in the "
                "job's sandbox, nor an LFN, which is read from the storage"
            )
        copied = target / Path(path).name
        target.mkdir(parents=True, exist_ok=True)
        if Path(path).is_dir():
            shutil.copytree(path, copied)
        else:
            shutil.copy2(path, copied)
        one["location"] = str(copied.relative_to(folder))
        one.pop("path", None)


def lfns_in(inputs: Any) -> list[str]:  # Any: CWL's inputs object
    """Return the LFNs that an inputs object names, each once."""
    from ..local.places import each_place

    found = (str(place.get("location") or "") for place in each_place(inputs))
    return list(dict.fromkeys(f"LFN:{normal_lfn(name)}" for name in found if is_lfn(name)))


def _check_storage(storage: StorageOptions | None, inputs: Any, outputs: Sequence[str]) -> None:
    """Say now what would fail on the node, after hours maybe. Any: CWL's inputs object."""
    from ..local.places import each_place

    for place in each_place(inputs):
        if not is_lfn(str(place.get("location") or "")):
            continue
        if storage is None:
            raise UsageError(
                f"the input {place['location']} lies in a storage: say in which by the option "
                "storage of the grid (docs/grid.md)"
            )
        if place["class"] != "File":
            raise UsageError(f"the input {place['location']}: an LFN is a file, not a folder")
    if storage is not None:
        storage.templates(scalars(inputs))
        unknown = sorted(set(storage.lfn) - {*outputs, ANY_OUTPUT})
        if unknown:
            raise UsageError(
                f"the storage has an LFN template for {', '.join(unknown)}: the workflow has no "
                f"such output; it has: {', '.join(outputs) or 'none'}"
            )


def scalars(inputs: JSONDict) -> JSONDict:
    """Return the inputs that are texts or numbers: what LFNs may be made of."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def _add_secondary(place: Any, patterns: Sequence[str]) -> None:  # Any: a File object
    """List the secondary files that lie beside a file, as cwltool finds them where it runs."""
    from cwltool.builder import substitute

    from ..local.places import path_of

    path = path_of(place)
    if path is None or place["class"] != "File" or place.get("secondaryFiles"):
        return
    found = []
    for pattern in patterns:
        if "$" in pattern:
            raise UsageError(
                f"secondary files of {path} by the expression {pattern}: for the grid, list them "
                "as secondaryFiles in the inputs object"
            )
        beside = Path(path).parent / substitute(Path(path).name, pattern.removesuffix("?"))
        if beside.exists():
            kind = "Directory" if beside.is_dir() else "File"
            found.append({"class": kind, "location": beside.as_uri()})
    if found:
        place["secondaryFiles"] = found


def _patterns(process: Any) -> dict[str, list[str]]:  # Any: a cwltool process
    """Return the patterns of secondary files, by input."""
    from cwltool.process import shortname
    from cwltool.utils import aslist

    return {
        shortname(port["id"]): [str(one["pattern"]) for one in aslist(port["secondaryFiles"])]
        for port in process.tool["inputs"]
        if port.get("secondaryFiles")
    }


def placed(inputs: Any, folder: Path) -> Any:  # Any: CWL's inputs object
    """Return the inputs object with the locations that it has on the node, in `folder`."""
    from ..local.places import each_place

    found = copy.deepcopy(inputs)
    for place in each_place(found):
        if "location" in place and not is_lfn(place["location"]):
            place["location"] = (folder / place["location"]).as_uri()
    return found
