"""Finding activities and entities by what people call them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

_ENTITY = (
    "SELECT e.entity_id AS id, e.entity_uuid AS uuid, coalesce(e.name, e.base_name) AS name, "
    "d.uri || e.base_name AS location, coalesce(e.generated_at, a.ended_at) AS generated_at, "
    "a.name AS activity_name FROM prov.entity e "
    "LEFT JOIN prov.directory d USING (directory_id) "
    "LEFT JOIN prov.activity a ON a.activity_id = e.generated_by "
)
_ORDER = " ORDER BY generated_at DESC NULLS LAST, e.entity_uuid LIMIT 50"


def activity_by_uuid(session: Session, uuid: UUID) -> RowMapping | None:
    """Return (id, uuid, name) of the activity, or None."""
    row = session.execute(
        text(
            "SELECT activity_id AS id, activity_uuid AS uuid, name FROM prov.activity "
            "WHERE activity_uuid = :u"
        ),
        {"u": str(uuid)},
    )
    return row.mappings().one_or_none()


def activity_by_iri(session: Session, iri: str) -> RowMapping | None:
    """Return (id, uuid, name) of the activity whose identifier is `iri`."""
    row = session.execute(
        text(
            "SELECT activity_id AS id, activity_uuid AS uuid, name FROM prov.activity "
            "WHERE iri = :i LIMIT 1"
        ),
        {"i": iri},
    )
    return row.mappings().one_or_none()


def entities_by_uuid(session: Session, uuid: UUID) -> Sequence[RowMapping]:
    """Return the entity of this UUID, or of this former UUID."""
    return _entities(
        session,
        "WHERE e.entity_uuid = :u OR e.entity_uuid = "
        "(SELECT entity_uuid FROM prov.entity_alias WHERE alias_uuid = :u)",
        {"u": str(uuid)},
    )


def entities_by_digest(session: Session, digest: str) -> Sequence[RowMapping]:
    """Return the entities with the digest ``algorithm:hexadecimal``."""
    algorithm, _, value = digest.partition(":")
    if algorithm == "sha256":
        same = (
            "WHERE substring(e.sha256, 1, 7) = substring(CAST(:d AS bytea), 1, 7) AND e.sha256 = :d"
        )
        return _entities(session, same, {"d": bytes.fromhex(value)})
    return _entities(session, _BY_IDENTIFIER, {"i": digest, "k": "digest"})


def entities_by_product_id(session: Session, product_id: str) -> Sequence[RowMapping]:
    """Return the entities with this product id."""
    return _entities(session, _BY_IDENTIFIER, {"i": product_id, "k": "product-id"})


_BY_IDENTIFIER = (
    "WHERE e.entity_id IN (SELECT entity_id FROM prov.entity_identifier "
    "WHERE md5(identifier) = md5(:i) AND identifier = :i AND kind = :k)"
)


def entities_by_location(session: Session, directory: str, name: str) -> Sequence[RowMapping]:
    """Return the entities that lie or lay at a location, the newest first.

    A directory that begins with ``*`` matches any host.
    """
    if directory.startswith("*"):
        where = "uri LIKE 'file://%' AND substring(uri from '^file://[^/]*(/.*)$') = :d"
        directory = directory[1:]
    else:
        where = "uri = :d"
    directories = f"SELECT directory_id FROM prov.directory WHERE {where}"  # noqa: S608
    condition = f"base_name = :n AND directory_id IN ({directories})"
    return _at_places(session, condition, {"d": directory, "n": name})


def entities_by_name(session: Session, name: str) -> Sequence[RowMapping]:
    """Return the entities of that name or base name, the newest first."""
    found = list(_at_places(session, "base_name = :n", {"n": name}))
    known = {row["id"] for row in found}
    named = _entities(session, "WHERE e.name = :n", {"n": name})
    return found + [row for row in named if row["id"] not in known]


def _at_places(session: Session, condition: str, given: Mapping[str, Any]) -> Sequence[RowMapping]:
    found = (
        f"SELECT entity_id FROM prov.entity WHERE {condition} UNION "  # noqa: S608
        f"SELECT entity_id FROM prov.entity_location WHERE {condition}"
    )
    return _entities(session, f"WHERE e.entity_id IN ({found})", given)


def _entities(session: Session, condition: str, given: Mapping[str, Any]) -> Sequence[RowMapping]:
    return list(session.execute(text(_ENTITY + condition + _ORDER), given).mappings())


def names_like(session: Session, name: str, limit: int = 5) -> list[str]:
    """Return base names that contain `name` or its stem, for "did you mean"."""
    stem = name.partition(".")[0]
    rows = session.execute(
        text(
            "SELECT base_name FROM prov.entity WHERE base_name ILIKE :a OR base_name ILIKE :b "
            "UNION SELECT base_name FROM prov.entity_location "
            "WHERE base_name ILIKE :a OR base_name ILIKE :b ORDER BY 1 LIMIT :n"
        ),
        {"a": f"%{_literal(name)}%", "b": f"{_literal(stem)}%", "n": limit},
    )
    return list(rows.scalars())


def _literal(pattern: str) -> str:
    return pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
