"""Rows of documents: what we were told, verbatim."""

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from .known import known_documents
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


def insert(
    session: Session, documents: Sequence[NewDocument], *, received_from: str | None
) -> Mapping[str, int]:
    """Store `documents` and return their ids by SHA-256 (hexadecimal)."""
    copy_rows(
        session,
        "document",
        ("sha256", "stored_sha256", "format", "reason", "source_name", "size_bytes", "content",
         "n_redactions", "received_from"),
        (
            (
                bytes.fromhex(d.sha256),
                bytes.fromhex(d.stored_sha256),
                d.format,
                d.reason,
                d.source_name,
                len(d.content),
                zlib.compress(d.content, _LEVEL),
                d.n_redactions,
                received_from,
            )
            for d in documents
        ),
    )  # fmt: skip
    return known_documents(session, [d.sha256 for d in documents])


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
