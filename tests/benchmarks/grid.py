"""What our engine adds to the grid: ``python -m tests.benchmarks.grid [N [ROUNDS]]``.

A real DiracX with one worker, a server of ours, and a Python for nodes with provmanager installed
of wheels, all made for it. In each round (5 by default), in turns and in one process, N jobs (8 by
default) by bare calls of DiracX's own client, and as many runs by our engine; the least counts.
What each figure compares is printed with it. Nothing is recorded of bare jobs.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from diracx.api.jobs import create_sandbox, download_sandbox
from diracx.client.aio import AsyncDiracClient
from diracx.client.sync import SyncDiracClient
from diracx.core.preferences import DiracxPreferences

from jobs.engines import RunRequest
from jobs.engines.diracx import DiracxEngine, Grid, GridOptions
from jobs.engines.diracx.discovery import find_jobs
from jobs.engines.diracx.harvest import harvest
from jobs.testbed import Options, bring_down, bring_up
from jobs.workflows import Workflow, load_workflow

from .serving import serve

_BULK = 20
_PATIENCE_S = 600.0
_SEARCHED = ["JobID", "Status", "MinorStatus", "ApplicationStatus"]
_ECHO = "#!/bin/sh\necho $1 > out.txt\n"
_CAT = "#!/bin/sh\ncat text.txt > out.txt\n"
_CWLTOOL = "#!/bin/sh\nexec {python} -m cwltool --quiet --outdir . echo.cwl --number $1\n"
_ECHO_TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {number: {type: int, inputBinding: {position: 1}}}
outputs: {out: stdout}
stdout: out.txt
"""
_CAT_TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {text: {type: File, inputBinding: {position: 1}}}
outputs: {out: stdout}
stdout: out.txt
"""
_INSTALL = """
import sys
from pathlib import Path
from jobs.engines.diracx.install import install
from jobs.engines.diracx.software import make_wheels
folder = Path(sys.argv[1])
install(make_wheels(folder / "wheels", ["jobs"]).folder, folder / "node")
"""
_TOLD = {
    "submit, a file each": "a script and a file each in a sandbox of its own, against a workflow "
    "that reads a file",
    "submit, no files": "one sandbox with a script for all, against a workflow on numbers",
    "on the node, script": "echo in a shell script, against the workflow that runs it",
    "on the node, cwltool": "the same workflow by the command cwltool, of the same Python",
    "status": "one search, against the states of as many runs",
    "bring home": "sandboxes downloaded and unpacked four at a time, against that with all records "
    "at our server",
}


class Bare:
    """Jobs by DiracX's own client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._preferences = DiracxPreferences.from_env()
        self._n_made = 0

    def submit_each(self, texts: Sequence[Path]) -> list[int]:
        """Submit jobs that each bring a script and a file."""
        script = self._file("cat.sh", _CAT)
        return self._submit(script, [[script, text] for text in texts], ["" for _ in texts])

    def submit_shared(self, n: int, script: str, *others: Path) -> list[int]:
        """Submit jobs of one sandbox; each has a number of its own."""
        self._n_made += 1  # no bytes that DiracX has had before
        made = self._file("job.sh", f"{script}# {self._n_made}\n")
        return self._submit(made, [[made, *others]], [str(number) for number in range(n)])

    def _file(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text)
        return path

    def _submit(
        self, script: Path, packages: Sequence[Sequence[Path]], arguments: Sequence[str]
    ) -> list[int]:
        names = asyncio.run(self._upload(packages))
        if len(names) == 1:
            names *= len(arguments)
        jdls = [
            f'JobName = "bare"; JobGroup = "bare"; JobType = "User"; Executable = "{script.name}"; '
            f'Arguments = "{argument}"; InputSandbox = {{"{name}"}}; '
            'OutputSandbox = {"std.out", "std.err", "out.txt"};'
            for name, argument in zip(names, arguments, strict=True)
        ]
        ids: list[int] = []
        with SyncDiracClient(diracx_preferences=self._preferences) as api:
            for first in range(0, len(jdls), _BULK):
                made = api.jobs.submit_jdl_jobs(jdls[first : first + _BULK])
                ids += [int(job.job_id) for job in made]
        return ids

    async def _upload(self, packages: Sequence[Sequence[Path]]) -> list[str]:
        async with AsyncDiracClient(diracx_preferences=self._preferences) as api:
            names: list[str] = []
            for first in range(0, len(packages), 8):
                some = packages[first : first + 8]
                names += await asyncio.gather(*(create_sandbox(list(s), client=api) for s in some))
            return names

    def look(self, jobs: Sequence[int]) -> Any:  # Any: JSON
        """Ask for the statuses of jobs."""
        search: Any = [{"parameter": "JobID", "operator": "in", "values": list(jobs)}]
        with SyncDiracClient(diracx_preferences=self._preferences) as api:
            return api.jobs.search(parameters=_SEARCHED, search=search, page=1, per_page=500)

    def bring_home(self, jobs: Sequence[int]) -> None:
        """Download the output sandboxes, four at a time, as our engine does."""

        async def download_all() -> None:
            turns = asyncio.Semaphore(4)
            async with AsyncDiracClient(diracx_preferences=self._preferences) as api:

                async def download(job: int) -> None:
                    async with turns:
                        for name in await api.jobs.get_job_sandbox(job, "output"):
                            await download_sandbox(
                                name, self._folder / "home" / str(job), client=api
                            )

                await asyncio.gather(*map(download, jobs))

        asyncio.run(download_all())


