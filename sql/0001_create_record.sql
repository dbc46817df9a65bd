-- The record: W3C PROV-DM and IVOA ProvenanceDM 1.0 (REC 2020-04-11) on PostgreSQL.
-- Keys inside are bigint (integer for what is stored once and shared), names outside are UUIDs and
-- IRIs. Applied in schema prov. Indexes whose entries come in ascending order are packed full.

CREATE SEQUENCE node_id AS bigint CACHE 1;
COMMENT ON SEQUENCE node_id IS 'Keys of activities and entities: one sequence, so that both are nodes of the lineage graph; and of documents';

CREATE TABLE document (
    document_id    bigint PRIMARY KEY DEFAULT nextval('node_id'),
    sha256         bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    stored_sha256  bytea NOT NULL CHECK (octet_length(stored_sha256) = 32),
    format         text NOT NULL,
    reason         text NOT NULL,
    source_name    text,
    size_bytes     bigint NOT NULL CHECK (size_bytes >= 0),
    content        bytea NOT NULL,
    n_redactions   integer NOT NULL DEFAULT 0 CHECK (n_redactions >= 0),
    received_at    timestamptz NOT NULL DEFAULT now(),
    received_from  text
);
COMMENT ON TABLE document IS 'What we were told, verbatim (after redaction of secrets): everything else is derived from it';
COMMENT ON COLUMN document.document_id IS 'Key inside, from node_id';
COMMENT ON COLUMN document.sha256 IS 'SHA-256 of the bytes as received: the same bytes are the same document';
COMMENT ON COLUMN document.stored_sha256 IS 'SHA-256 of the bytes as stored; differs from sha256 only where secrets were redacted';
COMMENT ON COLUMN document.format IS 'Detected format, such as ctapipe or prov-json';
COMMENT ON COLUMN document.reason IS 'Why it was taken for that format';
COMMENT ON COLUMN document.source_name IS 'File name that the sender gave';
COMMENT ON COLUMN document.size_bytes IS 'Size of the stored bytes before compression';
COMMENT ON COLUMN document.content IS 'The stored bytes, zlib-compressed (RFC 1950)';
COMMENT ON COLUMN document.n_redactions IS 'How many secrets were replaced before storage';
COMMENT ON COLUMN document.received_at IS 'When it was recorded (UTC)';
COMMENT ON COLUMN document.received_from IS 'Name of the token that delivered it';

CREATE TABLE link_rule (
    link_rule_id smallint PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    basis        text NOT NULL CHECK (basis IN ('stated', 'inferred', 'claimed')),
    reason       text NOT NULL
);
COMMENT ON TABLE link_rule IS 'The identity rules: every link names the one that made it';
COMMENT ON COLUMN link_rule.link_rule_id IS 'Key inside';
COMMENT ON COLUMN link_rule.name IS 'Name of the rule, as in docs/identity.md';
COMMENT ON COLUMN link_rule.basis IS 'stated in a document, inferred by us, or claimed by a product''s own metadata';
COMMENT ON COLUMN link_rule.reason IS 'What the rule says, in one sentence';
INSERT INTO link_rule VALUES
    (1, 'stated', 'stated', 'A document states the link between things that it names unmistakably'),
    (2, 'product-id', 'stated', 'The same product id (CTA/CTAO PRODUCT ID, DIRAC GUID, ivoid, DOI, IRI)'),
    (3, 'digest', 'stated', 'The same bytes: equal content digests'),
    (4, 'location', 'stated', 'The same location, which no recorded activity has written'),
    (5, 'location-version', 'inferred', 'The version that stood at the location when the activity started'),
    (6, 'location-during', 'inferred', 'The first version written at the location while the activity ran; none stood there before'),
    (7, 'location-same-file', 'inferred', 'The only file with a known digest or product id that was ever read at the location'),
    (8, 'contained-in-time', 'inferred', 'One activity of a document ran within the time of another of the same process'),
    (9, 'producer-claim', 'claimed', 'The product''s own metadata names the activity; that activity''s record was never seen'),
    (10, 'cwlprov-started-by', 'inferred', 'A CWLProv step was started by the activity of its workflow'),
    (11, 'lstosa-same-name', 'inferred', 'An lstosa log derives a file from another by the name of its variable');

