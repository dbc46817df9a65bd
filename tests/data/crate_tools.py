"""The tools of RO-Crate, in an environment of their own, which is made once.

They cannot be installed beside us: runcrate pins the `prov` of 2017, roc-validator an older `rich`.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REQUIREMENTS = Path(__file__).with_name("crate-tools.txt")
_CHECK = Path(__file__).with_name("check_crate.py")
_CONTEXT = "rocrate==0.13.0"  # the last that brings the context of RO-Crate 1.1


@dataclass(frozen=True)
class CrateTools:
    """roc-validator and runcrate in the environment `folder`."""

    folder: Path

    def issues(self, crate: Path, profile: str) -> list[str]:
        """Return what roc-validator has against a crate that must conform to a profile."""
        context = self.folder / "context" / "rocrate" / "data" / "ro-crate.jsonld"
        said = self._run("python", _CHECK, context, crate, profile)
        line = next(line for line in said.splitlines() if line.startswith('{"profile"'))
        found: dict[str, Any] = json.loads(line)
        assert found["n_checked"] > 40, found
        issues: list[str] = found["issues"]
        return issues

    def report(self, crate: Path) -> str:
        """Return what ``runcrate report`` prints."""
        return self._run("runcrate", "report", crate)

    def _run(self, program: str, *arguments: object) -> str:
        command = [str(self.folder / "bin" / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


def make_crate_tools() -> CrateTools:
    """Make the environment beside the packages that the tests run with, unless it is there."""
    folder = Path(sys.prefix) / "crate-tools"
    stamp = folder / "made"
    key = hashlib.sha256(_REQUIREMENTS.read_bytes() + f"{_CONTEXT} {sys.version}".encode())
    if not (stamp.exists() and stamp.read_text() == key.hexdigest()):
        shutil.rmtree(folder, ignore_errors=True)
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        python = str(folder / "bin" / "python")
        subprocess.run([*pip, "--python", python, "install", "-r", str(_REQUIREMENTS)], check=True)
        target = str(folder / "context")
        subprocess.run([*pip, "install", "--no-deps", "--target", target, _CONTEXT], check=True)
        stamp.write_text(key.hexdigest())
    return CrateTools(folder)
