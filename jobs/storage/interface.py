"""What every storage element can do, and what it says of a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file in a storage.

    Attributes
    ----------
    lfn : str
        Its logical file name, ``/vo/…``.
    url : str
        Where it lies: a path, or ``s3://bucket/key``, or what the storage calls it.
    size_bytes : int
        Its length.
    sha256, adler32 : str, optional
        Digests in hexadecimal, where the storage keeps them.
    """

    lfn: str
    url: str
    size_bytes: int
    sha256: str | None = None
    adler32: str | None = None


class StorageElement(Protocol):
    """A storage; all methods raise `ProvError`, with the name of the file and what to do.

    `UnavailableError` is raised where it does not answer: trying again may help.
    """

    def find(self, lfn: str) -> StoredFile | None:
        """Return what stands under `lfn`, or None."""
        ...

    def get(self, lfn: str, path: Path) -> None:
        """Copy a file of the storage to `path`.

        Raises
        ------
        NotFoundError
            There is none.
        """
        ...

    def put(self, path: Path, lfn: str, *, sha256: str) -> StoredFile:
        """Copy a file into the storage, whole or not at all, and return what stands there now.

        Raises
        ------
        DifferenceError
            There is one already: what has an LFN is never written over.
        """
        ...
