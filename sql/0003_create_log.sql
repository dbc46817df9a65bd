-- The log of documents: an append-only Merkle tree (RFC 9162) and its signed checkpoints. Applied in schema prov.

CREATE TABLE log_identity (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    origin  text NOT NULL DEFAULT 'provmanager/' || gen_random_uuid()
);
INSERT INTO log_identity DEFAULT VALUES;
COMMENT ON TABLE log_identity IS 'Which log this is: one row';
COMMENT ON COLUMN log_identity.is_only IS 'True: there is one row';
COMMENT ON COLUMN log_identity.origin IS 'First line of its checkpoints, the same for the life of the log';

CREATE TABLE log_leaf (
    leaf_index  bigint PRIMARY KEY CHECK (leaf_index >= 0),
    document_id bigint NOT NULL UNIQUE REFERENCES document,
    leaf_hash   bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);
COMMENT ON TABLE log_leaf IS 'The leaves of the log: one a document, in the order in which they were appended';
COMMENT ON COLUMN log_leaf.leaf_index IS 'Place in the tree, from 0, without gaps';
COMMENT ON COLUMN log_leaf.document_id IS 'The document';
COMMENT ON COLUMN log_leaf.leaf_hash IS 'RFC 9162 leaf hash of the entry: SHA-256 of 0x00 and the canonical JSON of what the document row says of digests, format, size, time and sender';

CREATE TABLE log_checkpoint (
    tree_size bigint PRIMARY KEY CHECK (tree_size > 0),
    root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
    note      text NOT NULL,
    made_at   timestamptz NOT NULL
);
COMMENT ON TABLE log_checkpoint IS 'Signed checkpoints that were made: the root of the tree at some size';
COMMENT ON COLUMN log_checkpoint.tree_size IS 'Number of leaves';
COMMENT ON COLUMN log_checkpoint.root_hash IS 'Root of the tree of that many leaves';
COMMENT ON COLUMN log_checkpoint.note IS 'The checkpoint as a signed note (C2SP tlog-checkpoint)';
COMMENT ON COLUMN log_checkpoint.made_at IS 'When it was signed (UTC)';
