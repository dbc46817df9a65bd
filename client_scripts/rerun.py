"""`prod-rerun`: make a product again from its record, and compare."""

import json
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provmanager.errors import AmbiguousError, DifferenceError, ProvError, UsageError

from ._cli import (
    Output,
    ProdCommand,
    ServerOptions,
    connect,
    moved_option,
    output_options,
    server_options,
)
from ._runs import ENGINES, interruptible, server_environ

if TYPE_CHECKING:
    from jobs.engines import Engine, RunStatus
    from jobs.rerun import Comparison, Plan, Step
    from provmanager.client import ProvClient
    from provmanager.client.wire import Resolved

_EPILOG = """\b
Exit codes: 0 the same bytes or values, 1 it failed, 2 wrong use, 3 no such product, or
nothing to repeat, 4 not allowed, 5 differs, or cannot be had again, 6 made, but there is
nothing to compare with, 75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""
_MARKS = {
    "same-bytes": ("same bytes", "green"),
    "same-values": ("same values", "green"),
    "differs": ("DIFFERS", "red"),
    "unknown": ("unknown", "yellow"),
}


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("product")
@click.option("--dry-run", is_flag=True, help="Say what would be run and what is missing; no more.")
@click.option(
    "--from-roots", is_flag=True, help="Make every input again too that a recorded run made."
)
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="Where to run."
)
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the CWL document and a shell script of the runs there; run nothing.",
)
@click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Empty or new folder for the run (default: one in the state directory).",
)
@click.option(
    "--rtol", type=float, default=1e-9, show_default=True, help="Numbers may differ relatively."
)
@click.option("--atol", type=float, default=0.0, show_default=True, help="… and absolutely.")
@moved_option
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-rerun")
def main(
    product: str,
    dry_run: bool,
    from_roots: bool,
    engine: str,
    folder: Path | None,
    run_dir: Path | None,
    rtol: float,
    atol: float,
    moved: list[tuple[str, str]],
    server: ServerOptions,
    output: Output,
) -> None:
    """Repeat the recorded run that made PRODUCT, in a fresh folder, and compare what comes out.

    \b
    Examples:
      prod-rerun QT90_ECL_sb26112101.fits
      prod-rerun dl2.h5 --from-roots --dry-run
      prod-rerun dl2.h5 --engine diracx
      prod-rerun dl2.h5 --write again/       a CWL document and a script, to run elsewhere

    The command lines are those of the record, on its inputs where these are still here with the
    recorded bytes; an input that is gone or was changed is made again too, as far back as need be.
    Before anything runs it says what cannot be had again, and which packages are others now.

    The products are compared by their bytes, else by their values (FITS, HDF5, ECSV, JSON), where
    keywords that differ in every run, such as DATE and the activity's id, do not count.
    """
    from jobs.engines import make_engine
    from jobs.rerun import (
        compare_results,
        grid_options,
        make_plan,
        missing_images,
        on_nodes,
        software_changes,
    )
    from provmanager.client.verification import local_path

    runner = make_engine(engine)
    is_on_grid = runner.name == "diracx"
    with connect(server) as client:
        found = _find(client, product)
        if found["kind"] != "entity":
            raise UsageError(f"{product} is an activity; name one of its products")
        plan = make_plan(
            client,
            found["id"],
            lambda at: local_path(at, moved),
            from_roots=from_roots,
            has_storage=is_on_grid and grid_options().storage is not None,
        )
        plan.changed += software_changes(
            (step, client.activity(step.activity)["environment"]) for step in plan.steps
        )
    if is_on_grid:
        plan = on_nodes(plan)
    else:
        plan.missing += missing_images(plan)
    _announce(plan, output)
    if folder is not None and not plan.missing:
        _write(plan, folder)
        output.note(f"wrote {folder / 'rerun.cwl'} and {folder / 'rerun.sh'}")
    if dry_run or folder is not None:
        if output.as_json:
            output.json(_as_json(plan))
        click.get_current_context().exit(5 if plan.missing else 0)
    if plan.missing:
        raise DifferenceError(f"{found['name']} cannot be made again: {'; '.join(plan.missing)}")
    run = _run(plan, runner, run_dir, server, output)
    compared = compare_results(plan, runner.results(run.id), rtol=rtol, atol=atol)
    if is_on_grid:
        _tell_software(plan, run, server, output)
    _tell(plan, run, compared, output)


def _find(client: "ProvClient", product: str) -> "Resolved":
    """Return the product; of several of the name, the one that no former rerun has made."""
    from .trace import find_product

    try:
        return find_product(client, product, read_files=True)[0]
    except AmbiguousError as error:
        ids = [str(candidate["id"]) for candidate in error.details["candidates"]]
        originals = [entity for entity in ids if not _is_repeated(client, entity)]
        if len(originals) != 1:
            raise
        return client.resolve(originals[0])


def _is_repeated(client: "ProvClient", entity: str) -> bool:
    """Whether a product was made by a prod-rerun."""
    made = client.entity(entity)["produced_by"]
    while made:
        activity = client.activity(made["activity"])
        if ((activity["command"] or {}).get("arguments") or [""])[0] == "prod-rerun":
            return True
        made = activity["part_of"][0] if activity["part_of"] else None
    return False


def _announce(plan: "Plan", output: Output) -> None:
    for step in plan.steps:
        output.note(f"repeats {step.name} {step.version or ''} {step.activity}")
        if step.image is not None:
            output.note(f"  in the container image {step.image.name} {step.image.digest}")
        output.detail(f"  {_shown(step)}")
    for text in plan.missing:
        click.echo(f"missing: {text}", err=True)
    for text in plan.changed:
        output.note(f"changed: {text}")


def _run(
    plan: "Plan", runner: "Engine", run_dir: Path | None, server: ServerOptions, output: Output
) -> "RunStatus":
    """Run the plan to its end, however that is."""
    from jobs.engines import RunRequest
    from jobs.rerun import container_engine, make_document
    from jobs.workflows import load_workflow, make_inputs

    from .rendering.runs import follow

    with tempfile.TemporaryDirectory(prefix="prod-rerun-") as name:
        path = Path(name) / "rerun.cwl"
        path.write_text(json.dumps(make_document(plan), indent=2))
        workflow = load_workflow(str(path))
        run_id = runner.submit(
            RunRequest(
                workflow=workflow.location,
                name="rerun",
                inputs=make_inputs(workflow),
                steps=tuple(step.name for step in workflow.steps),
                command=("prod-rerun", *sys.argv[1:]),
                run_dir=run_dir,
                environ=server_environ(server),
                container=container_engine(plan) if runner.name == "local" else None,
            )
        )
        output.note(f"run {run_id}")
        with interruptible(runner, run_id):
            return follow(lambda: runner.status(run_id), is_quiet=output.is_quiet)


def _tell_software(plan: "Plan", run: "RunStatus", server: ServerOptions, output: Output) -> None:
    """Say what of the software was another on the nodes, now that the record has it."""
    from jobs.rerun import recorded_changes

    try:
        with connect(server) as client:
            for text in recorded_changes(plan, run, client):
                output.note(f"changed: {text}")
    except ProvError as error:
        output.note(f"the software of the nodes is not known: {error.message}")


def _tell(
    plan: "Plan", run: "RunStatus", compared: "dict[str, Comparison]", output: Output
) -> None:
    names = {o.entity: o.name for step in plan.steps for o in step.outputs}
    if output.as_json:
        products = [
            {"entity": e, "name": names[e], "outcome": c.outcome, "message": c.message}
            for e, c in compared.items()
        ]
        output.json(_as_json(plan) | {"run": run.id, "state": run.state, "products": products})
    else:
        for entity, comparison in compared.items():
            mark, colour = _MARKS[comparison.outcome]
            output.data(
                f"{click.style(f'{mark:11}', fg=colour)} {names[entity]}  {comparison.message}"
            )
    context = click.get_current_context()
    if run.state != "completed":
        for step in run.steps:
            if step.reason:
                click.echo(f"{step.name}: {step.reason}", err=True)
        click.echo(f"the run did not end well: {run.reason}", err=True)
        context.exit(run.exit_code or 1)
    outcomes = {comparison.outcome for comparison in compared.values()}
    context.exit(5 if "differs" in outcomes else 6 if "unknown" in outcomes else 0)


def _write(plan: "Plan", folder: Path) -> None:
    from jobs.rerun import make_document

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rerun.cwl").write_text(json.dumps(make_document(plan), indent=2) + "\n")
    lines = ["#!/bin/sh", f"# Repeats the recorded runs that made {plan.product}.", "set -eu"]
    for step in plan.steps:
        folders = sorted({str(Path(o.path).parent) for o in step.outputs} - {"."})
        if step.image is not None:
            lines.append(f"# in the container image {step.image.name} ({step.image.digest}):")
        lines += [f"mkdir -p {shlex.quote(name)}" for name in folders]
        lines.append(_shown(step))
    script = folder / "rerun.sh"
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)


def _shown(step: "Step") -> str:
    """Return the command line of a step as a shell takes it."""
    places = {i.entity: str(i.path or i.lfn or i.name) for i in step.inputs}
    arguments = (
        "".join(places[p.value] if p.kind == "input" else p.value for p in argument)
        for argument in step.arguments
    )
    signs = {"stdin": "<", "stdout": ">", "stderr": "2>"}
    streams = [
        f" {signs[name]} {shlex.quote(places.get(value, value))}"
        for name, value in step.streams.items()
    ]
    return shlex.join([*step.program, *arguments]) + "".join(streams)


def _as_json(plan: "Plan") -> dict[str, object]:
    return json.loads(json.dumps(asdict(plan), default=str))  # type: ignore[no-any-return]
