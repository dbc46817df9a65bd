"""W3C PROV documents as rows of plain JSON, and back.

A `Statement` is one record of a document: its type, its identifier and its attributes as a list
of ``[name, value]``. It is made so that PostgreSQL's jsonb keeps it: no object whose key order
matters, no number (``1.0`` and ``1`` are the same to jsonb), no NUL character. A value is

- a string or a boolean, as PROV-JSON writes them; a reference or an instant in a formal attribute
  (``prov:entity``, ``prov:startTime``, …) is a string too;
- ``{"$": text, "type": datatype}``: a typed literal; a qualified name is one of ``xsd:QName``, an
  IRI one of ``xsd:anyURI``, a number one of ``xsd:int``, ``xsd:double`` and so on;
- ``{"$": text, "lang": tag}``: text in a language;
- with ``"opaque": true``: a literal of a name type that resolved to no name;
- with ``"escaped": true``: ``$`` is the text as a JSON string, because it holds a NUL character
  or a lone surrogate.

A qualified name is ``prefix:local`` (split at the first colon), or ``local`` in the default
namespace (``:local`` where the local part is empty or has a colon). Prefixes stand in
`Document.namespaces`: ``""`` is the default namespace, and a prefix of one bundle is
``"<bundle> <prefix>"``. A bundle is announced by a statement of type ``Bundle``.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prov import Error as ProvLibraryError
from prov._warnings import collect_warnings
from prov.constants import (
    PROV,
    PROV_ATTRIBUTE_LITERALS,
    PROV_ATTRIBUTE_QNAMES,
    PROV_INTERNATIONALIZEDSTRING,
    PROV_QUALIFIEDNAME,
    XSD,
    XSD_ANYURI,
    XSD_QNAME,
    XSI,
)
from prov.identifier import Identifier, Namespace, QualifiedName
from prov.model import (
    PROV_REC_CLS,
    Literal,
    ProvBundle,
    ProvDocument,
    ProvRecord,
    canonical_xsd_datatype,
)

from provmanager.errors import DocumentError
from provmanager.model import Statement

JSONValue = Any  # a JSON scalar, or an object as the module's docstring says

BUNDLE = "Bundle"
_BUILTIN = {"prov": PROV, "xsd": XSD, "xsi": XSI}
_USABLE_PREFIX = re.compile(r"[^\s:\x00\ud800-\udfff]+")
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_NAME_TYPES = frozenset((XSD_QNAME, PROV_QUALIFIEDNAME))


class Scope:
    """The prefixes of a document, or of one bundle inside its document.

    Each prefix stands for one namespace; a name whose prefix is bound to another one gets a
    prefix of its own, so that every text resolves to the name that it was made from.
    """

    def __init__(
        self, namespaces: Iterable[Namespace] = (), *, parent: "Scope | None" = None
    ) -> None:
        self.prefixes: dict[str, Namespace] = {}
        self._parent = parent
        self._chosen: dict[Namespace, str] = {}
        for namespace in namespaces:
            prefix = namespace.prefix or ""
            if prefix in self.prefixes or not _is_bindable(prefix):
                self._prefix(namespace)
            else:  # may hide the document's own prefix
                self._bind(prefix, namespace)

    def text(self, name: QualifiedName) -> str:
        """Return the text of `name`; `resolve` gives the name again.

        Raises
        ------
        DocumentError
            The name holds a NUL character or a lone surrogate: no identifier may.
        """
        prefix = self._prefix(name.namespace)
        local = name.localpart
        if prefix:
            text = f"{prefix}:{local}"
        else:
            text = f":{local}" if not local or ":" in local else local
        if _UNSAFE.search(text):
            raise DocumentError(
                f"the name {text!r} holds a NUL character or a lone surrogate, which no"
                " identifier may",
                found=text.encode("unicode_escape").decode(),
            )
        return text

    def resolve(self, text: str) -> QualifiedName | None:
        """Return the name that `text` stands for, or None where its prefix is unknown."""
        prefix, colon, local = text.partition(":")
        namespace = self._lookup(prefix if colon else "")
        return None if namespace is None else namespace[local if colon else text]

    def _lookup(self, prefix: str) -> Namespace | None:
        scope: Scope | None = self
        if prefix in _BUILTIN:
            return _BUILTIN[prefix]
        while scope is not None:
            if prefix in scope.prefixes:
                return scope.prefixes[prefix]
            scope = scope._parent
        return None

    def _prefix(self, namespace: Namespace) -> str:
        chosen = self._chosen.get(namespace)
        if chosen is None:
            chosen = self._chosen[namespace] = self._choose(namespace)
        return chosen

    def _choose(self, namespace: Namespace) -> str:
        prefix = namespace.prefix or ""
        if prefix and not _USABLE_PREFIX.fullmatch(prefix):
            prefix = "_".join(_USABLE_PREFIX.findall(prefix)) or "ns"
        bound = self._lookup(prefix)
        if bound is not None and bound.uri == namespace.uri:
            return prefix
        base, number = prefix or "dn", 0
        while bound is not None:
            number += 1
            prefix = f"{base}_{number}"
            bound = self._lookup(prefix)
        self._bind(prefix, namespace)
        return prefix

    def _bind(self, prefix: str, namespace: Namespace) -> None:
        if _UNSAFE.search(namespace.uri):
            raise DocumentError(
                f"the namespace of prefix {prefix!r} holds a NUL character or a lone surrogate",
                found=namespace.uri.encode("unicode_escape").decode(),
            )
        self.prefixes[prefix] = Namespace(prefix, namespace.uri)


def to_statements(document: ProvDocument) -> tuple[tuple[Statement, ...], dict[str, str]]:
    """Return the records of `document` and its bundles as statements, and its namespaces.

    Raises
    ------
    DocumentError
        A name holds a character that none may hold, or a value has no form in PROV.
    """
    top = Scope(_declared(document))
    statements = [_statement(record, None, top) for record in document.records]
    scopes: list[tuple[str, Scope]] = []
    for bundle in document.bundles:
        if bundle.identifier is None:
            raise DocumentError("a bundle has no identifier; name it")
        name = top.text(bundle.identifier)
        scope = Scope(_declared(bundle), parent=top)
        scopes.append((name, scope))
        statements.append(Statement(bundle=None, type=BUNDLE, identifier=name, attributes=()))
        statements.extend(_statement(record, name, scope) for record in bundle.records)
    namespaces = {prefix: ns.uri for prefix, ns in top.prefixes.items()}
    for name, scope in scopes:
        namespaces.update({f"{name} {p}": ns.uri for p, ns in scope.prefixes.items()})
    return tuple(statements), namespaces


def from_statements(statements: Sequence[Statement], namespaces: Mapping[str, str]) -> ProvDocument:
    """Return the W3C PROV document that `statements` were made from.

    Raises
    ------
    DocumentError
        A statement uses a prefix that `namespaces` lacks, or has a type that PROV has not.
    """
    # What prov has to say of a value was noted when the document was read.
    with collect_warnings():
        document = ProvDocument()
        top, scopes = scopes_of(namespaces)
        _declare(document, top)
        targets: dict[str | None, tuple[ProvBundle, Scope]] = {None: (document, top)}
        for statement in statements:
            if statement.type == BUNDLE and statement.identifier is not None:
                bundle = document.bundle(_resolved(top, statement.identifier))
                scope = scopes.get(statement.identifier) or Scope(parent=top)
                _declare(bundle, scope)
                targets[statement.identifier] = (bundle, scope)
            elif statement.bundle not in targets:
                raise DocumentError(
                    f"a statement stands in bundle {statement.bundle!r}, which no statement of"
                    " type 'Bundle' before it announces",
                    found=statement.bundle,
                )
            else:
                _add_record(statement, *targets[statement.bundle])
    return document


def encode_value(value: object, scope: Scope) -> JSONValue:
    """Return an attribute's value as JSON (see the module's docstring)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _escaped({"$": value}) if _UNSAFE.search(value) else value
    if isinstance(value, int):
        datatype = canonical_xsd_datatype(value)
        return {"$": str(value), "type": f"xsd:{datatype.localpart if datatype else 'integer'}"}
    if isinstance(value, float):
        return {"$": _double_text(value), "type": "xsd:double"}
    if isinstance(value, datetime):
        return {"$": value.isoformat(), "type": "xsd:dateTime"}
    if isinstance(value, QualifiedName):
        return {"$": scope.text(value), "type": "xsd:QName"}
    if isinstance(value, Identifier):
        return _escaped({"$": value.uri, "type": "xsd:anyURI"})
    if isinstance(value, Literal):
        return _encode_literal(value, scope)
    raise DocumentError(f"a value of type {type(value).__name__} has no form in PROV: {value!r}")


