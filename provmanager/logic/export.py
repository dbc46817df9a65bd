"""Lineages for others: W3C PROV documents, and a picture."""

from typing import Literal, get_args

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, UsageError
from provmanager.formats.prov_document import document_to_prov, write
from provmanager.formats.prov_export import lineage_to_prov
from provmanager.formats.svg import render_svg
from provmanager.store import documents as document_store
from provmanager.store import lineage as store

from .describe import checked_sha256, no_document
from .summary import summary
from .trace import Direction, lineage

ExportFormat = Literal["prov-json", "prov-n", "prov-xml", "svg"]
EXPORT_FORMATS = get_args(ExportFormat)
DocumentFormat = Literal["prov-json", "prov-n", "prov-xml"]
DOCUMENT_FORMATS = get_args(DocumentFormat)
MEDIA_TYPES: dict[str, str] = {
    "prov-json": "application/json",
    "prov-n": "text/provenance-notation",
    "prov-xml": "application/xml",
    "svg": "image/svg+xml",
}


def export_lineage(
    session: Session,
    ref: str,
    *,
    format: ExportFormat,
    direction: Direction = "up",
    depth: int | None = None,
    limit: int = 10_000,
) -> bytes:
    """Return the lineage of `ref` in `format`; agents are in PROV documents."""
    if format == "svg":
        found = summary(session, ref, direction=direction, depth=depth)
        return render_svg(found).encode()
    found = lineage(session, ref, direction=direction, depth=depth, limit=limit, levels=True)
    found |= _agents(
        session, [a["id"] for a in found["activities"]], [e["id"] for e in found["entities"]]
    )
    return write(lineage_to_prov(found), format)


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


def _agents(session: Session, activities: list[str], entities: list[str]) -> JSONDict:
    """Return the agents of a lineage, and what they had to do with its activities and entities."""
    associated = store.associations(session, activities)
    attributed = store.attributions(session, entities)
    return {
        "agents": list(
            {
                row["iri"]: {"iri": row["iri"], "name": row["name"], "kind": row["type"]}
                for row in (*associated, *attributed)
            }.values()
        ),
        "associated": [
            {"activity": str(row["activity"]), "agent": row["iri"], "role": row["role"] or None}
            for row in associated
        ],
        "attributed": [
            {"entity": str(row["entity"]), "agent": row["iri"], "role": row["role"] or None}
            for row in attributed
        ],
    }
