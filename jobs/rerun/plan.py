"""What has to be run again for a product: which runs, with which files, and what is missing.

A recorded command line is taken apart by what the record says of its files: an argument that is
the place of an input or of an output (also behind ``=``, and folders of outputs) is that file; all
else is kept as it was.
"""

import functools
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from jobs.engines.containers import Image
from jobs.storage import is_lfn, normal_lfn
from provmanager.capture.hosts import IMAGE_ROLE
from provmanager.client.verification import recorded_sha256
from provmanager.errors import JSONDict, NotFoundError
from provmanager.ids import file_sha256

from .images import program_within, recorded_image

FileKind = Literal["text", "input", "output", "folder"]
LocalPath = Callable[[str], Path | None]


class Record(Protocol):
    """What is asked of the server; `provmanager.client.ProvClient` answers it."""

    def entity(self, entity_uuid: str) -> JSONDict:
        """Return everything of one entity."""
        ...

    def activity(self, activity_uuid: str) -> JSONDict:
        """Return everything of one activity."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an argument: text as it was, or a file in its place."""

    kind: FileKind
    value: str
    """The text; for an input the entity's id; for an output or folder its path in the new run."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a run reads."""

    entity: str
    name: str
    sha256: str | None
    """Of what is to be read: of the recorded bytes, or of the file that replaces them."""
    path: Path | None
    """Where it lies on this machine; None where another step makes it again."""
    places: tuple[str, ...]
    """All paths under which these bytes were recorded."""
    lfn: str | None = None
    """``LFN:/vo/…``, where it is read from the storage of the grid."""

    @property
    def location(self) -> str | None:
        """Where it is read: a URI; None where another step makes it again."""
        return self.path.absolute().as_uri() if self.path is not None else self.lfn


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a run wrote."""

    entity: str
    name: str
    sha256: str | None
    path: str
    """Where it is to be written, relative to the folder of the step."""
    former: Path | None
    """Where the recorded one lies on this machine, if it does."""


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded run to be repeated."""

    activity: str
    name: str
    version: str | None
    program: tuple[str, ...]
    """What to start, as it is found here."""
    arguments: tuple[tuple[Piece, ...], ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    streams: Mapping[str, str] = field(default_factory=dict)
    """``stdin``: the entity that was read so; ``stdout`` and ``stderr``: the path of an output."""
    image: Image | None = None
    """The container image that it is to run in."""


@dataclass(slots=True)
class Plan:
    """What is to be run again, in the order in which it can be."""

    product: str
    steps: list[Step] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What cannot be had again: nothing can be run."""
    changed: list[str] = field(default_factory=list)
    """What is not as it was: it can be run, and may give something else."""


class _Planner:
    def __init__(
        self,
        record: Record,
        local_path: LocalPath,
        *,
        from_roots: bool = False,
        only: Set[str] | None = None,
        replaced: Mapping[str, Path] | None = None,
        has_storage: bool = False,
    ) -> None:
        # Asked and read once: a calibration file may have gone into thousands of the runs.
        self.entity = functools.cache(record.entity)
        self.activity = functools.cache(record.activity)
        self.sha256 = functools.cache(file_sha256)
        self.local_path = local_path
        self.from_roots = from_roots
        self.only = only
        self.replaced = replaced or {}
        self.has_storage = has_storage
        self.plan = Plan("")
        self._done: set[str] = set()
        self._under_way: set[str] = set()

    def make(self, entity_id: str) -> bool:
        """Plan what generates an entity; return whether something does."""
        entity = self.entity(entity_id)
        produced = entity["produced_by"]
        activity = self.with_command(produced["activity"]) if produced else None
        return activity is not None and self.repeat(activity)

    def repeat(self, activity: JSONDict) -> bool:
        """Plan a run, after those that make its inputs; return whether it is in the plan."""
        if self.only is not None and activity["id"] not in self.only:
            return False
        if activity["id"] in self._done:
            return True
        if activity["id"] in self._under_way:  # a run that used what it made itself
            return False
        self._under_way.add(activity["id"])
        inputs = tuple(self._input(used) for used in _once(activity["used"]))
        self._done.add(activity["id"])
        outputs = [
            (item, tuple(self.entity(item["entity"])["locations"]))
            for item in activity["generated"]
            if item.get("location")
        ]
        step, missing = _step(activity, inputs, outputs, self.local_path)
        self.plan.steps.append(step)
        self.plan.missing += missing
        if activity["status"] != "completed":
            self.plan.changed.append(f"{step.name} did not end well then: {activity['status']}")
        named = (activity.get("container") or {}).get("image")
        if named and not activity["container"].get("digest"):
            self.plan.changed.append(
                f"{step.name}: the record has no digest of its container image {named}: it runs "
                "without"
            )
        return True

    def with_command(self, activity_id: str) -> JSONDict | None:
        """Return the activity, or what it was part of, that has a command line."""
        activity = self.activity(activity_id)
        while not (activity.get("command") or {}).get("arguments"):
            if not activity["part_of"]:
                return None
            activity = self.activity(activity["part_of"][0]["activity"])
        return activity

    def _input(self, used: Mapping[str, Any]) -> Input:  # Any: JSON
        entity = self.entity(used["entity"])
        name, recorded = entity["name"] or used["entity"], recorded_sha256(entity)
        places = tuple(path_at(at) for at in entity["locations"])

        def found(path: Path | None, sha256: str | None = recorded) -> Input:
            return Input(used["entity"], name, sha256, path, places)

        paths = [p for at in entity["locations"] if (p := self.local_path(at)) is not None]
        better = self.replaced.get(used["entity"])
        if better is not None:
            return found(better, self.sha256(better))
        there = [p for p in paths if p.is_file()]
        good = next((p for p in there if recorded and self.sha256(p) == recorded), None)
        stored = self._stored(entity) if good is None else None
        is_had = good is not None or stored is not None
        if (not is_had or self.from_roots) and self.make(used["entity"]):
            return found(None)
        if good is not None:
            return found(good)
        if stored is not None:  # the node compares its digest
            return Input(used["entity"], name, recorded, None, places, lfn=stored)
        if there and recorded is None:
            text = f"{there[0]}: the record has no digest of this input, so it may have changed"
            self.plan.changed.append(text)
            return found(there[0], self.sha256(there[0]))
        where = ", ".join(map(str, there or paths)) or ", ".join(entity["locations"])
        if there:
            now = self.sha256(there[0])
            text = f"{where}: changed since: it has the SHA-256 {now}, used was {recorded}"
        else:
            text = f"{name}: not here ({where}), and no recorded run makes it"
        self.plan.missing.append(text)
        return found(None)

    def _stored(self, entity: JSONDict) -> str | None:
        """Return the LFN of an entity, if the engine has a storage to read it from."""
        lfn = next((at for at in entity["locations"] if is_lfn(at)), None)
        return f"LFN:{normal_lfn(lfn)}" if lfn is not None and self.has_storage else None


def make_plan(
    record: Record,
    entity_id: str,
    local_path: LocalPath,
    *,
    from_roots: bool = False,
    has_storage: bool = False,
) -> Plan:
    """Plan how to make a product again.

    Its run is repeated on the recorded inputs where they are still here with the recorded bytes;
    an input that is not is made again too, as far back as need be.

    Parameters
    ----------
    record
        Where the record is asked.
    entity_id
        UUID of the product.
    local_path
        Gives the path on this machine of a recorded location, if it has one.
    from_roots
        Make every input again that some recorded run made, also where it is still here.
    has_storage
        Whether inputs that are not here may be LFNs, which the engine reads from a storage.

    Raises
    ------
    NotFoundError
        No recorded run made the product, or none with a command line.
    """
    planner = _Planner(record, local_path, from_roots=from_roots, has_storage=has_storage)
    planner.plan.product = entity_id
    if not planner.make(entity_id):
        raise NotFoundError(
            f"no recorded run with a command line made {entity_id}: there is nothing to repeat"
        )
    return planner.plan


def make_repeat_plan(
    record: Record,
    activities: Iterable[str],
    local_path: LocalPath,
    *,
    replaced: Mapping[str, Path] | None = None,
) -> Plan:
    """Plan how to repeat just these runs, each once and after those that make its inputs.

    Parameters
    ----------
    record, local_path
        As of `make_plan`.
    activities
        UUIDs; those without a command line of their own stand for what they were part of, once.
    replaced
        Files to take instead of inputs, by the UUID of the entity.
    """
    planner = _Planner(record, local_path, from_roots=True, replaced=replaced)
    runs: dict[str, JSONDict] = {}
    for activity_id in activities:
        activity = planner.with_command(activity_id)
        if activity is None:
            planner.plan.missing.append(f"{activity_id}: no command line was recorded")
        else:
            runs[activity["id"]] = activity
    planner.only = frozenset(runs)
    for activity in runs.values():
        planner.repeat(activity)
    return planner.plan


def _once(used: Sequence[JSONDict]) -> list[JSONDict]:
    """Return the inputs that are files, each once whatever its roles."""
    files = (item for item in used if item.get("location") and item["role"] != IMAGE_ROLE)
    return list({item["entity"]: item for item in files}.values())


def _step(
    activity: JSONDict,
    inputs: tuple[Input, ...],
    generated: Sequence[tuple[JSONDict, tuple[str, ...]]],
    local_path: LocalPath,
) -> tuple[Step, list[str]]:
    command = activity["command"]
    arguments = [str(a) for a in command["arguments"]]
    directory = command.get("directory")
    read = {place: given.entity for given in inputs for place in given.places}
    outputs: list[Output] = []
    written: dict[str, str] = {}
    for item, locations in generated:
        paths = [path_at(at) for at in locations]
        path, relative = _target(paths, directory, arguments)
        written |= dict.fromkeys(paths, relative)
        there = [p for at in locations if (p := local_path(at)) is not None and p.is_file()]
        outputs.append(
            Output(
                item["entity"],
                posixpath.basename(path),
                item["sha256"],
                relative,
                there[0] if there else None,
            )
        )
    staged = (activity.get("details") or {}).get("staged") or {}
    read |= {name: read[path] for name, path in staged.items() if path in read}
    places = _Places(read, written, directory)
    image = recorded_image(activity)
    find_program = _program if image is None else program_within
    program, rest, missing = find_program(arguments, command.get("executable"))
    return (
        Step(
            activity=activity["id"],
            name=activity["name"] or posixpath.basename(program[0]),
            version=activity["version"],
            program=program,
            arguments=tuple(places.pieces(argument) for argument in rest),
            inputs=inputs,
            outputs=tuple(outputs),
            streams=_streams(activity, places),
            image=image,
        ),
        missing,
    )


def _streams(activity: JSONDict, places: "_Places") -> dict[str, str]:
    """Return which files standard input and output were: the engine says, capture by the role."""
    said = dict((activity.get("details") or {}).get("streams") or {})
    for kind, role in (("used", "stdin"), ("generated", "stdout")):
        for item in activity[kind]:
            if item["role"] == role and item.get("location"):
                said[role] = path_at(item["location"])
    pieces = {name: places.file(str(value)) for name, value in said.items()}
    return {name: piece.value for name, piece in pieces.items() if piece is not None}


def _target(
    paths: Sequence[str], directory: str | None, arguments: Sequence[str]
) -> tuple[str, str]:
    """Return which of an output's places its run wrote, and where that goes in the new folder."""
    for path in paths:
        relative = _relative(path, directory, arguments)
        if relative is not None:
            return path, relative
    return paths[0], posixpath.basename(paths[0])


def _relative(path: str, directory: str | None, arguments: Sequence[str]) -> str | None:
    """Return where an output goes in the new folder: as below the old one, else as it was named."""
    if directory and path.startswith(directory.rstrip("/") + "/"):
        return posixpath.relpath(path, directory)
    for argument in arguments:
        value = posixpath.normpath(argument.partition("=")[2] or argument)
        if not value.startswith(("/", "..")) and path.endswith("/" + value):
            return value
        if value == path:
            return posixpath.basename(path)
    return None


@dataclass(frozen=True, slots=True)
class _Places:
    """Finds the files of a run in its arguments."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    directory: str | None

    def pieces(self, argument: str) -> tuple[Piece, ...]:
        """Take one argument apart: itself, what follows ``=``, or items of a list."""
        whole = self.file(argument)
        if whole is not None:
            return (whole,)
        parts = re.split(r"([=,])", argument)
        pieces: list[Piece] = []
        for part in parts:
            piece = (self.file(part) if part not in ("=", ",", "") else None) or Piece("text", part)
            if piece.kind == "text" and pieces and pieces[-1].kind == "text":
                piece = Piece("text", pieces.pop().value + piece.value)
            pieces.append(piece)
        return tuple(p for p in pieces if p.value)

    def file(self, text: str) -> Piece | None:
        """Return the file that `text` is the place of, if it is one of this run."""
        value = posixpath.normpath(path_at(text)) if text else ""
        if not value or value == ".":
            return None
        if value.startswith("/") or self.directory is not None:
            path = posixpath.normpath(posixpath.join(self.directory or "/", value))
            candidates = [path]
        else:  # nobody recorded where it ran
            candidates = [p for p in (*self.inputs, *self.outputs) if p.endswith("/" + value)]
        for path in candidates:
            if path in self.inputs:
                return Piece("input", self.inputs[path])
            if path in self.outputs:
                return Piece("output", self.outputs[path])
        if len(candidates) == 1 and value not in ("/", ".."):
            return self._folder(candidates[0])
        return None

    def _folder(self, path: str) -> Piece | None:
        """Return the folder of outputs that `path` was, if it was one of them and of no inputs."""
        within = path.rstrip("/") + "/"
        below = [(p, r) for p, r in self.outputs.items() if p.startswith(within)]
        if not below or any(p.startswith(within) for p in self.inputs):
            return None
        old, new = below[0]
        rest = old.removeprefix(within)
        folder = new.removesuffix(rest).rstrip("/")
        return Piece("folder", folder or ".") if new.endswith(rest) else Piece("folder", ".")


def _program(
    arguments: Sequence[str], executable: str | None
) -> tuple[tuple[str, ...], Sequence[str], list[str]]:
    """Return what to start here, the remaining arguments, and what is missing for it."""
    first = arguments[0]
    if first.endswith(".py") and executable:
        found = executable if Path(executable).exists() else shutil.which(Path(executable).name)
        if found is None or not Path(first).exists():
            return (first,), arguments[1:], [f"{first}: the script or its interpreter is not here"]
        return (found, str(Path(first).absolute())), arguments[1:], []
    for candidate in (first, executable or ""):
        if (
            "/" in candidate
            and Path(candidate).name == Path(first).name
            and Path(candidate).exists()
        ):
            return (candidate,), arguments[1:], []
    found = shutil.which(Path(first).name)
    if found is None:
        return (first,), arguments[1:], [f"{first}: no such command here"]
    return (found,), arguments[1:], []


def path_at(location: str) -> str:
    """Return the path of a location, whatever its host."""
    parts = urlsplit(location)
    return unquote(parts.path) if parts.scheme == "file" else location
