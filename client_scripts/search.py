"""`prod-search`: find products or activities."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from provmanager.errors import UsageError

from ._cli import Output, ProdCommand, ServerOptions, connect, output_options, server_options

if TYPE_CHECKING:
    from .rendering.table import Column

Record = Mapping[str, Any]  # Any: JSON
Page = Callable[[int, str | None], Mapping[str, Any]]

_PAGE_RECORDS = 500
_STATUSES = ("completed", "error", "interrupted", "running", "unknown")

_EPILOG = """\b
Exit codes: 0 found, 1 failed, 2 wrong use, 3 nothing found, 4 not allowed,
75 the server is away, 130 interrupted.

\b
Environment: PROV_SERVER_URL, PROV_TOKEN or PROV_TOKEN_FILE, NO_COLOR.
"""


def _instant(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return a day or an instant as ISO 8601 with its zone, UTC where it names none."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no time; expected 2026-11-21 or 2026-11-21T02:15Z", ctx, param
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


@click.command(cls=ProdCommand, epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["products", "activities"]), default="products")
@click.option("--name", metavar="PATTERN", help="Name of the product (of the activity), with *.")
@click.option("--activity", metavar="PATTERN", help="Name of the activity that generated it.")
@click.option("--version", metavar="PATTERN", help="Version of the activity's software.")
@click.option(
    "--package",
    multiple=True,
    metavar="NAME[==VERSION]",
    help="A package that it ran with; repeatable.",
)
@click.option(
    "--parameter", multiple=True, metavar="PATH=VALUE", help="A setting that it had; repeatable."
)
@click.option("--status", type=click.Choice(_STATUSES), help="How the activity ended.")
@click.option("--after", callback=_instant, metavar="TIME", help="Started then or later (UTC).")
@click.option("--before", callback=_instant, metavar="TIME", help="Started earlier (UTC).")
@click.option("--person", metavar="TEXT", help="Part of the name or address of who ran it.")
@click.option("--host", metavar="PATTERN", help="Machine on which it ran.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Show at most so many; 0 shows all.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV with headings.")
@server_options
@output_options
@click.version_option(
    None, "-V", "--program-version", package_name="provmanager", prog_name="prod-search"
)
def main(
    kind: Literal["products", "activities"],
    limit: int,
    as_csv: bool,
    server: ServerOptions,
    output: Output,
    **filters: Any,  # Any: what click makes of the options
) -> None:
    """Find products by what made them (the default), or activities; the newest first.

    \b
    Examples:
      prod-search --name '*.dl2.h5' --after 2026-11-01
      prod-search activities --status error --after 2026-11-20
      prod-search --package astropy==6.1.0 --parameter EventSource.max_events=10

    A terminal gets a table, a pipe tab-separated lines without headings. All filters must hold;
    PATTERN is a whole name, or has * for any part of it.
    """
    if as_csv and output.as_json:
        raise UsageError("--csv and --json cannot be used together")
    if kind == "activities" and filters["activity"]:
        raise UsageError(
            "with activities, --name is the name of the activity; leave out --activity"
        )
    wanted = {name: _value(value) for name, value in filters.items()}
    with connect(server) as client:
        search = client.search_products if kind == "products" else client.search_activities
        found = list(
            find_all(lambda n, cursor: search(**wanted, limit=n, cursor=cursor), limit or None)
        )
    records = [record for record, _ in found]
    total = found[0][1] if found else 0
    _write(kind, records, as_csv, output)
    if total > len(records):
        output.note(f"{len(records)} of {total}; --limit {total} (or 0) shows all")
    if not found:
        output.note("nothing found")
        click.get_current_context().exit(3)


def find_all(page: Page, limit: int | None) -> Iterator[tuple[Record, int]]:
    """Yield (record, how many there are in all), a page at a time, up to `limit`."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        answer = page(_PAGE_RECORDS if left is None else min(left, _PAGE_RECORDS), cursor)
        items = answer["items"]
        yield from ((item, answer["total"]) for item in items)
        cursor = answer["next"]
        if cursor is None or not items:
            return
        left = None if left is None else left - len(items)


def _value(value: Any) -> Any:  # Any: what click makes of an option
    return list(value) or None if isinstance(value, tuple) else value


def _write(kind: str, records: list[Record], as_csv: bool, output: Output) -> None:
    if output.as_json:
        for record in records:
            click.echo(json.dumps(record, ensure_ascii=False))
        return
    from .rendering.table import write_table
    from .rendering.text import look_of

    columns = _product_columns() if kind == "products" else _activity_columns()
    style: Literal["csv", "aligned", "tsv"] = "aligned" if sys.stdout.isatty() else "tsv"
    look = look_of(verbose=output.is_verbose)
    if records or as_csv:
        for line in write_table(records, columns, "csv" if as_csv else style, look):
            click.echo(line)


def _product_columns() -> "list[Column]":
    from .rendering.table import Column, status_column
    from .rendering.text import instant

    return [
        Column("NAME", lambda r: f"{r['name']} (invalid)" if r["is_invalid"] else r["name"]),
        Column("GENERATED", lambda r: instant(r["generated_at"]), lambda r: r["generated_at"]),
        Column("BY", lambda r: r["activity_name"]),
        status_column("activity_status"),
        Column("WHERE OR VALUE", lambda r: r["value"] if r["kind"] == "value" else r["location"]),
        Column("ID", lambda r: r["id"]),
    ]


def _activity_columns() -> "list[Column]":
    from .rendering.table import Column, duration_column, status_column
    from .rendering.text import instant

    return [
        Column("NAME", lambda r: r["name"]),
        Column("VERSION", lambda r: r["version"]),
        status_column("status"),
        Column("STARTED", lambda r: instant(r["started_at"]), lambda r: r["started_at"]),
        duration_column(),
        Column("HOST", lambda r: r["host"]),
        Column("ID", lambda r: r["id"]),
    ]


if __name__ == "__main__":
    main()
