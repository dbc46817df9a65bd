"""`prod-status`: which runs there are, and how far one is."""

from dataclasses import asdict

import click

from ._cli import Output, ProdCommand, ServerOptions, output_options, server_options
from ._runs import complete_run

_EPILOG = """\b
Exit codes: 0 completed (or a list), 1 failed, 3 no such run, 6 some steps failed, 8 still running,
130 or 143 interrupted.

\b
Environment: PROV_STATE_DIR, PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""

STILL_RUNNING = 8


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Show it until its end.")
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-status")
def main(run: str | None, is_followed: bool, server: ServerOptions, output: Output) -> None:
    """Show the runs, the newest first; or the steps of RUN, what they made and what failed.

    \b
    Examples:
      prod-status
      prod-status 3f2a --follow
      prod-status 3f2a --json

    RUN is the id of a run, or the beginning of it, or its folder.
    """
    from jobs.engines import make_engine

    from .rendering.runs import follow, run_columns, run_lines
    from .rendering.table import write_table
    from .rendering.text import look_of

    engine = make_engine("local")
    look = look_of(verbose=output.is_verbose)
    if run is None:
        found = [asdict(one) for one in engine.runs()]
        if output.as_json:
            output.json(found)
            return
        for line in write_table(found, run_columns(), "aligned", look):
            output.data(line)
        return
    status = engine.status(run)
    if is_followed and not status.is_final:
        status = follow(lambda: engine.status(run), is_quiet=output.is_quiet)
    if output.as_json:
        output.json(asdict(status))
    else:
        for line in run_lines(status, look):
            output.data(line)
    code = (status.exit_code or 0) if status.is_final else STILL_RUNNING
    click.get_current_context().exit(code)


if __name__ == "__main__":
    main()
