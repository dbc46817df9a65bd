-- A document of another server tells of several assessments: what was said of the products in it. Applied in schema prov.

ALTER TABLE assessed_entity ADD COLUMN assessment_uuid uuid;
UPDATE assessed_entity x SET assessment_uuid = s.assessment_uuid
FROM assessment s WHERE s.document_id = x.document_id;
ALTER TABLE assessed_entity
    DROP CONSTRAINT assessed_entity_document_id_fkey,
    DROP CONSTRAINT assessed_entity_pkey;
ALTER TABLE assessment
    DROP CONSTRAINT assessment_pkey,
    ADD PRIMARY KEY (document_id, assessment_uuid);
ALTER TABLE assessed_entity
    ADD PRIMARY KEY (document_id, entity_uuid, assessment_uuid),
    ADD FOREIGN KEY (document_id, assessment_uuid) REFERENCES assessment;
CREATE INDEX assessment_by_uuid ON assessment (assessment_uuid);
COMMENT ON TABLE assessment IS 'What documents say of products afterwards; several may tell of one assessment. A revocation takes an invalidation back, and both stay';
COMMENT ON COLUMN assessed_entity.assessment_uuid IS 'Which of the assessments of the document';
COMMENT ON COLUMN assessed_entity.entity_uuid IS 'The product, by the id that it had then (entity_alias knows former ones), or that it has in the record from which the document came: a product id urn:uuid: here';
