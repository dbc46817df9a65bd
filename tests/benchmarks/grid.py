"""What our engine adds to the grid: ``python -m tests.benchmarks.grid [N]``.

A real DiracX with one worker and a server of ours, both made for it. N jobs (20 by default) by
bare calls of DiracX's own client, and as many runs by our engine, in turns, in one process; the
least of three rounds. The bare job runs the same command as ours, and what it writes comes home
in the output sandbox; nothing is recorded.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from diracx.api.jobs import create_sandbox, download_sandbox
from diracx.client.aio import AsyncDiracClient
from diracx.client.sync import SyncDiracClient
from diracx.core.preferences import DiracxPreferences

from jobs.engines import RunRequest
from jobs.engines.diracx import DiracxEngine, Grid
from jobs.engines.diracx.discovery import find_jobs
from jobs.engines.diracx.harvest import harvest
from jobs.testbed import Options, bring_down, bring_up
from jobs.workflows import load_workflow

from .serving import serve

_ROUNDS = 3
_BULK = 20
_SEARCHED = ["JobID", "Status", "MinorStatus", "ApplicationStatus"]
_SCRIPT = "#!/bin/sh\necho {number} > out.txt\n"
_TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {number: {type: int, inputBinding: {position: 1}}}
outputs: {out: stdout}
stdout: out.txt
"""


class Bare:
    """Jobs by DiracX's own client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._preferences = DiracxPreferences.from_env()
        self._n_made = 0

    def submit(self, n: int) -> list[int]:
        """Submit jobs that each bring a script of their own."""
        scripts = []
        for _ in range(n):
            self._n_made += 1
            script = self._folder / f"bare{self._n_made}.sh"
            script.write_text(_SCRIPT.format(number=self._n_made))
            scripts.append(script)
        names = asyncio.run(self._upload(scripts))
        jdls = [
            f'JobName = "bare"; JobGroup = "bare"; JobType = "User"; Executable = "{s.name}"; '
            f'InputSandbox = {{"{name}"}}; OutputSandbox = {{"std.out", "std.err", "out.txt"}};'
            for s, name in zip(scripts, names, strict=True)
        ]
        ids: list[int] = []
        with SyncDiracClient(diracx_preferences=self._preferences) as api:
            for first in range(0, n, _BULK):
                made = api.jobs.submit_jdl_jobs(jdls[first : first + _BULK])
                ids += [int(job.job_id) for job in made]
        return ids

    async def _upload(self, scripts: Sequence[Path]) -> list[str]:
        async with AsyncDiracClient(diracx_preferences=self._preferences) as api:
            names: list[str] = []
            for first in range(0, len(scripts), 8):
                some = scripts[first : first + 8]
                names += await asyncio.gather(*(create_sandbox([s], client=api) for s in some))
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


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call takes, and what it returns."""
    begin = time.perf_counter()
    found = call()
    return time.perf_counter() - begin, found


def on_node_s(jobs: Sequence[int]) -> float:
    """Wait for the end of jobs; return how long the quickest one was on its node."""
    while not all(state.is_final for state in Grid().states(jobs).values()):
        time.sleep(0.5)
    states = Grid().states(jobs).values()
    assert {state.status for state in states} == {"Done"}, states
    instant = datetime.fromisoformat
    return min(
        (instant(s.ended_at or "") - instant(s.started_at or "")).total_seconds() for s in states
    )


def measure(folder: Path, n: int) -> dict[str, list[float]]:
    """Return for each kind of figure the least of bare and of ours."""
    bare, engine = Bare(folder), DiracxEngine()
    tool = folder / "echo.cwl"
    tool.write_text(_TOOL)
    workflow = load_workflow(str(tool))
    taken: dict[str, list[float]] = {}

    def keep(what: str, bare_s: float, ours_s: float) -> None:
        known = taken.setdefault(what, [bare_s, ours_s])
        taken[what] = [min(known[0], bare_s), min(known[1], ours_s)]

    Grid().upload([[tool]])  # the first call finds DiracX, and logs in
    for number in range(_ROUNDS):
        requests = [
            RunRequest(workflow=workflow.location, name="echo", steps=("echo",),
                       command=("prod-submit",), inputs={"number": number * n + i})
            for i in range(n)
        ]  # fmt: skip
        bare_s, jobs = timed(partial(bare.submit, n))
        ours_s, runs = timed(partial(engine.submit_all, requests))
        keep("submission of a job", bare_s / n, ours_s / n)
        ours = [int(engine.find(run).info()["grid_job"]) for run in runs]
        keep("a job on its node", on_node_s(jobs), on_node_s(ours))
        looks = [timed(partial(bare.look, ours))[0] for _ in range(_ROUNDS)]
        states = [timed(partial(Grid().states, ours))[0] for _ in range(_ROUNDS)]
        keep(f"status of {n} jobs", min(looks), min(states))
        bare_s, _ = timed(partial(bare.bring_home, jobs))
        ours_s, n_home = timed(partial(bring_all_home, engine.folder))
        assert n_home == n, n_home
        keep("bringing a job home", bare_s / n, ours_s / n)
    return taken


def bring_all_home(folder: Path) -> int:
    """Bring home what our engine submitted; return how many came."""
    found = find_jobs(Grid(), folder, None, since=datetime.now(UTC) - timedelta(days=1))
    return sum(one.outcome == "home" for one in harvest(Grid(), folder, found))


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(prefix="prov-grid-bench-") as name:
        folder = Path(name)
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
                taken = measure(folder, n)
                recorded = served.client.runs()["total"]
        finally:
            bring_down(folder / "testbed")
    print(f"{n} jobs, least of {_ROUNDS} rounds, {recorded} runs recorded; in ms")
    print(f"  {'':24}{'bare client':>12}{'ours':>10}{'ratio':>8}{'more':>8}")
    for what, (bare_s, ours_s) in taken.items():
        print(
            f"  {what:24}{bare_s * 1e3:12.0f}{ours_s * 1e3:10.0f}{ours_s / bare_s:8.2f}"
            f"{(ours_s - bare_s) * 1e3:8.0f}"
        )


if __name__ == "__main__":
    main()
