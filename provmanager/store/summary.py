"""The class summary of a lineage in SQL: boxes and arrows as GROUP BYs over its nodes.

The class of an activity is its name; that of a product is the name of the activity that generated
it and its extension. The focus, a pinned record and what lies between them are classes of their
own. All of it is one statement. The nodes come to it as one array, which the database may have made
itself (`lineage.reached`): so the planner knows how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from .lineage import Direction, id_array
from .prepared import fetch

Row = dict[str, Any]  # Any: column values, as JSON
Grouping = Literal["name", "version", "status"]

PLAIN, FOCUS, PINNED, BETWEEN = range(4)
"""Marks: what a record is beside its class."""

DETAIL = {
    "name": "CAST(NULL AS text)",
    "version": "coalesce({}.version, '')",
    "status": "{}.status",
}

# Of classes there are few, whatever the planner expects: to sort a million rows for a merge or for
# groups takes longer than all else.
_HASHED = (
    "SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL work_mem = '128MB'"
)
_AS_EVER = (
    "SET LOCAL enable_mergejoin = on; SET LOCAL enable_sort = on; SET LOCAL work_mem TO DEFAULT"
)

_MARK = (
    "CASE WHEN {0} = :focus THEN 1 WHEN {0} = :pin THEN 2 "
    "WHEN {0} = ANY(CAST(:between AS bigint[])) THEN 3 ELSE 0 END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The records of a lineage, and how to class them.

    Attributes
    ----------
    ids : str
        The nodes, as the text of a bigint[].
    entities : str or None
        Its entities, as such a text. None of a lineage one way: then they are those that its
        activities used (up) or generated (down), and those among the nodes.
    direction : str
        Which way.
    between : sequence of int
        Records on the ways between the focus and the pinned one.
    """

    ids: str
    entities: str | None
    direction: Direction | Literal["both"]
    focus: int
    pin: int | None = None
    between: Sequence[int] = ()
    grouping: Grouping = "name"

    def given(self) -> dict[str, Any]:  # Any: bound values
        """Return the values of the statement's parameters."""
        return {
            "ids": self.ids,
            "entities": self.entities,
            "focus": self.focus,
            "pin": self.pin,
            "between": id_array(self.between),
        }

    def mark(self, key: str) -> str:
        """Return the mark of the record of which `key` is the key."""
        marks = _MARK if self.pin is not None else "CASE WHEN {0} = :focus THEN 1 ELSE 0 END"
        return marks.format(key)

    def rows(self) -> str:
        """Return what selects its entities, each once, with what is told of them."""
        if self.entities is not None:
            return self._with_makers(_GIVEN)
        if self.direction == "up":
            return self._with_makers(_USED)
        return (
            f"SELECT e.entity_id, e.extension, {self.mark('e.entity_id')} AS mark, "  # noqa: S608
            "g.name AS generator, g.detail, g.mark AS generator_mark, "
            f"coalesce(e.generated_at, g.ended_at) AS at, {_HAS_DIGEST} AS has_digest "
            "FROM act g JOIN prov.entity e ON e.generated_by = g.activity_id "
            f"UNION ALL {self._with_makers(_OTHERS, made_by='false')}"
        )

    def _with_makers(self, entities: str, made_by: str = "g.activity_id = e.generated_by") -> str:
        """Select what made them from the lineage or, of the few that it did not make, beside it."""

        def of_maker(near: str, elsewhere: str) -> str:
            return (
                f"CASE WHEN e.generated_by IS NULL OR g.activity_id IS NOT NULL THEN {near} ELSE "  # noqa: S608
                f"(SELECT {elsewhere} FROM prov.activity o WHERE o.activity_id = e.generated_by) "
                "END"
            )

        return (
            f"SELECT e.entity_id, e.extension, {self.mark('e.entity_id')} AS mark, "  # noqa: S608
            f"{of_maker('g.name', 'o.name')} AS generator, "
            f"{of_maker('g.detail', DETAIL[self.grouping].format('o'))} AS detail, "
            "g.mark AS generator_mark, "
            f"coalesce(e.generated_at, {of_maker('g.ended_at', 'o.ended_at')}) AS at, "
            f"{_HAS_DIGEST} AS has_digest FROM ({entities}) AS e LEFT JOIN act g ON {made_by}"
        )