class Taken(NamedTuple):
    """What something took for each job, in seconds; CPU time is that of this process."""

    wall_s: float
    cpu_s: float


class Figures:
    """The least of all rounds, of the bare client and of ours."""

    def __init__(self) -> None:
        self.least: dict[str, tuple[Taken, Taken]] = {}

    def keep(self, what: str, bare: Taken, ours: Taken) -> None:
        """Keep what is less than before."""
        known = self.least.get(what, (bare, ours))
        self.least[what] = (
            Taken(*map(min, known[0], bare)),
            Taken(*map(min, known[1], ours)),
        )

    def show(self) -> None:
        """Print them."""
        print(
            f"  {'ms a job, wall clock (CPU of the client)':42}{'bare':>14}{'ours':>14}{'ratio':>7}"
        )
        for what, told in _TOLD.items():
            bare, ours = self.least[what]
            shown = [f"{t.wall_s * 1e3:.0f}{f' ({t.cpu_s * 1e3:.0f})' if t.cpu_s else ''}"
                     for t in (bare, ours)]  # fmt: skip
            print(f"  {what:42}{shown[0]:>14}{shown[1]:>14}{ours.wall_s / bare.wall_s:7.2f}")
            print(f"      {told}")


def timed(call: Callable[[], Any], n: int) -> tuple[Taken, Any]:
    """Return what a call takes for each of n jobs, and what it returns."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    found = call()
    taken = Taken((time.perf_counter() - begin) / n, (time.process_time() - begin_cpu) / n)
    return taken, found


def on_node(jobs: Sequence[int]) -> Taken:
    """Wait for the end of jobs; return how long the quickest one was on its node."""
    deadline = time.monotonic() + _PATIENCE_S
    while not all(state.is_final for state in Grid().states(jobs).values()):
        assert time.monotonic() < deadline, "the jobs do not end"
        time.sleep(0.5)
    states = Grid().states(jobs).values()
    assert {state.status for state in states} == {"Done"}, states
    instant = datetime.fromisoformat
    return Taken(
        min(
            (instant(s.ended_at or "") - instant(s.started_at or "")).total_seconds()
            for s in states
        ),
        0.0,
    )


class Rounds:
    """What is measured in each round."""

    def __init__(self, folder: Path, n: int) -> None:
        self.figures = Figures()
        self._folder = folder
        self._n = n
        self._numbers = itertools.count()
        self._python = str(folder / "node" / "bin" / "python")
        self._bare = Bare(folder)
        self._engine = DiracxEngine(options=GridOptions(python=self._python))
        self._documents = folder / "echo.cwl", folder / "cat.cwl"
        for path, text in zip(self._documents, (_ECHO_TOOL, _CAT_TOOL), strict=True):
            path.write_text(text)
        self._echo, self._cat = (load_workflow(str(path)) for path in self._documents)
        Grid().upload([self._documents])  # the first call finds DiracX, and logs in

    def measure(self) -> None:
        """Measure one round."""
        each, of_each = self._submit_each()
        shared, of_shared = self._submit_shared()
        cwltool = self._bare.submit_shared(
            self._n, _CWLTOOL.format(python=self._python), self._documents[0]
        )
        on_node([*each, *of_each])
        ours = on_node(of_shared)
        self.figures.keep("on the node, script", on_node(shared), ours)
        self.figures.keep("on the node, cwltool", on_node(cwltool), ours)
        for _ in range(3):
            bare, _ = timed(partial(self._bare.look, of_shared), self._n)
            ours, _ = timed(partial(Grid().states, of_shared), self._n)
            self.figures.keep("status", bare, ours)
        n_home = 2 * self._n
        bare, _ = timed(partial(self._bare.bring_home, [*each, *shared]), n_home)
        ours, n_came = timed(partial(bring_all_home, self._engine.folder), n_home)
        assert n_came == n_home, n_came
        self.figures.keep("bring home", bare, ours)

    def _submit_each(self) -> tuple[list[int], list[int]]:
        """Submit jobs that carry a file each, the bare ones and ours."""
        texts = []
        for number in itertools.islice(self._numbers, 2 * self._n):
            texts.append(self._folder / str(number) / "text.txt")
            texts[-1].parent.mkdir()
            texts[-1].write_text(f"{texts[-1]}\n")
        bare, jobs = timed(partial(self._bare.submit_each, texts[: self._n]), self._n)
        requests = [
            _request(self._cat, text={"class": "File", "location": text.as_uri()})
            for text in texts[self._n :]
        ]
        ours, runs = timed(partial(self._engine.submit_all, requests), self._n)
        self.figures.keep("submit, a file each", bare, ours)
        return jobs, self._jobs_of(runs)

    def _submit_shared(self) -> tuple[list[int], list[int]]:
        """Submit jobs that carry no files, the bare ones and ours."""
        bare, jobs = timed(partial(self._bare.submit_shared, self._n, _ECHO), self._n)
        numbers = itertools.islice(self._numbers, self._n)
        requests = [_request(self._echo, number=number) for number in numbers]
        ours, runs = timed(partial(self._engine.submit_all, requests), self._n)
        self.figures.keep("submit, no files", bare, ours)
        return jobs, self._jobs_of(runs)

    def _jobs_of(self, runs: Sequence[str]) -> list[int]:
        return [int(self._engine.find(run).info()["grid_job"]) for run in runs]


def _request(workflow: Workflow, **inputs: Any) -> RunRequest:  # Any: CWL's inputs object
    return RunRequest(workflow=workflow.location, name=workflow.name, steps=(workflow.name,),
                      command=("prod-submit",), inputs=inputs)  # fmt: skip


def bring_all_home(folder: Path) -> int:
    """Bring home what our engine submitted; return how many came."""
    found = find_jobs(Grid(), folder, None, since=datetime.now(UTC) - timedelta(days=1))
    return sum(one.outcome == "home" for one in harvest(Grid(), folder, found))


def make_node_python(folder: Path) -> None:
    """Make the Python of nodes, as jobs make it of the wheels that go along."""
    # Safe path: of the folder that it is called from, provmanager.egg-info is not the installation.
    subprocess.run([sys.executable, "-P", "-c", _INSTALL, str(folder)], check=True)
    subprocess.run([folder / "node/bin/python", "-m", "compileall", "-q", folder / "node/lib"],
                   check=False, stdout=subprocess.DEVNULL)  # fmt: skip


def main() -> None:
    """Print the figures."""
    n, n_rounds = (int(told) for told in (*sys.argv[1:], *("8", "5")[len(sys.argv) - 1 :]))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nodes do not compile with each job
    with tempfile.TemporaryDirectory(prefix="prov-grid-bench-") as name:
        folder = Path(name)
        make_node_python(folder)
        testbed = bring_up(
            folder / "testbed", Options(n_workers=1, owner_pid=os.getpid()),
            venv=Path(sys.prefix) / "testbed",
        )  # fmt: skip
        issuers = {"issuer": testbed.url, "roles": [{"vo": "testbed", "role": "recorder"}]}
        (folder / "issuers.json").write_text(json.dumps({"issuers": [issuers]}))
        os.environ |= {
            "PROV_ISSUERS_FILE": str(folder / "issuers.json"),
            "PROV_STATE_DIR": str(folder / "state"), "DIRACX_URL": testbed.url,
            "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
        }  # fmt: skip
        try:
            with serve() as served:
                os.environ |= {"PROV_SERVER_URL": served.url, "PROV_TOKEN": served.token}
                rounds = Rounds(folder, n)
                for _ in range(n_rounds):
                    rounds.measure()
                recorded = served.client.runs()["total"]
        finally:
            bring_down(folder / "testbed")
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{n} jobs, least of {n_rounds} rounds, {recorded} runs recorded; load average {load}")
    rounds.figures.show()


if __name__ == "__main__":
    main()
