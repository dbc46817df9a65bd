"""Every failure leaves as ``{"code", "message", "details"}`` with the right HTTP status."""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provmanager.errors import NotFoundError, ProvError, UsageError

logger = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every failure in the one shape."""
    app.add_exception_handler(ProvError, _prov_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_middleware(IncidentMiddleware)


def error_response(error: ProvError, *, status: int | None = None) -> JSONResponse:
    """Return the answer that tells of `error`."""
    headers = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="provmanager"'
    if error.http_status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse(error.to_wire(), status_code=status or error.http_status, headers=headers)


def _prov_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProvError)
    if error.http_status >= 500:
        logger.warning("%s: %s", error.code, error.message)
    return error_response(error)


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(invalid_request(error))


def invalid_request(error: RequestValidationError) -> UsageError:
    """Return the error that tells of wrong parameters or fields, with JSON pointers to them."""
    problems = [_problem(item) for item in error.errors()]
    return UsageError(
        "; ".join(message for _, message in problems[:3]),
        pointer=problems[0][0],
        problems=[{"pointer": pointer, "message": message} for pointer, message in problems],
    )


def _problem(item: dict[str, Any]) -> tuple[str, str]:  # Any: what pydantic reports
    where: Sequence[Any] = item["loc"]
    pointer = "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in where)
    place = {"query": "parameter", "path": "path parameter", "header": "header"}.get(
        str(where[0]), "body"
    )
    name = ".".join(str(part) for part in where[1:])
    if item["type"] == "missing":
        return pointer, f"{place} {name}: missing"
    given = repr(item.get("input"))[:100]
    return pointer, f"{place} {name}: {item['msg']}, not {given}"


def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        return error_response(
            NotFoundError(f"there is no {what} here: /v1/openapi.json lists what there is")
        )
    if error.status_code == 405:
        message = f"{what} is not allowed: /v1/openapi.json lists what is"
    else:
        message = f"{what}: {error.detail}"
    return error_response(UsageError(message), status=error.status_code)


class IncidentMiddleware:
    """The process edge: what nobody foresaw is logged with an id, and answered with that id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def watched_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception:
            incident = uuid4().hex[:12]
            logger.exception("incident %s in %s %s", incident, scope["method"], scope["path"])
            if has_begun:  # too late for another answer: let the connection break
                raise
            error = ProvError(
                f"the server failed (incident {incident}); nothing was changed: tell the operator "
                "the incident's id, which the server's log explains",
                incident=incident,
            )
            await error_response(error)(scope, receive, send)
