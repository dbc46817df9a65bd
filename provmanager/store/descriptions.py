"""Rows of descriptions: what kinds of activities and entities are expected to be."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, Table, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from provmanager.model import (
    ActivityDescription,
    ConfigFileDescription,
    DescriptionDocument,
    EntityDescription,
    FlowDescription,
    ParameterDescription,
)

from . import tables

_PARTS = ("flow_description", "parameter_description", "config_file_description")


def entity_descriptions(session: Session) -> list[EntityDescription]:
    """Return all entity descriptions, by name."""
    table = tables.entity_description
    rows = session.execute(select(table).order_by(table.c.name)).mappings()
    names = [f.name for f in fields(EntityDescription)]
    return [EntityDescription(**{n: row[n] for n in names}) for row in rows]


def activity_descriptions(
    session: Session, *, name: str | None = None
) -> list[ActivityDescription]:
    """Return all activity descriptions, or those of activities called `name`, by version."""
    table = tables.activity_description
    query = select(table).order_by(table.c.name, table.c.version)
    if name is not None:
        query = query.where(table.c.name == name)
    rows = list(session.execute(query).mappings())
    ids = [row["activity_description_id"] for row in rows]
    flows = _parts(
        session,
        "SELECT * FROM prov.flow_description WHERE activity_description_id = ANY(:i) "
        'ORDER BY role COLLATE "C"',
        ids,
    )
    parameters = _parts(
        session,
        "SELECT * FROM prov.parameter_description WHERE activity_description_id = ANY(:i) "
        'ORDER BY name COLLATE "C"',
        ids,
    )
    files = _parts(
        session,
        "SELECT * FROM prov.config_file_description WHERE activity_description_id = ANY(:i) "
        'ORDER BY name COLLATE "C"',
        ids,
    )
    return [
        ActivityDescription(
            name=row["name"],
            version=row["version"] or None,
            description=row["description"],
            docurl=row["docurl"],
            type=row["type"],
            subtype=row["subtype"],
            usages=tuple(_flow(f) for f in flows.get(key, ()) if f["direction"] == "usage"),
            generations=tuple(
                _flow(f) for f in flows.get(key, ()) if f["direction"] == "generation"
            ),
            parameters=tuple(_parameter(p) for p in parameters.get(key, ())),
            config_files=tuple(
                ConfigFileDescription(
                    name=c["name"], content_type=c["content_type"], description=c["description"]
                )
                for c in files.get(key, ())
            ),
        )
        for row in rows
        for key in [row["activity_description_id"]]
    ]


def _parts(session: Session, query: str, ids: list[int]) -> dict[int, list[Mapping[str, Any]]]:
    """Return rows by activity_description_id. (Any: column values.)"""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in session.execute(text(query), {"i": ids}).mappings():
        found.setdefault(row["activity_description_id"], []).append(dict(row))
    return found


def _flow(row: Mapping[str, Any]) -> FlowDescription:  # Any: column values
    return FlowDescription(**{f.name: row[f.name] for f in fields(FlowDescription)})


def _parameter(row: Mapping[str, Any]) -> ParameterDescription:  # Any: column values
    given: dict[str, Any] = {f.name: row.get(f.name) for f in fields(ParameterDescription)}
    given["default"] = row["default_value"]
    given["options"] = tuple(row["options"] or ())
    return ParameterDescription(**given)


class Told(NamedTuple):
    """A document of descriptions that was stored."""

    document_id: int
    sha256: str
    said: DescriptionDocument


def insert(session: Session, documents: Sequence[Told]) -> None:
    """Write what documents describe, but for what a later one describes.

    The same for any order and grouping of the documents: the latest stands, and of two of one
    instant that with the greater digest.
    """
    if not documents:
        return
    stands = _standing(session)
    for told in documents:
        at = told.said.stated_at
        if at is None:
            raise ValueError("descriptions that do not say when they were made")
        mark = (at, told.sha256)
        source = {"document_id": told.document_id, "stated_at": at}
        for e in told.said.entities:
            if mark > stands.get((e.name,), _NEVER):
                stands[e.name,] = mark
                values = _values(e) | source
                _upsert(session, tables.entity_description, values, ("name",))
        for a in told.said.activities:
            key = (a.name, a.version or "")
            if mark > stands.get(key, _NEVER):
                stands[key] = mark
                _save_activity(session, a, source)


_NEVER = (datetime.min.replace(tzinfo=UTC), "")


def _standing(session: Session) -> dict[tuple[str, ...], tuple[datetime, str]]:
    """Return when each description was stated, and the digest of the document that did."""
    query = (
        "SELECT x.name, x.version, x.stated_at, coalesce(encode(d.sha256, 'hex'), '') FROM "
        "(SELECT name, NULL AS version, stated_at, document_id FROM prov.entity_description "
        "UNION ALL SELECT name, version, stated_at, document_id FROM prov.activity_description) x "
        "LEFT JOIN prov.document d USING (document_id)"
    )
    return {
        (name,) if version is None else (name, version): (at, sha256)
        for name, version, at, sha256 in session.execute(text(query))
    }


def documents_of(session: Session, name: str) -> list[RowMapping]:
    """Return which documents describe activities called `name`: by version, when, and from whom."""
    rows = session.execute(
        text(
            "SELECT x.version, x.stated_at, encode(d.sha256, 'hex') AS document, d.received_from "
            "FROM prov.activity_description x LEFT JOIN prov.document d USING (document_id) "
            "WHERE x.name = :name ORDER BY x.version"
        ),
        {"name": name},
    )
    return list(rows.mappings())


def last_stated(session: Session) -> datetime | None:
    """Return when the latest description was stated, if there is one."""
    return max((at for at, _ in _standing(session).values()), default=None)


def are_undocumented(session: Session) -> bool:
    """Return whether there are descriptions, and no document ever had any."""
    query = (
        "SELECT (EXISTS (SELECT 1 FROM prov.entity_description) "
        "OR EXISTS (SELECT 1 FROM prov.activity_description)) "
        "AND NOT EXISTS (SELECT 1 FROM prov.document WHERE format = 'descriptions')"
    )
    return bool(session.execute(text(query)).scalar_one())


def _save_activity(session: Session, d: ActivityDescription, source: Mapping[str, Any]) -> None:
    """Write one activity description with its parts, whole. (Any: column values.)"""
    columns = ("name", "version", "description", "docurl", "type", "subtype")
    values = {c: getattr(d, c) for c in columns} | {"version": d.version or "", **source}
    key = _upsert(session, tables.activity_description, values, ("name", "version"))
    for part in _PARTS:
        table = tables.metadata.tables[f"prov.{part}"]
        session.execute(table.delete().where(table.c.activity_description_id == key))
    flows = [
        {**_values(f), "direction": direction}
        for direction, listed in (("usage", d.usages), ("generation", d.generations))
        for f in listed
    ]
    parameters = [_values(p) for p in d.parameters]
    for parameter in parameters:
        parameter["default_value"] = parameter.pop("default")
        parameter["options"] = list(parameter["options"]) or None
    parts = (flows, parameters, [_values(c) for c in d.config_files])
    for name, rows in zip(_PARTS, parts, strict=True):
        if rows:
            table = tables.metadata.tables[f"prov.{name}"]
            session.execute(
                table.insert(), [{"activity_description_id": key, **row} for row in rows]
            )


def _values(description: Any) -> dict[str, Any]:  # Any: a description; its fields
    return {f.name: getattr(description, f.name) for f in fields(description)}


def _upsert(
    session: Session, table: Table, values: Mapping[str, Any], keys: tuple[str, ...]
) -> int:  # Any: column values
    insert = postgresql.insert(table).values(values)
    rest = {c: insert.excluded[c] for c in values if c not in keys}
    statement = insert.on_conflict_do_update(index_elements=list(keys), set_=rest)
    primary = next(iter(table.primary_key.columns))
    return int(session.execute(statement.returning(primary)).scalar_one())
