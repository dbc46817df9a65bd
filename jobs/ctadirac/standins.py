"""What does the work of CTADIRAC's programs where there is no software area of CTADIRAC.

==========================================  =======================================================
``cta-prod-setup-software``                 finds the software on the PATH, checks its version
``dirac_ctapipe-process_wrapper``           ctapipe-process on each input, as CTADIRAC's wrapper
``dirac_ctapipe-merge_wrapper``             ctapipe-merge on all inputs
``dirac_ctapipe-check-merge_wrapper``       whether the merging tool says that it read every input
``cta-prod-managedata``                     leaves products to the storage of the run
==========================================  =======================================================

Each says in the record that it stood in. Any other program that is not here is an error.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from provmanager.capture import Run
from provmanager.capture.command import observed
from provmanager.formats import read

from .description import DiracStep
from .registration import registered_files
from .tool_logs import ToolLogs, packed_log

_PROGRAMS = {"ctapipe": "ctapipe-process"}
"""Program whose version is that of a package."""

_DATA_ENDING = re.compile(r"\.(simtel(\.(zst|gz))?|((merged\.)?DL\d[^.]*\.)?h5|fits(\.gz)?)$", re.I)
_PARTLY, _NONE, _NOT_FOUND, _FAILED = 166, 167, 127, 1


class StandIns:
    """The programs of CTADIRAC for one job.

    Parameters
    ----------
    folder : Path
        Where the job runs.
    inputs : sequence of Path
        The input data, in that folder.
    logs : ToolLogs
        Records what the tools say of themselves.
    config : Path, optional
        What lies in the software area as settings.
    any_version : bool
        Whether another version of the software than the job asks for may do.
    """

    def __init__(
        self,
        folder: Path,
        inputs: Sequence[Path],
        logs: ToolLogs,
        *,
        config: Path | None = None,
        any_version: bool = False,
    ) -> None:
        self.folder, self.inputs, self.logs = folder, inputs, logs
        self.config, self.any_version = config, any_version
        self._known: dict[str, Callable[[DiracStep, Run, BinaryIO], int]] = {
            "cta-prod-setup-software": self._set_up,
            "dirac_ctapipe-process_wrapper": self._process,
            "dirac_ctapipe-merge_wrapper": self._merge,
            "dirac_ctapipe-check-merge_wrapper": self._check_merge,
            "cta-prod-managedata": self._manage,
        }

    def perform(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        """Do the work of a step whose program is not here; return its exit code."""
        stand_in = self._known.get(step.program)
        if stand_in is None:
            text = (
                f"there is no {step.executable} here, and nothing that stands in for it: run the "
                "job where it is installed, or put it into the input sandbox"
            )
            return self._fail(run, log, text, _NOT_FOUND)
        run.message(f"{step.program} is not here; provmanager stood in for it", code="stand-in")
        return stand_in(step, run, log)

    def _fail(self, run: Run, log: BinaryIO, text: str, code: int = _FAILED) -> int:
        run.message(text, level="error", code="stand-in")
        log.write(f"{text}\n".encode())
        return code

    def _set_up(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        told = dict(zip(*(iter(step.words()),) * 2, strict=False))
        package, wanted = told.get("-p", ""), told.get("-v", "").removeprefix("v")
        program = shutil.which(_PROGRAMS.get(package, ""))
        if program is None:
            text = f"the job needs {package} {wanted}, which is neither on the PATH nor in a "
            return self._fail(run, log, text + "software area here")
        with tempfile.TemporaryDirectory() as elsewhere:  # ctapipe leaves a log of its own
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=False, cwd=elsewhere
            )
        found = (said.stdout.split() or ["of unknown version"])[-1].removeprefix("v")
        log.write(f"{package} {found}: {program}\n".encode())
        if found != wanted:
            text = f"the job asks for {package} {wanted}; here is {found} ({program})"
            if not self.any_version:
                more = ": with --set any_version=true that may do it"
                return self._fail(run, log, text + more)
            run.message(text, level="warning", code="other-version")
        if self.config is not None:
            shutil.copytree(
                self.config.absolute(), self.folder, dirs_exist_ok=True, copy_function=os.symlink
            )
        return 0

    def _process(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        ending, options = _ending(step.words(), "DL2.h5")
        data = self.folder / "Data"
        data.mkdir(exist_ok=True)
        n_failed = 0
        for path in self.inputs:
            stem = _DATA_ENDING.sub("", path.name)
            target = self.folder / f"{stem}.{ending}"
            stem = target.name.removesuffix(".h5")
            prov, its_log = self.folder / f"{stem}.prov.log", self.folder / f"{stem}.process.log"
            command = ["ctapipe-process", *options, f"--input={path.name}",
                       f"--output={target.name}", f"--provenance-log={prov.name}",
                       f"--log-file={its_log.name}"]  # fmt: skip
            code = self._tool(command, [path], target, run, log)
            n_failed += code != 0
            if target.is_file():
                target.rename(data / target.name)
            packed_log(data, stem, (its_log, prov))
        if not n_failed:
            return 0
        run.message(f"{n_failed} of {len(self.inputs)} inputs failed", level="error")
        return _NONE if n_failed == len(self.inputs) else _PARTLY

    def _merge(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        if not self.inputs:
            return self._fail(run, log, "there is nothing to merge: the job has no input data")
        ending, options = _ending(step.words(), "merged.DL2.h5")
        data = self.folder / "Data"
        data.mkdir(exist_ok=True)
        stem = _DATA_ENDING.sub("", self.inputs[0].name)
        target = data / f"{stem}.{ending}"
        names = [path.name for path in self.inputs]
        command = ["ctapipe-merge", *options, f"--output=Data/{target.name}",
                   "--provenance-log=merge.prov.log", "--log-file=merge.log", *names]  # fmt: skip
        return self._tool(command, self.inputs, target, run, log)

    def _check_merge(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        path = self.folder / "merge.prov.log"
        if not path.is_file():
            return self._fail(run, log, "the merging tool left no provenance log")
        document = read(path.read_bytes(), name=path.name)
        used = {use.entity for use in document.used}
        names = {entity.name for entity in document.entities if entity.key in used}
        missing = sorted({path.name for path in self.inputs} - {name or "" for name in names})
        if missing:
            text = f"the merging tool does not say that it read: {', '.join(missing)}"
            return self._fail(run, log, text)
        log.write(f"all {len(self.inputs)} inputs were read\n".encode())
        return 0

    def _manage(self, step: DiracStep, run: Run, log: BinaryIO) -> int:
        files = registered_files(step, self.folder)
        text = (
            f"{len(files)} files were not put into DIRAC's catalogue: they are "
            "products of this run, and go where the options of the grid say"
        )
        run.message(text, level="info", code="stand-in")
        log.write(f"{text}\n".encode())
        return 0

    def _tool(
        self, command: Sequence[str], inputs: Sequence[Path], target: Path, run: Run, log: BinaryIO
    ) -> int:
        """Run one tool as an activity of its own, with exactly its inputs and its output."""
        log.write(f"{shlex.join(command)}\n".encode())
        log.flush()
        recording = observed(
            command, name=command[0], directory=self.folder, parent=run.id, announce=True
        )
        with recording as tool:
            for path in inputs:
                tool.input(path, role="input data", lfn=self.logs.lfns.get(path.name))
            try:
                code = subprocess.run(
                    command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, check=False,
                    env={**os.environ, **tool.environ()},
                ).returncode  # fmt: skip
            except OSError as error:
                tool.message(str(error), level="error", code="not-started")
                code = _NOT_FOUND
            if target.is_file():
                tool.output(target, role="data")
            self.logs.record(tool)
            tool.ended(code)
        return code if code >= 0 else 128 - code


def _ending(words: Sequence[str], default: str) -> tuple[str, list[str]]:
    """Return the ending of output files (``--out_ext``), and the options that are the tool's."""
    left, ending = list(words), default
    if "--out_ext" in left[:-1]:
        place = left.index("--out_ext")
        ending = left[place + 1]
        del left[place : place + 2]
    return ending, left
