"""Text for people: what the commands print on a terminal."""

from .table import Column, write_table
from .text import Look, counted, duration, instant, printable, span
from .tree import render_tree

__all__ = [
    "Column",
    "Look",
    "counted",
    "duration",
    "instant",
    "printable",
    "render_tree",
    "span",
    "write_table",
]
