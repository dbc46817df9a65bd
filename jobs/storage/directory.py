"""A folder as a storage: LFNs are paths below it."""

import os
import shutil
import uuid
from pathlib import Path

from provmanager.errors import DifferenceError, NotFoundError, ProvError, UsageError

from .interface import StoredFile
from .lfn import normal_lfn


class DirectoryStorage:
    """A folder of this machine, or one that several share.

    Parameters
    ----------
    path : str
        The folder.

    Raises
    ------
    UsageError
        It is not there.
    """

    def __init__(self, path: str) -> None:
        self._root = Path(path).absolute()
        if not self._root.is_dir():
            raise UsageError(f"there is no folder {path} for the storage: make it, or name another")

    def find(self, lfn: str) -> StoredFile | None:
        """Return what stands under `lfn`, or None."""
        place = self._place(lfn)
        try:
            size_bytes = place.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _error(lfn, error) from error
        return StoredFile(lfn=normal_lfn(lfn), url=place.as_uri(), size_bytes=size_bytes)

    def get(self, lfn: str, path: Path) -> None:
        """Copy a file of the storage to `path`."""
        try:
            shutil.copyfile(self._place(lfn), path)
        except FileNotFoundError as error:
            raise NotFoundError(f"the storage {self._root} has no {normal_lfn(lfn)}") from error
        except OSError as error:
            raise _error(lfn, error) from error

    def put(self, path: Path, lfn: str, *, sha256: str) -> StoredFile:
        """Copy a file into the storage; it has its name only when it is whole."""
        place = self._place(lfn)
        partial = place.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(path, "rb") as source, open(partial, "xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                    target.flush()
                    os.fsync(target.fileno())
                os.link(partial, place)  # fails where there is one, unlike a renaming
            finally:
                partial.unlink(missing_ok=True)
        except FileExistsError as error:
            raise DifferenceError(f"there is a file {normal_lfn(lfn)} already") from error
        except OSError as error:
            raise _error(lfn, error) from error
        return StoredFile(lfn=normal_lfn(lfn), url=place.as_uri(), size_bytes=place.stat().st_size)

    def _place(self, lfn: str) -> Path:
        return self._root / normal_lfn(lfn).lstrip("/")


def _error(lfn: str, error: OSError) -> ProvError:
    return ProvError(f"{lfn}: {error.filename or ''}: {error.strerror or error}")
