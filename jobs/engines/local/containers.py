"""Tools in containers (CWL's DockerRequirement): which of them, and cwltool's jobs that do it."""

import functools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwltool.context import RuntimeContext
from cwltool.docker import DockerCommandLineJob, PodmanCommandLineJob
from cwltool.errors import WorkflowException
from cwltool.job import ContainerCommandLineJob
from cwltool.singularity import SingularityCommandLineJob

from provmanager.capture.agents import describe_agent
from provmanager.capture.files import DigestMemory
from provmanager.errors import ProvError

from ..containers import Image, end_container, find_image, pull_image
from .places import sha256_of

if TYPE_CHECKING:
    from .steps import StepJob

_LIMIT_GRACE_S = 10.0
_STOP_GRACE_S = 2.0
"""How long tools in containers have to end, in seconds: the first process of one takes no notice of
a signal that it does not handle, and whoever stops a run waits no longer than ten."""


class Containers:
    """The container engine of a run, and the images that its tools asked for.

    Parameters
    ----------
    engine : str or None
        One of `ENGINES`; None where no tool runs in a container.
    with_hints : bool
        Whether a container that is a hint is used too.
    """

    def __init__(self, engine: str | None, *, with_hints: bool, digests: DigestMemory) -> None:
        self.engine = engine
        self._with_hints = with_hints
        self._digests = digests
        self._lock = threading.Lock()
        self._found: dict[str, Image | ProvError] = {}
        self._running: dict[str, str] = {}  # file with the id of a container: its engine
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Kill the containers that still run some seconds after the run was asked to end."""
        self._stopping.set()
        timer = threading.Timer(_STOP_GRACE_S, self._kill_running)
        timer.daemon = True
        timer.start()

    def _kill_running(self) -> None:
        for id_file, engine in list(self._running.items()):
            end_container(engine, Path(id_file))

    def share(self, planned: "StepJob") -> None:
        """Let a tool in a container record itself: in which image, for whom, and to which file."""
        assert planned.image is not None
        planned.tool_record.touch()  # it is this file that goes in, not its folder
        planned.job.shared = (str(planned.tool_record),)
        planned.job.running, planned.job.stopping = self._running, self._stopping
        told = {"IMAGE": planned.image.name, "DIGEST": planned.image.digest}
        planned.job.environment |= {f"PROV_CONTAINER_{k}": v for k, v in told.items() if v}
        agent = describe_agent()  # in there its number has no name
        if agent is not None:
            planned.job.environment.setdefault("PROV_AGENT", agent["name"])

    def prepare(self, tool: Any, context: RuntimeContext) -> None:  # Any: cwltool's Process
        """Say in the context of a tool's job whether, and how, it runs in a container.

        Inside it the working directory has the path that it has outside, so that what a tool
        records of its outputs there is true here.
        """
        wanted, is_required = tool.get_requirement("DockerRequirement")
        context.use_container = (
            self.engine is not None
            and wanted is not None
            and (bool(is_required) or self._with_hints)
        )
        if context.use_container:
            context.docker_outdir = context.outdir or ""
            context.docker_stagedir = str(Path(context.docker_outdir).parent / "inputs")
            context.podman = self.engine == "podman"
            context.singularity = self.engine == "apptainer"

    def find_image(self, planned: "StepJob") -> None:
        """Set the image of a job that runs in a container, and the error where it cannot be had.

        One that is not here is fetched, or built as its requirement says; each once.
        """
        job = planned.job
        if self.engine is None or not isinstance(job, ContainerCommandLineJob):
            return
        wanted, _ = job.get_requirement("DockerRequirement")
        key = json.dumps(wanted, sort_keys=True, default=str)
        with self._lock:
            if key not in self._found:
                try:
                    self._found[key] = self._get(self.engine, job, dict(wanted or {}))
                except ProvError as error:
                    self._found[key] = error
            found = self._found[key]
        if isinstance(found, ProvError):
            planned.error = found.message
            found = Image(engine=self.engine, name=_name_in(wanted or {}))
        planned.image = found

    def _get(self, engine: str, job: Any, wanted: dict[str, Any]) -> Image:  # Any: cwltool's
        name = _name_in(wanted)
        if engine != "apptainer":
            found = find_image(engine, name)
            if found is None and "dockerPull" in wanted:
                pull_image(engine, wanted["dockerPull"])
                found = find_image(engine, name)
            if found is not None:
                return found
        try:
            got = job.get_from_requirements(wanted, True, False, job.tmpdir)
        except (WorkflowException, OSError, KeyError, subprocess.CalledProcessError) as error:
            raise ProvError(
                f"{engine} has no image {name}, and it cannot be had: {error}"
            ) from error
        if engine == "apptainer":
            sha256 = sha256_of(got, self._digests) if os.path.isfile(got) else None
            digest = f"sha256:{sha256}" if sha256 else None
            return Image(engine=engine, name=os.path.realpath(got), digest=digest)
        found = find_image(engine, str(got))
        if found is None:
            raise ProvError(f"{engine} has no image {got}")
        return found


def _name_in(wanted: Mapping[str, Any]) -> str:  # Any: a DockerRequirement
    return str(wanted.get("dockerImageId") or wanted.get("dockerPull") or "without a name")


def contained(kind: type[Any]) -> type[Any]:  # Any: a class of cwltool's jobs
    """Return our class of jobs instead of one of cwltool's that runs containers."""
    return _OURS.get(kind, kind)


