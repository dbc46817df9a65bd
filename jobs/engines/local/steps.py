"""cwltool's processes as they run here: each job of a tool knows its step, index and directory."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cwltool.command_line_tool import CommandLineTool, ExpressionTool
from cwltool.context import LoadingContext, RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.job import JobBase
from cwltool.process import Process
from cwltool.workflow import Workflow, default_make_tool
from ruamel.yaml.comments import CommentedMap
from schema_salad.exceptions import ValidationException

from ..containers import Image
from .containers import Containers, contained

Callback = Any  # Any: cwltool's callables that take (outputs, status)


class StepContext(RuntimeContext):
    """cwltool's context, with the way to a step through the workflows around it.

    Attributes
    ----------
    path : tuple of (name, scatter index)
        Steps of the enclosing workflows, the outermost first.
    containers : Containers, optional
        What tools that want a container run in.
    """

    path: tuple[tuple[str, tuple[int, ...]], ...] = ()
    containers: Containers | None = None


@dataclass(frozen=True, slots=True)
class StepId:
    """Which step, and which of a scattered one."""

    name: str
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f"[{i}]" for i in self.index)

    @property
    def folder(self) -> str:
        """Name for a directory."""
        return ".".join([self.name.replace("/", "."), *map(str, self.index)])


@dataclass
class StepJob:
    """One job of a step, or the reason for which it could not be made.

    Attributes
    ----------
    job : cwltool job or None
        None if it could not be made; `error` says why.
    tool : Process
        What it is a job of.
    deliver : callable
        Hands (outputs, status) on to the workflow.
    inputs : CWL inputs object
        What the job gets, before expressions are evaluated.
    errors : list of str
        Why it failed, as far as anybody said.
    products : list of JSON
        What it made.
    image : Image, optional
        The container image that it runs in.
    """

    step: StepId
    directory: Path
    tool: Process
    deliver: Callback
    context: RuntimeContext
    job: Any = None
    inputs: Any = None
    error: str | None = None
    errors: list[str] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    image: Image | None = None

    @property
    def tool_record(self) -> Path:
        """File that a tool with capture writes what it records of itself to."""
        return self.directory / "tool.prov.json"

    @property
    def resources(self) -> tuple[float, float]:
        """Cores and MiB that it needs."""
        if not isinstance(self.job, JobBase):
            return 0.0, 0.0
        needs = self.job.builder.resources
        return float(needs["cores"]), float(needs["ram"])


class Directories(Protocol):
    """What gives each job a directory of its own."""

    def directory_of(self, step: StepId) -> Path:
        """Return the directory for a job, which nobody else gets."""
        ...


def make_process(
    directories: Directories, document: CommentedMap, context: LoadingContext
) -> Process:
    """Make cwltool's object of a process, with our own of those that make jobs."""
    made: Tool | Expression | SubWorkflow
    match document.get("class"):
        case "CommandLineTool":
            made = Tool(document, context)
        case "ExpressionTool":
            made = Expression(document, context)
        case "Workflow":
            made = SubWorkflow(document, context)
        case _:
            return default_make_tool(document, context)
    made.directories = directories
    return made


class Tool(CommandLineTool):
    """A CommandLineTool whose jobs are `StepJob`."""

    directories: Directories

    def job(  # type: ignore[override]
        self, job_order: Any, output_callbacks: Callback, context: RuntimeContext
    ) -> Iterator[StepJob]:
        """Yield the job."""
        yield from _jobs(self, super().job, job_order, output_callbacks, context)

    def make_job_runner(self, context: RuntimeContext) -> type[JobBase]:
        """Return the class of the jobs."""
        return contained(super().make_job_runner(context))


class Expression(ExpressionTool):
    """An ExpressionTool whose jobs are `StepJob`."""

    directories: Directories

    def job(  # type: ignore[override]
        self, job_order: Any, output_callbacks: Callback, context: RuntimeContext
    ) -> Iterator[StepJob]:
        """Yield the job."""
        yield from _jobs(self, super().job, job_order, output_callbacks, context)


class SubWorkflow(Workflow):
    """A Workflow that tells the steps in it the way to them."""

    directories: Directories

    def job(  # type: ignore[override]
        self, job_order: Any, output_callbacks: Callback, context: RuntimeContext
    ) -> Iterator[Any]:
        """Yield the jobs of its steps."""
        if not context.toplevel and isinstance(context, StepContext):
            index = scatter_index(output_callbacks)
            context = context.copy()
            assert isinstance(context, StepContext)
            context.path = (*context.path, (context.name, index))
        yield from super().job(job_order, output_callbacks, context)


def _jobs(
    tool: Any, make: Any, job_order: Any, callback: Callback, context: RuntimeContext
) -> Iterator[StepJob]:
    step = _step_of(context, callback)
    directory = tool.directories.directory_of(step)
    context = context.copy()
    context.outdir = str(directory / "work")
    if isinstance(context, StepContext) and context.containers is not None:
        context.containers.prepare(tool, context)
    planned = StepJob(step, directory, tool, callback, context, inputs=job_order)
    try:
        for job in make(job_order, callback, context):
            planned.job = job
    except (WorkflowException, ValidationException) as error:
        planned.error = str(error)
    yield planned


def _step_of(context: RuntimeContext, callback: Callback) -> StepId:
    path = context.path if isinstance(context, StepContext) else ()
    names = [name for name, _ in path] + [context.name]
    indices = [i for _, index in path for i in index]
    return StepId("/".join(names), (*indices, *scatter_index(callback)))


def scatter_index(callback: Callback) -> tuple[int, ...]:
    """Return the index of a scattered job from the chain of callbacks that takes its outputs.

    cwltool keeps it nowhere else: `receive_scatter_output` is bound to it, once for each level of a
    nested cross product.
    """
    found: list[int] = []
    while isinstance(callback, functools.partial):
        name = getattr(callback.func, "__name__", "")
        if name == "receive_scatter_output":
            found.insert(0, int(callback.args[0]))
            callback = callback.func.__self__.output_callback  # type: ignore[attr-defined]
        elif name == "receive_output" and len(callback.args) == 1:  # of a WorkflowStep
            callback = callback.args[0]
        else:
            break
    return tuple(found)
