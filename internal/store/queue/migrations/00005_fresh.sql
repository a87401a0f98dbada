-- +goose Up

-- The greatest id that may have been used: what is used is noted some seconds ahead,
-- which is cheaper than AUTOINCREMENT, and none is used twice all the same.
CREATE TABLE used (id INTEGER NOT NULL);
INSERT INTO used SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'item';

-- An item: a message that we have taken responsibility for.
CREATE TABLE item_5 (
    id          INTEGER PRIMARY KEY, -- microseconds since 1970, made unique
    arrived     INTEGER NOT NULL,    -- microseconds since 1970
    sender      TEXT    NOT NULL,    -- '' is the null reverse-path
    account     TEXT    NOT NULL,
    local       INTEGER NOT NULL,
    client_addr TEXT    NOT NULL,
    client_name TEXT    NOT NULL,
    helo        TEXT    NOT NULL,
    protocol    TEXT    NOT NULL,
    flags       INTEGER NOT NULL,    -- 1: 8BITMIME, 2: SMTPUTF8, 4: BINARYMIME
    size        INTEGER NOT NULL,    -- bytes
    options     TEXT    NOT NULL,    -- see options.go
    sum         INTEGER,             -- CRC-32C of the bytes; NULL: queued before there was one
    -- The bytes, or NULL: they are in a file. It is the last column, so that whoever
    -- reads the others does not read it.
    data        BLOB
);
INSERT INTO item_5 SELECT id, arrived, sender, account, local, client_addr, client_name, helo, protocol, flags, size, options, NULL, data FROM item;
DROP TABLE item;
ALTER TABLE item_5 RENAME TO item;

-- The sender and the size stand with each recipient, too: who looks for all mail of
-- one, or counts, reads these rows only, and no messages.
ALTER TABLE recipient ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN size INTEGER NOT NULL DEFAULT 0; -- of the item, in bytes
UPDATE recipient SET sender = item.sender, size = item.size FROM item WHERE item.id = recipient.item;

-- What is due is found by its age, what was never tried apart from what was, and by
-- its route. Fresh recipients stand in no index: most mail leaves at once, from
-- memory, and does not pay for one.
DROP INDEX recipient_due;
CREATE INDEX recipient_due ON recipient ((attempts > 0), due, item, n, route) WHERE state = 0;
CREATE INDEX recipient_route ON recipient (route, due, item, n) WHERE state = 0;
CREATE INDEX recipient_held ON recipient (item, n) WHERE state = 2;

-- Items that a person has deleted: their recipients are gone, their rows and bytes go
-- later, for that is much to write.
CREATE TABLE doomed (item INTEGER PRIMARY KEY);