class _Contained(ContainerCommandLineJob):
    """A job in a container, with what it shares with the outside beyond its files.

    Attributes
    ----------
    shared : tuple of str
        Files that the tool may write, under the same path.
    running : dict
        Gets the file with the id of the container, and its engine, while it runs.
    stopping : threading.Event
        Set when the run is to end.
    is_child : bool
        Whether the tool's process is one of ours, whose use of resources we are told.
    """

    shared: tuple[str, ...] = ()
    running: dict[str, str]
    stopping: threading.Event
    is_child = False

    def create_runtime(
        self, env: Any, runtime_context: RuntimeContext
    ) -> tuple[list[str], str | None]:  # Any: a mapping of str that is written to
        """Return the beginning of the command line, and the file that gets the container's id."""
        runtime, id_file = super().create_runtime(env, runtime_context)  # type: ignore[safe-super]
        for path in self.shared:
            self.append_volume(runtime, path, path, writable=True)
        return runtime, id_file


class _Served(_Contained, DockerCommandLineJob):
    """A container that is no child of ours, but of the engine."""

    def create_runtime(
        self, env: Any, runtime_context: RuntimeContext
    ) -> tuple[list[str], str | None]:  # Any: a mapping of str that is written to
        """Return the beginning of the command line, and the file that gets the container's id."""
        runtime, id_file = super().create_runtime(env, runtime_context)
        if os.geteuid() == 0:  # podman 4 refuses it of root, who has no other ids
            runtime = [part for part in runtime if part != "--userns=keep-id"]
        runtime.append("--uts=host")  # the places of files are on this host
        return runtime, id_file

    def docker_monitor(
        self,
        cidfile: str,
        tmpdir_prefix: str,
        cleanup_cidfile: bool,
        docker_exe: str,
        process: "subprocess.Popen[str]",
    ) -> None:
        """Wait for the end; a container that outlives its client is killed.

        podman that is asked to end while it starts its container says that all went well.
        """
        limit = None
        if self.timelimit:  # cwltool terminates the client, which a tool may take no notice of
            limit = threading.Timer(self.timelimit + _LIMIT_GRACE_S, process.kill)
            limit.start()
        self.running[cidfile] = docker_exe
        try:
            self.process_monitor(process)
        finally:
            del self.running[cidfile]
            if limit is not None:
                limit.cancel()
        has_to_end = process.returncode < 0 or self.stopping.is_set()
        if has_to_end and end_container(docker_exe, Path(cidfile)):
            process.returncode = -signal.SIGKILL
            self.process_monitor(process)  # it takes the code from there


class PodmanJob(_Served, PodmanCommandLineJob):
    """A job in a container of podman."""


class DockerJob(_Served):
    """A job in a container of docker."""


class ApptainerJob(_Contained, SingularityCommandLineJob):
    """A job in a container of Apptainer, which is a child of ours."""

    is_child = True

    def _execute(
        self,
        runtime: list[str],
        env: Any,  # Any: a mapping of str
        context: RuntimeContext,
        monitor_function: Any = None,  # Any: cwltool's callable that takes the process
    ) -> None:
        """Run it as cwltool does, and watch how it ends."""
        watch = monitor_function or functools.partial(self.process_monitor)
        super()._execute(runtime, env, context, watch)


_OURS: Mapping[type[Any], type[Any]] = {  # Any: classes of cwltool's jobs
    PodmanCommandLineJob: PodmanJob,
    DockerCommandLineJob: DockerJob,
    SingularityCommandLineJob: ApptainerJob,
}
