-- +goose Up
CREATE TABLE reputation_domain (
    domain  TEXT    NOT NULL PRIMARY KEY, -- "list.example", in A-labels
    since   INTEGER NOT NULL,             -- Unix seconds of the first letter
    good    INTEGER NOT NULL,             -- letters
    bad     INTEGER NOT NULL,
    authors INTEGER NOT NULL,             -- a bit for each of 64 classes of authors' domains
    expires INTEGER NOT NULL              -- Unix seconds; later with each letter
) STRICT, WITHOUT ROWID;

CREATE INDEX reputation_domain_expires ON reputation_domain (expires);

-- +goose Down
DROP TABLE reputation_domain;
