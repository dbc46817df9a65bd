"""The virtual environment that DiracX lies in: made once, apart from provmanager's own.

It is kept apart because DiracX's server pins its web framework and brings 290 MB. uv makes it in
seconds, where it is installed; pip, which every Python has, in minutes.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from provmanager.errors import ProvError, UsageError

from .folder import try_lock

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_STAMP = "provmanager-testbed"
_LINES_TOLD = 12
_CHECK = "import DIRACCommon, diracx.api, diracx.routers, diracx.testing.routers, flask, moto"


def make_environment(folder: Path, *, progress: Callable[[str], None]) -> Path:
    """Make the environment in `folder` unless it is there, and return its Python.

    Parameters
    ----------
    folder : Path
        Where it lies; made anew if what is there is not whole or is for other requirements.
    progress : callable
        Gets the lines that the installer writes.

    Raises
    ------
    UsageError
        There is no installer, or the folder cannot be used.
    ProvError
        The installation failed; the message ends with what the installer said.
    """
    python = folder / "bin" / "python"
    if _is_made(folder):
        return python
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder.with_name(folder.name + ".lock"))
        if lock is None:
            raise UsageError(f"another process is just making {folder}: wait until it is there")
        try:
            venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(folder)
            _install(python, progress)
            (folder / _STAMP).write_text(_key())
        finally:
            os.close(lock)
    except OSError as error:
        raise UsageError(
            f"the testbed's environment cannot be made in {folder}: {error.strerror}: name "
            "another with --venv"
        ) from error
    return python


def check_environment(folder: Path) -> Path:
    """Return the Python of an environment that somebody else made, if DiracX is in it.

    Raises
    ------
    UsageError
        It is not.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        raise UsageError(f"{folder} is no virtual environment: there is no bin/python in it")
    done = subprocess.run([python, "-c", _CHECK], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UsageError(
            f"{folder} does not hold what the testbed needs ({reason}): install {REQUIREMENTS} "
            "into it, or leave --venv out to have one made"
        )
    return python


def is_made_here(folder: Path) -> bool:
    """Return whether `make_environment` made the environment in `folder`, to the end."""
    return (folder / _STAMP).exists()


def _key() -> str:
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{digest} {sys.version_info.major}.{sys.version_info.minor}"


def _is_made(folder: Path) -> bool:
    stamp = folder / _STAMP
    return stamp.exists() and stamp.read_text() == _key() and (folder / "bin" / "python").exists()


def _installers(python: Path) -> list[list[str]]:
    """Return the commands that may install, the quicker first."""
    commands = []
    if importlib.util.find_spec("uv"):
        commands.append([sys.executable, "-m", "uv"])
    elif found := shutil.which("uv"):
        commands.append([found])
    for command in commands:
        command += ["pip", "install", "--compile-bytecode", "--python", str(python)]
    if importlib.util.find_spec("pip"):
        commands.append([sys.executable, "-m", "pip", "--python", str(python), "install"])
    return commands


def _install(python: Path, progress: Callable[[str], None]) -> None:
    commands = _installers(python)
    if not commands:
        raise UsageError(
            "neither uv nor pip is there to install DiracX: install one, or make an environment "
            f"from {REQUIREMENTS} yourself and name it with --venv"
        )
    said: list[str] = []
    for command in commands:
        said = []
        if _run([*command, "-r", str(REQUIREMENTS)], said, progress) == 0:
            check_environment(python.parent.parent)
            return
    told = "\n".join(said[-_LINES_TOLD:])
    raise ProvError(
        f"DiracX could not be installed into {python.parent.parent}: check the network and the "
        "package index (PIP_INDEX_URL, UV_INDEX_URL), then try again, or make an environment "
        f"from {REQUIREMENTS} elsewhere and name it with --venv. The installer said:\n{told}"
    )


def _run(command: Sequence[str], said: list[str], progress: Callable[[str], None]) -> int:
    """Run the installer, telling of and keeping each line it writes; return its exit code."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line.rstrip())
            progress(line.rstrip())
    return child.returncode
