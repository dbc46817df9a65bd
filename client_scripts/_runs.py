"""Runs as the record has them and as this machine knows them; names to complete."""

import os
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from provmanager.errors import (
    AuthenticationError,
    AuthorisationError,
    NotFoundError,
    ProvError,
    UnavailableError,
)

from ._cli import ServerOptions

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from jobs.engines import Engine, Product, RunState, RunStatus, StepState, StepStatus
    from provmanager.client import ProvClient, RunMessage, RunProduct, RunStep

ENGINES = ("local", "diracx")
CONTAINER_ENGINES = ("apptainer", "podman", "docker", "none")

STILL_RUNNING = 8
"""Exit code of what has not ended yet."""

Rows = list[dict[str, Any]]  # Any: JSON

NO_ANSWER = (UnavailableError, AuthenticationError, AuthorisationError)
"""What a server raises that tells nothing of what was asked for."""


def find_run(run: str, client: "ProvClient | None") -> "tuple[RunStatus, str | None]":
    """Return a run as the server has it, else as its directory says; and why the server does not.

    Where both know it, that one stands which says that it ended: a record may be on its way, and
    a process that was killed cannot say so. A run on the grid is brought home by looking at it.

    Raises
    ------
    NotFoundError, AmbiguousError
        Nobody knows such a run, or several.
    """
    from jobs.engines import engine_of

    recorded: RunStatus | None = None
    missing: ProvError | None = None
    if client is not None and "/" not in run:
        try:
            recorded = recorded_run(client, run)
        except (NotFoundError, *NO_ANSWER) as error:
            missing = error
    is_on_grid = recorded is not None and recorded.engine == "diracx"
    name = recorded.id if recorded else run
    try:
        own = engine_of(name).status(name)
    except NotFoundError:
        if recorded is not None:
            return recorded, None
        raise missing or NotFoundError(f"there is no run {run!r}; see prod-status") from None
    except NO_ANSWER as error:  # the grid's
        if recorded is not None:
            return recorded, error.message
        raise
    if recorded is not None and not is_on_grid and (recorded.is_final or not own.is_final):
        return _with_own(recorded, own), None
    return own, missing.message if isinstance(missing, NO_ANSWER) else None


def _with_own(recorded: "RunStatus", own: "RunStatus") -> "RunStatus":
    """Return a recorded run with what only its directory knows: logs, and steps that it reused."""
    logs = {step.activity: step.log for step in own.steps}
    steps = [replace(step, log=logs.get(step.activity)) for step in recorded.steps]
    steps += [step for step in own.steps if step.is_reused]
    order = {step.name: i for i, step in enumerate(own.steps)}
    steps.sort(key=lambda step: (order.get(step.name, len(order)), step.index))
    return replace(recorded, steps=tuple(steps))


def list_runs(client: "ProvClient", limit: int) -> "tuple[Rows, str | None]":
    """Return the newest runs of the server and this machine; and why the server tells none."""
    from jobs.engines import make_engine

    rows: Rows = []
    problem = None
    try:
        for item in client.runs(limit=limit)["items"]:
            rows.append({**item, "state": _state(item["status"]), "is_recorded": True})
    except NO_ANSWER as error:
        problem = error.message
    known = {row["id"]: row for row in rows}
    host = socket.gethostname()
    own: list[RunStatus] = []
    for name in ENGINES:
        try:
            own += make_engine(name).runs()
        except ProvError as error:
            problem = error.message
    for run in own:
        if run.id not in known:
            known[run.id] = {
                "id": run.id, "name": run.name, "state": run.state, "exit_code": run.exit_code,
                "started_at": run.started_at, "ended_at": run.ended_at, "host": host,
                "is_recorded": False,
            }  # fmt: skip
        elif run.is_final and known[run.id]["state"] == "running":
            known[run.id] |= {"state": run.state, "ended_at": run.ended_at}
    rows = sorted(known.values(), key=lambda row: row["started_at"] or "", reverse=True)
    return rows[:limit], problem