def decode_value(value: JSONValue, scope: Scope) -> object:
    """Return the attribute value that `value` was made from, for `prov` to take.

    Raises
    ------
    DocumentError
        It is of no form that `encode_value` makes, or its prefix is unknown.
    """
    if not isinstance(value, Mapping):
        if isinstance(value, str | bool | int | float):
            return value
        raise DocumentError(f"not a value of a PROV attribute: {value!r}", found=repr(value))
    text = value.get("$")
    if not isinstance(text, str):
        raise DocumentError(f"a typed value needs a string in '$': {value!r}", found=repr(text))
    if value.get("escaped"):
        text = json.loads(text)
    type_text, language = value.get("type"), value.get("lang")
    datatype = None if type_text is None else _resolved(scope, type_text)
    if value.get("opaque"):
        return Literal(text, datatype, language)
    if datatype == XSD_QNAME and language is None:
        return _resolved(scope, text)
    if datatype == XSD_ANYURI and language is None:
        return Identifier(text)
    if datatype is None and language is None:
        return text
    return Literal(text, datatype, language)


def _is_bindable(prefix: str) -> bool:
    return prefix not in _BUILTIN and (not prefix or bool(_USABLE_PREFIX.fullmatch(prefix)))


def _encode_literal(literal: Literal, scope: Scope) -> JSONValue:
    encoded: dict[str, JSONValue] = {"$": literal.value}
    is_language_string = literal.langtag and literal.datatype == PROV_INTERNATIONALIZEDSTRING
    if literal.datatype is not None and not is_language_string:
        encoded["type"] = scope.text(literal.datatype)
    if literal.langtag is not None:
        encoded["lang"] = literal.langtag
    elif literal.datatype in _NAME_TYPES:
        encoded["opaque"] = True
    return _escaped(encoded)


