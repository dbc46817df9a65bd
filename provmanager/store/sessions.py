"""Sign-ins of browsers in the database: only their digests, never what the browser shows."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Column, ForeignKey, LargeBinary, RowMapping, Table, Text, Uuid, text
from sqlalchemy.orm import Session

from .access import access_token
from .tables import INSTANT, metadata

Kind = Literal["link", "session"]

browser_session = Table(
    "browser_session",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("token_uuid", Uuid, ForeignKey(access_token.c.token_uuid), nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("expires_at", INSTANT, nullable=False),
)

_VALID = (
    "SELECT t.token_uuid, t.name FROM {source} s JOIN prov.access_token t USING (token_uuid) "
    "WHERE s.expires_at > :now AND t.revoked_at IS NULL "
    "AND (t.expires_at IS NULL OR t.expires_at > :now)"
)


def insert(
    session: Session,
    *,
    sha256: bytes,
    kind: Kind,
    token_uuid: UUID,
    created_at: datetime,
    expires_at: datetime,
) -> bool:
    """Store a sign-in, and forget those that are over; False if the token is not one of ours."""
    session.execute(
        text("DELETE FROM prov.browser_session WHERE expires_at <= :now"), {"now": created_at}
    )
    stored = session.execute(
        text(
            "INSERT INTO prov.browser_session (sha256, kind, token_uuid, created_at, expires_at) "
            "SELECT :s, :k, token_uuid, :c, :e FROM prov.access_token WHERE token_uuid = :t "
            "RETURNING token_uuid"
        ),
        {"s": sha256, "k": kind, "t": str(token_uuid), "c": created_at, "e": expires_at},
    )
    return stored.one_or_none() is not None


def find(session: Session, sha256: bytes, now: datetime) -> RowMapping | None:
    """Return (token_uuid, name) of the token of a session that admits now."""
    source = "(SELECT * FROM prov.browser_session WHERE sha256 = :s AND kind = 'session')"
    given = {"s": sha256, "now": now}
    return session.execute(text(_VALID.format(source=source)), given).mappings().one_or_none()


def take_link(session: Session, sha256: bytes, now: datetime) -> RowMapping | None:
    """Remove a link and return (token_uuid, name) of its token, if it is still good."""
    taken = (
        "WITH taken AS (DELETE FROM prov.browser_session WHERE sha256 = :s AND kind = 'link' "
        "RETURNING *) "
    )
    given = {"s": sha256, "now": now}
    query = text(taken + _VALID.format(source="taken"))
    return session.execute(query, given).mappings().one_or_none()


def delete(session: Session, sha256: bytes) -> None:
    """End a session; twice is as good as once."""
    session.execute(text("DELETE FROM prov.browser_session WHERE sha256 = :s"), {"s": sha256})
