"""The engine of the grid: each run is a job of DiracX, on whose node the local engine runs it.

=============  ======================================================================
`jdl`          job descriptions
`names`        what jobs are called, and which run is whose
`grid`         DiracX itself: submit, look, kill, sandboxes; its errors made ours
`package`      what goes to the node: the workflow, its inputs, a script
`node`         what runs there: records the job, runs the workflow, gathers the records
`discovery`    which jobs there are to bring home, wherever they were submitted
`harvest`      brings the sandboxes and records of jobs home
`closing`      ends the records of jobs that could not
`engine`       `DiracxEngine`
=============  ======================================================================

DiracX's client is imported by `grid` only, and there only when it is called.
"""

from .engine import DiracxEngine
from .grid import Grid
from .jdl import GridOptions

__all__ = ["DiracxEngine", "Grid", "GridOptions"]
