"""Calls of DIRAC's DataManager and file catalogue, one a line: a program for DIRAC's own Python.

    python dirac_calls.py '{"elements": ["CC-IN2P3-Disk"], "catalogs": []}'

Run by `datamanager`, which stands in another environment: nothing of provmanager is imported here.
A line of standard input is a call, ``{"call": "find", "lfn": "/vo/…"}``; a line of standard output
its answer, ``{"value": …}`` or ``{"code": …, "message": …}`` with a code of `provmanager.errors`.
The first line says whether DIRAC can be used at all. What DIRAC prints goes to standard error.

Written against DIRAC 9.1.22, and run with it (``tests/dirac_lab``). Answers of DIRAC are
``{"OK": True, "Value": …}`` or ``{"OK": False, "Errno": …, "Message": …}``.
"""

import errno
import json
import os
import sys
import uuid
from typing import Any

SHA256 = "sha256"
"""Name of the metadata of a file that has its digest, where the catalogue has such a field."""


class FailedError(Exception):
    """A call failed, in the words of the answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Calls:
    """DIRAC as the owner of the proxy.

    Parameters
    ----------
    elements : list of str
        Names of storage elements, in the order in which they are tried.
    catalogs : list of str
        File catalogues; none: those of the installation.
    """

    def __init__(self, elements: list[str], catalogs: list[str]) -> None:
        try:
            import DIRAC
        except ModuleNotFoundError as error:
            raise FailedError(
                "usage",
                f"{error.name} is not installed for {sys.executable}, and storage of the kind "
                "dirac needs it: name the file that sets DIRAC up there with the option "
                "environment, run where DIRAC is on the PATH, or name another kind of storage",
            ) from error
        try:
            DIRAC.initialize()
        except Exception as error:  # DIRAC raises what it likes
            if not DIRAC.gConfig.getValue("/DIRAC/Configuration/Servers", []):
                raise FailedError(
                    "usage",
                    f"DIRAC is installed for {sys.executable}, but not set up: {DIRAC.rootPath}/etc"
                    "/dirac.cfg and ~/.dirac.cfg name no configuration server (dirac-configure)",
                ) from error
            raise _failure("DIRAC cannot be used", _words(error)) from error
        from DIRAC.DataManagementSystem.Client.DataManager import DataManager

        DIRAC.gLogger.setLevel("ERROR")
        self._elements = elements
        known = DIRAC.gConfig.getSections("/Resources/StorageElements").get("Value") or []
        for element in elements:
            if element not in known:
                raise FailedError(
                    "usage",
                    f"DIRAC has no storage element {element}; it has: {', '.join(sorted(known))}",
                )
        self._manager = DataManager(catalogs or None)
        self._catalog = self._manager.fileCatalog
        if not self._catalog.isOK():
            named = ", ".join(catalogs) or "that can be used"
            raise FailedError("usage", f"DIRAC has no file catalogue {named} for this proxy's VO")
        self.version = DIRAC.version

    def find(self, lfn: str) -> "dict[str, Any] | None":
        """Return what the catalogue has of a file, or None."""
        if not _single(self._catalog.exists(lfn), lfn):
            return None
        if not _single(self._catalog.isFile(lfn), lfn):
            raise FailedError("failed", f"{lfn} is a folder of the file catalogue, not a file")
        told = _single(self._catalog.getFileMetadata(lfn), lfn)
        replicas = _single(self._manager.getReplicas(lfn, getUrl=False), lfn)
        return {
            "size_bytes": int(told["Size"]),
            "adler32": told.get("Checksum") or None,
            "guid": told.get("GUID"),
            "sha256": self._digest(lfn),
            "elements": sorted(replicas),
        }

    def get(self, lfn: str, folder: str) -> None:
        """Copy a file into a folder; DIRAC compares its length and adler32 with the catalogue's."""
        _single(self._manager.getFile(lfn, destinationDir=folder), lfn)

    def put(self, lfn: str, path: str, sha256: str) -> "dict[str, Any]":
        """Copy a file to the first storage element that takes it, and register it."""
        size_bytes = os.path.getsize(path)
        if size_bytes == 0:
            raise FailedError("usage", f"{lfn}: {path} is empty, and DIRAC stores no empty files")
        refusals = []
        guid = str(uuid.uuid4()).upper()
        for element in self._elements:
            answer = self._manager.putAndRegister(lfn, path, element, guid=guid)
            found = self.find(lfn)  # also where accounting failed, of which DIRAC makes an error
            if found is not None and found["guid"] != guid:
                raise FailedError("differs", f"there is a file {lfn} already")
            if found is not None:
                self._catalog_digest(lfn, sha256)
                return {**found, "sha256": self._digest(lfn)}
            refusal = self._unregistered(answer, lfn, size_bytes, element)
            refusals.append(f"{element}: {refusal}")
        raise _failure(
            f"no storage element of those named ({', '.join(self._elements)}) takes {lfn} "
            "(the option elements names them)",
            "; ".join(refusals),
        )

    def _unregistered(self, answer: Any, lfn: str, size_bytes: int, element: str) -> str:
        """Return why a file was not registered; its copy in the storage element is removed."""
        from DIRAC.Resources.Storage.StorageElement import StorageElement

        if not answer["OK"]:
            why = str(answer["Message"])
            room = StorageElement(element).getOccupancy(unit="B")
            is_full = room["OK"] and room["Value"]["Free"] < size_bytes
            return f"{why}: not enough disk space" if is_full and "disk space" not in why else why
        failed = answer["Value"]["Failed"].get(lfn)
        if failed is None:
            return "DIRAC stored it, and its catalogue does not have it"
        removed = StorageElement(element).removeFile(lfn)
        if not removed["OK"] or lfn not in removed["Value"]["Successful"]:
            return "it was stored, not registered, and its copy there could not be removed"
        return "the file catalogue did not register it"

    def _catalog_digest(self, lfn: str, sha256: str) -> None:
        """Tell the catalogue the digest, if it keeps metadata; it is no error if it does not."""
        if hasattr(self._catalog, "setMetadata"):
            self._catalog.setMetadata(lfn, {SHA256: sha256})

    def _digest(self, lfn: str) -> "str | None":
        if not hasattr(self._catalog, "getFileUserMetadata"):
            return None
        answer = self._catalog.getFileUserMetadata(lfn)
        return (answer["Value"].get(SHA256) or None) if answer["OK"] else None


