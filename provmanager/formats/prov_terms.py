"""IRIs that W3C PROV documents use, and what an identifier says of the thing that it names."""

import base64
import binascii
import re
from urllib.parse import unquote

from .locations import absolute_uri

PROV = "http://www.w3.org/ns/prov#"
XSD = "http://www.w3.org/2001/XMLSchema#"
VOPROV = "http://www.ivoa.net/documents/ProvenanceDM/index.html#"
"""Namespace of IVOA ProvenanceDM 1.0, as the voprov library writes it."""
TERMS = "urn:provmanager:terms#"
"""Namespace of what we write beyond W3C PROV and IVOA: status, exit code, digest and the like."""
WFPROV = "http://purl.org/wf4ever/wfprov#"
WF4EVER = "http://purl.org/wf4ever/wf4ever#"
CWLPROV = "https://w3id.org/cwl/prov#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
FOAF = "http://xmlns.com/foaf/0.1/"
SCHEMA = "http://schema.org/"

PART_OF = TERMS + "PartOf"
"""``prov:type`` of a wasInformedBy that says: one activity ran inside the other."""

# Schemes whose URIs name a thing anywhere, also where nothing but the scheme stands in the
# namespace. `id:` and `param:` of lstosa, and any other word, need an authority (`id://…`).
_GLOBAL_SCHEMES = frozenset(
    (
        "ark",
        "arcp",
        "did",
        "doi",
        "file",
        "ftp",
        "gsiftp",
        "guid",
        "hash",
        "hdl",
        "http",
        "https",
        "info",
        "ivo",
        "lfn",
        "mailto",
        "ni",
        "nih",
        "root",
        "roots",
        "s3",
        "srm",
        "swh",
        "tag",
        "urn",
        "xroot",
    )
)
_LOCATION_SCHEMES = frozenset(("file", "gsiftp", "lfn", "root", "s3", "srm"))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.+)", re.DOTALL)

# Digits of each, in the order in which digests are given.
_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha1": 40, "md5": 32}
_HEX_DIGEST = re.compile(
    r"(?:urn:hash::|urn:|nih:|nih:/|hash://)(sha-?256|sha-?512|sha-?384|sha-?1|md5)"
    r"[:;/]([0-9a-f]+)(?:;[0-9a-f])?",
    re.IGNORECASE,
)
_NI_DIGEST = re.compile(
    r"ni://[^/]*/(sha-256|sha-512|sha-384);([A-Za-z0-9_-]+)(?:\?.*)?", re.IGNORECASE
)
_PLAIN_DIGEST = re.compile(r"(sha256|sha512|sha384|sha1|md5):([0-9a-f]+)", re.IGNORECASE)


def is_global(iri: str) -> bool:
    """Whether `iri` names the same thing in every document.

    False for blank nodes (``_:b1``), for relative references, and for names whose prefix was
    bound to nothing but itself (``"id": "id:"``, as lstosa writes).
    """
    match = _SCHEME.fullmatch(iri)
    if match is None:
        return False
    return match[1].lower() in _GLOBAL_SCHEMES or match[2].startswith("//")


def digest_of_iri(iri: str) -> str | None:
    """Return the ``"algorithm:hexadecimal"`` digest that `iri` is, else None.

    ``urn:hash::sha1:…`` (CWLProv), ``urn:sha256:…``, ``nih:sha-256;…`` and ``ni:///sha-256;…``
    (RFC 6920), ``hash://sha256/…``; only of full length.
    """
    match = _HEX_DIGEST.fullmatch(iri)
    if match is not None:
        return _checked(match[1], match[2])
    match = _NI_DIGEST.fullmatch(iri)
    if match is None:
        return None
    text = match[2]
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return _checked(match[1], raw.hex())


def parse_digest(text: str) -> str | None:
    """Return the digest that `text` (``sha256:<hex>`` or a digest IRI) is, in lower case."""
    match = _PLAIN_DIGEST.fullmatch(text.strip())
    return _checked(match[1], match[2]) if match else digest_of_iri(text.strip())


def sorted_digests(digests: set[str]) -> tuple[str, ...]:
    """Return `digests`, SHA-256 first."""
    order = list(_DIGEST_LENGTHS)
    return tuple(sorted(digests, key=lambda d: (order.index(d.partition(":")[0]), d)))


def location_of_iri(iri: str) -> str | None:
    """Return the location that `iri` itself is, else None.

    Only schemes that name a place where bytes lie: ``http:`` IRIs mostly name things.
    """
    match = _SCHEME.fullmatch(iri)
    if match is None or match[1].lower() not in _LOCATION_SCHEMES:
        return None
    return _absolute(iri)


def location_of_value(text: str) -> str | None:
    """Return the location that the value of a ``prov:location`` states, else None.

    A place name ("La Palma") or a relative path is none; nor is a folder (``/data/dl1/``), in
    which lstosa puts several collections at once: it says where a thing lies, not which it is.
    """
    stripped = text.strip()
    if stripped.endswith("/"):
        return None
    if stripped.startswith("/") and not stripped.startswith("//"):
        return _absolute(stripped)
    match = _SCHEME.fullmatch(stripped)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme in _LOCATION_SCHEMES or (
        scheme in ("http", "https", "ftp") and match[2].startswith("//")
    ):
        return _absolute(stripped)
    return None


def local_name(iri: str) -> str:
    """Return the part of `iri` after its last ``#`` or ``/``, else after its last ``:``."""
    stem = iri.rstrip("#/")
    cut = max(stem.rfind("#"), stem.rfind("/"))
    if cut < 0:
        cut = stem.rfind(":")
    return unquote(stem[cut + 1 :]) or iri


def _absolute(text: str) -> str | None:
    try:
        return absolute_uri(text)
    except ValueError:  # such as file://[x/: no host
        return None


def _checked(algorithm: str, digits: str) -> str | None:
    name = algorithm.lower().replace("-", "")
    return f"{name}:{digits.lower()}" if len(digits) == _DIGEST_LENGTHS[name] else None
