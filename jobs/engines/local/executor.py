"""Runs the jobs of a workflow side by side, as far as cores, memory and dependencies allow."""

import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psutil
from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.executors import JobExecutor
from cwltool.process import Process

from .steps import StepJob

logger = logging.getLogger(__name__)

_GRACE_S = 10.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: cwltool's outputs and its word for it."""

    outputs: Any  # Any: CWL's output object
    status: str


class ParallelExecutor(JobExecutor):
    """cwltool's executor with ours of the jobs.

    A job that failed is told to the workflow only when nothing else can run any more: cwltool would
    otherwise start no step after it, although some do not depend on it.

    Parameters
    ----------
    run_job : callable
        Runs one job, in a thread, and returns how it ended; raises nothing.
    max_parallel : int, optional
        Most jobs at a time; by default as many as there are cores.
    on_stop : callable
        Begins to end what runs for jobs and is no process below ours.
    """

    def __init__(
        self,
        run_job: Callable[[StepJob], Ended],
        max_parallel: int | None,
        *,
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__()
        n_cores = _n_cores()
        self.max_jobs = max_parallel or n_cores
        self.max_cores = float(max(self.max_jobs, n_cores))
        self.max_ram_mib = float(psutil.virtual_memory().available // 2**20)
        self.stopped_by: int | None = None
        self._run_job = run_job
        self._on_stop = on_stop
        self._changed = threading.Condition(threading.RLock())
        self._ready: deque[StepJob] = deque()
        self._running: set[int] = set()
        self._failed: list[tuple[StepJob, Ended]] = []
        self._free_cores = self.max_cores
        self._free_ram_mib = self.max_ram_mib

    def stop(self, signal_number: int) -> None:
        """Start nothing more and end what runs; for signal handlers."""
        self.stopped_by = self.stopped_by or signal_number

    def select_resources(
        self, request: dict[str, int | float], context: RuntimeContext
    ) -> dict[str, int | float]:
        """Return what a job gets of what it asks for, as cwltool does."""
        most = {"cores": self.max_cores, "ram": self.max_ram_mib}
        given: dict[str, int | float] = {}
        for name, n_most in most.items():
            n_least = request[f"{name}Min"]
            if n_least > n_most:
                what = "MiB of memory" if name == "ram" else name
                raise WorkflowException(
                    f"it needs {n_least:g} {what}, and this machine has {n_most:g}"
                )
            given[name] = min(math.ceil(request[f"{name}Max"]), n_most)
        given["tmpdirSize"] = math.ceil(request["tmpdirMin"])
        given["outdirSize"] = math.ceil(request["outdirMin"])
        return given

    def run_jobs(
        self,
        process: Process,
        job_order_object: Any,
        logger: logging.Logger,
        runtime_context: RuntimeContext,
    ) -> None:
        """Run all jobs of the process; of several threads only this one asks the workflow."""
        assert runtime_context.workflow_eval_lock is not None
        self._changed = runtime_context.workflow_eval_lock
        jobs: Iterator[Any] = process.job(job_order_object, self.output_callback, runtime_context)
        with ThreadPoolExecutor(self.max_jobs, thread_name_prefix="step") as pool, self._changed:
            is_exhausted = False
            while self.stopped_by is None:
                self._start(pool)
                is_busy = len(self._ready) > self.max_jobs  # do not make thousands of jobs ahead
                job = next(jobs, self) if not (is_exhausted or is_busy) else None
                if job is self:
                    is_exhausted = True
                elif isinstance(job, StepJob):
                    self._ready.append(job)
                elif job is None and not self._wait_or_tell_failures(is_exhausted):
                    break
            self._end_all()

    def _wait_or_tell_failures(self, is_exhausted: bool) -> bool:
        """Wait for a job to end, or tell the workflow what failed; False where there is neither."""
        if self._running:
            self._changed.wait(_POLL_S)
            return True
        if self._failed:
            failed, self._failed = self._failed, []
            for planned, ended in failed:
                planned.deliver(ended.outputs, ended.status)
            return True
        if self._ready:
            return True
        if not is_exhausted:
            logger.error("the workflow can make no more progress")
        return False

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Start what fits into the free cores and memory, in the order of coming."""
        for planned in list(self._ready):
            if len(self._running) >= self.max_jobs:
                return
            cores, ram_mib = planned.resources
            if cores > self._free_cores or ram_mib > self._free_ram_mib:
                continue
            self._free_cores -= cores
            self._free_ram_mib -= ram_mib
            self._ready.remove(planned)
            self._running.add(id(planned))
            pool.submit(self._run, planned)

    def _run(self, planned: StepJob) -> None:
        cores, ram_mib = planned.resources
        ended = Ended({}, "permanentFail")
        try:
            if self.stopped_by is None:
                ended = self._run_job(planned)
        except Exception:  # a thread is a process edge: the workflow must hear of the end
            logger.exception("step %s failed in the engine", planned.step)
        with self._changed:
            self._free_cores += cores
            self._free_ram_mib += ram_mib
            self._running.discard(id(planned))
            if ended.status == "success":
                try:
                    planned.deliver(ended.outputs, ended.status)
                except WorkflowException:
                    logger.exception("the workflow does not take the outputs of %s", planned.step)
            else:
                self._failed.append((planned, ended))
            self._changed.notify_all()

    def _end_all(self) -> None:
        """End the processes of all jobs, and wait until their records are closed."""
        if self.stopped_by is None:
            return
        self._on_stop()
        end_descendants(_GRACE_S)
        while self._running:
            self._changed.wait(_POLL_S)


def end_descendants(grace_s: float) -> None:
    """Terminate all processes below ours; kill those that are still there after `grace_s`."""
    left = psutil.Process().children(recursive=True)
    for kill in (False, True):
        for process in left:
            try:
                process.kill() if kill else process.terminate()
            except psutil.NoSuchProcess:
                continue
        left = [p for p in left if _outlives(p, grace_s)] if not kill else []


def _outlives(process: psutil.Process, grace_s: float) -> bool:
    """Whether a process is there after the time; one of our own children is left to its thread."""
    try:
        for _ in range(int(grace_s / 0.05)):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            threading.Event().wait(0.05)
    except psutil.NoSuchProcess:
        return False
    return True


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
