-- +goose Up
-- What was seen of the mail of other domains, for the reports to them.
CREATE TABLE report_seen (
    day    TEXT    NOT NULL, -- "2026-11-22", UTC
    domain TEXT    NOT NULL, -- the policy domain
    record TEXT    NOT NULL, -- a report.Record in JSON, without its count
    count  INTEGER NOT NULL,
    PRIMARY KEY (day, domain, record)
) STRICT, WITHOUT ROWID;

-- The policy that a domain published, as it was seen last on a day.
CREATE TABLE report_published (
    day       TEXT NOT NULL,
    domain    TEXT NOT NULL,
    published TEXT NOT NULL, -- a report.Published in JSON
    PRIMARY KEY (day, domain)
) STRICT, WITHOUT ROWID;

-- What became of the reports that we send, one row for each destination.
CREATE TABLE report_sending (
    kind   TEXT    NOT NULL, -- "dmarc", "tls"
    day    TEXT    NOT NULL,
    domain TEXT    NOT NULL,
    uri    TEXT    NOT NULL,
    state  TEXT    NOT NULL, -- "begun", "sent", "left out", "later"
    item   INTEGER NOT NULL, -- the ID of the letter in the queue; 0 where there is none
    note   TEXT    NOT NULL,
    PRIMARY KEY (kind, day, domain, uri)
) STRICT, WITHOUT ROWID;

-- Reports about our domains.
CREATE TABLE report_received (
    id        INTEGER PRIMARY KEY,
    kind      TEXT    NOT NULL, -- "dmarc", "tls"
    domain    TEXT    NOT NULL,
    author    TEXT    NOT NULL, -- the domain of the letter's From
    verified  INTEGER NOT NULL, -- 1: it passed DMARC here
    reporter  TEXT    NOT NULL, -- what it calls itself
    report_id TEXT    NOT NULL,
    begun     INTEGER NOT NULL, -- seconds since 1970
    ended     INTEGER NOT NULL,
    taken     INTEGER NOT NULL,
    published TEXT    NOT NULL, -- a report.Published in JSON; "" of TLS
    total     INTEGER NOT NULL, -- letters or sessions
    good      INTEGER NOT NULL,
    rows      INTEGER NOT NULL, -- that are kept of it
    left_out  INTEGER NOT NULL, -- for which there was no room
    UNIQUE (kind, domain, author, verified, report_id)
) STRICT;
CREATE INDEX report_received_age ON report_received (verified, taken);

CREATE TABLE report_row (
    report INTEGER NOT NULL REFERENCES report_received (id) ON DELETE CASCADE,
    n      INTEGER NOT NULL,
    row    TEXT    NOT NULL, -- a report.Record or a report.TLSPolicy in JSON
    PRIMARY KEY (report, n)
) STRICT, WITHOUT ROWID;

-- Complaints about mail of ours.
CREATE TABLE report_complaint (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE, -- what makes it the same complaint
    taken      INTEGER NOT NULL,
    author     TEXT    NOT NULL,
    verified   INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    source     TEXT    NOT NULL, -- an address, or ""
    account    TEXT    NOT NULL, -- "" where it is not known who sent it
    how        TEXT    NOT NULL, -- how that is known, or why not
    message_id TEXT    NOT NULL,
    item       TEXT    NOT NULL, -- the queue ID, or ""
    recipient  TEXT    NOT NULL, -- "" where it is hidden
    incidents  INTEGER NOT NULL
) STRICT;
CREATE INDEX report_complaint_account ON report_complaint (account, taken);
CREATE INDEX report_complaint_age ON report_complaint (verified, taken);

-- +goose Down
DROP TABLE report_complaint;
DROP TABLE report_row;
DROP TABLE report_received;
DROP TABLE report_sending;
DROP TABLE report_published;
DROP TABLE report_seen;
