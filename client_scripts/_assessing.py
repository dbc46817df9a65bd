"""Assessments as commands make and deliver them: what is said of products afterwards."""

import getpass
import json
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from provmanager.client import ProvClient


def assess(
    client: "ProvClient",
    kind: str,
    *,
    reason: str | None = None,
    entities: Iterable[Mapping[str, str]] = (),
    revokes: str | None = None,
) -> str:
    """Record an assessment by who runs this, now; return its id."""
    from provmanager.formats.local_user import local_user

    agent = local_user(getpass.getuser(), socket.gethostname())
    told: dict[str, Any] = {  # Any: JSON
        "schema": "provmanager/assessment.v1",
        "id": str(uuid4()),
        "kind": kind,
        "at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "agent": {"id": agent.iri, "name": agent.name},
    }
    if reason is not None:
        told["reason"] = reason
    if revokes is not None:
        told["revokes"] = revokes
    else:
        told["entities"] = list(entities)
    client.record(json.dumps(told).encode(), name=f"{kind}.assessment.json")
    return str(told["id"])
