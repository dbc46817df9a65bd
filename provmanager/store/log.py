"""Rows of the log: leaves and checkpoints."""

import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
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
log_node = Table(
    "log_node",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("node_hash", LargeBinary, nullable=False),
)

_LOCK = 0x6C6F67  # "log": the key of the advisory lock that whoever appends takes
_BATCH = 10_000

_DOCUMENT = (
    "d.document_id, encode(d.sha256, 'hex') AS sha256, encode(d.stored_sha256, 'hex') AS "
    "stored_sha256, d.format, d.size_bytes, d.received_at, d.received_from, d.source_name, "
    "d.n_redactions"
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
    source_name: str | None
    n_redactions: int


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


def last_leaf(session: Session) -> tuple[int, int]:
    """Return the size of the log (one more than the last index) and the id of its last document.

    Documents get their ids under the lock of those who record, and so are in the log in that
    order: those that wait have greater ones.
    """
    query = text(
        "SELECT leaf_index + 1, document_id FROM prov.log_leaf ORDER BY leaf_index DESC LIMIT 1"
    )
    found = session.execute(query).one_or_none()
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


def append_documents(
    session: Session, size: int, last_id: int, hash_of: Callable[[LoggedDocument], bytes]
) -> int:
    """Append the documents after `last_id` to the log of `size`, and return its new size."""
    while True:
        rows = session.execute(
            text(
                f"SELECT {_DOCUMENT} FROM prov.document d WHERE d.document_id > :last "  # noqa: S608
                "ORDER BY d.document_id LIMIT :batch"
            ),
            {"last": last_id, "batch": _BATCH},
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
        last_id = documents[-1].document_id


def count_leaves(session: Session, first: int) -> int:
    """Return how many leaves there are from `first` on."""
    query = text("SELECT count(*) FROM prov.log_leaf WHERE leaf_index >= :first")
    return int(session.execute(query, {"first": first}).scalar_one())


def has_waiting(session: Session) -> bool:
    """Return whether documents are not in the log yet."""
    query = text("SELECT EXISTS (SELECT 1 FROM prov.document WHERE document_id > :last)")
    return bool(session.execute(query, {"last": last_leaf(session)[1]}).scalar_one())


def subtree_hashes(session: Session, level: int, first: int, count: int) -> list[bytes]:
    """Return hashes of leaves (`level` 0) or of the subtrees that are kept, in order."""
    table = (
        "SELECT leaf_hash FROM prov.log_leaf WHERE leaf_index >= :first AND leaf_index < :end "
        "ORDER BY leaf_index"
        if level == 0
        else "SELECT node_hash FROM prov.log_node WHERE level = :level AND node_index >= :first "
        "AND node_index < :end ORDER BY node_index"
    )
    values = {"level": level, "first": first, "end": first + count}
    return [bytes(h) for h in session.execute(text(table), values).scalars()]


def count_nodes(session: Session, level: int) -> int:
    """Return how many subtrees of that level are kept."""
    query = text("SELECT coalesce(max(node_index) + 1, 0) FROM prov.log_node WHERE level = :level")
    return int(session.execute(query, {"level": level}).scalar_one())


def insert_nodes(session: Session, level: int, first: int, hashes: Sequence[bytes]) -> None:
    """Keep the roots of complete subtrees."""
    session.execute(
        text(
            "INSERT INTO prov.log_node (level, node_index, node_hash) "
            "SELECT :level, i, h FROM unnest(CAST(:i AS bigint[]), CAST(:h AS bytea[])) AS n (i, h)"
        ),
        {"level": level, "i": list(range(first, first + len(hashes))), "h": list(hashes)},
    )


def delete_nodes(session: Session) -> None:
    """Forget the roots of subtrees: they follow from the leaves."""
    session.execute(text("DELETE FROM prov.log_node"))


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


def checkpoints(session: Session, *, limit: int, before: int | None = None) -> list[KeptCheckpoint]:
    """Return the checkpoints that were made, the newest first; those of a size below `before`."""
    query = text(
        "SELECT tree_size, root_hash, note, made_at FROM prov.log_checkpoint "
        "WHERE CAST(:before AS bigint) IS NULL OR tree_size < :before "
        "ORDER BY tree_size DESC LIMIT :limit"
    )
    rows = session.execute(query, {"limit": limit, "before": before})
    return [KeptCheckpoint(row[0], bytes(row[1]), row[2], row[3]) for row in rows]
