"""A Workflow Run RO-Crate as a zip file or a folder, with the files that can be had."""

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from provmanager.errors import DifferenceError, NotFoundError, ProvError, UsageError

Crate = dict[str, Any]  # Any: JSON-LD
Tell = Callable[[str], None]
Prefixes = Sequence[tuple[str, str]]


def save_crate(
    archive: bytes, target: str, *, with_content: bool, moved: Prefixes, tell: Tell
) -> tuple[int, int]:
    """Write a crate to a zip file, or a folder where `target` ends in ``/`` or is one.

    Parameters
    ----------
    archive : bytes
        The zip file that the server gave; it holds the metadata only.
    with_content : bool
        Whether the files themselves go in, those that can be had with the recorded bytes.
    moved : sequence of (str, str)
        Prefixes of recorded locations, and where these lie here.
    tell : callable
        Gets a line for each file that is left out, with the reason.

    Returns
    -------
    (int, int)
        How many files went in, and how many were left out.

    Raises
    ------
    UsageError
        The target is there already, or cannot be written.
    """
    from provmanager.formats.ro_crate_export import METADATA_FILE, crate_text, files_of, with_files

    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        crate: Crate = json.loads(opened.read(METADATA_FILE))
    found: dict[str, Path] = {}
    n_missing = 0
    with tempfile.TemporaryDirectory(prefix="prod-export-") as folder:
        for n, item in enumerate(files_of(crate) if with_content else ()):
            try:
                found[item["@id"]] = _file_of(item, moved, Path(folder, str(n)))
            except (ProvError, OSError) as error:
                n_missing += 1
                tell(f"left out: {item['name']} ({item['@id']}): {error}")
        names = {id_: _name_inside(id_, path) for id_, path in found.items()}
        files = {names[id_]: path for id_, path in found.items()}
        write = _to_folder if target.endswith("/") or Path(target).is_dir() else _to_zip
        try:
            write(Path(target), {METADATA_FILE: crate_text(with_files(crate, names))}, files)
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    return len(found), n_missing


def _file_of(item: Mapping[str, Any], moved: Prefixes, folder: Path) -> Path:  # Any: JSON-LD
    """Return where a file of the crate lies here, or was brought into `folder`, bytes checked.

    Raises
    ------
    NotFoundError, DifferenceError, OSError
        It is not to be had; the message says why.
    """
    places, recorded = item.get("contentUrl") or [], item.get("sha256")
    listed = [places] if isinstance(places, str) else places
    if not listed:
        raise NotFoundError("no place of it is recorded")
    if recorded is None:
        raise NotFoundError(f"the record has no SHA-256 to check {listed[0]} by")
    reasons: list[NotFoundError | DifferenceError | OSError] = []
    for location in listed:
        try:
            return _content_at(location, recorded, moved, folder)
        except (NotFoundError, DifferenceError, OSError) as error:
            reasons.append(error)
    raise reasons[0]


def _content_at(
    location: str, recorded: str, moved: Sequence[tuple[str, str]], folder: Path
) -> Path:
    from provmanager.client.verification import local_path
    from provmanager.ids import file_sha256

    path = local_path(location, moved)
    if path is None:
        path = _fetched(location, folder)
    elif not path.is_file():
        raise NotFoundError(f"it is not at {path}")
    digest = file_sha256(path)
    if digest != recorded:
        raise DifferenceError(f"{path} has the SHA-256 {digest}, and recorded is {recorded}")
    return path


def _fetched(location: str, folder: Path) -> Path:
    """Bring a file from the web, or by its LFN from the storage that the options of the grid name.

    Raises
    ------
    NotFoundError, UnavailableError
        There is none, or no way to it.
    """
    from jobs.storage import is_lfn, make_storage, normal_lfn

    folder.mkdir()
    path = folder / (PurePosixPath(unquote(urlsplit(location).path)).name or "file")
    if is_lfn(location):
        from jobs.rerun import grid_options

        storage = grid_options().storage
        if storage is not None:
            make_storage(storage).get(normal_lfn(location), path)
            return path
    elif location.startswith(("http://", "https://")):
        _download(location, path)
        return path
    raise NotFoundError(f"{location} is no place of this machine (--map says where it lies)")


def _download(url: str, path: Path) -> None:
    import httpx

    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer,
            path.open("wb") as stream,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                stream.write(chunk)
    except httpx.HTTPError as error:
        raise NotFoundError(f"{url} cannot be fetched: {error}") from error


def _name_inside(id_: str, path: Path) -> str:
    """Return the path in the crate: a folder of its own, since names are not unique."""
    return f"data/{id_.rpartition(':')[2]}/{path.name}"


def _to_zip(target: Path, texts: Mapping[str, str], files: Mapping[str, Path]) -> None:
    with (
        _partial(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, text in texts.items():
            archive.writestr(name, text)
        for name, path in files.items():
            archive.write(path, name)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give the name to write to; what is whole gets the name that was asked for."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _to_folder(target: Path, texts: Mapping[str, str], files: Mapping[str, Path]) -> None:
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty: name a folder that is not there yet")
    target.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        (target / name).parent.mkdir(parents=True)
        shutil.copyfile(path, target / name)
    for name, text in texts.items():
        (target / name).write_text(text, encoding="utf-8")
