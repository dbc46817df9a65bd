"""Make a product again from its record, and compare."""

from .comparison import Comparison, compare_files
from .document import make_document, output_names
from .images import container_engine, missing_images
from .plan import Input, Output, Piece, Plan, Step, make_plan, make_repeat_plan
from .results import compare_results, grid_options, on_nodes
from .software import recorded_changes, software_changes

__all__ = [
    "Comparison",
    "Input",
    "Output",
    "Piece",
    "Plan",
    "Step",
    "compare_files",
    "compare_results",
    "container_engine",
    "grid_options",
    "make_document",
    "make_plan",
    "make_repeat_plan",
    "missing_images",
    "on_nodes",
    "output_names",
    "recorded_changes",
    "software_changes",
]