def _single(answer: Any, lfn: str) -> Any:
    """Return what DIRAC answers for one file."""
    if not answer["OK"]:
        raise _failure(f"DIRAC: {lfn}", str(answer["Message"]), answer.get("Errno", 0))
    if lfn not in answer["Value"]["Successful"]:
        why = answer["Value"]["Failed"].get(lfn, "it says nothing of this file")
        raise _failure(f"DIRAC: {lfn}", str(why))
    return answer["Value"]["Successful"][lfn]


def _failure(what: str, why: str, number: int = 0) -> FailedError:
    """Return the error for what DIRAC says, which may not say that the proxy is the reason."""
    proxy = _proxy_problem()
    if proxy:
        return FailedError("not_authenticated", f"{what}: {why}. {proxy}: dirac-proxy-init")
    from DIRAC.Core.Utilities import DErrno

    low = why.lower()
    if number == errno.EACCES or "not permitted" in low or "unauthorized" in low:
        return FailedError("not_authorised", f"{what}: {why}")
    if "must start with vo name" in low:
        return FailedError("usage", f"{what}: {why}")
    if any(DErrno.strerror(known) in why for known in (DErrno.EFILESIZE, DErrno.EBADCKS)):
        return FailedError("differs", f"{what}: {why}")
    return FailedError("unavailable", f"{what}: {why}")


def _proxy_problem() -> "str | None":
    """Return what is wrong with the proxy, if anything is."""
    from DIRAC.Core.Security.ProxyInfo import getProxyInfo

    if os.environ.get("DIRAC_USE_ACCESS_TOKEN", "").lower() in ("true", "yes"):
        return None
    told = getProxyInfo(disableVOMS=True)
    if not told["OK"]:
        return "There is no proxy of this user here"
    if told["Value"]["secondsLeft"] <= 0:
        return f"The proxy {told['Value']['path']} has expired"
    return None


def _words(error: BaseException) -> str:
    """Return the message of what DIRAC raised, without the stack of calls that it holds."""
    told = error.args[0] if error.args else None
    text = str(told["Message"]) if isinstance(told, dict) and "Message" in told else str(error)
    return " ".join(text.removeprefix("Reason(s):").split())


def main() -> None:
    """Answer the calls of standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what DIRAC prints is no answer

    def answer(told: "dict[str, Any]") -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    try:
        calls = Calls(**json.loads(sys.argv[1]))
    except FailedError as error:
        answer({"code": error.code, "message": error.message})
        return
    answer({"value": calls.version})
    for line in sys.stdin:
        told = json.loads(line)
        try:
            answer({"value": getattr(calls, told.pop("call"))(**told)})
        except FailedError as error:
            answer({"code": error.code, "message": error.message})
        except Exception as error:  # DIRAC raises what it likes
            answer({"code": "unavailable", "message": f"DIRAC: {type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
