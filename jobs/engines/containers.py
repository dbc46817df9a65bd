"""Container engines of this machine, and the images that they have."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provmanager.errors import JSONDict, ProvError, UsageError

if TYPE_CHECKING:  # it loads cwltool
    from jobs.workflows import Workflow

ENGINES = ("apptainer", "podman", "docker")
"""Container engines, in the order in which one is taken where none is named."""

NO_ENGINE = "none"
"""Said instead of an engine: nothing runs in a container."""

# What has to be on the PATH: cwltool starts Apptainer by the name that it has from Singularity.
_PROGRAMS = {"apptainer": "singularity", "podman": "podman", "docker": "docker"}
_UNKNOWN = ("no such image", "image not known", "no such object")
_DIGEST = re.compile(r"(?:sha256:)?(?P<hex>[0-9a-f]{64})")
_LINES_TOLD = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A container image, as the engine that has it tells of it.

    Attributes
    ----------
    engine : str
        One of `ENGINES`.
    name : str
        As the workflow names it; of Apptainer the path of a file or folder.
    digest : str, optional
        ``sha256:…`` of the image's configuration, which names its layers by theirs (podman and
        docker: the image id); of Apptainer that of the file. A folder has none.
    sources : tuple of str
        ``NAME@sha256:…``: where registries have these very bytes.
    """

    engine: str
    name: str
    digest: str | None = None
    sources: tuple[str, ...] = ()

    def to_record(self) -> JSONDict:
        """Return it as the record of an activity in it has it."""
        told = {"runtime": self.engine, "image": self.name, "digest": self.digest,
                "sources": list(self.sources)}  # fmt: skip
        return {key: value for key, value in told.items() if value}


def find_engine(chosen: str | None = None) -> str | None:
    """Return the engine that is `chosen`, by default the first that is here; None if none is.

    Raises
    ------
    UsageError
        The one that is chosen is not here.
    """
    if chosen is None:
        return next(filter(is_here, ENGINES), None)
    if chosen not in ENGINES:
        raise UsageError(f"no container engine {chosen!r}; there are: {', '.join(ENGINES)}")
    if not is_here(chosen):
        raise UsageError(
            f"the container engine {chosen} is not here: no {_PROGRAMS[chosen]} on the PATH"
        )
    return chosen


def is_here(engine: str) -> bool:
    """Whether a container engine is installed."""
    return engine in _PROGRAMS and shutil.which(_PROGRAMS[engine]) is not None


def engine_for(workflow: "Workflow", chosen: str | None) -> str | None:
    """Return the container engine for the tools of a workflow; None if none of them runs in one.

    Where none is `chosen`, tools that require a container get one, of the first engine that is
    here; those that have it as a hint run without. An engine that is chosen is for both.

    Raises
    ------
    UsageError
        There is no such engine, or none for a tool that requires a container.
    """
    needed = workflow.required_image
    if chosen == NO_ENGINE:
        found = None
    elif chosen is None:
        found = find_engine() if needed else None
    else:
        found = find_engine(chosen)
    if needed and found is None:
        why = "--container none was said" if chosen else f"there is none of {', '.join(ENGINES)}"
        raise UsageError(
            f"{workflow.location} requires a container (DockerRequirement: {needed}), and {why} "
            "here: install an engine, or make it a hint if the tools are installed without"
        )
    return found


def find_image(engine: str, name: str) -> Image | None:
    """Return the image that podman or docker has of that name or id; None if it has none.

    Raises
    ------
    ProvError
        The engine does not work; the message ends with what it says.
    """
    done = _ask(engine, "image", "inspect", name)
    if done.returncode != 0:
        if any(words in done.stderr.lower() for words in _UNKNOWN):
            return None
        raise ProvError(f"{engine} does not work here: {_last_lines(done.stderr)}")
    (told, *_) = json.loads(done.stdout)
    found = _DIGEST.fullmatch(str(told.get("Id", "")))
    sources = sorted(told.get("RepoDigests") or ())
    return Image(
        engine=engine,
        name=next(iter(told.get("RepoTags") or ()), name) if _DIGEST.fullmatch(name) else name,
        digest=f"sha256:{found['hex']}" if found else None,
        sources=tuple(one for one in sources if not one.startswith("localhost/")),
    )


def pull_image(engine: str, name: str) -> None:
    """Have podman or docker fetch an image from its registry.

    Raises
    ------
    ProvError
        It cannot be had; the message ends with what the engine says.
    """
    done = _ask(engine, "pull", "--quiet", name)
    if done.returncode != 0:
        raise ProvError(
            f"{engine} has no image {name}, and it cannot be pulled: {_last_lines(done.stderr)}"
        )


def end_container(engine: str, id_file: Path) -> bool:
    """End the container of podman or docker whose id the file has; return whether there was one."""
    try:
        container = id_file.read_text().strip()
    except OSError:
        return False
    if _ask(engine, "container", "inspect", container).returncode != 0:
        return False
    _ask(engine, "kill", container)  # at once: podman's rm waits for it to end by itself
    _ask(engine, "rm", "--force", container)
    return True


def _ask(engine: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command: Sequence[str] = (_PROGRAMS[engine], *arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ProvError(f"the container engine {engine} cannot be started: {error}") from error


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LINES_TOLD:])
