"""`prod-status`: which runs there are, and how far one is."""

import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from provmanager.errors import UsageError

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options
from ._productions import (
    exit_code,
    find_production,
    follow_production,
    list_productions,
    show_production,
)
from ._runs import STILL_RUNNING, complete_run, find_run, list_runs, server_environ

_EPILOG = """\b
Exit codes: 0 completed (or a list), 1 failed, 3 no such run, 6 some steps failed, 8 still running,
130 or 143 interrupted.

\b
Environment: PROV_STATE_DIR, PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, DIRACX_URL,
DIRACX_CREDENTIALS_PATH, NO_COLOR.
"""

_TIMEOUT_S = 20.0


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Show it until its end.")
@click.option(
    "--cancel", "is_cancelled", is_flag=True, help="End a run that was submitted from here."
)
@click.option(
    "--reschedule",
    "is_rescheduled",
    is_flag=True,
    help="Have the job of a run on the grid run anew: the run goes on with another attempt.",
)
@click.option(
    "--delete",
    "is_deleted",
    is_flag=True,
    help="Have the job of a run on the grid deleted there; its record stays.",
)
@click.option("--productions", "lists_productions", is_flag=True, help="List the productions.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=1000),
    default=20,
    show_default=True,
    help="List at most so many runs.",
)
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-status")
def main(
    run: str | None,
    is_followed: bool,
    is_cancelled: bool,
    is_rescheduled: bool,
    is_deleted: bool,
    lists_productions: bool,
    limit: int,
    server: ServerOptions,
    output: Output,
) -> None:
    """Show the runs, the newest first; or the steps of RUN, what they made and what failed.

    \b
    Examples:
      prod-status
      prod-status 3f2a
      prod-status 3f2a --follow
      prod-status 3f2a --json
      prod-status 3f2a --cancel --follow
      prod-status 3f2a --reschedule
      prod-status 1187 --delete
      prod-status prod6-lapalma-dark

    RUN is the id of a run, or the beginning of it, or its folder; or the name of a production; to
    reschedule or delete a job, also its number in DiracX. The server's record is asked; where no
    server answers, the directories of the runs of this machine.
    """
    asked = {"cancel": is_cancelled, "reschedule": is_rescheduled, "delete": is_deleted}
    run = _act(run, [word for word, is_asked in asked.items() if is_asked], server, output)
    with connect(server, retries=0, timeout_s=_TIMEOUT_S) as client:
        if lists_productions:
            list_productions(client, limit, output)
            return
        if run is None:
            rows, problem = list_runs(client, limit)
            _list(rows, problem, output)
            return
        production = find_production(run, client)
        if production is not None:
            if is_followed:
                production = follow_production(production, client, output)
            show_production(production, output)
            click.get_current_context().exit(exit_code(production))
        status, problem = find_run(run, client)
        if problem:
            output.note(f"from the directory of the run, as no server tells of it: {problem}")
        if is_followed and not status.is_final:
            from .rendering.runs import follow

            run_id = status.id
            source = None if problem else client
            status = follow(lambda: find_run(run_id, source)[0], is_quiet=output.is_quiet)
    if output.as_json:
        output.json(asdict(status))
    else:
        from .rendering.runs import run_lines
        from .rendering.text import look_of

        for line in run_lines(status, look_of(verbose=output.is_verbose)):
            output.data(line)
    code = (status.exit_code or 0) if status.is_final else STILL_RUNNING
    click.get_current_context().exit(code)


def _act(
    run: str | None, words: Sequence[str], server: ServerOptions, output: Output
) -> str | None:
    """Do with a run what was asked for, if anything was; return the run."""
    if not words:
        return run
    if len(words) > 1:
        raise UsageError(f"{' and '.join(f'--{word}' for word in words)}: one at a time")
    (word,) = words
    if run is None:
        raise UsageError(f"name the run: prod-status RUN --{word}")
    from jobs.engines import engine_of

    if word == "cancel":
        engine_of(run).cancel(run)
        return run
    if not run.isdigit() and engine_of(run).name != "diracx":
        raise UsageError(
            f"{run} runs on this machine, not as a job of DiracX: --cancel ends it, and "
            f"prod-submit --resume {run} goes on with it"
        )
    from jobs.engines.diracx import DiracxEngine
    from jobs.engines.diracx.operating import delete, reschedule

    os.environ |= server_environ(server)  # what is recorded finds its server there
    run, job_id = (delete if word == "delete" else reschedule)(DiracxEngine(), run)
    output.note(f"job {job_id} is {word}d")
    return run


def _list(rows: list[dict[str, object]], problem: str | None, output: Output) -> None:
    import sys

    if problem:
        output.note(f"only the runs of this machine, as no server tells of others: {problem}")
    if output.as_json:
        output.json(rows)
        return
    from .rendering.runs import run_columns
    from .rendering.table import write_table
    from .rendering.text import look_of

    style = "aligned" if sys.stdout.isatty() else "tsv"
    for line in write_table(rows, run_columns(), style, look_of(verbose=output.is_verbose)):  # type: ignore[arg-type]
        output.data(line)


if __name__ == "__main__":
    main()
