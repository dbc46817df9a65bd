"""``/v1/documents``: deliver documents, and read them back verbatim."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from provmanager.config.settings import Settings
from provmanager.errors import DocumentTooLargeError, JSONDict, UsageError
from provmanager.logic import describe, export
from provmanager.logic.ingest import Outcome, Reading, Source
from provmanager.model import ExportFormat, Principal, Role

from .deps import SessionDep, SettingsDep
from .intake import Intake
from .limits import (
    MULTIPART,
    NDJSON,
    ReceivedDocument,
    brings_many,
    read_document,
    read_documents,
)
from .security import require
from .wire import BulkAnswer, Receipt, bulk_answer

router = APIRouter(prefix="/v1/documents", tags=["documents"])

_BATCH = 500
_OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/json", "application/octet-stream", NDJSON, MULTIPART)
        },
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_OPENAPI,
    response_model=Receipt,
    responses={
        200: {"description": "Nothing new, or what became of many", "model": Receipt | BulkAnswer}
    },
)
async def post_documents(
    request: Request,
    settings: SettingsDep,
    principal: Annotated[Principal, require(Role.RECORDER)],
    name: Annotated[str | None, Query(description="The document's file name")] = None,
) -> Response:
    """Record one document (any content type), or many: NDJSON (one a line) or multipart.

    Each document is recorded whole or not at all, and the same document again changes nothing.
    """
    intake: Intake = request.app.state.intake
    if brings_many(request):
        outcomes = await _record_many(request, intake, settings, principal)
        return json_answer(200, bulk_answer(outcomes))
    data = await read_document(request, settings)
    source = Source(data, name, principal.name, principal.job, role=principal.role)
    (item,) = await run_in_threadpool(intake.read, [source])
    outcome = item if isinstance(item, Outcome) else await recorded(intake, item)
    if outcome.error is not None:
        raise outcome.error
    return json_answer(200 if outcome.outcome == "unchanged" else 201, outcome.receipt)


def json_answer(status_code: int, content: JSONDict | None) -> Response:
    """Return what `Receipt` and `BulkAnswer` describe (a test checks it) without a second pass."""
    return Response(orjson.dumps(content), status_code, media_type="application/json")


async def recorded(intake: Intake, reading: Reading) -> Outcome:
    """Return what became of a document; who goes away meanwhile does not take it back."""
    return await asyncio.shield(asyncio.wrap_future(intake.submit(reading)))


async def _record_many(
    request: Request, intake: Intake, settings: Settings, principal: Principal
) -> list[Outcome]:
    """Record the documents of the body as they arrive, `_BATCH` at a time.

    Reading one batch while the one before it is recorded took a sixth longer: two
    threads of Python hand the interpreter back and forth at each answer of the database.
    """
    outcomes: list[Outcome] = []
    batch: list[ReceivedDocument] = []
    size = 0
    try:
        async for document in read_documents(request, settings):
            batch.append(document)
            size += len(document.data)
            if len(batch) >= _BATCH or size >= settings.max_document_bytes:
                outcomes += await _record_batch(batch, intake, principal)
                batch, size = [], 0
    except (UsageError, DocumentTooLargeError) as error:
        if outcomes:
            error.message += f"; the first {len(outcomes)} documents were taken"
            error.details["n_taken"] = len(outcomes)
        raise
    return outcomes + await _record_batch(batch, intake, principal)


async def _record_batch(
    batch: Sequence[ReceivedDocument], intake: Intake, principal: Principal
) -> list[Outcome]:
    sources = [
        Source(d.data, d.name, principal.name, principal.job, role=principal.role)
        for d in batch
        if d.error is None
    ]
    recorded = iter(await run_in_threadpool(_record_sources, intake, sources) if sources else ())
    return [
        Outcome(d.name, "refused", error=d.error) if d.error is not None else next(recorded)
        for d in batch
    ]


def _record_sources(intake: Intake, sources: Sequence[Source]) -> list[Outcome]:
    return intake.record_many(intake.read(sources))


@router.get(
    "/{sha256}",
    dependencies=[require(Role.READER)],
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def get_document(
    sha256: str,
    session: SessionDep,
    format: Annotated[
        export.DocumentFormat | None,
        Query(description="Make a W3C PROV document again from its statements, in this format"),
    ] = None,
) -> Response:
    """Return a document, verbatim but for redacted secrets, by the SHA-256 its receipt named."""
    if format is None:
        content, named = describe.document_content(session, sha256)
    else:
        content, named = export.export_document(session, sha256, format=format), str(format)
    known = named in export.DOCUMENT_FORMATS
    kind = ExportFormat(named).media_type if known else "application/octet-stream"
    return Response(content, media_type=kind, headers={"X-Prov-Format": named})
