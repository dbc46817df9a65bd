"""Runs the steps of a DIRAC job one after the other in the current folder, and records each.

    prov-dirac-steps --description jobDescription.xml --input-data run1.simtel.zst --lfn LFN:/…

As ``dirac-jobexec`` with the modules Script and cta_script: each executable with its arguments,
its output in a log file; after a failure nothing more runs, but after 166 (inputs partly processed)
and 167 (none), as CTADIRAC has it. For programs of CTADIRAC that are not here, see `standins`.
"""

import argparse
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from provmanager.capture import Run
from provmanager.capture.command import observed
from provmanager.errors import ProvError

from .description import DiracJob, DiracStep, read_job
from .registration import PROGRAM, record_metadata
from .simulation import JOB_ID
from .standins import StandIns
from .tool_logs import ToolLogs

PARTLY_PROCESSED, NOT_PROCESSED = 166, 167


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job that the command line names; return its exit code."""
    told = _parser().parse_args(arguments)
    folder = Path.cwd()
    try:
        job = numbered(read_job(told.description), told.job_number)
        inputs = [_brought(path, folder) for path in told.input_data]
        for path in told.sandbox:
            _brought(path, folder)
        lfns = dict(zip((path.name for path in inputs), told.lfn, strict=False))
        logs = ToolLogs(folder, {name: lfn for name, lfn in lfns.items() if lfn})
        standins = StandIns(folder, inputs, logs, config=told.config, any_version=told.any_version)
        return _Steps(job, folder, logs, standins).run()
    except ProvError as error:
        sys.stderr.write(f"{Path(sys.argv[0]).name}: {error.message}\n")
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the steps of a DIRAC job, and record them.")
    parser.add_argument("--description", type=Path, required=True)
    parser.add_argument("--input-data", type=Path, nargs="*", default=[])
    parser.add_argument("--lfn", nargs="*", default=[])
    parser.add_argument("--sandbox", type=Path, nargs="*", default=[])
    parser.add_argument("--job-number", type=int)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--any-version", action="store_true")
    return parser


def _brought(path: Path, folder: Path) -> Path:
    """Let a file lie in the folder of the job, as DIRAC's job wrapper downloads it there."""
    target = folder / path.name
    if not target.exists():
        target.symlink_to(path.absolute())
    return target


def numbered(job: DiracJob, number: int | None) -> DiracJob:
    """Return the job with its number in its production for ``@{JOB_ID}``, as DIRAC writes it."""
    if number is None:
        return job
    steps = [replace(step, arguments=step.arguments.replace(JOB_ID, f"{number:08}"))
             for step in job.steps]  # fmt: skip
    return replace(job, steps=tuple(steps))


def environment(job: DiracJob) -> dict[str, str]:
    """Return the variables that a job sets for its programs (``ExecutionEnvironment``)."""
    told = job.demands.get("ExecutionEnvironment", ())
    pairs = told.split(";") if isinstance(told, str) else told
    return {name: unquote(value) for name, sign, value in (p.partition("=") for p in pairs) if sign}


class _Steps:
    def __init__(self, job: DiracJob, folder: Path, logs: ToolLogs, standins: StandIns) -> None:
        self.job, self.folder, self.logs, self.standins = job, folder, logs, standins

    def run(self) -> int:
        """Run the steps until one fails; return the exit code of the job."""
        outcome = 0
        for step in self.job.steps:
            code = self._record(step)
            outcome = outcome or code
            if code not in (0, PARTLY_PROCESSED, NOT_PROCESSED):
                break
        return outcome

    def _record(self, step: DiracStep) -> int:
        before = _stamps(self.folder)
        command = [step.executable, *step.words()]
        recording = observed(
            command, name=step.name, type="DiracStep", directory=self.folder, announce=True
        )
        with recording as run:
            code = self._perform(step, command, run)
            known = self.logs.record(run)
            if step.program == PROGRAM and not code:
                record_metadata(step, self.folder, run)
            for path in _changed(before, _stamps(self.folder)):
                if str(path) not in known:
                    run.output(path)
            run.ended(code)
        return code

    def _perform(self, step: DiracStep, command: Sequence[str], run: Run) -> int:
        """Run a step's program, or what stands in for it; its output goes to the log file."""
        log = self.folder / (Path(step.log_file).name or f"{step.name}_Log.txt")
        program = _found(step.executable, self.folder)
        sys.stderr.write(f"{step.name}: {' '.join(command)}\n")
        with log.open("wb") as stream:
            if program is None:
                code = self.standins.perform(step, run, stream)
            else:
                code = subprocess.run(
                    [program, *command[1:]], stdout=stream, stderr=subprocess.STDOUT, check=False,
                    cwd=self.folder, env={**os.environ, **environment(self.job), **run.environ()},
                ).returncode  # fmt: skip
        code = code if code >= 0 else 128 - code
        if code:
            sys.stderr.write(f"{_tail(log)}{step.name} ended with exit code {code}\n")
        return code


def _found(executable: str, folder: Path) -> str | None:
    """Return the program as CTADIRAC's module finds it: in the folder, then on the PATH."""
    here = folder / Path(executable).name
    if here.is_file():
        real = here.resolve()
        if not os.access(here, os.X_OK):  # sandboxes lose the right to be executed
            copy = folder / f".{here.name}"
            shutil.copy2(real, copy)
            copy.chmod(copy.stat().st_mode | stat.S_IRWXU)
            return str(copy)
        return str(here)
    return shutil.which(executable) if "/" not in executable or executable[0] == "/" else None


def _stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of what lies in the folder, but for what is linked into it."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            status = path.stat()
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _changed(before: dict[Path, tuple[int, int]], after: dict[Path, tuple[int, int]]) -> list[Path]:
    return sorted(path for path, stamp in after.items() if before.get(path) != stamp)


def _tail(log: Path, n_lines: int = 15) -> str:
    lines = log.read_bytes().decode("utf-8", "replace").splitlines()[-n_lines:]
    return "".join(f"  {line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
