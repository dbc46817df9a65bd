"""The live database against the code that uses it and the model that it follows."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import MetaData, exc, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from provmanager.store import access, log, tables
from provmanager.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
MAPPING = ROOT / "docs" / "ivoa-mapping.md"

assert access.metadata is log.metadata is tables.metadata  # each brings tables of its own
TABLES = {table.name for table in tables.metadata.tables.values()}
MIGRATION = "migration"  # the migrator makes it before there are tables
VIEWS = {"was_generated_by", "parameter", "config_file"}


@pytest.fixture(scope="module")
def live(database: Database) -> MetaData:
    """The tables as they are in the database."""
    found = MetaData(schema="prov")
    found.reflect(database.engine)
    return found


def called(type_: TypeEngine) -> str:
    """Return the SQL name of a type."""
    return type_.compile(dialect=postgresql.dialect())


def test_every_table_of_the_database_is_one_of_the_code(live: MetaData) -> None:
    assert {table.name for table in live.tables.values()} == TABLES | {MIGRATION}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_of_the_code_is_that_of_the_database(live: MetaData, name: str) -> None:
    code, held = tables.metadata.tables[f"prov.{name}"], live.tables[f"prov.{name}"]
    assert [c.name for c in code.columns] == [c.name for c in held.columns]
    for mine, theirs in zip(code.columns, held.columns, strict=True):
        assert called(mine.type) == called(theirs.type), mine
        assert mine.nullable == theirs.nullable, mine
        assert bool(mine.identity) == bool(theirs.identity), mine
        assert bool(mine.server_default) == bool(theirs.server_default), mine
    assert [c.name for c in code.primary_key] == [c.name for c in held.primary_key]
    keys = [
        {(key.parent.name, key.column.table.name, key.column.name) for key in table.foreign_keys}
        for table in (code, held)
    ]
    assert keys[0] == keys[1]


def test_every_table_view_and_column_says_what_it_means(database: Database) -> None:
    """Columns of a view are those of tables; the view says what it is."""
    with database.transaction() as session:
        rows = session.execute(text(
            "SELECT c.relname, a.attname, coalesce(col_description(c.oid, a.attnum), '') AS said "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
            "WHERE c.relnamespace = 'prov'::regnamespace AND c.relkind = 'r' AND NOT attisdropped "
            "UNION ALL SELECT relname, '', coalesce(obj_description(oid, 'pg_class'), '') "
            "FROM pg_class WHERE relnamespace = 'prov'::regnamespace AND relkind IN ('r', 'v')"
        )).all()  # fmt: skip
    assert [row for row in rows if len(row.said.strip()) < 3] == []
    assert {row.relname for row in rows} == TABLES | {MIGRATION} | VIEWS


# --- bad rows -------------------------------------------------------------------------------------

GOOD = """
INSERT INTO activity (activity_id, activity_uuid, status)
VALUES (1, '00000000-0000-0000-0000-000000000001', 'running');
INSERT INTO entity (entity_id, entity_uuid)
VALUES (2, '00000000-0000-0000-0000-000000000002'),
       (3, '00000000-0000-0000-0000-000000000003');
