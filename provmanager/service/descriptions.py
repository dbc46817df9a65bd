"""``/v1/descriptions``: what activities are expected to be."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from provmanager.formats.description_document import read_descriptions, to_json
from provmanager.logic import descriptions
from provmanager.model import Role

from .deps import SessionDep, SettingsDep
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


@router.put("", dependencies=[require(Role.CURATOR)], openapi_extra=_BODY)
def put_descriptions(
    session: SessionDep,
    body: Annotated[bytes, Depends(_body)],
    dry_run: Annotated[bool, Query(description="Only say what would change")] = False,
) -> DescriptionsAnswer:
    """Write descriptions (JSON or YAML, schema descriptions.v1) and say what changed."""
    document = read_descriptions(body)
    found = descriptions.save_descriptions(session, document, dry_run=dry_run)
    return DescriptionsAnswer.model_validate(found)


@router.get("", dependencies=[require(Role.READER)])
def get_descriptions(session: SessionDep) -> dict[str, Any]:  # Any: schema descriptions.v1
    """Return all descriptions as one document."""
    return to_json(descriptions.all_descriptions(session))
