"""``/api/v1/lineage``: where OpenLineage's clients send their events.

Their HTTP transport posts to this path below the URL it is given, with its API key as the bearer
token: set ``OPENLINEAGE_URL`` to the server's address and ``OPENLINEAGE_API_KEY`` to a recorder's
token. What else may be done with events is as with any document (`documents`).
"""

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from provmanager.errors import JsonSyntaxError, ProvError, UnrecognisedFormatError
from provmanager.formats import read_values
from provmanager.formats.openlineage import FORMAT
from provmanager.logic.ingest import Outcome, Reading, Source
from provmanager.model import Principal, Role

from .deps import SettingsDep
from .documents import json_answer, recorded
from .intake import Intake
from .limits import read_document
from .security import require
from .wire import BulkAnswer, Receipt, bulk_answer

router = APIRouter(prefix="/api/v1/lineage", tags=["openlineage"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    response_model=Receipt,
    responses={200: {"description": "Nothing new", "model": Receipt}},
)
async def post_lineage(
    request: Request,
    settings: SettingsDep,
    principal: Annotated[Principal, require(Role.RECORDER)],
) -> Response:
    """Record one OpenLineage event, as OpenLineage's own clients send it."""
    intake: Intake = request.app.state.intake
    data = await read_document(request, settings, may_be_gzip=True)
    (item,) = await run_in_threadpool(_read, intake, [data], principal)
    outcome = item if isinstance(item, Outcome) else await recorded(intake, item)
    if outcome.error is not None:
        raise outcome.error
    return json_answer(200 if outcome.outcome == "unchanged" else 201, outcome.receipt)


@router.post("/batch", openapi_extra=_BODY, response_model=BulkAnswer)
async def post_lineage_batch(
    request: Request,
    settings: SettingsDep,
    principal: Annotated[Principal, require(Role.RECORDER)],
) -> Response:
    """Record a JSON array of OpenLineage events: each a document, whole or not at all."""
    intake: Intake = request.app.state.intake
    data = await read_document(request, settings, may_be_gzip=True)
    items = await run_in_threadpool(_read, intake, list(events_of(data)), principal)
    outcomes = await run_in_threadpool(intake.record_many, items)
    return json_answer(200, bulk_answer(outcomes))


def _read(intake: Intake, events: list[bytes], principal: Principal) -> list[Reading | Outcome]:
    """Read events; what is recorded elsewhere as another format is none here."""
    sources = [Source(data, None, principal.name, principal.job) for data in events]
    return [_checked(item) for item in intake.read(sources)]


def _checked(item: Reading | Outcome) -> Reading | Outcome:
    if isinstance(item, Outcome) or item.document.format == FORMAT:
        return item
    error: ProvError = UnrecognisedFormatError(
        f"this is {item.document.format}, and no OpenLineage event: send it to /v1/documents",
        expected="an OpenLineage event",
        found=item.document.format,
    )
    return Outcome(item.source.name, "refused", error=error)


def events_of(data: bytes) -> Iterator[bytes]:
    """Yield the values of a JSON array as they stand in it, byte for byte.

    Raises
    ------
    JsonSyntaxError
        It is no JSON array.
    """
    values = read_values(data)
    if len(values) != 1 or not isinstance(values[0], list):
        raise JsonSyntaxError(
            "a batch is one JSON array of OpenLineage events", expected="an array"
        )
    text = data.decode("utf-8-sig")
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    for _ in values[0]:
        position = _skip(text, position, " \t\r\n,")
        _, end = decoder.raw_decode(text, position)
        yield text[position:end].encode()
        position = end


def _skip(text: str, position: int, characters: str) -> int:
    while text[position] in characters:
        position += 1
    return position
