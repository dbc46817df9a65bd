"""``/v1/tokens``: make, list and revoke tokens."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from provmanager.logic import access
from provmanager.model import Principal, Role, Token

from .deps import DatabaseDep, SessionDep
from .security import require

router = APIRouter(prefix="/v1/tokens", tags=["access"])


class TokenRequest(BaseModel):
    """The token that is wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1, max_length=200)
    """Who or what it is for."""
    role: Role
    expires_in_s: float | None = Field(default=None, gt=0)
    """How long it is valid, in seconds; for ever if absent."""
    job: str | None = None
    """Id of the only job for which it may deliver documents (recorder)."""


class TokenItem(BaseModel):
    """What is known of a token."""

    id: UUID
    name: str
    role: Role
    job: str | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> Self:
        """Make the wire form of `token`."""
        return cls(
            id=token.token_uuid,
            name=token.name,
            role=token.role,
            job=token.job,
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            last_used_at=token.last_used_at,
        )


class NewToken(TokenItem):
    """A new token; it is shown this once."""

    token: str


class TokenList(BaseModel):
    """All tokens, the newest first."""

    items: list[TokenItem]


@router.post("", status_code=201)
def create_token(
    wanted: TokenRequest,
    session: SessionDep,
    principal: Annotated[Principal, require(Role.RECORDER)],
) -> NewToken:
    """Make a token; this answer alone holds it.

    An admin makes any. A recorder makes recorder's tokens that are bound to a job of theirs and
    end within 30 days: what a submitted job delivers its records with.
    """
    access.authorise_token(
        principal, role=wanted.role, job=wanted.job, lifetime_s=wanted.expires_in_s
    )
    token, made = access.create_token(
        session,
        name=wanted.name,
        role=wanted.role,
        lifetime_s=wanted.expires_in_s,
        job=wanted.job,
        created_by=principal.name,
        now=datetime.now(UTC),
    )
    return NewToken(token=token, **TokenItem.of(made).model_dump())


@router.get("", dependencies=[require(Role.ADMIN)])
def list_tokens(session: SessionDep) -> TokenList:
    """List all tokens, revoked ones too; never the tokens themselves."""
    return TokenList(items=[TokenItem.of(token) for token in access.list_tokens(session)])


@router.delete("/{which}", dependencies=[require(Role.ADMIN)])
def revoke_token(which: str, request: Request, database: DatabaseDep) -> TokenItem:
    """Revoke the token of that id or name."""
    with database.transaction() as session:
        revoked = access.revoke_token(session, which, now=datetime.now(UTC))
    request.app.state.known_tokens.forget()  # once that is committed
    return TokenItem.of(revoked)
