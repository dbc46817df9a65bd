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
class Whole:
    """A whole lineage, one way: the database walks it, and its nodes never leave that."""

    focus: int
    is_entity: bool
    direction: Literal["up", "down"]
    limit: int
    grouping: Grouping = "name"

    def given(self) -> dict[str, Any]:  # Any: bound values
        """Return the values of the statement's parameters."""
        return {"focus": self.focus, "limit": self.limit}

    def nodes(self) -> str:
        """Return the table expression ``node``."""
        first = "SELECT CAST(:focus AS bigint)"
        if self.is_entity:
            first += _BESIDE[self.direction]
        found, asked = _STEP[self.direction]
        return (
            f"walk (id) AS (({first}) UNION SELECT x.id FROM walk CROSS JOIN LATERAL ("  # noqa: S608
            # a subquery, so that each step is a look at the index, whatever the planner expects
            f"SELECT g.{found} AS id FROM prov.edge g WHERE g.{asked} = walk.id OFFSET 0) AS x"
            "), node AS MATERIALIZED (SELECT id AS activity_id FROM walk LIMIT :limit)"
        )

    def reached(self) -> str:
        """Return what selects its entities, each once, with what made them."""
        others = _REACHED[self.direction]
        if self.direction == "up":
            return _with_makers(others)
        return (
            f"SELECT e.*, {_MADE} FROM act g JOIN prov.entity e "  # noqa: S608
            "ON e.generated_by = g.activity_id "
            f"UNION ALL SELECT e.*, {_MADE_ELSEWHERE} FROM ({others}) AS e"
        )


_STEP = {"up": ("source_id", "target_id"), "down": ("target_id", "source_id")}
_BESIDE = {
    "up": " UNION ALL SELECT generated_by FROM prov.entity WHERE entity_id = :focus "
    "AND generated_by IS NOT NULL",
    "down": " UNION ALL SELECT activity_id FROM prov.used WHERE entity_id = :focus",
}
_MADE = (
    "g.activity_id AS near_id, g.name AS near_name, g.detail AS near_detail, g.mark AS near_mark, "
    "g.ended_at AS near_ended_at"
)
"""Of an entity, the activity of the lineage that made it."""
_MADE_ELSEWHERE = (
    "CAST(NULL AS bigint), CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS integer), "
    "CAST(NULL AS timestamptz)"
)
_REACHED = {
    "up": "SELECT * FROM prov.entity WHERE entity_id IN (SELECT activity_id FROM node "
    "UNION SELECT u.entity_id FROM node JOIN prov.used u USING (activity_id))",
    # entities among the nodes that something else, or nothing, made; looked up one by one, because
    # the planner expects many, and there are few
    "down": "SELECT e.* FROM (SELECT activity_id FROM node EXCEPT ALL "
    "SELECT activity_id FROM act) AS n CROSS JOIN LATERAL "
    "(SELECT * FROM prov.entity WHERE entity_id = n.activity_id OFFSET 0) AS e "
    "WHERE NOT EXISTS (SELECT 1 FROM act WHERE act.activity_id = e.generated_by)",
}


