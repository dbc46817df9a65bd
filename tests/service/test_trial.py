"""The trial of the grid: 200 jobs, of which some fail, are killed, lose the network or their node.

One CWL tool, four jobs at a time, a real DiracX, a real server; `prod-harvest --follow` beside it.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from snapshot import snapshot
from sqlalchemy import RowMapping, text

from jobs.engines import RunRequest
from jobs.engines.diracx import DiracxEngine, Grid
from jobs.testbed import RunningTestbed
from jobs.workflows import load_workflow
from provmanager.client import ProvClient
from provmanager.store.database import Database

PATIENCE_S = 600.0
N_JOBS = 200
N_FAILED, N_KILLED, N_CUT, N_LOST = 5, 3, 2, 2

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
arguments: [$(inputs.script)]
inputs: {script: string, number: int}
outputs: {made: stdout}
stdout: product-$(inputs.number).txt
"""

pytestmark = [pytest.mark.grid_users, pytest.mark.slow, pytest.mark.timeout(900)]


class Cable(threading.Thread):
    """A TCP connection to the server that can be cut."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    def run(self) -> None:
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._is_up.set()

    async def _join(self, theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        ours, to = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {back, to}
        await asyncio.gather(self._copy(theirs, to), self._copy(ours, back))

    async def _copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        to.close()

    def lay(self) -> str:
        """Return the address of its other end."""
        self.start()
        self._is_up.wait()
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """From now on nothing goes through, and nobody is there."""

        def end() -> None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()
            self._loop.call_later(0.1, self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self.join()


@dataclass(frozen=True)
class Trial:
    """The runs by what was to happen to each, and where they came home."""

    runs: dict[str, list[str]]
    folder: Path
    harvest: Callable[..., subprocess.CompletedProcess[str]]
    took_s: float


@pytest.fixture(scope="module")
def trial(
    testbed: RunningTestbed,
    app_url: str,
    client: ProvClient,
    make_token: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trial]:
    """Submit 200 jobs, do to them what was announced, and bring them home."""
    folder = tmp_path_factory.mktemp("trial")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "PROV_STATE_DIR": str(folder / "state"),
            "PROV_SERVER_URL": app_url,
            "PROV_TOKEN": make_token("recorder"),
            "DIRACX_URL": testbed.url,
            "DIRACX_CREDENTIALS_PATH": testbed.credentials["production"],
        }.items():
            patch.setenv(name, value)
        begun = time.monotonic()
        cable = Cable(int(app_url.rpartition(":")[2]))
        runs = submit(folder, cable.lay())

        def harvest(*options: str) -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, "-m", "client_scripts.harvest", *options]
            return subprocess.run(command, capture_output=True, text=True, check=False)

        follower = subprocess.Popen(
            [sys.executable, "-m", "client_scripts.harvest", "--follow", "--interval", "3", "-q"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        meddle(runs, client, cable, Path(testbed.folder), folder / "go")
        said, complaints = follower.communicate(timeout=PATIENCE_S)
        assert follower.returncode == 0, (said, complaints)
        yield Trial(runs, folder / "state" / "grid-runs", harvest, time.monotonic() - begun)


def submit(folder: Path, cable: str) -> dict[str, list[str]]:
    """Submit all jobs in one go; what is to be meddled with comes among the others."""
    tool = folder / "tool.cwl"
    tool.write_text(TOOL)
    location = load_workflow(str(tool)).location
    wait = f"until test -e {folder}/go; do sleep 0.2; done; "
    scripts = {
        "completed": "echo the product of number $N",
        "failed": "echo half of number $N; echo broken >&2; exit 3",
        "killed": "echo the beginning of number $N; sleep 600",
        "cut": f"{wait}echo the product of number $N",
        "lost": "echo lost with number $N; sleep 600",
    }
    kinds = ["completed"] * (N_JOBS - N_FAILED - N_KILLED - N_CUT - N_LOST)
    for place, (kind, n) in enumerate(
        (("failed", N_FAILED), ("killed", N_KILLED), ("cut", N_CUT), ("lost", N_LOST))
    ):
        for i in range(n):
            kinds.insert((1 + i) * 20 + place * 5, kind)
    ids = DiracxEngine().submit_all([
        RunRequest(
            workflow=location, name="trial", steps=("tool",), command=("prod-submit", "tool.cwl"),
            inputs={"script": scripts[kind].replace("$N", str(number)), "number": number},
            environ={"PROV_SERVER_URL": cable} if kind == "cut" else {},
        )
        for number, kind in enumerate(kinds)
    ])  # fmt: skip
    runs: dict[str, list[str]] = {}
    for kind, run in zip(kinds, ids, strict=True):
        runs.setdefault(kind, []).append(run)
    return runs


def meddle(
    runs: dict[str, list[str]], client: ProvClient, cable: Cable, testbed: Path, go: Path
) -> None:
    """Kill, cut off and lose those jobs, once their step runs and the record has it."""
    engine = DiracxEngine()
    jobs = {run: int(engine.find(run).info()["grid_job"]) for ids in runs.values() for run in ids}
    waiting = {run: kind for kind in ("killed", "lost", "cut") for run in runs[kind]}
    seen: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S
    while waiting:
        assert time.monotonic() < deadline, waiting
        time.sleep(1.0)
        found = client.search_activities(name="tool", status="running", limit=100)["items"]
        for step in {item["id"] for item in found} - seen:
            seen.add(step)
            (run,) = [part["activity"] for part in client.activity(step)["part_of"]]
            kind = waiting.pop(run, None)
            if kind == "killed":
                Grid().kill([jobs[run]])
            elif kind == "lost":
                os.kill(worker_of(jobs[run], testbed), signal.SIGKILL)
            elif kind == "cut" and "cut" not in waiting.values():
                cable.cut()
                go.touch()


def worker_of(job: int, testbed: Path) -> int:
    """Return the number of the process that runs a job as a pilot does."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(testbed / "jobs" / f"{job}.0"):
                parent = process.parent()
                if parent is not None and "pilot.worker" in parent.cmdline():
                    return parent.pid
    raise AssertionError(f"no worker runs job {job}")


