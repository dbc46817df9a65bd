"""Signing in: a token is shown once, and the browser then holds a cookie that can only read."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict

from provmanager.config.settings import Settings
from provmanager.errors import AuthenticationError, AuthorisationError, NotFoundError
from provmanager.logic import access, sessions
from provmanager.model import Principal, Role
from provmanager.service.deps import SessionDep, SettingsDep
from provmanager.service.security import COOKIE, OPEN, require

from .rendering import HEADERS, PageRoute, answer, asset, wants_json

_START = "/search"
_REFUSED = (
    "that token is not valid here: it may be mistyped, revoked or expired; the operator makes "
    "another with prod-token create"
)
_MEDIA_TYPES = {"pages.css": "text/css", "pages.js": "text/javascript", "icon.svg": "image/svg+xml"}

router = APIRouter(tags=["pages"], route_class=PageRoute)
api = APIRouter(prefix="/v1", tags=["access"])


class SignInLink(BaseModel):
    """A link that signs one browser in, once."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    path: str
    """To put after the server's address."""
    expires_in_s: int
    """How long it can be used, in seconds."""


@api.post("/sign-in-links", status_code=201)
def create_sign_in_link(
    session: SessionDep, principal: Annotated[Principal, require(Role.READER)]
) -> SignInLink:
    """Make a link that signs a browser in to the pages, once and soon, without the token in it."""
    code = sessions.make_link_code(session, principal, now=datetime.now(UTC))
    lifetime_s = int(sessions.LINK_LIFETIME.total_seconds())
    return SignInLink(path=f"/sign-in?code={code}", expires_in_s=lifetime_s)


@router.get("/sign-in", dependencies=[OPEN])
def show_sign_in(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    next: str = _START,
    code: str | None = None,
) -> Response:
    """Show the form that takes a token, or turn the code of a sign-in link into a session."""
    if code is None:
        return answer(request, "sign_in.html", _form(next))
    try:
        value = sessions.redeem_link(session, code, now=datetime.now(UTC))
    except AuthenticationError as error:
        if wants_json(request):
            raise
        return answer(request, "sign_in.html", _form(next, error.message), status=401)
    return _signed_in(value, next, settings)


@router.post("/sign-in", dependencies=[OPEN])
def sign_in(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = _START,
) -> Response:
    """Take a token (a form field) and set the cookie of a session, which can only read."""
    _check_origin(request)
    now = datetime.now(UTC)
    try:
        principal = access.authenticate(session, token.strip(), now=now)
    except AuthenticationError:
        return answer(request, "sign_in.html", _form(next, _REFUSED), status=401)
    return _signed_in(sessions.open_session(session, principal, now=now), next, settings)


@router.post("/sign-out", dependencies=[OPEN])
def sign_out(request: Request, session: SessionDep) -> Response:
    """End the session of the browser's cookie."""
    _check_origin(request)
    sessions.close_session(session, request.cookies.get(COOKIE, ""))
    request.app.state.known_tokens.forget()
    response = RedirectResponse("/sign-in", status_code=303, headers=HEADERS)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/assets/{name}", dependencies=[OPEN])
def get_asset(
    name: str, v: Annotated[str, Query(description="Its digest, so that it can be kept")] = ""
) -> Response:
    """Return the pages' style sheet, script or icon; all that they load."""
    if name not in _MEDIA_TYPES:
        raise NotFoundError(f"there is no asset {name!r}", expected=sorted(_MEDIA_TYPES))
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset(name), media_type=_MEDIA_TYPES[name], headers=headers)


def _form(next: str, problem: str | None = None) -> dict[str, object]:
    return {"page": "sign-in", "next": _own(next), "problem": problem}


def _signed_in(value: str, next: str, settings: Settings) -> Response:
    response = RedirectResponse(_own(next), status_code=303, headers=HEADERS)
    is_https = settings.tls_cert is not None or (settings.public_url or "").startswith("https:")
    strict: Literal["strict"] = "strict"
    lifetime_s = int(sessions.SESSION_LIFETIME.total_seconds())
    response.set_cookie(
        COOKIE, value, max_age=lifetime_s, httponly=True, samesite=strict, secure=is_https
    )
    return response


def _own(next: str) -> str:
    """Return `next` if it is a path of this server, else the start page."""
    parts = urlsplit(next)
    is_path = next.startswith("/") and not next.startswith(("//", "/\\")) and next.isprintable()
    return next if is_path and not parts.scheme and not parts.netloc else _START


def _check_origin(request: Request) -> None:
    """Refuse a form that another site, or a page on another port, sends in a browser's name.

    Raises
    ------
    AuthorisationError
        It comes from elsewhere.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_own = site in (None, "same-origin", "none")
    if is_own and site is None and origin is not None:
        is_own = urlsplit(origin).netloc == request.headers.get("host")
    if not is_own:
        raise AuthorisationError("this form was sent from another site: open the page here instead")
