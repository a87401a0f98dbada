-- +goose Up
CREATE TABLE reputation_subject (
    kind        TEXT    NOT NULL, -- "client", "network", "domain", "sender"
    subject     TEXT    NOT NULL, -- "192.0.2.7/32", "192.0.2.0/24", "example.net", "user@example.net"
    since       INTEGER NOT NULL, -- times are Unix seconds
    last        INTEGER NOT NULL,
    at          INTEGER NOT NULL, -- when good, bad and points were as they stand here
    good        REAL    NOT NULL, -- letters, half of which fade in 30 days
    bad         REAL    NOT NULL,
    letters     INTEGER NOT NULL,
    spam        INTEGER NOT NULL,
    points      REAL    NOT NULL, -- offences since the last ban
    step        INTEGER NOT NULL, -- bans lately
    offended    INTEGER NOT NULL,
    until       INTEGER NOT NULL, -- the end of the last ban
    why         TEXT    NOT NULL,
    offences    TEXT    NOT NULL, -- "trap=2 guess=7"
    good_hosts  INTEGER NOT NULL, -- of a network: a bit for each of 64 classes of hosts
    bad_hosts   INTEGER NOT NULL,
    good_before INTEGER NOT NULL, -- the same of the month before
    bad_before  INTEGER NOT NULL,
    month       INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE reputation_fare (
    day   INTEGER NOT NULL, -- Unix days
    class TEXT    NOT NULL, -- "new", "small", "large"
    fate  TEXT    NOT NULL, -- "accepted", "junk", "greylisted", "refused", "quarantined", "released"
    count INTEGER NOT NULL,
    PRIMARY KEY (day, class, fate)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE reputation_fare;
DROP TABLE reputation_subject;
