"""Rows of documents: what we were told, verbatim."""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from provmanager.model import Statement

from .lineage import id_array
from .writing import copy_rows

_LEVEL = 3  # a third of level 6's time for a tenth more bytes, on records of 5 to 20 kB


class NewDocument(NamedTuple):
    """One row to be."""

    sha256: str
    stored_sha256: str
    format: str
    reason: str
    source_name: str | None
    content: bytes
    n_redactions: int
    received_from: str | None


def insert(
    session: Session, documents: Sequence[NewDocument], ids: Sequence[int]
) -> dict[str, int]:
    """Store `documents` under `ids` and return these by SHA-256 (hexadecimal)."""
    copy_rows(
        session,
        "document",
        ("document_id", "sha256", "stored_sha256", "format", "reason", "source_name",
         "size_bytes", "content", "n_redactions", "received_from"),
        (
            (
                document_id,
                bytes.fromhex(d.sha256),
                bytes.fromhex(d.stored_sha256),
                d.format,
                d.reason,
                d.source_name,
                len(d.content),
                zlib.compress(d.content, _LEVEL),
                d.n_redactions,
                d.received_from,
            )
            for document_id, d in zip(ids, documents, strict=True)
        ),
    )  # fmt: skip
    return {d.sha256: i for d, i in zip(documents, ids, strict=True)}


def insert_checks(
    session: Session,
    checks: Iterable[tuple[int, int, Sequence[Mapping[str, Any]]]],  # Any: JSON scalars
) -> None:
    """Keep what documents violate: (document_id, number of violations, by which rules)."""
    copy_rows(
        session,
        "constraint_check",
        ("document_id", "n_violations", "rules"),
        ((i, n, json.dumps(rules, ensure_ascii=False)) for i, n, rules in checks),
    )


def violating(
    session: Session, *, activity_ids: Sequence[int], entity_ids: Sequence[int]
) -> list[RowMapping]:
    """Return the documents that told of these and violate PROV-CONSTRAINTS."""
    rows = session.execute(
        text(
            "WITH bad AS (SELECT * FROM prov.constraint_check WHERE n_violations > 0), told AS ("
            "SELECT document_id FROM bad JOIN prov.activity_document USING (document_id) "
            "WHERE activity_id = ANY(CAST(:a AS bigint[])) UNION "
            "SELECT document_id FROM bad JOIN prov.entity_document USING (document_id) "
            "WHERE entity_id = ANY(CAST(:e AS bigint[]))) "
            "SELECT encode(d.sha256, 'hex') AS sha256, d.source_name, b.n_violations, b.rules "
            "FROM told JOIN bad b USING (document_id) JOIN prov.document d USING (document_id) "
            "ORDER BY d.document_id"
        ),
        {"a": id_array(activity_ids), "e": id_array(entity_ids)},
    )
    return list(rows.mappings())


def entities_of(
    session: Session, document_ids: Sequence[int]
) -> list[tuple[int, UUID, str | None]]:
    """Return (document_id, UUID, name) of the entities that documents' activities touched."""
    if not document_ids:
        return []
    rows = session.execute(
        text(
            "WITH act AS (SELECT document_id, activity_id FROM prov.activity_document "
            "WHERE document_id = ANY(:i)), touched AS ("
            "SELECT document_id, entity_id FROM act JOIN prov.used USING (activity_id) UNION "
            "SELECT document_id, entity_id FROM act JOIN prov.entity ON generated_by = activity_id "
            "UNION SELECT document_id, entity_id FROM prov.entity_document "
            "WHERE document_id = ANY(:i)) "
            "SELECT t.document_id, e.entity_uuid, coalesce(e.name, e.base_name) FROM touched t "
            "JOIN prov.entity e USING (entity_id) ORDER BY 1, 3, 2"
        ),
        {"i": list(document_ids)},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def find(session: Session, sha256: str) -> tuple[int, str] | None:
    """Return (document_id, format) of the document whose received or stored bytes have it."""
    row = session.execute(
        text(
            "SELECT document_id, format FROM prov.document "
            "WHERE sha256 = :d OR stored_sha256 = :d ORDER BY sha256 <> :d LIMIT 1"
        ),
        {"d": bytes.fromhex(sha256)},
    ).one_or_none()
    return None if row is None else (row.document_id, row.format)


def statements(session: Session, document_id: int) -> tuple[list[Statement], dict[str, str]]:
    """Return what a W3C PROV document states, in its order, and its namespaces by prefix."""
    given = {"i": document_id}
    rows = session.execute(
        text(
            "SELECT bundle, type, identifier, attributes FROM prov.statement "
            "WHERE document_id = :i ORDER BY ordinal"
        ),
        given,
    )
    stated = [
        Statement(
            bundle=row.bundle,
            type=row.type,
            identifier=row.identifier,
            attributes=tuple((name, value) for name, value in row.attributes),
        )
        for row in rows
    ]
    prefixes = session.execute(
        text("SELECT prefix, uri FROM prov.namespace WHERE document_id = :i ORDER BY prefix"), given
    )
    return stated, {row.prefix: row.uri for row in prefixes}
