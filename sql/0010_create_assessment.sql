-- What was said of products afterwards: not to be used, that this was wrong, whether their files are as recorded. Applied in schema prov.

CREATE TABLE assessment (
    document_id     bigint PRIMARY KEY REFERENCES document,
    assessment_uuid uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('invalidation', 'revocation', 'verification')),
    assessed_at     timestamptz NOT NULL,
    reason          text,
    agent_iri       text,
    agent_name      text,
    revokes         uuid,
    CONSTRAINT assessment_revokes CHECK ((kind = 'revocation') = (revokes IS NOT NULL))
);
CREATE INDEX assessment_by_kind ON assessment (kind);
CREATE INDEX assessment_by_revoked ON assessment (revokes) WHERE revokes IS NOT NULL;
COMMENT ON TABLE assessment IS 'Assessments, each a document of its own; a revocation takes an invalidation back, and both stay';
COMMENT ON COLUMN assessment.document_id IS 'The document that says so';
COMMENT ON COLUMN assessment.assessment_uuid IS 'Its id, also that of the activity as which it is recorded';
COMMENT ON COLUMN assessment.kind IS 'invalidation, revocation or verification';
COMMENT ON COLUMN assessment.assessed_at IS 'When it was made (UTC), as the document says';
COMMENT ON COLUMN assessment.reason IS 'Why';
COMMENT ON COLUMN assessment.agent_iri IS 'Who made it, as the document says; document.received_from is the token that delivered it';
COMMENT ON COLUMN assessment.agent_name IS 'Name of who made it';
COMMENT ON COLUMN assessment.revokes IS 'Of a revocation: the invalidation that holds no more';

CREATE TABLE assessed_entity (
    document_id bigint NOT NULL REFERENCES assessment,
    entity_uuid uuid NOT NULL,
    outcome     text CHECK (outcome IN ('ok', 'differs', 'missing', 'unknown')),
    PRIMARY KEY (document_id, entity_uuid)
);
CREATE INDEX assessed_entity_by_entity ON assessed_entity (entity_uuid);
CREATE INDEX entity_alias_by_entity ON entity_alias (entity_uuid);
COMMENT ON TABLE assessed_entity IS 'wasInvalidatedBy (W3C PROV-DM 5.1.8), and what verifications found';
COMMENT ON COLUMN assessed_entity.document_id IS 'The assessment';
COMMENT ON COLUMN assessed_entity.entity_uuid IS 'The product, by the id that it had then; entity_alias knows former ones';
COMMENT ON COLUMN assessed_entity.outcome IS 'Of a verification: whether the file was what was recorded';
