-- +goose Up
-- Passwords that programs have for one account, wherever that is kept.
CREATE TABLE app_password (
    account  TEXT    NOT NULL, -- address.Key
    name     TEXT    NOT NULL, -- what it is for
    mac      BLOB    NOT NULL, -- HMAC-SHA-256 of account and password, under the secret "app"
    services TEXT    NOT NULL, -- where it counts, "imap smtp"; '': everywhere
    created  INTEGER NOT NULL, -- Unix seconds
    used     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

-- When somebody last logged in to an account, wherever that is kept.
CREATE TABLE last_login (
    account TEXT    NOT NULL PRIMARY KEY, -- address.Key
    seen    INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE last_login;
DROP TABLE app_password;
