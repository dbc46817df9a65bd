"""Files and folders that hold documents: research objects, and archives of a record."""

from collections.abc import Callable, Iterator
from pathlib import Path

from provmanager.errors import ProvError

from ._loaded import Loaded, Source

_GZIP_START = b"\x1f\x8b"
_ZIP_START = b"PK\x03\x04"


def documents_in(path: Path) -> Iterator[Loaded] | None:
    """Return the documents that the file at `path` holds, None where it is one itself."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_ZIP_START))
    except OSError:  # reading it will say why not
        return None
    if head.startswith(_ZIP_START):
        from provmanager.formats.research_object import Zip, documents_of, is_zipped

        return _told(path, lambda: documents_of(Zip(path))) if is_zipped(path) else None
    if head.startswith(_GZIP_START):
        from provmanager.formats.archive import checked_documents, is_archive

        return _told(path, lambda: checked_documents(path)) if is_archive(path) else None
    return None


def documents_in_folder(path: Path) -> Iterator[Loaded] | None:
    """Return the documents of the folder at `path`, if it is a research object of CWLProv."""
    if not (path / "bagit.txt").is_file():
        return None
    from provmanager.formats.research_object import Folder, documents_of, is_research_object

    return _told(path, lambda: documents_of(Folder(path))) if is_research_object(path) else None


def _told(path: Path, documents: Callable[[], Iterator[tuple[str, bytes]]]) -> Iterator[Loaded]:
    """Yield documents under their names below `path`; what is wrong with it comes last."""
    try:
        for name, data in documents():
            yield Loaded(Source(f"{path}: {name}", Path(name)), data)
    except ProvError as error:
        yield Loaded(Source(str(path), path), b"", error)