@pytest.fixture(scope="module")
def held(trial: Trial, database: Database) -> dict[str, list[str]]:
    """The whole record after the trial."""
    with database.transaction() as session:
        return snapshot(session)


_ACTIVITIES = """
    SELECT a.activity_uuid::text AS id, a.name, a.type, a.status, a.exit_code, a.started_at,
           a.ended_at, o.activity_uuid::text AS part_of
    FROM prov.activity a
    LEFT JOIN prov.was_informed_by i ON i.informed_id = a.activity_id AND i.kind = 'part-of'
    LEFT JOIN prov.activity o ON o.activity_id = i.informant_id"""
_PRODUCTS = """
    SELECT encode(e.sha256, 'hex') AS sha256, a.activity_uuid::text AS made_by
    FROM prov.entity e LEFT JOIN prov.activity a ON a.activity_id = e.generated_by
    WHERE e.sha256 IS NOT NULL AND coalesce(e.name, e.base_name) LIKE 'product-%'"""


@pytest.fixture(scope="module")
def activities(held, database: Database) -> dict[str, RowMapping]:
    """Each activity by its UUID."""
    with database.transaction() as session:
        rows = session.execute(text(_ACTIVITIES)).mappings().all()
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)  # none is part of two
    return found


@pytest.fixture(scope="module")
def products(held, database: Database) -> list[RowMapping]:
    """The products that the record has, with what made them."""
    with database.transaction() as session:
        return list(session.execute(text(_PRODUCTS)).mappings())


EXPECTED = {  # of the run and of its job: status, exit code
    "completed": (("completed", 0), ("completed", 0)),
    "cut": (("completed", 0), ("completed", 0)),
    "failed": (("error", 1), ("error", 1)),
    "killed": (("interrupted", 143), ("interrupted", 143)),
    "lost": (("interrupted", None), ("interrupted", None)),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_every_job_is_in_the_record_with_its_status(trial, activities, kind) -> None:
    n = {"failed": N_FAILED, "killed": N_KILLED, "cut": N_CUT, "lost": N_LOST}
    assert len(trial.runs[kind]) == n.get(kind, N_JOBS - sum(n.values()))
    for run in trial.runs[kind]:
        job = activities[activities[run]["part_of"]]
        ended = [(one["status"], one["exit_code"]) for one in (activities[run], job)]
        assert tuple(ended) == EXPECTED[kind], (run, ended)
        assert (activities[run]["type"], job["type"]) == ("Workflow", "Job")
        (step,) = [one for one in activities.values() if one["part_of"] == run]
        assert (step["name"], step["status"]) == ("tool", EXPECTED[kind][0][0])
        assert all(one["ended_at"] for one in (activities[run], job, step))


def test_nothing_is_doubled_and_nothing_contradicts(trial, held, activities, products) -> None:
    counts = Counter(one["type"] or one["name"] for one in activities.values())
    assert counts == {"Job": N_JOBS, "Workflow": N_JOBS, "Retrieval": N_JOBS,
                      "WorkflowStep": N_JOBS}  # fmt: skip
    assert held["contradiction"] == []
    # also what failed and killed steps left, which is kept and flagged
    assert len(products) == len({one["sha256"] for one in products}) == N_JOBS - N_LOST


def test_every_product_that_survived_has_its_producer(trial, activities, products) -> None:
    made_by = {one["sha256"]: one["made_by"] for one in products}
    n_products = 0
    for run in (run for ids in trial.runs.values() for run in ids):
        for path in (trial.folder / run / "products").glob("*"):
            step = made_by[sha256(path.read_bytes()).hexdigest()]
            assert activities[step]["name"] == "tool"
            assert activities[step]["part_of"] == run
            n_products += 1
    assert n_products == sum(len(trial.runs[kind]) for kind in ("completed", "cut", "failed"))


def test_no_more_than_four_jobs_ran_at_a_time(trial, activities) -> None:
    spans = []
    for run in trial.runs["completed"]:
        job = activities[activities[run]["part_of"]]
        spans += [(job["started_at"], 1), (job["ended_at"], -1)]
    most = at_work = 0
    for _, change in sorted(spans):
        at_work += change
        most = max(most, at_work)
    assert 2 <= most <= 4


def test_harvesting_again_changes_nothing(trial, held, database) -> None:
    again = trial.harvest("--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"jobs": [], "stale": [], "documents_waiting": 0}
    with database.transaction() as session:
        assert snapshot(session) == held
