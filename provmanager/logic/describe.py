"""Everything about one activity or one product, as one JSON object."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from provmanager.errors import JSONDict, NotFoundError
from provmanager.store import assessments as assessment_store
from provmanager.store import details as store
from provmanager.store import known as known_store
from provmanager.store import references as reference_store

from .descriptions import description_of
from .trace import iso

_SHA256 = re.compile("[0-9a-fA-F]{64}")


def describe_activity(session: Session, uuid: UUID) -> JSONDict:
    """Return all that the record holds of an activity.

    Raises
    ------
    NotFoundError
        There is no such activity.
    """
    found = reference_store.activity_by_uuid(session, uuid)
    if found is None:
        raise NotFoundError(f"no activity {uuid} in the record; look for it with prod-search")
    row = store.activity(session, found["id"])
    relations = store.activity_relations(session, found["id"])
    command = {"arguments": row["arguments"], "executable": row["executable"],
               "directory": row["directory"]}  # fmt: skip
    plain = ("name", "version", "type", "comment", "status", "status_raw", "exit_code", "iri",
             "is_claim", "job", "host", "container", "environment", "environment_sha256",
             "configuration")  # fmt: skip
    return {
        "id": str(uuid),
        **{name: row[name] for name in plain},
        "started_at": iso(row["started_at"]),
        "ended_at": iso(row["ended_at"]),
        "started_raw": row["started_raw"],
        "ended_raw": row["ended_raw"],
        "command": command if row["arguments"] or row["executable"] else None,
        "details": row["details"],
        **{name: _plain(rows) for name, rows in relations.items()},
        "contradictions": _plain(store.contradictions(session, str(uuid))),
        "description": description_of(session, row["name"], row["version"]),
    }


def describe_entity(session: Session, uuid: UUID) -> JSONDict:
    """Return all that the record holds of an entity; a former UUID finds it too.

    Raises
    ------
    NotFoundError
        There is no such entity.
    """
    found = reference_store.entities_by_uuid(session, uuid)
    if not found:
        raise NotFoundError(f"no product {uuid} in the record; look for it with prod-search")
    row = store.entity(session, found[0]["id"])
    relations = {n: _plain(rows) for n, rows in
                 store.entity_relations(session, found[0]["id"]).items()}  # fmt: skip
    identifiers = relations.pop("identifiers")
    sha256 = [f"sha256:{row['sha256_hex']}"] if row["sha256_hex"] else []
    produced = None
    if row["activity_uuid"]:
        produced = {
            "activity": str(row["activity_uuid"]),
            "name": row["activity_name"],
            "version": row["activity_version"],
            "status": row["activity_status"],
            "role": row["role"] or None,
            "rule": row["rule"],
            "basis": row["basis"],
        }
    return {
        "id": str(row["entity_uuid"]),
        "name": row["title"],
        "kind": row["kind"],
        "size_bytes": row["size_bytes"],
        "value": row["value"],
        "content_type": row["content_type"],
        "comment": row["comment"],
        "digests": [*sha256, *(i["identifier"] for i in identifiers if i["kind"] == "digest")],
        "product_ids": [i["identifier"] for i in identifiers if i["kind"] == "product-id"],
        "generated_at": iso(row["made_at"]),
        "invalidated_at": iso(row["invalidated_at"]),
        "produced_by": produced,
        "details": row["details"],
        **relations,
        "locations": [
            *([row["location"]] if row["location"] else []),
            *(x["location"] for x in relations["locations"]),
        ],
        "n_used_by": store.n_users(session, found[0]["id"]),
        "contradictions": _plain(store.contradictions(session, str(row["entity_uuid"]))),
        "assessments": _plain(assessment_store.of_entity(session, found[0]["id"])),
    }


def document_content(session: Session, sha256: str) -> tuple[bytes, str]:
    """Return the verbatim bytes of a document, and its format.

    Raises
    ------
    NotFoundError
        No document has that digest.
    """
    stored = known_store.document_by_sha256(session, checked_sha256(sha256))
    if stored is None:
        raise no_document(sha256)
    return stored.content, stored.format


def checked_sha256(text: str) -> str:
    """Return `text`, which is a SHA-256 in hexadecimal.

    Raises
    ------
    NotFoundError
        It is none, so that no document has it.
    """
    if not _SHA256.fullmatch(text):
        raise no_document(text)
    return text


def no_document(sha256: str) -> NotFoundError:
    """Return the error that says that no document has this digest."""
    return NotFoundError(
        f"no document with SHA-256 {sha256!r} in the record: its receipt, or an activity's "
        "`documents`, names it"
    )


def _plain(rows: Iterable[Mapping[Any, Any]]) -> list[JSONDict]:  # Any: column values
    return [{str(k): _value(v) for k, v in row.items()} for row in rows]


def _value(value: Any) -> Any:  # Any: column values
    if isinstance(value, datetime):
        return iso(value)
    return str(value) if isinstance(value, UUID) else value
