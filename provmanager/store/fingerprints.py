"""Histories as they are compared: what could make the outcome of activities another."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from .lineage import id_array
from .prepared import fetch

_RUNS = """
    SELECT CAST(a.activity_uuid AS text), a.name, a.version, a.status, a.started_at,
           CASE WHEN a.environment_id IS NULL AND a.container_id IS NULL THEN NULL
           ELSE concat_ws(' ', a.environment_id, 'in', a.container_id) END,
           md5(CAST(t.content || coalesce(a.overrides, '{}'::jsonb) AS text))
    FROM prov.activity a LEFT JOIN prov.configuration t USING (configuration_id)
    WHERE a.activity_id = ANY(CAST(%s AS bigint[]))"""
_USES = """
    SELECT CAST(a.activity_uuid AS text), r.name, CAST(e.entity_uuid AS text)
    FROM prov.used u JOIN prov.activity a USING (activity_id) JOIN prov.entity e USING (entity_id)
    JOIN prov.role r USING (role_id) WHERE u.activity_id = ANY(CAST(%s AS bigint[]))"""
_FILES = """
    SELECT CAST(e.entity_uuid AS text), coalesce(e.name, e.base_name),
           coalesce('sha256:' || encode(e.sha256, 'hex'), (
               SELECT min(i.identifier) FROM prov.entity_identifier i
               WHERE i.entity_id = e.entity_id AND i.kind = 'digest')),
           CAST(a.activity_uuid AS text)
    FROM (SELECT unnest(CAST(%s AS bigint[])) AS entity_id
          UNION SELECT entity_id FROM prov.used WHERE activity_id = ANY(CAST(%s AS bigint[]))) n
    JOIN prov.entity e USING (entity_id)
    LEFT JOIN prov.activity a ON a.activity_id = e.generated_by"""


class RunRow(NamedTuple):
    """An activity; digests of software and configuration are null where nothing was recorded."""

    id: str
    name: str | None
    version: str | None
    status: str
    started_at: datetime | None
    software: str | None
    configuration: str | None


class FileRow(NamedTuple):
    """An entity."""

    id: str
    name: str | None
    digest: str | None
    generated_by: str | None


class HistoryRows(NamedTuple):
    """The rows of some nodes, and of what the activities among them used."""

    runs: list[RunRow]
    uses: list[tuple[str, str, str]]
    """Activity, role, entity."""
    files: list[FileRow]


def history(session: Session, nodes: Sequence[int]) -> HistoryRows:
    """Return these activities and entities, what the activities used, and by which of them.

    In no order.
    """
    ids = id_array(nodes)
    return HistoryRows(
        runs=[RunRow(*row) for row in fetch(session, _RUNS, ids)],
        uses=[(run, role, entity) for run, role, entity in fetch(session, _USES, ids)],
        files=[FileRow(*row) for row in fetch(session, _FILES, ids, ids)],
    )
