"""``production.yml`` with the workflows of its steps, checked before anything is claimed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from jobs.workflows import Port, Workflow, load_workflow
from provmanager.errors import DocumentError, JSONDict, NotFoundError, UsageError
from provmanager.formats.production_document import from_json, read_production
from provmanager.model.productions import Production, ProductionStep

NAMES = ("production", "step", "run")
_OF_FILES, _OF_NUMBERS = ("key", "name", "stem"), ("number",)
"""What ``${…}`` may name in texts of inputs, beside names of the production's metadata."""

_PLACES = ("File", "Directory")
_NUMBERS = ("int", "long", "string")


@dataclass(frozen=True, slots=True)
class LoadedProduction:
    """A production, the folder to which its paths are relative, and its workflows by step."""

    production: Production
    folder: Path
    workflows: Mapping[str, Workflow]


def load_production(path: Path, *, engine: str | None = None) -> LoadedProduction:
    """Read a production and the workflows that it names.

    Parameters
    ----------
    engine : str, optional
        Where all of it is to run, whatever it says itself.

    Raises
    ------
    NotFoundError
        The document, or a workflow, is not there.
    DocumentError
        It does not fit the schema; the message says where.
    UsageError
        A workflow cannot be run, or has no such input.
    """
    try:
        production = read_production(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except DocumentError as error:
        error.message = f"{path}: {error.message}"
        error.args = (error.message,)
        raise
    if engine is not None:
        production = from_json(_at(engine, production.document))
    folder = path.absolute().parent
    workflows = {}
    for number, step in enumerate(production.steps):
        beside = folder / step.workflow.partition("#")[0]
        source = str(folder / step.workflow) if beside.exists() else step.workflow
        workflows[step.name] = load_workflow(source)
        _check(step, workflows[step.name], production.metadata, f"{path}: /steps/{number}")
    return LoadedProduction(production, folder, workflows)


def _at(engine: str, document: Mapping[str, Any]) -> JSONDict:  # Any: JSON
    """Return the document with everything on one engine."""
    steps = [{k: v for k, v in step.items() if k != "engine"} for step in document["steps"]]
    return {**document, "engine": engine, "steps": steps}


def _check(
    step: ProductionStep, workflow: Workflow, metadata: Mapping[str, object], where: str
) -> None:
    ports = {port.name: port for port in workflow.inputs}
    told = ", ".join(f"{port.name} ({port.shown_type})" for port in workflow.inputs) or "none"
    for name in (step.taking, *step.inputs):
        if name not in ports:
            part = f"inputs/{name}"
            if name == step.taking:
                part = "generate/parameter" if step.numbers else "files"
            raise UsageError(
                f"{where}/{part}: {workflow.name} has no input {name!r}; it has: {told}"
            )
    _check_taking(step, ports[step.taking], workflow, where)
    missing = [p.name for p in workflow.inputs
               if p.is_required and p.name not in (step.taking, *step.inputs)]  # fmt: skip
    if missing and workflow.defaults is None:
        raise UsageError(f"{where}/inputs: {workflow.name} needs also: {', '.join(missing)}")
    known = (*NAMES, *(_OF_NUMBERS if step.numbers else _OF_FILES), *metadata)
    for name in _names_in(step.inputs):
        if name not in known:
            raise UsageError(
                f"{where}/inputs: ${{{name}}} is not known; there are: "
                f"{', '.join(known)}; write $${{…}} for the text itself"
            )


def _check_taking(step: ProductionStep, port: Port, workflow: Workflow, where: str) -> None:
    """Check that an input can take the group, or the number."""
    found = f"the input {step.taking!r} of {workflow.name} is of type {port.shown_type}"
    if step.numbers is not None:
        if not _kinds(port.type) & set(_NUMBERS) or takes_many(port):
            expected = ", ".join(_NUMBERS)
            raise UsageError(f"{where}/generate/parameter: {found}: expected one of {expected}")
        return
    if kind_of(port) is None:
        raise UsageError(f"{where}/files: {found}: expected File, Directory, or a list of them")
    if step.group_size > 1 and not takes_many(port):
        raise UsageError(
            f"{where}/group/size: the input {step.files!r} of {workflow.name} takes one file, and "
            f"a group has {step.group_size}: make it File[], or leave the size out"
        )


def numbered(port: Port, number: int) -> int | str:
    """Return a number as an input takes it."""
    return number if _kinds(port.type) & {"int", "long"} else str(number)


def kind_of(port: Port) -> str | None:
    """Return File or Directory, where the input takes such; else None."""
    found = _kinds(port.type)
    return next((kind for kind in _PLACES if kind in found), None)


def takes_many(port: Port) -> bool:
    """Whether an input takes a list."""
    alternatives = port.type if isinstance(port.type, list) else [port.type]
    return any(isinstance(kind, Mapping) and kind["type"] == "array" for kind in alternatives)


def _kinds(kind: Any) -> set[str]:  # Any: a CWL type
    if isinstance(kind, list):
        return {name for one in kind for name in _kinds(one)}
    if isinstance(kind, Mapping):
        return _kinds(kind["items"]) if kind["type"] == "array" else set()
    return {str(kind)}


def _names_in(value: Any) -> set[str]:  # Any: JSON
    """Return what ``${…}`` names anywhere in texts of `value`."""
    if isinstance(value, Mapping):
        return {name for item in value.values() for name in _names_in(item)}
    if isinstance(value, list):
        return {name for item in value for name in _names_in(item)}
    return set(Template(value).get_identifiers()) if isinstance(value, str) else set()
