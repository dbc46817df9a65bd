"""W3C PROV documents: read whole (PROV-JSON, PROV-N, PROV-XML), made again, written (also RDF).

`read_prov` gives both what the record keeps as relations (activities, entities, what was used
and generated) and every record of the document as a `Statement`, from which `document_to_prov`
makes the document again, equal to the original.
"""

import gc
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.constants import PROV_ATTR_ENTITY
from prov.model import ProvBundle, ProvDocument, ProvMembership, ProvRecord

from provmanager.errors import DocumentError, UsageError
from provmanager.ids import sha256_hex
from provmanager.model import Document, Statement

from .note_book import NoteBook
from .prov_compare import difference
from .prov_model import relations_of
from .prov_parse import Match, matches, matches_json, parse
from .prov_statements import from_statements, to_statements
from .prov_turtle import plain_turtle
from .prov_xml_names import with_valid_names

__all__ = ["Match", "document_to_prov", "matches", "matches_json", "read_prov", "write"]

_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {  # Any: options of prov's writers
    "prov-json": ("json", {"indent": 1}),
    "prov-n": ("provn", {}),
    "prov-xml": ("xml", {}),
    "turtle": ("rdf", {"rdf_format": "turtle"}),
    "json-ld": ("jsonld", {"indent": 1, "context": "embed"}),  # readable without network
}
_READ_BY_PROV: dict[str, dict[str, str]] = {  # what `parse` takes not
    "turtle": {"format": "rdf", "rdf_format": "turtle"},
    "json-ld": {"format": "jsonld"},
}


def read_prov(data: bytes, *, name: str | None = None) -> Document:
    """Return all that the W3C PROV document `data` states.

    Parameters
    ----------
    data : bytes
        PROV-JSON, PROV-N or PROV-XML; which of them is seen from the content.

    name : str, optional
        What the document is called; errors carry it.

    Raises
    ------
    UnrecognisedFormatError
        It is none of the three.
    DocumentError
        It cannot be read whole (``line``, ``column``, ``offset`` or JSON ``pointer``).
    """
    notes = NoteBook()
    try:
        document, match = parse(data, notes)
        statements, namespaces = to_statements(document)
        relations = relations_of(
            document,
            digest=sha256_hex(data),
            format=match.format,
            reason=match.reason,
            notes=notes,
        )
    except DocumentError as error:
        if name:
            error.details.setdefault("name", name)
        raise
    return replace(relations, statements=statements, namespaces=namespaces, notes=notes.to_tuple())


def document_to_prov(
    document: Document | None = None,
    *,
    statements: Sequence[Statement] = (),
    namespaces: Mapping[str, str] | None = None,
) -> ProvDocument:
    """Return the W3C PROV document that was read, made again from its statements.

    Parameters
    ----------
    document : Document, optional
        What `read_prov` gave; or give its `statements` and `namespaces`.

    Raises
    ------
    DocumentError
        The statements are not those of a document.
    """
    if document is not None:
        return from_statements(document.statements, document.namespaces)
    return from_statements(statements, namespaces or {})


def write(document: ProvDocument, format: str) -> bytes:
    """Return `document` as `format`: prov-json, prov-n, prov-xml, turtle or json-ld.

    Raises
    ------
    UsageError
        There is no such format, or it cannot express something that stands in the document
        (PROV-XML no control character, PROV-N no space in an identifier, PROV-JSONLD no
        mentionOf, Turtle no bundle); PROV-JSON can.
    """
    if format not in _WRITERS:
        raise UsageError(
            f"{format!r} is no format of W3C PROV that can be written",
            found=format,
            expected=sorted(_WRITERS),
        )
    plain = plain_turtle(document) if format == "turtle" else None
    if plain is not None:
        return plain
    name, options = _WRITERS[format]
    written = _with_single_members(document)
    stream = io.BytesIO()
    with collect_warnings() as collected:
        try:
            written.serialize(stream, format=name, **options)
        except (ProvLibraryError, ValueError) as error:
            raise UsageError(
                f"the document cannot be written as {format}: {error}; take prov-json",
                found=format,
            ) from error
        data = stream.getvalue()
        if format == "prov-xml":
            data = with_valid_names(data)
        lost = collected[0][0] if collected else _lost(written, data, format)
    if lost:
        raise UsageError(
            f"{format} cannot express this document: {lost}; take prov-json", found=format
        )
    return data


def _lost(document: ProvDocument, data: bytes, format: str) -> str | None:
    """Return what reads differently in `data` than it stood in `document`, or None.

    The writers of `prov` leave out what a format cannot express, such as the default namespace of
    a bundle in PROV-XML, without a word.
    """
    if format == "prov-json":
        return None
    try:
        if format == "turtle":
            gc.collect()  # the graph that was written is cycles, and as large as the one to come
        if format in _READ_BY_PROV:
            again = ProvDocument.deserialize(content=data, **_READ_BY_PROV[format])
        else:
            again, _ = parse(data, NoteBook())
    except (DocumentError, ProvLibraryError, ValueError) as error:
        return f"it cannot be read again: {error}"
    return difference(document, again)


def _with_single_members(document: ProvDocument) -> ProvDocument:
    """Return `document`, with one hadMember a member.

    PROV-XML lets one hadMember name several members; the writers of `prov` write only the first.
    """
    bundles = [document, *document.bundles]
    if not any(_has_several_members(bundle) for bundle in bundles):
        return document
    with collect_warnings():
        copy = ProvDocument(namespaces=list(document.get_registered_namespaces()))
        for bundle in bundles:
            target: ProvBundle = copy
            if bundle.identifier is not None:
                target = copy.bundle(bundle.identifier)
            default = bundle.get_default_namespace()
            if default:
                target.set_default_namespace(default.uri)
            for namespace in bundle.get_registered_namespaces():
                target.add_namespace(namespace)
            for record in bundle.records:
                _copy_record(record, target)
    return copy


def _has_several_members(bundle: ProvBundle) -> bool:
    return any(
        sum(name == PROV_ATTR_ENTITY for name, _ in record.attributes) > 1
        for record in bundle.get_records(ProvMembership)
    )


def _copy_record(record: ProvRecord, target: ProvBundle) -> None:
    members = [v for name, v in record.attributes if name == PROV_ATTR_ENTITY]
    if not isinstance(record, ProvMembership) or len(members) < 2:
        target.new_record(record.get_type(), record.identifier, record.attributes)
        return
    others = [(name, value) for name, value in record.attributes if name != PROV_ATTR_ENTITY]
    for member in members:
        target.new_record(
            record.get_type(), record.identifier, [*others, (PROV_ATTR_ENTITY, member)]
        )