CREATE TABLE role (
    role_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL UNIQUE
);
COMMENT ON TABLE role IS 'Roles of used, wasGeneratedBy, wasAssociatedWith, wasAttributedTo (IVOA 2.2); the empty name is "none given"';
COMMENT ON COLUMN role.role_id IS 'Key inside';
COMMENT ON COLUMN role.name IS 'The role as the tool wrote it';

CREATE TABLE host (
    host_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256  bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    name    text,
    content jsonb NOT NULL
);
COMMENT ON TABLE host IS 'Machines, once each';
COMMENT ON COLUMN host.host_id IS 'Key inside';
COMMENT ON COLUMN host.sha256 IS 'SHA-256 of the canonical JSON';
COMMENT ON COLUMN host.name IS 'Host name (node)';
COMMENT ON COLUMN host.content IS 'All that was said of the machine';

CREATE TABLE environment (
    environment_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256         bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    content        jsonb NOT NULL
);
COMMENT ON TABLE environment IS 'Software environments (interpreter, packages, variables), once each';
COMMENT ON COLUMN environment.environment_id IS 'Key inside';
COMMENT ON COLUMN environment.sha256 IS 'SHA-256 of the canonical JSON';
COMMENT ON COLUMN environment.content IS 'The environment as the tool wrote it, without host, argv and times';

CREATE TABLE package (
    environment_id integer NOT NULL REFERENCES environment ON DELETE CASCADE,
    name           text NOT NULL,
    version        text NOT NULL,
    PRIMARY KEY (environment_id, name, version)
);
CREATE INDEX package_by_name ON package (lower(name), version);
COMMENT ON TABLE package IS 'Packages of an environment, for "everything made with X version Y"';
COMMENT ON COLUMN package.environment_id IS 'The environment';
COMMENT ON COLUMN package.name IS 'Distribution name as written';
COMMENT ON COLUMN package.version IS 'Version as written; empty where none was given';

CREATE TABLE container (
    container_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256       bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    content      jsonb NOT NULL
);
COMMENT ON TABLE container IS 'Container images in which activities ran, once each';
COMMENT ON COLUMN container.container_id IS 'Key inside';
COMMENT ON COLUMN container.sha256 IS 'SHA-256 of the canonical JSON';
COMMENT ON COLUMN container.content IS 'Image, digest, runtime';

CREATE TABLE configuration (
    configuration_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shape_sha256     bytea NOT NULL UNIQUE CHECK (octet_length(shape_sha256) = 32),
    content          jsonb NOT NULL
);
CREATE INDEX configuration_by_content ON configuration USING gin (content jsonb_path_ops);
COMMENT ON TABLE configuration IS 'Configuration templates: the first configuration seen of each shape (activity name, version, parameter names)';
COMMENT ON COLUMN configuration.configuration_id IS 'Key inside';
COMMENT ON COLUMN configuration.shape_sha256 IS 'SHA-256 of activity name, version and the ordered parameter names';
COMMENT ON COLUMN configuration.content IS 'Flat object: dotted parameter name to value';

