"""Productions: a workflow over all that the record has of something, each input once.

============  ===========================================================================
`document`    ``production.yml`` read, with its workflows
`requests`    a group of inputs made into a run
`holder`      who a submitter is, so that one that was killed is known when it starts again
`submitter`   claim, submit, look after, until there is nothing left to do
`estimate`    how much is left, and until when
============  ===========================================================================

The service decides which inputs a run takes (`provmanager.logic.production_claims`).
"""

from .document import LoadedProduction, load_production
from .estimate import Estimate, estimate
from .holder import Holder
from .requests import make_request
from .submitter import MOST_SHOWN, Options, Submitter

__all__ = [
    "MOST_SHOWN",
    "Estimate",
    "Holder",
    "LoadedProduction",
    "Options",
    "Submitter",
    "estimate",
    "load_production",
    "make_request",
]