INSERT INTO role (role_id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a role');
INSERT INTO used (activity_id, entity_id, role_id, link_rule_id) VALUES (1, 2, 1, 1);
INSERT INTO was_informed_by VALUES (1, 1, 'part-of', 1);
INSERT INTO agent (agent_id, iri, name) OVERRIDING SYSTEM VALUE VALUES (1, 'urn:x', 'X');
INSERT INTO document (document_id, sha256, stored_sha256, format, reason, size_bytes, content)
OVERRIDING SYSTEM VALUE
VALUES (1, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), 'f', 'r', 0, '');
INSERT INTO contradiction (subject_uuid, subject_kind, field, held, claimed, message)
VALUES ('00000000-0000-0000-0000-000000000001', 'activity', 'name', 'a', 'b', 'm');
INSERT INTO activity_description (activity_description_id, name) OVERRIDING SYSTEM VALUE
VALUES (1, 'process');
INSERT INTO entity_description (entity_description_id, name) OVERRIDING SYSTEM VALUE
VALUES (1, 'events');
"""
SHORT = "decode(repeat('00', 31), 'hex')"
LONG = "decode(repeat('01', 32), 'hex')"
ANOTHER = "'00000000-0000-0000-0000-00000000000f'"
BAD = [
    # what is wrong, what is inserted, the constraint that refuses it
    ("ends before it starts",
     f"activity (activity_uuid, status, started_at, ended_at) VALUES ({ANOTHER}, 'completed', "
     "'2026-01-02', '2026-01-01')", "activity_ends_after_start"),
    ("status of its own", f"activity (activity_uuid, status) VALUES ({ANOTHER}, 'success')",
     "activity_status_check"),
    ("no status", f"activity (activity_uuid, status) VALUES ({ANOTHER}, NULL)", "status"),
    ("activity twice", "activity (activity_uuid, status) VALUES "
     "('00000000-0000-0000-0000-000000000001', 'running')", "activity_activity_uuid_key"),
    ("environment that is not there",
     f"activity (activity_uuid, status, environment_id) VALUES ({ANOTHER}, 'running', 99)",
     "activity_environment_id_fkey"),
    ("entity twice", "entity (entity_uuid) VALUES ('00000000-0000-0000-0000-000000000002')",
     "entity_entity_uuid_key"),
    ("kind of its own", f"entity (entity_uuid, kind) VALUES ({ANOTHER}, 'file')",
     "entity_kind_check"),
    ("negative size", f"entity (entity_uuid, size_bytes) VALUES ({ANOTHER}, -1)",
     "entity_size_bytes_check"),
    ("digest that is too short", f"entity (entity_uuid, sha256) VALUES ({ANOTHER}, {SHORT})",
     "entity_sha256_check"),
    ("generated, by no rule", f"entity (entity_uuid, generated_by) VALUES ({ANOTHER}, 1)",
     "entity_generation"),
    ("a rule, and not generated", f"entity (entity_uuid, generation_rule_id) VALUES ({ANOTHER}, 1)",
     "entity_generation"),
    ("generated by nobody there",
     f"entity (entity_uuid, generated_by, generation_rule_id) VALUES ({ANOTHER}, 99, 1)",
     "entity_generated_by_fkey"),
    ("used twice in one role", "used (activity_id, entity_id, role_id, link_rule_id) "
     "VALUES (1, 2, 1, 2)", "used_pkey"),
    ("used by nobody there", "used (activity_id, entity_id, role_id, link_rule_id) "
     "VALUES (99, 2, 1, 1)", "used_activity_id_fkey"),
    ("use of what is not there", "used (activity_id, entity_id, role_id, link_rule_id) "
     "VALUES (1, 99, 1, 1)", "used_entity_id_fkey"),
    ("use by no rule", "used (activity_id, entity_id, role_id) VALUES (1, 3, 1)", "link_rule_id"),
    ("identifier of its own kind", "entity_identifier VALUES (2, 'name', 'x')",
     "entity_identifier_kind_check"),
    ("claim for a reason of its own", "generation_claim VALUES (2, 1, 1, 'because')",
     "generation_claim_reason_check"),
    ("informed in a way of its own", "was_informed_by VALUES (1, 1, 'friend-of', 1)",
     "was_informed_by_kind_check"),
    ("derived from nothing there", "was_derived_from VALUES (2, 99, 1)",
     "was_derived_from_source_id_fkey"),
    ("member that is not there", "had_member VALUES (2, 99)", "had_member_member_id_fkey"),
    ("member twice", "had_member VALUES (2, 3), (2, 3)", "had_member_pkey"),
    ("agent of its own type", "agent (iri, name, type) VALUES ('urn:y', 'Y', 'Robot')",
     "agent_type_check"),
    ("agent without a name", "agent (iri) VALUES ('urn:y')", "name"),
    ("agent twice", "agent (iri, name) VALUES ('urn:x', 'Z')", "agent_iri_key"),
    ("rule that rests on nothing", "link_rule VALUES (99, 'guess', 'guessed', 'r')",
     "link_rule_basis_check"),
    ("document twice", "document (document_id, sha256, stored_sha256, format, reason, size_bytes, "
     f"content) OVERRIDING SYSTEM VALUE VALUES (2, decode(repeat('00', 32), 'hex'), {LONG}, 'f', "
     "'r', 0, '')", "document_sha256_key"),
    ("document of negative size", "document (document_id, sha256, stored_sha256, format, reason, "
     f"size_bytes, content) OVERRIDING SYSTEM VALUE VALUES (2, {LONG}, {LONG}, 'f', 'r', -1, '')",
     "document_size_bytes_check"),
    ("claim of a document that is not there",
     f"activity_document VALUES (1, 99, {ANOTHER})", "activity_document_document_id_fkey"),
    ("contradiction twice", "contradiction (subject_uuid, subject_kind, field, held, claimed, "
     "message) VALUES ('00000000-0000-0000-0000-000000000001', 'activity', 'name', 'a', 'b', 'n')",
     "contradiction_once"),
    ("statement without attributes", "statement (document_id, ordinal, type) "
     "VALUES (1, 0, 'Entity')", "attributes"),
    ("data set and value at once", "entity_description (name, content_type, value_type) "
     "VALUES ('x', 'application/fits', 'float')", "entity_description_class"),
    ("description twice", "activity_description (activity_description_id, name) "
     "OVERRIDING SYSTEM VALUE VALUES (2, 'process')",
     "activity_description_name_version_key"),
    ("flow in a direction of its own", "flow_description (activity_description_id, direction, "
     "role) VALUES (1, 'sideways', 'r')", "flow_description_direction_check"),
    ("description by no document", "entity_description (name, document_id) VALUES ('x', 99)",
     "entity_description_document_id_fkey"),
    ("parameter without a type", "parameter_description (activity_description_id, name) "
     "VALUES (1, 'p')", "value_type"),
    ("token with a role of its own", f"access_token (sha256, name, role) VALUES ({LONG}, 't', "
     "'emperor')", "access_token_role_check"),
    ("reader's token for a job", f"access_token (sha256, name, role, job) VALUES ({LONG}, 't', "
     "'reader', '42')", "access_token_job_is_a_recorders"),
]  # fmt: skip


@pytest.fixture
def prepared(database: Database) -> Iterator[Session]:
    """A session with good rows, which are gone afterwards."""
    with database.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection) as session:
            session.execute(text(GOOD))
            yield session
        if transaction.is_active:
            transaction.rollback()


@pytest.mark.parametrize(("statement", "refused_by"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_the_database_itself_refuses(prepared: Session, statement: str, refused_by: str) -> None:
    with pytest.raises(exc.IntegrityError) as caught:
        prepared.execute(text(f"INSERT INTO {statement}"))
    said = caught.value.orig.diag
    assert refused_by in (said.constraint_name, said.column_name)


# --- IVOA -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mapped() -> dict[str, str]:
    """The rows of the page: class or member to the column that stands first."""
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+\.\w+)` \|", MAPPING.read_text(), re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a class or member has two rows"
    return dict(rows)


def test_every_member_of_the_ivoa_model_has_a_place(
    mapped: dict[str, str], prov_data: Path
) -> None:
    """Classes that only other classes extend or contain have a place in those."""
    model = ElementTree.parse(prov_data / "ivoa-provdm/model/Provenance.vo-dml.xml").getroot()
    members = set()
    for cls in model.iter("objectType"):
        for kind in ("attribute", "reference", "composition"):
            members |= {f"{cls.findtext('name')}.{m.findtext('name')}" for m in cls.findall(kind)}
    kinds = {"Collection", "ValueEntity", "DatasetEntity"}
    assert len(members) == 95
    assert set(mapped) == members | kinds


def test_every_column_that_the_page_names_is_there(database: Database) -> None:
    named = set(re.findall(r"`([a-z_]+\.[a-z0-9_]+)`", MAPPING.read_text()))
    with database.transaction() as session:
        columns = session.execute(text(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_schema = 'prov'"
        )).scalars()  # fmt: skip
        assert named <= set(columns)
    assert len(named) > 80
