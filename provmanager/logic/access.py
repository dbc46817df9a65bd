"""Who may do what: make, check, list and revoke tokens."""

import hashlib
import logging
import os
import re
import secrets
import socket
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import AuthenticationError, AuthorisationError, NotFoundError, UsageError
from provmanager.model import Principal, Role, Token
from provmanager.store import access as store

logger = logging.getLogger(__name__)

PREFIX = "prov_"
"""What tokens begin with, so that scanners for leaked secrets find them."""

LONGEST_JOB_S = 30 * 86400
"""How long a token may last that a recorder makes for a job of theirs."""

_SHAPE = re.compile(r"prov_[A-Za-z0-9_-]{43}")
_LONGEST_LIST = 10_000


def create_token(
    session: Session,
    *,
    name: str,
    role: Role,
    now: datetime,
    lifetime_s: float | None = None,
    job: str | None = None,
    created_by: str | None = None,
) -> tuple[str, Token]:
    """Make a token; it is returned here and never again, for only its digest is stored.

    Raises
    ------
    UsageError
        The name is empty or taken, the lifetime is not positive, or a job is given with another
        role than recorder.
    """
    name = name.strip()
    if not name or len(name) > 200 or "\x00" in name:
        raise UsageError(f"a token needs a name of 1 to 200 characters, not {name[:40]!r}")
    if job is not None and (role is not Role.RECORDER or not job or "\x00" in job):
        raise UsageError(
            f"only a recorder's token can be bound to a job, and by its id; this is of role {role}",
            pointer="/job",
        )
    if lifetime_s is not None and not 0 < lifetime_s <= 100 * 366 * 86400:
        raise UsageError(
            f"a token's lifetime must be between 0 s and 100 years, not {lifetime_s:g} s",
            pointer="/expires_in_s",
        )
    token = PREFIX + secrets.token_urlsafe(32)
    made = store.insert_token(
        session,
        sha256=digest_of_secret(token),
        name=name,
        role=role,
        job=job,
        created_at=now,
        created_by=created_by,
        expires_at=now + timedelta(seconds=lifetime_s) if lifetime_s else None,
    )
    if made is None:
        raise UsageError(
            f"there is a valid token named {name!r}: choose another name, or revoke that one "
            f"first (prod-token revoke {name!r})",
            pointer="/name",
        )
    logger.info("made token %r (%s) of role %s", name, made.token_uuid, role.value)
    return token, made


def authenticate(session: Session, token: str | None, *, now: datetime) -> Principal:
    """Return whom `token` stands for.

    Raises
    ------
    AuthenticationError
        There is none, or it is not valid.
    """
    if not token:
        raise AuthenticationError(
            "a token is needed: set PROV_TOKEN or PROV_TOKEN_FILE; prod-server prints where the "
            "operator's token lies, and prod-token create makes others"
        )
    found = store.find_token(session, digest_of_secret(token)) if _SHAPE.fullmatch(token) else None
    if found is None:
        raise AuthenticationError(
            "the token is not known here: check PROV_TOKEN or PROV_TOKEN_FILE, or ask the "
            "operator for one (prod-token create)"
        )
    if found.revoked_at is not None or (found.expires_at is not None and found.expires_at <= now):
        ended = "was revoked" if found.revoked_at else "expired"
        when = found.revoked_at or found.expires_at
        raise AuthenticationError(
            f"the token {found.name!r} {ended} at {when:%Y-%m-%dT%H:%M:%SZ}: ask the operator for "
            "a new one (prod-token create)"
        )
    if found.last_used_at is None or now - found.last_used_at >= store.COARSE:
        store.touch_token(session, found.token_uuid, now)
    return Principal(token_uuid=found.token_uuid, name=found.name, role=found.role, job=found.job)


def authorise(principal: Principal, role: Role) -> None:
    """Make sure that `principal` may do what needs `role`.

    Raises
    ------
    AuthorisationError
        It may not.
    """
    if not principal.role.includes(role):
        raise AuthorisationError(
            f"this needs the role {role.value}, and the token {principal.name!r} has the role "
            f"{principal.role.value}: ask the operator for one (prod-token create --role "
            f"{role.value})",
            needed=role.value,
            held=principal.role.value,
        )


def authorise_token(
    principal: Principal, *, role: Role, job: str | None, lifetime_s: float | None
) -> None:
    """Make sure that `principal` may have such a token made.

    An admin may have any; another recorder only what a job of theirs needs: a recorder's token
    that is bound to the job and ends by itself. A token that is bound makes no others.

    Raises
    ------
    AuthorisationError
        It may not.
    """
    if principal.role is Role.ADMIN:
        return
    if principal.job is not None:
        raise AuthorisationError(
            f"the token {principal.name!r} is bound to job {principal.job}: it makes no others"
        )
    is_short = lifetime_s is not None and lifetime_s <= LONGEST_JOB_S
    if role is not Role.RECORDER or job is None or not is_short:
        raise AuthorisationError(
            f"with the role {principal.role.value}, only a recorder's token that is bound to a job "
            f"(--job) and ends within {LONGEST_JOB_S // 86400} days (--expires) can be made; any "
            "other needs the role admin",
            needed=Role.ADMIN.value,
            held=principal.role.value,
        )


def list_tokens(session: Session) -> list[Token]:
    """Return all tokens, the newest first, revoked ones too."""
    return store.list_tokens(session, limit=_LONGEST_LIST)


def revoke_token(session: Session, which: str, *, now: datetime) -> Token:
    """Revoke the token whose id or name is `which`; twice is as good as once.

    Raises
    ------
    NotFoundError
        There is no such token.
    """
    try:
        token_uuid = UUID(which)
    except ValueError:
        revoked = store.revoke_tokens(session, name=which, now=now)
        existing = None
    else:
        revoked = store.revoke_tokens(session, token_uuid=token_uuid, now=now)
        existing = store.get_token(session, token_uuid)
    if revoked:
        logger.info("revoked token %r (%s)", revoked[0].name, revoked[0].token_uuid)
        return revoked[0]
    if existing is not None:
        return existing
    raise NotFoundError(f"there is no valid token {which!r}: prod-token list shows all")


def ensure_operator_token(session: Session, path: Path, *, now: datetime) -> bool:
    """Make sure that the file `path` (mode 0600) holds an admin token; return whether it is new.

    A token that the database does not know is replaced. One that was revoked stays revoked:
    whoever wants a new one deletes the file first.
    """
    held = path.read_text().strip() if path.exists() else ""
    if held and store.find_token(session, digest_of_secret(held)) is not None:
        return False
    name = f"operator of {socket.gethostname()}:{path.parent}"[:200]
    store.revoke_tokens(session, name=name, now=now)
    token, _ = create_token(session, name=name, role=Role.ADMIN, now=now)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    partial.rename(path)
    return True


def digest_of_secret(secret: str) -> bytes:
    """Return what is stored of a token, code or cookie: its SHA-256, never itself."""
    return hashlib.sha256(secret.encode()).digest()
