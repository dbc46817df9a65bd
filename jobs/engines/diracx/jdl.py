"""Job descriptions (JDL), as DIRAC's parser reads them.

That parser knows no escapes: it ends a value at the first ``;`` or ``"`` in it, quoted or not, and
may loop for ever over a ``[`` (DIRACCommon 9.1, ClassAdLight). So such values are refused here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from jobs.storage import StorageOptions, normal_lfn
from provmanager.errors import UsageError

from ..containers import ENGINES as CONTAINER_ENGINES
from .container import NodeContainer

_REFUSED = '";[]{}\n\r\0'


@dataclass(frozen=True, kw_only=True, slots=True)
class GridOptions:
    """What a job asks of the grid.

    Attributes
    ----------
    job_type : str
        One that DiracX's configuration allows (``AllowedJobTypes``).
    sites, banned_sites : tuple of str
        Where it may run (anywhere, if empty), and where not.
    cpu_time_s : int, optional
        CPU time that it needs, in seconds.
    priority : int, optional
        0 to 10, higher goes first.
    job_group : str
        What its owner finds it by.
    python : str
        Python on the nodes that has ``provmanager[jobs]`` and cwltool, in a software area that all
        of them see; by default ours.
    wheels : tuple of str
        Extras of provmanager (``jobs``, ``analysis``, ``s3``) that go along as wheels, with all
        that they need, as they are installed here; `python` then needs no provmanager.
    software_area : str
        Folder on the nodes where what is made of the wheels is kept for other jobs.
    container : str
        Image in which the whole job runs on its node: the path of a file or folder of Apptainer,
        on CVMFS say, or a name that the node's engine knows. `python` is one in it.
    container_engine : str
        ``apptainer``, ``podman`` or ``docker``; by default the first that a node has.
    container_binds : tuple of str
        Folders of the nodes that jobs see in it, under the same paths; as ``/cvmfs``.
    storage : StorageOptions, optional
        Where inputs that are LFNs are read, and products stored.
    bring_products : bool
        Whether products come home in the sandbox, though they are stored.
    """

    job_type: str = "User"
    sites: tuple[str, ...] = ()
    banned_sites: tuple[str, ...] = ()
    cpu_time_s: int | None = None
    priority: int | None = None
    job_group: str = "provmanager"
    python: str = ""
    wheels: tuple[str, ...] = ()
    software_area: str = ""
    container: str = ""
    container_engine: str = ""
    container_binds: tuple[str, ...] = ()
    storage: StorageOptions | None = None
    bring_products: bool = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from a JSON file.

        Raises
        ------
        UsageError
            It cannot be read, or an option is unknown or of the wrong type.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"options of the grid in {path}: {error}") from error
        return cls().over(found, where=str(path))

    def over(self, said: Any, *, where: str = "job") -> Self:  # Any: JSON, checked here
        """Return these options, under those that are `said`.

        Raises
        ------
        UsageError
            An option is unknown or of the wrong type.
        """
        known = {field.name for field in fields(self)}
        if not isinstance(said, Mapping) or set(said) - known:
            raise UsageError(f"{where}: expected an object with some of {', '.join(sorted(known))}")
        found = dict(said)
        if "storage" in found:
            found["storage"] = StorageOptions.read(found["storage"], f"{where}: storage")
        for name, value in said.items():
            if name == "storage":
                continue
            wanted = _WANTED.get(name, str)
            items = value if name in _LISTS and isinstance(value, list) else [value]
            if any(type(item) is not wanted for item in items):
                kind = f"a list of {wanted.__name__}" if name in _LISTS else wanted.__name__
                raise UsageError(f"{where}: {name} is {value!r}: expected {kind}")
            if name in _LISTS:
                found[name] = tuple(items)
        made = replace(self, **found)
        if made.container_engine not in ("", *CONTAINER_ENGINES):
            raise UsageError(
                f"{where}: container_engine is {made.container_engine!r}: expected one of "
                f"{', '.join(CONTAINER_ENGINES)}"
            )
        if any(not bind.startswith("/") or set(bind) & _NO_BIND for bind in made.container_binds):
            raise UsageError(
                f"{where}: container_binds is {list(made.container_binds)!r}: expected absolute "
                "paths of folders without blanks, commas and colons"
            )
        return made

    def node_container(self) -> NodeContainer | None:
        """Return the image that jobs run in, if they are to."""
        if not self.container:
            return None
        return NodeContainer(
            image=self.container, engine=self.container_engine, binds=self.container_binds
        )


_WANTED = {"cpu_time_s": int, "priority": int, "bring_products": bool}
_LISTS = ("sites", "banned_sites", "wheels", "container_binds")
_NO_BIND = frozenset(" \t\n,:*?[")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """One job."""

    name: str
    executable: str
    arguments: str = ""
    input_sandbox: tuple[str, ...] = ()
    input_data: tuple[str, ...] = ()
    """LFNs."""
    output_sandbox: tuple[str, ...] = ("std.out", "std.err")
    options: GridOptions = GridOptions()


def make_jdl(job: JobRequest) -> str:
    """Return the JDL of a job.

    ``JobName``, ``JobGroup`` and ``JobType`` are always there: DiracX 0.7 refuses a bulk of which
    only some jobs have them.

    Raises
    ------
    UsageError
        A value holds what DIRAC's parser cannot read.
    """
    options = job.options
    lists = {
        "InputSandbox": job.input_sandbox,
        "InputData": tuple(f"LFN:{normal_lfn(name)}" for name in job.input_data),
        "OutputSandbox": job.output_sandbox,
        "Site": options.sites,
        "BannedSites": options.banned_sites,
    }
    lines = [
        f"JobName = {_quoted('JobName', job.name)};",
        f"JobGroup = {_quoted('JobGroup', options.job_group)};",
        f"JobType = {_quoted('JobType', options.job_type)};",
        f"Executable = {_quoted('Executable', job.executable)};",
    ]
    if job.arguments:
        lines.append(f"Arguments = {_quoted('Arguments', job.arguments)};")
    for name, values in lists.items():
        if values:
            quoted = ", ".join(_quoted(name, value, refused=_REFUSED + ",") for value in values)
            lines.append(f"{name} = {{{quoted}}};")
    for name, number in (("CPUTime", options.cpu_time_s), ("Priority", options.priority)):
        if number is not None:
            lines.append(f"{name} = {int(number)};")
    return "\n".join(lines)


def _quoted(name: str, value: str, *, refused: str = _REFUSED) -> str:
    found = sorted({character for character in value if character in refused})
    if found:
        raise UsageError(
            f"{name} = {value!r} cannot be said to DIRAC, whose parser of job descriptions knows "
            f"no escapes: take out {' '.join(map(repr, found))}"
        )
    return f'"{value}"'
