"""Records as a table on a terminal, tab-separated in a pipe, or CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .text import SIGNS, Look, duration, printable, seconds_between, style_of_status

Record = Mapping[str, Any]  # Any: JSON
Style = Literal["aligned", "tsv", "csv"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    value : callable
        What it says of a record to a person.
    raw : callable or None
        What it says to a machine, where that differs; `name` is then its heading in CSV.
    style : callable or None
        Colour of the cell.
    """

    heading: str
    value: Callable[[Record], object]
    raw: Callable[[Record], object] | None = None
    style: Callable[[Record], str | None] | None = None
    name: str | None = None


def status_column(field: str) -> Column:
    """Return the column of an activity's status: sign and word, coloured; the word for machines."""

    def shown(record: Record) -> str | None:
        word = record.get(field)
        return f"{SIGNS.get(word, '?')} {word}" if word else None

    def style(record: Record) -> str | None:
        word = record.get(field)
        return style_of_status(word) if word else None

    return Column("STATUS", shown, lambda record: record.get(field), style)


def duration_column() -> Column:
    """Return the column of how long an activity took: words for a person, seconds for a machine."""

    def shown(record: Record) -> str:
        return duration(record.get("started_at"), record.get("ended_at"))

    def seconds(record: Record) -> float | None:
        return seconds_between(record.get("started_at"), record.get("ended_at"))

    return Column("TOOK", shown, seconds, name="duration_s")


def write_table(
    records: Sequence[Record], columns: Sequence[Column], style: Style, look: Look
) -> Iterator[str]:
    """Yield the lines: aligned with headings, tab-separated without, or CSV with headings."""
    if style == "aligned":
        yield from _aligned(records, columns, look)
    elif style == "tsv":
        for record in records:
            yield "\t".join(_one_line(_raw(column, record)) for column in columns)
    else:
        yield _csv_line(column.name or column.heading.lower() for column in columns)
        for record in records:
            yield _csv_line(_raw(column, record) for column in columns)


def _aligned(records: Sequence[Record], columns: Sequence[Column], look: Look) -> Iterator[str]:
    cells = [[_one_line(_text(c.value(record))) for c in columns] for record in records]
    widths = [max([len(c.heading), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    heading = "  ".join(c.heading.ljust(w) for c, w in zip(columns, widths, strict=True))
    yield look.paint(heading.rstrip(), "dim")
    for record, row in zip(records, cells, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        padded[-1] = row[-1]
        styles = [c.style(record) if c.style else None for c in columns]
        painted = [
            look.paint(cell, style) if style else cell
            for cell, style in zip(padded, styles, strict=True)
        ]
        yield look.shown("  ".join(painted).rstrip())


def _raw(column: Column, record: Record) -> str:
    return _text((column.raw or column.value)(record))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _one_line(text: str) -> str:
    return printable(text.replace("\t", " ").replace("\r", " ").replace("\n", " "))


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # quotes whatever holds either
    return line.getvalue().removesuffix("\r\n")
