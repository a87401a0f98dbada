-- +goose Up

-- An item: a message that we have taken responsibility for. AUTOINCREMENT keeps
-- the greatest id ever used, so that none is used twice.
CREATE TABLE item (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- microseconds since 1970, made unique
    arrived     INTEGER NOT NULL,                  -- microseconds since 1970
    sender      TEXT    NOT NULL,                  -- '' is the null reverse-path
    account     TEXT    NOT NULL,
    local       INTEGER NOT NULL,
    client_addr TEXT    NOT NULL,
    client_name TEXT    NOT NULL,
    helo        TEXT    NOT NULL,
    protocol    TEXT    NOT NULL,
    flags       INTEGER NOT NULL,                  -- 1: 8BITMIME, 2: SMTPUTF8
    size        INTEGER NOT NULL                   -- bytes
);

-- The bytes of an item that fits a row. A larger one is in a file.
CREATE TABLE body (
    item INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE recipient (
    item       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    address    TEXT    NOT NULL,
    original   TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    state      INTEGER NOT NULL,                   -- see the package doc
    due        INTEGER NOT NULL,                   -- microseconds since 1970
    attempts   INTEGER NOT NULL,
    last_reply TEXT    NOT NULL,
    delayed    INTEGER NOT NULL,
    PRIMARY KEY (item, n)
) WITHOUT ROWID;

CREATE INDEX recipient_due ON recipient (due, item, n) WHERE state = 0;
CREATE INDEX recipient_landing ON recipient (item, n) WHERE state = 1;
