"""PROV-JSON to a W3C PROV document, with the place of what is wrong.

`prov` decodes each record; what it would take silently or fail on without a place (a nested list,
a blank node for an element) is looked for here first.
"""

from collections.abc import Iterator
from types import NoneType
from typing import Any

from prov import Error as ProvLibraryError
from prov.constants import PROV_ATTRIBUTES_ID_MAP, PROV_RECORD_IDS_MAP
from prov.model import ProvBundle, ProvDocument
from prov.serializers.provjson import decode_json_container

from provmanager.errors import DocumentError

from .json_fields import child, wrong
from .note_book import NoteBook
from .prov_notes import warnings_as_notes

JSONValue = Any  # whatever json.loads gives

SECTIONS = frozenset(PROV_RECORD_IDS_MAP) - {"bundle"}
"""The keys of a PROV-JSON container that hold records."""
_ELEMENTS = frozenset(("entity", "activity", "agent"))
_VALUE_KEYS = {"$", "type", "lang"}


def parse_json(container: JSONValue, notes: NoteBook) -> ProvDocument:
    """Return the W3C PROV document that `container`, a loaded PROV-JSON document, is.

    Raises
    ------
    DocumentError
        Something in it is not PROV-JSON (``pointer``), or would be lost.
    """
    _object_at(container, "")
    document = ProvDocument()
    bundles = container.get("bundle", {})
    _object_at(bundles, "/bundle")
    records = {key: value for key, value in container.items() if key != "bundle"}
    _decode_container(records, document, "", notes)
    for name, content in bundles.items():
        pointer = child("/bundle", name)
        _object_at(content, pointer)
        bundle = ProvBundle(document=document)
        _decode_container(content, bundle, pointer, notes)
        with warnings_as_notes(notes, pointer):
            try:
                document.add_bundle(bundle, bundle.valid_qualified_name(name))
            except (ProvLibraryError, ValueError) as error:
                raise DocumentError(
                    f"the bundle {name!r} cannot be read: {error}", pointer=pointer
                ) from error
    return document


def _decode_container(
    container: dict[str, JSONValue], bundle: ProvBundle, pointer: str, notes: NoteBook
) -> None:
    if "prefix" in container:
        _check_prefixes(container["prefix"], f"{pointer}/prefix")
        decode_json_container({"prefix": container["prefix"]}, bundle)
    for section, records in container.items():
        if section == "prefix":
            continue
        place = child(pointer, section)
        if section not in SECTIONS:
            raise DocumentError(
                f"{section!r} is no section of PROV-JSON"
                + (": a bundle holds no bundles" if section == "bundle" else ""),
                pointer=place,
                found=section,
                expected=sorted(SECTIONS),
            )
        _object_at(records, place)
        for identifier, content in records.items():
            _decode_record(section, identifier, content, bundle, child(place, identifier), notes)


def _decode_record(
    section: str,
    identifier: str,
    content: JSONValue,
    bundle: ProvBundle,
    pointer: str,
    notes: NoteBook,
) -> None:
    _check_record(section, identifier, content, pointer)
    with warnings_as_notes(notes, pointer):
        try:
            if not identifier.startswith("_:") and bundle.valid_qualified_name(identifier) is None:
                _note_unresolved(section, identifier, pointer, notes)
            decode_json_container({section: {identifier: content}}, bundle)
        except (ProvLibraryError, ValueError) as error:
            raise DocumentError(
                f"the {section} {identifier!r} cannot be read: {error}", pointer=pointer
            ) from error


def _note_unresolved(section: str, identifier: str, pointer: str, notes: NoteBook) -> None:
    reason = f"the identifier {identifier!r} of a {section} has a prefix that is not declared"
    if section in _ELEMENTS:
        raise DocumentError(reason, pointer=pointer, found=identifier)
    notes.add("unresolved-identifier", f"{reason}; the relation is kept without it", pointer)


def _check_record(section: str, identifier: str, content: JSONValue, pointer: str) -> None:
    if section in _ELEMENTS and identifier.startswith("_:"):
        raise DocumentError(
            f"the {section} {identifier!r} is a blank node; PROV-JSON names an element by a"
            " qualified name",
            pointer=pointer,
            found=identifier,
        )
    instances = content if isinstance(content, list) else [content]
    for number, instance in enumerate(instances):
        place = f"{pointer}/{number}" if isinstance(content, list) else pointer
        _object_at(instance, place)
        for name, values in instance.items():
            if isinstance(values, dict | list):
                for value, step in _each(values):
                    _check_value(name, value, child(place, name) + step)


def _check_value(name: str, value: JSONValue, pointer: str) -> None:
    if isinstance(value, list):
        raise DocumentError(
            f"the attribute {name!r} holds a list in a list; its values are scalars or"
            ' {"$", "type", "lang"}',
            pointer=pointer,
        )
    if not isinstance(value, dict):
        return
    if name in PROV_ATTRIBUTES_ID_MAP and not name.lower().endswith("time"):
        raise DocumentError(
            f"the attribute {name!r} refers to a record by its name, a string; found an object",
            pointer=pointer,
        )
    if isinstance(value.get("$"), dict | list | NoneType):
        raise DocumentError(
            f'the value of {name!r} needs its text in "$"',
            pointer=pointer,
            found=sorted(value),
            expected=sorted(_VALUE_KEYS),
        )
    for key in ("type", "lang"):
        if not isinstance(value.get(key, ""), str):
            raise DocumentError(f"{key!r} is not a string", pointer=f"{pointer}/{key}")


def _check_prefixes(prefixes: JSONValue, pointer: str) -> None:
    _object_at(prefixes, pointer)
    for prefix, uri in prefixes.items():
        if not isinstance(uri, str) or not uri.strip():
            raise DocumentError(
                f"the prefix {prefix!r} is bound to {uri!r}; it needs a namespace IRI",
                pointer=child(pointer, prefix),
            )


def _object_at(value: JSONValue, pointer: str) -> None:
    if not isinstance(value, dict):
        raise wrong(pointer, "an object", value)


def _each(values: JSONValue) -> Iterator[tuple[JSONValue, str]]:
    if isinstance(values, list):
        for number, value in enumerate(values):
            yield value, f"/{number}"
    else:
        yield values, ""
