"""One run: its activity, the activity of each step, and what becomes of a step."""

import functools
import itertools
import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.job import ContainerCommandLineJob, JobBase

from provmanager.capture import Run
from provmanager.capture.command import observed
from provmanager.capture.files import DigestMemory
from provmanager.capture.run import PARENT_VARIABLE
from provmanager.ids import clean_json

from .closing import close_running
from .containers import Containers
from .delivery import Delivery
from .directory import RunDirectory, read_lines
from .executor import Ended
from .places import each_place, path_of, sha256_of, without_places
from .reuse import Former, reuse_key
from .steps import StepId, StepJob

_PASSED_ON = ("PROV_AGENT", "PROV_HASH_LIMIT", "PROV_CAPTURE_VARIABLES", "PROV_CONTAINER_IMAGE",
              "PROV_CONTAINER_DIGEST")  # fmt: skip
_TAIL_LINES = 15
_TAIL_BYTES = 4000
NOT_FOUND = 127


class Session:
    """What the jobs of a run share.

    Parameters
    ----------
    activity : str
        UUID of the activity of the run.
    former : Former, optional
        What a former run made.
    """

    def __init__(
        self, directory: RunDirectory, activity: str, delivery: Delivery, former: Former | None
    ) -> None:
        self.directory = directory
        self.activity = activity
        self.former = former
        self.digests = DigestMemory()
        self.failed: list[tuple[StepId, str]] = []
        self.n_completed = 0
        self.reused: set[str] = set()  # places of what former runs made
        self.complaints = Complaints()
        self.containers = Containers(None, with_hints=False, digests=self.digests)
        self._delivery = delivery
        self._lock = threading.Lock()
        self._folders: set[str] = set()

    def directory_of(self, step: StepId) -> Path:
        """Return a directory for a job, which nobody else gets."""
        with self._lock:
            names = (f"{step.folder}{f'_{i}' if i else ''}" for i in itertools.count())
            name = next(n for n in names if n not in self._folders)
            self._folders.add(name)
        path = self.directory.steps / name
        path.mkdir(parents=True)
        return path

    def run_job(self, planned: StepJob) -> Ended:
        """Run one job and record it; return how it ended."""
        self.complaints.forget()
        self.containers.find_image(planned)
        key = reuse_key(planned, self.digests)
        former = self.former.find(key, planned.step, self.digests) if self.former else None
        if former is not None:
            return self._reuse(planned, former)
        command = [str(part) for part in getattr(planned.job, "command_line", ())]
        attributes: dict[str, Any] = {"step": planned.step.name}  # Any: free-form JSON
        if planned.step.index:
            attributes["scatter_index"] = list(planned.step.index)
        is_process = isinstance(planned.job, JobBase)
        recording = observed(
            command,
            name=planned.step.name,
            software=None if is_process else _cwltool(),
            container=planned.image.to_record() if planned.image else None,
            type="WorkflowStep",
            directory=planned.directory / "work" if is_process else self.directory.path,
            attributes=attributes,
            parent=self.activity,
            record=self.directory.record_file,
            announce=True,
            digests=self.digests,
        )
        with recording as run:
            self._tell(planned, run, "running")
            self._delivery.wake()
            ended = self._perform(planned, run, key)
        self._close(planned, run, ended)
        return ended

    def _perform(self, planned: StepJob, run: Run, key: str | None) -> Ended:
        """Run the job within its activity."""
        if planned.job is None or planned.error:
            planned.errors.append(planned.error or "it could not be made")
            run.message(planned.errors[-1], level="error", code="not-started")
            run.ended(1)
            return Ended({}, "permanentFail")
        order = planned.job.builder.job
        run.configure(without_places(clean_json(order)))
        for name, value in order.items():
            for place in each_place(value):
                path = path_of(place)
                if path is not None:
                    run.input(path, role=name)
        wanted, _ = planned.tool.get_requirement("DockerRequirement")
        if wanted is not None and planned.image is None:
            name = wanted.get("dockerPull") or wanted.get("dockerImageId")
            run.message(f"run without the container that is a hint: {name}", code="no-container")
        caught = _Caught()
        planned.job.output_callback = caught
        context = planned.context.copy()
        context.workflow_eval_lock = threading.Condition(threading.RLock())  # ours has the outcome
        if isinstance(planned.job, JobBase):
            self._prepare(planned, run, caught, context)
            with (
                (planned.directory / "stdout.log").open("ab") as stdout,
                (planned.directory / "stderr.log").open("ab") as stderr,
            ):
                context.default_stdout, context.default_stderr = stdout, stderr
                self._run_guarded(planned, context, caught)
        else:
            self._run_guarded(planned, context, caught)
        self._judge(planned, run, caught)
        outputs = self._register_outputs(planned, run, caught.outputs)  # of a failed step too
        if caught.status == "success":
            run.annotate(cwl={"key": key, "outputs": outputs} if key else {"outputs": outputs})
        return Ended(caught.outputs, caught.status)

    def _run_guarded(self, planned: StepJob, context: RuntimeContext, caught: "_Caught") -> None:
        try:
            planned.job.run(context)
        except Exception as error:  # staging failed: cwltool raises what it likes
            logging.getLogger("cwltool").error("%s", error)
            caught.status = "permanentFail"

    def _prepare(
        self, planned: StepJob, run: Run, caught: "_Caught", context: RuntimeContext
    ) -> None:
        """Give the process its place in the record, and watch how it ends."""
        planned.job.environment |= {
            PARENT_VARIABLE: run.id,
            "PROV_RUN_FILE": str(planned.tool_record),
            "PROV_ANNOUNCE": "1",
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        }
        if planned.image is not None:
            self.containers.share(planned)
        names = ("stdin", "stdout", "stderr")
        streams = {n: value for n in names if (value := getattr(planned.job, n, None))}
        if streams:
            run.annotate(streams=streams)
        staged = {
            entry.target: entry.resolved
            for _, entry in planned.job.pathmapper.items()
            if entry.type == "File" and entry.target != entry.resolved
        }
        if staged:  # under which names the command line has its inputs
            run.annotate(staged=staged)
        planned.job.process_monitor = functools.partial(_wait, caught)
        context.tmpdir = planned.job.tmpdir

    def _judge(self, planned: StepJob, run: Run, caught: "_Caught") -> None:
        """Say in the record how the job ended, and why."""
        said = self.complaints.told()
        code = caught.exit_code
        if code is None:  # no process was started
            code = 0 if caught.status == "success" else _code_without_process(planned.job)
        usage = caught.usage
        if planned.image is not None and not planned.job.is_child:
            usage = None
            if 128 < code <= 128 + signal.SIGRTMAX:  # how an engine tells of a signal
                code = 128 - code
        if caught.status == "success":
            run.ended(code, status="completed", usage=usage)
            return
        run.ended(code, status="error" if code == 0 else None, usage=usage)
        tail = _tail(planned)
        for text, source in (*((t, "cwl") for t in said), (tail, "log")):
            if text:
                run.message(text, level="error", code=source)
                planned.errors.append(text)

    def _register_outputs(
        self, planned: StepJob, run: Run, outputs: Any
    ) -> Any:  # Any: CWL's output object
        """Record what the step made; return the output object with the digests of its files."""
        made = json.loads(json.dumps(clean_json(outputs)))
        for name, value in made.items():
            for place in each_place(value):
                path = path_of(place)
                if path is None:
                    continue
                run.output(path, role=name, content_type=_media_type(place))
                if place["class"] == "File":
                    place["sha256"] = sha256_of(path, self.digests)
                planned.products.append(product(name, path, place.get("sha256")))
                place.pop("contents", None)
        return made

    def _reuse(self, planned: StepJob, former: Any) -> Ended:  # Any: a record
        """Take the outputs of a former run's step instead of running it again."""
        outputs = json.loads(json.dumps(former["attributes"]["cwl"]["outputs"]))
        places = list(each_place(outputs))
        for place in places:
            place.pop("sha256", None)
        with self._lock:
            self.n_completed += 1
            if former.get("parent") != self.activity:  # else made by a former attempt of this run
                self.reused |= {os.path.realpath(path_of(place) or "") for place in places}
        shutil.rmtree(planned.directory, ignore_errors=True)
        self.directory.append(
            "step", step=planned.step.name, index=list(planned.step.index) or None,
            activity=former["id"], state="completed", exit_code=former.get("exit_code"),
            started_at=former.get("started_at"), ended_at=former.get("ended_at"), is_reused=True,
            products=_products(former),
        )  # fmt: skip
        return Ended(outputs, "success")

    def _tell(self, planned: StepJob, run: Run, state: str, **values: Any) -> None:  # Any: JSON
        self.directory.append(
            "step", step=planned.step.name, index=list(planned.step.index) or None,
            activity=run.id, state=state, log=str(planned.directory), **values,
        )  # fmt: skip

    def _close(self, planned: StepJob, run: Run, ended: Ended) -> None:
        """Say how the step ended, and hand its provenance on."""
        outcome = run.outcome
        state = outcome.status if outcome else "error"
        reason = None
        if ended.status != "success":
            reason = "\n".join(
                [f"exit code {outcome.exit_code if outcome else None}", *planned.errors[-2:]]
            )
        with self._lock:
            if ended.status == "success":
                self.n_completed += 1
            else:
                self.failed.append((planned.step, reason or state))
        self._tell(
            planned, run, state, exit_code=outcome.exit_code if outcome else None, reason=reason,
            products=planned.products,
        )  # fmt: skip
        told = planned.tool_record
        if told.is_file() and told.stat().st_size == 0:  # it was there to be mounted
            told.unlink()
        close_running(read_lines(told), told, f"step {planned.step} ended: {state}")
        self._delivery.add(told)


