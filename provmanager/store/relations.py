"""Rows of relations, and the lineage edges that follow from them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from provmanager.model import Agent, Document

from . import tables
from .agents import intern_agents
from .prepared import fetch
from .writing import copy_rows


class ContradictionLike(Protocol):
    """What `write_contradictions` reads."""

    @property
    def subject(self) -> UUID: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def field(self) -> str: ...  # noqa: D102
    @property
    def held(self) -> str: ...  # noqa: D102
    @property
    def claimed(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102


LINK_RULES = {
    "stated": 1,
    "product-id": 2,
    "digest": 3,
    "location": 4,
    "location-version": 5,
    "location-during": 6,
    "location-same-file": 7,
    "contained-in-time": 8,
    "producer-claim": 9,
    "cwlprov-started-by": 10,
    "lstosa-same-name": 11,
    "openlineage-root": 20,
    "ro-crate-step": 21,
}
"""The rows of ``link_rule``, which migrations alone change; a test compares them."""


def insert_missing(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Insert those of `rows` that the table has not."""
    listed = dict.fromkeys(map(tuple, rows))
    if listed:
        statement = postgresql.insert(tables.metadata.tables[f"prov.{table}"])
        session.connection().execute(
            statement.on_conflict_do_nothing(),
            [dict(zip(columns, row, strict=True)) for row in listed],
        )


def add_rows(
    session: Session,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[object, ...]],
    new: Container[object],
) -> None:
    """COPY the rows of new nodes (the first column), insert those that known nodes lack."""
    unique = list(dict.fromkeys(rows))
    copy_rows(session, table, columns, [r for r in unique if r[0] in new])
    insert_missing(session, table, columns, [r for r in unique if r[0] not in new])


def forget_relations(session: Session, activity_ids: Sequence[int]) -> None:
    """Take away the relations of activities that are about to be written anew, whole."""
    if not activity_ids:
        return
    for table, column in (
        ("used", "activity_id"),
        ("was_informed_by", "informed_id"),
        ("was_associated_with", "activity_id"),
    ):
        session.execute(
            text(f"DELETE FROM prov.{table} WHERE {column} = ANY(:i)"),  # noqa: S608
            {"i": list(activity_ids)},
        )


def write_contradictions(
    session: Session, found: Iterable[ContradictionLike], retold: Sequence[UUID]
) -> None:
    """Keep contradictions; those of what was told of anew, `retold`, are replaced."""
    listed = list(found)
    if retold:
        session.execute(
            text("DELETE FROM prov.contradiction WHERE subject_uuid = ANY(CAST(:u AS uuid[]))"),
            {"u": list(map(str, retold))},
        )
    insert_missing(
        session,
        "contradiction",
        ("subject_uuid", "subject_kind", "field", "held", "claimed", "message"),
        [(c.subject, c.kind, c.field, c.held, c.claimed, c.message) for c in listed],
    )


def write_associations(
    session: Session,
    associations: Mapping[int, Sequence[tuple[Agent, str | None]]],
    roles: Mapping[str, int],
) -> None:
    """Write wasAssociatedWith of activities, by activity_id."""
    agents = intern_agents(session, [a for pairs in associations.values() for a, _ in pairs])
    insert_missing(
        session,
        "was_associated_with",
        ("activity_id", "agent_id", "role_id"),
        [
            (activity_id, agents[agent.iri], roles[role or ""])
            for activity_id, pairs in associations.items()
            for agent, role in pairs
        ],
    )


def write_document_relations(
    session: Session,
    documents: Mapping[str, Document],
    document_ids: Mapping[str, int],
    entity_ids: Mapping[tuple[str, str], int],
    rules: Mapping[str, int],
    roles: Mapping[str, int],
) -> None:
    """Write what documents say of entities among themselves, and the statements of new ones.

    Of documents that were only read again, entities that were not resolved anew are left alone.
    """
    derived = [
        (later, earlier, rules.get(d.rule, rules["stated"]))
        for sha, document in documents.items()
        for d in document.derived
        if (later := entity_ids.get((sha, d.derived)))
        and (earlier := entity_ids.get((sha, d.source)))
        and later != earlier
    ]
    members = [
        (whole, part)
        for sha, document in documents.items()
        for m in document.members
        if (whole := entity_ids.get((sha, m.collection)))
        and (part := entity_ids.get((sha, m.member)))
        and whole != part
    ]
    insert = insert_missing
    insert(session, "was_derived_from", ("derived_id", "source_id", "link_rule_id"), derived)
    insert(session, "had_member", ("collection_id", "member_id"), members)
    by_key = {sha: {a.key: a for a in d.agents} for sha, d in documents.items()}
    agents = intern_agents(session, [a for keyed in by_key.values() for a in keyed.values()])
    attributed = [
        (entity_id, agents[by_key[sha][x.agent].iri], roles[x.role or ""])
        for sha, document in documents.items()
        for x in document.attributed
        if (entity_id := entity_ids.get((sha, x.entity)))
    ]
    insert(session, "was_attributed_to", ("entity_id", "agent_id", "role_id"), attributed)
    new = {sha: document for sha, document in documents.items() if sha in document_ids}
    _write_statements(session, new, document_ids)


