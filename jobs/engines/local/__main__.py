"""The process of a run: ``python -m jobs.engines.local DIRECTORY``; its exit code is the run's."""

import logging
import sys
from pathlib import Path

from .directory import RunDirectory


def main(path: str) -> int:
    """Run what the directory asks for."""
    directory = RunDirectory(Path(path))
    with directory.lock():  # before the half second that importing cwltool takes
        if any(directory.events()):  # another process that was started for it has run it
            return 0
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        from .process import run

        return run(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
