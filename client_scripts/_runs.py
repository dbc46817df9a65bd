"""What `prod-submit` and `prod-status` share: names of runs and pipelines to complete."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

ENGINES = ("local",)


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

    return [
        CompletionItem(run.id, help=f"{run.name} {run.state}")
        for run in make_engine("local").runs()
        if run.id.startswith(incomplete)
    ]
