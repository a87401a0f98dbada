-- +goose Up
CREATE TABLE correspondent (
    account INTEGER NOT NULL, -- keyed hash of the account's address
    peer    INTEGER NOT NULL, -- keyed hash of the address that was written to
    letters INTEGER NOT NULL,
    last    INTEGER NOT NULL, -- day of the last letter, in days since 1970
    PRIMARY KEY (account, peer)
) STRICT, WITHOUT ROWID;

CREATE INDEX correspondent_peer ON correspondent (peer);
CREATE INDEX correspondent_last ON correspondent (last);

CREATE TABLE correspondent_key (
    only_one INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    key      BLOB    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE correspondent_key;
DROP TABLE correspondent;
