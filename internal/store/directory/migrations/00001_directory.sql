-- +goose Up
CREATE TABLE domain (
    name    TEXT    NOT NULL PRIMARY KEY, -- canonical: lower-case A-labels
    created INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    key      TEXT    NOT NULL PRIMARY KEY, -- address.Key: what look-ups compare
    address  TEXT    NOT NULL,             -- as the admin wrote it
    domain   TEXT    NOT NULL,
    quota    INTEGER NOT NULL DEFAULT 0,   -- bytes; 0: the default of the settings
    disabled INTEGER NOT NULL DEFAULT 0,
    password TEXT    NOT NULL,             -- "$argon2id$…"
    created  INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE INDEX account_domain ON account (domain);

-- +goose Down
DROP TABLE account;
DROP TABLE domain;