CREATE TABLE activity (
    activity_id      bigint DEFAULT nextval('node_id') PRIMARY KEY WITH (fillfactor = 100),
    activity_uuid    uuid NOT NULL UNIQUE,
    started_at       timestamptz,
    ended_at         timestamptz,
    environment_id   integer REFERENCES environment,
    host_id          integer REFERENCES host,
    container_id     integer REFERENCES container,
    configuration_id integer REFERENCES configuration,
    exit_code        integer,
    is_claim         boolean NOT NULL DEFAULT false,
    name             text,
    version          text,
    type             text,
    status           text NOT NULL CHECK (status IN ('completed', 'error', 'interrupted', 'running', 'unknown')),
    status_raw       text,
    iri              text,
    started_raw      text,
    ended_raw        text,
    comment          text,
    executable       text,
    directory        text,
    arguments        text[],
    overrides        jsonb,
    job              jsonb,
    details          jsonb,
    CONSTRAINT activity_ends_after_start CHECK (ended_at >= started_at)
);
CREATE INDEX activity_by_name ON activity (name);
CREATE INDEX activity_by_start ON activity (started_at);
CREATE INDEX activity_by_environment ON activity (environment_id) WHERE environment_id IS NOT NULL;
CREATE INDEX activity_by_configuration ON activity (configuration_id) WHERE configuration_id IS NOT NULL;
CREATE INDEX activity_by_iri ON activity (iri) WHERE iri IS NOT NULL;
CREATE INDEX activity_by_job ON activity ((job ->> 'id')) WHERE job IS NOT NULL;
CREATE INDEX activity_not_completed ON activity (status, started_at) WHERE status <> 'completed';
COMMENT ON TABLE activity IS 'Activity (IVOA 2.1): one run of a tool, job or workflow';
COMMENT ON COLUMN activity.activity_id IS 'Key inside, from node_id';
COMMENT ON COLUMN activity.activity_uuid IS 'Identity of the run';
COMMENT ON COLUMN activity.environment_id IS 'Software environment';
COMMENT ON COLUMN activity.host_id IS 'Machine';
COMMENT ON COLUMN activity.container_id IS 'Container image';
COMMENT ON COLUMN activity.configuration_id IS 'Template of its configuration';
COMMENT ON COLUMN activity.started_at IS 'startTime (UTC)';
COMMENT ON COLUMN activity.ended_at IS 'endTime (UTC)';
COMMENT ON COLUMN activity.exit_code IS 'Exit code of the process; null where none was given';
COMMENT ON COLUMN activity.is_claim IS 'Only a product''s metadata names this activity: its own record was never seen';
COMMENT ON COLUMN activity.name IS 'Name, as the tool calls itself';
COMMENT ON COLUMN activity.version IS 'Version of its software';
COMMENT ON COLUMN activity.type IS 'IVOA activity type, where stated';
COMMENT ON COLUMN activity.status IS 'How it ended, in our words';
COMMENT ON COLUMN activity.status_raw IS 'The document''s own word, where it differs';
COMMENT ON COLUMN activity.iri IS 'The identifier as written, where it is not the UUID';
COMMENT ON COLUMN activity.started_raw IS 'Start as the clock wrote it, where it differs from ISO 8601 with Z';
COMMENT ON COLUMN activity.ended_raw IS 'End as the clock wrote it, where it differs from ISO 8601 with Z';
COMMENT ON COLUMN activity.comment IS 'IVOA comment';
COMMENT ON COLUMN activity.executable IS 'Path of the program';
COMMENT ON COLUMN activity.directory IS 'Working directory';
COMMENT ON COLUMN activity.arguments IS 'Command line (argv), secrets redacted';
COMMENT ON COLUMN activity.overrides IS 'Flat object: parameters whose value differs from the template';
COMMENT ON COLUMN activity.job IS 'Grid or batch job: system, id, site, pilot, ...';
COMMENT ON COLUMN activity.details IS 'Everything else that documents said of it';

CREATE TABLE activity_document (
    activity_id bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    document_id bigint NOT NULL REFERENCES document,
    claim       uuid NOT NULL,
    PRIMARY KEY (activity_id, document_id) WITH (fillfactor = 100)
);
CREATE INDEX activity_document_by_document ON activity_document (document_id) WITH (fillfactor = 100);
COMMENT ON TABLE activity_document IS 'Which documents told of an activity';
COMMENT ON COLUMN activity_document.activity_id IS 'The activity';
COMMENT ON COLUMN activity_document.document_id IS 'The document';
COMMENT ON COLUMN activity_document.claim IS 'First half of the SHA-256 of all that the document says of it; equal ones confirm';

CREATE TABLE directory (
    directory_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uri          text NOT NULL UNIQUE
);
COMMENT ON TABLE directory IS 'Leading parts of locations, once each';
COMMENT ON COLUMN directory.directory_id IS 'Key inside';
COMMENT ON COLUMN directory.uri IS 'Absolute URI up to and with the last slash';