def _escaped(encoded: dict[str, JSONValue]) -> JSONValue:
    if _UNSAFE.search(encoded["$"]):
        return {**encoded, "$": json.dumps(encoded["$"]), "escaped": True}
    return encoded


def _double_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return repr(value)


def _statement(record: ProvRecord, bundle: str | None, scope: Scope) -> Statement:
    identifier = record.identifier
    return Statement(
        bundle=bundle,
        type=record.get_type().localpart,
        identifier=None if identifier is None else scope.text(identifier),
        attributes=tuple(
            (scope.text(name), _encode_attribute(name, value, scope))
            for name, value in record.attributes
        ),
    )


def _encode_attribute(name: QualifiedName, value: object, scope: Scope) -> JSONValue:
    if name in PROV_ATTRIBUTE_QNAMES and isinstance(value, QualifiedName):
        return scope.text(value)
    if name in PROV_ATTRIBUTE_LITERALS and isinstance(value, datetime):
        return value.isoformat()
    return encode_value(value, scope)


def _decode_attribute(name: QualifiedName, value: JSONValue, scope: Scope) -> object:
    if name in PROV_ATTRIBUTE_QNAMES and isinstance(value, str):
        return _resolved(scope, value)
    return decode_value(value, scope)


def _add_record(statement: Statement, bundle: ProvBundle, scope: Scope) -> None:
    record_type = PROV[statement.type]
    if record_type not in PROV_REC_CLS:
        raise DocumentError(f"{statement.type!r} is no type of PROV record", found=statement.type)
    identifier = statement.identifier
    attributes = []
    for name_text, value in statement.attributes:
        name = _resolved(scope, name_text)
        attributes.append((name, _decode_attribute(name, value, scope)))
    try:
        bundle.new_record(
            record_type, None if identifier is None else _resolved(scope, identifier), attributes
        )
    except (ProvLibraryError, ValueError) as error:
        raise DocumentError(
            f"the {statement.type} {identifier or ''} cannot be made again: {error}",
            found=statement.type,
        ) from error


def _resolved(scope: Scope, text: str) -> QualifiedName:
    name = scope.resolve(text)
    if name is None:
        raise DocumentError(
            f"the name {text!r} has a prefix that the document's namespaces lack", found=text
        )
    return name


def _declared(bundle: ProvBundle) -> list[Namespace]:
    default = bundle.get_default_namespace()
    return ([default] if default else []) + list(bundle.get_registered_namespaces())


def _declare(bundle: ProvBundle, scope: Scope) -> None:
    for prefix, namespace in scope.prefixes.items():
        if prefix:
            bundle.add_namespace(namespace)
        else:
            bundle.set_default_namespace(namespace.uri)


def scopes_of(namespaces: Mapping[str, str]) -> tuple[Scope, dict[str, Scope]]:
    """Return the prefixes of a document, and those of each of its bundles that has its own."""
    top = Scope()
    scopes: dict[str, Scope] = {}
    for key, uri in namespaces.items():
        bundle, space, prefix = key.rpartition(" ")
        scope = scopes.setdefault(bundle, Scope(parent=top)) if space else top
        scope.prefixes[prefix] = Namespace(prefix, uri)
    return top, scopes
