"""Every route declares who may use it: ``require(Role.READER)``, `READ_PAGE` or `OPEN`."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from provmanager.logic import access, sessions
from provmanager.model import Principal, Role
from provmanager.store.database import Database

from .deps import DatabaseDep
from .issuers import TokenIssuers

COOKIE = "prov_session"
"""What a signed-in browser shows; it admits to the pages only, and not to ``/v1``."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token made by `prod-token create`, the operator's own, or one of a DiracX "
    "server that the operator trusts.",
)
BearerDep = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
"""What stands in the header Authorization, if it is a bearer token."""


class KnownTokens:
    """Whom tokens stood for a moment ago: a client that sends much is not looked up each time.

    A token that is revoked here is refused at once; within `LIFETIME_S` where a request of it was
    just being looked up, or where another server of the same database revoked it.
    """

    LIFETIME_S = 2.0
    _MOST = 1000

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Principal]] = {}

    def get(self, token: str) -> Principal | None:
        """Return whom `token` stands for, if that was looked up just now."""
        until, principal = self._known.get(token, (0.0, None))
        return principal if time.monotonic() < until else None

    def put(self, token: str, principal: Principal) -> None:
        """Remember `principal` for a moment."""
        if len(self._known) >= self._MOST:
            self._known.clear()
        self._known[token] = (time.monotonic() + self.LIFETIME_S, principal)

    def forget(self) -> None:
        """Forget all: a token was revoked."""
        self._known.clear()


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A dependency that admits tokens of at least `role`."""

    role: Role

    async def __call__(
        self,
        request: Request,
        database: DatabaseDep,
        credentials: BearerDep,
    ) -> Principal:
        """Return whom the request comes from, or raise Authentication- or AuthorisationError."""
        token = credentials.credentials if credentials else None
        known: KnownTokens = request.app.state.known_tokens
        principal = known.get(token) if token else None
        if principal is None:
            issuers: TokenIssuers = request.app.state.token_issuers
            if token and issuers.is_theirs(token):
                principal = await run_in_threadpool(
                    issuers.authenticate, token, now=datetime.now(UTC)
                )
            else:
                principal = await run_in_threadpool(_look_up, database, token)
            if token:
                known.put(token, principal)
        access.authorise(principal, self.role)
        request.state.principal = principal
        return principal


def _look_up(database: Database, token: str | None) -> Principal:
    with database.statements() as session:
        return access.authenticate(session, token, now=datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class PageRule(AccessRule):
    """Admits tokens of at least `role`, and browsers that are signed in (as readers)."""

    async def __call__(
        self, request: Request, database: DatabaseDep, credentials: BearerDep
    ) -> Principal:
        """Return whom the request comes from, or raise Authentication- or AuthorisationError."""
        cookie = request.cookies.get(COOKIE)
        if credentials is not None or not cookie:
            return await AccessRule.__call__(self, request, database, credentials)
        known: KnownTokens = request.app.state.known_tokens
        key = f"{COOKIE}\n{cookie}"  # no header can hold that, so no token can be it
        principal = known.get(key)
        if principal is None:
            principal = await run_in_threadpool(_look_up_session, database, cookie)
            known.put(key, principal)
        access.authorise(principal, self.role)
        request.state.principal = principal
        return principal


def _look_up_session(database: Database, cookie: str) -> Principal:
    with database.statements() as session:
        return sessions.find_session(session, cookie, now=datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class OpenRule:
    """A dependency that admits everybody."""

    async def __call__(self) -> None:
        """Do nothing."""


@cache
def require(role: Role) -> Any:  # Any: what fastapi.Depends returns
    """Return the dependency that admits tokens of at least `role`, and gives the `Principal`.

    Either ``dependencies=[require(Role.READER)]`` on a route or router, or
    ``principal: Annotated[Principal, require(Role.RECORDER)]`` as a parameter.
    """
    return Depends(AccessRule(role))


READ_PAGE = Depends(PageRule(Role.READER))
"""Declares a page: for readers, by token or by the cookie of a browser that is signed in."""

OPEN = Depends(OpenRule())
"""Declares a route that needs no token."""
