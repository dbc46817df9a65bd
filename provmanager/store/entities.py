"""Rows of entities: new, changed, replaced by a stronger identity, superseded in time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from . import tables
from .writing import copy_rows

_COLUMNS = [c.name for c in tables.entity.columns if c.computed is None]
_HANGING = (
    ("entity_identifier", "entity_id"),
    ("entity_location", "entity_id"),
    ("entity_document", "entity_id"),
    ("used", "entity_id"),
    ("generation_claim", "entity_id"),
    ("was_attributed_to", "entity_id"),
    ("was_derived_from", "derived_id"),
    ("was_derived_from", "source_id"),
    ("had_member", "collection_id"),
    ("had_member", "member_id"),
)


def insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """COPY new entities. (Any: column values.)"""
    copy_rows(session, "entity", _COLUMNS, ([row.get(c) for c in _COLUMNS] for row in rows))


def update(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Change the given columns of known entities. (Any: column values.)"""
    for row in rows:
        values = {k: v for k, v in row.items() if k != "entity_id"}
        session.execute(
            tables.entity.update()
            .where(tables.entity.c.entity_id == row["entity_id"])
            .values(values)
        )


def clear(session: Session, ids: Sequence[int]) -> None:
    """Take away what hangs on entities that are about to be written anew."""
    for table, column in _HANGING:
        session.execute(
            text(f"DELETE FROM prov.{table} WHERE {column} = ANY(:ids)"),  # noqa: S608
            {"ids": list(ids)},
        )
    # two entities may be about to exchange their UUIDs
    session.execute(
        text("UPDATE prov.entity SET entity_uuid = gen_random_uuid() WHERE entity_id = ANY(:ids)"),
        {"ids": list(ids)},
    )


def delete(session: Session, ids: Sequence[int]) -> None:
    """Delete entities that are no more, once they are cleared."""
    for condition in ("edge WHERE target_id = ANY(:ids) OR source_id = ANY(:ids)",
                      "entity WHERE entity_id = ANY(:ids)"):  # fmt: skip
        session.execute(text(f"DELETE FROM prov.{condition}"), {"ids": list(ids)})  # noqa: S608


def write_aliases(
    session: Session, renamed: Sequence[tuple[UUID, UUID]], document_id: int | None
) -> None:
    """Keep former UUIDs, so that what cited them still finds the entity."""
    pairs = sorted({(str(old), str(new)) for old, new in renamed if old != new})
    if not pairs:
        return
    values = {"old": [p[0] for p in pairs], "new": [p[1] for p in pairs], "document": document_id}
    session.execute(
        text(
            "UPDATE prov.entity_alias SET entity_uuid = p.new_uuid "
            "FROM unnest(CAST(:old AS uuid[]), CAST(:new AS uuid[])) AS p (old_uuid, new_uuid) "
            "WHERE entity_uuid = p.old_uuid"
        ),
        values,
    )
    session.execute(
        text(
            "INSERT INTO prov.entity_alias (alias_uuid, entity_uuid, document_id) "
            "SELECT o, n, CAST(:document AS bigint) "
            "FROM unnest(CAST(:old AS uuid[]), CAST(:new AS uuid[])) AS p (o, n) "
            "ON CONFLICT (alias_uuid) DO UPDATE SET entity_uuid = excluded.entity_uuid"
        ),
        values,
    )
    session.execute(
        text(
            "DELETE FROM prov.entity_alias a USING prov.entity e "
            "WHERE e.entity_uuid = a.alias_uuid AND a.alias_uuid = ANY(CAST(:both AS uuid[]))"
        ),
        {"both": [uuid for pair in pairs for uuid in pair]},
    )


def update_validity(session: Session, places: Iterable[tuple[int, str]]) -> None:
    """Set invalidated_at of what was written to these places: when the next version came.

    A place is a directory_id and a base name.

    A time that a document states stands; an entity with other locations is not invalidated.
    """
    listed = sorted(set(places))
    if not listed:
        return
    session.execute(
        text(
            "WITH version AS ("
            "  SELECT e.entity_id, coalesce((e.details ->> 'invalidated_at')::timestamptz,"
            "    CASE WHEN NOT EXISTS (SELECT 1 FROM prov.entity_location x"
            "                          WHERE x.entity_id = e.entity_id)"
            "    THEN lead(coalesce(e.generated_at, a.ended_at, a.started_at)) OVER ("
            "      PARTITION BY e.base_name, e.directory_id ORDER BY"
            "      coalesce(e.generated_at, a.ended_at, a.started_at) NULLS FIRST,"
            "      a.activity_uuid, e.entity_uuid)"
            "    END) AS until"
            "  FROM prov.entity e JOIN prov.activity a ON a.activity_id = e.generated_by"
            "  JOIN prov.link_rule r ON r.link_rule_id = e.generation_rule_id"
            "  JOIN unnest(CAST(:d AS integer[]), CAST(:n AS text[])) AS w (d, n)"
            "  ON e.directory_id = w.d AND e.base_name = w.n WHERE r.basis <> 'claimed'"
            ") UPDATE prov.entity e SET invalidated_at = v.until FROM version v "
            "WHERE v.entity_id = e.entity_id AND e.invalidated_at IS DISTINCT FROM v.until"
        ),
        {"d": [d for d, _ in listed], "n": [n for _, n in listed]},
    )
