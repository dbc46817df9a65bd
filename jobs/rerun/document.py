"""A plan as a CWL workflow, which any engine runs."""

import re
from pathlib import PurePosixPath
from typing import Any

from jobs.workflows import PLAN_ID
from provmanager.errors import JSONDict
from provmanager.ids import digest_of

from .images import requirement_of
from .plan import Input, Piece, Plan, Step


def make_document(plan: Plan, *, once: bool = False) -> JSONDict:
    """Return the CWL v1.2 workflow that repeats `plan`, with its input files as defaults.

    With `once`, it says which plan it is in its input `PLAN_ID`, which every run of it records.
    """
    names = {step.activity: name for name, step in step_names(plan).items()}
    sources = {
        output.entity: f"{names[step.activity]}/{_port('out', n)}"
        for step in plan.steps
        for n, output in enumerate(step.outputs)
    }
    files: dict[str, Input] = {}
    for step in plan.steps:
        files |= {i.entity: i for i in step.inputs if i.location is not None}
    ports = {entity: _port("file", n) for n, entity in enumerate(files)}
    said = {PLAN_ID: {"type": "string", "default": plan_id(plan)}} if once else {}
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "label": f"repeats what made {plan.product}" if plan.product else "repeats affected runs",
        "inputs": said
        | {
            ports[entity]: {"type": "File", "default": _file(given)}
            for entity, given in files.items()
        },
        "outputs": {
            f"{names[step.activity]}_{_port('out', n)}": {
                "type": "File",
                "outputSource": f"{names[step.activity]}/{_port('out', n)}",
            }
            for step in plan.steps
            for n in range(len(step.outputs))
        },
        "steps": {
            names[step.activity]: {
                "run": _tool(step),
                "in": {
                    _port("in", n): ports.get(given.entity) or sources[given.entity]
                    for n, given in enumerate(step.inputs)
                },
                "out": [_port("out", n) for n in range(len(step.outputs))],
            }
            for step in plan.steps
        },
    }


def plan_id(plan: Plan) -> str:
    """Return the digest of what is repeated: the recorded runs, and the bytes that they read."""
    read = {i.entity: i.sha256 for step in plan.steps for i in step.inputs if i.location}
    repeats = sorted(step.activity for step in plan.steps)
    return f"sha256:{digest_of({'repeats': repeats, 'reads': read})}"


def output_names(plan: Plan) -> dict[str, str]:
    """Return, for each output of the workflow of `make_document`, the entity that it repeats."""
    return {
        f"{name}_{_port('out', n)}": output.entity
        for name, step in step_names(plan).items()
        for n, output in enumerate(step.outputs)
    }


def step_names(plan: Plan) -> dict[str, Step]:
    """Return the steps by their names in the workflow of `make_document`."""
    return {f"{_slug(step.name)}_{number}": step for number, step in enumerate(plan.steps, 1)}


def _tool(step: Step) -> JSONDict:
    inputs = {given.entity: _port("in", n) for n, given in enumerate(step.inputs)}
    folders = sorted(
        {str(PurePosixPath(o.path).parent) for o in step.outputs}
        | {p.value for a in step.arguments for p in a if p.kind == "folder"}
    )
    tool: JSONDict = {
        "class": "CommandLineTool",
        "label": f"repeats {step.name} {step.activity}",
        "baseCommand": list(step.program),
        "arguments": [
            {"valueFrom": "".join(_text(piece, inputs) for piece in argument)}
            for argument in step.arguments
        ],
        "inputs": {port: "File" for port in inputs.values()},
        "outputs": {
            _port("out", n): {"type": "File", "outputBinding": {"glob": _glob(output.path)}}
            for n, output in enumerate(step.outputs)
        },
    }
    for name, value in step.streams.items():
        tool[name] = f"$(inputs.{inputs[value]}.path)" if name == "stdin" else value
    listing = _folders([f for f in folders if f != "."])
    needs: JSONDict = {"InitialWorkDirRequirement": {"listing": listing}} if listing else {}
    if step.image is not None:
        needs["DockerRequirement"] = requirement_of(step.image)
    if needs:
        tool["requirements"] = needs
    return tool


def _folders(paths: list[str]) -> list[JSONDict]:
    """Return empty folders, one in the other, as CWL Directory literals."""
    tree: dict[str, Any] = {}  # Any: trees of names
    for path in paths:
        level = tree
        for part in PurePosixPath(path).parts:
            level = level.setdefault(part, {})

    def literal(level: dict[str, Any]) -> list[JSONDict]:
        return [
            {"class": "Directory", "basename": name, "listing": literal(below)}
            for name, below in sorted(level.items())
        ]

    return literal(tree)


def _file(given: Input) -> JSONDict:
    place: JSONDict = {"class": "File", "location": given.location, "basename": given.name}
    return place | ({"sha256": given.sha256} if given.sha256 else {})


def _text(piece: Piece, inputs: dict[str, str]) -> str:
    if piece.kind == "input":
        return f"$(inputs.{inputs[piece.value]}.path)"
    if piece.kind == "text":
        return re.sub(r"\$(?=[({])", r"\\$", piece.value)
    return piece.value


def _glob(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def _port(kind: str, number: int) -> str:
    return f"{kind}{number}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "step"
