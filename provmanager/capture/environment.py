"""The software environment: what is the same for every job of a production."""

import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from .redaction import redact_text

if TYPE_CHECKING:
    from importlib.metadata import Distribution

JSONDict = dict[str, Any]  # Any: free-form JSON

VARIABLES = (
    "CALDB",
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CTAPIPE_CACHE",
    "CTAPIPE_SVC_PATH",
    "GAMMAPY_DATA",
    "HEADAS",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "ROOTSYS",
    "TZ",
    "VIRTUAL_ENV",
)
"""The environment variables that are recorded; no other is, unless the tool's author names it."""


def describe_environment(
    variables: Iterable[str] = (),
    *,
    environ: Mapping[str, str] = os.environ,
    has_python: bool = True,
) -> JSONDict:
    """Return platform, variables and, of a Python tool, the interpreter and its packages.

    Parameters
    ----------
    variables : iterable of str
        Names to record beyond `VARIABLES`; ``PROV_CAPTURE_VARIABLES`` (comma-separated) adds more.
    has_python : bool
        False for a command of another language: our own interpreter is not its environment.
    """
    extra = [v.strip() for v in environ.get("PROV_CAPTURE_VARIABLES", "").split(",") if v.strip()]
    names = sorted({*VARIABLES, *variables, *extra})
    environment: JSONDict = {"platform": dict(_platform())}
    if has_python:
        environment["python"] = _python()
        environment["packages"] = [{"name": n, "version": v} for n, v in _packages()]
    environment["variables"] = {n: redact_text(environ[n]) for n in names if n in environ}
    return environment


def distribution_version(name: str) -> str | None:
    """Return the version of the installed distribution or imported module `name`, or None."""
    from importlib import metadata  # 14 ms: not when the package is imported

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        pass
    version = getattr(sys.modules.get(name), "__version__", None)
    return version if isinstance(version, str) else None


@cache
def _platform() -> tuple[tuple[str, str], ...]:
    names = os.uname()
    libc = None
    if hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in os.confstr_names:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    found = {
        "system": names.sysname,
        "machine": names.machine,
        "libc": libc,
        "distribution": _distribution(),
    }
    return tuple((key, value) for key, value in found.items() if value)


def _distribution() -> str | None:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    if line.startswith("PRETTY_NAME="):
                        return line.partition("=")[2].strip().strip("\"'")
        except OSError:
            continue
    return None


def _python() -> JSONDict:
    version = sys.version_info
    level = "" if version.releaselevel == "final" else version.releaselevel[0] + str(version.serial)
    return {
        "version": f"{version.major}.{version.minor}.{version.micro}{level}",
        "implementation": sys.implementation.name,
        "compiler": sys.version.partition("[")[2].partition("]")[0] or None,
        "prefix": sys.prefix,
    }


@cache
def _packages() -> tuple[tuple[str, str | None], ...]:
    """Return (name, version) of every installed distribution, the first found of each name.

    Only the head of each metadata file is read: the whole of importlib.metadata's e-mail parser
    takes ten times as long.
    """
    from importlib import metadata

    found: dict[str, tuple[str, str | None]] = {}
    for distribution in metadata.distributions():
        name, version = _name_and_version(distribution)
        if name:
            found.setdefault(name.lower().replace("_", "-"), (name, version))
    return tuple(found[key] for key in sorted(found))


def _name_and_version(distribution: "Distribution") -> tuple[str | None, str | None]:
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    except (OSError, UnicodeError):
        return None, None
    name = version = None
    for line in text[:4096].splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        if key == "Name":
            name = value.strip()
        elif key == "Version":
            version = value.strip()
        if name and version:
            break
    return name, version