class _Caught:
    """What a job said at its end, instead of saying it to the workflow."""

    def __init__(self) -> None:
        self.outputs: Any = {}  # Any: CWL's output object
        self.status = "permanentFail"
        self.exit_code: int | None = None
        self.usage: Any = None  # Any: struct_rusage

    def __call__(self, outputs: Any, status: str) -> None:  # Any: CWL's output object
        self.outputs, self.status = outputs or {}, status


def _wait(caught: _Caught, process: Any) -> None:  # Any: subprocess.Popen
    """Wait for the process as cwltool's monitor does, and keep what it took."""
    try:
        _, status, caught.usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except ChildProcessError:  # a time limit has asked for it just before
        process.wait()
    caught.exit_code = process.returncode


class Complaints(logging.Handler):
    """What cwltool logged as errors in this thread since it was last asked to forget."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._local = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of an error."""
        self._texts().append(record.getMessage())

    def forget(self) -> None:
        """Begin anew, in this thread."""
        self._texts().clear()

    def told(self) -> list[str]:
        """Return what was logged in this thread."""
        return list(self._texts())

    def _texts(self) -> "deque[str]":
        if not hasattr(self._local, "texts"):
            self._local.texts = deque(maxlen=20)
        return self._local.texts  # type: ignore[no-any-return]


