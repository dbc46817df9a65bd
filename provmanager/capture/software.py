"""What ran: the software's name, version and the git state of its source tree."""

import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .environment import distribution_version
from .redaction import redact_text

JSONDict = dict[str, Any]  # Any: free-form JSON

GIT_TIMEOUT_S = 2.0
_DESCRIBED = re.compile(r"^(?P<describe>.*?)(?P<commit>[0-9a-f]{40})(?P<dirty>-dirty)?$")
_HEX40 = re.compile(r"[0-9a-f]{40}")


def describe_software(
    name: str | None,
    version: str | None,
    *,
    module: str | None = None,
    file: str | None = None,
    is_installed: bool = True,
) -> JSONDict:
    """Return ``{"name", "version", "git"}`` of the software that a module or file belongs to.

    Parameters
    ----------
    name, version : str or None
        As the tool states them; where it does not, the module's top package and the version of
        the installed distribution of that name.
    module, file : str or None
        Module and source file of the caller, where the git state is looked for.
    is_installed : bool
        False where `name` has nothing to do with the distributions of this interpreter.
    """
    package = (module or "").partition(".")[0]
    name = name or (package if package and package != "__main__" else None)
    software: JSONDict = {"name": name}
    if software["name"] is None:
        software["name"] = os.path.basename(file) if file else os.path.basename(sys.argv[0] or "")
    software["version"] = version
    if version is None and name and is_installed:
        software["version"] = distribution_version(name)
    git = git_state(file) if file else None
    if git is None and name and is_installed:
        git = _direct_url(name)
    if git:
        software["git"] = git
    return {key: value for key, value in software.items() if value}


@cache
def git_state(file: str) -> Mapping[str, Any] | None:  # Any: JSON scalars
    """Return ``{"commit", "dirty", "describe", "url"}`` of the work tree that tracks `file`.

    None where no work tree does; an installed package inside one (a virtual environment in a
    checkout) does not count. Never waits longer than `GIT_TIMEOUT_S` a question; where git cannot
    be asked, the commit is read from the ``.git`` folder, and ``dirty`` is left out.
    """
    path = Path(file).absolute()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return None
    top = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    if top is None:
        return None
    described = _ask(top, "describe", "--always", "--long", "--dirty", "--tags", "--abbrev=40")
    if described is None:
        commit = _commit_of(top / ".git")
        return {"commit": commit} if commit else None
    if _ask(top, "ls-files", "--error-unmatch", "--", str(path)) is None:
        return None
    match = _DESCRIBED.match(described)
    if match is None:
        return None
    state: JSONDict = {"commit": match["commit"], "dirty": match["dirty"] is not None}
    if match["describe"]:
        tag, _, ahead = match["describe"].removesuffix("-g").rpartition("-")
        state["describe"] = f"{tag}-{ahead}-g{match['commit'][:12]}"
    url = _ask(top, "config", "--get", "remote.origin.url")
    if url:
        state["url"] = redact_text(url)
    return state


def _ask(top: Path, *question: str) -> str | None:
    """Return what git answers, or None if it fails, is not there or takes too long."""
    import subprocess  # 3 ms: not when the package is imported

    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(top), *question],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            env=environ,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _commit_of(git: Path) -> str | None:
    """Return the commit that HEAD is at, from the files of a ``.git`` folder."""
    try:
        if git.is_file():  # a linked work tree or submodule: "gitdir: <path>"
            git = (git.parent / git.read_text("utf-8").partition(":")[2].strip()).resolve()
        head = (git / "HEAD").read_text("utf-8").strip()
        if _HEX40.fullmatch(head):
            return head
        reference = head.partition(":")[2].strip()
        common = git / "commondir"
        if common.is_file():
            git = (git / common.read_text("utf-8").strip()).resolve()
        if (git / reference).is_file():
            return (git / reference).read_text("utf-8").strip()
        for line in (git / "packed-refs").read_text("utf-8").splitlines():
            if line.endswith(f" {reference}"):
                return line.partition(" ")[0]
    except (OSError, UnicodeError):
        pass
    return None


def _direct_url(name: str) -> JSONDict | None:
    """Return the commit that pip installed the distribution from (PEP 610), if it was git."""
    from importlib import metadata

    try:
        text = metadata.distribution(name).read_text("direct_url.json")
        told = json.loads(text) if text else {}
    except (metadata.PackageNotFoundError, ValueError, OSError):
        return None
    info = told.get("vcs_info") or {}
    if info.get("vcs") != "git" or not info.get("commit_id"):
        return None
    return {"commit": str(info["commit_id"]), "url": redact_text(str(told.get("url", "")))}
