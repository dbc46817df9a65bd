"""`prod-testbed`: a real DiracX on this machine, to try grid submission."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from provmanager.errors import NotFoundError

from ._cli import Output, ProdCommand, ProdGroup, output_options

_EPILOG = """\b
Examples:
  prod-testbed up                     # the first time: some minutes, for DiracX is installed
  prod-testbed up --workers 4
  prod-testbed status --json
  prod-testbed down                   # jobs and sandboxes stay; --purge removes everything
"""

_STATE_DIR = click.option(
    "--state-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where everything lies (default: testbed/ in your state directory).",
)


@click.group(cls=ProdGroup, epilog=_EPILOG)
@click.version_option(package_name="provmanager")
def main() -> None:
    """A real DiracX on this machine, with workers that run jobs: for trying and testing.

    It serves this machine only. Production is your own DIRAC.
    """


@main.command(cls=ProdCommand)
@click.option("--workers", type=int, default=2, show_default=True, help="Jobs run at a time.")
@click.option("--site", metavar="NAME", help="Site of the workers (default: DIRAC.Testbed.local).")
@click.option("--port", type=int, default=0, help="Port (default: that of last time, or free).")
@click.option("--s3-port", type=int, default=0, help="Port of S3 (default: likewise).")
@click.option("--job-type", "job_types", multiple=True, help="Allow a further JobType.")
@click.option(
    "--stalled-after",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Without a heartbeat for so long, a job is Stalled; for twice as long, Failed.",
)
@click.option("--keep-directories", is_flag=True, help="Keep working directories of jobs.")
@click.option(
    "--venv",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="An environment with DiracX in it (default: one is made).",
)
@_STATE_DIR
@output_options
def up(
    workers: int,
    job_types: tuple[str, ...],
    stalled_after: float,
    venv: Path | None,
    state_dir: Path | None,
    output: Output,
    **rest: Any,  # Any: values of several types
) -> None:
    """Start it in the background, and return when it takes jobs.

    The first start installs DiracX (290 MB) into an environment of its own.
    """
    from jobs.testbed import Options, bring_up
    from jobs.testbed.configuration import JOB_TYPES
    from jobs.testbed.options import SITE

    options = Options(
        n_workers=workers,
        site=rest["site"] or SITE,
        port=rest["port"],
        s3_port=rest["s3_port"],
        job_types=(*JOB_TYPES, *job_types),
        stalled_s=stalled_after,
        keep_directories=rest["keep_directories"],
    )
    begin = time.time()
    progress = _Progress(output)
    testbed = bring_up(_folder(state_dir), options, venv=venv, progress=progress)
    progress.clear()
    if testbed.started_at < begin:
        output.note(f"prod-testbed: it runs already (process {testbed.pid}), as it was started")
    if output.as_json:
        output.json(asdict(testbed))
        return
    _show(asdict(testbed), output)
    output.note(
        "Submit as a user, from here or with DiracX's own command:\n"
        f"  export DIRACX_URL={testbed.url} "
        f"DIRACX_CREDENTIALS_PATH={testbed.credentials['user']}\n"
        f"  {testbed.dirac} jobs submit job.jdl && {testbed.dirac} jobs search"
    )


@main.command(cls=ProdCommand)
@_STATE_DIR
@output_options
def status(state_dir: Path | None, output: Output) -> None:
    """Say whether it runs and answers, and how many jobs there are in each status."""
    from jobs.testbed import look_at

    folder = _folder(state_dir)
    told = look_at(folder)
    if told is None:
        raise NotFoundError(f"no testbed runs from {folder}: start one with prod-testbed up")
    if output.as_json:
        output.json(told)
        return
    _show(told, output)
    jobs = ", ".join(f"{number} {name}" for name, number in sorted(told["jobs"].items()))
    output.data(f"jobs          {jobs or 'none'}")
    if not told["healthy"]:
        output.note(f"prod-testbed: it does not answer: {told['problem']}")
        click.get_current_context().exit(1)


@main.command(cls=ProdCommand)
@click.option("--purge", is_flag=True, help="Remove jobs, sandboxes, keys and the environment.")
@_STATE_DIR
@output_options
def down(purge: bool, state_dir: Path | None, output: Output) -> None:
    """Stop it; what runs is ended, and everything else stays for the next start."""
    from jobs.testbed import bring_down

    folder = _folder(state_dir)
    stopped = bring_down(folder, purge=purge)
    if stopped is None:
        output.note(f"no testbed runs from {folder}")
    else:
        output.note(f"stopped the testbed at {stopped.url} (process {stopped.pid})")
    if purge:
        output.note(f"removed {folder}")
    if output.as_json:
        output.json({"stopped": None if stopped is None else asdict(stopped), "purged": purge})


def _folder(state_dir: Path | None) -> Path:
    from provmanager.config import state_dir as default_state_dir

    if state_dir is not None:
        return state_dir.expanduser().absolute()
    return default_state_dir() / "testbed"


def _show(testbed: dict[str, Any], output: Output) -> None:  # Any: free-form JSON
    output.data(f"DiracX        {testbed['url']}")
    output.data(f"site          {testbed['site']}, {testbed['n_workers']} workers")
    for user, path in testbed["credentials"].items():
        if user != "pilot":
            output.data(f"{user:<13} {path}")
    output.data(f"logs          {testbed['folder']}/logs")


class _Progress:
    """Shows what happens in one line of a terminal; every line where asked for more."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._in_one_line = sys.stderr.isatty() and not (output.is_quiet or output.is_verbose)
        self._has_told = False

    def __call__(self, line: str) -> None:
        self._output.detail(line)
        if not self._has_told:
            self._has_told = True
            self._output.note("preparing the testbed (installing DiracX takes minutes, once) …")
        if self._in_one_line:
            click.echo(f"\r\033[K{line[:78]}", err=True, nl=False)

    def clear(self) -> None:
        """Remove the line."""
        if self._in_one_line and self._has_told:
            click.echo("\r\033[K", err=True, nl=False)


if __name__ == "__main__":
    main(prog_name="prod-testbed")
