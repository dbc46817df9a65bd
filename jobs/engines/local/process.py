"""What the process of a run does: load, run, record, and close everything whatever happens."""

import json
import logging
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from jobs.workflows import Workflow, load_workflow, write_packed
from provmanager.capture import Run
from provmanager.capture.command import observed
from provmanager.errors import ProvError, UsageError
from provmanager.ids import clean_json

from ..containers import engine_for
from ..interface import PARTLY_DONE
from .containers import Containers
from .delivery import Delivery
from .directory import ENGINE, RunDirectory, write_json
from .executor import ParallelExecutor, end_descendants
from .places import collect_products, each_place, path_of, sha256_of, without_places
from .reuse import REUSED_PRODUCT, Former
from .session import Session, own_python_first, product
from .steps import StepContext, make_process

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(directory: RunDirectory) -> int:
    """Run the workflow that the directory asks for, and return the exit code."""
    info = directory.info()
    stop = _Stop()
    for number in _SIGNALS:
        signal.signal(number, stop)
    own_python_first(os.environ)
    directory.append("started", pid=os.getpid())
    delivery = Delivery(directory.record_file)
    delivery.start()
    outcome: tuple[str, int, str | None] = ("error", 1, None)
    products: list[dict[str, Any]] = []  # Any: JSON
    try:
        outcome, products = _recorded(directory, info, delivery, stop)
    except ProvError as error:
        outcome = ("error", error.exit_code, error.message)
    except Exception as error:  # the edge of the process: the state file must say how it ended
        logger.exception("the engine failed")
        outcome = ("error", 1, f"{type(error).__name__}: {error}; see {directory.log_file}")
    finally:
        end_descendants(0.0)
        shutil.rmtree(directory.scratch, ignore_errors=True)  # of steps that were ended
        delivery.close()
        _tell_delivery(directory, delivery, info["engine"])
        state, code, reason = outcome
        directory.append("ended", state=state, exit_code=code, reason=reason, products=products)
    return outcome[1]


class _Stop:
    """A signal handler that tells the executor, as soon as there is one."""

    def __init__(self) -> None:
        self.executor: ParallelExecutor | None = None
        self.number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if self.executor is not None:
            self.executor.stop(number)


def _recorded(
    directory: RunDirectory, info: dict[str, Any], delivery: Delivery, stop: _Stop
) -> tuple[tuple[str, int, str | None], list[dict[str, Any]]]:  # Any: JSON
    """Run the workflow within its activity."""
    inputs = json.loads(directory.inputs_file.read_text(encoding="utf-8"))
    former = Former(RunDirectory(Path(info["resumes"]))) if info.get("resumes") else None
    attributes: dict[str, Any] = {"engine": info["engine"], "directory": str(directory.path),
                                  "steps": info["steps"]}  # fmt: skip
    others = [run for run in former.ids if run != info["id"]] if former is not None else []
    if others:  # but for former attempts of the run itself
        attributes["resumes"] = others[0]
    recording = observed(
        info["command"],
        name=info["name"],
        id=info["id"],
        type="Workflow",
        directory=directory.path,
        configuration=without_places(clean_json(inputs)),
        attributes=attributes,
        record=directory.record_file,
        announce=True,
    )
    if former is not None:
        for path in former.unclosed(directory.record_file, but=info["id"]):
            delivery.add(path)
    with recording as activity:
        delivery.wake()
        session = Session(directory, activity.id, delivery, former)
        try:
            return _run_workflow(directory, info, inputs, activity, session, stop)
        except BaseException as error:
            activity.message(str(error), level="error", code="engine")
            activity.ended(getattr(error, "exit_code", 1), status="error")
            raise


