-- +goose Up
CREATE TABLE sts_policy (
    domain  TEXT    NOT NULL PRIMARY KEY, -- lower-case, A-labels
    id      TEXT    NOT NULL,             -- of the TXT record that it was fetched under
    mode    TEXT    NOT NULL,             -- "enforce", "testing", "none"
    mx      TEXT    NOT NULL,             -- names, with spaces between
    max_age INTEGER NOT NULL,             -- seconds
    fetched INTEGER NOT NULL,             -- Unix seconds
    used    INTEGER NOT NULL,             -- Unix seconds
    expires INTEGER NOT NULL              -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE INDEX sts_policy_expires ON sts_policy (expires);

-- +goose Down
DROP TABLE sts_policy;
