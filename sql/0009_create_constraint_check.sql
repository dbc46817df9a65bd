-- What of PROV-CONSTRAINTS the W3C PROV documents violate. Applied in schema prov.

CREATE TABLE constraint_check (
    document_id  bigint PRIMARY KEY REFERENCES document,
    n_violations integer NOT NULL CHECK (n_violations >= 0),
    rules        jsonb NOT NULL
);
CREATE INDEX constraint_check_violated ON constraint_check (document_id) WHERE n_violations > 0;
COMMENT ON TABLE constraint_check IS 'W3C PROV documents that were checked against PROV-CONSTRAINTS when they came; of others there is no row';
COMMENT ON COLUMN constraint_check.document_id IS 'The document';
COMMENT ON COLUMN constraint_check.n_violations IS 'How many violations were found; 0: it is valid';
COMMENT ON COLUMN constraint_check.rules IS 'For each violated rule its number, name, how often, and the first violation in words';
