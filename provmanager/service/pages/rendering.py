"""From a page's object to HTML or JSON, with the headers that keep a page harmless."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Coroutine
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
import markupsafe
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.routing import APIRoute

from provmanager.errors import AuthenticationError, JSONDict, ProvError
from provmanager.formats.svg import SIGNS, STYLE, render_svg
from provmanager.model import ExportFormat
from provmanager.service.errors import error_response, invalid_request

from . import links

_PACKAGE = __package__ or ""
_SVG_STYLE = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' 'sha256-{_SVG_STYLE}'; script-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Vary": "Accept, Cookie, Authorization",
}

_WIDEST = 1650  # pixels: on a page of 1240 the letters are still 10 pixels high

# What changes the direction of the text around it, or cannot be seen: names may hold them.
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e"
                     "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")  # fmt: skip


def answer(request: Request, template: str, page: JSONDict, *, status: int = 200) -> Response:
    """Return `page` as HTML, or as JSON where that was asked for."""
    if wants_json(request):
        return JSONResponse(page, status_code=status, headers=HEADERS)
    principal = getattr(request.state, "principal", None)
    html = _environment().get_template(template).render(
        page=page,
        path=request.url.path,
        query=request.url.query,
        principal=principal,
        twin=_twin(request),
    )  # fmt: skip
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def wants_json(request: Request) -> bool:
    """Whether the twin was asked for: by ``.json``, or by not taking HTML."""
    accept = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or "text/html" not in accept


def _twin(request: Request) -> str | None:
    """Return the address of the JSON twin, where the route has one."""
    route = request.scope.get("route")
    if not getattr(route, "has_twin", False):
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{quote(request.url.path)}.json{query}"


class PageRoute(APIRoute):
    """A route whose failures are pages too; whoever is not signed in is led to the sign-in."""

    has_twin = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler (Any: its signature)."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except ProvError as error:
                return failure(request, error)
            except RequestValidationError as error:
                return failure(request, invalid_request(error))

        return handle_page


class TwinRoute(PageRoute):
    """A page that has its JSON at the same path with ``.json``."""

    has_twin = True


def failure(request: Request, error: ProvError) -> Response:
    """Return the page, or the JSON, that tells of `error`."""
    if wants_json(request):
        response: Response = error_response(error)
        response.headers.update(HEADERS)
        return response
    if isinstance(error, AuthenticationError) and request.method == "GET":
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        query = "" if where == "/search" else "?" + urlencode({"next": where})
        return RedirectResponse(f"/sign-in{query}", status_code=303, headers=HEADERS)
    page = {"page": "error", "status": error.http_status, **error.to_wire()}
    return answer(request, "error.html", page, status=error.http_status)


@cache
def asset(name: str) -> bytes:
    """Return a file of the pages' own assets."""
    return files(_PACKAGE).joinpath("assets", name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(asset(name)).hexdigest()[:12]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters |= {
        "shown": shown,
        "instant": instant,
        "duration": duration,
        "size": size,
        "plain": plain,
        "many": many,
    }
    environment.globals |= {
        "signs": SIGNS,
        "links": links,
        "export_formats": list(ExportFormat),
        "asset_url": lambda name: f"/assets/{name}?v={_version(name)}",
        "drawing": drawing,
        "fits": fits,
    }
    return environment


def drawing(lineage: JSONDict, view: links.ViewLinks) -> markupsafe.Markup:
    """Return the lineage as SVG, each box of it a link."""
    svg = render_svg(lineage, link=view.of_box)
    return markupsafe.Markup(svg)  # noqa: S704  (render_svg escapes what it writes)


def fits(svg: str) -> bool:
    """Whether a drawing can be read where it is made as narrow as the page."""
    width = re.search(r'width="(\d+)"', svg)
    return width is not None and int(width[1]) <= _WIDEST


def shown(text: object) -> str:
    """Return `text` with what cannot be seen in it made visible; it is escaped later."""
    return _HIDDEN.sub(lambda match: f"\u27e8U+{ord(match[0]):04X}\u27e9", str(text))


def instant(iso: str | None) -> str:
    """Return an instant as people read it: to the second, UTC."""
    if not iso:
        return "—"
    return f"{iso[:19].replace('T', ' ')}Z"


def duration(seconds: float | None) -> str:
    """Return how long something took."""
    if seconds is None:
        return "—"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(n_bytes: int | None) -> str:
    """Return a size with decimal prefixes."""
    if n_bytes is None:
        return "—"
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"


def plain(value: Any) -> str:
    """Return a JSON value (Any) as text; strings without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def many(n: int, one: str, several: str | None = None) -> str:
    """Return ``1 run``, ``2 runs``, ``12 345 runs``."""
    word = one if n == 1 else several or f"{one}s"
    return f"{n:,} {word}".replace(",", "\u202f")
