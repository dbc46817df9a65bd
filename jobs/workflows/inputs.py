"""The inputs object of a workflow: from a file, and from ``key=value`` on the command line."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cwltool.builder import INPUT_OBJ_VOCAB
from cwltool.process import shortname
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import ValidationException
from schema_salad.validate import validate_ex

from provmanager.errors import DifferenceError, JSONDict, NotFoundError, UsageError
from provmanager.ids import file_sha256

from .document import Port, Workflow

PLAN_ID = "prov_plan"
"""Input of a workflow that is to be run once: what it does, as a digest; each run records it."""

_WHOLE = frozenset({"int", "long"})
_REAL = frozenset({"float", "double"})
_PLACES = frozenset({"File", "Directory"})


def make_inputs(
    workflow: Workflow,
    config: Path | None = None,
    settings: Sequence[str] = (),
    *,
    before: Mapping[str, Any] | None = None,
    given: tuple[Mapping[str, Any], Path] | None = None,
) -> JSONDict:
    """Return the inputs object: the pipeline's own, under that of `config`, under `settings`.

    Any: JSON.

    Parameters
    ----------
    config : Path, optional
        JSON or YAML. Paths of files in it are relative to its folder.
    settings : sequence of str
        ``name=value``, typed by the workflow's input of that name; of an array, once for each
        item or as JSON. Paths are relative to the working directory.
    before : mapping, optional
        The inputs object of a former run, instead of the pipeline's own.
    given : (mapping, Path), optional
        Another inputs object, over all of these, and the folder to which its paths are relative.

    Raises
    ------
    NotFoundError
        A file that is named is not there.
    UsageError
        An input is unknown, missing, or of another type; the message names it and the expected.
    DifferenceError
        A file whose digest is said (``sha256`` beside ``location``) has other bytes now.
    """
    inputs: JSONDict = dict(before or {})
    for path in (workflow.defaults if before is None else None, config):
        if path is not None:
            found = _read(path)
            _check_names(workflow, found, str(path))
            inputs |= _located(found, path.absolute().parent)
    inputs |= _set(workflow, settings)
    if given is not None:
        _check_names(workflow, given[0], "inputs")
        inputs |= _located(dict(given[0]), given[1])
    for port in workflow.inputs:  # named here, they are recorded, and travel to where it runs
        if port.name not in inputs and (port.name == PLAN_ID or _is_place(port.default)):
            inputs[port.name] = port.default
    _check_missing(workflow, inputs)
    _check_types(workflow, inputs)
    _check_places(inputs, "")
    return inputs


def _is_place(value: Any) -> bool:  # Any: JSON
    if isinstance(value, list):
        return bool(value) and all(_is_place(item) for item in value)
    return isinstance(value, dict) and value.get("class") in _PLACES


def _read(path: Path) -> JSONDict:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else YAML(typ="safe").load(text)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}:{error.lineno}:{error.colno}: no JSON: {error.msg}", line=error.lineno
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(
            f"{path}: expected an object with the workflow's inputs, found {_kind(found)}"
        )
    return found


def _check_names(workflow: Workflow, found: Mapping[str, object], where: str) -> None:
    known = [port.name for port in workflow.inputs]
    for name in found:
        if name in known or str(name).startswith(("cwl:", "cwltool:", "$")):
            continue
        near = difflib.get_close_matches(str(name), known, n=3)
        raise UsageError(
            f"{where}: {workflow.name} has no input {name!r}; it has: {', '.join(known) or 'none'}",
            pointer=f"/{name}",
            suggestions=near or None,
        )


def _located(value: Any, folder: Path) -> Any:  # Any: JSON
    """Return the inputs with the places of files as absolute URIs."""
    if isinstance(value, list):
        return [_located(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _located(item, folder) for key, item in value.items()}
    if made.get("class") in _PLACES:
        place = made.pop("path", None)
        if place is not None:
            made["location"] = _uri(folder / str(place))
        elif "location" in made and not urlsplit(str(made["location"])).scheme:
            made["location"] = _uri(folder / unquote(str(made["location"])))
    return made


def _uri(path: Path) -> str:
    return "file://" + quote(str(path.absolute()))


def _set(workflow: Workflow, settings: Sequence[str]) -> JSONDict:
    ports = {port.name: port for port in workflow.inputs}
    found: JSONDict = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected NAME=VALUE")
        _check_names(workflow, {name: text}, "--set")
        value = _typed(text, ports[name].type, name)
        if isinstance(value, dict) and value.get("class") == "File" and ports[name].format:
            value["format"] = ports[name].format  # who names a file for an input says so
        if isinstance(value, list) and isinstance(found.get(name), list):
            value = found[name] + value
        found[name] = value
    return found


def _typed(text: str, kind: Any, name: str) -> Any:  # Any: a CWL type; JSON
    """Return the value that `text` means for an input of type `kind`."""
    kinds = kind if isinstance(kind, list) else [kind]
    for candidate in sorted(kinds, key=lambda k: k == "string"):  # what is a number is one
        try:
            return _as(text, candidate)
        except ValueError:
            continue
    raise UsageError(
        f"--set {name}={text}: expected {Port(name, kind).shown_type}", pointer=f"/{name}"
    )


def _as(text: str, kind: Any) -> Any:  # Any: a CWL type; JSON
    if isinstance(kind, Mapping):
        return _as_schema(text, kind)
    if kind == "null" and text in ("", "null"):
        return None
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in _WHOLE:
        return int(text)
    if kind in _REAL:
        return float(text)
    if kind in _PLACES:
        is_uri = bool(urlsplit(text).scheme)
        return {"class": kind, "location": text if is_uri else _uri(Path(text))}
    if kind == "string":
        return text
    if str(kind).endswith("Any"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    raise ValueError(text)


def _as_schema(text: str, kind: Mapping[str, Any]) -> Any:  # Any: a CWL type; JSON
    if kind["type"] == "enum":
        if text in {shortname(str(symbol)) for symbol in kind["symbols"]}:
            return text
        raise ValueError(text)
    if kind["type"] == "array":
        if text.lstrip().startswith("["):
            return [_item(item, kind["items"]) for item in json.loads(text)]
        return [_typed(text, kind["items"], "item")]
    found = json.loads(text)
    if isinstance(found, dict):
        return _located(found, Path.cwd())
    raise ValueError(text)


def _item(value: Any, kind: Any) -> Any:  # Any: JSON; a CWL type
    if isinstance(value, str):
        return _typed(value, kind, "item")
    return _located(value, Path.cwd())


def _check_missing(workflow: Workflow, inputs: JSONDict) -> None:
    missing = [p for p in workflow.inputs if p.is_required and inputs.get(p.name) is None]
    if not missing:
        return
    lines = [f"  {p.name}: {p.shown_type}" + (f"  ({p.doc.strip()})" if p.doc else "")
             for p in missing]  # fmt: skip
    raise UsageError(
        f"{workflow.name} needs inputs that were not given; say them in a file with --config or "
        "with --set NAME=VALUE:\n" + "\n".join(lines),
        missing=[p.name for p in missing],
    )


def _check_types(workflow: Workflow, inputs: JSONDict) -> None:
    schema = workflow.process.names.get_name("input_record_schema", None)
    assert schema is not None  # cwltool makes it of every process
    given = {port.name: port.default for port in workflow.inputs} | inputs
    given = {name: value for name, value in given.items() if value is not None}
    given = {n: v for n, v in given.items() if not n.startswith(("cwl:", "cwltool:", "$"))}
    try:
        validate_ex(schema, given, strict=False, vocab=INPUT_OBJ_VOCAB)
    except ValidationException as error:
        wrong = [
            f"{p.name}: expected {p.shown_type}, found {_kind(inputs[p.name])}"
            for p in workflow.inputs
            if p.name in inputs and f"{p.name} field" in re.sub(r"['`]", "", str(error))
        ]
        told = "\n".join(f"  {line}" for line in wrong) or str(error)
        raise UsageError(f"inputs of {workflow.name} are of another type:\n{told}") from error


def _check_places(value: Any, pointer: str) -> None:  # Any: JSON
    """Say which file is not there before anything runs."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_places(item, f"{pointer}/{i}")
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        _check_places(item, f"{pointer}/{key}")
    location = str(value.get("location", ""))
    if value.get("class") not in _PLACES or not location.startswith("file://"):
        return
    path = Path(unquote(urlsplit(location).path))
    is_there = path.is_file() if value["class"] == "File" else path.is_dir()
    if not is_there:
        raise NotFoundError(f"input {pointer}: there is no {value['class']} {path}")
    wanted = value.get("sha256")
    if wanted and (found := file_sha256(path)) != wanted:
        raise DifferenceError(
            f"input {pointer}: {path} has the SHA-256 {found}, expected was {wanted}: put back the "
            "file that was meant, or name another input"
        )


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("class", "an object"))
    names = {bool: "a boolean", int: "a whole number", float: "a number", str: "a text",
             list: "a list", type(None): "nothing"}  # fmt: skip
    return names.get(type(value), type(value).__name__)
