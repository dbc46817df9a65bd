"""`prod-export`: a lineage as a document of a provenance format, for other tools and archives."""

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from provmanager.errors import PartlyDoneError, UsageError
from provmanager.model import ExportFormat

from ._cli import ProdCommand, ServerOptions, connect, moved_option, server_options
from .trace import find_product, told, write

if TYPE_CHECKING:
    from provmanager.client import ProvClient

Direction = Literal["up", "down", "both"]

_TIMEOUT_S = 600.0
"""A large lineage takes the server minutes, in RDF; to ask again would only add to that."""

_LIST = "\n".join(f"  {f.value:<12}{f.label} ({f.media_type}), .{f.suffix}" for f in ExportFormat)

_EPILOG = f"""\b
Formats:
{_LIST}

\b
Exit codes: 0 written, 1 failed, 2 wrong use, 3 not found or ambiguous, 4 not allowed, 6 without
some of its files, 75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("product", metavar="PRODUCT|ACTIVITY")
@click.option(
    "--format",
    "form",
    type=click.Choice([f.value for f in ExportFormat]),
    required=True,
    help="The format (see below).",
)
@click.option("-o", "--output", "target", default="-", metavar="FILE", help="Write it to FILE.")
@click.option(
    "--up", "direction", flag_value="up", default="up", help="What it came from [default]."
)
@click.option("--down", "direction", flag_value="down", help="What came of it.")
@click.option("--both", "direction", flag_value="both", help="Both.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Follow N activities only.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Export the N nearest activities only."
)
@click.option(
    "--files",
    "with_files",
    is_flag=True,
    help="Put the files into a ro-crate: those that can be had with the recorded bytes.",
)
@moved_option
@click.option(
    "--no-digest", is_flag=True, help="Do not read a local file to find it by its content."
)
@click.option("-q", "--quiet", is_flag=True, help="Write nothing but data and errors.")
@server_options
@click.version_option(package_name="provmanager", prog_name="prod-export")
def main(
    product: str,
    form: str,
    target: str,
    direction: Direction,
    with_files: bool,
    moved: list[tuple[str, str]],
    no_digest: bool,
    quiet: bool,
    server: ServerOptions,
    **extent: Any,  # Any: options of `ProvClient.export`
) -> None:
    """Write the lineage of PRODUCT, or of an ACTIVITY, in a format that other tools read.

    \b
    Examples:
      prod-export dl2.h5 --format prov-json -o dl2.prov.json
      prod-export lfn:/vo/prod/run1.dl1.h5 --down --format svg -o impact.svg
      prod-export dl2.h5 --format ro-crate --files -o dl2.crate.zip

    PRODUCT is whatever prod-trace takes: a file that lies here, a URL, an LFN, a digest, a product
    id, a UUID (also an activity's), or a base name that only one product has.

    A ro-crate is a zip file, or a folder where FILE ends in "/". With --files its files come from
    this machine, from the web, and LFNs from the storage in the options of the grid; what cannot
    be had, or has other bytes than were recorded, is left out and named, and the exit code is 6.
    """
    if with_files and (form != ExportFormat.RO_CRATE or target == "-"):
        raise UsageError("--files goes with --format ro-crate and -o: only a crate holds files")
    with connect(server, timeout_s=_TIMEOUT_S, retries=0) as client:
        found, _ = find_product(client, product, read_files=not no_digest)
        if not quiet:
            click.echo(told(found), err=True)
        extent["direction"] = direction
        to_folder = target.endswith("/") or os.path.isdir(target)
        if form != ExportFormat.RO_CRATE or not (with_files or to_folder):
            save_export(client, found["id"], ExportFormat(form), target, **extent)
            return
        archive = client.export(found["id"], export_format=form, **extent)
    _save_crate(archive, target, with_files, moved)


def _save_crate(
    archive: bytes, target: str, with_files: bool, moved: list[tuple[str, str]]
) -> None:
    from ._crate import save_crate

    n_in, n_out = save_crate(
        archive,
        target,
        with_content=with_files,
        moved=moved,
        tell=lambda line: click.echo(line, err=True),
    )
    if n_out:
        raise PartlyDoneError(f"{target} has {n_in} files; {n_out} could not be had (see above)")


def save_export(
    client: "ProvClient",
    ref: str,
    export_format: ExportFormat,
    target: str,
    **asked: Any,  # Any: options of `ProvClient.export`
) -> None:
    """Write a lineage to a file, whole or not at all, or to standard output.

    Raises
    ------
    UsageError
        The file cannot be written, or the bytes of an archive would go to a terminal; or a limit
        was set to the picture, which is of any number of activities.
    """
    if asked.get("limit") is not None and export_format is ExportFormat.SVG:
        raise UsageError(f"--limit cannot be used with --format {export_format}; use --depth")
    if target == "-" and export_format.is_binary and sys.stdout.isatty():
        raise UsageError(f"{export_format.label} is no text for a terminal: give it a file with -o")
    write(target, client.export(ref, export_format=export_format, **asked))


if __name__ == "__main__":
    main()
