"""The whole record as plain data, by names and not by keys, to compare two stores."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from provmanager.logic.ingest import IngestPolicy, Outcome, Source, record
from provmanager.model import Role
from provmanager.store import canonical
from provmanager.store.database import Database

_KEPT = (
    *("link_rule", "migration", "log_identity"),
    # never deleted, so that a running server remembers their ids
    *("role", "directory", "environment", "package", "host", "container", "configuration"),
)


def snapshot(session: Session) -> dict[str, list[str]]:
    """Return the record: relation name to its sorted rows, as `prod-verify` compares them."""
    return {name: sorted(canonical.rows(session, name)) for name in canonical.RELATIONS}


def difference(left: dict, right: dict) -> dict:
    """Return, for each relation in which they differ, the rows that only one of two records has."""
    return {
        name: (set(left[name]) - set(right[name]), set(right[name]) - set(left[name]))
        for name in left
        if left[name] != right[name]
    }


def recorded(
    database: Database, policy: IngestPolicy, batches: Sequence[Sequence[bytes]]
) -> tuple[dict, set[bytes]]:
    """Return the record that `batches` make in an empty store, and what was refused.

    Nothing of it is kept. On the way: the lineage edges are those that follow from the relations,
    and every id that a receipt gave finds its activity or entity in the end.
    """
    refused: set[bytes] = set()
    receipts: list[Outcome] = []
    with database.transaction() as session:
        for batch in batches:
            outcomes = record(
                session, [Source(data, role=Role.CURATOR) for data in batch], policy=policy
            )
            refused |= {d for d, o in zip(batch, outcomes, strict=True) if o.error is not None}
            receipts += outcomes
        check_edges(session)
        _check_receipts(session, receipts)
        found = snapshot(session)
        session.rollback()
    return found, refused


_DERIVED_EDGES = """
    WITH link AS (
        SELECT derived_id AS target_id, source_id FROM prov.was_derived_from
        UNION SELECT collection_id, member_id FROM prov.had_member
    ), node AS (SELECT target_id AS id FROM link UNION SELECT source_id FROM link)
    SELECT u.activity_id AS target_id, e.generated_by AS source_id
    FROM prov.used u JOIN prov.entity e USING (entity_id)
    WHERE e.generated_by IS NOT NULL AND e.generated_by <> u.activity_id
    UNION SELECT informed_id, informant_id FROM prov.was_informed_by
    WHERE kind = 'data-flow' AND informed_id <> informant_id
    UNION SELECT target_id, source_id FROM link
    UNION SELECT id, generated_by FROM node JOIN prov.entity ON entity_id = id
    WHERE generated_by IS NOT NULL
    UNION SELECT u.activity_id, u.entity_id FROM prov.used u
    WHERE u.entity_id IN (SELECT target_id FROM link)"""


def check_edges(session: Session) -> None:
    """Check that the lineage edges are those that follow from the relations, made from nothing."""
    kept = set(map(tuple, session.execute(text("SELECT target_id, source_id FROM prov.edge"))))
    assert kept == set(map(tuple, session.execute(text(_DERIVED_EDGES))))


_NAMES = """
    SELECT activity_uuid::text FROM prov.activity UNION ALL
    SELECT entity_uuid::text FROM prov.entity UNION ALL
    SELECT alias_uuid::text FROM prov.entity_alias JOIN prov.entity USING (entity_uuid)"""


def _check_receipts(session: Session, outcomes: Sequence[Outcome]) -> None:
    names = set(session.execute(text(_NAMES)).scalars())
    for outcome in outcomes:
        if outcome.receipt is not None:
            told = (*outcome.receipt["activities"], *outcome.receipt["entities"])
            assert {thing["id"] for thing in told} <= names


def empty(database: Database) -> None:
    """Take everything out of a store that was committed to; tokens stay."""
    with database.transaction() as session:
        names = session.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'prov'")
        ).scalars()
        tables = [f"prov.{n}" for n in names if n not in _KEPT and "token" not in n]
        session.execute(text(f"TRUNCATE {', '.join(tables)} CASCADE"))


def everything(database: Database) -> dict[str, tuple[int, str]]:
    """Return number and digest of the rows of each table.

    But when tokens were used, and the log, to which documents are appended some time later.
    """
    with database.transaction() as session:
        names = session.execute(text(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'prov' "
            "AND table_type = 'BASE TABLE' "
            "AND table_name NOT IN ('access_token', 'log_leaf', 'log_node', 'log_checkpoint')"
        )).scalars()  # fmt: skip
        return {
            name: tuple(session.execute(text(
                "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) "
                f"FROM prov.{name} t"
            )).one())
            for name in sorted(names)
        }  # fmt: skip
