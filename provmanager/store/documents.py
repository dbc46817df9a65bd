"""Rows of documents: what we were told, verbatim."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.model import Statement

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


def activities_of(session: Session, sha256: str) -> list[tuple[str, str | None]]:
    """Return (UUID, name) of the activities that a document told of."""
    rows = session.execute(
        text(
            "SELECT a.activity_uuid, a.name FROM prov.document d "
            "JOIN prov.activity_document USING (document_id) "
            "JOIN prov.activity a USING (activity_id) WHERE d.sha256 = :d ORDER BY 1"
        ),
        {"d": bytes.fromhex(sha256)},
    )
    return [(str(row.activity_uuid), row.name) for row in rows]


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
