-- +goose Up
CREATE TABLE tlsreport_policy (
    day     TEXT    NOT NULL, -- "2026-11-22", UTC
    domain  TEXT    NOT NULL,
    type    TEXT    NOT NULL, -- "tlsa", "sts", "no-policy-found"
    policy  TEXT    NOT NULL, -- its lines, with line feeds between
    mx      TEXT    NOT NULL, -- patterns of MTA-STS, with spaces between
    success INTEGER NOT NULL, -- sessions
    failure INTEGER NOT NULL,
    PRIMARY KEY (day, domain, type, policy)
) STRICT, WITHOUT ROWID;

CREATE TABLE tlsreport_failure (
    day      TEXT    NOT NULL,
    domain   TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    policy   TEXT    NOT NULL,
    result   TEXT    NOT NULL, -- "certificate-expired"
    sender   TEXT    NOT NULL, -- our address; "" where there was no connection
    host     TEXT    NOT NULL, -- of the other side
    receiver TEXT    NOT NULL, -- its address
    reason   TEXT    NOT NULL, -- the first of its kind that was met
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, domain, type, policy, result, sender, host, receiver)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE tlsreport_failure;
DROP TABLE tlsreport_policy;
