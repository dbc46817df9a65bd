"""Job descriptions of DIRAC and CTADIRAC, run as they are, with a record of what came of what.

=============  ======================================================================
`description`  reads the workflow XML and the JDL that CTADIRAC's job classes make
`document`     the same job as a CWL tool, which any engine runs
`node`         runs its steps one after the other, and records each
`standins`     what does the work of CTADIRAC's own programs where these are not installed
`tool_logs`    records of what a tool of ctapipe said of itself
=============  ======================================================================
"""

from .description import DiracJob, DiracStep, read_job
from .document import INPUT_DATA, LFNS, asked_of_grid, make_document, make_inputs

__all__ = [
    "INPUT_DATA",
    "LFNS",
    "DiracJob",
    "DiracStep",
    "asked_of_grid",
    "make_document",
    "make_inputs",
    "read_job",
]
