"""``/v1/health`` and ``/v1/info``."""

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import BaseModel

from provmanager.logic.search import record_counts
from provmanager.model import Role

from .deps import DatabaseDep, SessionDep, SettingsDep
from .security import OPEN, require

router = APIRouter(prefix="/v1", tags=["server"])


class Health(BaseModel):
    """The server is up, and so is its database."""

    status: str = "ok"


class Limits(BaseModel):
    """The most that the server takes."""

    document_bytes: int
    documents_per_request: int
    request_bytes: int


class Info(BaseModel):
    """What the server is."""

    version: str
    limits: Limits
    documents: int
    activities: int
    entities: int


@router.get("/health", dependencies=[OPEN])
def get_health(database: DatabaseDep) -> Health:
    """Say whether the server and its database work."""
    database.check()
    return Health()


@router.get("/info", dependencies=[require(Role.READER)])
def get_info(settings: SettingsDep, session: SessionDep) -> Info:
    """Say what the server is and what it takes."""
    return Info(
        version=version("provmanager"),
        limits=Limits(
            document_bytes=settings.max_document_bytes,
            documents_per_request=settings.max_documents_per_request,
            request_bytes=settings.max_request_bytes,
        ),
        **record_counts(session),
    )
