"""What a person names to have it verified, as far as it lies on this machine."""

from dataclasses import dataclass, field
from pathlib import Path

from provmanager.client.findings import Finding


@dataclass(frozen=True, slots=True)
class Place:
    """A name, the files that it stands for here, and what is wrong with it here.

    Where it has neither, it is the name of something in the record.
    """

    target: str
    files: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def place_of(target: str) -> Place:
    """Return what `target` is on this machine: a file, a folder with files, or nothing."""
    path = Path(target)
    try:
        if path.is_file():
            return Place(target, [path])
        if not target or not (path.exists() or path.is_symlink()):
            return Place(target)
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() or p.is_symlink())
            said = [] if files else [Finding("file", target, "unknown", "a folder without files")]
            return Place(target, [p for p in files if not p.is_dir()], said)
    except (OSError, ValueError) as error:  # a name that is none of a file
        text = f"cannot be read: {error.strerror}" if isinstance(error, PermissionError) else ""
        said = [Finding("file", target, "missing", text)] if text else []
        return Place(target, [], said)
    if path.is_symlink():
        text = f"a link to {path.readlink()}, which is not there"
        return Place(target, [], [Finding("file", target, "missing", text)])
    text = "neither a file nor a folder: there is nothing to hash"
    return Place(target, [], [Finding("file", target, "unknown", text)])
