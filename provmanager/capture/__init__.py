"""Record what a tool does, from inside the tool or around any command; standard library only.

>>> from provmanager import capture
>>> with capture.activity("qtemp", version="1.2") as run:
...     events = read(run.input("events.fits", role="events"))
...     write(run.output("lightcurve.fits"), analyse(events))
"""

from .activity import activity, current
from .environment import VARIABLES
from .run import Run

__all__ = ["VARIABLES", "Run", "activity", "current"]
