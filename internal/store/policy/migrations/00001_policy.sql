-- +goose Up
CREATE TABLE policy_filter (
    match    TEXT    NOT NULL PRIMARY KEY, -- ".", "@example.org", "@.example.org", "user@example.org"
    priority INTEGER NOT NULL,
    fields   TEXT    NOT NULL              -- JSON of what it says; what it does not have, it inherits
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_entry (
    match    TEXT    NOT NULL, -- whose list it is, as above
    sender   TEXT    NOT NULL, -- address, "@example.net", "@.example.net"; "" for anybody
    network  TEXT    NOT NULL, -- "192.0.2.0/24"; "" for anywhere
    kind     TEXT    NOT NULL, -- "allow", "block" or "score"
    score    REAL    NOT NULL,
    priority INTEGER NOT NULL,
    until    INTEGER NOT NULL, -- Unix seconds; 0: until it is removed
    note     TEXT    NOT NULL,
    added    INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (match, sender, network)
) STRICT, WITHOUT ROWID;

CREATE INDEX policy_entry_until ON policy_entry (until) WHERE until > 0;

-- +goose Down
DROP TABLE policy_entry;
DROP TABLE policy_filter;
