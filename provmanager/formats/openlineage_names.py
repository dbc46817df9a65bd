"""How OpenLineage names data sets, and what such a name is as a location.

A data set is a namespace and a name in it (https://openlineage.io/docs/spec/naming): that of a
file in S3 is ``s3://bucket`` and ``path/x.fits``, that of a table ``postgres://host:5432`` and
``db.schema.table``, that of a file on a host ``file://host`` and ``/data/x.fits``. Together they
are one URI, and that is a location of the record: which version of it is meant, time decides.
"""

import re
from urllib.parse import quote, unquote

from .locations import absolute_uri, local_path

NAMESPACE = "provmanager"
"""Namespace of what we export that has no place of its own."""

_WITH_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OWN_SCHEME = "openlineage:"


def location_of(namespace: str, name: str) -> str | None:
    """Return the location that a data set's name is; None for one that says no place.

    A namespace that is no URI (``bigquery``, ``my-warehouse``) gives
    ``openlineage:<namespace>/<name>``: the same name in the same namespace, and nothing else's.
    ``file`` without a host gives ``file:///path``: OpenLineage says nothing of whose path it is.
    """
    if namespace == NAMESPACE:
        return None
    try:
        if _WITH_AUTHORITY.match(namespace) and namespace != "file://":
            return absolute_uri(f"{namespace.rstrip('/')}/{name.lstrip('/')}")
        if namespace in ("file", "file://", "lfn"):
            scheme = namespace.partition(":")[0]
            bare = name.removeprefix(f"{scheme}:").lstrip("/")
            return absolute_uri(f"lfn:/{bare}" if scheme == "lfn" else f"file:///{bare}")
    except ValueError:  # such as file://[x: no host
        pass
    return f"{_OWN_SCHEME}{quote(namespace, safe='')}/{name}"


def name_of(location: str) -> tuple[str, str] | None:
    """Return the (namespace, name) that is `location`; `location_of` gives it back, else None."""
    found = _name_of(location)
    return found if found and location_of(*found) == location else None


def _name_of(location: str) -> tuple[str, str] | None:
    if location.startswith(_OWN_SCHEME):
        namespace, _, name = location[len(_OWN_SCHEME) :].partition("/")
        return unquote(namespace), name
    if location.startswith("lfn:/"):
        return "lfn", location[len("lfn:") :]
    path = local_path(location)
    if path is not None:
        host = location[len("file://") :].partition("/")[0]
        return f"file://{host}" if host else "file", path
    scheme, separator, rest = location.partition("://")
    authority, slash, name = rest.partition("/")
    return (f"{scheme}://{authority}", name) if separator and authority and slash else None


def version_id(namespace: str, name: str, version: str) -> str:
    """Return the product id of one version of a data set, as the facet ``version`` names it."""
    parts = (quote(part, safe="") for part in (namespace, name, version))
    return "urn:openlineage:" + ":".join(parts)
