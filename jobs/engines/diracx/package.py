"""What goes to the node: a script, the packed workflow, the inputs object and its files."""

import copy
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from provmanager.errors import JSONDict, UsageError

INPUTS = "inputs"
JOB_FILE = "job.json"
SCRIPT = "run.sh"

_SCRIPT = """\
#!/bin/sh
python={python}
if ! [ -x "$python" ]; then
    echo "there is no $python on $(hostname): the option python of the grid names one" >&2
    exit 127
fi
exec "$python" -m jobs.engines.diracx.node {job}
"""


def make_package(
    folder: Path, workflow: str, inputs: JSONDict, job: JSONDict, *, python: str
) -> list[Path]:
    """Write the input sandbox into `folder`, and return what is in it.

    Files and folders of the inputs object are copied, and named relative to the folder.

    Raises
    ------
    UsageError
        The workflow cannot be packed, or an input is not of this machine.
    """
    from jobs.workflows import load_workflow, write_packed

    loaded = load_workflow(workflow)
    folder.mkdir(parents=True)
    document = folder / f"{loaded.name}.cwl"
    write_packed(loaded, document)
    told = {**job, "workflow": document.name, "inputs": _carried(inputs, folder)}
    (folder / JOB_FILE).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    script = folder / SCRIPT
    script.write_text(_SCRIPT.format(python=shlex.quote(python), job=JOB_FILE))
    script.chmod(0o755)
    return sorted(folder.iterdir())


def _carried(inputs: JSONDict, folder: Path) -> JSONDict:
    """Copy what the inputs object names; return it with relative locations."""
    from ..local.places import each_place, path_of

    carried = copy.deepcopy(inputs)
    for number, place in enumerate(each_place(carried)):
        location = place.get("location")
        if location is None:
            continue  # a literal
        path = path_of(place)
        if path is None:
            raise UsageError(
                f"the input {location} is not of this machine: inputs travel in the job's sandbox; "
                "storage elements are not read yet"
            )
        target = folder / INPUTS / str(number) / Path(path).name
        target.parent.mkdir(parents=True)
        if Path(path).is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy2(path, target)
        place["location"] = str(target.relative_to(folder))
        place.pop("path", None)
    return carried


def placed(inputs: Any, folder: Path) -> Any:  # Any: CWL's inputs object
    """Return the inputs object with the locations that it has on the node, in `folder`."""
    from ..local.places import each_place

    found = copy.deepcopy(inputs)
    for place in each_place(found):
        if "location" in place:
            place["location"] = (folder / place["location"]).as_uri()
    return found
