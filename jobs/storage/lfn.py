"""Logical file names (LFNs), and the templates that lay them out.

An LFN is a path that begins with the name of the virtual organisation: ``/vo/…/file``. A template
is one with fields in braces, as CTADIRAC's production layout (ProdDataManager and
cta-prod-managedata of CTADIRAC 3)::

    {base}/{campaign}/{site}/{particle}/{pipeline}/{production}/Data/{run_block}/{file}
"""

import re
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from provmanager.errors import UsageError

_REFUSED = re.compile(r"[\x00-\x1f\x7f\\\"*?;{}\[\]]|//|/\.\.?(/|$)")
_PATTERN = "match:"
RUN_BLOCK, RUN_NUMBER = "run_block", "run_number"


def is_lfn(place: str) -> bool:
    """Return whether a location says that it is an LFN: ``LFN:/vo/…``."""
    return place[:4].lower() == "lfn:"


def normal_lfn(name: str) -> str:
    """Return the path of an LFN, ``/vo/…/file``, given with or without ``LFN:``.

    Raises
    ------
    UsageError
        It is none.
    """
    path = name[4:] if is_lfn(name) else name
    path = "/" + path.lstrip("/") if is_lfn(name) and path.startswith("//") else path
    if not path.startswith("/") or path.count("/") < 2 or path.endswith("/"):
        raise UsageError(f"{name!r} is no LFN: expected /vo/…/file")
    found = _REFUSED.search(path)
    if found:
        raise UsageError(f"{name!r} is no LFN: {found[0]!r} may not be in it")
    return path


def run_block(run_number: int) -> str:
    """Return the folder of a run's thousand, as CTADIRAC names it: 12345 is in ``012xxx``."""
    return f"{run_number // 1000:03d}xxx"


class LfnTemplate:
    """A template of LFNs with the values of its fields.

    Parameters
    ----------
    text : str
        An LFN with fields: ``{base}/{campaign}/{run_block}/{file}``.
    fields : mapping
        Values of fields, texts or numbers. ``match:PATTERN`` is a regular expression with one
        group, which is looked for in the name of the file.
    offered : iterable of str
        Fields that are known only when a file is named.

    ``run_block`` follows from ``run_number``, if that is one of the fields.

    Raises
    ------
    UsageError
        A field is unknown, or a value cannot be used.
    """

    def __init__(self, text: str, fields: Mapping[str, Any], offered: Iterable[str]) -> None:
        self.text = text
        self._fields = dict(fields)
        known = {*fields, *offered}
        if RUN_NUMBER in known:
            known.add(RUN_BLOCK)
        self._names = _names_in(text)
        for name in self._names:
            if name not in known:
                more = f"; {RUN_BLOCK} needs the field {RUN_NUMBER}" if name == RUN_BLOCK else ""
                raise UsageError(
                    f"LFN template {text!r}: there is no field {name!r}; there are: "
                    f"{', '.join(sorted(known))}{more}",
                    found=name,
                    expected=sorted(known),
                )
        for name, value in self._fields.items():
            _check_value(name, value)
        if "file" not in self._names:
            raise UsageError(
                f"LFN template {text!r}: without {{file}} all files would have one name"
            )

    def lfn(self, file: str, **values: Any) -> str:  # Any: texts and numbers
        """Return the LFN for a file of that name.

        Raises
        ------
        UsageError
            A pattern does not match its name, or what comes out is no LFN.
        """
        name = file.rpartition("/")[2]
        known: dict[str, Any] = {**values, "file": file}
        known |= {k: _value(k, v, name) for k, v in self._fields.items() if self._needs(k)}
        if RUN_BLOCK in self._names and RUN_BLOCK not in known:
            known[RUN_BLOCK] = run_block(_whole(known.get(RUN_NUMBER), file))
        made = self.text.format_map({name: known[name] for name in self._names})
        try:
            return normal_lfn(made)
        except UsageError as error:
            raise UsageError(f"LFN template {self.text!r}: {error.message}") from error

    def _needs(self, name: str) -> bool:
        return name in self._names or (name == RUN_NUMBER and RUN_BLOCK in self._names)


def _names_in(text: str) -> set[str]:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"LFN template {text!r}: {error}") from error
    names = {name for _, name, _, _ in parts if name is not None}
    for _, name, form, conversion in parts:
        if name is not None and (form or conversion or not name.isidentifier()):
            raise UsageError(f"LFN template {text!r}: expected {{name}}, found {{{name}…}}")
    return names


def _check_value(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"LFN field {name}: expected a text or number, found {value!r}")
    if isinstance(value, str) and value.startswith(_PATTERN):
        try:
            groups = re.compile(value.removeprefix(_PATTERN)).groups
        except re.error as error:
            raise UsageError(f"LFN field {name}: {value!r} is no pattern: {error}") from error
        if groups != 1:
            raise UsageError(f"LFN field {name}: {value!r} has {groups} groups, expected one")


def _value(name: str, value: Any, file: str) -> Any:  # Any: texts and numbers
    if not (isinstance(value, str) and value.startswith(_PATTERN)):
        return value
    pattern = value.removeprefix(_PATTERN)
    found = re.search(pattern, file)
    if found is None or found[1] is None:
        raise UsageError(f"LFN field {name}: {pattern!r} does not match the file name {file!r}")
    return found[1]


def _whole(value: object, file: str) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise UsageError(f"{RUN_NUMBER} of {file} is {value!r}: expected a whole number") from error
