"""Which format a document has, by its content, and reading it.

The formats stand in `FORMATS` in the order in which they are tried; the first that knows the
document reads it. A new one is one more entry: its name, a function from a `Probe` to the reason
why the document is of that format (or None), and a function that reads it.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..errors import UnrecognisedFormatError
from ..model import Document
from . import (
    assessment,
    ctao_product,
    ctapipe,
    description_document,
    lstosa,
    openlineage,
    ro_crate,
    run_json,
)
from .appearance import describe_bytes, describe_json, looks_like_json
from .embedded import FITS_SIGNATURE
from .environments import Environments
from .fits_header import Value, is_header, iter_headers, parse_header
from .json_stream import JsonStream, read_stream

_HEAD_BYTES = 65536
_PROV_NAMESPACE = b"http://www.w3.org/ns/prov#"
_PROV_N = re.compile(rb"(?>\s|\xef\xbb\xbf|//[^\n]*|/\*.*?\*/)*+document\b", re.DOTALL)
_PROV_KEYS = frozenset(
    ("prefix", "bundle", "entity", "activity", "agent", "used", "wasGeneratedBy", "hadMember")
) | {"wasDerivedFrom", "wasInformedBy", "wasAssociatedWith", "wasAttributedTo", "wasInfluencedBy"}
_KNOWN = (
    "provmanager activity records, assessments and descriptions, ctapipe provenance logs (0.5 to "
    "0.32), lstosa logs, CTAO product metadata (JSON, FITS header), OpenLineage events, RO-Crates "
    "of runs, W3C PROV-JSON, PROV-N and PROV-XML"
)


class Probe:
    """One document, looked at as far as a format asks.

    Attributes
    ----------
    data : bytes
        The whole document.
    name : str or None
        Name of the file it came from.
    environments : Environments
        Those of the documents that are read together with this one.
    """

    def __init__(
        self, data: bytes, name: str | None = None, environments: Environments | None = None
    ) -> None:
        self.data = data
        self.name = name
        self.environments = environments or Environments()

    @cached_property
    def head(self) -> bytes:
        """The first 64 kB."""
        return self.data[:_HEAD_BYTES]

    @cached_property
    def stream(self) -> JsonStream | None:
        """The JSON values of the document, None where it does not begin as JSON.

        Raises
        ------
        JsonSyntaxError
            It begins as JSON and is not.
        DocumentTooDeepError
            It is nested too deep.
        """
        return read_stream(self.data) if looks_like_json(self.data) else None

    @cached_property
    def values(self) -> list[Any]:  # Any: free-form JSON
        """The JSON values of the document, none where it is not JSON."""
        return self.stream.values if self.stream else []

    @cached_property
    def fits_header(self) -> dict[str, Value]:
        """Keywords of the first FITS header that describes a product, empty where there is none."""
        if not is_header(self.head):
            return {}
        if self.data.startswith((FITS_SIGNATURE, b"XTENSION=")) and b"\n" not in self.head[:160]:
            found = (parse_header(header) for header in iter_headers(io.BytesIO(self.data)))
        else:
            found = (parse_header(listing) for listing in (self.data,))
        return next((header for header in found if ctao_product.matches_header(header)), {})


@dataclass(frozen=True, slots=True)
class Format:
    """One format that can be read.

    Attributes
    ----------
    name : str
        As in `Document.format`.
    matches : callable
        From a probe to the reason why it is of this format, None where it is not.
    read : callable
        From a probe and that reason to what the document states.
    """

    name: str
    matches: Callable[[Probe], str | None]
    read: Callable[[Probe, str], Document]


def read(
    data: bytes, *, name: str | None = None, environments: Environments | None = None
) -> Document:
    """Return what the document `data` states, whatever its format.

    Parameters
    ----------
    data : bytes
        The whole document.
    name : str, optional
        Name of the file it came from, for messages and where the document is about that file.
    environments : Environments, optional
        Of documents that are read together, so that equal software environments in them become
        one object.

    Raises
    ------
    UnrecognisedFormatError
        It is none of the formats (``found`` says what it looks like).
    DocumentError
        It is of a format, and cannot be read (``pointer``, ``offset`` or ``line``, ``expected``,
        ``found``); `JsonSyntaxError` and `DocumentTooDeepError` where it is not even JSON.
    """
    probe = Probe(data, name, environments)
    for candidate in FORMATS:
        reason = candidate.matches(probe)
        if reason is not None:
            return candidate.read(probe, reason)
    raise _unrecognised(probe)


def _unrecognised(probe: Probe) -> UnrecognisedFormatError:
    seen = describe_json(probe.values) if probe.values else describe_bytes(probe.data)
    return UnrecognisedFormatError(
        f"{probe.name or 'the document'} is {seen.found}, and no provenance record; {seen.advice}. "
        f"What can be read: {_KNOWN}",
        found=seen.found,
        expected=_KNOWN,
    )


def _stream(probe: Probe) -> JsonStream:
    return probe.stream or JsonStream([], (), needs_cleaning=False)


def _match_run_json(probe: Probe) -> str | None:
    if not probe.values or not run_json.matches(probe.values):
        return None
    return f'JSON records with "schema": "{run_json.SCHEMA}"'


def _read_run_json(probe: Probe, reason: str) -> Document:
    stream = _stream(probe)
    document = run_json.read_run_json(stream.values, probe.environments)
    return replace(document, reason=reason, notes=(*stream.notes, *document.notes))


def _read_assessment(probe: Probe, reason: str) -> Document:
    document = assessment.read_assessment(probe.values[0], reason=reason)
    return replace(document, notes=_stream(probe).notes)


def _read_descriptions(probe: Probe, reason: str) -> Document:
    document = description_document.read_recorded(probe.values[0], reason=reason)
    return replace(document, notes=_stream(probe).notes)


def _match_prov(probe: Probe) -> str | None:
    """Return why the document is W3C PROV; the library is only imported for what looks like it."""
    value = probe.values[0] if len(probe.values) == 1 else None
    is_json = isinstance(value, dict) and bool(_PROV_KEYS & value.keys())
    is_text = probe.stream is None and (
        _PROV_NAMESPACE in probe.head or _PROV_N.match(probe.head) is not None
    )
    if not is_json and not is_text:
        return None
    try:
        from .prov_document import matches, matches_json  # heavy, and an extra
    except ImportError as error:
        raise UnrecognisedFormatError(
            "this looks like W3C PROV, which is read with the prov library, and that is not "
            "installed here: pip install 'provmanager[formats]'",
            found="W3C PROV",
            expected=_KNOWN,
        ) from error
    match = matches_json(value) if is_json else matches(probe.data)
    return match.reason if match else None


def _read_prov(probe: Probe, _reason: str) -> Document:
    from .prov_document import read_prov  # heavy, and an extra

    return read_prov(probe.data, name=probe.name)


FORMATS: tuple[Format, ...] = (
    Format(
        name=ctao_product.FORMAT,
        matches=lambda probe: ctao_product.matches_header(probe.fits_header),
        read=lambda probe, reason: ctao_product.read_header(
            probe.fits_header, reason=reason, name=probe.name
        ),
    ),
    Format(
        name=lstosa.FORMAT,
        matches=lambda probe: lstosa.matches(probe.data),
        read=lambda probe, reason: lstosa.read_log(probe.data, reason=reason),
    ),
    Format(
        name=assessment.FORMAT,
        matches=lambda probe: assessment.matches(probe.values),
        read=_read_assessment,
    ),
    Format(
        name=description_document.FORMAT,
        matches=lambda probe: description_document.matches(probe.values),
        read=_read_descriptions,
    ),
    Format(name=run_json.FORMAT, matches=_match_run_json, read=_read_run_json),
    Format(
        name=ctapipe.FORMAT,
        matches=lambda probe: ctapipe.matches(probe.values),
        read=lambda probe, reason: ctapipe.read_records(_stream(probe), reason=reason),
    ),
    Format(
        name=ctao_product.FORMAT,
        matches=lambda probe: ctao_product.matches(probe.values),
        read=lambda probe, reason: ctao_product.read_products(
            _stream(probe), reason=reason, name=probe.name
        ),
    ),
    Format(
        name=openlineage.FORMAT,
        matches=lambda probe: openlineage.matches(probe.values),
        read=lambda probe, reason: openlineage.read_stream_of_events(_stream(probe), reason=reason),
    ),
    Format(
        name=ro_crate.FORMAT,
        matches=lambda probe: ro_crate.matches(probe.values),
        read=lambda probe, reason: ro_crate.read_crate(_stream(probe), probe.data, reason=reason),
    ),
    Format(name="prov", matches=_match_prov, read=_read_prov),
)
