"""Names in PROV-XML as its schema wants them: ``xs:QName``, whose local part begins with a letter.

PROV allows ``uuid:42e810aa``; XML Schema does not. The same IRI with the cut elsewhere is valid:
``n:e810aa`` where ``n`` is ``urn:uuid:42``. A name without any letter after its last ``/`` or
``#``, such as an ORCID, has no such cut; it is left, since PROV-XML has no other place for it.
"""

import re

from lxml import etree

from .prov_terms import PROV

_NAMES = (f"{{{PROV}}}id", f"{{{PROV}}}ref")
_NCNAME_END = re.compile(r"[^\W\d][\w.\-]*\Z")
_PREFIX = "n"


def with_valid_names(data: bytes) -> bytes:
    """Return the PROV-XML `data` with the same IRIs as QNames that XML Schema allows."""
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, huge_tree=True))
    for element in [*root.iter(etree.Element)]:
        for attribute in _NAMES:
            name = element.get(attribute)
            if name is not None:
                _rename(element, attribute, name)
    written: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def _rename(element: "etree._Element", attribute: str, name: str) -> None:
    prefix, colon, local = name.partition(":")
    if not colon:
        prefix, local = "", name
    end = _NCNAME_END.search(local)
    if end is None or end.start() == 0:
        return
    namespaces = element.nsmap
    space = namespaces.get(prefix or None)
    if space is None:
        return
    uri = space + local[: end.start()]
    known = next((p for p, bound in namespaces.items() if p and bound == uri), None)
    if known is not None:  # lxml would drop a second prefix for it
        element.set(attribute, f"{known}:{end[0]}")
        return
    declared = _PREFIX
    while declared in namespaces:
        declared += _PREFIX
    try:
        again = etree.Element(element.tag, nsmap={declared: uri})
    except ValueError:  # no URI up to there, so that no cut is valid
        return
    again.attrib.update(element.attrib)
    again.set(attribute, f"{declared}:{end[0]}")
    again.text, again.tail = element.text, element.tail
    again.extend([*element])
    element.getparent().replace(element, again)
