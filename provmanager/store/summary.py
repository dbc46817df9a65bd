"""The class summary of a lineage in SQL: boxes and arrows as GROUP BYs over its nodes.

The class of an activity is its name; that of a product is the name of the activity that generated
it and its extension. The focus, a pinned record and what lies between them are classes of their
own. All of it is one statement, so that the nodes cross to the database once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from .lineage import id_array

Row = dict[str, Any]  # Any: column values, as JSON
Grouping = Literal["name", "version", "status"]

PLAIN, FOCUS, PINNED, BETWEEN = range(4)
"""Marks: what a record is beside its class."""

DETAIL = {
    "name": "CAST(NULL AS text)",
    "version": "coalesce({}.version, '')",
    "status": "{}.status",
}

# The last extension, with the one before it (.dl1.h5, .tar.gz) where that is no number or name:
# letters, or up to three of them and one digit. Regular expressions over whole names took half the
# time of a summary; those over their parts do not.
EXTENSION = """CASE WHEN n LIKE '%.%' AND split_part(n, '.', -1) ~ '^[a-z][a-z0-9]{0,7}$' THEN
    CASE WHEN n LIKE '%.%.%' AND split_part(n, '.', -2) ~ '^([a-z]{1,3}[0-9]|[a-z]{2,12})$'
    THEN '.' || split_part(n, '.', -2) ELSE '' END || '.' || split_part(n, '.', -1)
    ELSE '' END"""
_MARK = (
    "CASE WHEN {0} = :focus THEN 1 WHEN {0} = :pin THEN 2 "
    "WHEN {0} = ANY(CAST(:between AS bigint[])) THEN 3 ELSE 0 END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The records of a lineage, and how to class them.

    Attributes
    ----------
    between : sequence of int
        Records on the ways between the focus and the pinned one.
    """

    activities: Sequence[int]
    entities: Sequence[int]
    focus: int
    pin: int | None = None
    between: Sequence[int] = ()
    grouping: Grouping = "name"

    def given(self) -> dict[str, Any]:  # Any: bound values
        """Return the values of the statement's parameters."""
        return {
            "ids": id_array(self.activities),
            "entities": id_array(self.entities),
            "focus": self.focus,
            "pin": self.pin,
            "between": id_array(self.between),
        }


def _sources(nodes: Nodes) -> str:
    detail = DETAIL[nodes.grouping]
    mark = _MARK if nodes.pin is not None else "CASE WHEN {0} = :focus THEN 1 ELSE 0 END"
    return f"""
WITH act AS MATERIALIZED (
    SELECT a.activity_id, a.name, {detail.format("a")} AS detail, {mark.format("a.activity_id")}
           AS mark, a.version, a.status, a.is_claim, a.started_at, a.ended_at
    FROM unnest(CAST(:ids AS bigint[])) AS i (activity_id) JOIN prov.activity a USING (activity_id)
), ent AS MATERIALIZED (
    SELECT e.entity_id, e.generated_by, g.name AS generator, {detail.format("g")} AS detail,
           {EXTENSION} AS extension, {mark.format("e.entity_id")} AS mark,
           coalesce(e.name, e.base_name) AS name, coalesce(e.generated_at, g.ended_at) AS at,
           e.sha256 IS NOT NULL OR EXISTS (SELECT 1 FROM prov.entity_identifier d
           WHERE d.entity_id = e.entity_id AND d.kind = 'digest') AS has_digest
    FROM unnest(CAST(:entities AS bigint[])) AS i (entity_id) JOIN prov.entity e USING (entity_id)
    LEFT JOIN prov.activity g ON g.activity_id = e.generated_by
    CROSS JOIN LATERAL (SELECT lower(coalesce(e.name, e.base_name)) AS n) AS x
)
"""  # noqa: S608  (columns, no input)


_ACTIVITY = "a.name, a.detail, a.mark"
_PRODUCT = "e.generator, e.detail AS generator_detail, e.extension, e.mark AS product_mark"

