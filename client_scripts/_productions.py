"""Productions on the command line: submit one, show one, list them."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provmanager.errors import NotFoundError, UsageError

from ._cli import Output, ServerOptions, connect
from ._runs import NO_ANSWER, STILL_RUNNING, server_environ

if TYPE_CHECKING:
    from jobs.productions import LoadedProduction, Options
    from provmanager.client import Group, ProductionStatus, ProvClient

_PARTLY_DONE = 6
_SUFFIXES = (".yml", ".yaml", ".json")
_POLL_S = 2.0


def names_production(text: str | None) -> bool:
    """Whether `text` is the path of a document that says that it is a production."""
    if text is None or not text.endswith(_SUFFIXES):  # before anything heavy is imported
        return False
    from provmanager.formats.production_document import is_production

    return is_production(Path(text))


def refuse_options(**given: object) -> None:
    """Refuse options that a production has no use for.

    Raises
    ------
    UsageError
        One was given.
    """
    for name, value in given.items():
        if value:
            raise UsageError(
                f"--{name.replace('_', '-')} is for a single run: what a production runs stands in "
                "its document"
            )


def submit_production(
    path: Path,
    *,
    engine: str | None,
    dry_run: bool,
    most: int | None,
    follow: bool | None,
    moved: list[tuple[str, str]],
    command: tuple[str, ...],
    server: ServerOptions,
    output: Output,
) -> int:
    """Submit a production and look after it, as the options say; return the exit code."""
    try:
        from jobs.productions import Options, load_production
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, and running workflows needs it: pip install "
            "'provmanager[jobs]' and pip install --no-deps 'cwltool>=3.3,<4'"
        ) from error
    loaded = load_production(path, engine=engine)
    options = Options(
        most={"local": most, "diracx": most} if most else {},
        is_endless=follow is True,
        is_detached=follow is False,
        moved=moved,
        command=command,
        environ=server_environ(server),
    )
    with connect(server) as client:
        if dry_run:
            _dry_run(client, loaded, options, output)
            return 0
        status = _submit(client, loaded, options, output)
    show_production(status, output)
    return exit_code(status)


def _submit(
    client: "ProvClient", loaded: "LoadedProduction", options: "Options", output: Output
) -> "ProductionStatus":
    from jobs.productions import Holder, Submitter

    from .rendering.productions import progress

    name = loaded.production.name
    with Holder(name) as holder, progress(is_quiet=output.is_quiet) as shown:
        submitter = Submitter(client, loaded, holder, options, note=shown.note)
        submitter.define()
        try:
            return submitter.run(shown.update)
        except KeyboardInterrupt:
            again = "prod-submit with the same document goes on with the production"
            click.echo(f"\nruns that were submitted go on; {again}", err=True)
            raise


def _dry_run(
    client: "ProvClient", loaded: "LoadedProduction", options: "Options", output: Output
) -> None:
    """Show which groups would be claimed now; what later steps take is not known yet."""
    from jobs.engines import make_engine
    from jobs.productions import MOST_SHOWN, Holder, Submitter, make_request

    with Holder(loaded.production.name) as holder:
        groups = Submitter(client, loaded, holder, options).dry_run()
    for group in groups:  # so that what cannot be submitted is said now
        step = loaded.production.step(group["step"])
        reads_lfns = make_engine(step.engine).reads_lfns(step.job)
        make_request(loaded, group, moved=options.moved, reads_lfns=reads_lfns)
    if len(groups) >= MOST_SHOWN:
        output.note(f"there are more: these are the first {len(groups)}")
    if output.as_json:
        output.json([dict(group) for group in groups])
        return
    for step in loaded.production.steps:
        own = [group for group in groups if group["step"] == step.name]
        n = sum(len(group["inputs"]) for group in own)
        over = f"over {n} inputs"
        if step.numbers:
            over = f"with {len(own)} numbers as {step.taking}"
        workflow = loaded.workflows[step.name]
        output.data(f"{step.name}: {len(own)} runs of {workflow.name} {over}")
        for group in own if output.is_verbose else ():
            output.data(f"  {_names(group)}")


def _names(group: "Group") -> str:
    if group["number"] is not None:
        return str(group["number"])
    key = f"{group['key']}: " if group["key"] is not None else ""
    return key + ", ".join(given["name"] or given["id"] for given in group["inputs"])


def find_production(text: str, client: "ProvClient") -> "ProductionStatus | None":
    """Return the production of that name, if the server knows one."""
    if "/" in text:  # the folder of a run
        return None
    try:
        return client.production(text)
    except (NotFoundError, *NO_ANSWER):
        return None


def follow_production(
    status: "ProductionStatus", client: "ProvClient", output: Output
) -> "ProductionStatus":
    """Show how a production goes on until there is nothing to do."""
    from .rendering.productions import progress

    with progress(is_quiet=output.is_quiet) as shown:
        while True:
            shown.update(status)
            if status["is_done"]:
                return status
            time.sleep(_POLL_S)
            status = client.production(status["name"])


def show_production(status: "ProductionStatus", output: Output) -> None:
    """Write how far a production is."""
    if output.as_json:
        output.json(dict(status))
        return
    from .rendering.productions import production_lines
    from .rendering.text import look_of

    for line in production_lines(status, look_of(verbose=output.is_verbose)):
        output.data(line)


def list_productions(client: "ProvClient", limit: int, output: Output) -> None:
    """Write the productions, the newest first."""
    rows: list[dict[str, Any]] = [  # Any: JSON
        dict(item) for item in client.productions(limit=limit)["items"]
    ]
    if output.as_json:
        output.json(rows)
        return
    from .rendering.productions import list_columns
    from .rendering.table import write_table
    from .rendering.text import look_of

    is_terminal = sys.stdout.isatty()
    for line in write_table(rows, list_columns(), "aligned" if is_terminal else "tsv", look_of()):
        output.data(line)


def exit_code(status: "ProductionStatus") -> int:
    """Return 0 where all is done, 8 while it goes on, 6 or 1 where inputs were given up."""
    if not status["is_done"]:
        return STILL_RUNNING
    if any(step["inputs"]["failed"] for step in status["steps"]):
        return _PARTLY_DONE if any(s["inputs"]["completed"] for s in status["steps"]) else 1
    return 0
