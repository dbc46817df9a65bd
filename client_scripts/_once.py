"""A plan is run once: what the record and this machine know of its former runs."""

import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from provmanager.errors import NotFoundError

from ._cli import Output, ServerOptions, connect
from ._runs import ENGINES, STILL_RUNNING, find_run

if TYPE_CHECKING:
    from jobs.engines import Engine, RunRequest, RunStatus
    from provmanager.client import ProvClient

_ORDER = ("completed", "running", "waiting", "error", "interrupted")


def resumed(
    request: "RunRequest", runner: "Engine", server: ServerOptions, output: Output
) -> str | None:
    """Return the run of a plan to resume, if any; end here where there is nothing left to run."""
    from jobs.workflows import PLAN_ID

    plan = request.inputs.get(PLAN_ID)
    former = former_run(plan, server) if plan else None
    if former is None:
        return None
    if former.state in ("error", "interrupted"):
        can_resume = _can_resume(runner, former)
        then = "what it made is taken over" if can_resume else "all of it runs again"
        output.note(f"run {former.id[:8]} of this plan ended with {former.state}: {then}")
        return former.id if can_resume else None
    is_done = former.state == "completed"
    if output.as_json:
        output.json(asdict(former))
    elif is_done:
        for product in former.products:
            output.data(product.path)
    what = "did this plan already: nothing is run" if is_done else f"of this plan is {former.state}"
    output.note(f"run {former.id} {what}; --again runs it once more")
    sys.exit(0 if is_done else STILL_RUNNING)


def _can_resume(runner: "Engine", former: "RunStatus") -> bool:
    """Whether the run is this engine's, lies here, and has a record to go on from."""
    from jobs.engines.local.directory import RunDirectory

    try:
        directory = runner.status(former.id).directory
    except NotFoundError:
        return False
    return directory is not None and RunDirectory(Path(directory)).record_file.is_file()


def former_run(plan: str, server: ServerOptions) -> "RunStatus | None":
    """Return the run of a plan that got furthest, on whatever engine, if there was one.

    Raises
    ------
    UnavailableError, AuthenticationError, AuthorisationError
        The record cannot be asked, so nobody knows.
    """
    with connect(server) as client:
        found = []
        for run in {*_recorded(plan, client), *_own(plan)}:
            with suppress(NotFoundError):  # its directory was removed before it was recorded
                found.append(find_run(run, client)[0])
    return min(found, key=lambda run: _ORDER.index(run.state), default=None)


def _recorded(plan: str, client: "ProvClient") -> list[str]:
    from jobs.workflows import PLAN_ID

    page = client.search_activities(parameter=[f"{PLAN_ID}={plan}"], limit=100)
    return [item["id"] for item in page["items"]]


def _own(plan: str) -> list[str]:
    """Return runs of this machine, of which the record may not know yet."""
    from jobs.engines import make_engine
    from jobs.workflows import PLAN_ID

    engines = [make_engine(name) for name in ENGINES]
    return [
        run.id
        for engine in engines
        for run in engine.runs()
        if engine.request(run.id).inputs.get(PLAN_ID) == plan
    ]
