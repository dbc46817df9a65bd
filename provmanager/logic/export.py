"""Lineages for others: W3C PROV documents, and a picture."""

from typing import Literal, get_args

from sqlalchemy.orm import Session

from provmanager.formats.prov_document import write
from provmanager.formats.prov_export import lineage_to_prov
from provmanager.formats.svg import render_svg
from provmanager.store import lineage as store

from .trace import Direction, lineage, summary

ExportFormat = Literal["prov-json", "prov-n", "prov-xml", "svg"]
EXPORT_FORMATS = get_args(ExportFormat)
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
    """Return the lineage of `ref` in `format`; agents of its activities are in PROV documents."""
    if format == "svg":
        found = summary(session, ref, direction=direction, depth=depth)
        return render_svg(found).encode()
    found = lineage(session, ref, direction=direction, depth=depth, limit=limit, levels=True)
    found["agents"], found["associated"] = _agents(session, [a["id"] for a in found["activities"]])
    return write(lineage_to_prov(found), format)


def _agents(
    session: Session, activities: list[str]
) -> tuple[list[dict[str, str | None]], list[dict[str, str | None]]]:
    rows = store.associations(session, activities)
    agents = {row["iri"]: {"iri": row["iri"], "name": row["name"], "type": row["type"]}
              for row in rows}  # fmt: skip
    links = [
        {"activity": str(row["activity"]), "agent": row["iri"], "role": row["role"] or None}
        for row in rows
    ]
    return list(agents.values()), links
