"""Rows of activities and of what they share: environments, hosts, containers, configurations."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from provmanager.ids import clean_json
from provmanager.model import ProducerClaim

from . import tables
from .memory import memory_of, see
from .prepared import fetch
from .writing import copy_rows, intern_contents

_COLUMNS = [c.name for c in tables.activity.columns]


def ids_of(session: Session, uuids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the ids of those activities that the record has."""
    if not uuids:
        return {}
    query = (
        "SELECT activity_uuid, activity_id FROM prov.activity "
        "WHERE activity_uuid = ANY(CAST(%s AS uuid[]))"
    )
    return dict(fetch(session, query, list(map(str, uuids))))


def insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """COPY new activities. (Any: column values.)"""
    copy_rows(session, "activity", _COLUMNS, ([row.get(c) for c in _COLUMNS] for row in rows))


def update(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all columns of known activities anew. (Any: column values.)"""
    if not rows:
        return
    values = [c for c in _COLUMNS if c not in ("activity_id", "activity_uuid")]
    statement = (
        tables.activity.update()
        .where(tables.activity.c.activity_id == bindparam("key"))
        .values({c: bindparam(f"v_{c}") for c in values})
    )
    session.connection().execute(
        statement,
        [
            {"key": row["activity_id"]} | {f"v_{c}": _bindable(row.get(c)) for c in values}
            for row in rows
        ],
    )


def _bindable(value: Any) -> Any:  # Any: column values
    return list(value) if isinstance(value, tuple) else value


def intern(
    session: Session, contents: Mapping[str, Mapping[bytes, dict[str, Any]]]
) -> dict[str, dict[bytes, int]]:
    """Return the ids of contents by table and digest, making those that are new.

    The packages of a new environment become rows of their own, for search. (Any: JSON.)
    """
    found: dict[str, dict[bytes, int]] = {}
    for table, by_digest in contents.items():
        more: dict[str, dict[bytes, Any]] = {}
        if table == "host":
            more["name"] = {k: _text(clean_json(v.get("name"))) for k, v in by_digest.items()}
        found[table], new = intern_contents(session, table, by_digest, **more)
        if table == "environment" and new:
            _insert_packages(session, {k: clean_json(by_digest[k]) for k in new}, found[table])
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _insert_packages(
    session: Session, contents: Mapping[bytes, dict[str, Any]], ids: Mapping[bytes, int]
) -> None:
    rows = {
        (ids[key], package[0], package[1])
        for key, content in contents.items()
        for package in packages_of(content)
    }
    copy_rows(session, "package", ("environment_id", "name", "version"), sorted(rows))


def packages_of(environment: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield (name, version) of the packages of an environment. (Any: free-form JSON.)"""
    packages = environment.get("packages")
    if not isinstance(packages, list):
        return
    for package in packages:
        if isinstance(package, dict) and isinstance(package.get("name"), str):
            yield package["name"], str(package.get("version") or "")


def templates(session: Session, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return configuration templates by id. (Any: JSON values.)"""
    wanted = set(ids)
    found: dict[int, dict[str, Any]] = memory_of(session).get("template", wanted)
    unknown = sorted(wanted - found.keys())
    if not unknown:
        return found
    rows = fetch(
        session,
        "SELECT configuration_id, content FROM prov.configuration WHERE configuration_id = ANY(%s)",
        unknown,
    )
    see(session, "template", dict(rows))
    return found | dict(rows)


def claimed(session: Session, ids: Sequence[int]) -> dict[int, ProducerClaim | None]:
    """Return which of these activities no document has told of itself, and what is known of them.

    None for those that a document at least names.
    """
    rows = session.execute(
        text(
            "SELECT activity_id, activity_uuid, name, version, started_at, ended_at, "
            "EXISTS (SELECT 1 FROM prov.activity_document d "
            "        WHERE d.activity_id = a.activity_id) AS is_named "
            "FROM prov.activity a WHERE is_claim AND activity_id = ANY(:i)"
        ),
        {"i": list(ids)},
    )
    return {
        row.activity_id: None
        if row.is_named
        else ProducerClaim(
            uuid=row.activity_uuid,
            name=row.name,
            version=row.version,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in rows
    }


def delete_orphan_claims(session: Session) -> None:
    """Drop activities that only metadata named, once no product's metadata names them."""
    session.execute(
        text(
            "DELETE FROM prov.activity a WHERE is_claim "
            "AND NOT EXISTS (SELECT 1 FROM prov.activity_document d "
            "                WHERE d.activity_id = a.activity_id) "
            "AND NOT EXISTS (SELECT 1 FROM prov.entity e WHERE e.generated_by = a.activity_id) "
            "AND NOT EXISTS (SELECT 1 FROM prov.generation_claim g "
            "                WHERE g.activity_id = a.activity_id)"
        )
    )
