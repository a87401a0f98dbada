-- +goose Up
CREATE TABLE reputation_passed (
    client  TEXT    NOT NULL, -- "192.0.2.7/32", "2001:db8::/64"
    test    TEXT    NOT NULL, -- "pregreet"
    expires INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (client, test)
) STRICT, WITHOUT ROWID;

CREATE TABLE reputation_remark (
    client  TEXT    NOT NULL,
    remark  TEXT    NOT NULL, -- "bare_newline"
    count   INTEGER NOT NULL,
    expires INTEGER NOT NULL, -- Unix seconds; later with each remark
    PRIMARY KEY (client, remark)
) STRICT, WITHOUT ROWID;

CREATE INDEX reputation_passed_expires ON reputation_passed (expires);
CREATE INDEX reputation_remark_expires ON reputation_remark (expires);

-- +goose Down
DROP TABLE reputation_remark;
DROP TABLE reputation_passed;
