"""The local engine: one process a run with cwltool as a library, its steps processes beside it.

Importing this does not import cwltool; only the process of a run does.
"""

from .engine import LocalEngine

__all__ = ["LocalEngine"]
