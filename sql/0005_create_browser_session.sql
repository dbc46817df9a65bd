-- Who is signed in to the pages: what a browser shows instead of a token. Applied in schema prov.

CREATE TABLE browser_session (
    sha256       bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    kind         text NOT NULL CHECK (kind IN ('link', 'session')),
    token_uuid   uuid NOT NULL REFERENCES access_token (token_uuid),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT browser_session_expires_later CHECK (expires_at > created_at)
);
CREATE INDEX browser_session_by_expiry ON browser_session (expires_at);
COMMENT ON TABLE browser_session IS 'Sign-ins to the pages: each admits as long as the token does with which it was made, and to reading only';
COMMENT ON COLUMN browser_session.sha256 IS 'SHA-256 of what the browser shows; that itself is never stored';
COMMENT ON COLUMN browser_session.kind IS 'link: may be turned into a session, once; session: the value of a cookie';
COMMENT ON COLUMN browser_session.token_uuid IS 'The token with which it was made; a session ends when that is revoked or expires';
COMMENT ON COLUMN browser_session.created_at IS 'When it was made (UTC)';
COMMENT ON COLUMN browser_session.expires_at IS 'When it ends at the latest';
