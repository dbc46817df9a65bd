"""The application: routers, error shape, and the life of its database."""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI

from provmanager.config.issuers import load_issuers
from provmanager.config.settings import Settings
from provmanager.errors import UsageError
from provmanager.logic.ingest import IngestPolicy
from provmanager.logic.log import load_key
from provmanager.logic.mentions import LocationPolicy
from provmanager.logic.redaction import load_policy
from provmanager.store.database import open_database

from . import (
    copying,
    descriptions,
    documents,
    health,
    lineage,
    log,
    openlineage,
    pages,
    productions,
    provsap,
    search,
    tokens,
    workflow_runs,
)
from .errors import add_error_handlers
from .intake import Intake
from .issuers import TokenIssuers
from .limits import DrainMiddleware
from .log_keeper import LogKeeper
from .parameters import check_parameters
from .security import KnownTokens
from .wire import ErrorBody

DESCRIPTION = """\
Provenance of data products: what was run, by whom, on what, and what came of it.

Every request but `GET /v1/health` needs a token (`Authorization: Bearer prov_…`). Every failure is
`{"code", "message", "details"}`.

What ends with `.json` is the twin of a page for people, which stands at the same path without that;
its fields may change from one minor version to the next.
"""


_FAILURE: dict[str, Any] = {"model": ErrorBody, "description": "What is wrong, and what to do"}


def configure_logging(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        force=True,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # it tells what we tell


def ingest_policy(settings: Settings) -> IngestPolicy:
    """Return what the settings say of recording."""
    return IngestPolicy(
        redaction=load_policy(settings.redact_patterns_file),
        locations=LocationPolicy(settings.shared_paths),
        max_document_bytes=settings.max_document_bytes,
    )


def create_app(settings: Settings) -> FastAPI:
    """Make the service on the database ``settings.database_url``, whose schema is up to date.

    Raises
    ------
    UsageError
        There is no database URL, or it is not one of PostgreSQL.
    """
    if settings.database_url is None:
        raise UsageError("the service needs PROV_DATABASE_URL; prod-server starts an embedded one")
    database = open_database(
        settings.database_url,
        pool_size=settings.pool_size,
        statement_timeout_s=settings.statement_timeout_s,
    )

    intake = Intake(database, ingest_policy(settings))
    gc.set_threshold(50_000, 20, 100)  # records come by the thousand; a fifth of ingest was GC

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.log_key = load_key(settings.state_dir / "log.key")
        keeper = LogKeeper(database, app.state.log_key)
        intake.start(on_recorded=keeper.tell)
        keeper.start()
        yield
        intake.stop()
        keeper.stop()
        database.close()

    app = FastAPI(
        title="provmanager",
        version=version("provmanager"),
        description=DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(check_parameters)],
        responses={"4XX": _FAILURE, "5XX": _FAILURE},
        generate_unique_id_function=lambda route: route.name,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.known_tokens = KnownTokens()
    app.state.token_issuers = TokenIssuers(load_issuers(settings.issuers_file))
    app.state.intake = intake
    app.state.turn = copying.Turn()
    add_error_handlers(app)
    app.add_middleware(DrainMiddleware, limit_bytes=settings.max_request_bytes)
    routed = (
        health,
        documents,
        openlineage,
        lineage,
        search,
        workflow_runs,
        productions,
        descriptions,
        log,
        copying,
        tokens,
        provsap,
    )
    for module in routed:
        app.include_router(module.router)
    for router in pages.ROUTERS:
        app.include_router(router)
    return app
