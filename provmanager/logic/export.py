"""Lineages for others: W3C PROV documents, and a picture."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, UsageError
from provmanager.formats.openlineage_export import write_events
from provmanager.formats.prov_document import document_to_prov, write
from provmanager.formats.prov_export import lineage_to_prov
from provmanager.formats.ro_crate_export import METADATA_FILE, crate_text, lineage_to_crate
from provmanager.formats.svg import render_svg
from provmanager.formats.votable import lineage_to_votable
from provmanager.model import ExportFormat
from provmanager.store import documents as document_store

from .assessments import with_assessments
from .describe import checked_sha256, no_document
from .export_content import (
    with_agents,
    with_configuration,
    with_descriptions,
    with_details,
    with_runs,
    with_surroundings,
)
from .summary import records_of, summary
from .trace import Direction, lineage

DocumentFormat = Literal["prov-json", "prov-n", "prov-xml"]
DOCUMENT_FORMATS = get_args(DocumentFormat)

MAX_RECORDS = 20_000
"""The most activities and entities of one document: PROV libraries hold all of it in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which lineage is wanted: that of `ref`, or of it the `limit` nearest activities."""

    ref: str
    direction: Direction = "up"
    depth: int | None = None
    limit: int | None = None


Writer = Callable[[Session, Asked], bytes]


def export_lineage(session: Session, asked: Asked, format: ExportFormat) -> bytes:
    """Return a lineage in `format`.

    Raises
    ------
    NotFoundError, AmbiguousError
        Nothing, or several things, answer to its reference.
    UsageError
        There are more than `MAX_RECORDS`, or the format cannot express something that stands in it.
    """
    return WRITERS[format](session, asked)


def _prov(format: ExportFormat) -> Writer:
    def writer(session: Session, asked: Asked) -> bytes:
        found = with_descriptions(session, lineage_of(session, asked))
        return serialise(found, format)

    return writer


def serialise(found: JSONDict, format: ExportFormat) -> bytes:
    """Return a lineage, with what was added to it, as a VOTable or a W3C PROV document."""
    if format is ExportFormat.VOTABLE:
        return lineage_to_votable(found)
    return write(lineage_to_prov(found), format.value)


def _openlineage(session: Session, asked: Asked) -> bytes:
    return write_events(lineage_of(session, asked), now=datetime.now(UTC))


def _svg(session: Session, asked: Asked) -> bytes:
    found = summary(session, asked.ref, direction=asked.direction, depth=asked.depth)
    return render_svg(found).encode()


def _votable(session: Session, asked: Asked) -> bytes:
    found = with_configuration(session, lineage_of(session, asked))
    return serialise(with_descriptions(session, found), ExportFormat.VOTABLE)


def _ro_crate(session: Session, asked: Asked) -> bytes:
    found = with_runs(session, with_configuration(session, lineage_of(session, asked)))
    crate = lineage_to_crate(found, published=datetime.now(UTC).date().isoformat())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        # Without a time of its own, so that the same crate is the same bytes.
        entry = zipfile.ZipInfo(METADATA_FILE)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, crate_text(crate), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


WRITERS: dict[ExportFormat, Writer] = {
    ExportFormat.PROV_JSON: _prov(ExportFormat.PROV_JSON),
    ExportFormat.PROV_N: _prov(ExportFormat.PROV_N),
    ExportFormat.PROV_XML: _prov(ExportFormat.PROV_XML),
    ExportFormat.TURTLE: _prov(ExportFormat.TURTLE),
    ExportFormat.JSON_LD: _prov(ExportFormat.JSON_LD),
    ExportFormat.VOTABLE: _votable,
    ExportFormat.RO_CRATE: _ro_crate,
    ExportFormat.OPENLINEAGE: _openlineage,
    ExportFormat.SVG: _svg,
}
"""What writes each format; a test sees that none lacks."""


def lineage_of(session: Session, asked: Asked) -> JSONDict:
    """Return a lineage as ``GET /v1/lineage`` has it, with the activities around, and agents.

    Raises
    ------
    UsageError
        There are more than `MAX_RECORDS`, and no limit was set.
    """
    limit = asked.limit or MAX_RECORDS
    _check_extent(session, asked, limit)
    found = lineage(
        session,
        asked.ref,
        direction=asked.direction,
        depth=asked.depth,
        limit=limit,
        levels=True,
    )
    found = with_surroundings(session, with_assessments(session, found))
    return with_details(session, with_agents(session, found))


def _check_extent(session: Session, asked: Asked, limit: int) -> None:
    found = records_of(
        session, asked.ref, direction=asked.direction, depth=asked.depth, limit=limit
    )
    n_records = len(found.reach.all) + found.n_entities
    if n_records > MAX_RECORDS or (found.reach.truncated and asked.limit is None):
        raise UsageError(
            f"the lineage has more than {MAX_RECORDS} activities and products, too many for one "
            "document: follow fewer activities (depth), or ask for the nearest ones only (limit)",
            n_found=n_records,
            n_most=MAX_RECORDS,
        )


def export_document(session: Session, sha256: str, *, format: DocumentFormat) -> bytes:
    """Return a W3C PROV document made again, in `format`, from the statements in the record.

    Raises
    ------
    NotFoundError
        No document has that digest.
    UsageError
        It is no W3C PROV document, or `format` cannot express it.
    """
    found = document_store.find(session, checked_sha256(sha256))
    if found is None:
        raise no_document(sha256)
    document_id, held = found
    if held not in DOCUMENT_FORMATS:
        raise UsageError(
            f"document {sha256} is of the format {held}, and only W3C PROV documents can be had in "
            "another: take it verbatim, or export the lineage of what it tells of",
            found=held,
            expected=list(DOCUMENT_FORMATS),
        )
    statements, namespaces = document_store.statements(session, document_id)
    return write(document_to_prov(statements=statements, namespaces=namespaces), format)