_HAS_DIGEST = (
    "(e.sha256 IS NOT NULL OR EXISTS (SELECT 1 FROM prov.entity_identifier d "
    "WHERE d.entity_id = e.entity_id AND d.kind = 'digest'))"
)
_USED = (
    "SELECT * FROM prov.entity WHERE entity_id IN (SELECT activity_id FROM node "
    "UNION SELECT u.entity_id FROM node JOIN prov.used u USING (activity_id))"
)
_GIVEN = (
    "SELECT e.* FROM unnest(CAST(:entities AS bigint[])) AS i (entity_id) "
    "JOIN prov.entity e USING (entity_id)"
)
# Entities among the nodes that something else, or nothing, made.
_OTHERS = (
    "SELECT e.* FROM node n CROSS JOIN LATERAL "
    "(SELECT * FROM prov.entity WHERE entity_id = n.activity_id OFFSET 0) AS e "
    "WHERE NOT EXISTS (SELECT 1 FROM act WHERE act.activity_id = n.activity_id) "
    "AND (e.generated_by IS NULL OR e.generated_by NOT IN (SELECT activity_id FROM act))"
)

_ACTIVITY = "a.name, a.detail, a.mark"
_PRODUCT = "e.generator, e.detail AS generator_detail, e.extension, e.mark AS product_mark"


def _sources(nodes: Nodes) -> str:
    return f"""
WITH node AS (SELECT unnest(CAST(:ids AS bigint[])) AS activity_id), act AS MATERIALIZED (
    SELECT a.activity_id, a.name, {DETAIL[nodes.grouping].format("a")} AS detail,
           {nodes.mark("a.activity_id")} AS mark, a.version, a.status, a.is_claim, a.started_at,
           a.ended_at
    FROM node JOIN prov.activity a USING (activity_id)
), ent AS MATERIALIZED (
    {nodes.rows()}
), classed AS MATERIALIZED (
    SELECT {_PRODUCT}, e.generator_mark, count(*) AS n, min(at) AS first_at, max(at) AS last_at,
           count(*) FILTER (WHERE has_digest) AS digests, min(entity_id) AS one
    FROM ent e GROUP BY 1, 2, 3, 4, 5
), link AS MATERIALIZED (
    SELECT w.derived_id AS t, w.source_id AS s FROM ent
    JOIN prov.was_derived_from w ON w.derived_id = ent.entity_id
    UNION SELECT m.collection_id, m.member_id FROM ent
    JOIN prov.had_member m ON m.collection_id = ent.entity_id
), linked AS MATERIALIZED (
    SELECT * FROM ent WHERE entity_id IN (SELECT t FROM link UNION SELECT s FROM link)
)
"""  # noqa: S608  (columns, no input)


_QUERIES = {
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
    # What the activities used stands in a subquery, so that it is joined before the entities, of
    # which the planner does not know that each is there once.
    "used": "SELECT u.generator, u.generator_detail, u.extension, u.product_mark, u.name, "  # noqa: S608
    "u.detail, u.mark, sum(n) AS n, array_agg(r.name) AS roles FROM ("
    f"SELECT {_PRODUCT}, {_ACTIVITY}, a.role_id, count(*) AS n "
    f"FROM (SELECT {_ACTIVITY}, u.entity_id, u.role_id FROM act a JOIN prov.used u "
    "USING (activity_id) OFFSET 0) AS a JOIN ent e USING (entity_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) u JOIN prov.role r USING (role_id) "
    "GROUP BY 1, 2, 3, 4, 5, 6, 7",
    "generated": "SELECT generator, generator_detail, extension, product_mark, "
    "generator AS name, generator_detail AS detail, generator_mark AS mark, n "
    "FROM classed WHERE generator_mark IS NOT NULL",
    # Only where there are links are the entities looked at.
    "linked": f"SELECT {_PRODUCT}, t.generator AS to_generator, "  # noqa: S608
    "t.detail AS to_generator_detail, t.extension AS to_extension, t.mark AS to_product_mark, "
    "count(*) AS n FROM link x JOIN linked e ON e.entity_id = x.s JOIN linked t "
    "ON t.entity_id = x.t WHERE EXISTS (SELECT 1 FROM link) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
}


def summary(session: Session, nodes: Nodes) -> dict[str, list[Row]]:
    """Return activities, products, used, generated and linked, as rows of classes."""
    parts = (
        f"SELECT '{name}' AS part, to_jsonb(q) AS content FROM ({query}) q"  # noqa: S608
        for name, query in _QUERIES.items()
    )
    statement = _sources(nodes) + " UNION ALL ".join(parts)
    found: dict[str, list[Row]] = {name: [] for name in _QUERIES}
    fetch(session, _HASHED)
    for part, row in session.execute(text(statement), nodes.given()):
        found[part].append(row)
    fetch(session, _AS_EVER)
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
