"""Rows of two records beside each other: the one that stands, and the one made anew."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.model.rebuilt import RowDifference

_PAGE = 2000


def make(session: Session) -> None:
    """Make room for the rows of two records."""
    session.execute(
        text(
            "CREATE TEMPORARY TABLE beside (stood boolean NOT NULL, relation text NOT NULL, "
            "content jsonb NOT NULL)"
        )
    )


def put(session: Session, lines: Iterable[tuple[str, str]], *, stood: bool) -> None:
    """Keep (relation, row) of the record that stands, or of the one made anew."""
    batch: list[tuple[str, str]] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= _PAGE:
            _put(session, batch, stood)
            batch = []
    if batch:
        _put(session, batch, stood)


def _put(session: Session, lines: Sequence[tuple[str, str]], stood: bool) -> None:
    session.execute(
        text(
            "INSERT INTO beside SELECT :stood, relation, content FROM "
            "unnest(CAST(:relations AS text[]), CAST(:rows AS jsonb[])) AS l (relation, content)"
        ),
        {"stood": stood, "relations": [r for r, _ in lines], "rows": [c for _, c in lines]},
    )


def differences(session: Session, limit: int) -> list[RowDifference]:
    """Return rows that only the one has, and those that only the other has.

    Of each kind of rows, up to `limit` of either.
    """
    each = "SELECT relation, content FROM beside WHERE stood"
    other = "SELECT relation, content FROM beside WHERE NOT stood"

    def first(query: str) -> list[tuple[str, dict[str, Any]]]:  # Any: column values
        rows = session.execute(
            text(
                "SELECT relation, content FROM (SELECT relation, content, row_number() OVER "  # noqa: S608
                f"(PARTITION BY relation ORDER BY content) AS n FROM ({query}) AS d) AS numbered "
                "WHERE n <= :limit ORDER BY 1, 2"
            ),
            {"limit": limit},
        )
        return [(relation, row) for relation, row in rows]

    stood, rebuilt = first(f"{each} EXCEPT ALL {other}"), first(f"{other} EXCEPT ALL {each}")
    return [
        *(RowDifference(relation, row, None) for relation, row in stood),
        *(RowDifference(relation, None, row) for relation, row in rebuilt),
    ]


def touched_by(session: Session, digests: Sequence[str]) -> set[str]:
    """Return what documents tell of in either record: runs, files, and what may hang on those.

    That is the runs and files of the documents, what these runs used and generated, what shares a
    name with that, and the runs that used or generated it.
    """
    found: set[str] = set()
    new = set(
        session.execute(
            text(
                "SELECT coalesce(content ->> 'activity', content ->> 'entity') FROM beside "
                "WHERE relation IN ('activity_document', 'entity_document') "
                "AND content ->> 'document' = ANY(:documents)"
            ),
            {"documents": [f"\\x{d}" for d in digests]},
        ).scalars()
    )
    for _ in range(4):
        found |= new
        new = set(session.execute(text(_NEIGHBOURS), {"ids": sorted(found)}).scalars()) - found
    return found | new


_NEIGHBOURS = """
    WITH link AS (
        SELECT content ->> 'activity' AS one, content ->> 'entity' AS other FROM beside
        WHERE relation IN ('used', 'generation_claim')
        UNION SELECT content ->> 'generated_by', content ->> 'entity' FROM beside
        WHERE relation = 'entity' AND content ->> 'generated_by' IS NOT NULL
        UNION SELECT content ->> 'activity', content ->> 'informant' FROM beside
        WHERE relation = 'was_informed_by'
        UNION SELECT content ->> 'entity', coalesce(content ->> 'source', content ->> 'member')
        FROM beside WHERE relation IN ('was_derived_from', 'had_member')
    ), name AS (
        SELECT content ->> 'entity' AS entity,
               coalesce(content ->> 'location', content ->> 'identifier') AS name
        FROM beside WHERE relation IN ('entity', 'entity_location', 'entity_identifier')
        UNION SELECT content ->> 'entity', 'sha256:' || (content ->> 'sha256') FROM beside
        WHERE relation = 'entity'
    )
    SELECT other FROM link WHERE one = ANY(:ids) UNION SELECT one FROM link WHERE other = ANY(:ids)
    UNION SELECT b.entity FROM name a JOIN name b USING (name) WHERE a.entity = ANY(:ids)"""
