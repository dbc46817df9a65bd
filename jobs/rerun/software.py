"""Whether the software that a run had then is what it would have now."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from provmanager.errors import JSONDict

from .plan import Step

_ASK = (
    "import json, sys; from importlib.metadata import distributions as d; "
    "print(json.dumps({'python': sys.version.split()[0], 'packages': "
    "{x.metadata['Name']: x.version for x in d() if x.metadata['Name']}}))"
)
_MOST = 8


def software_changes(steps: Iterable[tuple[Step, JSONDict | None]]) -> list[str]:
    """Say what of the recorded environment of each step is another now: interpreter and packages.

    Each interpreter is asked once for its packages.
    """
    ask = functools.cache(_environment)
    return [text for step, then in steps for text in _changes(step, then, ask)]


def _changes(
    step: Step, environment: JSONDict | None, ask: Callable[[str], JSONDict | None]
) -> list[str]:
    name = step.name
    if not environment or not environment.get("packages"):
        return [f"{name}: the record does not say with which packages it ran"]
    interpreter = _interpreter(step.program)
    now = ask(interpreter) if interpreter else None
    if now is None:
        return [f"{name}: {step.program[0]} is no Python program; its version cannot be compared"]
    then = {_key(p["name"]): str(p["version"]) for p in environment["packages"]}
    here = {_key(n): str(v) for n, v in now["packages"].items()}
    differ = [
        f"{package} {version} then, {here.get(package, 'not installed')} now"
        for package, version in sorted(then.items())
        if here.get(package) != version
    ]
    python = _version((environment.get("python") or {}).get("version"))
    if python and python != now["python"]:
        differ.insert(0, f"Python {python} then, {now['python']} now")
    if len(differ) > _MOST:
        differ = [*differ[:_MOST], f"and {len(differ) - _MOST} packages more"]
    return [f"{name}: {'; '.join(differ)}"] if differ else []


def _version(said: object) -> str:
    """Return a Python version as text; ctapipe writes it as a list."""
    return ".".join(map(str, said)) if isinstance(said, list) else str(said or "")


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _interpreter(program: tuple[str, ...]) -> str | None:
    """Return the Python that a program runs with, from its first line."""
    if Path(program[0]).name.startswith("python"):
        return program[0]
    try:
        with Path(program[0]).open("rb") as file:
            line = file.readline(500)
    except OSError:
        return None
    if not line.startswith(b"#!") or b"python" not in line:
        return None
    words = line[2:].decode(errors="replace").split()
    return words[-1] if words[0].endswith("/env") else words[0]


def _environment(interpreter: str) -> JSONDict | None:
    try:
        said = subprocess.run(
            [interpreter if "/" in interpreter else sys.executable, "-c", _ASK],
            capture_output=True,
            check=True,
            timeout=60,
        )
        found: JSONDict = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found