CREATE TABLE entity (
    entity_id          bigint DEFAULT nextval('node_id') PRIMARY KEY WITH (fillfactor = 100),
    entity_uuid        uuid NOT NULL UNIQUE,
    generated_by       bigint REFERENCES activity,
    size_bytes         bigint CHECK (size_bytes >= 0),
    generated_at       timestamptz,
    invalidated_at     timestamptz,
    directory_id       integer REFERENCES directory,
    generation_role_id integer REFERENCES role,
    generation_rule_id smallint REFERENCES link_rule,
    sha256             bytea CHECK (octet_length(sha256) = 32),
    base_name          text,
    kind               text NOT NULL DEFAULT 'dataset' CHECK (kind IN ('dataset', 'value', 'collection')),
    name               text,
    value              text,
    content_type       text,
    comment            text,
    details            jsonb,
    CONSTRAINT entity_generation CHECK ((generated_by IS NULL) = (generation_rule_id IS NULL)),
    CONSTRAINT entity_location CHECK ((directory_id IS NULL) = (base_name IS NULL))
);
CREATE INDEX entity_by_generator ON entity (generated_by) WHERE generated_by IS NOT NULL;
CREATE INDEX entity_by_location ON entity (base_name, directory_id) WHERE base_name IS NOT NULL;
-- Seven bytes tell digests apart in any store there will be: half the size of an index of all 32.
CREATE INDEX entity_by_sha256 ON entity (substring(sha256, 1, 7)) WHERE sha256 IS NOT NULL;
CREATE INDEX entity_by_name ON entity (name) WHERE name IS NOT NULL;
COMMENT ON TABLE entity IS 'Entity, DatasetEntity, ValueEntity, Collection (IVOA 2.1); one version of a file is one entity. wasGeneratedBy is a column: at most one activity generates it';
COMMENT ON COLUMN entity.entity_id IS 'Key inside, from node_id';
COMMENT ON COLUMN entity.entity_uuid IS 'Identity outside: a function of what identifies it, the same in any order of ingest';
COMMENT ON COLUMN entity.generated_by IS 'wasGeneratedBy: the activity';
COMMENT ON COLUMN entity.directory_id IS 'Leading part of its first location (LFN before URL before path)';
COMMENT ON COLUMN entity.base_name IS 'Last part of its first location';
COMMENT ON COLUMN entity.size_bytes IS 'Size';
COMMENT ON COLUMN entity.generated_at IS 'generatedAtTime (UTC)';
COMMENT ON COLUMN entity.invalidated_at IS 'invalidatedAtTime (UTC): when its location was written again, or as stated';
COMMENT ON COLUMN entity.generation_role_id IS 'Role of wasGeneratedBy';
COMMENT ON COLUMN entity.generation_rule_id IS 'Rule that made the wasGeneratedBy';
COMMENT ON COLUMN entity.sha256 IS 'Content digest; other algorithms in entity_identifier';
COMMENT ON COLUMN entity.kind IS 'dataset, value or collection';
COMMENT ON COLUMN entity.name IS 'Name, where it is not the last part of the location';
COMMENT ON COLUMN entity.value IS 'Value of a ValueEntity';
COMMENT ON COLUMN entity.content_type IS 'Media type or format';
COMMENT ON COLUMN entity.comment IS 'IVOA comment';
COMMENT ON COLUMN entity.details IS 'Everything else that documents said of it';

CREATE TABLE entity_identifier (
    entity_id  bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('product-id', 'digest')),
    identifier text NOT NULL,
    PRIMARY KEY (entity_id, kind, identifier)
);
CREATE INDEX entity_identifier_by_identifier ON entity_identifier (md5(identifier));
COMMENT ON TABLE entity_identifier IS 'Product ids, and digests other than SHA-256';
COMMENT ON COLUMN entity_identifier.entity_id IS 'The entity';
COMMENT ON COLUMN entity_identifier.kind IS 'product-id or digest';
COMMENT ON COLUMN entity_identifier.identifier IS 'urn:uuid:..., guid:..., ivo://..., doi:..., an IRI; or algorithm:hexadecimal';

CREATE TABLE entity_location (
    entity_id    bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    directory_id integer NOT NULL REFERENCES directory,
    base_name    text NOT NULL,
    PRIMARY KEY (entity_id, directory_id, base_name)
);
CREATE INDEX entity_location_by_location ON entity_location (base_name, directory_id);
COMMENT ON TABLE entity_location IS 'Further locations (replicas, copies, former paths)';
COMMENT ON COLUMN entity_location.entity_id IS 'The entity';
COMMENT ON COLUMN entity_location.directory_id IS 'Leading part of the location';
COMMENT ON COLUMN entity_location.base_name IS 'Last part of the location';

