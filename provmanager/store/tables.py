"""SQLAlchemy tables of the record; they mirror sql/0001 (a test compares both, live)."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

metadata = MetaData(schema="prov")
node_id = Sequence("node_id", metadata=metadata, data_type=BigInteger)
INSTANT = TIMESTAMP(timezone=True)
JSON_OBJECT = JSONB(none_as_null=True)

document = Table(
    "document",
    metadata,
    Column("document_id", BigInteger, primary_key=True, server_default=node_id.next_value()),
    Column("sha256", LargeBinary, nullable=False),
    Column("stored_sha256", LargeBinary, nullable=False),
    Column("format", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("source_name", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("n_redactions", Integer, nullable=False, server_default=text("0")),
    Column("received_at", INSTANT, nullable=False, server_default=text("now()")),
    Column("received_from", Text),
)
link_rule = Table(
    "link_rule",
    metadata,
    Column("link_rule_id", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
role = Table(
    "role",
    metadata,
    Column("role_id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
)
host = Table(
    "host",
    metadata,
    Column("host_id", Integer, Identity(always=True), primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("name", Text),
    Column("content", JSON_OBJECT, nullable=False),
)
environment = Table(
    "environment",
    metadata,
    Column("environment_id", Integer, Identity(always=True), primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("content", JSON_OBJECT, nullable=False),
)
package = Table(
    "package",
    metadata,
    Column(
        "environment_id",
        Integer,
        ForeignKey("prov.environment.environment_id"),
        primary_key=True,
    ),
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
)
container = Table(
    "container",
    metadata,
    Column("container_id", Integer, Identity(always=True), primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("content", JSON_OBJECT, nullable=False),
)
configuration = Table(
    "configuration",
    metadata,
    Column("configuration_id", Integer, Identity(always=True), primary_key=True),
    Column("shape_sha256", LargeBinary, nullable=False),
    Column("content", JSON_OBJECT, nullable=False),
)
activity = Table(
    "activity",
    metadata,
    Column("activity_id", BigInteger, primary_key=True, server_default=node_id.next_value()),
    Column("activity_uuid", Uuid, nullable=False),
    Column("started_at", INSTANT),
    Column("ended_at", INSTANT),
    Column("environment_id", Integer, ForeignKey("prov.environment.environment_id")),
    Column("host_id", Integer, ForeignKey("prov.host.host_id")),
    Column("container_id", Integer, ForeignKey("prov.container.container_id")),
    Column("configuration_id", Integer, ForeignKey("prov.configuration.configuration_id")),
    Column("exit_code", Integer),
    Column("is_claim", Boolean, nullable=False, server_default=text("false")),
    Column("name", Text),
    Column("version", Text),
    Column("type", Text),
    Column("status", Text, nullable=False),
    Column("status_raw", Text),
    Column("iri", Text),
    Column("started_raw", Text),
    Column("ended_raw", Text),
    Column("comment", Text),
    Column("executable", Text),
    Column("directory", Text),
    Column("arguments", ARRAY(Text)),
    Column("overrides", JSON_OBJECT),
    Column("job", JSON_OBJECT),
    Column("details", JSON_OBJECT),
)
activity_document = Table(
    "activity_document",
    metadata,
    Column("activity_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id"), primary_key=True),
    Column("claim", Uuid, nullable=False),
)
directory = Table(
    "directory",
    metadata,
    Column("directory_id", Integer, Identity(always=True), primary_key=True),
    Column("uri", Text, nullable=False),
)
entity = Table(
    "entity",
    metadata,
    Column("entity_id", BigInteger, primary_key=True, server_default=node_id.next_value()),
    Column("entity_uuid", Uuid, nullable=False),
    Column("generated_by", BigInteger, ForeignKey("prov.activity.activity_id")),
    Column("size_bytes", BigInteger),
    Column("generated_at", INSTANT),
    Column("invalidated_at", INSTANT),
    Column("directory_id", Integer, ForeignKey("prov.directory.directory_id")),
    Column("generation_role_id", Integer, ForeignKey("prov.role.role_id")),
    Column("generation_rule_id", SmallInteger, ForeignKey("prov.link_rule.link_rule_id")),
    Column("sha256", LargeBinary),
    Column("base_name", Text),
    Column("kind", Text, nullable=False, server_default=text("'dataset'")),
    Column("name", Text),
    Column("value", Text),
    Column("content_type", Text),
    Column("comment", Text),
    Column("details", JSON_OBJECT),
    Column("extension", Text, Computed("a function of name and base_name"), nullable=False),
)
entity_identifier = Table(
    "entity_identifier",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("identifier", Text, primary_key=True),
)
entity_location = Table(
    "entity_location",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("directory_id", Integer, ForeignKey("prov.directory.directory_id"), primary_key=True),
    Column("base_name", Text, primary_key=True),
)
entity_alias = Table(
    "entity_alias",
    metadata,
    Column("alias_uuid", Uuid, primary_key=True),
    Column("entity_uuid", Uuid, nullable=False),
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id")),
    Column("merged_at", INSTANT, nullable=False, server_default=text("now()")),
)
entity_document = Table(
    "entity_document",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id"), primary_key=True),
)
used = Table(
    "used",
    metadata,
    Column("activity_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("used_at", INSTANT),
    Column("role_id", Integer, ForeignKey("prov.role.role_id"), primary_key=True),
    Column("link_rule_id", SmallInteger, ForeignKey("prov.link_rule.link_rule_id"), nullable=False),
)
generation_claim = Table(
    "generation_claim",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("activity_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("role_id", Integer, ForeignKey("prov.role.role_id"), primary_key=True),
    Column("reason", Text, primary_key=True),
)
was_informed_by = Table(
    "was_informed_by",
    metadata,
    Column("informed_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("informant_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("link_rule_id", SmallInteger, ForeignKey("prov.link_rule.link_rule_id"), nullable=False),
)
was_derived_from = Table(
    "was_derived_from",
    metadata,
    Column("derived_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("source_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("link_rule_id", SmallInteger, ForeignKey("prov.link_rule.link_rule_id"), nullable=False),
)
had_member = Table(
    "had_member",
    metadata,
    Column("collection_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("member_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
)
agent = Table(
    "agent",
    metadata,
    Column("agent_id", BigInteger, Identity(always=True), primary_key=True),
    Column("iri", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text),
    Column("email", Text),
    Column("affiliation", Text),
    Column("phone", Text),
    Column("address", Text),
    Column("url", Text),
    Column("comment", Text),
    Column("details", JSON_OBJECT),
)
was_associated_with = Table(
    "was_associated_with",
    metadata,
    Column("activity_id", BigInteger, ForeignKey("prov.activity.activity_id"), primary_key=True),
    Column("agent_id", BigInteger, ForeignKey("prov.agent.agent_id"), primary_key=True),
    Column("role_id", Integer, ForeignKey("prov.role.role_id"), primary_key=True),
)
was_attributed_to = Table(
    "was_attributed_to",
    metadata,
    Column("entity_id", BigInteger, ForeignKey("prov.entity.entity_id"), primary_key=True),
    Column("agent_id", BigInteger, ForeignKey("prov.agent.agent_id"), primary_key=True),
    Column("role_id", Integer, ForeignKey("prov.role.role_id"), primary_key=True),
)
edge = Table(
    "edge",
    metadata,
    Column("target_id", BigInteger, primary_key=True),
    Column("source_id", BigInteger, primary_key=True),
)
contradiction = Table(
    "contradiction",
    metadata,
    Column("contradiction_id", BigInteger, Identity(always=True), primary_key=True),
    Column("subject_uuid", Uuid, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("held", Text, nullable=False),
    Column("claimed", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("detected_at", INSTANT, nullable=False, server_default=text("now()")),
)
statement = Table(
    "statement",
    metadata,
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("bundle", Text),
    Column("type", Text, nullable=False),
    Column("identifier", Text),
    Column("attributes", JSON_OBJECT, nullable=False),
)
namespace = Table(
    "namespace",
    metadata,
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id"), primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("uri", Text, nullable=False),
)
constraint_check = Table(
    "constraint_check",
    metadata,
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id"), primary_key=True),
    Column("n_violations", Integer, nullable=False),
    Column("rules", JSON_OBJECT, nullable=False),
)
entity_description = Table(
    "entity_description",
    metadata,
    Column("entity_description_id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("docurl", Text),
    Column("type", Text),
    Column("content_type", Text),
    Column("value_type", Text),
    Column("unit", Text),
    Column("ucd", Text),
    Column("utype", Text),
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id")),
    Column("stated_at", INSTANT, nullable=False, server_default=text("now()")),
)
activity_description = Table(
    "activity_description",
    metadata,
    Column("activity_description_id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False, server_default=text("''")),
    Column("description", Text),
    Column("docurl", Text),
    Column("type", Text),
    Column("subtype", Text),
    Column("document_id", BigInteger, ForeignKey("prov.document.document_id")),
    Column("stated_at", INSTANT, nullable=False, server_default=text("now()")),
)
flow_description = Table(
    "flow_description",
    metadata,
    Column(
        "activity_description_id",
        BigInteger,
        ForeignKey("prov.activity_description.activity_description_id"),
        primary_key=True,
    ),
    Column("direction", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("description", Text),
    Column("type", Text),
    Column("multiplicity", Text),
    Column("entity_description", Text),
)
parameter_description = Table(
    "parameter_description",
    metadata,
    Column(
        "activity_description_id",
        BigInteger,
        ForeignKey("prov.activity_description.activity_description_id"),
        primary_key=True,
    ),
    Column("name", Text, primary_key=True),
    Column("value_type", Text, nullable=False),
    Column("description", Text),
    Column("unit", Text),
    Column("ucd", Text),
    Column("utype", Text),
    Column("min", Text),
    Column("max", Text),
    Column("default_value", Text),
    Column("options", ARRAY(Text)),
)
config_file_description = Table(
    "config_file_description",
    metadata,
    Column(
        "activity_description_id",
        BigInteger,
        ForeignKey("prov.activity_description.activity_description_id"),
        primary_key=True,
    ),
    Column("name", Text, primary_key=True),
    Column("content_type", Text, nullable=False),
    Column("description", Text),
)
production_run = Table(
    "production_run",
    metadata,
    Column("run_uuid", Uuid, primary_key=True),
    Column("step_uuid", Uuid, nullable=False),
    Column("engine", Text, nullable=False),
    Column("group_key", Text),
    Column("place", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("held_until", INSTANT, nullable=False),
    Column("claimed_at", INSTANT, nullable=False, server_default=text("now()")),
    Column("submitted_at", INSTANT),
    Column("settled_at", INSTANT),
)
