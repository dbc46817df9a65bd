"""Research objects: what ``cwltool --provenance`` leaves (CWLProv), as a folder or zip; RO-Crates.

Of what is in one, the provenance is read: the PROV-JSON of the run and of the workflows nested in
it (the other serialisations say the same), or the metadata of the crate. A CWLProv research object
is a BagIt bag (RFC 8493) whose files are named by their SHA-1: they are held against its
manifests, and a document of our own is made that has the SHA-256 of each beside, so that runs that
other systems recorded are linked to these.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from ..errors import DifferenceError, DocumentError, UsageError
from . import prov_terms as terms

_BAG = "bagit.txt"
_CRATE = "ro-crate-metadata.json"
_PROVENANCE = "metadata/provenance/"
_DOCUMENT = ".cwlprov.json"
_ALGORITHMS = ("sha256", "sha512", "sha1", "md5")
_CHUNK = 2**20
_MOST_BYTES = 2**30

Named = tuple[str, bytes]
"""A document's name within the research object, and its bytes."""


class Holder(Protocol):
    """A folder or zip of files."""

    names: frozenset[str]

    def open(self, name: str) -> BinaryIO:
        """Open a file of it."""
        ...


class Folder:
    """A folder on disk.

    Attributes
    ----------
    names : frozenset of str
        Its files, with slashes, below it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        files = (p for p in path.rglob("*") if p.is_file())
        self.names = frozenset(p.relative_to(path).as_posix() for p in files)

    def open(self, name: str) -> BinaryIO:
        """Open a file of it."""
        return (self._path / name).open("rb")


class Zip:
    """A zip, from the folder in it that holds the research object.

    Attributes
    ----------
    names : frozenset of str
        Its files below that folder.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DocumentError(f"{path.name} is no whole zip: {error}") from error
        names = [n for n in self._zip.namelist() if not n.endswith("/")]
        roots = [n.rpartition("/") for n in names]
        tops = [f"{head}{slash}" for head, slash, last in roots if last in (_BAG, _CRATE)]
        if not tops:
            raise UsageError(f"{path.name} is a zip without research object ({_BAG}, {_CRATE})")
        self._root = min(tops, key=len)
        self.names = frozenset(n[len(self._root) :] for n in names if n.startswith(self._root))

    def open(self, name: str) -> BinaryIO:
        """Open a file of it."""
        opened: BinaryIO = self._zip.open(self._root + name)  # type: ignore[assignment]
        return opened


def is_zipped(path: Path) -> bool:
    """Whether the zip at `path` holds a research object or an RO-Crate."""
    try:
        return not Zip(path).names.isdisjoint((_BAG, _CRATE))
    except (DocumentError, UsageError):
        return False


def is_research_object(path: Path) -> bool:
    """Whether the folder at `path` is one of CWLProv."""
    return (path / _BAG).is_file() and any((path / _PROVENANCE).glob(f"*{_DOCUMENT}"))


def documents_of(holder: Holder) -> Iterator[Named]:
    """Yield the documents of provenance in a research object.

    Raises
    ------
    DifferenceError
        A file is not what a manifest of the bag says.
    """
    tags = dict(_manifests(holder, "tagmanifest-"))
    names = sorted(n for n in holder.names if n.startswith(_PROVENANCE) and n.endswith(_DOCUMENT))
    for name in (*names, *({_CRATE} & holder.names)):
        with holder.open(name) as file:
            data = file.read(_MOST_BYTES)
        for algorithm, digest in tags.get(name, {}).items():
            _check(name, algorithm, hashlib.new(algorithm, data).hexdigest(), digest)
        yield name, data
    payload = _payload(holder)
    if payload:
        yield "digests of its files", payload


def _manifests(holder: Holder, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each file that manifests name, with its digests by algorithm."""
    found: dict[str, dict[str, str]] = {}
    for algorithm in _ALGORITHMS:
        manifest = f"{prefix}{algorithm}.txt"
        if manifest not in holder.names:
            continue
        with holder.open(manifest) as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        for line in text.splitlines():
            digest, _, name = line.partition(" ")
            found.setdefault(name.strip().lstrip("*"), {})[algorithm] = digest.lower()
    yield from found.items()


def _payload(holder: Holder) -> bytes | None:
    """Return a PROV-JSON document with the SHA-256 of the files that the bag names by others."""
    entities: dict[str, dict[str, object]] = {}
    for name, digests in sorted(_manifests(holder, "manifest-")):
        if name not in holder.names:
            continue  # fetched by whoever wants it (RFC 8493 §2.2.3)
        hashes = {a: hashlib.new(a) for a in {*digests, "sha256"}}
        size = 0
        with holder.open(name) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                for one in hashes.values():
                    one.update(chunk)
        for algorithm, digest in digests.items():
            _check(name, algorithm, hashes[algorithm].hexdigest(), digest)
        sha256 = hashes["sha256"].hexdigest()
        others = [f"{a}:{d}" for a, d in digests.items() if a != "sha256"]
        if others and size:
            entities[f"sha256:{sha256}"] = {
                "provmanager:digest": [*others, f"sha256:{sha256}"],
                "provmanager:sizeBytes": size,
            }
    if not entities:
        return None
    prefixes = {"sha256": "urn:hash::sha256:", "provmanager": terms.TERMS}
    return json.dumps({"prefix": prefixes, "entity": entities}, indent=1, sort_keys=True).encode()


def _check(name: str, algorithm: str, found: str, expected: str) -> None:
    if found != expected:
        raise DifferenceError(
            f"{name} was changed: its {algorithm} is {found}, the bag's manifest says {expected}",
            found=found,
            expected=expected,
        )
