"""A Workflow Run RO-Crate as a zip file or a folder, with the files that can be had."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provmanager.errors import UsageError

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
        Whether the files themselves go in, those that lie here with the recorded bytes.
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
    for item in files_of(crate) if with_content else ():
        place, reason = _readable(item, moved)
        if place is not None:
            found[item["@id"]] = place
        else:
            n_missing += 1
            tell(f"left out: {item['name']} ({item['@id']}): {reason}")
    names = {id_: _name_inside(id_, path) for id_, path in found.items()}
    crate = with_files(crate, names)
    files = {names[id_]: path for id_, path in found.items()}
    write = _to_folder if target.endswith("/") or Path(target).is_dir() else _to_zip
    try:
        write(Path(target), {METADATA_FILE: crate_text(crate)}, files)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    return len(found), n_missing


def _readable(item: Mapping[str, Any], moved: Prefixes) -> tuple[Path | None, str]:  # Any: JSON-LD
    """Return where a file of the crate lies here, or None and why it cannot go in."""
    from provmanager.client.verification import local_path
    from provmanager.ids import file_sha256

    location = item.get("contentUrl")
    if location is None:
        return None, "no place of it is recorded"
    path = local_path(location, moved)
    if path is None:
        return None, f"{location} is no place of this machine (--map says where it lies)"
    try:
        if not path.is_file():
            return None, f"it is not at {path}"
        digest = file_sha256(path)
    except OSError as error:
        return None, f"{path} cannot be read: {error.strerror}"
    recorded = item.get("sha256")
    if recorded is None:
        return None, f"the record has no SHA-256 to check {path} by"
    if digest != recorded:
        return None, f"{path} has the SHA-256 {digest}, and recorded is {recorded}"
    return path, ""


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
