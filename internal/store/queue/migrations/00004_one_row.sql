-- +goose Up

-- The bytes of an item stand in its row, or in a file: then data is NULL. It is the
-- last column, so that whoever reads the others does not read it.
ALTER TABLE item ADD COLUMN data BLOB;
UPDATE item SET data = (SELECT body.data FROM body WHERE body.item = item.id);
DROP TABLE body;

-- What is landing is asked for once, at the start, and is not worth an index that
-- each delivery writes twice.
DROP INDEX recipient_landing;
