-- Who may do what: tokens and their roles. Applied in schema prov.

CREATE TABLE access_token (
    access_token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_uuid      uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    sha256          bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    name            text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    role            text NOT NULL CHECK (role IN ('reader', 'recorder', 'curator', 'admin')),
    job             text CHECK (job <> ''),
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      text,
    expires_at      timestamptz,
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    CONSTRAINT access_token_job_is_a_recorders CHECK (job IS NULL OR role = 'recorder'),
    CONSTRAINT access_token_expires_later CHECK (expires_at > created_at)
);
CREATE UNIQUE INDEX access_token_name_once ON access_token (name) WHERE revoked_at IS NULL;
COMMENT ON TABLE access_token IS 'Tokens that admit to the service; revoked ones stay, so that "recorded by" always means somebody';
COMMENT ON COLUMN access_token.access_token_id IS 'Key inside';
COMMENT ON COLUMN access_token.token_uuid IS 'Identity outside';
COMMENT ON COLUMN access_token.sha256 IS 'SHA-256 of the token; the token itself is shown once and never stored';
COMMENT ON COLUMN access_token.name IS 'Who or what it is for; once among the tokens that are not revoked';
COMMENT ON COLUMN access_token.role IS 'reader < recorder < curator < admin: each may do what those before it may';
COMMENT ON COLUMN access_token.job IS 'A recorder''s token may be bound to one job, by the job''s id';
COMMENT ON COLUMN access_token.created_at IS 'When it was made (UTC)';
COMMENT ON COLUMN access_token.created_by IS 'Name of the token that made it; null: the server itself, or its operator';
COMMENT ON COLUMN access_token.expires_at IS 'When it ends to be valid; null: never';
COMMENT ON COLUMN access_token.revoked_at IS 'When it was revoked';
COMMENT ON COLUMN access_token.last_used_at IS 'When it was last used, to ten minutes';
