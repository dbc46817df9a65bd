"""Locations: a path or URL as some tool wrote it, to one absolute URI."""

import posixpath
import re
from urllib.parse import quote, unquote, urlsplit

from ..ids import clean_json

_MANGLED = re.compile(r"^/(?:.*?/)?(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*):/+(?P<rest>[^/].*)$")
_SCHEME = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+):")
_KNOWN = {
    "http",
    "https",
    "s3",
    "root",
    "roots",
    "gsiftp",
    "srm",
    "davs",
    "dav",
    "ftp",
    "lfn",
    "file",
    "ivo",
    "doi",
    "gs",
    "azure",
    "sqlite",
    "postgresql",
    "xroot",
    "test",
}


def repair_mangled(url: str) -> str | None:
    """Return the URL that ctapipe's ``os.path.abspath`` hid in a path, or None.

    ``/cwd/https:/example.org/x.fits`` was ``https://example.org/x.fits`` (ctapipe
    core/provenance.py calls abspath on whatever it gets).
    """
    match = _MANGLED.match(url)
    if not match or match["scheme"].lower() not in _KNOWN:
        return None
    scheme = match["scheme"].lower()
    # file:///data/x lost two slashes, and its host was empty
    return f"{scheme}://{'/' if scheme == 'file' else ''}{match['rest']}"


def absolute_uri(url: str, *, host: str | None = None, directory: str | None = None) -> str:
    """Return `url` as one absolute URI.

    A path becomes ``file://host/path``, relative ones from `directory`; an LFN becomes
    ``lfn:/vo/…``; a mangled URL is repaired; scheme and authority are lower case.

    Raises
    ------
    ValueError
        `url` is empty.
    """
    if not url:
        raise ValueError("an empty location")
    repaired = repair_mangled(url) or url
    scheme = _SCHEME.match(repaired)
    if scheme is None:
        path = repaired if repaired.startswith("/") else posixpath.join(directory or "/", repaired)
        return f"file://{(host or '').lower()}{_quoted(posixpath.normpath(path))}"
    name = scheme["scheme"].lower()
    rest = repaired[len(name) + 1 :]
    if name == "lfn":
        return "lfn:/" + str(clean_json(rest.lstrip("/")))
    if name == "file":
        parts = urlsplit(repaired)
        owner = "" if parts.netloc in ("", "localhost") else parts.netloc
        return f"file://{(owner or host or '').lower()}{_quoted(_unquoted(parts.path))}"
    rest = clean_json(rest)
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        return f"{name}://{authority.lower()}{slash}{path}"
    return f"{name}:{rest}"


def split_location(uri: str) -> tuple[str, str]:
    """Return (directory with its slash, last part) of `uri`; a query belongs to the last part."""
    head, query, tail = uri.partition("?")
    stem = head.rstrip("/")
    cut = stem.rfind("/") + 1
    return head[:cut], head[cut:] + query + tail


def local_path(uri: str) -> str | None:
    """Return the path of a ``file:`` URI, whatever its host, else None."""
    if not uri.startswith("file://"):
        return None
    return _unquoted(urlsplit(uri).path)


def _unquoted(path: str) -> str:
    return unquote(path, errors="surrogateescape")


def _quoted(path: str) -> str:
    """Return `path` quoted; bytes that are not UTF-8 (surrogates, PEP 383) as they were."""
    single = re.sub(r"^//+", "/", path)
    try:
        raw = single.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        raw = clean_json(single).encode()
    return quote(raw, safe="/:@!$&'()*+,;=~")