def recorded_run(client: "ProvClient", start: str) -> "RunStatus":
    """Return a run as the server has it."""
    from jobs.engines import RunStatus, StepStatus

    found = client.run(start)
    state = _state(found["status"])
    steps = [_step(step) for step in found["steps"]]
    begun = {(step.name or "").partition("/")[0] for step in steps}
    planned = found["planned"]
    never: StepState = "skipped" if state == "completed" else "not-run"
    if state == "running":
        never = "waiting"
    if not found["resumes"]:  # else they may have been taken from the run before
        steps += [StepStatus(name=name, state=never) for name in planned if name not in begun]
    order = {name: i for i, name in enumerate(planned)}
    steps.sort(key=lambda s: (order.get(s.name.partition("/")[0], len(order)), s.name, s.index))
    return RunStatus(
        id=found["id"],
        name=found["name"] or "",
        engine=found["engine"] or "",
        state=state,
        directory=found["directory"],
        started_at=found["started_at"],
        ended_at=found["ended_at"],
        exit_code=found["exit_code"],
        reason="; ".join(_said(found["messages"])) or None,
        steps=tuple(steps),
        products=_products(found["products"]),
        notes=tuple(m["text"] for m in found["messages"] if m["level"] == "warning"),
    )


def _step(step: "RunStep") -> "StepStatus":
    from jobs.engines import StepStatus

    state = _state(step["status"])
    reason = None
    if state in ("error", "interrupted"):
        said = [m["text"] for m in step["messages"] if m["code"] == "signal"]
        reason = "\n".join([f"exit code {step['exit_code']}", *said, *_said(step["messages"])[-2:]])
    return StepStatus(
        name=step["name"] or "",
        index=tuple(step["scatter_index"]),
        activity=step["id"],
        state=state,
        started_at=step["started_at"],
        ended_at=step["ended_at"],
        exit_code=step["exit_code"],
        reason=reason,
        products=_products(step["products"]),
    )


def _state(status: str) -> "RunState":
    states: Mapping[str, RunState] = {
        "completed": "completed", "error": "error", "running": "running",
    }  # fmt: skip
    return states.get(status, "interrupted")


def _said(messages: "Iterable[RunMessage]") -> list[str]:
    return [message["text"] for message in messages if message["level"] == "error"]


def _products(products: "Iterable[RunProduct]") -> "tuple[Product, ...]":
    from jobs.engines import Product

    return tuple(
        Product(
            name=product["name"] or "",
            path=_path(product["location"]),
            role=product["role"],
            sha256=product["sha256"],
            size_bytes=product["size_bytes"],
        )
        for product in products
    )


def _path(location: str | None) -> str:
    """Return a place as a path, where it is one of this machine."""
    parts = urlsplit(location or "")
    is_here = (parts.hostname or "") in ("", socket.gethostname().lower())
    return unquote(parts.path) if parts.scheme == "file" and is_here else location or ""


def server_environ(server: ServerOptions) -> dict[str, str]:
    """Return what tells the process of the run where its server is."""
    found = {}
    if server.url:
        found["PROV_SERVER_URL"] = server.url
    if server.token_file:
        found["PROV_TOKEN_FILE"] = os.path.abspath(server.token_file)
        found["PROV_TOKEN"] = ""
    return found


@contextmanager
def interruptible(runner: "Engine", run_id: str) -> Iterator[list[int]]:
    """End the run where we are asked to end; a second time, leave it to itself."""
    caught: list[int] = []

    def cancel(number: int, frame: FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        runner.cancel(run_id)

    before = {n: signal.signal(n, cancel) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def complete_pipeline(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the pipelines that begin so, then files."""
    from click.shell_completion import CompletionItem

    from jobs.pipelines import pipeline_names

    names = [CompletionItem(n) for n in pipeline_names() if n.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def complete_run(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Return the runs of this machine that begin so, with their pipeline."""
    from click.shell_completion import CompletionItem

    from jobs.engines import make_engine

    found = []
    for name in ENGINES:
        with suppress(ProvError):
            found += make_engine(name).runs()
    return [
        CompletionItem(run.id, help=f"{run.name} {run.state}")
        for run in found
        if run.id.startswith(incomplete)
    ]
