"""The flat JSON-LD of an RO-Crate's metadata: entities by their ``@id``, and what they refer to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import DocumentError
from . import prov_terms as terms
from .json_fields import JSONObject, child, list_at, required_text, wrong

_DESCRIPTOR = re.compile(r"(?:.*/)?ro-crate-metadata\.json(?:ld)?")
_DIGESTS = ("sha256", "sha512", "sha384", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Thing:
    """One entity of the graph.

    Attributes
    ----------
    types : frozenset of str
        Without their namespace: ``CreateAction``.
    pointer : str
        Where it stands; empty for one that is referred to and stands nowhere.
    """

    id: str
    types: frozenset[str]
    fields: JSONObject
    pointer: str

    def text(self, *keys: str) -> str | None:
        """Return the first text (or number, as text) of the first of `keys` that has one."""
        for key in keys:
            for value in listed(self.fields.get(key)):
                if isinstance(value, dict):
                    value = value.get("@value")
                if isinstance(value, bool):
                    return "true" if value else "false"
                if isinstance(value, str | int | float) and value != "":
                    return str(value)
        return None

    def ids(self, key: str) -> list[str]:
        """Return the identifiers to which `key` refers."""
        found = (v.get("@id") if isinstance(v, dict) else v for v in listed(self.fields.get(key)))
        return list(dict.fromkeys(v for v in found if isinstance(v, str) and v))

    @property
    def digests(self) -> tuple[str, ...]:
        """Content digests that are as long as they must be, SHA-256 first."""
        said = ((a, self.text(a)) for a in _DIGESTS)
        found = {d for a, v in said if v and (d := terms.parse_digest(f"{a}:{v}"))}
        own = terms.digest_of_iri(self.id)
        return terms.sorted_digests(found | ({own} if own else set()))

    @property
    def size_bytes(self) -> int | None:
        """``contentSize``, where it is a number of bytes."""
        text = self.text("contentSize") or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def listed(value: Any) -> list[Any]:  # Any: free-form JSON
    """Return `value` as a list: JSON-LD writes one value bare."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class Graph:
    """The entities of one crate.

    Raises
    ------
    DocumentError
        The graph is not flat: something in it has no ``@id``, or two things have one.
    """

    def __init__(self, crate: JSONObject) -> None:
        self._things: dict[str, Thing] = {}
        for index, value in enumerate(list_at(crate, "@graph", "")):
            pointer = child("", "@graph", index)
            if not isinstance(value, dict):
                raise wrong(pointer, "an entity (an object with @id)", value)
            name = required_text(value, "@id", pointer, "the identifier of the entity")
            if name in self._things:
                message = f"{pointer}/@id: {name!r} stands at {self._things[name].pointer} already"
                raise DocumentError(
                    f"{message}; an RO-Crate says all of one thing in one place",
                    pointer=child(pointer, "@id"),
                    found=name,
                )
            self._things[name] = Thing(name, _types(value), value, pointer)

    def __iter__(self) -> Iterator[Thing]:
        yield from self._things.values()

    def get(self, name: str) -> Thing:
        """Return the thing called `name`; a bare one where the graph does not have it."""
        return self._things.get(name) or Thing(name, frozenset(), {}, "")

    def refer(self, thing: Thing, key: str) -> list[Thing]:
        """Return the things to which `key` of `thing` refers."""
        return [self.get(name) for name in thing.ids(key)]

    def of_type(self, *types: str) -> list[Thing]:
        """Return the things that are of one of `types`."""
        return [thing for thing in self if not thing.types.isdisjoint(types)]


def _types(value: JSONObject) -> frozenset[str]:
    return frozenset(terms.local_name(t) for t in listed(value.get("@type")) if isinstance(t, str))


def matches(values: list[Any]) -> str | None:  # Any: free-form JSON
    """Return why `values` are the metadata of an RO-Crate, or None."""
    value = values[0] if len(values) == 1 else None
    if not isinstance(value, dict) or "@context" not in value:
        return None
    graph = value.get("@graph")
    for item in graph if isinstance(graph, list) else ():
        name = item.get("@id") if isinstance(item, dict) else None
        if isinstance(name, str) and _DESCRIPTOR.fullmatch(name):
            return f'JSON-LD with the descriptor "{name}"'
    return None
