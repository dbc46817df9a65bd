"""``python -m tests.dirac_lab up|down FOLDER``."""

import sys
from pathlib import Path

from .lab import Lab

if len(sys.argv) != 3 or sys.argv[1] not in ("up", "down"):
    sys.exit("usage: python -m tests.dirac_lab up|down FOLDER")
getattr(Lab(Path(sys.argv[2])), sys.argv[1])()
