"""Whether the software that a run had then is what it would have now."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jobs.engines import RunStatus
from provmanager.errors import JSONDict

from .document import step_names
from .plan import Plan, Record, Step

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
    if step.image is not None:  # the image has all of it
        return []
    if not environment or not environment.get("packages"):
        return [f"{name}: the record does not say with which packages it ran"]
    interpreter = _interpreter(step.program)
    now = ask(interpreter) if interpreter else None
    if now is None:
        return [f"{name}: {step.program[0]} is no Python program; its version cannot be compared"]
    here = {_key(n): str(v) for n, v in now["packages"].items()}
    return _differences(name, environment, here, now["python"])


def recorded_changes(plan: Plan, run: RunStatus, record: Record) -> list[str]:
    """Say what of the software of each step was another in a run of the plan, by the record."""
    found = []
    done = {step.name: step.activity for step in run.steps if step.activity}
    for name, step in step_names(plan).items():
        if name not in done or step.image is not None:  # the image has all of it
            continue
        then = record.activity(step.activity)["environment"]
        now = _own_environment(record, done[name])
        if not then or not then.get("packages") or now is None:
            found.append(f"{step.name}: the record does not say with which packages it ran")
            continue
        here = {_key(p["name"]): str(p["version"]) for p in now["packages"]}
        python = _version((now.get("python") or {}).get("version"))
        found += _differences(step.name, then, here, python)
    return found


def _own_environment(record: Record, activity_id: str) -> JSONDict | None:
    """Return the environment that a step recorded, or else a tool within it."""
    activity = record.activity(activity_id)
    inner = [record.activity(part["activity"]) for part in activity["parts"]]
    for one in (*inner, activity):
        environment: JSONDict = one["environment"] or {}
        if environment.get("packages"):
            return environment
    return None


def _differences(
    name: str, environment: JSONDict, here: Mapping[str, str], python_now: str
) -> list[str]:
    then = {_key(p["name"]): str(p["version"]) for p in environment["packages"]}
    differ = [
        f"{package} {version} then, {here.get(package, 'not installed')} now"
        for package, version in sorted(then.items())
        if here.get(package) != version
    ]
    python = _version((environment.get("python") or {}).get("version"))
    if python and python_now and python != python_now:
        differ.insert(0, f"Python {python} then, {python_now} now")
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
