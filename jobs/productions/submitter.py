"""`Submitter`: claim groups, submit their runs, look after them, until nothing is left to do.

It may be killed at any point. What it claimed and did not submit, it (or another) finds again by
the claim, under the run's id, which no engine starts twice; what it submitted goes on without it.
"""

import json
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from jobs.engines import Engine, RunRequest, RunStatus, make_engine
from provmanager.client import Group, OpenRun, ProductionStatus, ProvClient
from provmanager.errors import JSONDict, NotFoundError, ProvError, UnavailableError

from .document import LoadedProduction
from .holder import Holder
from .requests import make_request

logger = logging.getLogger(__name__)

LEASE_S = 120.0
"""How long another machine waits before it submits what we claimed, without a sign of us."""

MOST_ON_GRID = 500
MOST_SHOWN = 500
"""Most groups that a dry run shows."""

_BULK = 20
_MOST_CLAIMED = 100  # in one turn: others record between two
_SHORTEST_S, _LONGEST_S = 0.3, 15.0
_LONGEST_BUSY_S = 3.0
_PATIENCE_S = 600.0
_LOOK_S = 20.0  # how often a grid job is asked after whose record says nothing
_FINAL = ("completed", "error", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a production is submitted.

    Attributes
    ----------
    most : mapping, optional
        Most runs at a time, by engine; as many as there are cores here, and 500 on the grid.
    is_endless : bool
        Go on when all is done, and take what arrives.
    is_detached : bool
        Submit what can be submitted now, and wait for nothing.
    moved : sequence of (str, str)
        Prefixes of locations, and what stands for them on this machine.
    command : tuple of str
        Command line that asked for it.
    environ : dict
        Variables for the processes of runs.
    """

    most: dict[str, int] = field(default_factory=dict)
    is_endless: bool = False
    is_detached: bool = False
    moved: Sequence[tuple[str, str]] = ()
    command: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    def room(self, engine: str) -> int:
        """Return how many runs there may be at a time on an engine."""
        default = (os.cpu_count() or 1) if engine == "local" else MOST_ON_GRID
        return self.most.get(engine, default)


@dataclass(slots=True)
class _Waiting:
    """Since when the free inputs of a step are as many as they are."""

    n_free: int = -1
    since: float = 0.0


@dataclass(slots=True)
class _Asked:
    """When to ask how far the production is: a tenth of the time at most.

    The answer counts all that there is of it, which is much in a large one.
    """

    due_at: float = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self.due_at

    def of(self, ask: Callable[[], ProductionStatus]) -> ProductionStatus:
        began_at = time.monotonic()
        status = ask()
        now = time.monotonic()
        self.due_at = now + 9 * (now - began_at)
        return status


class Submitter:
    """Submits one production.

    Parameters
    ----------
    client : ProvClient
        Of the server whose record is asked.
    note : callable
        Takes what happens, a line each.
    """

    def __init__(
        self,
        client: ProvClient,
        loaded: LoadedProduction,
        holder: Holder,
        options: Options,
        *,
        note: Callable[[str], None] = logger.info,
    ) -> None:
        self._client = client
        self._loaded = loaded
        self._holder = holder
        self._options = options
        self._note = note
        self._name = loaded.production.name
        self._engines: dict[str, Engine] = {}
        self._look_at: dict[str, float] = {}
        self._waiting: dict[str, _Waiting] = defaultdict(_Waiting)
        self._n_here = 0
        self._n_others = 0
        self._definition = ""

    def define(self) -> None:
        """Have the production recorded as it is defined now."""
        document = dict(self._loaded.production.document)
        defined = self._client.define_production(self._name, document)
        self._definition = defined["definition"]
        if defined["is_new"]:
            self._note(f"production {self._name} is defined so from now on")

    def dry_run(self) -> list[Group]:
        """Return the groups that would be claimed now, if there were room: at most `MOST_SHOWN`."""
        return self._claim({"local": MOST_SHOWN, "diracx": MOST_SHOWN}, is_dry=True)

    def run(self, tell: Callable[[ProductionStatus], None]) -> ProductionStatus:
        """Submit, and look after, until there is nothing left to do; `tell` how far it is.

        A server or grid that goes away meanwhile is waited for: for ten minutes, or for ever.

        Raises
        ------
        ProvError
            Of the server or the grid; what was claimed is found again.
        """
        pause_s = _SHORTEST_S
        answered_at: float | None = None
        before: ProductionStatus | None = None
        asked = _Asked()
        while True:
            try:
                has_happened = self.cycle()
                is_busy = has_happened or self._n_here or self._n_others
                status = None if is_busy and not asked.is_due() else asked.of(self._status)
            except UnavailableError as error:
                if answered_at is None or not self._may_wait(time.monotonic() - answered_at):
                    raise
                self._note(f"tried again in {_LONGEST_S:.0f} s: {error.message}")
                time.sleep(_LONGEST_S)
                continue
            answered_at = time.monotonic()
            if status is not None:
                self._see(status)
                tell(status)
                if self._has_ended(status, before, has_happened=has_happened):
                    return status
                before = status
            longest_s = _LONGEST_BUSY_S if self._n_here else _LONGEST_S
            pause_s = _SHORTEST_S if has_happened else min(pause_s * 1.4, longest_s)
            time.sleep(pause_s)

    def cycle(self) -> bool:
        """Look after what runs, and submit what there is room for; return whether there was any."""
        open_runs = self._report()
        here = [run for run in open_runs
                if run["is_submitted"] and run["place"] == self._holder.place]  # fmt: skip
        settled = [run["run"] for run in here if self._is_settled(run)]
        if settled:
            self._report(settled=settled)
        left = [run for run in here if run["run"] not in settled]
        room = {name: self._options.room(name) - sum(run["engine"] == name for run in left)
                for name in {step.engine for step in self._loaded.production.steps}}  # fmt: skip
        groups = self._claim({name: max(0, min(n, _MOST_CLAIMED)) for name, n in room.items()})
        self._submit(groups)
        self._n_here = len(left) + len(groups)
        self._n_others = sum(run not in here and not run["is_lost"] for run in open_runs)
        return bool(settled or groups)

    def _status(self) -> ProductionStatus:
        return self._client.production(self._name)

    def _may_wait(self, away_s: float) -> bool:
        return self._options.is_endless or away_s < _PATIENCE_S

    def _has_ended(
        self, status: ProductionStatus, before: ProductionStatus | None, *, has_happened: bool
    ) -> bool:
        """Whether there is nothing left to wait for.

        What another claimed between our question for open runs and our claim is seen by the next
        cycle only: where work is left over and nobody has it, the status must hold for two.
        """
        if self._options.is_detached:
            return not has_happened
        if self._options.is_endless or has_happened or self._n_here or self._n_others:
            return False
        return status["is_done"] or status == before

    def _claim(self, most: dict[str, int], *, is_dry: bool = False) -> list[Group]:
        steps = self._loaded.production.steps
        filled = None
        if self._options.is_endless:
            filled = [step.name for step in steps if self._has_waited(step.name, step.wait_s)]
        return self._client.claim_groups(
            self._name,
            {
                "definition": self._definition or None,
                "document": dict(self._loaded.production.document) if is_dry else None,
                "holder": self._holder.name,
                "place": self._holder.place, "lease_s": LEASE_S, "most": most, "filled": filled,
                "dry_run": is_dry,
            },
        )  # fmt: skip

    def _see(self, status: ProductionStatus) -> None:
        """Remember how long each step has had the free inputs that it has."""
        for step in status["steps"]:
            known = self._waiting[step["name"]]
            if known.n_free != step["inputs"]["free"]:
                known.n_free, known.since = step["inputs"]["free"], time.monotonic()

    def _has_waited(self, step: str, wait_s: float) -> bool:
        known = self._waiting[step]
        return known.n_free > 0 and time.monotonic() - known.since >= wait_s

    def _report(
        self, *, submitted: Iterable[str] = (), settled: Iterable[str] = ()
    ) -> list[OpenRun]:
        return self._client.report_runs(
            self._name,
            {"holder": self._holder.name, "lease_s": LEASE_S,
             "submitted": list(submitted), "settled": list(settled)},
        )  # fmt: skip

    # --- what runs

    def _is_settled(self, run: OpenRun) -> bool:
        """Whether a run has ended, all of it is at home, and the record says so."""
        is_recorded = run["status"] in _FINAL
        now = time.monotonic()
        if run["engine"] != "local" and not is_recorded:
            if now < self._look_at.setdefault(run["run"], now + _LOOK_S):
                return False
            self._look_at[run["run"]] = now + _LOOK_S
        engine = self._engine(run["engine"])
        try:
            status = engine.status(run["run"])
        except NotFoundError as error:
            if not is_recorded:
                self._close(run["run"], run["step"], "interrupted", error.message)
            return True
        if not status.is_final:
            return False
        if not is_recorded:
            self._make_recorded(engine, run, status)
        self._look_at.pop(run["run"], None)
        if status.state != "completed":
            reason = (status.reason or "").partition("\n")[0]
            self._note(f"{run['step']}: run {run['run'][:8]} {status.state}: {reason}")
        return True

    def _make_recorded(self, engine: Engine, run: OpenRun, status: RunStatus) -> None:
        """Bring the end of a run into the record, of which its own words did not arrive."""
        engine.settle(run["run"])
        if self._client.activity(run["run"])["status"] not in _FINAL:
            self._close(run["run"], run["step"], status.state, status.reason or "it ended so")

    def _close(self, run: str, step: str, status: str, reason: str) -> None:
        """Record of a run how it ended, where nobody else can."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        record: JSONDict = {
            "schema": "provmanager/activity.v1",
            "id": run,
            "name": f"{self._name}.{step}",
            "type": "Workflow",
            "status": status,
            "ended_at": now,
            "messages": [{"level": "error", "code": "production", "text": reason}],
        }
        self._client.record(json.dumps(record).encode(), name="closed.prov.json")

    # --- what is to run

    def _submit(self, groups: Sequence[Group]) -> None:
        """Submit claimed groups; those that cannot be are recorded as failed."""
        by_engine: dict[str, list[Group]] = defaultdict(list)
        for group in groups:
            by_engine[self._loaded.production.step(group["step"]).engine].append(group)
        claimed_at = time.monotonic()
        for name, several in by_engine.items():
            for first in range(0, len(several), _BULK):
                if time.monotonic() - claimed_at > LEASE_S / 2:
                    return  # they may be another's by now: the next claim says
                self._submit_bulk(name, several[first : first + _BULK])
                self._report()

    def _submit_bulk(self, engine: str, groups: Sequence[Group]) -> None:
        requests = []
        for group in groups:
            try:
                requests.append(self._request(engine, group))
            except ProvError as error:
                self._refuse(str(group["run"]), group["step"], error)
        for step in dict.fromkeys(group["step"] for group in groups):
            n = sum(request.name == f"{self._name}.{step}" for request in requests)
            if n:
                self._note(f"{step}: {n} run{'s' if n > 1 else ''} submitted")
        try:
            submitted = self._engine(engine).submit_all(requests) if requests else []
        except UnavailableError as error:
            self._report(submitted=error.details.get("runs", ()))
            raise
        except ProvError:
            submitted = self._submit_singly(engine, requests)
        self._report(submitted=submitted)

    def _submit_singly(self, engine: str, requests: Sequence[RunRequest]) -> list[str]:
        """Submit those that can be: one of several was refused, and which is not said."""
        submitted = []
        for request in requests:
            try:
                submitted.append(self._engine(engine).submit(request))
            except UnavailableError:
                self._report(submitted=submitted)
                raise
            except ProvError as error:
                step = request.name.removeprefix(f"{self._name}.")
                self._refuse(str(request.run_id), step, error)
        return submitted

    def _refuse(self, run: str, step: str, error: ProvError) -> None:
        self._note(f"{step}: run {run[:8]} cannot be submitted: {error.message}")
        self._close(run, step, "error", f"it was not submitted: {error.message}")
        self._report(settled=[run])

    def _request(self, engine: str, group: Group) -> RunRequest:
        cores = os.cpu_count() or 1
        each = max(1, cores // max(1, self._options.room("local"))) if engine == "local" else None
        request = make_request(
            self._loaded,
            group,
            moved=self._options.moved,
            reads_lfns=self._engine(engine).reads_lfns(
                self._loaded.production.step(group["step"]).job
            ),
            command=self._options.command,
            max_parallel=each,
        )
        return replace(request, environ=self._options.environ)

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = make_engine(name)
        return self._engines[name]
