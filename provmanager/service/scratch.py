"""A record of one's own, made anew from documents: an embedded database that is thrown away."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from provmanager.logic.rebuilding import Scratch
from provmanager.store import embedded
from provmanager.store.database import open_database
from provmanager.store.migrations import migrate


@contextlib.contextmanager
def scratch_record() -> Iterator[Scratch]:
    """Yield an empty record on this machine, while it lasts.

    Raises
    ------
    DatabaseUnavailableError
        PostgreSQL does not start here.
    """
    folder = Path(tempfile.mkdtemp(prefix="prov-scratch-"))
    folder.chmod(0o711)  # so that root's PostgreSQL, which runs as another account, gets in
    try:
        server = embedded.start(folder / "postgresql")
        try:
            database = open_database(server.url, statement_timeout_s=24 * 3600, idle_timeout_s=0)
            migrate(database)
            yield Scratch(database)
            database.close()
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
