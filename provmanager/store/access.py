"""Tokens in the database: only their digests, never the tokens."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    LargeBinary,
    Row,
    Table,
    Text,
    Uuid,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from provmanager.model import Role, Token

from .tables import INSTANT, metadata

COARSE = timedelta(minutes=10)
"""How exact `last_used_at` is: a token in use is not written at every request."""

access_token = Table(
    "access_token",
    metadata,
    Column("access_token_id", BigInteger, Identity(always=True), primary_key=True),
    Column("token_uuid", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("sha256", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("job", Text),
    Column("created_at", INSTANT, nullable=False, server_default=text("now()")),
    Column("created_by", Text),
    Column("expires_at", INSTANT),
    Column("revoked_at", INSTANT),
    Column("last_used_at", INSTANT),
)

_t = access_token.c
_PUBLIC = (
    _t.token_uuid,
    _t.name,
    _t.role,
    _t.job,
    _t.created_at,
    _t.created_by,
    _t.expires_at,
    _t.revoked_at,
    _t.last_used_at,
)


def find_token(session: Session, sha256: bytes) -> Token | None:
    """Return the token with that digest, valid or not."""
    row = session.execute(select(_t.sha256, *_PUBLIC).where(_t.sha256 == sha256)).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row[0]), sha256):
        return None
    return _token(row[1:])


def insert_token(
    session: Session,
    *,
    sha256: bytes,
    name: str,
    role: Role,
    job: str | None,
    created_at: datetime,
    created_by: str | None,
    expires_at: datetime | None,
) -> Token | None:
    """Store a token; None if one of that name is valid. An expired one makes way."""
    session.execute(
        update(access_token)
        .where(_t.name == name, _t.revoked_at.is_(None), _t.expires_at <= created_at)
        .values(revoked_at=_t.expires_at)
    )
    row = session.execute(
        insert(access_token)
        .values(
            sha256=sha256,
            name=name,
            role=role.value,
            job=job,
            created_at=created_at,
            created_by=created_by,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing(index_elements=["name"], index_where=_t.revoked_at.is_(None))
        .returning(*_PUBLIC)
    ).one_or_none()
    return None if row is None else _token(row)


def list_tokens(session: Session, *, limit: int) -> list[Token]:
    """Return the tokens, newest first."""
    query = select(*_PUBLIC).order_by(_t.created_at.desc(), _t.access_token_id.desc()).limit(limit)
    return [_token(row) for row in session.execute(query)]


def revoke_tokens(
    session: Session, *, now: datetime, token_uuid: UUID | None = None, name: str | None = None
) -> list[Token]:
    """Revoke the token of that id, or the valid one of that name; return what was revoked now."""
    which = _t.token_uuid == token_uuid if token_uuid else _t.name == name
    statement = update(access_token).where(which, _t.revoked_at.is_(None)).values(revoked_at=now)
    return [_token(row) for row in session.execute(statement.returning(*_PUBLIC))]


def get_token(session: Session, token_uuid: UUID) -> Token | None:
    """Return the token of that id, valid or not."""
    row = session.execute(select(*_PUBLIC).where(_t.token_uuid == token_uuid)).one_or_none()
    return None if row is None else _token(row)


def touch_token(session: Session, token_uuid: UUID, now: datetime) -> None:
    """Note that a token was used; never waits for another request that is doing the same."""
    stale = (
        select(_t.access_token_id)
        .where(_t.token_uuid == token_uuid)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    session.execute(
        update(access_token).where(_t.access_token_id == stale).values(last_used_at=now)
    )


def _token(row: Row[tuple[object, ...]] | Sequence[object]) -> Token:
    names = (column.name for column in _PUBLIC)
    values = dict(zip(names, row, strict=True))
    values["role"] = Role(str(values["role"]))
    return Token(**values)  # type: ignore[arg-type]