def _code_without_process(job: Any) -> int:  # Any: a cwltool job
    command = getattr(job, "command_line", None)
    if isinstance(job, ContainerCommandLineJob):
        return 1  # what is on the PATH here tells nothing
    if command and shutil.which(str(command[0]), path=job.environment.get("PATH")) is None:
        return NOT_FOUND
    return 1


def _tail(planned: StepJob) -> str:
    """Return the last lines that the tool wrote to standard error, else to standard output."""
    job = planned.job
    for stream in ("stderr", "stdout"):
        named = getattr(job, stream, None)
        path = planned.directory / "work" / named if named else planned.directory / f"{stream}.log"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace").strip()
        except OSError:
            continue
        if text:
            return "\n".join(text.splitlines()[-_TAIL_LINES:])
    return ""


def product(role: str, path: str, sha256: str | None) -> dict[str, Any]:  # Any: JSON
    """Return a product as the state file tells of it."""
    size = os.stat(path).st_size if os.path.isfile(path) else None
    told = {"name": Path(path).name, "path": path, "role": role, "sha256": sha256,
            "size_bytes": size}  # fmt: skip
    return {key: value for key, value in told.items() if value is not None}


def _products(record: Any) -> list[dict[str, Any]]:  # Any: a record; JSON
    return [{"name": Path(item["url"]).name, "path": item["url"].partition("://")[2],
             "role": item.get("role"), "sha256": item.get("sha256"),
             "size_bytes": item.get("size_bytes")}
            for item in record.get("outputs", ()) if "url" in item]  # fmt: skip


def _media_type(place: Any) -> str | None:  # Any: a File object
    kind = place.get("format")
    return str(kind) if kind else None


@functools.cache
def _cwltool() -> dict[str, str]:
    from importlib import metadata

    return {"name": "cwltool", "version": metadata.version("cwltool")}


def own_python_first(environ: Any) -> None:  # Any: os.environ
    """Let steps find the commands of our environment where the PATH names none of the name."""
    own = str(Path(sys.executable).parent)
    if own not in environ.get("PATH", "").split(os.pathsep):
        environ["PATH"] = os.pathsep.join([environ.get("PATH", os.defpath), own])
