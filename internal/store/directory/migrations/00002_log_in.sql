-- +goose Up
-- What log-ins that do not show the password are checked against; '' where there
-- is none. They are made with the password, and end with it.
ALTER TABLE account ADD COLUMN scram_sha256 TEXT NOT NULL DEFAULT ''; -- RFC 5803
ALTER TABLE account ADD COLUMN scram_sha1   TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN cram_md5     TEXT NOT NULL DEFAULT ''; -- both contexts of HMAC-MD5, hexadecimal

-- Random octets of this server that last as long as its accounts.
CREATE TABLE secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Where an account logged in from.
CREATE TABLE login_network (
    account TEXT    NOT NULL, -- account.key
    network TEXT    NOT NULL, -- "192.0.2.7/32", "2001:db8::/64"
    seen    INTEGER NOT NULL, -- Unix seconds, to the day
    PRIMARY KEY (account, network)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE login_network;
DROP TABLE secret;
ALTER TABLE account DROP COLUMN cram_md5;
ALTER TABLE account DROP COLUMN scram_sha1;
ALTER TABLE account DROP COLUMN scram_sha256;
