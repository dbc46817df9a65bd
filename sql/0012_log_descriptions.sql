-- Descriptions come from documents, as all else does: which one, and when it was said. Applied in schema prov.

ALTER TABLE entity_description
    ADD COLUMN document_id bigint REFERENCES document,
    ADD COLUMN stated_at   timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN entity_description.document_id IS 'The document that says so; null: there before descriptions were documents, and not made one yet';
COMMENT ON COLUMN entity_description.stated_at IS 'When it was said, as the document says (UTC); of several the latest stands';

ALTER TABLE activity_description
    ADD COLUMN document_id bigint REFERENCES document,
    ADD COLUMN stated_at   timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN activity_description.document_id IS 'The document that says so; null: there before descriptions were documents, and not made one yet';
COMMENT ON COLUMN activity_description.stated_at IS 'When it was said, as the document says (UTC); of several the latest stands';

-- By name: what plays a role may be described later, in another document.
ALTER TABLE flow_description ADD COLUMN entity_description text;
UPDATE flow_description f SET entity_description = e.name
    FROM entity_description e WHERE e.entity_description_id = f.entity_description_id;
ALTER TABLE flow_description DROP COLUMN entity_description_id;
COMMENT ON COLUMN flow_description.entity_description IS 'Name of the description of what plays the role; it may come later';

-- Documents that describe are few, and found by themselves.
CREATE INDEX document_describing ON document (document_id) WHERE format = 'descriptions';
