"""Job descriptions of DIRAC and CTADIRAC, run as they are, with a record of what came of what.

============== ======================================================================
`description`  reads the workflow XML and the JDL that CTADIRAC's job classes make
`document`     the same job as a CWL tool, which any engine runs
`node`         runs its steps one after the other, and records each
`standins`     what does the work of CTADIRAC's own programs where these are not installed
`tool_logs`    records of what a tool of ctapipe said of itself
`registration` metadata of products as CTADIRAC has them, put into the record
`prod_steps`   CTADIRAC's productions (ProdSteps) as ours
`job_classes`  the jobs that CTADIRAC's classes make of steps over files
`simulation`   … and of simulations
`datasets`     definitions of datasets, as CTADIRAC prints them
`workflow_xml` writes the XML of such a job
============== ======================================================================
"""

from .datasets import read_datasets
from .description import DiracJob, DiracStep, read_job
from .document import INPUT_DATA, LFNS, asked_of_grid, make_document, make_inputs
from .prod_steps import Additions, is_prod_steps, translate_production
from .workflow_xml import write_xml

__all__ = [
    "INPUT_DATA",
    "LFNS",
    "Additions",
    "DiracJob",
    "DiracStep",
    "asked_of_grid",
    "is_prod_steps",
    "make_document",
    "make_inputs",
    "read_datasets",
    "read_job",
    "translate_production",
    "write_xml",
]
