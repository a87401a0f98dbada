-- +goose Up
-- Accounts kept elsewhere that have something here, and are not there any more.
CREATE TABLE absent_account (
    account TEXT    NOT NULL PRIMARY KEY, -- address.Key
    since   INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE absent_account;
