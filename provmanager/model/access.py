"""Who may do what: roles, tokens and whom a token stands for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a token allows; each role may do whatever those before it may."""

    READER = "reader"
    """Search, trace, export."""
    RECORDER = "recorder"
    """Deliver documents."""
    CURATOR = "curator"
    """Change descriptions, mark products as invalid."""
    ADMIN = "admin"
    """Make and revoke tokens."""

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request comes from."""

    token_uuid: UUID
    name: str
    role: Role
    job: str | None
    """The only job whose documents it may deliver; None: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token: everything but the token."""

    token_uuid: UUID
    name: str
    role: Role
    job: str | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To ten minutes."""
