"""Documents that a command line names, before and after they are read."""

from dataclasses import dataclass
from pathlib import Path

from provmanager.errors import ProvError


@dataclass(frozen=True, slots=True)
class Source:
    """One document to be read.

    Attributes
    ----------
    name : str
        As the person named it, for messages.
    path : Path or None
        None for standard input.
    is_sought : bool
        True where it was found in a folder, and may turn out to be no provenance at all.
    """

    name: str
    path: Path | None
    is_sought: bool = False

    @property
    def file_name(self) -> str:
        """The name that goes with the document."""
        return self.path.name if self.path else ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A source with its bytes, or with the error that kept it from being read."""

    source: Source
    data: bytes
    error: ProvError | None = None
