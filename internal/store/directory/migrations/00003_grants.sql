-- +goose Up
-- Addresses that an account may send as, beside its own.
CREATE TABLE sender_grant (
    account TEXT    NOT NULL, -- key of the account
    address TEXT    NOT NULL, -- address.Key, or "@" and a domain for all of it
    created INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (account, address)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE sender_grant;
