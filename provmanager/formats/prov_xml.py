"""PROV-XML to a W3C PROV document, with the line of what is wrong.

The XML is parsed here, without document types, entities or network, and handed to `prov` one
record at a time.
"""

import re

from lxml import etree
from prov import Error as ProvLibraryError
from prov.model import ProvBundle, ProvDocument
from prov.serializers.provxml import (
    FULL_PROV_RECORD_IDS_MAP,
    ProvXMLSerializer,
    xml_qname_to_QualifiedName,
)

from provmanager.errors import DocumentError, DocumentTooDeepError, UnrecognisedFormatError

from .note_book import NoteBook
from .prov_notes import warnings_as_notes
from .prov_terms import PROV

_NS = PROV
_ROOT = f"{{{_NS}}}document"
_BUNDLE = f"{{{_NS}}}bundleContent"
_OTHER = f"{{{_NS}}}other"
_ID = f"{{{_NS}}}id"
_REF = f"{{{_NS}}}ref"
_DEPTH = re.compile(r"depth", re.IGNORECASE)


def parse_xml(data: bytes, notes: NoteBook) -> ProvDocument:
    """Return the W3C PROV document that the PROV-XML `data` holds.

    Raises
    ------
    DocumentError
        It is not well-formed, declares a document type, or is not PROV-XML (``line``,
        ``column``).
    UnrecognisedFormatError
        It is XML, but its root is not ``prov:document``.
    """
    root = load_xml(data)
    if root.tag != _ROOT:
        raise UnrecognisedFormatError(
            f"XML whose root is {root.tag}; that of PROV-XML is {_ROOT}",
            found=root.tag,
            expected=_ROOT,
            line=root.sourceline,
        )
    document = ProvDocument()
    for element in root:
        if element.tag == _BUNDLE:
            _read_bundle(element, document, notes)
        else:
            _read_record(element, document, notes)
    return document


def load_xml(data: bytes) -> "etree._Element":
    """Return the root of the XML `data`, which may neither fetch nor hide anything.

    Raises
    ------
    DocumentError
        It is not well-formed, or declares a document type.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        if _DEPTH.search(str(error)):
            raise DocumentTooDeepError(
                f"line {line}: nested deeper than can be read; PROV-XML needs five levels",
                line=line,
                column=column,
            ) from error
        raise DocumentError(
            f"not well-formed XML: {error.msg}", line=line, column=column
        ) from error
    except ValueError as error:  # an encoding that lxml does not know
        raise DocumentError(f"not XML that can be read: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise DocumentError(
            "the XML declares a document type (<!DOCTYPE …>), which can hide entities; remove it:"
            " PROV-XML needs none",
            line=1,
        )
    return root


def _read_bundle(element: "etree._Element", document: ProvDocument, notes: NoteBook) -> None:
    line = element.sourceline
    if _ID not in element.attrib:
        raise DocumentError(f"line {line}: a bundleContent needs a prov:id", line=line)
    with warnings_as_notes(notes, line=line):
        try:
            bundle = document.bundle(xml_qname_to_QualifiedName(element, element.attrib[_ID]))
        except (ProvLibraryError, ValueError) as error:
            raise DocumentError(f"line {line}: {error}", line=line) from error
    for child in element:
        if child.tag == _BUNDLE:
            raise DocumentError(
                f"line {child.sourceline}: a bundle holds no bundles", line=child.sourceline
            )
        _read_record(child, bundle, notes)


def _read_record(element: "etree._Element", bundle: ProvBundle, notes: NoteBook) -> None:
    line = element.sourceline
    name = etree.QName(element)
    if name.namespace != _NS or (
        element.tag != _OTHER and name.localname not in FULL_PROV_RECORD_IDS_MAP
    ):
        raise DocumentError(
            f"line {line}: {element.tag} is no record of PROV-XML", line=line, found=element.tag
        )
    for child in element:
        if len(child) and element.tag != _OTHER and _REF not in child[0].attrib:
            notes.add(
                "nested-content",
                f"the elements inside {child.tag} are no attribute value; only its text is kept",
                f"line {child.sourceline}",
            )
    with warnings_as_notes(notes, line=line):
        try:
            ProvXMLSerializer().deserialize_subtree([element], bundle)
        except (ProvLibraryError, ValueError, TypeError) as error:
            # TypeError: prov takes an empty xsd:QName for a string.
            raise DocumentError(
                f"line {line}: the {name.localname} cannot be read: {error}", line=line
            ) from error
