"""What could make the outcome of activities another: digests of software and configuration."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session


def fingerprints(session: Session, uuids: Sequence[str]) -> list[RowMapping]:
    """Return (id, software, configuration) of activities; null where nothing was recorded."""
    rows = session.execute(
        text(
            "SELECT CAST(a.activity_uuid AS text) AS id, "
            "CASE WHEN a.environment_id IS NULL AND a.container_id IS NULL THEN NULL "
            "ELSE concat_ws(' ', a.environment_id, 'in', a.container_id) END AS software, "
            "md5(CAST(t.content || coalesce(a.overrides, '{}'::jsonb) AS text)) AS configuration "
            "FROM prov.activity a LEFT JOIN prov.configuration t USING (configuration_id) "
            "WHERE a.activity_uuid = ANY(CAST(:u AS uuid[])) ORDER BY 1"
        ),
        {"u": list(uuids)},
    )
    return list(rows.mappings())