def _write_statements(
    session: Session, documents: Mapping[str, Document], document_ids: Mapping[str, int]
) -> None:
    copy_rows(
        session,
        "statement",
        ("document_id", "ordinal", "bundle", "type", "identifier", "attributes"),
        (
            (document_ids[sha], i, s.bundle, s.type, s.identifier, [list(a) for a in s.attributes])
            for sha, document in documents.items()
            for i, s in enumerate(document.statements)
        ),
    )
    copy_rows(
        session,
        "namespace",
        ("document_id", "prefix", "uri"),
        (
            (document_ids[sha], prefix, uri)
            for sha, document in documents.items()
            for prefix, uri in document.namespaces.items()
        ),
    )


def renew_edges(
    session: Session,
    *,
    activity_ids: Sequence[int],
    entity_ids: Sequence[int],
    new_activity_ids: Sequence[int],
    informed: bool,
    node_ids: Sequence[int],
) -> None:
    """Make the lineage edges anew of what was touched.

    Parameters
    ----------
    activity_ids, entity_ids : sequence of int
        Known activities that were told of anew; entities that were rebuilt or have another
        producer: their users' edges change.
    new_activity_ids : sequence of int
        New activities; their edges to producers stand already.
    informed : bool
        Whether the batch has data-flow wasInformedBy.
    node_ids : sequence of int
        Entities that the batch derives from others or puts into collections: they become nodes.
    """
    if activity_ids or entity_ids:
        touched = session.execute(
            text(
                "SELECT unnest(CAST(:a AS bigint[])) AS id UNION "
                "SELECT activity_id FROM prov.used WHERE entity_id = ANY(:e)"
            ),
            {"a": list(activity_ids), "e": list(entity_ids)},
        )
        ids = sorted(touched.scalars())
        session.execute(text("DELETE FROM prov.edge WHERE target_id = ANY(:i)"), {"i": ids})
        session.execute(text(_ACTIVITY_EDGES), {"i": ids})
        session.execute(text(_INFORMED_EDGES), {"i": ids})
        session.execute(text(_NODE_USERS), {"i": ids})
    if informed:
        session.execute(text(_INFORMED_EDGES), {"i": list(new_activity_ids)})
    if node_ids or entity_ids or _has_nodes(session):
        session.execute(text(_NODE_USERS), {"i": list(new_activity_ids)})
        _renew_entity_nodes(session, sorted({*node_ids, *entity_ids}))


def _has_nodes(session: Session) -> bool:
    query = (
        "SELECT EXISTS (SELECT 1 FROM prov.was_derived_from) "
        "OR EXISTS (SELECT 1 FROM prov.had_member)"
    )
    return bool(fetch(session, query)[0][0])


def _renew_entity_nodes(session: Session, ids: Sequence[int]) -> None:
    """Entities that were derived or are collections are nodes: to sources, members, producers."""
    session.execute(text("DELETE FROM prov.edge WHERE target_id = ANY(:i)"), {"i": list(ids)})
    session.execute(
        text(
            "WITH link AS ("
            "  SELECT derived_id AS t, source_id AS s FROM prov.was_derived_from "
            "  WHERE derived_id = ANY(:i) OR source_id = ANY(:i)"
            "  UNION SELECT collection_id, member_id FROM prov.had_member "
            "  WHERE collection_id = ANY(:i) OR member_id = ANY(:i)"
            "), node AS (SELECT t AS id FROM link UNION SELECT s FROM link) "
            "INSERT INTO prov.edge (target_id, source_id) "
            "SELECT t, s FROM link UNION "
            "SELECT n.id, e.generated_by FROM node n JOIN prov.entity e ON e.entity_id = n.id "
            "WHERE e.generated_by IS NOT NULL UNION "
            "SELECT u.activity_id, l.t FROM (SELECT DISTINCT t FROM link) l "
            "JOIN prov.used u ON u.entity_id = l.t ON CONFLICT DO NOTHING"
        ),
        {"i": list(ids)},
    )


_ACTIVITY_EDGES = (
    "INSERT INTO prov.edge (target_id, source_id) "
    "SELECT DISTINCT u.activity_id, e.generated_by FROM prov.used u JOIN prov.entity e "
    "USING (entity_id) WHERE u.activity_id = ANY(:i) AND e.generated_by IS NOT NULL "
    "AND e.generated_by <> u.activity_id ON CONFLICT DO NOTHING"
)
_INFORMED_EDGES = (
    "INSERT INTO prov.edge (target_id, source_id) "
    "SELECT informed_id, informant_id FROM prov.was_informed_by "
    "WHERE kind = 'data-flow' AND informed_id = ANY(:i) AND informed_id <> informant_id "
    "ON CONFLICT DO NOTHING"
)
_NODE_USERS = (
    "INSERT INTO prov.edge (target_id, source_id) "
    "SELECT u.activity_id, u.entity_id FROM prov.used u WHERE u.activity_id = ANY(:i) "
    "AND (EXISTS (SELECT 1 FROM prov.was_derived_from d WHERE d.derived_id = u.entity_id) "
    "  OR EXISTS (SELECT 1 FROM prov.had_member m WHERE m.collection_id = u.entity_id)) "
    "ON CONFLICT DO NOTHING"
)
