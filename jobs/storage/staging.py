"""Files brought from a storage and into one, their digests checked on the way."""

from pathlib import Path

from provmanager.capture.files import digest_file
from provmanager.errors import DifferenceError, NotFoundError, ProvError

from .interface import StorageElement, StoredFile


def stage_in(
    storage: StorageElement, lfn: str, path: Path, *, expected: str | None = None
) -> StoredFile:
    """Copy a file of the storage to `path`, and return what the storage says of it.

    Parameters
    ----------
    expected : str, optional
        Its sha256 by what the record, or whoever asks for it, knows.

    Raises
    ------
    NotFoundError
        There is none.
    DifferenceError
        What came has another digest, or another length; `path` is removed.
    """
    told = storage.find(lfn)
    if told is None:
        raise NotFoundError(f"the storage has no file {lfn}")
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.get(lfn, path)
    sha256, n_bytes = digest_file(str(path))
    wanted = {"of the record": expected, "kept with it": told.sha256}
    wrong = [f"{digest}, {whose}" for whose, digest in wanted.items()
             if digest is not None and digest.lower() != sha256]  # fmt: skip
    if wrong or n_bytes != told.size_bytes:
        path.unlink()
        raise DifferenceError(
            f"{lfn} is not the file that it should be: {n_bytes} bytes came with the sha256 "
            f"{sha256}; expected {told.size_bytes} bytes" + "".join(f" and {w}" for w in wrong),
            found=sha256,
            expected=expected or told.sha256,
        )
    return StoredFile(lfn=told.lfn, url=told.url, size_bytes=n_bytes, sha256=sha256)


def stage_out(storage: StorageElement, path: Path, lfn: str) -> StoredFile:
    """Copy a file into the storage, and return what stands there.

    Where the same bytes stand there already, as after a job that was killed and runs again,
    nothing is done.

    Raises
    ------
    DifferenceError
        Other bytes stand there, or it is not what was copied.
    """
    sha256, n_bytes = digest_file(str(path))
    assert sha256 is not None  # there was no deadline
    present = storage.find(lfn)
    if present is None:
        present = storage.put(path, lfn, sha256=sha256)
        if present.size_bytes != n_bytes:
            raise DifferenceError(
                f"{lfn}: {n_bytes} bytes were stored, and {present.size_bytes} stand there"
            )
    elif not _holds(storage, present, sha256, n_bytes, path):
        raise DifferenceError(
            f"{lfn} is there already, with other content ({present.size_bytes} bytes; ours has "
            f"{n_bytes} bytes and the sha256 {sha256}): what has an LFN is never written over; "
            "let the template tell them apart, by {run} for instance",
            found=sha256,
        )
    return StoredFile(lfn=present.lfn, url=present.url, size_bytes=n_bytes, sha256=sha256)


def _holds(
    storage: StorageElement, present: StoredFile, sha256: str, n_bytes: int, path: Path
) -> bool:
    """Whether the storage holds these bytes; where it keeps no digest, they are fetched."""
    if present.size_bytes != n_bytes:
        return False
    if present.sha256 is not None:
        return present.sha256 == sha256
    fetched = path.with_name(f".{path.name}.stored")
    try:
        storage.get(present.lfn, fetched)
        return digest_file(str(fetched))[0] == sha256
    except OSError as error:
        raise ProvError(f"{present.lfn} cannot be compared with {path}: {error}") from error
    finally:
        fetched.unlink(missing_ok=True)
