"""Searching activities by what they were, and products by what made them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """What an activity must have been; absent parts do not restrict.

    Attributes
    ----------
    name : str
        Name, or pattern with ``*``.
    packages : tuple of (name, version or None)
    parameters : tuple of (dotted name or its end, JSON value)
        Any: JSON values.
    after, before : datetime
        Started at or after, before.
    person : str
        Part of the name, e-mail or IRI of an agent.
    """

    name: str | None = None
    version: str | None = None
    packages: tuple[tuple[str, str | None], ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    status: str | None = None
    after: datetime | None = None
    before: datetime | None = None
    person: str | None = None
    host: str | None = None


_PACKAGE = (
    "a.environment_id IN (SELECT environment_id FROM prov.package "
    "WHERE lower(name) = lower(:package)"
)


@dataclass(slots=True)
class Where:
    """Conditions of a statement, and the values in them."""

    conditions: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)  # Any: bound values

    def add(self, condition: str, **given: Any) -> None:  # Any: bound values
        """Add a condition."""
        self.conditions.append(condition)
        self.given |= given

    def sql(self) -> str:
        """Return all of them as one."""
        return " AND ".join(self.conditions) or "true"


def like_pattern(text_: str) -> str:
    """Return a pattern with ``*`` and ``?`` as one of SQL's LIKE."""
    escaped = text_.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def where_of(session: Session, wanted: ActivityFilter) -> Where:
    """Return the conditions on ``prov.activity a`` that `wanted` says."""
    where = _where(wanted)
    _add_parameters(session, where, wanted.parameters)
    return where


def _where(wanted: ActivityFilter) -> Where:
    where = Where()
    if wanted.name is not None:
        where.add("a.name LIKE :name", name=like_pattern(wanted.name))
    if wanted.version is not None:
        where.add("a.version LIKE :version", version=like_pattern(wanted.version))
    if wanted.status is not None:
        where.add("a.status = :status", status=wanted.status)
    if wanted.after is not None:
        where.add("a.started_at >= :after", after=wanted.after)
    if wanted.before is not None:
        where.add("a.started_at < :before", before=wanted.before)
    if wanted.host is not None:
        where.add(
            "a.host_id IN (SELECT host_id FROM prov.host WHERE name LIKE :host)",
            host=like_pattern(wanted.host),
        )
    if wanted.person is not None:
        where.add(
            "a.activity_id IN (SELECT w.activity_id FROM prov.was_associated_with w "
            "JOIN prov.agent g USING (agent_id) WHERE g.name ILIKE :person "
            "OR g.email ILIKE :person OR g.iri ILIKE :person)",
            person=f"%{like_pattern(wanted.person)}%",
        )
    for i, (package, version) in enumerate(wanted.packages):
        condition = _PACKAGE.replace(":package", f":package{i}")
        given: dict[str, Any] = {f"package{i}": package}  # Any: bound values
        if version is not None:
            condition += f" AND version = :package_version{i}"
            given[f"package_version{i}"] = version
        where.add(condition + ")", **given)
    return where


def _add_parameters(session: Session, where: Where, parameters: Sequence[tuple[str, Any]]) -> None:
    """Restrict by parameter values: templates first, then what activities override."""
    for i, (name, value) in enumerate(parameters):
        rows = session.execute(
            text(
                "SELECT c.configuration_id, k.key, k.value = CAST(:v AS jsonb) AS same "
                "FROM prov.configuration c, jsonb_each(c.content) k "
                "WHERE k.key = :n OR k.key LIKE :tail"
            ),
            {"n": name, "tail": "%." + like_pattern(name), "v": as_json(value)},
        )
        templates: dict[str, tuple[list[int], list[int]]] = {}
        for row in rows:
            same, other = templates.setdefault(row.key, ([], []))
            (same if row.same else other).append(row.configuration_id)
        alternatives: list[str] = []
        for j, (key, (same, other)) in enumerate(sorted(templates.items())):
            names = {f"k{i}_{j}": key, f"v{i}_{j}": as_json(value), f"s{i}_{j}": same,
                     f"o{i}_{j}": other}  # fmt: skip
            where.given |= names
            overridden = f"a.overrides -> :k{i}_{j} = CAST(:v{i}_{j} AS jsonb)"
            alternatives += [
                f"(a.configuration_id = ANY(:s{i}_{j}) AND (a.overrides IS NULL "
                f"OR NOT jsonb_exists(a.overrides, :k{i}_{j}) OR {overridden}))",
                f"(a.configuration_id = ANY(:o{i}_{j}) AND {overridden})",
            ]
        where.conditions.append(f"({' OR '.join(alternatives) or 'false'})")


def as_json(value: Any) -> str:  # Any: JSON value
    """Return a value as the text of its JSON."""
    return json.dumps(value)


def search_activities(
    session: Session, wanted: ActivityFilter, *, limit: int, offset: int
) -> tuple[int, list[RowMapping]]:
    """Return how many activities match, and one page of them, the newest first."""
    where = where_of(session, wanted)
    source = f"FROM prov.activity a LEFT JOIN prov.host h USING (host_id) WHERE {where.sql()}"
    total = session.execute(text(f"SELECT count(*) {source}"), where.given).scalar_one()
    rows = session.execute(
        text(
            "SELECT a.activity_uuid, a.name, a.version, a.status, a.exit_code, a.started_at, "
            f"a.ended_at, a.is_claim, h.name AS host {source} "
            "ORDER BY a.started_at DESC NULLS LAST, a.activity_uuid LIMIT :limit OFFSET :offset"
        ),
        {**where.given, "limit": limit, "offset": offset},
    )
    return total, list(rows.mappings())


def search_products(
    session: Session,
    wanted: ActivityFilter,
    *,
    product: str | None,
    limit: int,
    offset: int,
) -> tuple[int, list[RowMapping]]:
    """Return how many products of matching activities there are, and one page, newest first.

    Parameters
    ----------
    product : str, optional
        Name of the product, or pattern with ``*``. Alone, products without a producer match too.
    """
    where = where_of(session, wanted)
    join = "JOIN" if where.conditions else "LEFT JOIN"
    if product is not None:
        where.add("coalesce(e.name, e.base_name) LIKE :product", product=like_pattern(product))
    source = (
        f"FROM prov.entity e {join} prov.activity a ON a.activity_id = e.generated_by "
        f"LEFT JOIN prov.directory d USING (directory_id) WHERE {where.sql()}"
    )
    total = session.execute(text(f"SELECT count(*) {source}"), where.given).scalar_one()
    rows = session.execute(
        text(
            "SELECT e.entity_uuid, coalesce(e.name, e.base_name) AS name, e.kind, e.value, "
            "d.uri || e.base_name AS location, encode(e.sha256, 'hex') AS sha256, "
            "a.activity_uuid, a.name AS activity_name, "
            "a.status AS activity_status, coalesce(e.generated_at, a.ended_at) AS generated_at "
            f"{source} ORDER BY 10 DESC NULLS LAST, e.entity_uuid LIMIT :limit OFFSET :offset"
        ),
        {**where.given, "limit": limit, "offset": offset},
    )
    return total, list(rows.mappings())


def counts(session: Session) -> Mapping[str, int]:
    """Return how many documents, activities and entities there are."""
    row = session.execute(
        text(
            "SELECT (SELECT count(*) FROM prov.document) AS documents, "
            "(SELECT count(*) FROM prov.activity) AS activities, "
            "(SELECT count(*) FROM prov.entity) AS entities"
        )
    ).one()
    return {"documents": row.documents, "activities": row.activities, "entities": row.entities}
