"""`prod-add-prov`: record documents."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from provmanager.errors import DocumentError, UsageError

from ._cli import Output, ProdCommand, ServerOptions, connect, fail, output_options, server_options
from ._delivery import BATCH_BYTES, BATCH_DOCUMENTS, Delivery, Item, Limits, Tally, read_here
from ._loaded import Loaded
from ._sources import find_sources, load

if TYPE_CHECKING:
    from provmanager.client import ProvClient, Spool

    from .rendering.text import Look

_QUIET_S = 1.0

_EPILOG = """\b
Exit codes: 0 all recorded, 2 wrong use, 4 not allowed, 6 some refused, 75 the server is away
(with --spool: the documents are kept on disk), 130 interrupted. Where all were refused for one
and the same reason, that reason's: 1 no document that can be recorded, 3 no such file, 5 the id
of another run.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, PROV_SPOOL_DIR, NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("-n", "--dry-run", is_flag=True, help="Read the documents here; send nothing.")
@click.option(
    "--spool/--no-spool",
    help="Keep documents on disk while the server is away; deliver first what waits there.",
)
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-add-prov")
def main(
    files: tuple[str, ...], dry_run: bool, spool: bool, server: ServerOptions, output: Output
) -> None:
    """Record provenance documents, whatever their format; again is no harm.

    \b
    Examples:
      prod-add-prov run.json
      prod-add-prov logs/ 'runs/**/*.provenance.log'
      cwltool --provenance ro workflow.cwl job.json && prod-add-prov ro/
      some-tool | prod-add-prov -

    FILE is a file, a folder (all in it that may be provenance), a pattern in quotes, or - for
    standard input. Of an HDF5 or FITS product only the provenance that it holds is sent; of a
    research object of cwltool --provenance (folder or zip) that of the run, its files checked; of
    an archive of prod-server all documents. Each document is recorded whole, or refused with the
    reason; the others are not held up by it.
    """
    if not files and not spool:
        raise UsageError("name a file, a folder, a pattern or - (see prod-add-prov --help)")
    if dry_run:
        tally = Tally()
        _report(read_here(_loaded(files), tally), output)
    else:
        with connect(server) as client:
            tally = _deliver(client, files, _spool() if spool else None, output)
    if sum(tally.counts.values()) != 1:
        from .rendering.receipts import summarise

        output.note(summarise(tally.counts))
    failure = tally.failure(briefly=sys.stdout.isatty() and not output.as_json)
    if failure:
        fail(click.get_current_context(), failure)


def _deliver(
    client: "ProvClient", files: Sequence[str], spool: "Spool | None", output: Output
) -> Tally:
    tally = Tally()
    if spool:
        _drain(spool, client, tally, output)
    delivery = Delivery(client, limits=lambda: _limits(client), spool=spool, tally=tally)
    _report(delivery.items(_loaded(files, client)), output)
    return tally


def _drain(spool: "Spool", client: "ProvClient", tally: Tally, output: Output) -> None:
    """Deliver what waits on disk; where the server is away, it waits on."""
    waiting = len(spool.waiting())
    if not waiting:
        return
    result = spool.drain(client)
    tally.away = result.error
    tally.counts.update(recorded=result.recorded, refused=len(result.refused))
    tally.refusals += [DocumentError("a document that waited was refused")] * len(result.refused)
    output.note(
        f"{waiting} documents waited in {spool.directory}: {result.recorded} recorded, "
        f"{len(result.refused)} refused, {result.left} left"
    )
    for path in result.refused:
        output.note(f"refused, and put aside with the reason: {path}")


def _loaded(files: Sequence[str], client: "ProvClient | None" = None) -> Iterator[Loaded]:
    def limit() -> int | None:
        return client.info()["limits"]["document_bytes"] if client else None

    for source in find_sources(files):
        yield source if isinstance(source, Loaded) else load(source, limit_bytes=limit)


def _limits(client: "ProvClient") -> Limits:
    most = client.info()["limits"]
    return Limits(
        documents=min(BATCH_DOCUMENTS, most["documents_per_request"]),
        # what surrounds the documents in a request counts too
        n_bytes=min(BATCH_BYTES, most["request_bytes"] - 2**16),
    )


def _spool() -> "Spool":
    from provmanager.client import Spool
    from provmanager.config import spool_dir

    return Spool(spool_dir())


def _report(items: Iterable[Item], output: Output) -> None:
    """Write a line an item as it comes; count on stderr where nobody sees the lines."""
    from .rendering.text import look_of

    look = look_of(verbose=output.is_verbose)
    started = time.monotonic()
    shows_progress = not output.is_quiet and sys.stderr.isatty() and not sys.stdout.isatty()
    n_shown = 0
    for n, item in enumerate(items, start=1):
        _write(item, output, look)
        if shows_progress and time.monotonic() - started > _QUIET_S and n - n_shown >= 20:
            click.echo(f"\r{n} documents", nl=False, err=True)
            n_shown = n
    if n_shown:
        click.echo("\r\x1b[K", nl=False, err=True)


def _write(item: Item, output: Output, look: "Look") -> None:
    if output.as_json:
        click.echo(json.dumps(item, ensure_ascii=False))
        return
    if item["outcome"] == "skipped" and not output.is_verbose:
        return
    if output.is_quiet and item["outcome"] != "refused":
        return
    from .rendering.receipts import render_item

    for line in render_item(item, look):
        click.echo(line)


if __name__ == "__main__":
    main()
