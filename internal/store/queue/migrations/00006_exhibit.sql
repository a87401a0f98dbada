-- +goose Up

-- What is known of a recipient in quarantine (state 5), so that a listing reads no
-- messages. A row is written with the recipient's, and goes when he leaves the quarantine.
CREATE TABLE exhibit (
    item     INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    category TEXT    NOT NULL, -- 'spam', 'virus', 'banned', 'bad_header'
    account  TEXT    NOT NULL, -- whose letter it is
    since    INTEGER NOT NULL, -- microseconds since 1970
    size     INTEGER NOT NULL, -- of the item, in bytes
    score    REAL    NOT NULL,
    author   TEXT    NOT NULL, -- of the header, for people
    subject  TEXT    NOT NULL, -- likewise
    evidence TEXT    NOT NULL,
    PRIMARY KEY (item, n)
) WITHOUT ROWID;

-- Counting reads these alone.
CREATE INDEX exhibit_account ON exhibit (account, category, item, n, since, size);
CREATE INDEX exhibit_since ON exhibit (category, since, item, n);

CREATE INDEX recipient_quarantine ON recipient (item, n) WHERE state = 5;