def _with_makers(entities: str) -> str:
    return (
        f"SELECT e.*, {_MADE} FROM ({entities}) AS e "  # noqa: S608
        "LEFT JOIN act g ON g.activity_id = e.generated_by"
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

    def nodes(self) -> str:
        """Return the table expression ``node``."""
        return "node AS (SELECT unnest(CAST(:ids AS bigint[])) AS activity_id)"

    def reached(self) -> str:
        """Return what selects its entities, each once, with what made them."""
        return _with_makers(
            "SELECT e.* FROM unnest(CAST(:entities AS bigint[])) AS i (entity_id) "
            "JOIN prov.entity e USING (entity_id)"
        )


_ACTIVITY = "a.name, a.detail, a.mark"
_PRODUCT = "e.generator, e.detail AS generator_detail, e.extension, e.mark AS product_mark"


def _sources(nodes: Nodes | Whole) -> str:
    detail = DETAIL[nodes.grouping]
    has_pin = isinstance(nodes, Nodes) and nodes.pin is not None
    mark = _MARK if has_pin else "CASE WHEN {0} = :focus THEN 1 ELSE 0 END"
    return f"""
WITH RECURSIVE {nodes.nodes()}, act AS MATERIALIZED (
    SELECT a.activity_id, a.name, {detail.format("a")} AS detail, {mark.format("a.activity_id")}
           AS mark, a.version, a.status, a.is_claim, a.started_at, a.ended_at
    FROM node JOIN prov.activity a USING (activity_id)
), ent AS MATERIALIZED (
    SELECT e.entity_id, e.generated_by, {EXTENSION} AS extension, {mark.format("e.entity_id")}
           AS mark, near_mark AS generator_mark,
           CASE WHEN is_near THEN near_name ELSE (SELECT o.name FROM prov.activity o
                WHERE o.activity_id = e.generated_by) END AS generator,
           CASE WHEN is_near THEN near_detail ELSE (SELECT {detail.format("o")}
                FROM prov.activity o WHERE o.activity_id = e.generated_by) END AS detail,
           coalesce(e.generated_at, CASE WHEN is_near THEN near_ended_at ELSE (SELECT o.ended_at
                FROM prov.activity o WHERE o.activity_id = e.generated_by) END) AS at,
           e.sha256 IS NOT NULL OR EXISTS (SELECT 1 FROM prov.entity_identifier d
           WHERE d.entity_id = e.entity_id AND d.kind = 'digest') AS has_digest
    FROM ({nodes.reached()}) AS e
    CROSS JOIN LATERAL (SELECT lower(coalesce(e.name, e.base_name)) AS n,
        e.generated_by IS NULL OR near_id IS NOT NULL AS is_near) AS x
), classed AS MATERIALIZED (
    SELECT {_PRODUCT}, e.generator_mark, count(*) AS n, min(at) AS first_at, max(at) AS last_at,
           count(*) FILTER (WHERE has_digest) AS digests, min(entity_id) AS one
    FROM ent e GROUP BY 1, 2, 3, 4, 5
)
"""  # noqa: S608  (columns, no input)


_QUERIES = {
    "reach": "SELECT count(*) AS n FROM node",
    # By version first: an aggregate of DISTINCT versions would sort all activities.
    "activities": "SELECT name, detail, mark, sum(n) AS n, sum(completed) AS completed, "  # noqa: S608
    "sum(error) AS error, sum(interrupted) AS interrupted, sum(running) AS running, "
    "sum(unknown) AS unknown, sum(claimed) AS claimed, "
    "array_agg(version) FILTER (WHERE version IS NOT NULL) AS versions, "
    "min(first_at) AS first_at, max(last_at) AS last_at, min(one) AS one FROM ("
    f"SELECT {_ACTIVITY}, version, count(*) AS n, "
    "count(*) FILTER (WHERE status = 'completed') AS completed, "
    "count(*) FILTER (WHERE status = 'error') AS error, "
    "count(*) FILTER (WHERE status = 'interrupted') AS interrupted, "
    "count(*) FILTER (WHERE status = 'running') AS running, "
    "count(*) FILTER (WHERE status = 'unknown') AS unknown, "
    "count(*) FILTER (WHERE is_claim) AS claimed, "
    "min(started_at) AS first_at, max(coalesce(ended_at, started_at)) AS last_at, "
    "min(activity_id) AS one FROM act a GROUP BY 1, 2, 3, 4) v GROUP BY 1, 2, 3",
    "products": "SELECT generator, generator_detail, extension, product_mark, sum(n) AS n, "
    "min(first_at) AS first_at, max(last_at) AS last_at, sum(digests) AS digests, "
    "min(one) AS one FROM classed GROUP BY 1, 2, 3, 4",
    # The roles are put together by name last: an aggregate of DISTINCT names would sort all uses.
    "used": "SELECT u.generator, u.generator_detail, u.extension, u.product_mark, u.name, "  # noqa: S608
    "u.detail, u.mark, sum(n) AS n, array_agg(r.name) AS roles FROM ("
    f"SELECT {_PRODUCT}, {_ACTIVITY}, u.role_id, count(*) AS n "
    "FROM act a JOIN prov.used u USING (activity_id) JOIN ent e USING (entity_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) u JOIN prov.role r USING (role_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7",
    "generated": "SELECT generator, generator_detail, extension, product_mark, "
    "generator AS name, generator_detail AS detail, generator_mark AS mark, n "
    "FROM classed WHERE generator_mark IS NOT NULL",
    "linked": f"SELECT {_PRODUCT}, t.generator AS to_generator, "  # noqa: S608
    "t.detail AS to_generator_detail, t.extension AS to_extension, t.mark AS to_product_mark, "
    "count(*) AS n FROM (SELECT w.derived_id AS t, w.source_id AS s FROM ent "
    "JOIN prov.was_derived_from w ON w.derived_id = ent.entity_id UNION "
    "SELECT m.collection_id, m.member_id FROM ent "
    "JOIN prov.had_member m ON m.collection_id = ent.entity_id) x "
    "JOIN ent e ON e.entity_id = x.s JOIN ent t ON t.entity_id = x.t "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
}


def summary(session: Session, nodes: Nodes | Whole) -> dict[str, list[Row]]:
    """Return activities, products, used, generated and linked, as rows of classes.

    And ``reach``, one row: how many nodes were walked to.
    """
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


def names(
    session: Session, *, activity_ids: Sequence[int], entity_ids: Sequence[int]
) -> dict[int, tuple[str, str | None]]:
    """Return UUIDs and names of these records."""
    rows = session.execute(
        text(
            "SELECT activity_id, activity_uuid, name FROM prov.activity "
            "WHERE activity_id = ANY(:a) UNION ALL "
            "SELECT entity_id, entity_uuid, coalesce(name, base_name) FROM prov.entity "
            "WHERE entity_id = ANY(:e)"
        ),
        {"a": list(activity_ids), "e": list(entity_ids)},
    )
    return {key: (str(uuid), name) for key, uuid, name in rows}
