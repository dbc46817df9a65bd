"""``/provsap``: IVOA ProvSAP, with errors as VOTables (DALI 1.1), and its VOSI documents."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from provmanager.errors import ProvError, UsageError
from provmanager.formats.votable import error_votable
from provmanager.logic import provsap
from provmanager.model import ExportFormat, Role

from .deps import DatabaseDep, SessionDep
from .errors import error_response, invalid_request
from .security import OPEN, require

FORMATS = {
    "PROV-JSON": ExportFormat.PROV_JSON,
    "PROV-N": ExportFormat.PROV_N,
    "PROV-XML": ExportFormat.PROV_XML,
    "PROV-VOTABLE": ExportFormat.VOTABLE,
}
"""Values of RESPONSEFORMAT; the media type of each is one too."""

_ALIASES = {"AGENTS": "AGENT"}  # OPUS
_VOTABLE = ExportFormat.VOTABLE.media_type
_VOSI = "http://www.ivoa.net/xml/VOSI"


class SapRoute(APIRoute):
    """A route whose parameters have names in any case, and whose failures are VOTables."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler (Any: its signature)."""
        handle = super().get_route_handler()

        async def handle_sap(request: Request) -> Response:
            pairs = parse_qsl(request.url.query, keep_blank_values=True)
            named = [(_ALIASES.get(k.upper(), k.upper()), v) for k, v in pairs]
            scope = {**request.scope, "query_string": urlencode(named).encode()}
            try:
                return await handle(Request(scope, request.receive))
            except ProvError as error:
                return _failed(error)
            except RequestValidationError as error:
                return _failed(invalid_request(error))

        return handle_sap


def _failed(error: ProvError, *, status: int | None = None) -> Response:
    answer = error_response(error, status=status)
    headers = {k: v for k, v in answer.headers.items() if not k.lower().startswith("content-")}
    content = error_votable(error.message)
    return Response(content, answer.status_code, headers, media_type=_VOTABLE)


router = APIRouter(prefix="/provsap", tags=["provsap"], route_class=SapRoute)

Flag = Literal["0", "1"]


@router.get(
    "",
    dependencies=[require(Role.READER)],
    response_class=Response,
    responses={
        200: {"content": {format.media_type: {} for format in FORMATS.values()}},
        **{code: {"content": {_VOTABLE: {}}, "description": "An error document (DALI)"}
           for code in (400, 406, 415)},
    },
)  # fmt: skip
def get_provenance(
    session: SessionDep,
    ids: Annotated[list[str], Query(alias="ID", description="Entity, activity or agent")],
    depth: Annotated[
        str, Query(alias="DEPTH", pattern="^([0-9]{1,6}|ALL)$", description="Relations, or ALL")
    ] = "1",
    direction: Annotated[
        Literal["BACK", "FORTH", "FORWARD"],
        Query(alias="DIRECTION", description="BACK: what it came from; FORTH: what came of it"),
    ] = "BACK",
    form: Annotated[
        str,
        Query(alias="RESPONSEFORMAT", description=f"{', '.join(FORMATS)}, or a media type"),
    ] = "PROV-JSON",
    model: Annotated[
        Literal["IVOA", "W3C"], Query(alias="MODEL", description="W3C: what IVOA adds is left out")
    ] = "IVOA",
    agent: Annotated[Flag, Query(alias="AGENT", description="1: with agents")] = "0",
    members: Annotated[Flag, Query(alias="MEMBERS", description="1: follow collections")] = "0",
    steps: Annotated[Flag, Query(alias="STEPS", description="1: follow what ran in what")] = "0",
    configuration: Annotated[
        Flag, Query(alias="CONFIGURATION", description="1: with settings and configuration files")
    ] = "1",
    attributes: Annotated[
        Flag, Query(alias="ATTRIBUTES", description="0: names, times and relations only")
    ] = "1",
    descriptions: Annotated[
        Literal["0", "1", "2"],
        Query(alias="DESCRIPTIONS", description="1: of activities; 2: and of their parts"),
    ] = "0",
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Return what is within DEPTH relations of records (IVOA ProvSAP).

    Names of parameters are taken in any case. An unknown ID has an empty answer. Errors are
    VOTables with an INFO element QUERY_STATUS.
    """
    format = _format_named(form)
    if format is None:
        known = ", ".join((*FORMATS, *(f.media_type for f in FORMATS.values())))
        error = UsageError(f"parameter RESPONSEFORMAT: {form!r} is none of {known}")
        return _failed(error, status=415)
    if not _is_accepted(format.media_type, accept):
        error = UsageError(
            f"the answer is {format.media_type}, which the header Accept ({accept}) does not allow"
        )
        return _failed(error, status=406)
    if model == "W3C" and format is ExportFormat.VOTABLE:
        raise UsageError("parameter MODEL: W3C PROV has no VOTable; take MODEL=IVOA")
    query = provsap.SapQuery(
        ids=ids,
        depth=None if depth == "ALL" else int(depth),
        direction="BACK" if direction == "BACK" else "FORTH",
        model=model,
        agent=agent == "1",
        members=members == "1",
        steps=steps == "1",
        configuration=configuration == "1",
        attributes=attributes == "1",
        descriptions=int(descriptions),
    )
    return Response(provsap.answer(session, query, format), media_type=format.media_type)


def _format_named(text: str) -> ExportFormat | None:
    by_type = {format.media_type: format for format in FORMATS.values()}
    return FORMATS.get(text.upper()) or by_type.get(text.lower())


def _is_accepted(media_type: str, accept: str) -> bool:
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(ranges & {"*/*", "", f"{media_type.partition('/')[0]}/*", media_type})


@router.get("/availability", dependencies=[OPEN], response_class=Response)
def get_availability(database: DatabaseDep) -> Response:
    """Say that the service works (VOSI 1.1)."""
    database.check()
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<vosi:availability xmlns:vosi="{_VOSI}'
        'Availability/v1.0"><vosi:available>true</vosi:available></vosi:availability>\n'
    )
    return Response(content, media_type="text/xml")


@router.get("/capabilities", dependencies=[OPEN], response_class=Response)
def get_capabilities(request: Request) -> Response:
    """Say where the service and its VOSI documents are (VOSI 1.1)."""
    base = f"{str(request.base_url).rstrip('/')}/provsap"
    interfaces = (
        ("ivo://ivoa.net/std/VOSI#capabilities", f"{base}/capabilities"),
        ("ivo://ivoa.net/std/VOSI#availability", f"{base}/availability"),
        ("ivo://ivoa.net/std/ProvSAP", base),
    )
    capabilities = "".join(
        f"<capability standardID={quoteattr(standard)}>"
        f'<interface xsi:type="vs:ParamHTTP"><accessURL use="base">{escape(address)}</accessURL>'
        "</interface></capability>\n"
        for standard, address in interfaces
    )
    content = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<vosi:capabilities xmlns:vosi="{_VOSI}Capabilities/v1.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1">\n'
        f"{capabilities}</vosi:capabilities>\n"
    )
    return Response(content, media_type="text/xml")
