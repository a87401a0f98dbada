-- +goose Up
-- What the addresses of a domain are: "mailbox", "local", "alias" or "relay".
ALTER TABLE domain ADD COLUMN class TEXT NOT NULL DEFAULT 'mailbox';
-- The domain whose addresses its addresses are; '' for none.
ALTER TABLE domain ADD COLUMN alias_of TEXT NOT NULL DEFAULT '';
-- Who gets what is for nobody else: an address or "@domain"; '' for nobody.
ALTER TABLE domain ADD COLUMN catch_all TEXT NOT NULL DEFAULT '';

-- Addresses that lead to others.
CREATE TABLE alias (
    key     TEXT    NOT NULL PRIMARY KEY, -- address.Key, or "@domain" for what is for nobody else there
    address TEXT    NOT NULL,             -- as the admin wrote it
    domain  TEXT    NOT NULL,
    targets TEXT    NOT NULL,             -- addresses, one a line
    owner   TEXT    NOT NULL DEFAULT '',  -- who answers for it, an address; then it is a list
    expires INTEGER NOT NULL DEFAULT 0,   -- Unix seconds; 0: never
    created INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_domain ON alias (domain);

-- +goose Down
DROP TABLE alias;
ALTER TABLE domain DROP COLUMN catch_all;
ALTER TABLE domain DROP COLUMN alias_of;
ALTER TABLE domain DROP COLUMN class;