CREATE TABLE entity_alias (
    alias_uuid  uuid PRIMARY KEY,
    entity_uuid uuid NOT NULL,
    document_id bigint REFERENCES document,
    merged_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE entity_alias IS 'Merges: UUIDs that an entity had before a stronger identity arrived';
COMMENT ON COLUMN entity_alias.alias_uuid IS 'The former UUID';
COMMENT ON COLUMN entity_alias.entity_uuid IS 'The UUID that took its place';
COMMENT ON COLUMN entity_alias.document_id IS 'The document that brought the stronger identity';
COMMENT ON COLUMN entity_alias.merged_at IS 'When';

CREATE TABLE entity_document (
    entity_id   bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    document_id bigint NOT NULL REFERENCES document,
    PRIMARY KEY (entity_id, document_id)
);
CREATE INDEX entity_document_by_document ON entity_document (document_id);
COMMENT ON TABLE entity_document IS 'Documents that mention an entity outside of used and wasGeneratedBy';
COMMENT ON COLUMN entity_document.entity_id IS 'The entity';
COMMENT ON COLUMN entity_document.document_id IS 'The document';

CREATE TABLE used (
    activity_id  bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    entity_id    bigint NOT NULL REFERENCES entity,
    used_at      timestamptz,
    role_id      integer NOT NULL REFERENCES role,
    link_rule_id smallint NOT NULL REFERENCES link_rule,
    PRIMARY KEY (activity_id, entity_id, role_id) WITH (fillfactor = 100)
);
CREATE INDEX used_by_entity ON used (entity_id);
COMMENT ON TABLE used IS 'used (IVOA 2.2); several roles are several rows';
COMMENT ON COLUMN used.activity_id IS 'The activity';
COMMENT ON COLUMN used.entity_id IS 'The entity';
COMMENT ON COLUMN used.used_at IS 'When, if stated (UTC)';
COMMENT ON COLUMN used.role_id IS 'Role';
COMMENT ON COLUMN used.link_rule_id IS 'Rule by which the mention is this entity';

CREATE TABLE generation_claim (
    entity_id    bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    activity_id  bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    role_id      integer NOT NULL REFERENCES role,
    reason       text NOT NULL CHECK (reason IN ('outer-level', 'contradiction', 'another-role', 'producer-claim')),
    PRIMARY KEY (entity_id, activity_id, role_id, reason)
);
CREATE INDEX generation_claim_by_activity ON generation_claim (activity_id);
COMMENT ON TABLE generation_claim IS 'Statements of generation beside the one in entity.generated_by';
COMMENT ON COLUMN generation_claim.entity_id IS 'The entity';
COMMENT ON COLUMN generation_claim.activity_id IS 'The activity that is said to have generated it';
COMMENT ON COLUMN generation_claim.role_id IS 'Role';
COMMENT ON COLUMN generation_claim.reason IS 'outer-level: the activity around the producer lists it too; contradiction: another activity states the same product; another-role: the producer lists it again; producer-claim: the product''s metadata names it';

CREATE TABLE was_informed_by (
    informed_id  bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    informant_id bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    kind         text NOT NULL CHECK (kind IN ('part-of', 'data-flow')),
    link_rule_id smallint NOT NULL REFERENCES link_rule,
    PRIMARY KEY (informed_id, informant_id, kind)
);
CREATE INDEX was_informed_by_informant ON was_informed_by (informant_id);
COMMENT ON TABLE was_informed_by IS 'wasInformedBy (IVOA 2.2)';
COMMENT ON COLUMN was_informed_by.informed_id IS 'The informed activity (part-of: the inner one)';
COMMENT ON COLUMN was_informed_by.informant_id IS 'The informant (part-of: the outer one)';
COMMENT ON COLUMN was_informed_by.kind IS 'part-of: ran inside; data-flow: something passed that no entity stands for';
COMMENT ON COLUMN was_informed_by.link_rule_id IS 'Rule that made the link';

CREATE TABLE was_derived_from (
    derived_id   bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    source_id    bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    link_rule_id smallint NOT NULL REFERENCES link_rule,
    PRIMARY KEY (derived_id, source_id)
);
CREATE INDEX was_derived_from_source ON was_derived_from (source_id);
COMMENT ON TABLE was_derived_from IS 'wasDerivedFrom (IVOA 2.2)';
COMMENT ON COLUMN was_derived_from.derived_id IS 'The generated entity';
COMMENT ON COLUMN was_derived_from.source_id IS 'The used entity';
COMMENT ON COLUMN was_derived_from.link_rule_id IS 'Rule that made the link';

CREATE TABLE had_member (
    collection_id bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    member_id     bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    PRIMARY KEY (collection_id, member_id)
);
CREATE INDEX had_member_member ON had_member (member_id);
COMMENT ON TABLE had_member IS 'hadMember (IVOA 2.1, Collection)';
COMMENT ON COLUMN had_member.collection_id IS 'The collection';
COMMENT ON COLUMN had_member.member_id IS 'The member';

CREATE TABLE agent (
    agent_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    iri         text NOT NULL UNIQUE,
    name        text NOT NULL,
    type        text CHECK (type IN ('Person', 'Organization', 'SoftwareAgent')),
    email       text,
    affiliation text,
    phone       text,
    address     text,
    url         text,
    comment     text,
    details     jsonb
);
CREATE INDEX agent_by_name ON agent (lower(name));
COMMENT ON TABLE agent IS 'Agent (IVOA 2.1)';
COMMENT ON COLUMN agent.agent_id IS 'Key inside';
COMMENT ON COLUMN agent.iri IS 'Identity';
COMMENT ON COLUMN agent.name IS 'Name';
COMMENT ON COLUMN agent.type IS 'AgentType';
COMMENT ON COLUMN agent.email IS 'E-mail address';
COMMENT ON COLUMN agent.affiliation IS 'Affiliation';
COMMENT ON COLUMN agent.phone IS 'Telephone';
COMMENT ON COLUMN agent.address IS 'Postal address';
COMMENT ON COLUMN agent.url IS 'URL';
COMMENT ON COLUMN agent.comment IS 'IVOA comment';
COMMENT ON COLUMN agent.details IS 'Everything else that documents said of it';

CREATE TABLE was_associated_with (
    activity_id bigint NOT NULL REFERENCES activity ON DELETE CASCADE,
    agent_id    bigint NOT NULL REFERENCES agent,
    role_id     integer NOT NULL REFERENCES role,
    PRIMARY KEY (activity_id, agent_id, role_id)
);
CREATE INDEX was_associated_with_agent ON was_associated_with (agent_id);
COMMENT ON TABLE was_associated_with IS 'wasAssociatedWith (IVOA 2.2)';
COMMENT ON COLUMN was_associated_with.activity_id IS 'The activity';
COMMENT ON COLUMN was_associated_with.agent_id IS 'The agent';
COMMENT ON COLUMN was_associated_with.role_id IS 'Role';

CREATE TABLE was_attributed_to (
    entity_id bigint NOT NULL REFERENCES entity ON DELETE CASCADE,
    agent_id  bigint NOT NULL REFERENCES agent,
    role_id   integer NOT NULL REFERENCES role,
    PRIMARY KEY (entity_id, agent_id, role_id)
);
CREATE INDEX was_attributed_to_agent ON was_attributed_to (agent_id);
COMMENT ON TABLE was_attributed_to IS 'wasAttributedTo (IVOA 2.2)';
COMMENT ON COLUMN was_attributed_to.entity_id IS 'The entity';
COMMENT ON COLUMN was_attributed_to.agent_id IS 'The agent';
COMMENT ON COLUMN was_attributed_to.role_id IS 'Role';

CREATE TABLE edge (
    target_id bigint NOT NULL,
    source_id bigint NOT NULL,
    PRIMARY KEY (target_id, source_id) WITH (fillfactor = 100)
);
CREATE INDEX edge_by_source ON edge (source_id);
COMMENT ON TABLE edge IS 'Lineage, kept by ingest in the same transaction: a node and one that it directly depends on. Nodes are activities; an entity is a node only where it was derived, is a collection, or is used by way of those';
COMMENT ON COLUMN edge.target_id IS 'The later node (activity_id or entity_id)';
COMMENT ON COLUMN edge.source_id IS 'The earlier node (activity_id or entity_id)';

CREATE TABLE contradiction (
    contradiction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_uuid     uuid NOT NULL,
    subject_kind     text NOT NULL CHECK (subject_kind IN ('activity', 'entity')),
    field            text NOT NULL,
    held             text NOT NULL,
    claimed          text NOT NULL,
    message          text NOT NULL,
    detected_at      timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX contradiction_once ON contradiction (subject_uuid, field, md5(held), md5(claimed));
COMMENT ON TABLE contradiction IS 'What documents say differently of one thing; nothing wins silently';
COMMENT ON COLUMN contradiction.contradiction_id IS 'Key inside';
COMMENT ON COLUMN contradiction.subject_uuid IS 'The activity or entity';
COMMENT ON COLUMN contradiction.subject_kind IS 'activity or entity';
COMMENT ON COLUMN contradiction.field IS 'What differs';
COMMENT ON COLUMN contradiction.held IS 'The value that the record holds';
COMMENT ON COLUMN contradiction.claimed IS 'The other value';
COMMENT ON COLUMN contradiction.message IS 'The same in a sentence';
COMMENT ON COLUMN contradiction.detected_at IS 'When it was found';

CREATE TABLE statement (
    document_id bigint NOT NULL REFERENCES document ON DELETE CASCADE,
    ordinal     integer NOT NULL,
    bundle      text,
    type        text NOT NULL,
    identifier  text,
    attributes  jsonb NOT NULL,
    PRIMARY KEY (document_id, ordinal)
);
COMMENT ON TABLE statement IS 'Records of W3C PROV documents, each whole: what that document said, in its own words';
COMMENT ON COLUMN statement.document_id IS 'The document';
COMMENT ON COLUMN statement.ordinal IS 'Place in the document';
COMMENT ON COLUMN statement.bundle IS 'Bundle in which it stands; null: the document itself';
COMMENT ON COLUMN statement.type IS 'PROV-DM type';
COMMENT ON COLUMN statement.identifier IS 'Qualified name as written';
COMMENT ON COLUMN statement.attributes IS 'Array of [name, value] in order';

CREATE TABLE namespace (
    document_id bigint NOT NULL REFERENCES document ON DELETE CASCADE,
    prefix      text NOT NULL,
    uri         text NOT NULL,
    PRIMARY KEY (document_id, prefix)
);
COMMENT ON TABLE namespace IS 'Prefixes of W3C PROV documents';
COMMENT ON COLUMN namespace.document_id IS 'The document';
COMMENT ON COLUMN namespace.prefix IS 'Prefix; of a bundle: "bundle prefix"';
COMMENT ON COLUMN namespace.uri IS 'Namespace URI';

CREATE TABLE entity_description (
    entity_description_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    description  text,
    docurl       text,
    type         text,
    content_type text,
    value_type   text,
    unit         text,
    ucd          text,
    utype        text,
    CONSTRAINT entity_description_class CHECK (content_type IS NULL OR value_type IS NULL)
);
COMMENT ON TABLE entity_description IS 'EntityDescription, DatasetDescription, ValueDescription (IVOA 2.5)';
COMMENT ON COLUMN entity_description.entity_description_id IS 'Key inside';
COMMENT ON COLUMN entity_description.name IS 'Name';
COMMENT ON COLUMN entity_description.description IS 'Description';
COMMENT ON COLUMN entity_description.docurl IS 'Where it is documented';
COMMENT ON COLUMN entity_description.type IS 'Type';
COMMENT ON COLUMN entity_description.content_type IS 'DatasetDescription: contentType';
COMMENT ON COLUMN entity_description.value_type IS 'ValueDescription: valueType (VOTable datatype)';
COMMENT ON COLUMN entity_description.unit IS 'ValueDescription: unit (VOUnits)';
COMMENT ON COLUMN entity_description.ucd IS 'ValueDescription: UCD';
COMMENT ON COLUMN entity_description.utype IS 'ValueDescription: utype';

CREATE TABLE activity_description (
    activity_description_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    version     text NOT NULL DEFAULT '',
    description text,
    docurl      text,
    type        text,
    subtype     text,
    UNIQUE (name, version)
);
COMMENT ON TABLE activity_description IS 'ActivityDescription (IVOA 2.5), found by an activity''s name and version';
COMMENT ON COLUMN activity_description.activity_description_id IS 'Key inside';
COMMENT ON COLUMN activity_description.name IS 'Name of the activities that it describes';
COMMENT ON COLUMN activity_description.version IS 'Their version; empty: any';
COMMENT ON COLUMN activity_description.description IS 'Description';
COMMENT ON COLUMN activity_description.docurl IS 'Where it is documented';
COMMENT ON COLUMN activity_description.type IS 'Observation, Simulation, Reduction, Calibration, Reconstruction, Selection, Analysis';
COMMENT ON COLUMN activity_description.subtype IS 'Subtype';

CREATE TABLE flow_description (
    activity_description_id bigint NOT NULL REFERENCES activity_description ON DELETE CASCADE,
    direction    text NOT NULL CHECK (direction IN ('usage', 'generation')),
    role         text NOT NULL,
    description  text,
    type         text,
    multiplicity text,
    entity_description_id bigint REFERENCES entity_description,
    PRIMARY KEY (activity_description_id, direction, role)
);
COMMENT ON TABLE flow_description IS 'UsageDescription and GenerationDescription (IVOA 2.5)';
COMMENT ON COLUMN flow_description.activity_description_id IS 'The activity description';
COMMENT ON COLUMN flow_description.direction IS 'usage or generation';
COMMENT ON COLUMN flow_description.role IS 'Role';
COMMENT ON COLUMN flow_description.description IS 'Description';
COMMENT ON COLUMN flow_description.type IS 'Main, Calibration, Preview, Setup, Quality, Log, Context';
COMMENT ON COLUMN flow_description.multiplicity IS '1, *, 3..*';
COMMENT ON COLUMN flow_description.entity_description_id IS 'What plays the role';

CREATE TABLE parameter_description (
    activity_description_id bigint NOT NULL REFERENCES activity_description ON DELETE CASCADE,
    name        text NOT NULL,
    value_type  text NOT NULL,
    description text,
    unit        text,
    ucd         text,
    utype       text,
    min         text,
    max         text,
    default_value text,
    options     text[],
    PRIMARY KEY (activity_description_id, name)
);
COMMENT ON TABLE parameter_description IS 'ParameterDescription (IVOA 2.5)';
COMMENT ON COLUMN parameter_description.activity_description_id IS 'The activity description';
COMMENT ON COLUMN parameter_description.name IS 'Dotted name of the parameter';
COMMENT ON COLUMN parameter_description.value_type IS 'VOTable datatype';
COMMENT ON COLUMN parameter_description.description IS 'Description';
COMMENT ON COLUMN parameter_description.unit IS 'Unit (VOUnits)';
COMMENT ON COLUMN parameter_description.ucd IS 'UCD';
COMMENT ON COLUMN parameter_description.utype IS 'utype';
COMMENT ON COLUMN parameter_description.min IS 'Smallest value';
COMMENT ON COLUMN parameter_description.max IS 'Greatest value';
COMMENT ON COLUMN parameter_description.default_value IS 'Default (IVOA: default)';
COMMENT ON COLUMN parameter_description.options IS 'Allowed values';

CREATE TABLE config_file_description (
    activity_description_id bigint NOT NULL REFERENCES activity_description ON DELETE CASCADE,
    name         text NOT NULL,
    content_type text NOT NULL,
    description  text,
    PRIMARY KEY (activity_description_id, name)
);
COMMENT ON TABLE config_file_description IS 'ConfigFileDescription (IVOA 2.5)';
COMMENT ON COLUMN config_file_description.activity_description_id IS 'The activity description';
COMMENT ON COLUMN config_file_description.name IS 'Name, the role of the file';
COMMENT ON COLUMN config_file_description.content_type IS 'contentType';
COMMENT ON COLUMN config_file_description.description IS 'Description';

CREATE VIEW was_generated_by AS
    SELECT e.entity_id, e.generated_by AS activity_id, r.name AS role, l.name AS rule, l.basis
    FROM entity e JOIN link_rule l ON l.link_rule_id = e.generation_rule_id
    LEFT JOIN role r ON r.role_id = e.generation_role_id
    WHERE e.generated_by IS NOT NULL;
COMMENT ON VIEW was_generated_by IS 'wasGeneratedBy (IVOA 2.2)';

CREATE VIEW parameter AS
    SELECT a.activity_id, p.key AS name, p.value
    FROM activity a JOIN configuration c USING (configuration_id),
         jsonb_each(c.content || coalesce(a.overrides, '{}'::jsonb)) AS p;
COMMENT ON VIEW parameter IS 'Parameter and its wasConfiguredBy (IVOA 2.5): configuration as name and value';

CREATE VIEW config_file AS
    SELECT u.activity_id, u.entity_id, e.base_name AS name, d.uri || e.base_name AS location, e.comment
    FROM used u JOIN role r USING (role_id) JOIN entity e USING (entity_id)
    LEFT JOIN directory d USING (directory_id)
    WHERE lower(r.name) IN ('configuration', 'tool configuration', 'config file', 'configfile')
       OR EXISTS (SELECT 1 FROM activity a JOIN activity_description x ON x.name = a.name
                  JOIN config_file_description f USING (activity_description_id)
                  WHERE a.activity_id = u.activity_id AND f.name = r.name);
COMMENT ON VIEW config_file IS 'ConfigFile and its wasConfiguredBy (IVOA 2.5): files used in a configuration role';
