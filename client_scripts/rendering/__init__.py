"""Text for people: what the commands print on a terminal."""

from .lineage import render_lineage, render_table, warnings_of
from .receipts import render_item, summarise
from .table import Column, duration_column, status_column, write_table
from .text import Look, counted, duration, instant, look_of, printable, span
from .tree import render_tree

__all__ = [
    "Column",
    "Look",
    "counted",
    "duration",
    "duration_column",
    "instant",
    "look_of",
    "printable",
    "render_item",
    "render_lineage",
    "render_table",
    "render_tree",
    "span",
    "status_column",
    "summarise",
    "warnings_of",
    "write_table",
]
