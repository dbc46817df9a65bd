"""What is installed here as wheels, for nodes that have nothing but a Python."""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provmanager.errors import ProvError, UsageError
from provmanager.ids import digest_of

from ..local.directory import write_json
from .install import COMPLETE, DESCRIPTION, this_platform

WHEELS = "wheels"
"""Folder of the sandbox."""

_OURS = "provmanager"
_SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_LINES_TOLD = 12


@dataclass(frozen=True, slots=True)
class Wheels:
    """A folder of wheels, and the digest of what is in it."""

    folder: Path
    digest: str


def make_wheels(area: Path, extras: Sequence[str]) -> Wheels:
    """Return wheels of our own installation: provmanager with `extras`, cwltool, what they need.

    Versions are those that are installed here. They are made once for each installation, in a
    folder of `area`.

    Raises
    ------
    UsageError
        There is no pip, or no sources to make our own wheel of.
    ProvError
        pip fails; the message ends with what it says.
    """
    source = _source()
    key = digest_of(
        {
            "extras": sorted(extras),
            "installed": sorted(_installed()),
            "source": _digest_of_folder(source) if source else None,
            **this_platform(),
        }
    )
    folder = area / key
    area.mkdir(parents=True, exist_ok=True)
    lock = os.open(area / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder / WHEELS, source, extras)
            (folder / COMPLETE).touch()
    finally:
        os.close(lock)
    return Wheels(folder / WHEELS, key[:32])


def _build(folder: Path, source: Path | None, extras: Sequence[str]) -> None:
    if importlib.util.find_spec("pip") is None:
        raise UsageError("the option wheels needs pip in the environment of prod-submit")
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        constraints = Path(name) / "constraints.txt"
        constraints.write_text("".join(f"{one}\n" for one in _installed()))
        ours = f"{_OURS}[{','.join(extras)}]"
        if source is None:
            wanted = f"{ours}=={metadata.version(_OURS)}"
        else:
            wanted = f"{ours} @ {_copied(source, Path(name) / 'source').as_uri()}"
        _pip(folder, constraints, wanted, "pip")
        # It pins the prov of 2017, which it does not need: docs/adr/0007.
        _pip(folder, constraints, "--no-deps", "cwltool")
    write_json(folder / DESCRIPTION, this_platform())


def _pip(folder: Path, constraints: Path, *wanted: str) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
               "--wheel-dir", str(folder), "--constraint", str(constraints), *wanted]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = "\n".join(done.stderr.strip().splitlines()[-_LINES_TOLD:])
        raise ProvError(
            "the wheels for the nodes cannot be made: check the package index (PIP_INDEX_URL), or "
            f"name a Python on the nodes that has provmanager, without wheels. pip said:\n{told}"
        )


def _installed() -> list[str]:
    """Return ``name==version`` of all distributions that came from an index."""
    found = {
        f"{dist.metadata['Name']}=={dist.version}"
        for dist in metadata.distributions()
        if dist.read_text("direct_url.json") is None
    }
    return sorted(found)


def _source() -> Path | None:
    """Return the folder of sources that we were installed from; None if from an index."""
    told = metadata.distribution(_OURS).read_text("direct_url.json")
    if told is None:
        return None
    url: dict[str, Any] = json.loads(told)  # Any: JSON
    folder = Path(unquote(urlsplit(str(url["url"])).path))
    if not (folder / "setup.cfg").is_file():
        raise UsageError(
            f"provmanager was installed from {url['url']}, where its sources are no more: the "
            "option wheels cannot make a wheel of it"
        )
    return folder


def _packages(source: Path) -> list[Path]:
    return sorted(path.parent for path in source.glob("*/__init__.py"))


def _copied(source: Path, target: Path) -> Path:
    """Copy the sources: what makes a wheel of them writes beside them."""
    target.mkdir()
    for name in _SOURCES:
        shutil.copy2(source / name, target / name)
    for package in _packages(source):
        shutil.copytree(
            package, target / package.name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return target


def _digest_of_folder(source: Path) -> str:
    sha256 = hashlib.sha256()
    files = [source / name for name in _SOURCES]
    for package in _packages(source):
        files += sorted(p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc")
    for path in files:
        sha256.update(f"{path.relative_to(source)}\0".encode())
        sha256.update(hashlib.sha256(path.read_bytes()).digest())
    return sha256.hexdigest()
