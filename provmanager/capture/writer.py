"""Where records go: one JSON object a line, each appended with a single write."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_UNSAFE = re.compile(r"[^\w.+-]+")


def record_path(
    target: str | os.PathLike[str] | None, *, name: str, activity_id: str, directory: str
) -> str:
    """Return the absolute path of the file for a record.

    Parameters
    ----------
    target : path or None
        A file (records are appended); a folder, existing or ending in a slash (one file an
        activity); None for ``<name>.prov.json`` in `directory`.
    """
    safe = _UNSAFE.sub("_", name).strip("._") or "activity"
    if target is None:
        return os.path.join(directory, f"{safe}.prov.json")
    path = os.path.join(directory, os.fspath(target))
    if os.fspath(target).endswith(os.sep) or os.path.isdir(path):
        return os.path.join(path, f"{safe}.{activity_id}.prov.json")
    return path


def append_record(path: str, record: Mapping[str, Any]) -> None:  # Any: free-form JSON
    """Append `record` as one line to the file at `path`, with one write.

    Raises
    ------
    OSError
        The file cannot be opened, or not all of the line could be written.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    line = text.encode("utf-8", "replace") + b"\n"
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if not _ends_a_line(path):
            line = b"\n" + line  # a torn line before ours must not take ours with it
        n_written = os.write(handle, line)
        if n_written != len(line):
            raise OSError(f"only {n_written} of {len(line)} bytes could be written")
    finally:
        os.close(handle)


def rescue_path(path: str, activity_id: str) -> str:
    """Return where a record goes that could not be written to `path`: the temporary folder."""
    import tempfile  # 2 ms: not when the package is imported

    stem = Path(path).name.removesuffix(".prov.json")
    return os.path.join(tempfile.gettempdir(), f"{stem}.{activity_id}.prov.json")


def _ends_a_line(path: str) -> bool:
    """Whether the regular file at `path` is empty or ends with a newline."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) == 0:
            return True
        with open(path, "rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
    except OSError:
        return True
