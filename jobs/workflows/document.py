"""Load and check any CWL document: v1.0 to v1.2, YAML or JSON, packed or not."""

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwltool.context import LoadingContext
from cwltool.errors import GraphTargetMissingException, WorkflowException
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document
from cwltool.pack import pack
from cwltool.process import Process, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.workflow import default_make_tool
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError
from schema_salad.exceptions import ValidationException

from jobs.pipelines import find_document
from provmanager.errors import JSONDict, UsageError

from .schemas import load_schemas

MakeTool = Callable[[CommentedMap, LoadingContext], Process]

_LONGEST_MESSAGE = 4000
_IMAGE_NAMES = ("dockerPull", "dockerImageId", "dockerLoad", "dockerImport")
_PLACE = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+):")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a workflow.

    Attributes
    ----------
    type : JSON
        The CWL type as cwltool resolves it: a name, a list of alternatives, or a schema.
        Any: JSON.
    """

    name: str
    type: Any
    doc: str | None = None
    default: Any = None
    is_required: bool = True
    format: str | None = None

    @property
    def shown_type(self) -> str:
        """The type in CWL's short notation, as ``File[]?``."""
        return _shown(self.type)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a workflow: its name, the class of what it runs, and whether it is scattered."""

    name: str
    runs: str
    is_scattered: bool
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """A CWL document that was loaded and checked.

    Attributes
    ----------
    name : str
        Name of the pipeline, or of the file.
    location : str
        Where it was read.
    process : cwltool's Process
        What cwltool made of it.
    context : cwltool's LoadingContext
        What it was made with.
    """

    name: str
    location: str
    cwl_version: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    steps: tuple[Step, ...]
    process: Process = field(repr=False)
    context: LoadingContext = field(repr=False)
    defaults: Path | None = None
    doc: str | None = None
    required_image: str | None = None
    """The first container image that a process in it cannot do without (DockerRequirement)."""


def load_workflow(source: str, *, make: MakeTool = default_make_tool) -> Workflow:
    """Load and check the workflow or tool that `source` names (`find_document`).

    Parameters
    ----------
    make : callable
        What makes cwltool's objects of the processes in the document.

    Raises
    ------
    NotFoundError
        There is no such pipeline or file.
    UsageError
        It is not valid CWL; the message names file, line and what was expected.
    """
    found = find_document(source)
    quieten()
    with _errors_of(found.location):
        context = LoadingContext({"construct_tool_object": make, "disable_js_validation": True})
        context, document, uri = fetch_document(found.location, context)
        _check_shape(document, found.location)
        load_schemas(document.get("cwlVersion"))
        context, uri = resolve_and_validate_document(context, document, uri)
        process = make_tool(uri, context)
        process.visit(_check_runnable)
        images: list[str] = []
        process.visit(lambda tool: images.extend(_required_images(tool)))
    tool = process.tool
    return Workflow(
        name=found.name,
        location=found.location,
        cwl_version=str(process.metadata.get(ORIGINAL_CWLVERSION) or "v1.2"),
        inputs=tuple(_port(port) for port in tool["inputs"]),
        outputs=tuple(_port(port) for port in tool["outputs"]),
        steps=tuple(_in_order(list(_steps(tool))))
        or (Step(found.name, str(tool["class"]), False),),
        process=process,
        context=context,
        defaults=found.defaults,
        doc=_text(tool.get("doc") or tool.get("label")),
        required_image=next(iter(images), None),
    )


def pack_workflow(workflow: Workflow) -> JSONDict:
    """Return the whole document with all that it runs and imports in it, as plain JSON.

    Raises
    ------
    UsageError
        cwltool cannot pack it; a tool that stands twice in it by a YAML alias is such a case.
    """
    with _errors_of(workflow.location):
        context = LoadingContext({"construct_tool_object": default_make_tool, "do_update": False,
                                  "disable_js_validation": True})  # fmt: skip
        context, document, uri = fetch_document(workflow.location, context)
        context, uri = resolve_and_validate_document(context, document, uri)
        text = json.dumps(pack(context, uri))
    if '"$import"' in text:  # cwltool puts it for the second use of one YAML object
        raise UsageError(
            f"{workflow.location}: cwltool cannot pack what is used twice by a YAML alias (&, *): "
            "put it into a file of its own, which `run` names"
        )
    packed: JSONDict = json.loads(text)
    return packed


def quieten() -> None:
    """Let cwltool log through the handlers of this process instead of its own on stderr."""
    from cwltool.loghandler import _logger, defaultStreamHandler

    _logger.removeHandler(defaultStreamHandler)
    salad = logging.getLogger("salad")
    for handler in list(salad.handlers):
        salad.removeHandler(handler)
    for logger in (_logger, salad):
        logger.addHandler(logging.NullHandler())


@contextmanager
def _errors_of(location: str) -> Iterator[None]:
    try:
        yield
    except (ValidationException, WorkflowException, GraphTargetMissingException) as error:
        text = str(error)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{location}:{mark.line + 1}:{mark.column + 1}: " if mark else ""
        text = f"{place}{error.problem or error}"
    except (OSError, ValueError) as error:
        text = str(error)
    except StopIteration:  # what the YAML reader says of a file without a document
        text = f"{location}: expected an object with cwlVersion and class, found nothing"
    else:
        return
    raise invalid(location, text)


def invalid(location: str, text: str) -> UsageError:
    """Return the error for a document that cwltool refuses with `text`."""
    lines = [line.rstrip() for line in text.replace("file://", "").splitlines() if line.strip()]
    told = "\n".join(lines)[:_LONGEST_MESSAGE]
    place = _PLACE.search(told)
    return UsageError(
        f"{location} is no CWL document that can be run:\n{told}",
        file=place["file"] if place else location,
        line=int(place["line"]) if place else None,
    )


def _check_shape(document: object, location: str) -> None:
    """Say early what is no CWL at all: cwltool would answer with an assertion."""
    if not isinstance(document, Mapping):
        raise ValidationException(
            f"{location}: expected an object with cwlVersion and class, "
            f"found {type(document).__name__}"
        )
    if "cwlVersion" not in document and "class" not in document and "$graph" not in document:
        raise ValidationException(
            f"{location}: expected cwlVersion and class, found only: "
            f"{', '.join(sorted(map(str, document))[:8]) or 'nothing'}"
        )


def _check_runnable(tool: CommentedMap) -> None:
    if tool["class"] == "Operation":
        raise WorkflowException(
            f"{tool.get('id', 'a process')} is an abstract Operation: nothing says how to run it"
        )


def _required_images(tool: CommentedMap) -> Iterator[str]:
    """Yield the images of the containers that a process, or a step of it, requires."""
    for one in (tool, *tool.get("steps", ())):
        for requirement in one.get("requirements") or ():
            if requirement.get("class") == "DockerRequirement":
                names = (requirement.get(name) for name in _IMAGE_NAMES)
                yield str(next(filter(None, names), "an image without a name"))


def _steps(tool: Mapping[str, Any]) -> Iterator[Step]:  # Any: a CWL document
    makers = {
        out["id"] if isinstance(out, Mapping) else str(out): shortname(step["id"])
        for step in tool.get("steps", ())
        for out in step.get("out", ())
    }
    for step in tool.get("steps", ()):
        run = step["run"]
        sources = [source for port in step.get("in", ()) for source in _listed(port.get("source"))]
        yield Step(
            name=shortname(step["id"]),
            runs=str(run["class"]) if isinstance(run, Mapping) else Path(str(run)).name,
            is_scattered="scatter" in step,
            after=tuple(dict.fromkeys(makers[source] for source in sources if source in makers)),
        )


def _in_order(steps: list[Step]) -> Iterator[Step]:
    """Yield the steps so that each comes after those that it needs, else in their own order."""
    left, done = steps, set[str]()
    while left:
        step = next((s for s in left if done >= set(s.after)), left[0])
        left.remove(step)
        done.add(step.name)
        yield step


def _listed(value: Any) -> list[Any]:  # Any: one or several
    return [] if value is None else value if isinstance(value, list) else [value]


def _port(port: Mapping[str, Any]) -> Port:  # Any: a CWL document
    kind = json.loads(json.dumps(port["type"]))
    is_optional = kind == "null" or (isinstance(kind, list) and "null" in kind)
    return Port(
        name=shortname(port["id"]),
        type=kind,
        doc=_text(port.get("doc") or port.get("label")),
        default=json.loads(json.dumps(port.get("default"))),
        is_required=not is_optional and port.get("default") is None,
        format=port["format"] if isinstance(port.get("format"), str) else None,
    )


def _text(doc: object) -> str | None:
    if isinstance(doc, list):
        return "\n".join(map(str, doc))
    return str(doc) if doc else None


def _shown(kind: Any) -> str:  # Any: a CWL type
    if isinstance(kind, list):
        others = [_shown(k) for k in kind if k != "null"]
        mark = "?" if "null" in kind else ""
        return others[0] + mark if len(others) == 1 else " | ".join(others) + mark
    if isinstance(kind, Mapping):
        if kind["type"] == "array":
            return _shown(kind["items"]) + "[]"
        if kind["type"] == "enum":
            return "one of " + ", ".join(shortname(str(s)) for s in kind["symbols"])
        return str(kind["type"])
    return shortname(str(kind)) if "#" in str(kind) else str(kind)


def write_packed(workflow: Workflow, path: Path) -> None:
    """Write the packed document to `path`, whole or not at all."""
    text = json.dumps(pack_workflow(workflow), indent=1, ensure_ascii=False) + "\n"
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
    ) as stream:
        stream.write(text)
    Path(stream.name).replace(path)
