"""Rows that an archive of the record holds beside what its documents tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from .log import Leaf, leaves

_MOST_DOCUMENTS = 500
_MOST_BYTES = 32 * 2**20


def batches(session: Session, size: int) -> Iterator[list[Leaf]]:
    """Yield the documents of the log of `size` with their bytes, some at a time."""
    first = 0
    while first < size:
        sizes = session.execute(
            text(
                "SELECT d.size_bytes FROM prov.log_leaf JOIN prov.document d USING (document_id) "
                "WHERE leaf_index >= :first ORDER BY leaf_index LIMIT :most"
            ),
            {"first": first, "most": min(_MOST_DOCUMENTS, size - first)},
        ).scalars()
        count = n_bytes = 0
        for size_bytes in sizes:
            n_bytes += size_bytes
            if count and n_bytes > _MOST_BYTES:
                break
            count += 1
        found = leaves(session, first, count, with_content=True)
        yield found
        first += len(found) or size


def aliases(session: Session) -> Iterator[Mapping[str, Any]]:
    """Yield former UUIDs of entities. (Any: column values.)"""
    rows = session.execute(
        text(
            "SELECT alias_uuid::text AS alias, entity_uuid::text AS entity, "
            "encode(d.sha256, 'hex') AS document, merged_at FROM prov.entity_alias "
            "LEFT JOIN prov.document d USING (document_id) ORDER BY alias_uuid"
        )
    )
    for row in rows.mappings():
        yield {**row, "merged_at": row["merged_at"].isoformat()}


def write_aliases(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Have former UUIDs as they were. (Any: column values.)"""
    listed = list(rows)
    session.execute(text("DELETE FROM prov.entity_alias"))
    if listed:
        session.execute(
            text(
                "INSERT INTO prov.entity_alias (alias_uuid, entity_uuid, document_id, merged_at) "
                "VALUES (CAST(:alias AS uuid), CAST(:entity AS uuid), (SELECT document_id FROM "
                "prov.document WHERE sha256 = decode(:document, 'hex')), "
                "CAST(:merged_at AS timestamptz))"
            ),
            listed,
        )


def count_documents(session: Session) -> int:
    """Return how many documents the record has."""
    return int(session.execute(text("SELECT count(*) FROM prov.document")).scalar_one())


def set_received(session: Session, received: Sequence[tuple[str, datetime]]) -> None:
    """Have documents received when they were, by SHA-256 (hexadecimal)."""
    session.execute(
        text(
            "UPDATE prov.document d SET received_at = w.at FROM unnest(CAST(:s AS text[]), "
            "CAST(:t AS timestamptz[])) AS w (sha256, at) WHERE d.sha256 = decode(w.sha256, 'hex')"
        ),
        {"s": [s for s, _ in received], "t": [t for _, t in received]},
    )


def set_origin(session: Session, origin: str) -> None:
    """Have the log be called `origin`."""
    session.execute(text("UPDATE prov.log_identity SET origin = :origin"), {"origin": origin})
