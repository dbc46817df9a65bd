"""Rows of the log: leaves and checkpoints."""

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, LargeBinary, Table, Text, text
from sqlalchemy.orm import Session

from .tables import INSTANT, document, metadata

log_identity = Table(
    "log_identity",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("origin", Text, nullable=False, server_default=text("'provmanager/…'")),
)
log_leaf = Table(
    "log_leaf",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", BigInteger, ForeignKey(document.c.document_id), nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)
log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("tree_size", BigInteger, primary_key=True, autoincrement=False),
    Column("root_hash", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("made_at", INSTANT, nullable=False),
)

_LOCK = 0x6C6F67  # "log": the key of the advisory lock that whoever appends takes
_BATCH = 10_000

_DOCUMENT = (
    "d.document_id, encode(d.sha256, 'hex') AS sha256, encode(d.stored_sha256, 'hex') AS "
    "stored_sha256, d.format, d.size_bytes, d.received_at, d.received_from"
)


class LoggedDocument(NamedTuple):
    """What the log vouches for of a document."""

    document_id: int
    sha256: str
    stored_sha256: str
    format: str
    size_bytes: int
    received_at: datetime
    received_from: str | None


class Leaf(NamedTuple):
    """A leaf, and the document that it is of."""

    leaf_index: int
    leaf_hash: bytes
    document: LoggedDocument
    content: bytes | None
    """The stored bytes, where they were asked for; None too where they cannot be decompressed."""


class KeptCheckpoint(NamedTuple):
    """A checkpoint that was made."""

    size: int
    root: bytes
    note: str
    made_at: datetime


def origin(session: Session) -> str:
    """Return the name of the log."""
    return str(session.execute(text("SELECT origin FROM prov.log_identity")).scalar_one())


def lock(session: Session) -> None:
    """Be the only one who appends, until the transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def append_documents(
    session: Session, size: int, hash_of: Callable[[LoggedDocument], bytes]
) -> int:
    """Append all documents that are not in the log of `size` yet, and return its new size."""
    while True:
        rows = session.execute(
            text(
                f"SELECT {_DOCUMENT} FROM prov.document d WHERE NOT EXISTS (SELECT 1 FROM "  # noqa: S608
                "prov.log_leaf l WHERE l.document_id = d.document_id) "
                "ORDER BY d.document_id LIMIT :batch"
            ),
            {"batch": _BATCH},
        ).all()
        if not rows:
            return size
        documents = [LoggedDocument(*row) for row in rows]
        session.execute(
            text(
                "INSERT INTO prov.log_leaf (leaf_index, document_id, leaf_hash) "
                "SELECT * FROM unnest(CAST(:i AS bigint[]), CAST(:d AS bigint[]), "
                "CAST(:h AS bytea[]))"
            ),
            {
                "i": list(range(size, size + len(documents))),
                "d": [d.document_id for d in documents],
                "h": [hash_of(d) for d in documents],
            },
        )
        size += len(documents)


def count_leaves(session: Session) -> tuple[int, int]:
    """Return the size of the log (one more than the last index), and how many leaves it has."""
    query = text("SELECT coalesce(max(leaf_index) + 1, 0), count(*) FROM prov.log_leaf")
    size, n_leaves = session.execute(query).one()
    return int(size), int(n_leaves)


def count_waiting(session: Session) -> int:
    """Return how many documents are not in the log yet."""
    query = text(
        "SELECT count(*) FROM prov.document d WHERE NOT EXISTS "
        "(SELECT 1 FROM prov.log_leaf l WHERE l.document_id = d.document_id)"
    )
    return int(session.execute(query).scalar_one())


def leaf_hashes(session: Session, size: int) -> list[tuple[int, bytes]]:
    """Return (index, hash) of the leaves before `size`, in order."""
    query = text(
        "SELECT leaf_index, leaf_hash FROM prov.log_leaf WHERE leaf_index < :size "
        "ORDER BY leaf_index"
    )
    return [(int(i), bytes(h)) for i, h in session.execute(query, {"size": size})]


def find_leaf(session: Session, document_sha256: str) -> int | None:
    """Return the index of the leaf of a document, or None."""
    query = text(
        "SELECT leaf_index FROM prov.log_leaf JOIN prov.document USING (document_id) "
        "WHERE sha256 = decode(:sha256, 'hex')"
    )
    found = session.execute(query, {"sha256": document_sha256}).scalar_one_or_none()
    return None if found is None else int(found)


def leaves(session: Session, first: int, limit: int, *, with_content: bool = False) -> list[Leaf]:
    """Return the leaves from `first` on, in order."""
    content = "d.content" if with_content else "NULL"
    rows = session.execute(
        text(
            f"SELECT l.leaf_index, l.leaf_hash, {content}, {_DOCUMENT} FROM prov.log_leaf l "  # noqa: S608
            "JOIN prov.document d USING (document_id) WHERE l.leaf_index >= :first "
            "ORDER BY l.leaf_index LIMIT :limit"
        ),
        {"first": first, "limit": limit},
    )
    return [
        Leaf(int(row[0]), bytes(row[1]), LoggedDocument(*row[3:]), _inflate(row[2])) for row in rows
    ]


def _inflate(content: bytes | None) -> bytes | None:
    try:
        return None if content is None else zlib.decompress(bytes(content))
    except zlib.error:
        return None


def insert_checkpoint(
    session: Session, *, size: int, root: bytes, note: str, made_at: datetime
) -> None:
    """Keep a checkpoint; the first of a size stays."""
    session.execute(
        text(
            "INSERT INTO prov.log_checkpoint (tree_size, root_hash, note, made_at) "
            "VALUES (:size, :root, :note, :made_at) ON CONFLICT DO NOTHING"
        ),
        {"size": size, "root": root, "note": note, "made_at": made_at},
    )


def checkpoints(session: Session, *, limit: int) -> list[KeptCheckpoint]:
    """Return the checkpoints that were made, the newest first."""
    query = text(
        "SELECT tree_size, root_hash, note, made_at FROM prov.log_checkpoint "
        "ORDER BY tree_size DESC LIMIT :limit"
    )
    rows = session.execute(query, {"limit": limit})
    return [KeptCheckpoint(row[0], bytes(row[1]), row[2], row[3]) for row in rows]