def _run_workflow(
    directory: RunDirectory,
    info: dict[str, Any],  # Any: JSON
    inputs: Any,  # Any: CWL's inputs object
    activity: Run,
    session: Session,
    stop: _Stop,
) -> tuple[tuple[str, int, str | None], list[dict[str, Any]]]:
    make = partial(make_process, session)
    workflow = load_workflow(info["workflow"], make=make)
    logging.getLogger("cwltool").addHandler(session.complaints)
    chosen = info.get("container")
    session.containers = Containers(
        engine_for(workflow, chosen), with_hints=chosen is not None, digests=session.digests
    )
    _register_inputs(directory, workflow, inputs, activity, is_packed=info.get("is_packed", False))
    executor = ParallelExecutor(
        session.run_job, info.get("max_parallel"), on_stop=session.containers.stop
    )
    stop.executor = executor
    if stop.number is not None:
        executor.stop(stop.number)
    if session.former is not None:
        session.former.check_products(session.digests)
    outputs, status = executor(workflow.process, inputs, _context(session, executor, workflow))
    products = _register_products(directory, outputs or {}, activity, session)
    outcome = _outcome(executor, session, status)
    for note in session.former.notes if session.former else ():
        activity.message(note, level="warning", code="not-reused")
        directory.append("note", text=note)
    for step, reason in session.failed:
        text = f"step {step} failed: {reason.splitlines()[0] if reason else ''}"
        activity.message(text, level="error", code="step-failed")
    activity.ended(outcome[1], status=outcome[0])
    return outcome, products


def _context(session: Session, executor: ParallelExecutor, workflow: Workflow) -> StepContext:
    directory = session.directory
    directory.scratch.mkdir(exist_ok=True)
    context = StepContext(
        {
            "basedir": str(directory.path),
            "use_container": False,
            "compute_checksum": False,
            "on_error": "continue",
            "tmpdir_prefix": str(directory.scratch) + os.sep,
            "select_resources": executor.select_resources,
            "move_outputs": "leave",
        }
    )
    context.containers = session.containers
    context.name = "" if workflow.process.tool["class"] == "Workflow" else workflow.name
    return context


def _register_inputs(
    directory: RunDirectory, workflow: Workflow, inputs: Any, activity: Run, *, is_packed: bool
) -> None:  # Any: CWL's inputs object
    """Record the workflow's document, whole, and the files of the inputs object."""
    try:
        if is_packed:  # where it was submitted
            shutil.copyfile(workflow.location.partition("#")[0], directory.workflow_file)
        else:
            write_packed(workflow, directory.workflow_file)
        activity.input(directory.workflow_file, role="workflow")
    except UsageError as error:
        activity.message(f"the workflow was not packed: {error}", code="not-packed")
    activity.input(workflow.location.partition("#")[0], role="workflow document")
    for name, value in inputs.items():
        for place in each_place(value):
            path = path_of(place)
            activity.input(path if path is not None else str(place.get("location")), role=name)


def _register_products(
    directory: RunDirectory, outputs: Any, activity: Run, session: Session
) -> list[dict[str, Any]]:  # Any: CWL's output object; JSON
    """Bring the products into their folder and record them; return them for the state file."""
    made, origins = collect_products(outputs, directory.products, directory.path)
    products = []
    for name, value in made.items():
        for place in each_place(value):
            path = path_of(place)
            if path is None:
                continue
            digest = sha256_of(path, session.digests) if place["class"] == "File" else None
            products.append(product(name, path, digest))
            if origins.get(path) in session.reused:
                activity.input(path, role=REUSED_PRODUCT)
            else:
                activity.output(path, role=name)
    write_json(directory.outputs_file, clean_json(made))
    return products


def _outcome(
    executor: ParallelExecutor, session: Session, status: str
) -> tuple[str, int, str | None]:
    """Return (state, exit code, reason) of the run."""
    if executor.stopped_by is not None:
        name = signal.Signals(executor.stopped_by).name
        return "interrupted", 128 + executor.stopped_by, f"received {name}"
    if session.failed:
        names = ", ".join(dict.fromkeys(str(step) for step, _ in session.failed))
        code = PARTLY_DONE if session.n_completed else 1
        return "error", code, f"failed: {names}"
    if status != "success":
        return "error", 1, "\n".join(session.complaints.told()[-3:]) or f"cwltool says {status}"
    return "completed", 0, None


def _tell_delivery(directory: RunDirectory, delivery: Delivery, engine: str) -> None:
    if delivery.n_spooled and engine == ENGINE:  # from a node, records come home all the same
        directory.append(
            "note",
            text=f"{delivery.n_spooled} documents of the record wait on disk for the server "
            f"({delivery.problem}); prod-add-prov --spool delivers them",
        )
    elif delivery.problem and not delivery.n_spooled:
        directory.append("note", text=f"the server refused a record: {delivery.problem}")
