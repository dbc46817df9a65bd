"""Any command as an activity: what `prod-capture` does."""

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from .activity import Capture, announces
from .files import DigestMemory, Stamp, current_stamp, is_remote
from .outcome import Outcome
from .run import JSONDict, Run, Settings
from .shield import shielded
from .software import describe_software
from .supervise import CommandNotStartedError, run_child

MAX_WATCHED = 1000
_OPTION = re.compile(r"^--(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?$", re.DOTALL)


@dataclass(frozen=True)
class NamedFile:
    """A file that the caller named, with its role if one was given."""

    place: str
    role: str | None = None

    @classmethod
    def parse(cls, text: str) -> "NamedFile":
        """Split ``PATH[:ROLE]``; a file of the whole name, and a URL's port, win over a role."""
        place, colon, role = text.rpartition(":")
        is_role = re.fullmatch(r"[A-Za-z][\w .-]*", role) is not None
        if not colon or not place or not is_role or os.path.exists(text):
            return cls(text)
        if re.fullmatch(r"[a-z][a-z0-9+.-]*", place, re.IGNORECASE) and is_remote(text):
            return cls(text)  # lfn:name, doi:name
        return cls(place, role)


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """What the caller says of a command; the options of `prod-capture`."""

    name: str | None = None
    version: str | None = None
    inputs: tuple[NamedFile, ...] = ()
    outputs: tuple[NamedFile, ...] = ()
    configurations: tuple[str, ...] = ()
    record: str | None = None
    announce: bool | None = None


def run_command(command: Sequence[str], options: CommandOptions) -> int:
    """Run `command`, record it, and return its exit code (minus the signal that ended it).

    Files that the command line names and that were there before are inputs; those that came to be
    or changed are outputs; those in a named folder that came to be or changed are outputs too.
    What the caller names explicitly goes before.

    Raises
    ------
    CommandNotStartedError
        There is no such command, or it may not be run; this is recorded too.
    """
    with _capture(command, options) as run:
        explicit = {os.path.abspath(f.place) for f in (*options.inputs, *options.outputs)}
        for path in options.configurations:
            run.configure(path)
        for file in options.inputs:
            run.input(file.place, role=file.role)
        watched: list[_Watched] = []
        with shielded("looking at the files on the command line"):
            watched = [w for w in _watched(command) if os.path.abspath(w.path) not in explicit]
            for watch in watched:
                watch.register_input(run)
        if announces(options.announce):
            run.announce()
        try:
            code = run_child(command)
        except CommandNotStartedError as error:
            run.message(str(error), level="error", code="not-started")
            run.outcome = Outcome("error", error.exit_code)
            raise
        run.ended(code)
        with shielded("looking at the files on the command line"):
            for watch in watched:
                watch.register_output(run)
        for file in options.outputs:
            run.output(file.place, role=file.role)
    return code


def observed(
    command: Sequence[str],
    *,
    name: str,
    id: str | None = None,
    version: str | None = None,
    software: Mapping[str, Any] | None = None,
    type: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    configuration: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    job: Mapping[str, Any] | None = None,
    parent: "Run | str | None" = None,
    record: str | os.PathLike[str] | None = None,
    announce: bool | None = None,
    digests: DigestMemory | None = None,
    container: Mapping[str, Any] | None = None,
) -> Capture:
    """Record an activity that another process performs: for engines and job wrappers.

    Any: software, configuration, attributes and container are free-form JSON.

    ``with observed(argv, name="fit") as run:`` starts the process with `run.environ`, registers
    its inputs and outputs, and says by `run.ended` how it ended.

    Parameters
    ----------
    command : sequence of str
        What is started; empty where there is no process.
    id : str, optional
        UUID of the activity, where it was promised before.
    name, version, type, configuration, attributes, parent, record, announce
        As of `activity`.
    software : mapping, optional
        ``{"name", "version"}``; by default what is known of the command.
    directory : path, optional
        Where the process works.
    job : mapping, optional
        The grid or batch job that it is about, where that is not the one around this process.
    digests : DigestMemory, optional
        Digests that several activities share, so that no file is read twice.
    container : mapping, optional
        ``{"runtime", "image", "digest"}`` of the container that the process is started in; nothing
        of the software outside is said of it then. By default the one around this process.
    """
    known = _contained(command, name, version, container) if container else None
    settings = replace(
        known or _settings(command, name, version),
        id=id,
        job=dict(job) if job is not None else None,
        type=type,
        directory=os.fspath(directory) if directory is not None else None,
        digests=digests,
    )
    if software is not None:
        version = version or software.get("version")
        settings = replace(settings, software=dict(software), version=version)
    options: JSONDict = {
        "name": name, "configuration": configuration, "attributes": attributes, "parent": parent,
        "record": record, "announce": announce,
    }  # fmt: skip
    return Capture(settings, options)


def _capture(command: Sequence[str], options: CommandOptions) -> Capture:
    name = options.name or os.path.basename(command[0])
    settings = _settings(command, name, options.version)
    return Capture(settings, {"name": name, "record": options.record, "announce": False})


def _settings(command: Sequence[str], name: str, version: str | None) -> Settings:
    program = command[0] if command else ""
    executable = shutil.which(program) if program else None
    software: JSONDict = {"name": os.path.basename(program) or name}
    with shielded("describing the software"):
        software = software_of(program or name, version)
    return Settings(
        name=name,
        version=software.get("version"),
        software=software,
        arguments=tuple(command),
        executable=executable,
        is_command=True,
        has_python=_is_ours(executable),
    )


