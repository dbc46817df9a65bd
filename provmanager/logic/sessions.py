"""Sign-ins of browsers: a token is shown once, and the browser then holds a cookie that can less.

A session reads, whatever the role of its token, for `SESSION_LIFETIME` at most, and ends when its
token does. A cookie is sent to every port of a host, so it must not be worth a token.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import AuthenticationError, AuthorisationError
from provmanager.model import Principal, Role
from provmanager.store import sessions as store

from .access import digest_of_secret

SESSION_LIFETIME = timedelta(hours=12)
LINK_LIFETIME = timedelta(minutes=2)

_LONGEST = 100


def open_session(session: Session, principal: Principal, *, now: datetime) -> str:
    """Return the value of a cookie that admits `principal` to the pages.

    Raises
    ------
    AuthorisationError
        Its token is not one of this server's.
    """
    return _make(session, "session", principal, now, SESSION_LIFETIME)


def make_link_code(session: Session, principal: Principal, *, now: datetime) -> str:
    """Return a code that can be turned into a session once, and soon.

    Raises
    ------
    AuthorisationError
        Its token is not one of this server's.
    """
    return _make(session, "link", principal, now, LINK_LIFETIME)


def redeem_link(session: Session, code: str, *, now: datetime) -> str:
    """Return the value of a cookie for a code of `make_link_code`.

    Raises
    ------
    AuthenticationError
        The code was used, is too old, or never was one.
    """
    found = store.take_link(session, digest_of_secret(code), now) if len(code) <= _LONGEST else None
    if found is None:
        raise AuthenticationError(
            "this link was used already, or is older than "
            f"{LINK_LIFETIME.seconds // 60} minutes: make another with prod-server open"
        )
    return open_session(session, _reader(found["token_uuid"], found["name"]), now=now)


def find_session(session: Session, value: str, *, now: datetime) -> Principal:
    """Return whom a cookie admits.

    Raises
    ------
    AuthenticationError
        Nobody, or nobody any more.
    """
    found = store.find(session, digest_of_secret(value), now) if len(value) <= _LONGEST else None
    if found is None:
        raise AuthenticationError(
            "you are not signed in any more: sign in with a token, or set PROV_TOKEN in a program"
        )
    return _reader(found["token_uuid"], found["name"])


def close_session(session: Session, value: str) -> None:
    """Make a cookie worthless."""
    if len(value) <= _LONGEST:
        store.delete(session, digest_of_secret(value))


def _reader(token_uuid: object, name: str) -> Principal:
    return Principal(token_uuid=UUID(str(token_uuid)), name=name, role=Role.READER, job=None)


def _make(
    session: Session, kind: store.Kind, principal: Principal, now: datetime, lifetime: timedelta
) -> str:
    value = secrets.token_urlsafe(32)
    is_stored = store.insert(
        session,
        sha256=digest_of_secret(value),
        kind=kind,
        token_uuid=principal.token_uuid,
        created_at=now,
        expires_at=now + lifetime,
    )
    if not is_stored:
        raise AuthorisationError(
            f"{principal.name!r} comes with a token of another issuer: the pages take tokens of "
            "this server (prod-token create --role reader)"
        )
    return value
