"""`prod-harvest`: bring home the jobs of the grid that have ended, and their records."""

import os
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from provmanager.errors import AuthenticationError, AuthorisationError, UnavailableError

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options
from ._runs import complete_run, server_environ

if TYPE_CHECKING:
    from jobs.engines.diracx.discovery import StaleRecord
    from jobs.engines.diracx.harvest import Harvested
    from provmanager.client import ProvClient

_EPILOG = """\b
Exit codes: 0 all that ended is home, 1 none could be brought home, 2 wrong use, 3 no such run or
job, 4 not allowed, 6 some could not be brought home, 8 some still run, 75 DiracX is away or
documents wait for the server, 130 interrupted.

\b
From cron, a line only where something has to be looked at:
  */10 * * * *  prod-harvest --quiet

\b
Environment: DIRACX_URL, DIRACX_CREDENTIALS_PATH, PROV_STATE_DIR, PROV_SERVER_URL, PROV_TOKEN or
PROV_TOKEN_FILE, PROV_SPOOL_DIR, NO_COLOR.
"""

STILL_RUNNING = 8
PARTLY_DONE = 6
TRY_AGAIN = 75
_TIMEOUT_S = 30.0
_NO_ANSWER = (UnavailableError, AuthenticationError, AuthorisationError)


@dataclass(slots=True)
class _Tally:
    """What became of the jobs of all rounds."""

    told: dict[int, "Harvested"] = field(default_factory=dict)
    stale: list["StaleRecord"] = field(default_factory=list)
    n_waiting: int = 0
    """Documents that wait on disk for the server."""

    def count(self, outcome: str) -> int:
        return sum(one.outcome == outcome for one in self.told.values())

    def exit_code(self) -> int:
        n_failed = self.count("failed")
        if n_failed:
            return PARTLY_DONE if n_failed < len(self.told) else 1
        if self.n_waiting:
            return TRY_AGAIN
        return STILL_RUNNING if self.count("running") else 0


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("wanted", nargs=-1, metavar="[RUN|JOB]...", shell_complete=complete_run)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on until no job runs.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.2),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow, look so often.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Ask DiracX for jobs that were submitted in so many last days.",
)
@click.option(
    "--stale-after",
    "stale_h",
    type=click.FloatRange(min=0),
    default=48.0,
    show_default=True,
    metavar="HOURS",
    help="Report what the record has as running for longer, and no job at work is.",
)
@click.option(
    "--parallel",
    type=click.IntRange(min=1, max=32),
    default=4,
    show_default=True,
    help="Bring home so many at a time.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Say which jobs are not home; change nothing.")
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-harvest")
def main(
    wanted: tuple[str, ...],
    is_followed: bool,
    interval_s: float,
    days: float,
    stale_h: float,
    parallel: int,
    dry_run: bool,
    server: ServerOptions,
    output: Output,
) -> None:
    """Bring home what jobs of the grid left, and complete their records.

    \b
    Examples:
      prod-harvest
      prod-harvest --follow
      prod-harvest 3f2a 1187
      prod-harvest --dry-run --json

    Of each job that has ended, the output sandbox is downloaded, its records are delivered, and its
    products lie in the directory of its run. The records of jobs that died without a word are ended
    with what DiracX says of them. Jobs are those of this machine's runs, those that DiracX has of
    you, and those that the record has as running, wherever they were submitted from. Again is no
    harm: what is home is not touched.
    """
    os.environ |= server_environ(server)  # what brings home finds its server there
    tally = _Tally()
    with connect(server, retries=0, timeout_s=_TIMEOUT_S) as client:
        while True:
            _round(client, wanted, tally, output, days=days, parallel=parallel, dry_run=dry_run)
            if not is_followed or dry_run or not tally.count("running"):
                break
            time.sleep(interval_s)
        _finish(client, tally, output, timedelta(hours=stale_h), dry_run=dry_run)
    click.get_current_context().exit(tally.exit_code())


def _round(
    client: "ProvClient",
    wanted: tuple[str, ...],
    tally: _Tally,
    output: Output,
    *,
    days: float,
    parallel: int,
    dry_run: bool,
) -> None:
    """Look once at all jobs that are not home, and bring home those that ended."""
    from jobs.engines.diracx import DiracxEngine, Grid
    from jobs.engines.diracx.discovery import find_jobs, named_jobs
    from jobs.engines.diracx.harvest import harvest, looked_at

    grid, folder = Grid(), DiracxEngine().folder
    if wanted:
        jobs = named_jobs(grid, folder, wanted)
    else:
        since = datetime.now(UTC) - timedelta(days=days)
        jobs = find_jobs(grid, folder, _answering(client, output), since=since)
    shows_progress = not output.is_quiet and sys.stderr.isatty()
    done = map(looked_at, jobs) if dry_run else harvest(grid, folder, jobs, n_parallel=parallel)
    for n, one in enumerate(done, start=1):
        tally.told[one.job_id] = one
        if shows_progress:
            click.echo(f"\r\x1b[K{n} of {len(jobs)} jobs\r", nl=False, err=True)
        if not output.as_json:
            _tell(one, output)


def _answering(client: "ProvClient", output: Output) -> "ProvClient | None":
    """Return the client if its server answers; else say that what only it knows is left out."""
    try:
        client.info()
    except _NO_ANSWER as error:
        output.note(f"only what DiracX and this machine know: {error.message}")
        return None
    return client


def _tell(one: "Harvested", output: Output) -> None:
    needs_a_look = one.outcome in ("failed", "closed")
    if one.outcome == "running" or (output.is_quiet and not needs_a_look):
        return
    said: str = one.outcome
    if one.outcome == "ended":
        said = f"not home: DiracX says {one.grid_status}"
    elif one.outcome == "home":
        said = f"home: {one.state}, {one.n_products} product{'s' * (one.n_products != 1)}"
    elif needs_a_look:
        said = f"{one.outcome}: {one.reason}"
    output.data(f"job {one.job_id}  {one.run[:8]}  {one.name}  {said}")


def _finish(
    client: "ProvClient", tally: _Tally, output: Output, stale_after: timedelta, *, dry_run: bool
) -> None:
    """Deliver what waited on disk, look for stale records, and tell of it all."""
    from jobs.engines.diracx.discovery import find_stale
    from provmanager.client import Spool
    from provmanager.config import spool_dir

    at_work = [one.job_id for one in tally.told.values() if one.outcome == "running"]
    spool = Spool(spool_dir())
    try:
        if spool.waiting() and not dry_run:
            spool.drain(client)
        before = datetime.now(UTC) - stale_after
        tally.stale = list(find_stale(client, before=before, at_work=at_work))
    except _NO_ANSWER as error:
        output.detail(f"no word on stale records: {error.message}")
    tally.n_waiting = len(spool.waiting())
    if output.as_json:
        output.json(
            {
                "jobs": [asdict(one) for _, one in sorted(tally.told.items())],
                "stale": [asdict(one) for one in tally.stale],
                "documents_waiting": tally.n_waiting,
            }
        )
        return
    for stale in tally.stale:
        where = f" in {stale.job}" if stale.job else f" on {stale.host}" if stale.host else ""
        output.data(
            f"stale  {stale.activity}  {stale.name}{where}: running since {stale.started_at}"
        )
    if tally.n_waiting:
        click.echo(
            f"{tally.n_waiting} documents wait in {spool.directory} for the server", err=True
        )
    counts = {name: tally.count(name) for name in ("home", "closed", "failed", "running", "ended")}
    told = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    output.note(told or "nothing to bring home")


if __name__ == "__main__":
    main()