def _contained(
    command: Sequence[str], name: str, version: str | None, container: Mapping[str, Any]
) -> Settings:
    """Return what is known of a command that an image has, which cannot be looked into."""
    return Settings(
        name=name,
        version=version,
        software={"name": os.path.basename(command[0]) if command else name},
        arguments=tuple(command),
        container=dict(container),
        is_command=True,
        has_python=False,
    )


def software_of(program: str, version: str | None = None) -> JSONDict:
    """Return ``{"name", "version", "git"}`` of the software that a command belongs to."""
    executable = shutil.which(program)
    is_ours = _is_ours(executable)
    name_of, version_of = _distribution_of(program) if is_ours else (None, None)
    return describe_software(
        name_of or os.path.basename(program),
        version or version_of,
        file=os.path.realpath(executable) if executable else None,
        is_installed=is_ours,
    )


def _is_ours(executable: str | None) -> bool:
    """Whether a script is of our environment, and runs with our packages; we know no other's."""
    return executable is not None and os.path.dirname(os.path.abspath(executable)) in (
        os.path.dirname(os.path.abspath(sys.executable)),
        os.path.join(sys.prefix, "bin"),
    )


@cache
def _distribution_of(command: str) -> tuple[str | None, str | None]:
    """Return (name, version) of the installed distribution whose console script this is."""
    from importlib import metadata

    for entry in metadata.entry_points(group="console_scripts", name=os.path.basename(command)):
        if entry.dist is not None:
            return entry.dist.name, entry.dist.version
    return None, None


@dataclass
class _Watched:
    """A file or folder that the command line names, as it was before the command ran."""

    path: str
    role: str | None
    before: dict[str, Stamp]
    is_folder: bool
    is_whole: bool = True

    def register_input(self, run: Run) -> None:
        """Hash what is there, in case the command leaves it unchanged."""
        if not self.is_folder and self.before:
            run.input(self.path, role=self.role)

    def register_output(self, run: Run) -> None:
        """Record what came to be or changed; what changed is no input."""
        after, is_whole = _stamps(self.path)
        if not (self.is_whole and is_whole):
            run.message(
                f"{self.path}: more than {MAX_WATCHED} files: name the outputs with --output",
                code="folder-not-watched",
            )
            return
        for path, stamp in after.items():
            if self.before.get(path) == stamp:
                continue
            if path in self.before and not self.is_folder:
                run.withdraw_input(path)
                run.message(
                    f"{path} was there before and was written: an output, not an input "
                    "(say so with --input if it was read too)",
                    level="info",
                    code="overwritten",
                )
            run.output(path, role=self.role)


def _watched(command: Sequence[str]) -> Iterator[_Watched]:
    """Yield the files, folders and possible files to be that the command line names, once each."""
    seen: set[str] = set()
    for path, role in _candidates(command):
        absolute = os.path.abspath(path)
        if absolute in seen:
            continue
        seen.add(absolute)
        before, is_whole = _stamps(absolute)
        yield _Watched(absolute, role, before, os.path.isdir(absolute), is_whole)
    for descriptor, name in ((0, "stdin"), (1, "stdout")):
        redirected = _redirected(descriptor)
        if redirected and redirected not in seen:
            seen.add(redirected)
            stamp = current_stamp(redirected)
            if name == "stdin" and stamp:
                yield _Watched(redirected, name, {redirected: stamp}, is_folder=False)
            elif stamp and stamp.size_bytes == 0:  # not the log of a whole batch job
                yield _Watched(redirected, name, {}, is_folder=False)


def _candidates(command: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield (path, role) of each argument that may name a file; a long option is its role."""
    role: str | None = None
    for argument in command[1:]:
        option = _OPTION.match(argument)
        if option:
            role = option["name"]
            if option["value"]:
                yield option["value"], role
                role = None
            continue
        if argument.startswith("-") or not argument or is_remote(argument) or "\0" in argument:
            role = None
            continue
        key, equals, value = argument.partition("=")
        if equals and value and re.fullmatch(r"\w+", key) and not os.path.lexists(argument):
            yield value, key  # dd if=a of=b
        else:
            yield argument, role
        role = None


def _stamps(path: str) -> tuple[dict[str, Stamp], bool]:
    """Return the stamps of the file, or of the files under the folder, and whether of all."""
    try:
        status = os.stat(path)
    except OSError:
        return {}, True
    if stat.S_ISREG(status.st_mode):
        return {path: Stamp.of(status)}, True
    if not stat.S_ISDIR(status.st_mode):
        return {}, True
    stamps: dict[str, Stamp] = {}
    n_seen = 0
    for folder, names, files in os.walk(path):
        n_seen += len(names) + len(files)
        if n_seen > MAX_WATCHED:
            return stamps, False
        for name in files:
            stamp = current_stamp(os.path.join(folder, name))
            if stamp:
                stamps[os.path.join(folder, name)] = stamp
    return stamps, True


def _redirected(descriptor: int) -> str | None:
    """Return the regular file that a descriptor of ours is redirected to, on Linux."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None
    return path if os.path.isfile(path) else None
