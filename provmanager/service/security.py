"""Every route declares who may use it: ``require(Role.READER)`` or `OPEN`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from provmanager.logic import access
from provmanager.model import Principal, Role

from .deps import DatabaseDep

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token made by `prod-token create`, or the operator's own.",
)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A dependency that admits tokens of at least `role`."""

    role: Role

    def __call__(
        self,
        request: Request,
        database: DatabaseDep,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        """Return whom the request comes from, or raise Authentication- or AuthorisationError."""
        token = credentials.credentials if credentials else None
        with database.statements() as session:
            principal = access.authenticate(session, token, now=datetime.now(UTC))
        access.authorise(principal, self.role)
        request.state.principal = principal
        return principal


@dataclass(frozen=True, slots=True)
class OpenRule:
    """A dependency that admits everybody."""

    def __call__(self) -> None:
        """Do nothing."""


@cache
def require(role: Role) -> Any:  # Any: what fastapi.Depends returns
    """Return the dependency that admits tokens of at least `role`, and gives the `Principal`.

    Either ``dependencies=[require(Role.READER)]`` on a route or router, or
    ``principal: Annotated[Principal, require(Role.RECORDER)]`` as a parameter.
    """
    return Depends(AccessRule(role))


OPEN = Depends(OpenRule())
"""Declares a route that needs no token."""
