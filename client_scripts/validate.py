"""`prod-validate`: whether documents and lineages are valid W3C PROV."""

import glob
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from provmanager.errors import (
    DifferenceError,
    PartlyDoneError,
    ProvError,
    UnrecognisedFormatError,
    UsageError,
)

from ._cli import Output, ProdCommand, ServerOptions, connect, fail, output_options, server_options
from ._loaded import Loaded
from ._sources import STDIN, find_sources, load

if TYPE_CHECKING:
    from provmanager.client import ProvClient
    from provmanager.formats.prov_validation import Checked

Item = dict[str, Any]  # Any: the JSON of one item

_QUIET_S = 1.0
_EPILOG = """\b
Exit codes: 0 all valid, 1 no document that can be read, 2 wrong use, 3 not found or ambiguous,
4 not allowed, 5 a constraint is violated, 6 some could not be checked and the others are valid,
75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("targets", nargs=-1, required=True, metavar="DOCUMENT|PRODUCT|ACTIVITY...")
@click.option(
    "--lineage",
    is_flag=True,
    help="Take files that lie here for products too: check what the server knows of them.",
)
@click.option(
    "--up", "direction", flag_value="up", default="up", help="What a PRODUCT came from [default]."
)
@click.option("--down", "direction", flag_value="down", help="What came of it.")
@click.option("--both", "direction", flag_value="both", help="Both.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Follow N activities only.")
@server_options
@output_options
@click.version_option(package_name="provmanager", prog_name="prod-validate")
def main(
    targets: tuple[str, ...],
    lineage: bool,
    direction: Literal["up", "down", "both"],
    depth: int | None,
    server: ServerOptions,
    output: Output,
) -> None:
    """Check documents, or lineages of the server, against W3C PROV-CONSTRAINTS.

    \b
    Examples:
      prod-validate run.provn
      prod-validate --json provenance/ | jq '.violations[].rule.number'
      prod-validate lfn:/vo/prod/dl2.h5 --depth 3

    DOCUMENT is a file, a folder (all in it that may be provenance), a pattern in quotes, or - for
    standard input, of any format that prod-add-prov takes; no server is needed for it. Anything
    else is looked up on the server: a PRODUCT or ACTIVITY, of which the lineage is checked.

    Each violation has the number and name of its rule in the Recommendation of 30 April 2013 and
    the statements involved; where an event would strictly precede itself, the chain that says so.
    Each bundle is checked by itself. With --json: one object a line.
    """
    items = _Check(output, direction, depth).items(targets, lineage=lineage, server=server)
    counts: Counter[str] = Counter()
    errors: list[ProvError] = []
    for item, error in items:
        counts[item["outcome"]] += 1
        errors += [error] if error else []
        _write(item, output)
    if sum(counts.values()) > 1:
        told = ", ".join(f"{n} {word}" for word, n in counts.items())
        output.note(f"{sum(counts.values())} checked: {told}")
    failure = _failure(counts, errors)
    if failure is not None:
        fail(click.get_current_context(), failure)


class _Check:
    """How to check, and how to tell how far it is."""

    def __init__(self, output: Output, direction: str, depth: int | None) -> None:
        self._direction = direction
        self._depth = depth
        self._shows = not output.is_quiet and sys.stderr.isatty() and not sys.stdout.isatty()
        self._started = time.monotonic()

    def items(
        self, targets: tuple[str, ...], *, lineage: bool, server: ServerOptions
    ) -> Iterator[tuple[Item, ProvError | None]]:
        """Yield what came of each document and product, and the error where it was not checked."""
        here = [t for t in targets if not lineage and _is_here(t)]
        n = 0
        for found in find_sources(here):
            loaded = found if isinstance(found, Loaded) else load(found, limit_bytes=lambda: None)
            item, error = self._document(loaded)
            if isinstance(error, UnrecognisedFormatError) and loaded.source.is_sought:
                continue
            yield item, error
            n += 1
            self._progress(n)
        named = [t for t in targets if t not in here]
        if named:
            with connect(server) as client:
                for target in named:
                    yield self._lineage(client, target)

    def _document(self, loaded: Loaded) -> tuple[Item, ProvError | None]:
        from provmanager.formats import read
        from provmanager.formats.prov_validation import check_document

        name = loaded.source.name
        try:
            if loaded.error:
                raise loaded.error
            document = read(loaded.data, name=loaded.source.file_name or None)
            return _item(name, check_document(document, loaded.data)), None
        except ProvError as error:
            return _unread(name, error), error

    def _lineage(self, client: "ProvClient", target: str) -> tuple[Item, ProvError | None]:
        from provmanager.formats import read
        from provmanager.formats.prov_validation import check_document

        from .trace import find_product

        try:
            found, _ = find_product(client, target)
            data = client.export(
                found["id"],
                export_format="prov-json",
                direction=self._direction,  # type: ignore[arg-type]
                depth=self._depth,
            )
        except ProvError as error:
            if error.exit_code != 3:  # the server is away, or does not allow it
                raise
            return _unread(target, error), error
        checked = check_document(read(data))
        return _item(target, checked, lineage_of=found["id"]), None

    def _progress(self, n: int) -> None:
        if self._shows and n % 20 == 0 and time.monotonic() - self._started > _QUIET_S:
            click.echo(f"\r{n} documents", nl=False, err=True)


def _is_here(target: str) -> bool:
    return target == STDIN or Path(target).exists() or bool(glob.has_magic(target))


def _item(name: str, checked: "Checked", **more: str) -> Item:
    outcome = "violates" if checked.violations else "valid"
    return {"name": name, "outcome": outcome, **more, **checked.to_wire(), "error": None}


def _unread(name: str, error: ProvError) -> Item:
    return {"name": name, "outcome": "unread", "error": error.to_wire()}


def _write(item: Item, output: Output) -> None:
    if output.as_json:
        import json

        click.echo(json.dumps(item, ensure_ascii=False))
        return
    if output.is_quiet and item["outcome"] == "valid":
        return
    from .rendering.text import look_of
    from .rendering.violations import render_checked

    for line in render_checked(item, look_of(verbose=output.is_verbose)):
        click.echo(line)


def _failure(counts: Counter[str], errors: list[ProvError]) -> ProvError | None:
    """Return the error that tells of the whole, if not all is valid."""
    n = sum(counts.values())
    if counts["violates"]:
        which = "it violates" if n == 1 else f"{counts['violates']} of {n} violate"
        return DifferenceError(f"{which} PROV-CONSTRAINTS")
    if not errors:
        return None if n else UsageError("nothing there may be provenance")
    if counts["valid"]:
        return PartlyDoneError(f"{len(errors)} of {n} could not be checked")
    return errors[0] if n == 1 else type(errors[0])(f"none of {n} could be checked")


if __name__ == "__main__":
    main()
