"""`prod-trace`: where a product comes from, and what came of it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from provmanager.errors import AmbiguousError, NotFoundError, ProvError, UsageError
from provmanager.model import ExportFormat

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options
from ._references import MAX_DIGEST_BYTES, Reference, references

if TYPE_CHECKING:
    from provmanager.client import LineageAnswer, ProvClient, Resolved

Direction = Literal["up", "down", "both"]

EXPORTS = tuple(f.value for f in ExportFormat)
FORMATS = ("tree", "table", "csv", "json", *EXPORTS)

_MATCHES = {
    "uuid": "UUID",
    "digest": "content",
    "product-id": "product id",
    "location": "place",
    "basename": "base name",
    "image": "image name",
    "iri": "IRI",
}

_MOST_JOBS = 20
_EPILOG = """\b
Exit codes: 0 shown, 1 failed, 2 wrong use, 3 not found or ambiguous, 4 not allowed,
75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("product")
@click.option(
    "--up", "direction", flag_value="up", default="up", help="What it came from [default]."
)
@click.option("--down", "direction", flag_value="down", help="What came of it.")
@click.option("--both", "direction", flag_value="both", help="Both.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Follow N activities only.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show at most N activities.")
@click.option("--levels", is_flag=True, help="Show too what ran inside what, and whose jobs.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="tree",
    show_default=True,
    help="How to show it; a table is tab-separated in a pipe. What prod-export writes goes too.",
)
@click.option("-o", "--output", "target", default="-", metavar="FILE", help="Write it to FILE.")
@click.option(
    "--no-digest", is_flag=True, help="Do not read a local file to find it by its content."
)
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-trace")
def main(
    product: str,
    direction: Direction,
    depth: int | None,
    limit: int | None,
    levels: bool,
    form: str,
    target: str,
    no_digest: bool,
    server: ServerOptions,
    output: Output,
) -> None:
    """Show the activities and products that PRODUCT came from, back to the first.

    \b
    Examples:
      prod-trace dl2.h5
      prod-trace lfn:/vo/prod/run1.dl1.h5 --down --format table
      prod-trace dl2.h5 --format svg -o lineage.svg

    PRODUCT is a file that lies here (found by its content, wherever it was recorded, else by its
    place), a URL, an LFN, a digest (sha256:…), a product id, a UUID (also an activity's), or a
    base name that only one product has.

    Repeated steps are one line with their number. A failure is never among them: it has a line of
    its own, or its line counts it and names the first. "~" marks a link that the server inferred,
    "?" one that only a product's own metadata claims.
    """
    form = "json" if output.as_json else form
    with connect(server) as client:
        found, reference = find_product(client, product, read_files=not no_digest)
        output.note(told(found))
        if form in EXPORTS:
            from .export import save_export

            extent = {"direction": direction, "depth": depth, "limit": limit}
            save_export(client, found["id"], ExportFormat(form), target, **extent)
            return
        lineage = client.lineage(
            found["id"], direction=direction, depth=depth, limit=limit, levels=levels or None
        )
        jobs = _jobs(client, lineage) if levels and form == "tree" else []
    lines = [*_lines(lineage, form, target, levels, output), *jobs]
    write(target, "".join(f"{line}\n" for line in lines))
    for warning in _warnings(lineage, found, reference):
        click.echo(f"warning: {warning}", err=True)


def find_product(
    client: "ProvClient", typed: str, *, read_files: bool = True
) -> "tuple[Resolved, Reference]":
    """Return what the server knows under what a person typed, and how it was found.

    Raises
    ------
    NotFoundError, AmbiguousError
        Nothing, or more than one thing, answers to it.
    """
    tried: list[Reference] = []
    missing: ProvError = NotFoundError(f"nothing is called {typed!r}")
    same_bytes: AmbiguousError | None = None
    for reference in references(typed, most_bytes=MAX_DIGEST_BYTES if read_files else -1):
        try:
            found = client.resolve(reference.ref)
        except NotFoundError as error:
            missing = error
            tried.append(reference)
        except AmbiguousError as error:
            if reference.ref != reference.digest:
                raise same_bytes or error from None
            same_bytes = error  # several products with the bytes of this file: which lay here?
        else:
            if same_bytes is None or found["id"] in _candidates(same_bytes):
                return found, reference
            break
    if same_bytes is not None:
        raise same_bytes
    if len(tried) > 1:
        sought = "; ".join(f"{reference.ref} ({reference.how})" for reference in tried)
        raise NotFoundError(f"{missing.message}; looked for {sought}", **missing.details)
    raise missing


def _candidates(error: AmbiguousError) -> set[str]:
    return {candidate["id"] for candidate in error.details["candidates"]}


def write(target: str, content: str | bytes) -> None:
    """Write to a file, whole or not at all, or to standard output.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    if target == "-":
        click.echo(content, nl=False)
        return
    data = content.encode() if isinstance(content, str) else content
    partial = Path(f"{target}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def _jobs(client: "ProvClient", lineage: "LineageAnswer") -> list[str]:
    """Return where the grid jobs ran that the lineage names, and whose they were."""
    from .rendering.lineage import render_job

    jobs = [one["id"] for one in lineage["activities"] if one["type"] == "Job"]
    told = [render_job(client.activity(job)) for job in jobs[:_MOST_JOBS]]
    left = len(jobs) - len(told)
    return ["", "Jobs:", *told, *([f"and {left} more"] if left else [])] if told else []


def _lines(
    lineage: "LineageAnswer", form: str, target: str, levels: bool, output: Output
) -> Iterator[str]:
    if form == "json":
        import json

        return iter([json.dumps(lineage, indent=2, ensure_ascii=False)])
    from .rendering.lineage import render_lineage, render_table
    from .rendering.text import look_of

    look = look_of(verbose=output.is_verbose, to_file=target != "-")
    if form == "tree":
        return render_lineage(lineage, look, levels=levels)
    is_terminal = target == "-" and sys.stdout.isatty()
    style: Literal["csv", "aligned", "tsv"] = "aligned" if is_terminal else "tsv"
    return render_table(lineage, "csv" if form == "csv" else style, look)


def _warnings(lineage: "LineageAnswer", found: "Resolved", reference: Reference) -> Iterator[str]:
    from .rendering.lineage import warnings_of

    focus = next((e for e in lineage["entities"] if e["id"] == found["id"]), None)
    recorded = focus["digest"] if focus else None
    is_compared = reference.digest and recorded and recorded.startswith("sha256:")
    if is_compared and recorded != reference.digest:
        yield (
            "the file here is not the one that was recorded at its place: it has "
            f"{reference.digest}, and the record {recorded}"
        )
    yield from warnings_of(lineage)


def told(found: "Resolved") -> str:
    """Return what was found, and by what, in one line."""
    from .rendering.text import printable

    kind = "product" if found["kind"] == "entity" else "activity"
    how = _MATCHES.get(found["matched_by"], found["matched_by"])
    return f"{kind} {printable(found['name'] or '')} {found['id']}, found by its {how}"


if __name__ == "__main__":
    main()
