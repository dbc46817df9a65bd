-- Inner nodes of the log's tree, so that a checkpoint or proof reads a few hundred hashes of any number. Applied in schema prov.

CREATE TABLE log_node (
    level      smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
    node_index bigint NOT NULL CHECK (node_index >= 0),
    node_hash  bytea NOT NULL CHECK (octet_length(node_hash) = 32),
    PRIMARY KEY (level, node_index)
);
COMMENT ON TABLE log_node IS 'Roots of the complete subtrees of 256, 65536, … leaves of the log; they follow from the leaves, whatever says otherwise';
COMMENT ON COLUMN log_node.level IS 'The subtree has two to this power leaves';
COMMENT ON COLUMN log_node.node_index IS 'Its place among those of its level, from 0';
COMMENT ON COLUMN log_node.node_hash IS 'Its root (RFC 9162 2.1.1)';
