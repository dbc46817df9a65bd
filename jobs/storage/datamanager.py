"""DIRAC's own storage elements, by its DataManager and file catalogue, where DIRAC is installed.

What is called here is that of DIRAC 9.1 (DataManagementSystem/Client/DataManager.py); its answers
are ``{"OK": True, "Value": …}`` or ``{"OK": False, "Message": …}``.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provmanager.errors import DifferenceError, NotFoundError, UnavailableError, UsageError

from .interface import StoredFile
from .lfn import normal_lfn


class DataManagerStorage:
    """Storage elements of a DIRAC installation, as the owner of the job's proxy or token.

    Parameters
    ----------
    elements : sequence of str
        Names of storage elements. Files go to the first that takes them; they are read from
        whichever has them.
    catalogs : sequence of str, optional
        File catalogues to register in; by default all of the installation.

    Raises
    ------
    UsageError
        DIRAC is not installed, or not set up.
    """

    def __init__(self, elements: Sequence[str], catalogs: Sequence[str] = ()) -> None:
        try:
            import DIRAC
            from DIRAC.DataManagementSystem.Client.DataManager import DataManager
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{error.name} is not installed on this machine, and storage of the kind dirac "
                "needs it: run where DIRAC is set up, or name another kind of storage"
            ) from error
        try:
            DIRAC.initialize()
        except Exception as error:  # DIRAC raises what it likes
            raise UsageError(f"DIRAC is installed, but not set up: {error}") from error
        self._elements = tuple(elements)
        self._manager = DataManager(list(catalogs) or None)

    def find(self, lfn: str) -> StoredFile | None:
        """Return what the file catalogue has under `lfn`, or None."""
        name = normal_lfn(lfn)
        catalog = self._manager.fileCatalog
        if not _single(catalog.exists(name), name):
            return None
        told = _single(catalog.getFileMetadata(name), name)
        replicas = _single(self._manager.getReplicas(name, getUrl=False), name)
        return StoredFile(
            lfn=name,
            url=f"dirac://{sorted(replicas)[0]}{name}" if replicas else f"lfn:{name}",
            size_bytes=int(told["Size"]),
            adler32=told.get("Checksum") or None,
        )

    def get(self, lfn: str, path: Path) -> None:
        """Copy a file to `path`; DIRAC compares its length and adler32 with the catalogue's."""
        name = normal_lfn(lfn)
        if self.find(name) is None:
            raise NotFoundError(f"the file catalogue has no {name}")
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _single(self._manager.getFile(name, destinationDir=folder), name)
            (Path(folder) / Path(name).name).replace(path)

    def put(self, path: Path, lfn: str, *, sha256: str) -> StoredFile:
        """Copy a file to the first storage element that takes it, and register it."""
        name = normal_lfn(lfn)
        if self.find(name) is not None:
            raise DifferenceError(f"there is a file {name} already")
        refusals = []
        for element in self._elements:
            answer = self._manager.putAndRegister(name, str(path), element)
            if answer["OK"] and name in answer["Value"]["Successful"]:
                break
            refusals.append(f"{element}: {_why(answer, name)}")
        else:
            raise UnavailableError(f"no storage element takes {name}: {'; '.join(refusals)}")
        found = self.find(name)
        if found is None:
            raise UnavailableError(f"{name} was stored, but the file catalogue does not have it")
        return found


def _single(answer: Any, lfn: str) -> Any:  # Any: DIRAC has no types
    """Return what DIRAC answers for one file.

    Raises
    ------
    UnavailableError
        It does not, with what it says instead.
    """
    if not answer["OK"] or lfn not in answer["Value"]["Successful"]:
        raise UnavailableError(f"DIRAC: {lfn}: {_why(answer, lfn)}")
    return answer["Value"]["Successful"][lfn]


def _why(answer: Any, lfn: str) -> str:  # Any: DIRAC has no types
    if not answer["OK"]:
        return str(answer["Message"])
    return str(answer["Value"]["Failed"].get(lfn, "it says nothing of this file"))
