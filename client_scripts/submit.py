"""`prod-submit`: run a pipeline, or any CWL workflow, and record it."""

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provmanager.errors import UsageError

from ._cli import (
    Output,
    ProdCommand,
    ServerOptions,
    moved_option,
    output_options,
    server_options,
)
from ._dirac_jobs import DescribedJob, read_source, translated
from ._once import resumed
from ._productions import names_production, refuse_options, submit_production
from ._runs import (
    CONTAINER_ENGINES,
    ENGINES,
    complete_pipeline,
    complete_run,
    interruptible,
    server_environ,
)

if TYPE_CHECKING:
    from jobs.engines import Engine, RunRequest, RunStatus

_EPILOG = """\b
Exit codes: 0 all steps completed, 1 failed, 2 no workflow that can be run or wrong inputs,
3 no such pipeline, file or run, 6 some steps failed, 130 or 143 interrupted.

\b
Environment: PROV_STATE_DIR, PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, PROV_SPOOL_DIR,
NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("pipeline", required=False, shell_complete=complete_pipeline)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The inputs object: JSON or YAML; paths in it are relative to its folder.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="One input; repeatable."
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    help="Where to run (default: local; a production says it itself).",
)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_run,
    help="Run again only what a former run lacks: its workflow and inputs, if none are named.",
)
@click.option("--again", "is_again", is_flag=True, help="Run a plan that was run before once more.")
@click.option("-n", "--dry-run", is_flag=True, help="Check, and show what would run.")
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the run (default: one in the state directory).",
)
@click.option(
    "--max-parallel",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most steps at a time (default: the number of cores); of a production, most runs.",
)
@click.option(
    "--follow/--detach",
    "is_followed",
    default=None,
    help="Wait for the end (the default), or return when it runs. Said of a production, --follow "
    "goes on when all is done, and takes what arrives.",
)
@click.option(
    "--container",
    type=click.Choice(CONTAINER_ENGINES),
    help="Engine for tools that ask for a container image; also for those that have it as a hint "
    "(default: the first that there is where they run, for those that require it).",
)
@moved_option
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-submit")
def main(
    pipeline: str | None,
    config: Path | None,
    settings: tuple[str, ...],
    engine: str | None,
    resume: str | None,
    is_again: bool,
    dry_run: bool,
    run_dir: Path | None,
    max_parallel: int | None,
    is_followed: bool | None,
    container: str | None,
    moved: list[tuple[str, str]],
    server: ServerOptions,
    output: Output,
) -> None:
    """Run PIPELINE: the name of one, a CWL file, a production or a job description of DIRAC.

    \b
    Examples:
      prod-submit eclgrm --config burst.json
      prod-submit workflow.cwl --set events=run1.fits --set n_bins=128
      prod-submit --resume 3f2a
      prod-submit workflow.cwl --config inputs.yml --dry-run
      prod-submit production.yml
      prod-submit job.jdl --map LFN:/ctao/=/data/ctao/ --engine diracx

    The run goes on if this command is killed: look after it with prod-status. Ctrl-C ends it. The
    paths of its products go to standard output.

    A plan of prod-impact is run once, on whichever engine: submitted again, it runs nothing if a
    former run of it was completed, and what is missing if one failed.

    A production takes from the record what its steps ask for, each input once, however often and
    by how many it is submitted. Ctrl-C leaves its runs alone; submitted again, it goes on.

    A job description is the XML or JDL of DIRAC's and CTADIRAC's job classes; a production may be
    one of CTADIRAC too (ProdSteps): --set datasets=FILE says what its datasets are, as
    cta-prod-show-dataset prints them, --set runs=N how often its simulations are run, and
    --set name=NAME what it is called.
    """
    pipeline, settings = translated(pipeline, settings, output)
    if names_production(pipeline):
        refuse_options(
            config=config, set=settings, resume=resume, again=is_again, run_dir=run_dir,
            container=container,
        )  # fmt: skip
        code = submit_production(
            Path(str(pipeline)), engine=engine, dry_run=dry_run, most=max_parallel,
            follow=is_followed, moved=moved, command=_command(), server=server, output=output,
        )  # fmt: skip
        click.get_current_context().exit(code)
    from jobs.engines import make_engine

    runner = make_engine(engine or "local")
    described = read_source(pipeline) if pipeline else None
    if moved and described is None:
        raise UsageError(
            "--map is for productions and jobs of DIRAC: name the files of a run where they lie"
        )
    request = _request(runner, pipeline, config, settings, resume, described, container)
    if described is not None:
        request = described.complete(request, moved, server, engine=runner.name)
    if dry_run:
        _show(request, output)
        return
    if resume is None and not is_again:
        resume = resumed(request, runner, server, output)
    request = replace(
        request,
        command=_command(),
        run_dir=run_dir,
        max_parallel=max_parallel or request.max_parallel,
        resume=resume,
        environ=server_environ(server),
    )
    run_id = runner.submit(request)
    if is_followed is False:
        output.json({"id": run_id}) if output.as_json else output.data(run_id)
        return
    output.note(f"run {run_id}")
    from .rendering.runs import follow

    with interruptible(runner, run_id) as caught:
        run = follow(lambda: runner.status(run_id), is_quiet=output.is_quiet)
    _tell(runner, run, output)
    click.get_current_context().exit(128 + caught[0] if caught else (run.exit_code or 0))


def _request(
    runner: "Engine",
    pipeline: str | None,
    config: Path | None,
    settings: tuple[str, ...],
    resume: str | None,
    described: DescribedJob | None,
    container: str | None,
) -> "RunRequest":
    """Check what is asked for, and return it."""
    former = runner.request(resume) if resume else None
    source = described.document if described else pipeline or (former.workflow if former else None)
    if source is None:
        raise UsageError("name a pipeline or a CWL file (see prod-submit --help)")
    from jobs.engines import RunRequest
    from jobs.engines.containers import engine_for

    try:
        from jobs.workflows import load_workflow, make_inputs
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, and running workflows needs it: pip install "
            "'provmanager[jobs]' and pip install --no-deps 'cwltool>=3.3,<4'"
        ) from error
    workflow = load_workflow(source)
    container = container or (former.container if former else None)
    if runner.name == "local":  # else it is for the node to have an engine
        engine_for(workflow, container)
    before = former.inputs if former and config is None else None
    if described is not None:
        before = described.inputs
    inputs = make_inputs(workflow, config, settings, before=before)
    return RunRequest(
        workflow=workflow.location,
        name=workflow.name if pipeline or former is None else former.name,
        inputs=inputs,
        steps=tuple(step.name for step in workflow.steps),
        max_parallel=former.max_parallel if former else None,
        container=container,
    )


def _command() -> tuple[str, ...]:
    """Return our command line; ``prod submit`` is ``prod-submit``."""
    is_group = os.path.basename(sys.argv[0]) == "prod" and sys.argv[1:2] == ["submit"]
    return ("prod-submit", *sys.argv[2 if is_group else 1 :])


def _show(request: "RunRequest", output: Output) -> None:
    from jobs.workflows import load_workflow

    workflow, inputs = load_workflow(request.workflow), request.inputs
    ports = {"inputs": workflow.inputs, "outputs": workflow.outputs}
    if output.as_json:
        output.json(
            {
                "name": workflow.name,
                "location": workflow.location,
                "cwl_version": workflow.cwl_version,
                "steps": [asdict(step) for step in workflow.steps],
                **{k: [{"name": p.name, "type": p.type} for p in v] for k, v in ports.items()},
                "inputs_object": inputs,
            }
        )
        return
    output.data(f"{workflow.name}  CWL {workflow.cwl_version}  {workflow.location}")
    for step in workflow.steps:
        after = f"  after {', '.join(step.after)}" if step.after else ""
        scattered = "  scattered" if step.is_scattered else ""
        output.data(f"  step {step.name}: {step.runs}{scattered}{after}")
    for kind, several in ports.items():
        for port in several:
            value = f" = {inputs[port.name]}" if kind == "inputs" and port.name in inputs else ""
            output.data(f"  {kind.removesuffix('s')} {port.name}: {port.shown_type}{value}")


def _tell(runner: "Engine", run: "RunStatus", output: Output) -> None:
    """Write the products, and on standard error what became of the steps."""
    if output.as_json:
        output.json(asdict(run) | {"outputs": runner.results(run.id).outputs})
        return
    for product in run.products:
        output.data(product.path)
    failed = [s for s in run.steps if s.state in ("error", "interrupted")]
    from .rendering.runs import title

    for step in failed:
        click.echo(f"{title(step)}: {step.state}", err=True)
        for line in (step.reason or "").splitlines():
            click.echo(f"  {line}", err=True)
        if step.log:
            click.echo(f"  logs: {step.log}", err=True)
    for note in run.notes:
        output.note(f"note: {note}")
    if run.state != "completed":
        click.echo(f"run {run.id}: {run.state}: {run.reason}", err=True)
        short = run.id[:8]
        output.note(f"what failed: prod-status {short}; again: prod-submit --resume {short}")
    else:
        reused = sum(step.is_reused for step in run.steps)
        output.note(
            f"run {run.id}: completed, {len(run.steps)} steps"
            + (f", {reused} of them reused" if reused else "")
        )


if __name__ == "__main__":
    main()
