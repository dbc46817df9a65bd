"""``/v1/record``: the record as it stands, for who makes it anew from its documents."""

import base64
import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from provmanager.errors import JSONDict, ProvError, UnavailableError
from provmanager.logic import rebuilding
from provmanager.model import Role
from provmanager.store.database import Database

from .deps import DatabaseDep, SettingsDep
from .limits import NDJSON
from .security import require

router = APIRouter(prefix="/v1/record", tags=["log"], dependencies=[require(Role.READER)])

_WAIT_S = 60.0


class Turn:
    """Whose turn it is: a record is read by one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for it, or raise UnavailableError."""
        if not self._lock.acquire(timeout=_WAIT_S):
            raise UnavailableError(
                "others are reading the whole record just now: try again in a few minutes"
            )

    def give_back(self) -> None:
        """Let the next one."""
        self._lock.release()


@router.get("", response_class=StreamingResponse, responses={200: {"content": {NDJSON: {}}}})
def copy_record(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    of: Annotated[
        UUID | None,
        Query(description="A run or product: only what its lineage is made of, and decided by"),
    ] = None,
) -> StreamingResponse:
    """Stream all documents, then all rows that follow from them, as of one instant (NDJSON).

    Lines are ``{"record": …}``, ``{"document": …}`` and ``{"relation": …, "row": …}``; the last is
    ``{"end": …}``, or ``{"error": …}``. A document's ``content`` is its stored bytes, compressed
    (RFC 1950), in base64. One such answer is made at a time.
    """
    lines = _lines(database, request.app.state.turn, settings.shared_paths, of)
    return StreamingResponse(lines, media_type=NDJSON)


def _lines(
    database: Database, turn: Turn, shared_paths: tuple[str, ...], of: UUID | None
) -> Iterator[bytes]:
    try:
        turn.take()
        try:
            with database.transaction() as session:
                yield from _told(rebuilding.copy_of(session, of), shared_paths)
        finally:
            turn.give_back()
    except ProvError as error:  # the answer has begun: its last line says how it ended
        yield _line({"error": error.to_wire()})


def _told(copy: rebuilding.Copy, shared_paths: tuple[str, ...]) -> Iterator[bytes]:
    n_documents = n_rows = 0
    yield _line(
        {
            "record": {
                "version": version("provmanager"),
                "shared_paths": shared_paths,
                "uuids": copy.uuids,
                "n_documents": copy.n_documents,
            }
        }
    )
    for document in copy.documents:
        n_documents += 1
        content = base64.b64encode(document.content).decode()
        yield _line({"document": document._asdict() | {"content": content}})
    for relation, row in copy.rows:
        n_rows += 1
        yield b'{"relation":"%s","row":%s}\n' % (relation.encode(), row.encode())
    yield _line({"end": {"n_documents": n_documents, "n_rows": n_rows}})


def _line(value: JSONDict) -> bytes:
    return orjson.dumps(value) + b"\n"
