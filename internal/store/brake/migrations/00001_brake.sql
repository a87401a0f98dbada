-- +goose Up
CREATE TABLE brake_account (
    name    TEXT    NOT NULL PRIMARY KEY, -- "alice@example.org", "uid:1000", "@example.org"
    braked  INTEGER NOT NULL,             -- Unix seconds since when; 0: it is not
    why     TEXT    NOT NULL,
    signs   TEXT    NOT NULL,             -- what spoke for it, one a line
    told    INTEGER NOT NULL,             -- whether owner and postmaster were told
    letting INTEGER NOT NULL,             -- Unix seconds since when its held mail is let go; 0: it is not
    hour    INTEGER NOT NULL,             -- limits of its own, in recipients; 0: those of the settings
    day     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE brake_count (
    name  TEXT    NOT NULL PRIMARY KEY,
    last  INTEGER NOT NULL,               -- the last slot of ten minutes in which something was counted
    cells TEXT    NOT NULL                -- JSON: [[slot, recipients, first, domains, unknown, failed, held], …]
) STRICT, WITHOUT ROWID;

CREATE INDEX brake_count_last ON brake_count (last);

-- +goose Down
DROP TABLE brake_count;
DROP TABLE brake_account;
