"""On the node, before anything is installed there: a virtual environment of wheels, made once.

    python install.py WHEELS ENVIRONMENT

Standard library only, and any Python from 3.11 on. Jobs that want the same environment wait for the
one that makes it.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

COMPLETE = "complete"
"""File in an environment that is whole."""

DESCRIPTION = "wheels.json"
"""Beside the wheels: for which Python and platform they are."""


def this_platform() -> dict[str, str]:
    """Return what wheels are made for: the Python and the machine."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": sysconfig.get_platform(),
    }


def install(wheels: Path, environment: Path) -> None:
    """Make the environment, unless it is there.

    Raises
    ------
    SystemExit
        The wheels are for another Python, or pip refuses them.
    """
    wanted = json.loads((wheels / DESCRIPTION).read_text())
    found = this_platform()
    if wanted != found:
        sys.exit(f"the wheels are for {wanted}, and this is {found}: name another python")
    environment.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{environment}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / COMPLETE).exists():
            _make(wheels, environment)
    finally:
        os.close(lock)


def _make(wheels: Path, environment: Path) -> None:
    shutil.rmtree(environment, ignore_errors=True)  # of one that was killed meanwhile
    venv.EnvBuilder(symlinks=True, with_pip=False).create(environment)
    files = sorted(map(str, wheels.glob("*.whl")))
    pip = next(name for name in files if os.path.basename(name).startswith("pip-"))
    done = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index",
         "--no-deps", "--no-compile", "--disable-pip-version-check", *files],
        env={**os.environ, "PYTHONPATH": pip}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"pip cannot install the wheels: {done.stderr.strip()[-2000:]}")
    (environment / COMPLETE).touch()


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
