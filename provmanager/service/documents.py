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
from provmanager.model import Principal, Role

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
        return _json(200, bulk_answer(outcomes))
    data = await read_document(request, settings)
    source = Source(data, name, principal.name, principal.job)
    (item,) = await run_in_threadpool(intake.read, [source])
    outcome = item if isinstance(item, Outcome) else await _recorded(intake, item)
    if outcome.error is not None:
        raise outcome.error
    return _json(200 if outcome.outcome == "unchanged" else 201, outcome.receipt)


def _json(status_code: int, content: JSONDict | None) -> Response:
    """Return what `Receipt` and `BulkAnswer` describe (a test checks it) without a second pass."""
    return Response(orjson.dumps(content), status_code, media_type="application/json")


async def _recorded(intake: Intake, reading: Reading) -> Outcome:
    """Return what became of a document; who goes away meanwhile does not take it back."""
    return await asyncio.shield(asyncio.wrap_future(intake.submit(reading)))


async def _record_many(
    request: Request, intake: Intake, settings: Settings, principal: Principal
) -> list[Outcome]:
    """Record the documents of the body as they arrive, `_BATCH` at a time."""
    recorder = _Batches(intake, principal)
    batch: list[ReceivedDocument] = []
    size = 0
    try:
        async for document in read_documents(request, settings):
            batch.append(document)
            size += len(document.data)
            if len(batch) >= _BATCH or size >= settings.max_document_bytes:
                await recorder.take(batch)
                batch, size = [], 0
        await recorder.take(batch)
    except (UsageError, DocumentTooLargeError) as error:
        outcomes = await recorder.finish()
        if outcomes:
            error.message += f"; the first {len(outcomes)} documents were taken"
            error.details["n_taken"] = len(outcomes)
        raise
    except BaseException:
        await recorder.finish()
        raise
    return await recorder.finish()


class _Batches:
    """Records batches in their order; one is read while the one before it is recorded."""

    def __init__(self, intake: Intake, principal: Principal) -> None:
        self._intake = intake
        self._principal = principal
        self._outcomes: list[Outcome] = []
        self._recording: asyncio.Task[list[Outcome]] | None = None

    async def take(self, batch: Sequence[ReceivedDocument]) -> None:
        """Read `batch`, and begin to record it once the one before it is done."""
        by = self._principal
        items: list[Reading | Outcome] = [
            Outcome(d.name, "refused", error=d.error) for d in batch if d.error is not None
        ]
        sources = [Source(d.data, d.name, by.name, by.job) for d in batch if d.error is None]
        read = iter(await run_in_threadpool(self._intake.read, sources) if sources else ())
        refused = iter(items)
        items = [next(read) if d.error is None else next(refused) for d in batch]
        await self.finish()
        if items:
            self._recording = asyncio.create_task(
                run_in_threadpool(self._intake.record_many, items)
            )

    async def finish(self) -> list[Outcome]:
        """Wait for what is being recorded; return what became of all so far."""
        recording, self._recording = self._recording, None
        if recording is not None:
            self._outcomes += await recording
        return self._outcomes


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
    kind = export.MEDIA_TYPES.get(named, "application/octet-stream")
    return Response(content, media_type=kind, headers={"X-Prov-Format": named})
