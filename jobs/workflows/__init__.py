"""Load and check a CWL document, and make the inputs object for it; cwltool does the reading.

Importing this loads cwltool, which takes about half a second: not at the top of a command.
"""

from .document import Port, Step, Workflow, load_workflow, pack_workflow, write_packed
from .inputs import PLAN_ID, make_inputs

__all__ = [
    "PLAN_ID",
    "Port",
    "Step",
    "Workflow",
    "load_workflow",
    "make_inputs",
    "pack_workflow",
    "write_packed",
]
