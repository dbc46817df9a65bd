"""Which storage, and how files are named in it: an object of the options of the grid."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from provmanager.errors import JSONDict, UsageError

from .interface import StorageElement
from .lfn import LfnTemplate

OFFERED = ("file", "output", "pipeline", "run", "job", "owner")
"""Fields that every template has: known when a file is stored."""

ANY_OUTPUT = "*"


@dataclass(frozen=True, kw_only=True)
class StorageOptions:
    """A storage, and the templates of the LFNs of what is stored in it.

    Attributes
    ----------
    kind : str
        ``directory``, ``s3`` or ``dirac``.
    place : dict
        What the kind needs to know: ``path``; ``bucket``, ``endpoint``, ``prefix``, ``region``,
        ``credentials`` and ``profile``; ``elements``, ``catalogs`` and ``environment``.
    lfn : dict
        Templates by the name of the workflow's output; ``*`` for all others. Outputs without
        a template are not stored.
    fields : dict
        Values of the templates' fields.
    """

    kind: str
    place: JSONDict = field(default_factory=dict)
    lfn: Mapping[str, str] = field(default_factory=dict)
    fields: JSONDict = field(default_factory=dict)

    @classmethod
    def read(cls, told: Any, where: str) -> Self:  # Any: JSON
        """Read them from an object; `where` says in messages where it stands.

        Raises
        ------
        UsageError
            A key is unknown or missing, or a value of the wrong type.
        """
        if not isinstance(told, Mapping) or told.get("kind") not in _KINDS:
            raise UsageError(f"{where}: expected an object with a kind of {', '.join(_KINDS)}")
        kind = str(told["kind"])
        needed, optional = _KINDS[kind]
        known = {"kind", "lfn", "fields", *needed, *optional}
        unknown = sorted(set(told) - known)
        missing = sorted(set(needed) - set(told))
        if unknown or missing:
            raise UsageError(
                f"{where}: storage of kind {kind}: "
                + " and ".join(
                    f"{word} {', '.join(names)}"
                    for word, names in (("unknown:", unknown), ("missing:", missing))
                    if names
                )
            )
        templates = told.get("lfn", {})
        if isinstance(templates, str):
            templates = {ANY_OUTPUT: templates}
        for name, value in (("lfn", templates), ("fields", told.get("fields", {}))):
            if not isinstance(value, Mapping):
                raise UsageError(f"{where}: {name} is {value!r}: expected an object")
        place = {k: v for k, v in told.items() if k in (*needed, *optional)}
        for name, value in place.items():
            _check_place(where, name, value)
        return cls(kind=kind, place=place, lfn=dict(templates), fields=dict(told.get("fields", {})))

    def dump(self) -> JSONDict:
        """Return what `read` reads."""
        told = asdict(self)
        return {**told.pop("place"), **told}

    def templates(self, inputs: Iterable[str]) -> dict[str, LfnTemplate]:
        """Return the templates by output; fields may also be inputs of the workflow.

        Raises
        ------
        UsageError
            A template has a field that there is not.
        """
        offered = (*OFFERED, *inputs)
        return {name: LfnTemplate(text, self.fields, offered) for name, text in self.lfn.items()}


_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "directory": (("path",), ()),
    "s3": (("bucket",), ("endpoint", "prefix", "region", "credentials", "profile")),
    "dirac": (("elements",), ("catalogs", "environment")),
}
"""Kind -> what it needs, and what it may be told."""

_LISTS = ("elements", "catalogs")


def _check_place(where: str, name: str, value: object) -> None:
    if name in _LISTS:
        if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
            return
        raise UsageError(f"{where}: {name} is {value!r}: expected a list of names")
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where}: {name} is {value!r}: expected a text")


def make_storage(options: StorageOptions) -> StorageElement:
    """Return the storage, after a look whether it is there.

    Raises
    ------
    UsageError
        What it needs is not installed here, or it is not there.
    UnavailableError
        It does not answer.
    """
    return _MAKERS[options.kind](options.place)


def _directory(place: JSONDict) -> StorageElement:
    from .directory import DirectoryStorage

    return DirectoryStorage(**place)


def _s3(place: JSONDict) -> StorageElement:
    from .s3 import S3Storage

    return S3Storage(**place)


def _dirac(place: JSONDict) -> StorageElement:
    from .datamanager import DataManagerStorage

    return DataManagerStorage(**place)


_MAKERS: dict[str, Callable[[JSONDict], StorageElement]] = {
    "directory": _directory,
    "s3": _s3,
    "dirac": _dirac,
}
