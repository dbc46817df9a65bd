"""The archive of a whole record: a compressed tar that any program opens, written and read as a
stream.

::

    prov-archive/header.json              what it is, the log's name, key and size
    prov-archive/documents/000000.jsonl   a line a document, in the order of the log
    prov-archive/documents/000000/…       each of them verbatim, called by its SHA-256
    prov-archive/checkpoints.jsonl        signed checkpoints of the log
    prov-archive/aliases.jsonl            former UUIDs of entities
    prov-archive/redaction.txt            patterns that the operator added
    prov-archive/manifest-sha256.txt      digests of all of these but the documents

A document is as its line says, and every line is as the manifest says, so that what was changed is
found; who changes the manifest too is found by the signed checkpoints, which `logic.archive`
holds against the lines.
"""

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ..errors import DifferenceError, DocumentError, UsageError
from ..ids import sha256_hex

FORMAT = "provmanager/archive.v1"
GZIP_START = b"\x1f\x8b"

_ROOT = "prov-archive/"
_HEADER, _MANIFEST = "header.json", "manifest-sha256.txt"
_LONGEST_LINE = 2**31

JSONObject = dict[str, Any]  # Any: free-form JSON
Entry = tuple[JSONObject, bytes]
"""A document's line, and its bytes."""


class ArchiveWriter:
    """Writes one archive; what is given to it is written at once."""

    def __init__(self, target: BinaryIO) -> None:
        self._gzip = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)
        self._digests: dict[str, str] = {}
        self._n_batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Write the manifest and close; what failed has none, and so is no archive."""
        if kind is None:
            lines = (f"{digest}  {name}\n" for name, digest in self._digests.items())
            self._put(_MANIFEST, "".join(lines).encode())
            self._tar.close()
            self._gzip.close()

    def add(self, name: str, data: bytes) -> None:
        """Add a member, and its digest to the manifest."""
        self._digests[name] = sha256_hex(data)
        self._put(name, data)

    def add_json(self, name: str, value: Any) -> None:  # Any: free-form JSON
        """Add a member that is JSON."""
        self.add(name, json.dumps(value, indent=1, ensure_ascii=False).encode())

    def add_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add a member of one JSON object a line. (Any: free-form JSON.)"""
        self.add(
            name, b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        )

    def add_documents(self, entries: Sequence[Entry]) -> None:
        """Add the next documents of the log."""
        batch = f"documents/{self._n_batches:06}"
        self._n_batches += 1
        self.add_lines(f"{batch}.jsonl", (line for line, _ in entries))
        for line, content in entries:
            self._put(f"{batch}/{line['sha256']}", content)

    def _put(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(_ROOT + name)
        member.size = len(data)
        member.mode = 0o644
        self._tar.addfile(member, io.BytesIO(data))
        self._tar.members.clear()  # type: ignore[attr-defined]  # it remembers every one


class ArchiveReader:
    """Reads one archive from beginning to end, checking what it reads.

    Attributes
    ----------
    header : JSON object
    parts : dict
        Members that are no documents, by name; those after the documents are there once all
        documents were taken.
    """

    def __init__(self, source: BinaryIO, *, max_document_bytes: int = _LONGEST_LINE) -> None:
        self._most = max_document_bytes
        self.parts: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._waiting: dict[str, JSONObject] = {}
        self._members = self._each(source)
        name, data = next(self._members, ("", b""))
        if name != _HEADER:
            raise no_archive(f"it begins with {name!r}")
        self._take(name, data)
        self.header: JSONObject = _json(data, name)
        if self.header.get("format") != FORMAT:
            raise no_archive(f"its format is {self.header.get('format')!r}")

    def documents(self) -> Iterator[Entry]:
        """Yield the documents in the order of the log, each with its line; read to the end.

        Raises
        ------
        DifferenceError
            Something is not as its line or the manifest says: which, and what was expected.
        DocumentError
            The archive is cut off.
        """
        n_documents = 0
        for name, data in self._members:
            if name == _MANIFEST:
                self._check(data, n_documents)
                return
            if name.startswith("documents/") and name.endswith(".jsonl"):
                self._check_all_came(name)
                self._take(name, data)
                self._waiting = {line["sha256"]: line for line in lines_of(data, name)}
            elif name.startswith("documents/"):
                yield self._document(name, data), data
                n_documents += 1
            else:
                self._check_all_came(name)
                self._take(name, data)
                self.parts[name] = data
        raise DocumentError("the archive is cut off: it has no manifest")

    def _document(self, name: str, data: bytes) -> JSONObject:
        line = self._waiting.pop(name.rpartition("/")[2], None)
        if line is None:
            raise DifferenceError(f"{name}: no line of the archive tells of this document")
        found = sha256_hex(data)
        if (found, len(data)) != (line["stored_sha256"], line["size_bytes"]):
            raise DifferenceError(
                f"{name} was changed: its bytes have the SHA-256 {found} and are {len(data)}; "
                f"expected {line['stored_sha256']} and {line['size_bytes']}",
                found=found,
                expected=line["stored_sha256"],
            )
        return line

    def _check_all_came(self, before: str) -> None:
        if self._waiting:
            name = next(iter(self._waiting))
            raise DifferenceError(f"document {name} is missing from the archive, before {before}")

    def _take(self, name: str, data: bytes) -> None:
        self._digests[name] = sha256_hex(data)

    def _check(self, manifest: bytes, n_documents: int) -> None:
        said: dict[str, str] = {}
        for line in manifest.decode().splitlines():
            digest, _, name = line.partition("  ")
            said[name] = digest
        for name in sorted({*said, *self._digests}):
            if said.get(name) != self._digests.get(name):
                raise DifferenceError(
                    f"{name} was changed, added or taken out: its SHA-256 is "
                    f"{self._digests.get(name)}, the manifest says {said.get(name)}",
                    found=self._digests.get(name),
                    expected=said.get(name),
                )
        if n_documents != self.header.get("n_documents"):
            raise DifferenceError(
                f"the archive has {n_documents} documents; its header says "
                f"{self.header.get('n_documents')}"
            )

    def _each(self, source: BinaryIO) -> Iterator[tuple[str, bytes]]:
        try:
            with tarfile.open(fileobj=source, mode="r|gz") as tar:
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # it remembers every one
                    if not member.isfile() or not member.name.startswith(_ROOT):
                        raise no_archive(f"it holds {member.name!r}")
                    if member.size > self._most:
                        raise UsageError(f"{member.name} has {member.size} bytes: too large")
                    file = tar.extractfile(member)
                    yield member.name[len(_ROOT) :], file.read() if file else b""
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise DocumentError(f"the archive is cut off or damaged: {error}") from error


def checked_documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the documents of an archive with their names; the whole is checked before the first."""
    with path.open("rb") as file:
        for _ in ArchiveReader(file).documents():
            pass
    with path.open("rb") as file:
        for line, data in ArchiveReader(file).documents():
            yield line["source_name"] or line["sha256"], data


def is_archive(path: Path) -> bool:
    """Whether the file at `path` begins as an archive does."""
    try:
        with path.open("rb") as file:
            if file.read(2) != GZIP_START:
                return False
            file.seek(0)
            ArchiveReader(file)
    except (DocumentError, UsageError, OSError):
        return False
    return True


def no_archive(why: str) -> UsageError:
    """Return the error that tells of a file that is no archive."""
    return UsageError(f"this is no archive of prod-server archive: {why}")


def lines_of(data: bytes, name: str) -> Iterator[JSONObject]:
    """Yield the JSON objects of a member, one a line."""
    for line in data.splitlines():
        yield _json(line, name)


def _json(data: bytes, name: str) -> Any:  # Any: free-form JSON
    try:
        return json.loads(data)
    except ValueError as error:
        raise DifferenceError(f"{name} of the archive is no JSON: {error}") from error
