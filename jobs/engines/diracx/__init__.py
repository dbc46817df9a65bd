"""The engine of the grid: each run is a job of DiracX, on whose node the local engine runs it.

=============  ======================================================================
`jdl`          job descriptions
`names`        what jobs are called, and which run is whose
`grid`         DiracX itself: submit, look, kill, sandboxes; its errors made ours
`package`      what goes to the node: the workflow, its inputs, a script
`software`     what is installed here as wheels; `install`: an environment of them on the node
`expected`     which digests the record has of inputs in a storage
`former`       a run that is resumed, brought to the node
`node`         what runs there: records the job and runs the workflow
`staging`      there: inputs from a storage, products into it
`gathering`    there: what goes home in the output sandbox
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
