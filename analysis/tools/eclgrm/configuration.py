"""The settings of the tasks: a file, changes to it, defaults; checked against their schema."""

import copy
import hashlib
import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import schemas
from analysis.tools.process import NotFoundError, WrongUseError

Settings = dict[str, Any]  # Any: JSON that schemas/eclgrm-config.v1.json describes

SCHEMA = "eclgrm-config.v1"


def load_configuration(path: Path | None, changes: Sequence[str] = ()) -> Settings:
    """Return the settings of all tasks, defaults filled in.

    Parameters
    ----------
    path : Path, optional
        JSON or YAML file with a section a task.
    changes : sequence of str
        ``qtemp.GRM.bin_s=0.128``: values are JSON, or else text. They win over the file.

    Raises
    ------
    NotFoundError
        There is no such file.
    WrongUseError
        It is not JSON or YAML, a setting is unknown, or a value cannot be; the message has the
        JSON pointer of the setting and what was expected.
    """
    schema = schemas.load(SCHEMA)
    found: Settings = {}
    if path is not None:
        found = _read(path)
        _check(found, schema, str(path))
    for change in changes:
        _apply(found, change)
        _check(found, schema, f"--set {change}")
    filled = _with_defaults(schema, found)
    _check_order(filled, str(path) if path else "--set")
    return filled


def digest(settings: Settings) -> str:
    """SHA-256 of settings in canonical JSON: keys sorted, no spaces."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> Settings:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: there is no such configuration file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUseError(f"{path}: cannot be read as text: {error}") from error
    found = _parse_yaml(path, text) if path.suffix in (".yaml", ".yml") else _parse(path, text)
    if not isinstance(found, dict):
        raise WrongUseError(f"{path}: holds {type(found).__name__}; expected an object of sections")
    return found


def _parse(path: Path, text: str) -> Any:  # Any: free-form JSON
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongUseError(
            f"{path}, line {error.lineno}, column {error.colno}: {error.msg}; expected JSON"
        ) from error


def _parse_yaml(path: Path, text: str) -> Any:  # Any: free-form YAML
    import yaml

    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise WrongUseError(f"{path}: {' '.join(str(error).split())}; expected YAML") from error


def _apply(settings: Settings, change: str) -> None:
    key, equals, text = change.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise WrongUseError(f"--set {change}: expected task.setting=value")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    place = settings
    for name in names[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise WrongUseError(f"--set {change}: {name} is a value, not a section")
    place[names[-1]] = value


def _check(settings: Settings, schema: Settings, source: str) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import relevance

    errors = sorted(Draft202012Validator(schema).iter_errors(settings), key=relevance)
    if not errors:
        return
    error = errors[0]
    pointer = "/" + "/".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        near = get_close_matches(unknown, known, 1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        pointer = f"{pointer.rstrip('/')}/{unknown}"
        raise WrongUseError(f"{source}: {pointer}: there is no such setting; {hint}")
    told = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    meaning = f" ({told})" if told else ""
    raise WrongUseError(f"{source}: {pointer}: {error.message}{meaning}; see: eclgrm config")


def _with_defaults(schema: Settings, found: Any) -> Any:  # Any: JSON
    """Fill in what is left out, section by section."""
    if "properties" not in schema:
        return found
    return {
        name: _with_defaults(part, found.get(name, copy.deepcopy(part.get("default"))))
        for name, part in schema["properties"].items()
    }


def _check_order(settings: Any, source: str, pointer: str = "") -> None:  # Any: JSON
    """Refuse ranges whose lower end is not below the upper one, which no schema can tell."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            _check_order(value, source, f"{pointer}/{name}")
        return
    ranges = settings if isinstance(settings, list) else []
    is_one = pointer.endswith(("energy_kev", "search_kev", "peak_kev", "soft_kev", "hard_kev"))
    if is_one or pointer.endswith("interval_s"):
        ranges = [ranges] if ranges else []
    for one in ranges:
        if isinstance(one, list) and len(one) == 2 and not one[0] < one[1]:
            raise WrongUseError(f"{source}: {pointer}: {one}; expected the lower end first")