_QUERIES = {
    "activities": f"SELECT {_ACTIVITY}, count(*) AS n, "  # noqa: S608
    "count(*) FILTER (WHERE status = 'completed') AS completed, "
    "count(*) FILTER (WHERE status = 'error') AS error, "
    "count(*) FILTER (WHERE status = 'interrupted') AS interrupted, "
    "count(*) FILTER (WHERE status = 'running') AS running, "
    "count(*) FILTER (WHERE status = 'unknown') AS unknown, "
    "count(*) FILTER (WHERE is_claim) AS claimed, "
    "array_agg(DISTINCT version) FILTER (WHERE version IS NOT NULL) AS versions, "
    "min(started_at) AS first_at, max(coalesce(ended_at, started_at)) AS last_at, "
    "min(activity_id) AS one FROM act a GROUP BY 1, 2, 3",
    "products": f"SELECT {_PRODUCT}, count(*) AS n, min(at) AS first_at, max(at) AS last_at, "  # noqa: S608
    "count(*) FILTER (WHERE has_digest) AS digests, min(e.name) AS example, min(entity_id) AS one "
    "FROM ent e GROUP BY 1, 2, 3, 4",
    # The roles are put together by name last: an aggregate of DISTINCT names would sort all uses.
    "used": "SELECT u.generator, u.generator_detail, u.extension, u.product_mark, u.name, "  # noqa: S608
    "u.detail, u.mark, sum(n) AS n, array_agg(r.name) AS roles FROM ("
    f"SELECT {_PRODUCT}, {_ACTIVITY}, u.role_id, count(*) AS n "
    "FROM act a JOIN prov.used u USING (activity_id) JOIN ent e USING (entity_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) u JOIN prov.role r USING (role_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7",
    "generated": f"SELECT {_PRODUCT}, {_ACTIVITY}, count(*) AS n "  # noqa: S608
    "FROM act a JOIN ent e ON e.generated_by = a.activity_id GROUP BY 1, 2, 3, 4, 5, 6, 7",
    "linked": f"SELECT {_PRODUCT}, t.generator AS to_generator, "  # noqa: S608
    "t.detail AS to_generator_detail, t.extension AS to_extension, t.mark AS to_product_mark, "
    "count(*) AS n FROM (SELECT w.derived_id AS t, w.source_id AS s FROM ent "
    "JOIN prov.was_derived_from w ON w.derived_id = ent.entity_id UNION "
    "SELECT m.collection_id, m.member_id FROM ent "
    "JOIN prov.had_member m ON m.collection_id = ent.entity_id) x "
    "JOIN ent e ON e.entity_id = x.s JOIN ent t ON t.entity_id = x.t "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
}


def summary(session: Session, nodes: Nodes) -> dict[str, list[Row]]:
    """Return activities, products, used, generated and linked, as rows of classes."""
    parts = (
        f"SELECT '{name}' AS part, to_jsonb(q) AS content FROM ({query}) q"  # noqa: S608
        for name, query in _QUERIES.items()
    )
    statement = _sources(nodes) + " UNION ALL ".join(parts)
    found: dict[str, list[Row]] = {name: [] for name in _QUERIES}
    for part, row in session.execute(text(statement), nodes.given()):
        found[part].append(row)
    for rows in found.values():
        rows.sort(key=_order)
    return found


def _order(row: Row) -> list[tuple[bool, str]]:
    """Return what to sort rows by: the names of their classes, absent ones last."""
    names = ("name", "detail", "mark", "generator", "generator_detail", "extension",
             "product_mark", "to_generator", "to_extension")  # fmt: skip
    return [(row[name] is None, str(row[name])) for name in names if name in row]


def entities_between(session: Session, activity_ids: Sequence[int]) -> list[int]:
    """Return the entities that one of these activities generated and one used."""
    rows = session.execute(
        text(
            "SELECT entity_id FROM prov.entity e WHERE generated_by = ANY(CAST(:i AS bigint[])) "
            "AND EXISTS (SELECT 1 FROM prov.used u WHERE u.entity_id = e.entity_id "
            "AND u.activity_id = ANY(CAST(:i AS bigint[])))"
        ),
        {"i": id_array(activity_ids)},
    )
    return list(rows.scalars())


def uuids(
    session: Session, *, activity_ids: Sequence[int], entity_ids: Sequence[int]
) -> dict[int, str]:
    """Return the UUIDs of these records."""
    rows = session.execute(
        text(
            "SELECT activity_id, activity_uuid FROM prov.activity WHERE activity_id = ANY(:a) "
            "UNION ALL SELECT entity_id, entity_uuid FROM prov.entity WHERE entity_id = ANY(:e)"
        ),
        {"a": list(activity_ids), "e": list(entity_ids)},
    )
    return {key: str(uuid) for key, uuid in rows}
