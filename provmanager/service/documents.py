"""``/v1/documents``: deliver documents, and read them back verbatim."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from provmanager.config.settings import Settings
from provmanager.errors import DocumentTooLargeError, JSONDict, UsageError
from provmanager.logic import describe, export
from provmanager.logic.ingest import Outcome, Source
from provmanager.model import Principal, Role

from .deps import SessionDep, SettingsDep
from .intake import Intake
from .security import require
from .wire import BulkAnswer, Receipt, bulk_answer

router = APIRouter(prefix="/v1/documents", tags=["documents"])

_MANY = ("application/x-ndjson", "multipart/form-data")
_BATCH = 1000
_OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/json", "application/octet-stream", *_MANY)
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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _MANY:
        sources = (_parts if kind == "multipart/form-data" else _lines)(request, settings)
        return _json(200, bulk_answer(await _record_many(sources, intake, settings, principal)))
    data = await read_whole(request, settings.max_document_bytes)
    source = Source(data, name, principal.name, principal.job)
    outcome = await run_in_threadpool(intake.record, source)
    if outcome.error is not None:
        raise outcome.error
    return _json(200 if outcome.outcome == "unchanged" else 201, outcome.receipt)


def _json(status_code: int, content: JSONDict | None) -> Response:
    """Return what `Receipt` and `BulkAnswer` describe (a test checks it) without a second pass."""
    return Response(orjson.dumps(content), status_code, media_type="application/json")


async def _record_many(
    sources: AsyncIterator[Source], intake: Intake, settings: Settings, principal: Principal
) -> list[Outcome]:
    items: list[Outcome] = []
    batch: list[Source] = []
    size = 0
    async for source in sources:
        batch.append(replace(source, received_from=principal.name, job=principal.job))
        size += len(source.data)
        if len(batch) >= _BATCH or size >= settings.max_document_bytes:
            items += await run_in_threadpool(intake.record_many, batch)
            batch, size = [], 0
    if batch:
        items += await run_in_threadpool(intake.record_many, batch)
    return items


async def read_whole(request: Request, limit: int) -> bytes:
    """Return the body, which is at most `limit` bytes: what is more is not even read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise _too_large(len(data), limit)
    return bytes(data)


def _too_large(found: int, limit: int) -> DocumentTooLargeError:
    return DocumentTooLargeError(
        f"the document has {found} bytes or more, the limit is {limit}: send the provenance only, "
        "not the product; or raise PROV_MAX_DOCUMENT_BYTES on the server",
        expected=limit,
        found=found,
    )


async def _lines(request: Request, settings: Settings) -> AsyncIterator[Source]:
    """Yield the documents of an NDJSON body as they arrive."""
    limit, rest, n = settings.max_document_bytes, b"", 0
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            n += 1
            if line.strip():
                yield Source(line, f"line {n}")
        if len(rest) > limit:
            raise _too_large(len(rest), limit)
        _check_number(n, settings)
    if rest.strip():
        yield Source(rest, f"line {n + 1}")


async def _parts(request: Request, settings: Settings) -> AsyncIterator[Source]:
    """Yield the documents of a multipart body."""
    async with request.form(
        max_files=settings.max_documents_per_request, max_part_size=settings.max_document_bytes
    ) as form:
        for n, (field, value) in enumerate(form.multi_items(), 1):
            _check_number(n, settings)
            if isinstance(value, UploadFile):
                yield Source(await value.read(), value.filename or field)
            else:
                yield Source(value.encode(), field)


def _check_number(n: int, settings: Settings) -> None:
    limit = settings.max_documents_per_request
    if n > limit:
        raise UsageError(
            f"more than {limit} documents in one request; send them in several, or raise "
            "PROV_MAX_DOCUMENTS_PER_REQUEST on the server",
            expected=limit,
            found=n,
        )


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
