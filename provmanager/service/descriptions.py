"""``/v1/descriptions``: what activities are expected to be."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from provmanager.formats.description_document import read_descriptions, to_json
from provmanager.logic import descriptions
from provmanager.model import Principal, Role

from .deps import SessionDep, SettingsDep
from .intake import Intake
from .limits import read_document
from .security import require
from .wire import DescriptionsAnswer

router = APIRouter(prefix="/v1/descriptions", tags=["descriptions"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {}}, "application/yaml": {"schema": {}}},
    }
}


async def _body(request: Request, settings: SettingsDep) -> bytes:
    return await read_document(request, settings)


@router.put("", openapi_extra=_BODY)
def put_descriptions(
    request: Request,
    session: SessionDep,
    principal: Annotated[Principal, require(Role.CURATOR)],
    body: Annotated[bytes, Depends(_body)],
    dry_run: Annotated[bool, Query(description="Only say what would change")] = False,
) -> DescriptionsAnswer:
    """Record descriptions (JSON or YAML, schema descriptions.v1) and say what changed.

    Where something did, they are a document of the record, which says when; its SHA-256 is in the
    answer. They hold from now on: an instant in the body is not used.
    """
    intake: Intake = request.app.state.intake
    said = read_descriptions(body)
    found = descriptions.save_descriptions(
        session, said, policy=intake.policy, by=principal.name, dry_run=dry_run
    )
    if found["document"] is not None:
        intake.tell()
    return DescriptionsAnswer.model_validate(found)


@router.get("", dependencies=[require(Role.READER)])
def get_descriptions(session: SessionDep) -> dict[str, Any]:  # Any: schema descriptions.v1
    """Return all descriptions as one document."""
    return to_json(descriptions.all_descriptions(session))
