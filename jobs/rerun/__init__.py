"""Make a product again from its record, and compare."""

from .comparison import Comparison, compare_files
from .document import make_document, output_names
from .plan import Input, Output, Piece, Plan, Step, make_plan, make_repeat_plan
from .software import software_changes

__all__ = [
    "Comparison",
    "Input",
    "Output",
    "Piece",
    "Plan",
    "Step",
    "compare_files",
    "make_document",
    "make_plan",
    "make_repeat_plan",
    "output_names",
    "software_changes",
]
