-- +goose Up
CREATE TABLE greylist_entry (
    id         TEXT    NOT NULL PRIMARY KEY, -- "3f09c2d17ab4"
    state      TEXT    NOT NULL,             -- "waiting", "passed"
    recipients TEXT    NOT NULL,             -- domain of the recipients
    names      TEXT    NOT NULL,             -- by which the stranger is known again, one a line
    network    TEXT    NOT NULL,             -- "192.0.2.0/24", that it came from first
    client     TEXT    NOT NULL,             -- "mx.example.org[192.0.2.1]", the last
    sender     TEXT    NOT NULL,
    people     TEXT    NOT NULL,             -- recipients, one a line
    score      REAL    NOT NULL,
    since      INTEGER NOT NULL,             -- Unix seconds, as all that follow
    due        INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,             -- while it waited
    letters    INTEGER NOT NULL,             -- after it had passed
    size       INTEGER NOT NULL              -- bytes of the last letter
) STRICT, WITHOUT ROWID;

CREATE TABLE greylist_seen (
    sender  BLOB    NOT NULL PRIMARY KEY,    -- the first half of a SHA-256
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE greylist_allowed (
    subject TEXT    NOT NULL PRIMARY KEY,    -- "192.0.2.0/24", "example.org", "alice@example.org"
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE greylist_day (
    day      TEXT    NOT NULL PRIMARY KEY,   -- "2026-11-22", by UTC
    delayed  INTEGER NOT NULL,               -- strangers who were told to come again
    early    INTEGER NOT NULL,               -- came before their time
    back     INTEGER NOT NULL,               -- came back
    gone     INTEGER NOT NULL,               -- never came back
    junk     INTEGER NOT NULL,               -- came back, and brought junk
    crowded  INTEGER NOT NULL,               -- shared an entry, or found no room
    bytes    INTEGER NOT NULL,               -- of letters that never came
    delays   TEXT    NOT NULL                -- JSON: how many came back after how long
) STRICT, WITHOUT ROWID;

CREATE INDEX greylist_entry_expires ON greylist_entry (expires);
CREATE INDEX greylist_seen_expires ON greylist_seen (expires);

-- +goose Down
DROP TABLE greylist_day;
DROP TABLE greylist_allowed;
DROP TABLE greylist_seen;
DROP TABLE greylist_entry;
