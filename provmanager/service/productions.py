"""``/v1/productions``: what is to be run over the record, what was claimed, how far it is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from provmanager.errors import AuthorisationError, UsageError
from provmanager.formats.production_document import read_production
from provmanager.logic import production_claims, productions
from provmanager.logic.ingest import IngestPolicy
from provmanager.logic.search import MAX_PAGE
from provmanager.model import Principal, Role

from .deps import SessionDep, SettingsDep
from .intake import Intake
from .limits import read_document
from .production_wire import (
    ClaimRequest,
    Groups,
    OpenRuns,
    ProductionDefined,
    ProductionPage,
    ProductionStatus,
    RunReport,
)
from .security import require

router = APIRouter(prefix="/v1/productions", tags=["productions"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {}}, "application/yaml": {"schema": {}}},
    }
}
Name = Annotated[str, Path(description="Name of the production")]


async def _body(request: Request, settings: SettingsDep) -> bytes:
    return await read_document(request, settings)


async def _policy(request: Request) -> IngestPolicy:
    intake: Intake = request.app.state.intake
    return intake.policy


def _unbound(principal: Principal) -> Principal:
    """Return who asks; a token for one job submits none."""
    if principal.job is not None:
        raise AuthorisationError(
            f"this token may record for job {principal.job} only: productions take one that is "
            "not bound to a job",
            expected=principal.job,
        )
    return principal


Policy = Annotated[IngestPolicy, Depends(_policy)]
Submitter = Annotated[Principal, require(Role.RECORDER)]


@router.get("", dependencies=[require(Role.READER)])
def list_productions(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: str | None = None,
) -> ProductionPage:
    """List the productions, the newest first."""
    found = productions.list_productions(session, limit=limit, cursor=cursor)
    return ProductionPage.model_validate(found)


@router.get("/{name}", dependencies=[require(Role.READER)])
def get_production(session: SessionDep, name: Name) -> ProductionStatus:
    """Return how far a production is: runs and inputs of each step, and what failed."""
    return ProductionStatus.model_validate(productions.describe_production(session, name))


@router.put("/{name}", openapi_extra=_BODY)
def put_production(
    session: SessionDep,
    name: Name,
    body: Annotated[bytes, Depends(_body)],
    policy: Policy,
    submitter: Submitter,
) -> ProductionDefined:
    """Define a production (JSON or YAML, schema production.v1), from now on."""
    production = read_production(body)
    if production.name != name:
        raise UsageError(f"the document defines {production.name!r}, the path names {name!r}")
    found = productions.define(session, production, policy=policy, by=_unbound(submitter).name)
    return ProductionDefined.model_validate(found)


@router.post("/{name}/claims")
def claim_groups(
    session: SessionDep, name: Name, wanted: ClaimRequest, policy: Policy, submitter: Submitter
) -> Groups:
    """Claim groups of inputs for runs that the caller submits: each input once, whoever asks."""
    filled = None if wanted.filled is None else frozenset(wanted.filled)
    asked = production_claims.Claim(**{**dict(wanted), "filled": filled})
    items = production_claims.claim(
        session, name, asked, policy=policy, by=_unbound(submitter).name
    )
    return Groups.model_validate({"items": items})


@router.post("/{name}/reports")
def report_runs(
    session: SessionDep, name: Name, report: RunReport, submitter: Submitter
) -> OpenRuns:
    """Note which runs were submitted and which are settled; return those that are not settled."""
    _unbound(submitter)
    return OpenRuns.model_validate({"items": productions.report(session, name, **dict(report))})
