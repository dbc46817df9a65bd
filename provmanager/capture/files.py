"""Files as inputs and outputs: where they lie, how long they are, and the digest of their bytes."""

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from .plain import to_instant
from .redaction import redact_text

JSONDict = dict[str, Any]  # Any: free-form JSON

BLOCK_BYTES = 1 << 20
MAX_MEMBERS = 1000
_REMOTE = re.compile(r"^(?!file:)(?:[a-z][a-z0-9+.-]*://|(?:lfn|guid|doi|ivo|urn):)", re.IGNORECASE)
_SAFE = "/:@!$&'()*+,;=~"


@dataclass(frozen=True)
class Stamp:
    """What changes when a file is written: its length, its inode and its instant."""

    size_bytes: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return the stamp of a stat result."""
        return cls(status.st_size, status.st_ino, status.st_mtime_ns)


class DigestMemory:
    """Digests of files that were read before, for activities that pass files on to each other.

    A file is known again by its device, inode, length and instant of writing, so that it is by
    whatever path or link it is reached. Threads may share one.
    """

    def __init__(self) -> None:
        self._digests: dict[tuple[int, int, int, int], str] = {}

    def get(self, status: os.stat_result) -> str | None:
        """Return the sha256 of the file that has this stat result, if it is known."""
        return self._digests.get(_file_key(status))

    def put(self, status: os.stat_result, sha256: str) -> None:
        """Remember the sha256 of the file that had this stat result when it was read."""
        self._digests[_file_key(status)] = sha256


def _file_key(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class HashPolicy:
    """How much may be read for digests.

    Attributes
    ----------
    limit_bytes : int or None
        Longer files get no digest.
    deadline : float or None
        Instant of `time.monotonic` after which no more is read.
    memory : DigestMemory or None
        What was read before and need not be read again.
    """

    limit_bytes: int | None = None
    deadline: float | None = None
    memory: DigestMemory | None = None

    def refusal(self, size_bytes: int) -> str | None:
        """Return why a file of `size_bytes` is not to be read, or None."""
        if self.limit_bytes is not None and size_bytes > self.limit_bytes:
            return f"longer than the limit of {self.limit_bytes} bytes"
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "no time was left"
        return None


@dataclass
class Described:
    """A file as it goes into the record: its item, what to warn of, and its stamp."""

    item: JSONDict
    messages: list[tuple[str, str]]
    stamp: Stamp | None = None


def is_remote(place: str) -> bool:
    """Whether `place` is a URL, LFN or other name that is not a path of this machine."""
    return _REMOTE.match(place) is not None


def names_host(place: str) -> bool:
    """Whether `place` is remote, or a ``file:`` URL that says on which host: another's perhaps."""
    return is_remote(place) or re.match("file://[^/]", place, re.IGNORECASE) is not None


def local_path(place: str) -> str:
    """Return the path that `place`, a path or a ``file:`` URL, names."""
    if not place.lower().startswith("file:"):
        return place
    rest = place[5:]
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    return os.fsdecode(unquote_to_bytes(rest))


def file_uri(path: str, *, host: str, directory: str | None = None) -> str:
    """Return ``file://host/path``, absolute and percent-encoded."""
    absolute = os.path.normpath(os.path.join(directory or os.getcwd(), path))
    return f"file://{host.lower()}{quote(os.fsencode(absolute), safe=_SAFE)}"


def digest_file(path: str, *, deadline: float | None = None) -> tuple[str | None, int]:
    """Return (sha256 in hexadecimal, bytes read); the digest is None once past the deadline."""
    sha256 = hashlib.sha256()
    n_bytes = 0
    block = memoryview(bytearray(BLOCK_BYTES))
    with open(path, "rb", buffering=0) as stream:
        while n_read := stream.readinto(block):
            sha256.update(block[:n_read])
            n_bytes += n_read
            if deadline is not None and time.monotonic() >= deadline:
                return None, n_bytes
    return sha256.hexdigest(), n_bytes


def describe_place(place: str, *, host: str, policy: HashPolicy) -> Described:
    """Return the item of a path (looked at and hashed) or of a URL or LFN (not opened)."""
    if is_remote(place):
        return Described({"url": redact_text(place)}, [])
    path = local_path(place)
    item: JSONDict = {"url": file_uri(path, host=host)}
    try:
        status = os.stat(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return Described(item, [("missing-file", f"{path}: {reason}")])
    real = file_uri(os.path.realpath(path), host=host)
    if real != item["url"]:
        item["locations"] = [real]
    if stat.S_ISDIR(status.st_mode):
        return _describe_folder(path, item, host=host, policy=policy)
    item["modified_at"] = _instant(status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return Described(item, [("not-a-file", f"{path}: neither a regular file nor a folder")])
    return _describe_regular(path, item, status, policy)


def _describe_regular(
    path: str, item: JSONDict, status: os.stat_result, policy: HashPolicy
) -> Described:
    item["size_bytes"] = status.st_size
    messages = []
    digest = policy.memory.get(status) if policy.memory else None
    refusal = None if digest else policy.refusal(status.st_size)
    if digest is None and refusal is None:
        try:
            digest, n_bytes = digest_file(path, deadline=policy.deadline)
        except OSError as error:
            refusal = error.strerror or str(error)
        else:
            refusal = None if digest else "no time was left"
            if digest and n_bytes != status.st_size:
                messages.append(
                    ("changed-while-read", f"{path}: {status.st_size} bytes, {n_bytes} were read")
                )
                item["size_bytes"] = n_bytes
            elif digest and policy.memory:
                policy.memory.put(status, digest)
    if digest:
        item["sha256"] = digest
    if refusal:
        messages.append(("not-hashed", f"{path}: {refusal}"))
    return Described(item, messages, Stamp.of(status))


def _describe_folder(path: str, item: JSONDict, *, host: str, policy: HashPolicy) -> Described:
    """A folder is a collection of the files under it, up to `MAX_MEMBERS`."""
    item["kind"] = "collection"
    members: list[JSONDict] = []
    messages: list[tuple[str, str]] = []
    for name in files_under(path):
        if len(members) == MAX_MEMBERS:
            messages.append(("too-many-files", f"{path}: only {MAX_MEMBERS} files are recorded"))
            break
        found = describe_place(name, host=host, policy=policy)
        members.append(found.item)
        messages.extend(found.messages)
    item["members"] = members
    return Described(item, messages)


def files_under(path: str) -> Iterator[str]:
    """Yield the files under the folder `path`, at any depth, in the order of their names."""
    for folder, names, files in os.walk(path):
        names.sort()
        for name in sorted(files):
            yield os.path.join(folder, name)


def current_stamp(path: str) -> Stamp | None:
    """Return the stamp of the file that stands at `path` now, or None."""
    try:
        return Stamp.of(os.stat(path))
    except OSError:
        return None


def _instant(modified_ns: int) -> str:
    seconds, nanoseconds = divmod(modified_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return to_instant(moment.replace(microsecond=nanoseconds // 1000))
